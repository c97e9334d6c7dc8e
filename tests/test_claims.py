"""Claims: made-up results of known truth get the right verdict, and noise gets none."""

import numpy as np
import pytest

from helpers import claims
from helpers.claims import NO_DIFFERENCE, PAPER

N, SEEDS = 1500, 5


def made_up(rng, shares: dict[str, dict[str, float]], n: int = N, seed_sd: float = 0.005):
    """Labels and predictions: data set -> pooling -> the share of texts on which it is right."""
    labels = {data: rng.integers(0, 2, n) for data in shares}
    return labels, {data: {pool: predict(rng, labels[data], share, seed_sd) for pool, share in pools.items()}
                    for data, pools in shares.items()}  # fmt: skip


def predict(rng, labels: np.ndarray, share: float, seed_sd: float) -> np.ndarray:
    right = rng.random((SEEDS, len(labels))) < share + rng.normal(0, seed_sd, (SEEDS, 1))
    return np.where(right == (labels == 1), 0.9, 0.1)


def alike(mean: float = 0.75) -> dict[str, float]:
    return dict.fromkeys(PAPER, mean)


def test_a_planted_difference_is_found_and_noise_is_none():
    rng = np.random.default_rng(0)
    found = claims.poolings_differ(*made_up(rng, {"imdb": alike() | {"max": 0.65}, "rt": alike()}))
    assert found.verdict == "supported" and len(found.evidence) == 6
    assert set(found.evidence[found.evidence.p_holm < 0.05].pair) == {"max − mean", "max − weighted_sum"}
    assert claims.poolings_differ(*made_up(rng, {"imdb": alike(), "rt": alike()})).verdict == NO_DIFFERENCE


@pytest.mark.parametrize("imdb, rt, verdict", [
    (alike() | {"max": 0.85}, alike() | {"max": 0.85}, "supported"),
    (alike() | {"max": 0.85}, alike(), "depends: max is best on imdb only"),
    (alike() | {"max": 0.85}, alike() | {"max": 0.6}, "depends: max is best on imdb only"),
    (alike() | {"max": 0.65}, alike(), "refuted"),
    ({"max": 0.75, "mean": 0.85, "weighted_sum": 0.65}, alike(), "refuted"),
    (alike(), alike(), NO_DIFFERENCE),
    ({"max": 0.85, "mean": 0.85, "weighted_sum": 0.65}, alike(), NO_DIFFERENCE),
])  # fmt: skip
def test_max_is_best_only_where_it_beats_both(imdb, rt, verdict):
    assert claims.max_is_best(*made_up(np.random.default_rng(1), {"imdb": imdb, "rt": rt})).verdict == verdict


@pytest.mark.parametrize("sd, verdict", [((0.04, 0.008), "supported"), ((0.008, 0.04), "refuted"),
                                         ((0.01, 0.01), NO_DIFFERENCE)])  # fmt: skip
def test_a_larger_spread_is_found_in_eight_cells(sd, verdict):
    rng = np.random.default_rng(2)
    cells = {f"cell {i}": tuple(0.75 + rng.normal(0, one, SEEDS) for one in sd) for i in range(8)}
    found = claims.less_consistent(cells)
    assert found.verdict == verdict and len(found.evidence) == 8
    ours, means = cells["cell 0"]
    assert found.evidence.ratio.iloc[0] == pytest.approx(ours.std(ddof=1) / means.std(ddof=1))


def test_one_or_two_cells_can_never_decide():
    rng = np.random.default_rng(3)
    cells = {f"cell {i}": (0.75 + rng.normal(0, 0.2, SEEDS), 0.75 + rng.normal(0, 0.001, SEEDS)) for i in range(2)}
    assert claims.less_consistent(cells).verdict == NO_DIFFERENCE


def test_a_spread_of_zero_is_no_verdict():
    cells = {"moves": (np.array([0.7, 0.8, 0.75]), np.array([0.7, 0.71, 0.72])), "rests": (np.full(3, 0.75),) * 2}
    with pytest.raises(ValueError, match="All seeds of rests have the same accuracy"):
        claims.less_consistent(cells)


@pytest.mark.parametrize("here, there, verdict", [
    (alike() | {"max": 0.85}, alike() | {"max": 0.65}, "supported"),
    (alike() | {"max": 0.9}, alike() | {"max": 0.8}, "depends: gaps differ, but no order turns round"),
    (alike(0.85) | {"max": 0.75}, alike(0.7) | {"max": 0.6}, NO_DIFFERENCE),  # two main effects
    (alike(), alike(), NO_DIFFERENCE),
])  # fmt: skip
def test_the_best_pooling_depends_on_the_model_only_where_the_order_turns_round(here, there, verdict):
    rng = np.random.default_rng(4)
    labels, first = made_up(rng, {"imdb": here})
    second = {"imdb": {pool: predict(rng, labels["imdb"], share, 0.005) for pool, share in there.items()}}
    assert claims.best_depends_on_model(labels, first, second).verdict == verdict


def test_null_grids_are_called_something_in_at_most_one_of_twenty(monkeypatch):
    """All poolings alike, some texts harder than others, runs that differ by luck."""
    from helpers import evaluation

    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels calls it for each family, 0.1 s a time
    monkeypatch.setattr(evaluation, "_bca_mean", lambda values, seed: evaluation.Interval(float(values.mean()), 0, 0))
    rng, runs = np.random.default_rng(5), 200
    called = dict.fromkeys(("best", "depends", "spread"), 0)
    for _ in range(runs):
        labels, here = made_up(rng, {"imdb": alike(), "rt": alike()}, n=200, seed_sd=0.01)
        there = {data: {pool: predict(rng, labels[data], 0.7, 0.01) for pool in PAPER} for data in labels}
        called["best"] += claims.max_is_best(labels, here).verdict != NO_DIFFERENCE
        called["depends"] += claims.best_depends_on_model(labels, here, there).verdict != NO_DIFFERENCE
        cells = {i: tuple(rng.normal(0.75, 0.01, (2, SEEDS))) for i in range(8)}
        called["spread"] += claims.less_consistent(cells).verdict != NO_DIFFERENCE
    # Three standard errors of a share of 5%.
    assert max(called.values()) / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5, called


def test_a_verdict_reads_as_a_sentence():
    labels, predictions = made_up(np.random.default_rng(6), {"imdb": alike()})
    assert str(claims.max_is_best(labels, predictions)) == f"**C2: max does best**: {NO_DIFFERENCE}."
