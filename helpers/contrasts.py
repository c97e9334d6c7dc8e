"""Contrasts in accuracy that take both the texts and the training runs as samples, as a claim about a method must.

`evaluation.compare` asks about other texts for the runs that were made. Here other runs count too. Predictions are
``[s, n]``: one row a seed, one column a test text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

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
        reach = stats.t.ppf(1 - level / 2, self.freedom) + stats.t.ppf(POWER, self.freedom)
        return float(reach * self.error) if self.error else float("nan")

    def p_within(self, margin: float) -> float:
        """Return p of "the difference is not within ± margin" (two one-sided tests, Schuirmann 1987)."""
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
    right = [correctness(labels, part) for part in predictions]
    if len({part.shape for part in right}) > 1 or len(right[0]) < 2:
        given = ", ".join(str(len(part)) for part in right)
        raise ValueError(f"{given} seeds: give the same seeds, two or more, of all.")
    values = sum(weight * part for weight, part in zip(weights, right, strict=True))  # [s, n]
    by_text, by_seed = values.mean(axis=0), values.mean(axis=1)
    variances = np.array([part.var(ddof=1) / part.size for part in (by_text, by_seed)])
    return _contrast(float(values.mean()), variances, np.array(values.T.shape) - 1)


def combined(parts: Sequence[Contrast], weights: Sequence[float]) -> Contrast:
    """Return a weighted sum of contrasts whose texts and runs have nothing to do with each other: other data sets."""
    weights = np.array(weights)
    mean = float(weights @ [part.effect.value for part in parts])
    variances = (weights * [part.error for part in parts]) ** 2
    return _contrast(mean, variances, np.array([part.freedom for part in parts]))


def _contrast(mean: float, variances: np.ndarray, freedoms: np.ndarray) -> Contrast:
    error = float(np.sqrt(variances.sum()))
    if error == 0:  # nothing varies, so nothing can be said of other texts or runs
        return Contrast(Interval(mean, mean, mean), 1.0, 0.0, float(freedoms.sum()))
    freedom = float(variances.sum() ** 2 / (variances**2 / freedoms).sum())
    reach = float(stats.t.ppf(1 - ALPHA / 2, freedom)) * error
    return Contrast(
        Interval(mean, mean - reach, mean + reach), float(2 * stats.t.sf(abs(mean) / error, freedom)), error, freedom
    )
