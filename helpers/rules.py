"""Tests and rules by which claims are judged on the grid, written before it was run.

Every rule tests its contrasts over texts *and* seeds (`contrasts`), corrects their p values together (Holm), and then
for the number of rules (Bonferroni): where the luck of the runs is independent and not skewed, at most one grid in
twenty without any effect gets a verdict that claims one.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pandas as pd

from helpers import contrasts, evaluation
from helpers.contrasts import Contrast
from helpers.evaluation import ALPHA, Interval
from helpers.grid import SCALES, Settings
from helpers.records import NotRun, Table

PAPER = ("max", "mean", "weighted_sum")  # the poolings that the paper compares
PAIRS = tuple(combinations(PAPER, 2))
RULES = 5  # in this module
MARGIN = 0.02  # of accuracy: two methods this close are as good as each other
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
    planned : tuple
        Every cell that this scale's grid has, as the keys of `predictions`.
    """

    labels: dict[str, np.ndarray]
    predictions: dict[tuple[str, str, str], dict[str, np.ndarray]]
    pair: tuple[str, str]
    data: tuple[str, str]
    planned: tuple[tuple[str, str, str], ...]

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
    """Return the cells of a scale that are complete, with the paper's poolings and the most labels.

    Complete means: every planned seed, all by one configuration and in one precision.
    """
    settings, labels, found = settings_of(scale), {}, {}
    planned = tuple(product(settings.rates, ("frozen", "fine-tuned"), settings.labels))
    for model, mode, dataset in planned:
        cell = {"model": model, "mode": mode, "dataset": dataset, "labels": max(settings.labels[dataset])}
        try:
            rows = table.select(**cell)
        except NotRun:
            continue
        rows = rows[rows.pooling.isin(PAPER) & (rows.seed < settings.seeds)]
        alike = rows[["configuration", "precision", "answers"]].drop_duplicates()
        if len(rows) == len(PAPER) * settings.seeds and len(alike) == 1:
            runs = table.predictions(list(PAPER), **cell)
            found[model, mode, dataset] = {pool: part[: settings.seeds] for pool, part in runs.items()}
            own = table.labels(**cell, pooling=PAPER[0])
            if not np.array_equal(labels.setdefault(dataset, own), own):
                raise ValueError(f"The models' rows are about other test texts of {dataset}: run the grid to its end.")
    return Results(labels, found, settings.pair, tuple(settings.labels), planned)


def settings_of(scale: str) -> Settings:
    """Return the settings of a scale that decides claims; another one raises NotRun."""
    if not SCALES[scale].pair:
        raise NotRun(f"{scale} compares no pair of models: it decides no claim.")
    return SCALES[scale]


@dataclass(frozen=True)
class Verdict:
    """What a rule says.

    Attributes
    ----------
    verdict : str
        "supported", "no detectable difference", "refuted: …" or "depends: …".
    evidence : DataFrame
        One row a test: test (what was compared), effect (`Interval`), p (corrected), p_equal (corrected: that the
        difference is not within 2 points), detectable (with 80% power at the strictest level of the correction), n
        (texts, or cells of the grid). A rule about changes adds the two ends.
    deciding : int
        The row that the verdict rests on.
    unit : str
        Of effects: "share" (of the texts), "ratio", "part" (of what there is to lose) or "spread" (of ordinary scores).
    """

    verdict: str
    evidence: pd.DataFrame
    deciding: int
    unit: str = "share"


def poolings_differ(results: Results) -> Verdict:
    """The gap of each two of the paper's poolings, on average over the pair of models and the data sets."""
    evidence = _evidence({pair: results.effect(*pair, AVERAGE, AVERAGE) for pair in PAIRS}, results)
    if (evidence.p < ALPHA).any():
        return Verdict(SUPPORTED, evidence, evidence.p.idxmin())
    return _no_effect(evidence)


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
    if (sure & ~ahead).any():
        return Verdict(f"{REFUTED}: max is beaten", evidence, evidence.p[~ahead].idxmin())
    if sure.all():
        return Verdict(SUPPORTED, evidence, evidence.p.idxmax())  # it takes both, so the weaker one decides
    if sure.any():
        better, other = (evidence.test[one].split(" − ")[1] for one in (evidence.p.idxmin(), evidence.p.idxmax()))
        return Verdict(f"depends: max beats {better}, not shown for {other}", evidence, evidence.p.idxmax())
    return _no_effect(evidence)


def less_consistent(results: Results) -> Verdict:
    """The spread over seeds of the weighted sum against that of the mean, on all cells together.

    See `contrasts.spread`; a contrast c of two spreads is their ratio (1 + c) / (1 - c).
    """
    if missing := [", ".join(cell) for cell in results.planned if cell not in results.predictions]:
        raise NotRun(f"{len(missing)} of {len(results.planned)} cells are not complete, the first is {missing[0]}.")
    found = contrasts.spread(*_accuracies(results), [dataset for *_, dataset in results.planned])
    p = min(1.0, RULES * found.p)
    ends = (found.effect.value, found.effect.low, found.effect.high, found.detectable(ALPHA / RULES))
    value, low, high, detectable = ((1 + end) / (1 - end) for end in np.clip(ends, -0.999, 0.999).tolist())
    evidence = pd.DataFrame([{
        "test": "spread of the weighted sum over that of the mean (ratio)", "effect": Interval(value, low, high),
        "p": p, "detectable": detectable, "n": len(results.planned),
    }])  # fmt: skip
    verdict = NO_DIFFERENCE if p >= ALPHA else SUPPORTED if value > 1 else f"{REFUTED}: it varies less"
    return Verdict(verdict, evidence, 0, "ratio")


def spreads(results: Results) -> pd.DataFrame:
    """Return, for each cell of the grid, the standard deviation of the accuracy over the seeds, and their ratio."""
    sds = (part.std(axis=1, ddof=1) for part in _accuracies(results))
    names = pd.Index([", ".join(cell) for cell in results.planned], name="cell")
    cells = pd.DataFrame(dict(zip(("weighted_sum", "mean"), sds, strict=True)), names)
    return cells.assign(ratio=cells.weighted_sum / cells["mean"])


def _accuracies(results: Results) -> list[np.ndarray]:
    """Accuracy of the weighted sum and of the mean, ``[cells, seeds]`` each."""
    cells = [(results.labels[cell[-1]], results.predictions[cell]) for cell in results.planned]
    return [
        np.array([evaluation.correctness(labels, runs[pool]).mean(axis=1) for labels, runs in cells])
        for pool in ("weighted_sum", "mean")
    ]


JUDGES = (poolings_differ, best_depends_on_model, best_depends_on_data, max_is_best, less_consistent)


# What the rules share


def corrected(p: list[float]) -> np.ndarray:
    """Return the p values of one rule's tests, corrected together and for the number of rules."""
    return np.minimum(1, RULES * evaluation.holm(np.array(p)))


def _evidence(found: Gaps, results: Results) -> pd.DataFrame:
    level = ALPHA / RULES / len(found)  # of the strictest step of the correction
    return pd.DataFrame({
        "test": [f"{a} − {b}" for a, b in found], "effect": [one.effect for one in found.values()],
        "p": corrected([one.p for one in found.values()]),
        # Where all differences have to be small, each is tested at the full level.
        "p_equal": [min(1.0, RULES * one.p_within(MARGIN)) for one in found.values()],
        "detectable": [one.detectable(level) for one in found.values()], "n": sum(map(len, results.labels.values())),
    })  # fmt: skip


def _turning(changes: Gaps, gaps: dict[str, Gaps], results: Results) -> Verdict:
    """Judge changes of gaps. Another pooling is best if the gap of both ends' best ones turns round, shown at both."""
    evidence = _evidence(changes, results)
    p = corrected([one.p for part in gaps.values() for one in part.values()]).reshape(2, -1)  # [2, tests]
    evidence = evidence.assign(**{end: [one.effect for one in part.values()] for end, part in gaps.items()})
    best = {_best(part) for part in gaps.values()}
    for row, pair in enumerate(changes):
        if best == set(pair) and evidence.p[row] < ALPHA and (p[:, row] < ALPHA).all():
            return Verdict(SUPPORTED, evidence, row)
    if (evidence.p < ALPHA).any():
        return Verdict("depends: gaps change, but another best pooling is not shown", evidence, evidence.p.idxmin())
    return _no_effect(evidence)


def _best(gaps: Gaps) -> str:
    """The pooling that is ahead of the others."""
    return Counter(a if gap.effect.value > 0 else b for (a, b), gap in gaps.items()).most_common(1)[0][0]


def _no_effect(evidence: pd.DataFrame) -> Verdict:
    """No difference is shown. Is it shown that there is none worth having, or is it only not seen?"""
    if (evidence.p_equal < ALPHA).all():
        return Verdict(EQUAL, evidence, evidence.p_equal.idxmax())
    return Verdict(NO_DIFFERENCE, evidence, evidence.p.idxmin())
