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
from datetime import timedelta
from pathlib import Path

import dask
import pandas as pd
import torch
from accelerate import PartialState
from distributed import Client, LocalCluster, as_completed
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from helpers import course, grid
from helpers.grid import Run, Settings
from helpers.records import KEY, RESULTS, Table

# What an estimate is made from until there are rows: parameters that a token passes (millions), size of its state,
# products a second, bytes a second from the cache.
MILLIONS = {"mini-bert": 3.2, "mini-gpt2": 3.2, "minilm": 10.6, "smollm2": 106, "bert-base": 85, "gpt2": 85}
DIM = {"mini-bert": 256, "mini-gpt2": 256, "minilm": 384, "smollm2": 576, "bert-base": 768, "gpt2": 768}
SPEED, READING = {"cpu": 5e10, "cuda": 5e13}, 2e8
ROUNDS = 20  # over the labelled texts, until a pooling that learns stops


def missing(settings: Settings, table: Table, only: dict[str, list[str]]) -> list[Run]:
    """Return the runs of a scale that the table does not hold yet, made from these weights by this protocol."""
    runs = grid.plan(settings)
    for key, values in only.items():
        if unknown := set(values) - {str(getattr(run, key)) for run in runs}:
            raise ValueError(f"The {settings.scale} grid has no {key} {', '.join(sorted(unknown))}.")
    runs = [run for run in runs if all(str(getattr(run, key)) in only[key] for key in only)]
    return [run for run in runs if table.configuration(*astuple(run)) != grid.configuration(run, settings)]


def work(runs: list[Run], settings: Settings, table: Table, client: Client) -> None:
    """Send the runs to the workers of a cluster, and add each row to the table as it comes back.

    A run whose worker dies is sent to another one.

    Raises
    ------
    RuntimeError
        Some runs failed; the others are in the table.
    """
    sent = {client.submit(grid.execute, run, settings, pure=False): run for run in runs}
    failed = {}
    for future in tqdm(as_completed(sent), total=len(sent), unit="run", desc=f"{settings.scale} grid"):
        if future.status == "finished":
            table.add(*future.result())
        else:
            failed[sent[future].name] = future.exception()
        future.release()
    _report(failed, len(runs))


def work_alone(runs: list[Run], settings: Settings, table: Table, many: PartialState | None = None) -> None:
    """Do one run after the other in this process; raises as `work` does.

    Parameters
    ----------
    many : PartialState, optional
        Of ``accelerate launch``: its processes share each fine-tuning. The rest is done by one, which keeps the rows.
    """
    first, failed = many is None or many.is_main_process, {}
    for run in tqdm(runs, unit="run", desc=f"{settings.scale} grid", disable=not first):
        if not first and run.mode != "fine-tuned":
            continue
        try:
            result = grid.execute(run, settings)
        except ValueError as error:  # of the run itself, so that all processes meet it
            failed[run.name] = error
            continue
        if first:
            table.add(*result)
    _report(failed, len(runs))


def _report(failed: dict[str, Exception], of: int) -> None:
    if failed:
        name, error = next(iter(failed.items()))
        raise RuntimeError(f"{len(failed)} of {of} runs failed, the first was {name}: {error}")


def estimate(runs: list[Run], settings: Settings, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the plan: model, mode, data set, number of runs, core minutes from like rows, or else from the size."""
    known = rows.groupby(["model", "mode", "dataset"]).seconds.median() if len(rows) else {}
    table = pd.DataFrame([astuple(run) for run in runs], columns=KEY)
    table["minutes"] = [known.get((run.model, run.mode, run.dataset), _guess(run, settings)) / 60 for run in runs]
    parts = table.groupby(["mode", "model", "dataset"], sort=False)
    return parts.agg(runs=("seed", "size"), minutes=("minutes", "sum"))


def _guess(run: Run, settings: Settings) -> float:
    """Seconds: 2 products a parameter and token, and 6 in training, as Kaplan et al. (2020) count them."""
    model, tokens = run.model.removesuffix("-random"), settings.lengths[run.dataset]
    if run.mode == "baseline":
        return 4.0
    product = 2 * tokens * MILLIONS.get(model, 85) * 1e6 / SPEED["cuda" if torch.cuda.is_available() else "cpu"]
    if run.mode == "frozen":  # its part of encoding, which the poolings share, then reading token states
        passes = ROUNDS if run.pooling in ("weighted_sum", "attention") else 1
        encoding = product * (run.labels + (settings.validation + settings.test) / settings.seeds)
        reading = 2 * (passes * run.labels + settings.test) * tokens * DIM.get(model, 768) / READING
        return 2 + encoding / len(settings.poolings) + reading
    return product * (3 * run.labels * settings.epochs + 2 * settings.epochs * settings.validation + settings.test)


@contextmanager
def _cluster(address: str | None, processes: int) -> Iterator[Client]:
    if address:
        with Client(address) as client:
            yield client
    else:
        # One thread a worker: two runs in one process would share their random numbers.
        settings = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": None}
        # Dask has its workers give freed memory back at once. Fetching it again took a quarter of each training step.
        keep_memory = dask.config.set({"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None})
        with keep_memory, LocalCluster(n_workers=processes, **settings) as here, Client(here) as client:
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
    parser.add_argument("--resume", action="store_true", help="what happens anyway: what is done is skipped")
    parser.add_argument("--processes", type=int, default=1 if torch.cuda.is_available() else course.cores())
    parser.add_argument("--cluster", metavar="ADDRESS", help="of a dask.distributed scheduler")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the table")
    chosen = parser.parse_args(arguments)
    if chosen.processes < 1:  # the runs would wait for a worker for ever
        parser.error(f"--processes is {chosen.processes}: give 1 or more.")
    try:
        chosen.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--out {chosen.out} cannot be a folder ({error.strerror}): give another --out.")
    many = None
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:  # set by `accelerate launch`; the first process encodes for hours
        many = PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(days=2))
    lock = FileLock(chosen.out / f".grid_{chosen.scale}.lock", timeout=0)
    try:
        with lock if not (chosen.dry_run or many) else nullcontext():
            _run(chosen, many)
    except Timeout:
        parser.error(f"Another process is writing grid_{chosen.scale}: wait for it, or give another --out.")
    except (ValueError, OSError, MemoryError, ModuleNotFoundError) as error:  # a full disk is an OSError
        parser.error(str(error))


def _run(chosen: argparse.Namespace, many: PartialState | None) -> None:
    settings, table = grid.SCALES[chosen.scale], Table(chosen.scale, chosen.out)
    runs = missing(settings, table, _only(chosen.only))
    if chosen.dry_run:
        parts = estimate(runs, settings, table.rows)
        print(parts.round(1).to_string() if runs else "Everything is done.")
        print(f"{len(runs)} runs, about {parts.minutes.sum():.0f} minutes of one core (or one GPU)")
        return
    if many:
        many.wait_for_everyone()  # all have read the table before one of them writes
    if not chosen.cluster:  # the workers of a cluster have caches of their own
        with many.local_main_process_first() if many else nullcontext():
            for model, dataset in dict.fromkeys((run.model, run.dataset) for run in runs if run.mode == "frozen"):
                grid.encode_all(model, dataset, settings)
    if many or (chosen.processes == 1 and not chosen.cluster):
        return work_alone(runs, settings, table, many)
    with _cluster(chosen.cluster, chosen.processes) as client:
        work(runs, settings, table, client)


if __name__ == "__main__":
    main()
