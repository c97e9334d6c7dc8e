"""Tests and rules by which the claims of chapter 9 are judged, written before its runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm

from helpers import contrasts, evidence_studies, grid, studies
from helpers.contrasts import Contrast
from helpers.evaluation import Interval
from helpers.grid import SCALES, Settings
from helpers.records import NotRun, Rows, Table
from helpers.rules import PAPER, REFUTED, Verdict, settings_of
from helpers.study import common, every
from helpers.study_rules import all_point

RULES = 2  # in this module
SIZES = "sizes"  # the scale whose table holds the smaller models
DATASET, MODE = "rotten_tomatoes", "fine-tuned"


def longer(scale: str, folder: Path) -> Verdict:
    """C8: how much of its accuracy each pooling loses when the text becomes twice as long, mean of the pair."""
    settings, table = settings_of(scale), studies.table("evidence", scale, folder)
    slopes = {pool: slope(table, settings, pool) for pool in ("attention", "mean", "max")}
    words = common("evidence", table, "words")
    found = {f"attention − {pool}, slope by doubling": contrasts.over_groups(slopes["attention"] - slopes[pool], words)
             for pool in ("mean", "max")}  # fmt: skip
    verdict = all_point(found, [len(np.unique(words))] * 2, "attention loses more", "share", RULES)
    longest = {pool: right(table, settings, pool, evidence_studies.LENGTHS[-1]).mean() for pool in slopes}
    if verdict.verdict.startswith(REFUTED) and longest["attention"] > min(longest["mean"], longest["max"]):
        # What is at chance already cannot lose any more.
        return replace(verdict, verdict="depends: attention falls faster, but from above, and ends above")
    return verdict


def slope(table: Rows, settings: Settings, pool: str) -> np.ndarray:
    """Return the least-squares slope of being right over log2 of the length, for each text, ``[s, n]``."""
    doublings = np.log2(evidence_studies.LENGTHS)
    weights = (doublings - doublings.mean()) / ((doublings - doublings.mean()) ** 2).sum()
    return sum(weight * right(table, settings, pool, tokens)
               for weight, tokens in zip(weights, evidence_studies.LENGTHS, strict=True))  # fmt: skip


def right(table: Rows, settings: Settings, pool: str, tokens: int) -> np.ndarray:
    """Return the share of the pair of models that is right on each text of one length, ``[s, n]``."""
    found = []
    for model in settings.pair:
        runs = [run for run in studies.STUDIES["evidence"].runs(settings)
                if (run.model, run.pooling, run.tokens) == (model, pool, tokens)]  # fmt: skip
        found.append(every("evidence", table, runs, "right"))
    return np.mean(found, axis=0, dtype=float)


def larger(scale: str, folder: Path) -> Verdict:
    """C10: does the spread of the paper's poolings grow with the model? Models are the sample: so there are few.

    What the luck of the seeds adds to a spread is taken off first, else noisier models would seem to care more.
    """
    if scale != "laptop":
        raise NotRun(f"{scale} has one size of each model.")
    found = spreads(folder)
    if missing := [model for model in _sizes() if model not in found.index]:
        raise NotRun(f"grid: some runs of {', '.join(missing)} are missing, or of different configurations.")
    return all_point({f"spread by doubling of the parameters, {len(found)} models": over_sizes(found)}, [len(found)],
                     "it shrinks", "share", RULES)  # fmt: skip


def _sizes() -> dict[str, str]:
    """The models of the comparison, and the scale whose table holds each."""
    return dict.fromkeys(SCALES["laptop"].pair, "laptop") | dict.fromkeys(SCALES[SIZES].rates, SIZES)


def over_sizes(found: pd.DataFrame) -> Contrast:
    """Return the slope of the spread over log2 of the parameters, with a level of its own for each family."""
    design = pd.DataFrame({"doublings": np.log2(found.parameters.to_numpy(float))}, found.index)
    design = design.join(pd.get_dummies(found.family, dtype=float))
    fitted = sm.OLS(np.sqrt(np.maximum(0, found.spread**2 - found.seeds**2)), design).fit()
    low, high = fitted.conf_int().loc["doublings"]
    effect = Interval(float(fitted.params.doublings), float(low), float(high))
    return Contrast(effect, float(fitted.pvalues.doublings), float(fitted.bse.doublings), float(fitted.df_resid))


def spreads(folder: Path) -> pd.DataFrame:
    """Return the spread of the paper's poolings for each model of the pair, in all sizes whose runs are complete.

    Returns
    -------
    DataFrame
        Index model; columns family, parameters, spread (standard deviation over the poolings of their mean accuracy
        over the seeds), seeds (the spread that the luck of the seeds alone would give).
    """
    rows, tables = {}, {scale: Table(scale, folder) for scale in ("laptop", SIZES)}
    for model, scale in _sizes().items():
        accuracies = _accuracies(tables[scale], model, SCALES[scale])  # [poolings, s]
        if accuracies is None:
            continue
        rows[model] = {
            "family": "gpt2" if "gpt2" in model else "bert",
            "parameters": grid.encoder_of(model).model.num_parameters(),
            "spread": float(accuracies.mean(axis=1).std(ddof=1)),
            "seeds": float(np.sqrt(accuracies.var(axis=1, ddof=1).mean() / accuracies.shape[1])),
        }  # fmt: skip
    return pd.DataFrame(rows, ["family", "parameters", "spread", "seeds"]).T.infer_objects()


def _accuracies(table: Table, model: str, settings: Settings) -> np.ndarray | None:
    """The accuracies under the paper's poolings, ``[poolings, s]``; None unless all are there and were made alike."""
    cell = {"model": model, "mode": MODE, "dataset": DATASET, "labels": max(settings.labels[DATASET])}
    found = table.rows[(table.rows[list(cell)] == list(cell.values())).all(axis=1) & table.rows.pooling.isin(PAPER)]
    if not len(found):
        return None
    alike = found[["configuration", "precision", "answers"]].drop_duplicates()
    board = found.pivot(index="pooling", columns="seed", values="accuracy").reindex(PAPER)
    complete = board.columns.tolist() == list(range(settings.seeds)) and not board.isna().any(axis=None)
    return board.to_numpy(float) if complete and len(alike) == 1 else None
