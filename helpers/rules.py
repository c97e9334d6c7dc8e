"""Tests and rules by which claims are judged on the grid, written before it was run.

Every rule tests its contrasts over texts *and* seeds (`contrasts`), corrects their p values together (Holm), and then
for the number of rules (Bonferroni): at most one grid in twenty without any effect gets a verdict that claims one.
"""

from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pandas as pd
from scipy import stats

from helpers import contrasts, evaluation
from helpers.contrasts import Contrast
from helpers.evaluation import ALPHA, Interval
from helpers.grid import SCALES
from helpers.records import NotRun, Table

PAPER = ("max", "mean", "weighted_sum")  # the poolings that the paper compares
PAIRS = tuple(combinations(PAPER, 2))
RULES = 5  # in this module
MARGIN = 0.02  # of accuracy: two methods this close are as good as each other
FEWEST_CELLS = 8  # with fewer, no pattern of sign flips is rare enough
AVERAGE, CHANGE, FIRST, SECOND = (0.5, 0.5), (1, -1), (1, 0), (0, 1)  # weights of two models, or of two data sets
SUPPORTED, REFUTED, NO_DIFFERENCE = "supported", "refuted", "no detectable difference"
EQUAL = f"{REFUTED}: all differences are within {100 * MARGIN:.0f} points"

Weights = tuple[float, float]
Gaps = dict[tuple[str, str], Contrast]


@dataclass(frozen=True)
class Results:
    """What the runs of one scale predicted.

    Attributes
    ----------
    labels : dict
        Data set -> ``[n]``.
    predictions : dict
        (model, mode, data set) -> pooling -> probabilities ``[seeds, n]``.
    pair : tuple of str
        The BERT and the GPT-2 of this scale.
    data : tuple of str
        The two data sets: whole reviews and single sentences.
    """

    labels: dict[str, np.ndarray]
    predictions: dict[tuple[str, str, str], dict[str, np.ndarray]]
    pair: tuple[str, str]
    data: tuple[str, str]

    def effect(self, a: str, b: str, of_models: Weights, of_data: Weights) -> Contrast:
        """Return how much more accurate pooling a is than pooling b, fine-tuned, summed with these weights.

        Parameters
        ----------
        of_models : tuple of float
            Weights of the BERT and the GPT-2: ``(0.5, 0.5)`` is their average, ``(1, -1)`` what changes from the one to
            the other.
        of_data : tuple of float
            Weights of the data sets, in the same way.
        """
        models, sets = dict(zip(self.pair, of_models, strict=True)), dict(zip(self.data, of_data, strict=True))
        parts = {}
        for dataset in filter(sets.get, sets):  # what has no weight need not have been run
            runs = [self._fine_tuned(model, dataset)[pool] for model in filter(models.get, models) for pool in (a, b)]
            weights = [sign * weight for weight in filter(None, of_models) for sign in (1, -1)]
            parts[dataset] = contrasts.contrast(self.labels[dataset], runs, weights)
        return contrasts.combined(list(parts.values()), [sets[dataset] for dataset in parts])

    def _fine_tuned(self, model: str, dataset: str) -> dict[str, np.ndarray]:
        if (model, "fine-tuned", dataset) not in self.predictions:
            raise NotRun(f"Fine-tuned {model} on {dataset}: some of its runs are missing.")
        return self.predictions[model, "fine-tuned", dataset]


def read(table: Table, scale: str) -> Results:
    """Return the cells of a scale whose runs are complete, with the paper's poolings and the most labels."""
    settings, labels, found = SCALES[scale], {}, {}
    if not settings.pair:
        raise NotRun(f"{scale} compares no pair of models: it decides no claim.")
    for model, mode, dataset in product(settings.rates, ("frozen", "fine-tuned"), settings.labels):
        cell = {"model": model, "mode": mode, "dataset": dataset, "labels": max(settings.labels[dataset])}
        try:
            runs = table.predictions(list(PAPER), **cell)
        except NotRun:
            continue
        if all(len(part) == settings.seeds for part in runs.values()):
            found[model, mode, dataset], labels[dataset] = runs, table.labels(dataset)
    return Results(labels, found, settings.pair, tuple(settings.labels))


@dataclass(frozen=True)
class Verdict:
    """What a rule says.

    Attributes
    ----------
    verdict : str
        "supported", "no detectable difference", "refuted: …" or "depends: …".
    evidence : DataFrame
        One row a test: test (what was compared), effect (`Interval`), p (corrected), detectable (with 80% power at the
        strictest level of the correction), n (texts, or cells of the grid). A rule about changes adds the two ends.
    unit : str
        Of effects: "share" (of the texts) or "ratio".
    """

    verdict: str
    evidence: pd.DataFrame
    unit: str = "share"

    @property
    def strongest(self) -> pd.Series:
        """The row of the evidence with the smallest p."""
        return self.evidence.loc[self.evidence.p.idxmin()]


def poolings_differ(results: Results) -> Verdict:
    """The gap of each two of the paper's poolings, on average over the pair of models and the data sets."""
    gaps = {pair: results.effect(*pair, AVERAGE, AVERAGE) for pair in PAIRS}
    evidence = _evidence(gaps, results)
    return Verdict(SUPPORTED if (evidence.p < ALPHA).any() else _no_effect(gaps), evidence)


def best_depends_on_model(results: Results) -> Verdict:
    """The same gaps on the BERT minus those on the GPT-2, on average over the data sets."""
    ends = zip(results.pair, (FIRST, SECOND), strict=True)
    gaps = {model: {pair: results.effect(*pair, weights, AVERAGE) for pair in PAIRS} for model, weights in ends}
    return _turning({pair: results.effect(*pair, CHANGE, AVERAGE) for pair in PAIRS}, gaps, results)


def best_depends_on_data(results: Results) -> Verdict:
    """The same gaps on the first data set minus those on the second, on average over the pair of models."""
    ends = zip(results.data, (FIRST, SECOND), strict=True)
    gaps = {dataset: {pair: results.effect(*pair, AVERAGE, weights) for pair in PAIRS} for dataset, weights in ends}
    return _turning({pair: results.effect(*pair, AVERAGE, CHANGE) for pair in PAIRS}, gaps, results)


def max_is_best(results: Results) -> Verdict:
    """Max against the others of the paper's poolings, on the BERT, on average over the data sets."""
    gaps = {("max", other): results.effect("max", other, FIRST, AVERAGE) for other in PAPER if other != "max"}
    evidence = _evidence(gaps, results)
    sure, ahead = evidence.p < ALPHA, np.array([one.effect.value > 0 for one in gaps.values()])
    if (sure & ahead).all():
        verdict = SUPPORTED
    elif (sure & ~ahead).any():
        verdict = f"{REFUTED}: max is beaten"
    else:
        verdict = _no_effect(gaps)
    return Verdict(verdict, evidence)


def less_consistent(results: Results) -> Verdict:
    """The spread over seeds of the weighted sum by that of the mean, on all cells together.

    The mean logarithm of the ratio is tested by sign flips over the cells: with equal spreads each ratio could as well
    be its inverse. One cell of five seeds could never decide.
    """
    cells = spreads(results)
    if len(cells) < FEWEST_CELLS:
        raise NotRun(f"{len(cells)} cells of the grid are complete: the sign flips need {FEWEST_CELLS}.")
    if still := [cell for cell, row in cells.iterrows() if row.min() == 0]:
        raise ValueError(f"All seeds of {', '.join(still)} have the same accuracy: a spread of zero has no ratio.")
    logs = np.log(cells.ratio.to_numpy())
    flips = stats.permutation_test((logs,), np.mean, permutation_type="samples", n_resamples=np.inf)
    p = min(1.0, RULES * flips.pvalue)
    freedom, error = len(logs) - 1, logs.std(ddof=1) / len(logs) ** 0.5
    reach = stats.t.ppf(1 - ALPHA / 2, freedom) * error
    effect = Interval(*np.exp([logs.mean(), logs.mean() - reach, logs.mean() + reach]).tolist())
    detectable = float(np.exp(Contrast(effect, p, error, freedom).detectable(ALPHA / RULES)))
    what = "spread of the weighted sum over that of the mean (ratio)"
    evidence = pd.DataFrame([{"test": what, "effect": effect, "p": p, "detectable": detectable, "n": len(logs)}])
    verdict = NO_DIFFERENCE if p >= ALPHA else SUPPORTED if logs.mean() > 0 else f"{REFUTED}: it varies less"
    return Verdict(verdict, evidence, "ratio")


def spreads(results: Results) -> pd.DataFrame:
    """Return, for each cell of the grid, the standard deviation of the accuracy over the seeds, and their ratio."""
    rows = {}
    for (model, mode, dataset), runs in results.predictions.items():
        right = [evaluation.correctness(results.labels[dataset], runs[pool]) for pool in ("weighted_sum", "mean")]
        rows[f"{model}, {mode}, {dataset}"] = [part.mean(axis=1).std(ddof=1) for part in right]
    cells = pd.DataFrame.from_dict(rows, orient="index", columns=["weighted_sum", "mean"]).rename_axis("cell")
    return cells.assign(ratio=cells.weighted_sum / cells["mean"])


# What the rules share


def corrected(p: list[float]) -> np.ndarray:
    """Return the p values of one rule's tests, corrected together and for the number of rules."""
    return np.minimum(1, RULES * evaluation.holm(np.array(p)))


def _evidence(found: Gaps, results: Results) -> pd.DataFrame:
    level = ALPHA / RULES / len(found)  # of the strictest step of the correction
    return pd.DataFrame({
        "test": [f"{a} − {b}" for a, b in found], "effect": [one.effect for one in found.values()],
        "p": corrected([one.p for one in found.values()]),
        "detectable": [one.detectable(level) for one in found.values()], "n": sum(map(len, results.labels.values())),
    })  # fmt: skip


def _turning(changes: Gaps, gaps: dict[str, Gaps], results: Results) -> Verdict:
    """Judge changes of gaps: for another *best* pooling a gap must turn round, and be shown at both ends."""
    evidence = _evidence(changes, results)
    first, second = ([one.effect.value for one in part.values()] for part in gaps.values())
    p = corrected([one.p for part in gaps.values() for one in part.values()]).reshape(2, -1)  # [2, tests]
    changed, turns = evidence.p < ALPHA, (p < ALPHA).all(axis=0) & (np.multiply(first, second) < 0)
    if (changed & turns).any():
        verdict = SUPPORTED
    elif changed.any():
        verdict = "depends: gaps change, but no order turns round"
    else:
        verdict = _no_effect(changes)
    ends = {end: [one.effect for one in part.values()] for end, part in gaps.items()}
    return Verdict(verdict, evidence.assign(**ends))


def _no_effect(found: Gaps) -> str:
    """No difference is shown. Is it shown that there is none worth having, or is it only not seen?"""
    alike = all(one.p_within(MARGIN) < ALPHA / RULES for one in found.values())  # all must hold: no more correction
    return EQUAL if alike else NO_DIFFERENCE
