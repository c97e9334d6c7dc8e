"""Contrasts in accuracy that take both the texts and the training runs as samples, as a claim about a method must.

`evaluation.compare` asks about other texts for the runs that were made. Here other runs count too. Predictions are
``[s, n]``: one row a seed, one column a test text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy import stats
from scipy.optimize import brentq

from helpers.arguments import number, numbers
from helpers.evaluation import ALPHA, POWER, Interval, correctness


@dataclass(frozen=True)
class Contrast:
    """A difference in accuracy, judged over texts and training runs.

    The variance of the mean is the sum of what the texts and what the seeds say of it, with the degrees of freedom of
    Satterthwaite: the min F' of Clark (1973), "The language-as-fixed-effect fallacy". With five seeds it is careful: a
    difference that one lucky run made is not called one.

    Attributes
    ----------
    effect : Interval
    p : float
        Two-sided t test, not corrected.
    error : float
        Standard error.
    freedom : float
        Degrees of freedom.
    """

    effect: Interval
    p: float
    error: float
    freedom: float

    def detectable(self, level: float = ALPHA) -> float:
        """Return the difference that a test at this level would reveal with 80% power; missing without any variance."""
        level = number("level", level, 0, 1)
        if not 0 < level < 1:
            raise ValueError(f"level is {level:g}: it lies between 0 and 1, as 0.05 does.")
        if not self.error:
            return float("nan")
        critical = float(stats.t.ppf(1 - level / 2, self.freedom))
        shift = brentq(lambda shift: stats.nct.sf(critical, self.freedom, shift) - POWER, 0, 3 * critical + 3)
        return float(shift * self.error)

    def p_within(self, margin: float) -> float:
        """Return p of "the difference is not within ± margin" (two one-sided tests, Schuirmann 1987)."""
        margin = number("margin", margin, 0)
        if not self.error:
            return 1.0
        return float(stats.t.sf((margin - abs(self.effect.value)) / self.error, self.freedom))


def contrast(labels: np.ndarray, predictions: Sequence[np.ndarray], weights: Sequence[float]) -> Contrast:
    """Return a weighted sum of the accuracies of several methods on the same texts.

    Parameters
    ----------
    labels : ndarray of {0, 1}, shape [n]
    predictions : sequence of ndarray, each of shape [s, n]
        Probabilities of *positive*; row i of all comes from the same seed, of which there are two or more.
    weights : sequence of float
        One for each method: ``[1, -1]`` is a gap, ``[1, -1, -1, 1]`` a difference of two gaps (an interaction).
    """
    return over(_weighted(labels, predictions, weights))


def between(
    labels: np.ndarray, predictions: Sequence[np.ndarray], weights: Sequence[float], groups: Sequence[np.ndarray]
) -> Contrast:
    """Return the same weighted sum on one group of texts minus that on another; the runs are the same ones.

    Parameters
    ----------
    labels, predictions, weights
        As of `contrast`.
    groups : pair of ndarray of bool, each of shape [n]
        Which texts belong to each group; none to both.
    """
    values = _weighted(labels, predictions, weights)
    try:
        groups = np.array([np.asarray(group) for group in groups])
    except (TypeError, ValueError) as error:
        raise ValueError("groups must be two arrays of True and False, one for each text.") from error
    if groups.dtype != bool or groups.shape != (2, values.shape[1]):  # row numbers would choose other texts
        given = f"{groups.dtype} of shape {list(groups.shape)}"
        raise ValueError(f"groups is {given}: give True and False, in two arrays of {values.shape[1]} texts.")
    if (groups.sum(axis=1) < 2).any() or groups.all(axis=0).any():
        sizes = " and ".join(map(str, groups.sum(axis=1)))
        raise ValueError(f"The groups have {sizes} texts: give each two or more, and no text to both.")
    one, other = (values[:, group] for group in groups)  # [s, n] -> [s, n of the group]
    by_seed = one.mean(axis=1) - other.mean(axis=1)
    samples = [by_seed, one.mean(axis=0), other.mean(axis=0)]
    variances = np.array([part.var(ddof=1) / part.size for part in samples])
    return sampled(float(by_seed.mean()), variances, np.array([part.size - 1 for part in samples]))


def _weighted(labels: np.ndarray, predictions: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """The weighted sum of what is right, ``[s, n]``."""
    weights = numbers("weights", weights, "[methods]")
    if len(weights) != len(predictions) or not len(weights):
        raise ValueError(f"{len(weights)} weights do not fit {len(predictions)} methods: give one weight a method.")
    right = [correctness(labels, part) for part in predictions]
    if len({part.shape for part in right}) > 1 or len(right[0]) < 2:
        given = ", ".join(str(len(part)) for part in right)
        raise ValueError(f"{given} seeds: give the same seeds, two or more, of all.")
    return sum(weight * part for weight, part in zip(weights, right, strict=True))


def over(values: np.ndarray) -> Contrast:
    """Return the mean of some values ``[s, n]``, of which both the seeds and the texts (or words, …) are samples."""
    values = numbers("values", values, "[s, n]")
    if min(values.shape) < 2:
        raise ValueError(f"values has the shape {list(values.shape)}: give two seeds and two texts, or more.")
    by_text, by_seed = values.mean(axis=0), values.mean(axis=1)
    variances = np.array([part.var(ddof=1) / part.size for part in (by_text, by_seed)])
    return sampled(float(values.mean()), variances, np.array(values.T.shape) - 1)


def over_groups(values: np.ndarray, groups: np.ndarray) -> Contrast:
    """Return the mean of some values ``[s, n]`` that come in groups, as questions about one function do.

    Values of one group may depend on each other, so the groups are the sample (cluster-robust variance, Liang and
    Zeger 1986), beside the seeds. A method that learns nothing has no seeds: then s is 1, and the groups speak alone.

    Parameters
    ----------
    values : ndarray, shape [s, n]
    groups : ndarray of int, shape [n]
        Which group each value is of; two or more groups.
    """
    values, groups = _grouped(values, groups)
    return _over(values, *_of_groups(values.mean(axis=0), groups))


def over_crossed(values: np.ndarray, groups: np.ndarray, others: np.ndarray) -> Contrast:
    """Return the same where values are in groups of two kinds, as a parameter's name is asked of many functions.

    The two variances add up, less that of the groups which both kinds make together (Cameron, Gelbach and Miller 2011);
    with the degrees of freedom of the kind with fewer groups.

    Parameters
    ----------
    values : ndarray, shape [s, n]
    groups, others : ndarray of int, each of shape [n]
    """
    values, groups = _grouped(values, groups)
    others = _grouped(values, others)[1]
    both = np.unique(np.stack([groups, others]), axis=1, return_inverse=True)[1].reshape(-1)
    by_value = values.mean(axis=0)
    kinds = [_of_groups(by_value, groups), _of_groups(by_value, others)]
    added = sum(variance for variance, _ in kinds) - _of_groups(by_value, both)[0]
    largest = max(variance for variance, _ in kinds)  # where the sum is less than one of them, or negative
    return _over(values, max(added, largest), min(freedom for _, freedom in kinds))


def _grouped(values: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values as an array, and the group of each as a number from 0."""
    values, groups = numbers("values", values, "[s, n]"), np.asarray(groups)
    if groups.shape != values.shape[1:] or not values.size:
        shapes = f"groups of shape {list(groups.shape)} do not fit values of shape {list(values.shape)}"
        raise ValueError(f"{shapes}: give each of the n values of [s, n] a group.")
    return values, np.unique(groups, return_inverse=True)[1]


def _of_groups(by_value: np.ndarray, groups: np.ndarray) -> tuple[float, int]:
    """The variance of the mean of some values ``[n]`` when whole groups are sampled, and its degrees of freedom."""
    sums = np.bincount(groups, by_value - by_value.mean())[np.unique(groups)]  # [groups]
    if len(sums) < 2:
        raise ValueError("All values are of one group: nothing can be said of other groups. Give two or more.")
    return len(sums) / (len(sums) - 1) * float((sums**2).sum()) / by_value.size**2, len(sums) - 1


def _over(values: np.ndarray, variance: float, freedom: int) -> Contrast:
    """A mean of values ``[s, n]`` from what the groups say of its variance and, with two seeds or more, the seeds."""
    by_seed, variances, freedoms = values.mean(axis=1), [variance], [freedom]
    if len(by_seed) > 1:
        variances.append(by_seed.var(ddof=1) / by_seed.size)
        freedoms.append(by_seed.size - 1)
    return sampled(float(values.mean()), np.array(variances), np.array(freedoms))


def combined(parts: Sequence[Contrast], weights: Sequence[float]) -> Contrast:
    """Return a weighted sum of contrasts on different data sets.

    They are taken as independent: under one seed's number, runs on two data sets draw other texts in other batches.
    """
    weights = numbers("weights", weights, "[parts]")
    if len(weights) != len(parts) or not len(weights):
        raise ValueError(f"{len(weights)} weights do not fit {len(parts)} contrasts: give one weight a contrast.")
    mean = float(weights @ [part.effect.value for part in parts])
    variances = (weights * [part.error for part in parts]) ** 2
    return sampled(mean, variances, np.array([part.freedom for part in parts]))


def sampled(mean: float, variances: np.ndarray, freedoms: np.ndarray) -> Contrast:
    """Return a contrast from its mean and what each kind of sample says of its variance.

    Parameters
    ----------
    mean : float
    variances, freedoms : ndarray, shape [kinds]
        Squared standard errors that add up, and their degrees of freedom.
    """
    error = float(np.sqrt(variances.sum()))
    if error == 0:  # nothing varies, so nothing can be said of other texts or runs
        return Contrast(Interval(mean, mean, mean), 1.0, 0.0, float(freedoms.sum()))
    freedom = float(variances.sum() ** 2 / (variances**2 / freedoms).sum())
    reach = float(stats.t.ppf(1 - ALPHA / 2, freedom)) * error
    return Contrast(
        Interval(mean, mean - reach, mean + reach), float(2 * stats.t.sf(abs(mean) / error, freedom)), error, freedom
    )


def spread(a: np.ndarray, b: np.ndarray, groups: Sequence[str]) -> Contrast:
    """Return how much more the accuracy of method a moves from seed to seed than that of method b.

    Of each cell the contrast (σ_a − σ_b) / (σ_a + σ_b) of the two standard deviations, between -1 and 1; then their
    mean. The cells of a group share what a seed draws. So the test swaps both methods for one seed in all cells of a
    group at once: with equal spreads each such swap could as well have been the case. All swaps are made. That is
    nearly exact, as each run is taken from its cell's mean (at 5% it calls 6 to 7% where much of the luck is shared).
    The error is a jackknife over the seeds of each group; its interval need not agree with the test's p.

    Parameters
    ----------
    a, b : ndarray, shape [cells, s]
        Accuracy by seed.
    groups : sequence of str, length cells
        The group (data set) of each cell.
    """
    a, b = (part - part.mean(axis=1, keepdims=True) for part in (a, b))  # each cell has an accuracy of its own
    names, group = np.unique(groups, return_inverse=True)
    seeds, of_cell = a.shape[1], _relative(a, b)
    swaps = np.array(list(product((False, True), repeat=len(names) * seeds))).reshape(-1, len(names), seeds)
    swap = swaps[:, group]  # [swaps, groups, s] -> [swaps, cells, s]
    swapped = _relative(np.where(swap, b, a), np.where(swap, a, b)).mean(axis=1)
    p = float((np.abs(swapped) >= abs(of_cell.mean()) - 1e-12).mean())
    without = [_relative(*(np.delete(part, seed, axis=1) for part in (a, b))) for seed in range(seeds)]  # s x [cells]
    left = np.array([[np.where(group == one, part, of_cell).mean() for part in without] for one in range(len(names))])
    variances = (seeds - 1) * left.var(axis=1)  # jackknife: (s - 1) / s times the sum of squares
    return replace(sampled(float(of_cell.mean()), variances, np.full(len(names), seeds - 1)), p=p)


def _relative(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The contrast of two standard deviations over the last axis; 0 where neither moves."""
    a, b = (part.std(axis=-1, ddof=1) for part in (a, b))
    return np.divide(a - b, a + b, out=np.zeros_like(a), where=a + b > 0)
