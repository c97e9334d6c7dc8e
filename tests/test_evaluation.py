"""Evaluation: intervals that cover, tests that do not cry wolf, values worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from helpers import evaluation
from helpers.evaluation import Interval, accuracy, compare, compare_all, correctness, holm
from helpers.evaluation import smallest_detectable_difference as detectable
from tools.made_up import predictions

#: Standard errors that a simulated share may stray from the truth: 3 happen once in 370 honest runs,
#: and the seeds are fixed, so a run that passed once passes always.
ERRORS = 3


def slack(share: float, runs: int) -> float:
    return ERRORS * math.sqrt(share * (1 - share) / runs)


def paired(rng, runs: int, n: int, only_a: float, only_b: float, both: float):
    """Draw `runs` test sets of n texts: is a right, is b right."""
    kind = rng.choice(4, size=(runs, n), p=[only_a, only_b, both, 1 - only_a - only_b - both])
    return (kind == 0) | (kind == 2), (kind == 1) | (kind == 2)


@pytest.fixture
def no_bootstrap(monkeypatch):
    """Where only p values matter, the interval may be nothing but the mean."""
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels calls it for each family, 0.1 s a time
    monkeypatch.setattr(evaluation, "_bca_mean", lambda values, seed: Interval(float(values.mean()), 0, 0))


# Intervals


def test_the_paired_interval_covers_a_planted_difference(monkeypatch):
    monkeypatch.setattr(evaluation, "RESAMPLES", 999)
    runs, n, truth = 400, 150, 0.12 - 0.05
    a, b = paired(np.random.default_rng(1), runs, n, 0.12, 0.05, 0.7)
    labels = np.arange(n) % 2
    covers = 0
    for right_a, right_b in zip(a, b, strict=True):
        effect = compare(labels, predictions(labels, right_a), predictions(labels, right_b)).effect
        covers += effect.low <= truth <= effect.high
    # 0.95 ± 0.033. An interval of 90% (0.90), or one that is not paired (above 0.99), lies outside.
    assert covers / runs == pytest.approx(0.95, abs=slack(0.95, runs))


def test_the_interval_of_an_accuracy_over_seeds_covers_the_truth(monkeypatch):
    monkeypatch.setattr(evaluation, "RESAMPLES", 999)
    runs, n, rng = 400, 120, np.random.default_rng(2)
    labels = np.arange(n) % 2
    covers = 0
    for _ in range(runs):
        easy = rng.beta(4, 1, n)  # how easy each text is: mean 0.8. Seeds share the texts.
        found = accuracy(labels, predictions(labels, rng.random((5, n)) < easy))
        covers += found.low <= 0.8 <= found.high
    # Treating 5 x n predictions as independent would cover about 0.75.
    assert covers / runs == pytest.approx(0.95, abs=slack(0.95, runs))


def bca_by_hand(values: np.ndarray, resamples: int) -> tuple[float, float]:
    """Efron 1987, (6.7), with the jackknife's acceleration, written from the formulas."""
    rng = np.random.default_rng(99)
    means = values[rng.integers(0, len(values), (resamples, len(values)))].mean(axis=1)
    below = np.mean(means < values.mean()) + np.mean(means == values.mean()) / 2
    z0, jack = stats.norm.ppf(below), (values.sum() - values) / (len(values) - 1)
    apart = jack.mean() - jack
    acceleration = (apart**3).sum() / (6 * (apart**2).sum() ** 1.5)
    z = z0 + stats.norm.ppf([0.025, 0.975])
    low, high = np.quantile(means, stats.norm.cdf(z0 + z / (1 - acceleration * z)))
    return float(low), float(high)


def test_the_interval_is_bca_and_not_symmetric():
    n = 400
    labels, right = np.ones(n), np.arange(n) >= 12  # accuracy 0.97: skewed
    found = accuracy(labels, predictions(labels, right))
    low, high = bca_by_hand(right.astype(float), 20_000)
    # One text is 0.0025; both bootstraps have grid points there, and Monte Carlo noise of a part of it.
    assert (found.low, found.high) == pytest.approx((low, high), abs=1.5 / n)
    assert found.value - found.low > found.high - found.value + 1 / n


def test_pairing_narrows_the_interval_of_methods_that_fail_on_the_same_texts():
    n = 500
    a, b = paired(np.random.default_rng(3), 1, n, 0.03, 0.02, 0.75)
    labels = np.arange(n) % 2
    a, b = predictions(labels, a[0]), predictions(labels, b[0])
    effect, own_a, own_b = compare(labels, a, b).effect, accuracy(labels, a), accuracy(labels, b)
    apart = math.hypot(own_a.high - own_a.low, own_b.high - own_b.low)
    # Variances of the difference: p_d = 0.05 paired, 2 x 0.78 x 0.22 = 0.34 apart: 0.38 as wide.
    assert effect.high - effect.low < 0.5 * apart
    assert effect.value == pytest.approx(own_a.value - own_b.value, abs=1e-12)


def test_the_order_of_texts_and_the_sides_matter_as_they_should():
    n = 200
    a, b = paired(np.random.default_rng(4), 1, n, 0.1, 0.05, 0.7)
    labels = np.arange(n) % 2
    a, b = predictions(labels, a[0]), predictions(labels, b[0])
    one, other = compare(labels, a, b), compare(labels, b, a)
    assert one.effect.value == -other.effect.value and one.p == other.p and one.disagree == other.disagree
    assert (one.effect.low, one.effect.high) == pytest.approx((-other.effect.high, -other.effect.low), abs=2 / n)
    assert compare(labels, a, b) == one, "the same seed of the bootstrap, the same interval"


def test_an_interval_shows_as_text():
    assert str(Interval(0.71234, 0.7, 0.72)) == "0.712 [0.700, 0.720]"


# Tests


def votes(only_a: int, only_b: int, both: int = 20, neither: int = 5):
    right_a = np.repeat([True, False, True, False], [only_a, only_b, both, neither])
    right_b = np.repeat([False, True, True, False], [only_a, only_b, both, neither])
    labels = np.arange(len(right_a)) % 2
    return labels, predictions(labels, right_a), predictions(labels, right_b)


def test_mcnemar_by_hand():
    # 8 against 2 in 10 fair tosses: 2 · (1 + 10 + 45) / 1024
    found = compare(*votes(8, 2))
    assert found.p == pytest.approx(2 * 56 / 1024, abs=1e-12)
    assert found.disagree == pytest.approx(10 / 35)
    assert found.effect.value == pytest.approx(6 / 35)
    assert found.detectable == pytest.approx(detectable(10 / 35, 35))
    assert compare(*votes(6, 0)).p == pytest.approx(2 / 64, abs=1e-12)
    assert compare(*votes(3, 3)).p == 1


@given(st.integers(0, 12), st.integers(0, 12))
def test_mcnemar_equals_the_sum_of_binomials(only_a, only_b):
    tosses, fewer = only_a + only_b, min(only_a, only_b)
    tail = sum(math.comb(tosses, k) for k in range(fewer + 1)) / 2**tosses
    assert compare(*votes(only_a, only_b)).p == pytest.approx(min(1, 2 * tail), abs=1e-12)


def test_seeds_vote_for_the_test_and_are_averaged_for_the_effect():
    labels = np.ones(4)
    a = predictions(labels, [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]])  # votes: right, right, wrong, wrong
    b = predictions(labels, [[1, 0, 0, 0]] * 3)
    found = compare(labels, a, b)
    assert found.effect.value == pytest.approx(6 / 12 - 3 / 12)
    assert found.disagree == 1 / 4 and found.p == 1


def test_holm_by_hand():
    # Sorted: 0.005·4, 0.01·3, 0.03·2, then 0.04·1, which may not lie below the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == pytest.approx([1, 1])


def test_the_detectable_difference_is_the_published_table():
    # REFERENCES.md: in points, for p_d = 0.05, 0.10, 0.15; 0.006 for figures rounded to two digits.
    published = {1000: (1.98, 2.80, 3.43), 5000: (0.89, 1.25, 1.53), 25_000: (0.40, 0.56, 0.69)}
    for n, row in published.items():
        for share, points in zip((0.05, 0.10, 0.15), row, strict=True):
            assert 100 * detectable(share, n) == pytest.approx(points, abs=0.006)
            assert detectable(share, n) == pytest.approx(2.80 * math.sqrt(share / n), rel=1e-3)


def test_a_detectable_difference_is_detected_four_times_in_five(no_bootstrap):
    runs, n, disagree = 400, 1000, 0.1
    effect = detectable(disagree, n)
    a, b = paired(np.random.default_rng(5), runs, n, (disagree + effect) / 2, (disagree - effect) / 2, 0.7)
    labels = np.arange(n) % 2
    found = [
        compare(labels, predictions(labels, x), predictions(labels, y)).p < 0.05 for x, y in zip(a, b, strict=True)
    ]
    # The exact test keeps below its 5%, which costs up to 3 points of power here.
    assert 0.80 - 0.03 - slack(0.8, runs) <= np.mean(found) <= 0.80 + slack(0.8, runs)


def test_equal_methods_are_called_different_in_at_most_one_family_in_twenty(no_bootstrap):
    runs, n, methods = 300, 200, 9
    rng, labels = np.random.default_rng(6), np.arange(n) % 2
    wrong = uncorrected = 0
    for _ in range(runs):
        easy = rng.beta(4, 1, n)
        family = {f"m{i}": predictions(labels, rng.random(n) < easy) for i in range(methods)}
        table = compare_all(labels, family, "m0")
        wrong += (table.p_holm < 0.05).any()
        uncorrected += any(compare(labels, family[f"m{i}"], family["m0"]).p < 0.05 for i in range(1, methods))
    assert wrong / runs <= 0.05 + slack(0.05, runs)
    assert uncorrected / runs > 0.05 + slack(0.05, runs), "the simulation would see a missing correction"


# Tables and degenerate cases


def test_the_table_of_a_family():
    n = 400
    rng, labels = np.random.default_rng(7), np.arange(400) % 2
    right = {"mean": 0.8, "max": 0.6, "same": 0.8}
    family = {name: predictions(labels, rng.random((3, n)) < share) for name, share in right.items()}
    family["same"] = family["mean"].copy()
    table = compare_all(labels, family, "mean")
    assert table.index.tolist() == ["mean", "max", "same"] and table.index.name == "method"
    for name, probabilities in family.items():
        own, seeds = accuracy(labels, probabilities), correctness(labels, probabilities).mean(axis=1)
        assert table.loc[name, ["accuracy", "low", "high"]].tolist() == [own.value, own.low, own.high]
        assert table.loc[name, "seed_sd"] == pytest.approx(np.sqrt(((seeds - seeds.mean()) ** 2).sum() / 2))
    differences = ["difference", "difference_low", "difference_high", "p_holm", "detectable"]
    assert table.loc["mean", differences].isna().all()
    found = compare(labels, family["max"], family["mean"])
    assert table.loc["max", "difference"] == found.effect.value < 0
    assert table.loc["max", "p_holm"] == pytest.approx(2 * found.p) and found.p < 0.001
    assert table.loc["max", "detectable"] == found.detectable
    assert table.loc["same", "difference":"p_holm"].tolist() == [0, 0, 0, 1]
    one_seed = {name: probabilities[:1] for name, probabilities in family.items()}
    assert compare_all(labels, one_seed, "mean").seed_sd.isna().all()


@pytest.mark.filterwarnings("error")
def test_identical_all_right_and_all_wrong():
    labels = np.array([0, 1, 1, 0, 1])
    right, wrong = predictions(labels, [1] * 5), predictions(labels, [0] * 5)
    assert accuracy(labels, right) == Interval(1, 1, 1)
    assert accuracy(labels, wrong) == Interval(0, 0, 0)
    same = compare(labels, right, right)
    assert (same.effect, same.p, same.disagree) == (Interval(0, 0, 0), 1, 0)
    assert math.isnan(same.detectable), "texts on which they never differ say nothing of what could be seen"
    apart = compare(labels, right, wrong)
    assert (apart.effect, apart.disagree) == (Interval(1, 1, 1), 1)
    assert apart.p == pytest.approx(2 / 2**5)


def test_a_probability_of_one_lies_in_the_last_bin():
    # 0.95 is 0.05 too low and 1.0 a whole 1 too high: together 0.95. In a bin of its own 1.0 would give 1.05 in all.
    found = evaluation.calibration_error(np.array([1, 0]), np.array([0.95, 1.0]))
    assert found == pytest.approx(0.95 / 2)


def test_one_half_is_not_positive():
    assert correctness([0, 1], [0.5, 0.5]).tolist() == [[1, 0]]
    assert correctness([0, 1], [[0.49, 0.51], [0.51, 0.49]]).tolist() == [[1, 1], [0, 0]]


@pytest.mark.parametrize(
    "labels, probabilities, said",
    [
        ([0, 1], [[0.1, 0.2, 0.3]], "2 labels do not fit"),
        ([[0, 1]], [[0.1, 0.2]], "do not fit"),
        ([0, 1], [[[0.1, 0.2]]], "do not fit"),
        ([0, 1], [[0.1, math.nan]], "between 0 and 1"),
        ([0, 1], [[0.1, 1.2]], "between 0 and 1"),
        ([0, 1], [[-0.1, 0.2]], "between 0 and 1"),
        ([-1, 1], [[0.1, 0.2]], "Labels must be 0"),
        (["neg", "pos"], [[0.1, 0.2]], "Labels must be 0"),
    ],
)
def test_input_that_means_nothing_is_refused(labels, probabilities, said):
    with pytest.raises(ValueError, match=said):
        accuracy(np.array(labels), np.array(probabilities))


def test_families_that_cannot_be_compared_are_refused():
    labels, three, one = np.array([0, 1]), np.full((3, 2), 0.5), np.full((1, 2), 0.5)
    for a, b in ((three, one), (three[:2], three[:2])):
        with pytest.raises(ValueError, match="same odd number"):
            compare(labels, a, b)
    with pytest.raises(ValueError, match="'maen' is not among mean, max"):
        compare_all(labels, {"mean": one, "max": one}, "maen")
    with pytest.raises(ValueError, match="nothing to compare 'mean' with"):
        compare_all(labels, {"mean": one}, "mean")


def test_a_vote_that_gains_is_no_evidence_for_a_method_that_loses():
    # Three seeds of a are right on the same 600 texts and two on none: its vote wins, its seeds lose.
    labels, a, b = np.ones(1000, int), np.zeros((5, 1000)), np.zeros((5, 1000))
    a[:3, :600], b[:, 400:900] = 1, 1
    for found, effect in ((compare(labels, a, b), -0.14), (compare(labels, b, a), 0.14)):
        assert found.effect.value == pytest.approx(effect) and found.p == 1
    assert compare(labels, a[:3], b[:3]).p < 0.001, "with those three seeds alone vote and effect agree"
