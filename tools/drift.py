"""Drift watch: does a slice of the grid still come out as it was recorded, with today's packages on this machine?

    python -m tools.drift          # ends with 1 only if a difference is too large to be chance
"""

import argparse
import sys
from dataclasses import astuple

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit
from tqdm.auto import tqdm

from helpers import evaluation, grid, records
from helpers.evaluation import ALPHA

TOLERANCE = 0.005  # of accuracy: other libraries and processors round otherwise, and move a text here and there
POOLINGS = ("mean", "max")  # frozen, on both models of the pair and both data sets, with the most labels


def slice_of(settings: grid.Settings) -> list[grid.Run]:
    """Return the runs that are made again: all seeds of the frozen cells."""
    return [
        run for run in grid.plan(settings)
        if run.mode == "frozen" and run.model in settings.pair and run.pooling in POOLINGS
        and run.labels == max(settings.labels[run.dataset])
    ]  # fmt: skip


def judge(recorded: np.ndarray, again: np.ndarray, cells: int) -> dict[str, object]:
    """Judge one cell: the same seeds, then and now, in pairs.

    The same seed is the same run, so chance is only how sums are rounded, and that moves as many texts to right as to
    wrong. So each seed has a sign test over the texts that moved.

    Parameters
    ----------
    recorded, again : ndarray of bool, shape [seeds, n]
        Which texts each seed had right, then and now.
    cells : int
        Cells that are judged together (Bonferroni, with their seeds).

    Returns
    -------
    dict
        recorded, low and high (mean accuracy over the seeds and its 95% t interval), again, inside (does the new mean
        lie in it?), p (the smallest of the seeds, corrected), drift: is a seed's test significant, and its accuracy
        more than `TOLERANCE` away?
    """
    then, now = recorded.mean(axis=1), again.mean(axis=1)  # [seeds, n] -> [seeds]
    reach = stats.t.ppf(1 - ALPHA / 2, len(then) - 1) * then.std(ddof=1) / len(then) ** 0.5
    lost, won = (recorded & ~again).sum(axis=1), (~recorded & again).sum(axis=1)
    p = np.array([stats.binomtest(down, down + up).pvalue if down + up else 1.0
                  for down, up in zip(lost.tolist(), won.tolist(), strict=True)])  # fmt: skip
    p = np.minimum(1, p * cells * len(p))
    return {"recorded": then.mean(), "low": then.mean() - reach, "high": then.mean() + reach, "again": now.mean(),
            "inside": bool(abs(now.mean() - then.mean()) <= reach), "p": p.min(),
            "drift": bool(((p < ALPHA) & (np.abs(now - then) > TOLERANCE)).any())}  # fmt: skip


def watch(table: records.Table, settings: grid.Settings) -> pd.DataFrame:
    """Run the slice again and return one row a cell: as `judge`, and the share of texts that are decided differently.

    Raises
    ------
    NotRun
        The slice is not in the table, or was made by another protocol, other weights or other texts.
    """
    again: dict[tuple, list] = {}
    runs = slice_of(settings)
    if not runs:
        raise records.NotRun("This scale compares no pair of models: there is no slice to run again.")
    for run in runs:  # before anything long is run
        if table.configuration(*astuple(run)) != grid.configuration(run, settings):
            raise records.NotRun(f"{run.name} is not on file as it would be run today: run the grid first.")
    for run in tqdm(runs, unit="run", desc="the slice again"):
        again.setdefault(astuple(run)[:-1], []).append(expit(grid.execute(run, settings)[1].astype(float)))
    rows = {}
    for cell, found in again.items():
        key = dict(zip(records.KEY, cell, strict=False))
        then, labels, now = table.probabilities(**key)[: settings.seeds], table.labels(**key), np.stack(found)
        right = [evaluation.correctness(labels, part) == 1 for part in (then, now)]
        changed = ((then > 0.5) != (now > 0.5)).mean()
        rows["/".join(map(str, cell))] = judge(*right, len(again)) | {"decided differently": changed}
    return pd.DataFrame.from_dict(rows, orient="index")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=grid.SCALES, default="laptop")
    scale = parser.parse_args(arguments).scale
    settings, table = grid.SCALES[scale], records.Table(scale)
    found = watch(table, settings)
    now = records.provenance("", grid.precision(slice_of(settings)[0]))
    told = ["versions", "hardware", "precision", "commit"]
    print("now:      " + "; ".join(now[column] for column in told))
    for row in table.select(mode="frozen")[told].drop_duplicates().itertuples(index=False):
        print("recorded: " + "; ".join(map(str, row)))
    print(found.round(4).to_string())
    moved = found.index[found.drift.astype(bool)]
    if len(moved):
        sys.exit(f"Too much to be chance, and more than {100 * TOLERANCE} points: {', '.join(moved)}.")
    print(f"No cell has moved by more than chance and {100 * TOLERANCE} points.")


if __name__ == "__main__":
    main()
