"""From predictions to effects with intervals: SciPy and statsmodels do the statistics.

Predictions are ``[s, n]``: one row a seed, one column a test text.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from helpers import arguments

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
POWER = 0.80
RESAMPLES = 4999


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Comparison:
    """The difference in accuracy of two methods on the same texts.

    Attributes
    ----------
    effect : Interval
        Accuracy of a minus accuracy of b, a share between -1 and 1.
    p : float
        Exact McNemar test of the two majority votes over the seeds, not corrected. 1 where the votes differ in
        the opposite direction to `effect`: a gain of the vote is no evidence for a loss of the single seeds.
    disagree : float
        Share of texts on which just one of the two votes is right.
    detectable : float
        `smallest_detectable_difference` for that share and that number of texts; missing when they never disagree.
    """

    effect: Interval
    p: float
    disagree: float
    detectable: float


def correctness(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return 1 where a prediction is right (above one half means positive), ``[s, n]``.

    Raises
    ------
    ValueError
        The shapes do not fit, a label is neither 0 nor 1, or a probability is missing or outside 0 to 1.
    """
    try:
        labels, probabilities = np.asarray(labels), np.atleast_2d(np.asarray(probabilities, float))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"Labels and probabilities must be numbers: {str(error).split('.')[0][:100]}.") from error
    if labels.ndim != 1 or probabilities.ndim != 2 or probabilities.shape[-1] != len(labels) or not probabilities.size:
        fit = f"{labels.size} labels do not fit predictions of shape {probabilities.shape}"
        raise ValueError(f"{fit}: give one or more labels [n], and predictions [s, n].")
    if (wrong := np.flatnonzero(~np.isin(labels, (0, 1)))).size:
        got = labels[wrong[:1]].tolist()[0]
        raise ValueError(f"Labels must be 0 (negative) or 1 (positive), and row {wrong[0]} is {arguments.brief(got)}.")
    if (wrong := np.argwhere(~((probabilities >= 0) & (probabilities <= 1)))).size:
        what = f"text {wrong[0, 1]} has {probabilities[tuple(wrong[0])]}"
        raise ValueError(f"Probabilities must lie between 0 and 1, none may be missing, and {what}.")
    return ((probabilities > 0.5) == labels).astype(float)


def accuracy(labels: np.ndarray, probabilities: np.ndarray, seed: int = 0) -> Interval:
    """Return the accuracy, mean over seeds, with a BCa bootstrap interval over the texts (Efron 1987)."""
    return _bca_mean(correctness(labels, probabilities).mean(axis=0), seed)


def calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> float:
    """Return the expected calibration error of one set of predictions (Naeini, Cooper and Hauskrecht 2015).

    In bins of equal width: how far the mean probability lies from the share of positive texts, on average over
    the texts.

    Parameters
    ----------
    labels, probabilities : ndarray, shape [n]
    """
    if len(correctness(labels, probabilities)) > 1:  # its checks
        raise ValueError(f"probabilities has the shape {np.shape(probabilities)}: give one set of predictions, [n].")
    labels, probabilities, bins = np.asarray(labels), np.ravel(probabilities), arguments.whole("bins", bins, 1)
    number = np.minimum((np.asarray(probabilities, float) * bins).astype(int), bins - 1)  # [n]: 1.0 is in the last bin
    gaps = np.bincount(number, np.asarray(probabilities, float) - labels, minlength=bins)  # sums of p - y
    return float(np.abs(gaps).sum() / len(number))


def compare(labels: np.ndarray, a: np.ndarray, b: np.ndarray, seed: int = 0) -> Comparison:
    """Compare two methods on the same texts.

    Parameters
    ----------
    labels : ndarray of {0, 1}, shape [n]
    a, b : ndarray, shape [s, n]
        Probabilities of *positive*, for the same odd number of seeds: then a vote is never a tie, and
        neither side gains more from voting than the other.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Comparison
        The interval is a *paired* bootstrap: each resampled text brings both methods' results along. Interval and p
        speak of other texts for these training runs; how much other runs move is the spread over seeds.
    """
    right_a, right_b = correctness(labels, a), correctness(labels, b)
    if len(right_a) != len(right_b) or len(right_a) % 2 == 0:
        raise ValueError(f"{len(right_a)} and {len(right_b)} seeds: give the same odd number of both.")
    vote_a, vote_b = right_a.mean(axis=0) > 0.5, right_b.mean(axis=0) > 0.5
    only_a, only_b = int((vote_a & ~vote_b).sum()), int((vote_b & ~vote_a).sum())
    table = [[int((vote_a & vote_b).sum()), only_a], [only_b, int((~vote_a & ~vote_b).sum())]]
    disagree = (only_a + only_b) / len(vote_a)
    effect = _bca_mean(right_a.mean(axis=0) - right_b.mean(axis=0), seed)
    opposite = effect.value * (only_a - only_b) < 0
    return Comparison(
        effect=effect,
        p=1.0 if opposite else float(mcnemar(table, exact=True).pvalue),
        disagree=disagree,
        # No text on which they disagree says nothing about how small a difference could be seen.
        detectable=smallest_detectable_difference(disagree, len(vote_a)) if disagree else float("nan"),
    )


def compare_all(labels: np.ndarray, predictions: dict[str, np.ndarray], reference: str) -> pd.DataFrame:
    """Compare every method with one reference; the p values are corrected together (Holm 1979).

    Returns
    -------
    DataFrame
        Index method; columns accuracy, low, high (its interval), seed_sd (spread over seeds; missing
        with one seed), difference, difference_low, difference_high, p_holm, detectable. The
        reference's row has no difference.
    """
    if not isinstance(predictions, dict):
        raise ValueError(f"predictions is {arguments.brief(predictions)}: give a dict, from a method's name to [s, n].")
    if reference not in list(predictions):
        raise ValueError(f"The reference {reference!r} is not among {', '.join(map(str, predictions))}.")
    if len(predictions) < 2:
        raise ValueError(f"There is nothing to compare {reference!r} with: give two methods or more.")
    rows = {}
    for method, probabilities in predictions.items():
        own, right = accuracy(labels, probabilities), correctness(labels, probabilities)
        spread = right.mean(axis=1).std(ddof=1) if len(right) > 1 else np.nan
        rows[method] = {"accuracy": own.value, "low": own.low, "high": own.high, "seed_sd": spread}
        if method != reference:
            found = compare(labels, probabilities, predictions[reference])
            rows[method] |= {
                "difference": found.effect.value,
                "difference_low": found.effect.low,
                "difference_high": found.effect.high,
                "p_holm": found.p,
                "detectable": found.detectable,
            }
    table = pd.DataFrame.from_dict(rows, orient="index")
    compared = table.index != reference
    table.loc[compared, "p_holm"] = holm(table.loc[compared, "p_holm"])
    return table.rename_axis("method")


def holm(p: np.ndarray) -> np.ndarray:
    """Return the p values corrected together by Holm's step-down method (statsmodels)."""
    p = arguments.numbers("p", p, "[tests]")
    if (wrong := p[(p < 0) | (p > 1)]).size:
        raise ValueError(f"p holds {wrong[0]:g}: a p value is from 0 to 1.")
    return multipletests(p, ALPHA, method="holm")[1]


def smallest_detectable_difference(disagree: float, n: int) -> float:
    """Return the smallest accuracy difference that n texts reveal with 80% power at the 5% level.

    ``(z_0.975 + z_0.80) · √(p_d / N) = 2.80 · √(p_d / N)``, where p_d is the share of texts on which just
    one of the two methods is right (Connor 1987, "Sample size for testing differences in proportions for
    the paired-sample design").
    """
    disagree, n = arguments.number("disagree", disagree, 0, 1), arguments.whole("n", n, 1)
    return float((stats.norm.ppf(1 - ALPHA / 2) + stats.norm.ppf(POWER)) * np.sqrt(disagree / n))


def _bca_mean(values: np.ndarray, seed: int) -> Interval:
    seed, mean = arguments.seed(seed), float(values.mean())
    if np.ptp(values) == 0:  # all texts alike: every resample gives the same mean, and BCa divides by zero
        return Interval(mean, mean, mean)
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="BCa",
        batch=500, rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return Interval(mean, float(found.low), float(found.high))
