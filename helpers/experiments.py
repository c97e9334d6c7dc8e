"""Run the grid. What is done already is skipped; a killed run loses at most the rows in hand.

    python -m helpers.experiments --scale laptop --dry-run
    python -m helpers.experiments --scale laptop --only model=mini-bert,mini-gpt2 mode=frozen
    accelerate launch -m helpers.experiments --scale full          # several GPUs, each run on all of them
    python -m helpers.experiments --cluster tcp://host:8786        # rows go to a dask.distributed scheduler

Without ``--cluster`` the rows are shared among processes of this machine, one core each (with a GPU: one process).
"""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import astuple, fields
from pathlib import Path

import pandas as pd
import torch
from accelerate import PartialState
from distributed import Client, LocalCluster, as_completed
from tqdm.auto import tqdm

from helpers import data, encoders, grid
from helpers.grid import Run, Settings
from helpers.records import KEY, RESULTS, Table

# What an estimate is made from until there are rows: parameters that a token passes (millions), and products a second.
MILLIONS = {"mini-bert": 3.2, "mini-gpt2": 3.2, "minilm": 10.6, "bert-base": 85, "gpt2": 85}
SPEED = {"cpu": 5e10, "cuda": 5e13}


def missing(settings: Settings, table: Table, only: dict[str, list[str]]) -> list[Run]:
    """Return the runs of a scale that the table does not hold yet, made from these weights by this protocol."""
    runs = [run for run in grid.plan(settings) if all(str(getattr(run, key)) in only[key] for key in only)]
    if not runs:
        raise ValueError(f"Nothing in the {settings.scale} grid fits {only}.")
    return [run for run in runs if table.configuration(*astuple(run)) != grid.configuration(run, settings)]


def work(runs: list[Run], settings: Settings, table: Table, client: Client) -> None:
    """Send the runs to the workers of a cluster, and add each row to the table as it comes back.

    A run whose worker dies is sent to another one.

    Raises
    ------
    RuntimeError
        Some runs failed; the others are in the table.
    """
    sent = {client.submit(grid.execute, run, settings, key=run.name, pure=False): run for run in runs}
    failed = {}
    for future in tqdm(as_completed(sent), total=len(sent), unit="run", desc=f"{settings.scale} grid"):
        if future.status == "finished":
            table.add(*future.result())
        else:
            failed[sent[future].name] = future.exception()
        future.release()
    if failed:
        first = next(iter(failed))
        raise RuntimeError(f"{len(failed)} of {len(runs)} runs failed, the first was {first}: {failed[first]}")


def work_alone(runs: list[Run], settings: Settings, table: Table, writes: bool = True) -> None:
    """Do one run after the other in this process. Under ``accelerate launch`` all processes do, and one of them writes.

    Parameters
    ----------
    writes : bool
        This process keeps the rows.
    """
    for run in tqdm(runs, unit="run", desc=f"{settings.scale} grid", disable=not writes):
        row, found = grid.execute(run, settings)
        if writes:
            table.add(row, found)


def encode_once(runs: list[Run], settings: Settings) -> None:
    """Put the token states that frozen runs need into the cache, so that no two workers compute them."""
    wanted: dict[tuple[str, str], set[int]] = {}
    for run in runs:
        if run.mode == "frozen":
            rows = grid.draw(run, len(grid.texts_of(run.dataset, "train", settings)))
            wanted.setdefault((run.model, run.dataset), set()).update(rows.tolist())
    for (model, dataset), rows in wanted.items():
        train, *others = (grid.texts_of(dataset, split, settings) for split in data.SPLITS)
        texts = train.select(sorted(rows))["text"][:] + [text for part in others for text in part["text"]]
        encoders.encode(grid.encoder_of(model), texts, settings.lengths[dataset])


def estimate(runs: list[Run], settings: Settings, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plan: model, mode, data set, number of runs, core minutes from like rows, or else from the size."""
    known = rows.groupby(["model", "mode", "dataset"]).seconds.median() if len(rows) else {}
    table = pd.DataFrame([astuple(run) for run in runs], columns=KEY)
    table["minutes"] = [known.get((run.model, run.mode, run.dataset), _guess(run, settings)) / 60 for run in runs]
    parts = table.groupby(["mode", "model", "dataset"], sort=False)
    return parts.agg(runs=("seed", "size"), minutes=("minutes", "sum"))


def _guess(run: Run, settings: Settings) -> float:
    """Seconds: 6 products a parameter and token in training and 2 without, as Kaplan et al. (2020) count them."""
    if run.mode != "fine-tuned":
        return 4.0
    products = 6 * run.labels * settings.epochs + 2 * (2 * settings.epochs * settings.validation + settings.test)
    size = MILLIONS.get(run.model.removesuffix("-random"), 10) * 1e6  # another model: a guess
    return products * settings.lengths[run.dataset] * size / SPEED["cuda" if torch.cuda.is_available() else "cpu"]


@contextmanager
def _cluster(address: str | None, processes: int) -> Iterator[Client]:
    if address:
        with Client(address) as client:
            yield client
    else:
        # One thread a worker: two runs in one process would share their random numbers.
        settings = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": None}
        with LocalCluster(n_workers=processes, **settings) as here, Client(here) as client:
            yield client


def _only(conditions: list[str]) -> dict[str, list[str]]:
    names, only = [field.name for field in fields(Run)], {}
    for condition in conditions:
        key, _, values = condition.partition("=")
        if key not in names or not values:
            raise ValueError(f"--only takes key=value,value with a key of {', '.join(names)}: {condition!r} is none.")
        only[key] = values.split(",")
    return only


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=list(grid.SCALES), default="laptop")
    parser.add_argument("--only", nargs="+", default=[], metavar="key=value,…", help="a part of the grid")
    parser.add_argument("--dry-run", action="store_true", help="show the plan and how long it may take")
    parser.add_argument("--processes", type=int, default=1 if torch.cuda.is_available() else os.cpu_count())
    parser.add_argument("--cluster", metavar="ADDRESS", help="of a dask.distributed scheduler")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the table")
    chosen = parser.parse_args(arguments)
    settings = grid.SCALES[chosen.scale]
    try:
        only = _only(chosen.only)
        many = int(os.environ.get("WORLD_SIZE", 1)) > 1  # as `accelerate launch` sets it
        together = PartialState(cpu=not torch.cuda.is_available()) if many else None
        table = Table(chosen.scale, chosen.out)
        runs = missing(settings, table, only)
    except ValueError as error:
        parser.error(str(error))
    if chosen.dry_run:
        plan = estimate(runs, settings, table.rows)
        print(plan.round(1).to_string() if runs else "Everything is done.")
        print(f"{len(runs)} runs, about {plan.minutes.sum():.0f} minutes of one core (or one GPU)")
        return
    if not chosen.cluster:  # the workers of a cluster have caches of their own
        with together.main_process_first() if together else nullcontext():
            encode_once(runs, settings)
    if together or (chosen.processes == 1 and not chosen.cluster):
        work_alone(runs, settings, table, writes=not together or together.is_main_process)
        return
    with _cluster(chosen.cluster, chosen.processes) as client:
        work(runs, settings, table, client)


if __name__ == "__main__":
    main()
