"""Contrasts: by hand, on planted effects, and on noise of texts and of runs."""

import math
import statistics
from itertools import product

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from helpers.contrasts import Contrast, between, combined, contrast, over, over_crossed, over_groups, spread
from helpers.evaluation import Interval, compare
from tests.test_evaluation import slack
from tools.made_up import predictions

GAP, INTERACTION = (1, -1), (1, -1, -1, 1)


def made(rng, n: int, *shares: float, seeds: int = 5, seed_sd: float = 0.0):
    """Labels, and predictions of methods that are right on these shares of the texts, give or take a run's luck."""
    labels = rng.integers(0, 2, n)
    luck = rng.normal(0, seed_sd, (len(shares), seeds, 1))
    return labels, [predictions(labels, rng.random((seeds, n)) < share + luck[i]) for i, share in enumerate(shares)]


def test_an_interaction_by_hand():
    labels = np.array([1, 1, 0, 0])
    right = [[[1, 1, 1, 0], [1, 1, 0, 0]], [[1, 0, 0, 0]] * 2, [[0, 1, 0, 0]] * 2, [[0, 0, 1, 0], [0, 0, 0, 0]]]
    found = contrast(labels, [predictions(labels, np.array(rows, bool)) for rows in right], INTERACTION)
    # Seed 0: 0, 0, 2, 0; seed 1: 0, 0, 0, 0. By text 0, 0, 1, 0; by seed 0.5, 0.
    of_texts, of_seeds = np.var([0, 0, 1, 0], ddof=1) / 4, np.var([0.5, 0], ddof=1) / 2
    error = math.sqrt(of_texts + of_seeds)
    freedom = (of_texts + of_seeds) ** 2 / (of_texts**2 / 3 + of_seeds**2 / 1)
    assert found.effect.value == pytest.approx(0.25)
    assert (found.error, found.freedom) == pytest.approx((error, freedom))
    assert found.p == pytest.approx(2 * stats.t.sf(0.25 / error, freedom))
    assert found.effect.high == pytest.approx(0.25 + stats.t.ppf(0.975, freedom) * error)
    assert found.effect.low == pytest.approx(0.5 - found.effect.high)


def test_contrasts_of_other_data_sets_combine_as_independent_ones():
    first, second = (Contrast(Interval(value, 0, 0), 1, error, freedom)
                     for value, error, freedom in ((0.05, 0.03, 4.0), (0.01, 0.04, 10.0)))  # fmt: skip
    found = combined([first, second], [1, -1])
    assert found.effect.value == pytest.approx(0.04) and found.error == pytest.approx(0.05)
    assert found.freedom == pytest.approx(0.05**4 / (0.03**4 / 4 + 0.04**4 / 10))
    assert found.p == pytest.approx(2 * stats.t.sf(0.8, found.freedom))
    half = combined([first, second], [0.5, 0.5])
    assert half.effect.value == pytest.approx(0.03) and half.error == pytest.approx(0.025)
    alone = combined([first, second], [1, 0])
    assert (alone.error, alone.freedom) == pytest.approx((0.03, 4.0)), "a data set without weight brings no freedom"


def test_what_could_be_seen_and_what_is_as_good_as_nothing():
    found = Contrast(Interval(0.004, 0, 0), 1, 0.005, 20.0)
    t = stats.t(20)
    for level in (0.05, 0.01):  # what a test at this level finds with 80% power
        shift = found.detectable(level) / 0.005
        assert stats.nct(found.freedom, shift).sf(t.ppf(1 - level / 2)) == pytest.approx(0.8, abs=1e-6)
    assert found.detectable() < found.detectable(0.01)
    assert found.p_within(0.02) == pytest.approx(t.sf(3.2))  # the nearer end is 0.016 away
    assert Contrast(Interval(-0.004, 0, 0), 1, 0.005, 20.0).p_within(0.02) == found.p_within(0.02)
    assert Contrast(Interval(0.03, 0, 0), 1, 0.005, 20.0).p_within(0.02) > 0.9


def test_a_planted_interaction_is_found_and_main_effects_are_none():
    rng = np.random.default_rng(5)
    labels, parts = made(rng, 1500, 0.8, 0.7, 0.7, 0.7, seed_sd=0.01)
    found = contrast(labels, parts, INTERACTION)
    assert found.p < 0.01 and 0.03 < found.effect.low < 0.1 < found.effect.high
    turned = contrast(labels, [*parts[2:], *parts[:2]], INTERACTION)
    assert turned.effect.value == pytest.approx(-found.effect.value)
    labels, parts = made(rng, 1500, 0.9, 0.8, 0.7, 0.6)  # both better here, and a better than b in both places
    assert contrast(labels, parts, INTERACTION).p > 0.05
    same = contrast(labels, [parts[0], parts[1], parts[0], parts[1]], INTERACTION)
    assert same.effect == Interval(0, 0, 0) and same.p == same.p_within(0.1) == 1 and math.isnan(same.detectable())


@pytest.mark.parametrize("seed_sd", [0.0, 0.02])
@pytest.mark.parametrize("weights, shares", [(GAP, (0.75, 0.75)), (INTERACTION, (0.85, 0.75, 0.7, 0.6))])
def test_no_effect_is_called_one_in_at_most_one_test_in_twenty(weights, shares, seed_sd):
    rng, runs = np.random.default_rng(6), 600
    false = covered = 0
    for _ in range(runs):
        labels, parts = made(rng, 500, *shares, seed_sd=seed_sd)
        found = contrast(labels, parts, weights)
        false += found.p < 0.05
        covered += found.effect.low < 0 < found.effect.high
    assert false / runs <= 0.05 + slack(0.05, runs) and covered == runs - false


def test_why_a_claim_is_not_judged_by_mcnemar(monkeypatch):
    """A test over the texts alone takes the luck of five runs for a difference between methods."""
    monkeypatch.setattr("helpers.evaluation._bca_mean", lambda values, seed: Interval(float(values.mean()), 0, 0))
    rng, runs = np.random.default_rng(8), 300
    made_here = (made(rng, 2000, 0.8, 0.8, seed_sd=0.02) for _ in range(runs))
    false = [[compare(labels, *parts).p < 0.05, contrast(labels, parts, GAP).p < 0.05] for labels, parts in made_here]
    mcnemar, careful = np.mean(false, axis=0)
    assert mcnemar > 0.15 and careful <= 0.05 + slack(0.05, runs)


def test_a_contrast_needs_seeds_and_the_same_of_all():
    labels, parts = made(np.random.default_rng(7), 20, 0.8, 0.7, 0.7, 0.6)
    for shapes in ([part[:1] for part in parts], [parts[0][:3], *parts[1:]]):
        with pytest.raises(ValueError, match="give the same seeds, two or more"):
            contrast(labels, shapes, INTERACTION)


# Spreads over the seeds


def accuracies(rng, cells: int, ratio: float, shared: float, seeds: int = 5) -> list[np.ndarray]:
    """Two methods in cells of two groups; a part of the luck is the seed's, the same in all cells of a group."""
    draw = rng.normal(0, 1, (2, seeds))[np.arange(cells) % 2]  # [cells, s]
    return [sd * (shared**0.5 * draw + (1 - shared) ** 0.5 * rng.normal(0, 1, (cells, seeds))) for sd in (ratio, 1.0)]


GROUPS = ["imdb", "rt"] * 6


def test_a_contrast_of_spreads_by_hand():
    a, b = np.array([[0.0, 2.0, 4.0]]), np.array([[9.0, 10.0, 11.0]])
    found = spread(a, b, ["imdb"])  # standard deviations 2 and 1
    assert found.effect.value == pytest.approx(1 / 3)
    # Swapping none or all seeds gives ± 1/3; the others give centred values of both, as far apart or less.
    centred = [np.array([-2, 0, 2.0]), np.array([-1, 0, 1.0])]
    values = []
    for swap in product((False, True), repeat=3):
        x, y = np.where(swap, centred[1], centred[0]), np.where(swap, centred[0], centred[1])
        values.append((x.std(ddof=1) - y.std(ddof=1)) / (x.std(ddof=1) + y.std(ddof=1)))
    assert found.p == pytest.approx(np.mean(np.abs(values) >= 1 / 3 - 1e-9))


def test_the_error_of_a_contrast_of_spreads_is_a_jackknife_over_the_seeds_of_each_group():
    rng, seeds, groups = np.random.default_rng(13), 4, ["imdb", "rt", "imdb"]
    a, b = rng.normal(0, 2, (3, seeds)), rng.normal(0, 1, (3, seeds))

    def mean_without(group: str, seed: int) -> float:
        found = []
        for cell, name in enumerate(groups):
            kept = [other for other in range(seeds) if name != group or other != seed]
            one, other = statistics.stdev(a[cell, kept]), statistics.stdev(b[cell, kept])
            found.append((one - other) / (one + other))
        return statistics.mean(found)

    variances = []
    for group in ("imdb", "rt"):
        left = [mean_without(group, seed) for seed in range(seeds)]
        variances.append((seeds - 1) / seeds * sum((one - statistics.mean(left)) ** 2 for one in left))
    found = spread(a, b, groups)
    assert min(variances) > 0 and found.error == pytest.approx(math.sqrt(sum(variances)))
    assert found.freedom == pytest.approx(sum(variances) ** 2 / sum(one**2 / (seeds - 1) for one in variances))


@pytest.mark.parametrize("shared", [0.0, 0.75])
def test_equal_spreads_are_called_different_in_at_most_one_of_twenty(shared):
    rng, runs = np.random.default_rng(11), 400
    false = np.mean([spread(*accuracies(rng, 12, 1.0, shared), GROUPS).p < 0.05 for _ in range(runs)])
    assert false <= 0.05 + slack(0.05, runs)


def test_a_threefold_spread_is_found_and_its_sign_is_right():
    rng = np.random.default_rng(12)
    found = spread(*accuracies(rng, 12, 3.0, 0.3), GROUPS)
    assert found.p < 0.01 and found.effect.low < 0.5 < found.effect.high and found.effect.low > 0.2
    assert spread(*accuracies(rng, 12, 1 / 3, 0.3), GROUPS).effect.value < 0


def test_a_spread_of_zero_is_no_crash():
    still = np.full((2, 5), 0.7)
    assert spread(still, still, ["imdb", "rt"]).effect.value == 0
    moving = still + np.random.default_rng(0).normal(0, 0.1, (2, 5))
    assert spread(moving, still, ["imdb", "rt"]).effect.value == 1


def test_a_difference_between_two_groups_of_texts_keeps_the_runs_paired():
    """By hand, and on runs whose luck is the same in both groups: there it cancels."""
    rng = np.random.default_rng(0)
    labels, chosen = np.ones(400, int), np.arange(400) < 100
    luck = np.array([0.5, 0.6, 0.7, 0.8, 0.9])[:, None]
    right = rng.random(400) < luck
    said = np.where(right, 0.9, 0.1)
    found = between(labels, [said], [1], (chosen, ~chosen))
    by_seed = right[:, chosen].mean(axis=1) - right[:, ~chosen].mean(axis=1)
    parts = [by_seed.var(ddof=1) / 5, right[:, chosen].mean(axis=0).var(ddof=1) / 100,
             right[:, ~chosen].mean(axis=0).var(ddof=1) / 300]  # fmt: skip
    assert found.effect.value == pytest.approx(by_seed.mean())
    assert found.error == pytest.approx(sum(parts) ** 0.5)
    freedom = sum(parts) ** 2 / sum(part**2 / n for part, n in zip(parts, (4, 99, 299), strict=True))
    assert found.freedom == pytest.approx(freedom)
    apart = combined([contrast(labels[group], [said[:, group]], [1]) for group in (chosen, ~chosen)],
                               [1, -1])  # fmt: skip
    assert found.error < apart.error / 1.5, "the luck that both groups share is no part of it"
    swapped = between(labels, [said], [1], (~chosen, chosen))
    assert swapped.effect.value == pytest.approx(-found.effect.value) and swapped.error == pytest.approx(found.error)


@pytest.mark.parametrize("freedom, level", [(4, 0.05), (5.5, 0.05 / 48), (1000, 0.05 / 15)])
def test_what_is_detectable_is_detected_four_times_in_five(freedom, level):
    rng, draws = np.random.default_rng(1), 200_000
    one = Contrast(Interval(0, 0, 0), 1.0, 2.0, freedom)
    shift = one.detectable(level) / one.error
    t = (rng.normal(shift, 1, draws)) / np.sqrt(rng.chisquare(freedom, draws) / freedom)
    power = (t > stats.t.ppf(1 - level / 2, freedom)).mean()
    assert power == pytest.approx(0.8, abs=0.004), "four standard errors of the simulation"


@pytest.mark.parametrize("sizes", [[1] * 30, [4, 1, 7, 2, 9, 3, 3, 1], [2, 2]])
def test_groups_are_the_sample_as_in_a_cluster_robust_regression(sizes):
    rng = np.random.default_rng(len(sizes))
    groups = 3 * np.repeat(np.arange(len(sizes)), sizes) + 1  # numbers with gaps
    values = rng.normal(size=len(groups)) + rng.normal(size=100)[groups % 100]
    order = rng.permutation(len(groups))
    found = over_groups(values[None, order], groups[order])
    robust = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    assert found.effect.value == pytest.approx(values.mean()) and found.error == pytest.approx(robust.bse[0])
    assert found.freedom == len(sizes) - 1 and found.p == pytest.approx(robust.pvalues[0])


def test_groups_of_one_are_texts_and_seeds_count_as_well():
    values = np.random.default_rng(0).normal(size=(5, 40))
    alone, texts = over_groups(values, np.arange(40)), over(values)
    assert (alone.error, alone.freedom, alone.p) == pytest.approx((texts.error, texts.freedom, texts.p))
    copies = over_groups(values.repeat(3, axis=1), np.arange(40).repeat(3))
    assert copies.error == pytest.approx(alone.error), "copies bring nothing new"


def test_crossed_groups_are_those_of_a_two_way_cluster_robust_regression():
    rng = np.random.default_rng(0)
    one, other = rng.integers(12, size=200), rng.integers(9, size=200)
    values = rng.normal(size=200) + rng.normal(size=12)[one] + rng.normal(size=9)[other]
    found = over_crossed(values[None], one, other)
    how = {"groups": np.stack([one, other], axis=1), "use_correction": False}
    robust = sm.OLS(values, np.ones(200)).fit(cov_type="cluster", cov_kwds=how).bse[0] ** 2
    # Without the small-sample factors, which that library takes for the two kinds together.
    mean = values - values.mean()
    parts = [sum(mean[groups == number].sum() ** 2 for number in np.unique(groups)) / 200**2
             for groups in (one, other, 100 * one + other)]  # fmt: skip
    assert parts[0] + parts[1] - parts[2] == pytest.approx(robust)
    counts = [12, 9, len(np.unique(100 * one + other))]
    own = [part * count / (count - 1) for part, count in zip(parts, counts, strict=True)]
    assert found.error == pytest.approx((own[0] + own[1] - own[2]) ** 0.5) and found.freedom == 8
    assert over_crossed(values[None], one, np.arange(200)).error == pytest.approx(over_groups(values[None], one).error)


def test_a_single_group_says_nothing_of_others():
    with pytest.raises(ValueError, match="All values are of one group"):
        over_groups(np.random.default_rng(0).normal(size=(3, 20)), np.zeros(20, int))
