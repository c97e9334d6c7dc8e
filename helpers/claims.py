"""Claims about poolings: the tests and the rules by which they are judged, decided before the grid was run.

Everywhere ``labels`` is data set -> ``[n]``, and predictions are data set -> pooling -> probabilities ``[seeds, n]``.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from helpers import evaluation
from helpers.evaluation import ALPHA, Interval

PAPER = ("max", "mean", "weighted_sum")  # the poolings that the paper compares
NO_DIFFERENCE = "no detectable difference"

Labels = dict[str, np.ndarray]
Predictions = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Verdict:
    """What a test says of a claim.

    Attributes
    ----------
    verdict : str
        "supported", "refuted", "no detectable difference", or "depends: …".
    evidence : DataFrame
        One row a test.
    """

    claim: str
    verdict: str
    evidence: pd.DataFrame

    def __str__(self) -> str:
        return f"**{self.claim}**: {self.verdict}."


def poolings_differ(labels: Labels, predictions: Predictions) -> Verdict:
    """C1, first half: mean, max and weighted sum differ in accuracy.

    Each pair on each data set, exact McNemar tests, corrected together (Holm). Supported if any corrected p is below
    0.05.
    """
    pairs = [(data, a, b) for data in labels for a, b in combinations(PAPER, 2)]
    evidence = _compared(labels, predictions, pairs)
    shown = evidence[evidence.p_holm < ALPHA]
    return Verdict("C1, first half: the poolings differ", "supported" if len(shown) else NO_DIFFERENCE, evidence)


def max_is_best(labels: Labels, predictions: Predictions) -> Verdict:
    """C2: max does best of the paper's poolings.

    Max against each other one on each data set, corrected together. Supported if max beats both on every data set;
    refuted if it is beaten by one on some data set and beats both on none; depends if it is best on some.
    """
    others = [pool for pool in PAPER if pool != "max"]
    evidence = _compared(labels, predictions, [(data, "max", other) for data in labels for other in others])
    sure = evidence.p_holm < ALPHA
    best = (sure & (evidence.difference > 0)).groupby(evidence.data, sort=False).all()
    beaten = (sure & (evidence.difference < 0)).groupby(evidence.data, sort=False).any()
    verdict = NO_DIFFERENCE
    if best.all():
        verdict = "supported"
    elif best.any():
        verdict = f"depends: max is best on {', '.join(best.index[best])} only"
    elif beaten.any():
        verdict = "refuted"
    return Verdict("C2: max does best", verdict, evidence)


def less_consistent(accuracies: dict[str, tuple[np.ndarray, np.ndarray]]) -> Verdict:
    """C2: the weighted sum varies more over the seeds than the mean.

    For each cell (a model on a data set) the logarithm of the ratio of the two standard deviations. Their mean is
    tested by sign flips over the cells: with equal spreads each ratio could as well be its inverse. Supported if p is
    below 0.05 and the ratio is above 1, refuted if it is below 1. One cell of five seeds could never decide.

    Parameters
    ----------
    accuracies : dict
        Cell -> accuracy of each seed of the weighted sum, and of the mean.

    Raises
    ------
    ValueError
        All seeds of a cell have the same accuracy: such a spread has no ratio.
    """
    spreads = {cell: [part.std(ddof=1) for part in parts] for cell, parts in accuracies.items()}
    if still := [cell for cell, both in spreads.items() if min(both) == 0]:
        raise ValueError(f"All seeds of {', '.join(still)} have the same accuracy: a spread of zero has no ratio.")
    evidence = pd.DataFrame.from_dict(spreads, orient="index", columns=["weighted_sum", "mean"]).rename_axis("cell")
    logs = np.log(evidence.weighted_sum / evidence["mean"])
    evidence["ratio"] = np.exp(logs)
    p = stats.permutation_test((logs.to_numpy(),), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    verdict = NO_DIFFERENCE if p >= ALPHA else "supported" if logs.mean() > 0 else "refuted"
    reach = stats.t.ppf(1 - ALPHA / 2, len(logs) - 1) * logs.std(ddof=1) / len(logs) ** 0.5
    ratio = Interval(*np.exp([logs.mean(), logs.mean() - reach, logs.mean() + reach]).tolist())
    claim = f"C2: the weighted sum is less consistent (ratio of spreads {ratio}, p {p:.2g})"
    return Verdict(claim, verdict, evidence)


def best_depends_on_model(labels: Labels, here: Predictions, there: Predictions) -> Verdict:
    """C1, second half: which pooling is best depends on the architecture.

    For each pair and data set the difference of differences (`evaluation.interaction`), corrected together, beside the
    gap on either model (exact McNemar, corrected together). Supported if a gap differs and *turns round*: it is shown
    on both models, with opposite signs. If gaps differ but none turns round, the claim is too strong: depends.
    """
    pairs = [(data, a, b) for data in labels for a, b in combinations(PAPER, 2)]
    evidence = gaps_on_two_models(labels, here, there, pairs)
    differs = evidence.p_holm < ALPHA
    verdict = NO_DIFFERENCE
    if (differs & evidence.turns_round).any():
        verdict = "supported"
    elif differs.any():
        verdict = "depends: gaps differ, but no order turns round"
    return Verdict("C1: which pooling is best depends on the architecture", verdict, evidence)


def gaps_on_two_models(
    labels: Labels, here: Predictions, there: Predictions, pairs: list[tuple[str, str, str]]
) -> pd.DataFrame:
    """Return, for each (data set, pooling a, pooling b), the gap a − b on both models and their difference.

    Returns
    -------
    DataFrame
        Columns data, pair, here, there, interaction (each an `Interval`), p_holm (of the interaction), detectable,
        turns_round.
    """
    found = [
        evaluation.interaction(labels[data], here[data][a], here[data][b], there[data][a], there[data][b])
        for data, a, b in pairs
    ]
    own, other = (_compared(labels, part, pairs) for part in (here, there))
    corrected = evaluation.holm(np.concatenate([own.p, other.p])).reshape(2, -1)  # [2 * pairs] -> [2, pairs]
    return pd.DataFrame({
        "data": own.data, "pair": own.pair, "here": own.effect, "there": other.effect,
        "interaction": [one.effect for one in found], "p_holm": evaluation.holm(np.array([one.p for one in found])),
        "detectable": [one.detectable for one in found],
        "turns_round": (corrected < ALPHA).all(axis=0) & (own.difference * other.difference < 0),
    })  # fmt: skip


def _compared(labels: Labels, predictions: Predictions, pairs: list[tuple[str, str, str]]) -> pd.DataFrame:
    """One row a pair: data, pair, effect, difference, p, p_holm, detectable."""
    found = [evaluation.compare(labels[data], predictions[data][a], predictions[data][b]) for data, a, b in pairs]
    p = np.array([one.p for one in found])
    return pd.DataFrame({
        "data": [data for data, *_ in pairs], "pair": [f"{a} − {b}" for _, a, b in pairs],
        "effect": [one.effect for one in found], "difference": [one.effect.value for one in found],
        "p": p, "p_holm": evaluation.holm(p), "detectable": [one.detectable for one in found],
    })  # fmt: skip
