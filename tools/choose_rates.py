"""Choose the encoder's learning rate for the grid's fine-tuning, by the loss on validation texts.

    python -m tools.choose_rates          # what is missing, then helpers/results/finetuning_rates.csv

Two poolings (mean and max), whole reviews, one draw of texts that the grid does not use. No test text is read.
"""

import argparse
import itertools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pandas as pd
import torch
from tqdm.auto import tqdm

from helpers import course, finetuning, grid, pooling
from helpers.cache import atomic
from helpers.records import RESULTS
from tools.mini_models import ALL, NAMES

TABLE = RESULTS / "finetuning_rates.csv"
SETTINGS = grid.SCALES["laptop"]
SEED = 100  # the grid draws with 0 to 4
RATES = {"mini-bert": (3e-5, 1e-4, 3e-4, 1e-3), "mini-gpt2": (3e-5, 1e-4, 3e-4, 1e-3), "minilm": (3e-5, 1e-4, 3e-4)}
RATES |= dict.fromkeys(ALL[len(NAMES) :], (3e-4, 1e-3, 3e-3))  # smaller ones bear higher rates
POOLINGS = ("mean", "max")


def configuration(model: str, pool: str, rate: float) -> str:
    """Return the hash of all that a loss follows from, but the pooling: other weights give another one."""
    return grid.configuration(run_of(model, pool), replace(SETTINGS, rates={model: rate}))


def run_of(model: str, pool: str) -> grid.Run:
    return grid.Run(model, pool, "fine-tuned", "imdb", max(SETTINGS.labels["imdb"]), SEED)


def lowest_loss(model: str, pool: str, rate: float) -> float:
    """Fine-tune once; return the lowest validation loss (nats a text), infinite where it is none."""
    torch.set_num_threads(1)
    run = run_of(model, pool)
    encoder, how = grid.encoder_of(model), (SEED, rate, SETTINGS.epochs, SETTINGS.lengths["imdb"])
    try:
        tuned = finetuning.fine_tune(encoder, pooling.make(pool, encoder.dim), *grid.labelled(run, SETTINGS), *how)
    except ValueError:
        return float("inf")
    return min(check["validation"] for check in tuned.history)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=course.cores(), help="runs at a time, one core each")
    chosen = parser.parse_args()
    rows = pd.read_csv(TABLE).to_dict("records") if TABLE.is_file() else []
    done = {(row["configuration"], row["pooling"]): row for row in rows}
    jobs = [(model, pool, rate) for model, rates in RATES.items() for rate, pool in itertools.product(rates, POOLINGS)]
    named = {job: (configuration(*job), job[1]) for job in jobs}
    rows = [done[name] for name in named.values() if name in done]  # older ones go
    jobs = [job for job in jobs if named[job] not in done]
    with ProcessPoolExecutor(chosen.processes, multiprocessing.get_context("spawn")) as workers:
        found = workers.map(lowest_loss, *zip(*jobs, strict=True)) if jobs else []
        for job, loss in zip(jobs, tqdm(found, total=len(jobs)), strict=True):
            row = dict(zip(("model", "pooling", "rate"), job, strict=True))
            rows.append(row | {"validation_loss": round(loss, 4), "configuration": named[job][0]})
            with atomic(TABLE) as temporary:
                pd.DataFrame(rows).to_csv(temporary, index=False, lineterminator="\n")
    best = pd.DataFrame(rows).groupby(["model", "rate"]).validation_loss.mean().groupby("model").idxmin()
    print("\n".join(f"{model}: {rate:g}" for model, rate in best))


if __name__ == "__main__":
    main()
