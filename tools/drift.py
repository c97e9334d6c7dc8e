"""Drift watch: does a slice of the grid still come out as it was recorded, with today's packages on this machine?

    python -m tools.drift          # about five minutes; ends with 1 only if a difference is too large to be chance
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

POOLINGS = ("mean", "max")  # frozen, on both models of the pair and both data sets, with the most labels


def slice_of(settings: grid.Settings) -> list[grid.Run]:
    """Return the runs that are made again: all seeds of the frozen cells."""
    return [
        run for run in grid.plan(settings)
        if run.mode == "frozen" and run.model in settings.pair and run.pooling in POOLINGS
        and run.labels == max(settings.labels[run.dataset])
    ]  # fmt: skip


def judge(recorded: np.ndarray, again: np.ndarray, cells: int) -> dict[str, object]:
    """Return whether the mean over the seeds lies where the recorded seeds say that it should.

    Parameters
    ----------
    recorded, again : ndarray, shape [seeds]
        Accuracy of each seed, then and now.
    cells : int
        Cells that are judged together (Bonferroni).

    Returns
    -------
    dict
        recorded, low and high (mean and its 95% t interval), again, inside, chance: could the difference be chance?
    """
    mean, error, freedom = recorded.mean(), recorded.std(ddof=1) / len(recorded) ** 0.5, len(recorded) - 1
    reach, far = (stats.t.ppf(1 - level / 2, freedom) * error for level in (ALPHA, ALPHA / cells))
    moved = abs(again.mean() - mean)
    return {"recorded": mean, "low": mean - reach, "high": mean + reach, "again": again.mean(),
            "inside": bool(moved <= reach), "chance": bool(moved <= far)}  # fmt: skip


def watch(table: records.Table, settings: grid.Settings) -> pd.DataFrame:
    """Run the slice again and return one row a cell: as `judge`, and the share of texts that are decided differently.

    Raises
    ------
    NotRun
        The slice is not in the table.
    """
    again: dict[tuple, list] = {}
    runs = slice_of(settings)
    for run in runs:  # before anything long is run
        table.select(**dict(zip(records.KEY, astuple(run), strict=True)))
    for run in tqdm(runs, unit="run", desc="the slice again"):
        again.setdefault(astuple(run)[:-1], []).append(expit(grid.execute(run, settings)[1].astype(float)))
    rows = {}
    for cell, found in again.items():
        then = table.probabilities(**dict(zip(records.KEY, cell, strict=False)))
        labels, now = table.labels(cell[3]), np.stack(found)
        accuracies = (evaluation.correctness(labels, part).mean(axis=1) for part in (then, now))
        changed = ((then > 0.5) != (now > 0.5)).mean()
        rows["/".join(map(str, cell))] = judge(*accuracies, len(again)) | {"decided differently": changed}
    return pd.DataFrame.from_dict(rows, orient="index")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=grid.SCALES, default="laptop")
    scale = parser.parse_args(arguments).scale
    table = records.Table(scale)
    found = watch(table, grid.SCALES[scale])
    now = records.provenance("")
    print(f"now:      {now['versions']}; {now['hardware']}; commit {now['commit']}")
    for told in sorted(set(zip(table.rows.versions, table.rows.hardware, table.rows.commit, strict=True))):
        print("recorded: {}; {}; commit {}".format(*told))
    print(found.round(4).to_string())
    outside = found.index[~found.chance.astype(bool)]
    if len(outside):
        sys.exit(f"Too far from the recorded seeds to be chance: {', '.join(outside)}.")
    print("Nothing here is more than chance.")


if __name__ == "__main__":
    main()
