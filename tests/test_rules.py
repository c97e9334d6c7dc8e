"""Rules: made-up results of known truth get the right verdict, and noise gets none."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers import claims, contrasts, rules
from helpers.contrasts import Contrast
from helpers.evaluation import Interval
from helpers.records import NotRun
from helpers.rules import EQUAL, NO_DIFFERENCE, PAPER, Results
from tests.test_evaluation import slack
from tools.made_up import DATA, PAIR, SEEDS, predictions, results

RULES = rules.JUDGES
OF_GAPS = [rule for rule in RULES if rule is not rules.less_consistent]
MUCH = 1.0  # of log-odds: some 13 points


def plant(pool: str = "max", **signs: float) -> dict:
    """An effect of one pooling on each model and each data set, with the signs given."""
    return {(model, data, pool): MUCH * signs.get(model, 1) * signs.get(data, 1) for model in PAIR for data in DATA}


def times(factor: float, planted: dict) -> dict:
    return {place: factor * effect for place, effect in planted.items()}


@pytest.fixture(autouse=True)
def fast_statsmodels(monkeypatch):
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels calls it for each family, 0.1 s a time


def verdict(rule, planted: dict, **how) -> str:
    return rule(results(np.random.default_rng(1), planted, **how)).verdict


def test_there_are_as_many_rules_as_their_p_values_are_corrected_for():
    decided = [one for one in claims.CLAIMS if one.source == "python -m helpers.experiments"]
    assert len(RULES) == len(decided) == rules.RULES
    assert rules.corrected([0.001, 0.002, 0.5]) == pytest.approx([0.015, 0.02, 1.0])  # Holm, times five


@pytest.mark.parametrize("planted, expected", [
    ({}, NO_DIFFERENCE),
    (plant(), "supported"),
    (plant("mean"), "supported"),
    (plant(gpt2=-1), NO_DIFFERENCE),  # an interaction only: on average there is nothing
])  # fmt: skip
def test_poolings_differ_where_a_difference_was_planted(planted, expected):
    assert verdict(rules.poolings_differ, planted) == expected


TURNS, GROWS = "supported", "depends: gaps change, but another best pooling is not shown"


@pytest.mark.parametrize("planted, of_model, of_data", [
    ({}, NO_DIFFERENCE, NO_DIFFERENCE),
    (plant(), NO_DIFFERENCE, NO_DIFFERENCE),  # a main effect only
    (plant(gpt2=-1), TURNS, NO_DIFFERENCE),
    (plant(rt=-1), NO_DIFFERENCE, TURNS),
    (plant(gpt2=0), GROWS, NO_DIFFERENCE),
    (plant(rt=0), NO_DIFFERENCE, GROWS),
    (times(2.5, plant("mean")) | plant(gpt2=-1), GROWS, NO_DIFFERENCE),  # the losers change places, the best stays
    (times(2.5, plant("mean")) | plant(rt=-1), NO_DIFFERENCE, GROWS),
])  # fmt: skip
def test_the_best_depends_on_something_only_where_the_order_turns_round(planted, of_model, of_data):
    assert verdict(rules.best_depends_on_model, planted) == of_model
    assert verdict(rules.best_depends_on_data, planted) == of_data


@pytest.mark.parametrize("bert, gpt2, expected", [
    (0.001, 0.001, TURNS),
    (0.002, 0.002, GROWS),  # times six tests times five rules; the tests of one end, or one rule, would leave it < 0.05
    (0.001, 0.5, GROWS), (0.5, 0.001, GROWS),
])  # fmt: skip
def test_both_ends_of_a_turn_have_to_be_shown_at_the_corrected_level(bert, gpt2, expected):
    def gaps(of_max: float, p: float) -> dict:
        """Max is ahead of the mean, or behind it; with the weighted sum between them nothing is shown."""
        values = dict(zip(rules.PAIRS, ((of_max, p), (of_max / 2, 1.0), (-of_max / 2, 1.0)), strict=True))
        return {pair: Contrast(Interval(value, 0, 0), p, 0.01, 30.0) for pair, (value, p) in values.items()}

    ends = {"bert": gaps(0.05, bert), "gpt2": gaps(-0.05, gpt2)}
    assert rules._turning(gaps(0.1, 1e-9), ends, results(np.random.default_rng(0))).verdict == expected


@pytest.mark.parametrize("planted, expected", [
    ({}, NO_DIFFERENCE),
    (plant(), "supported"),
    (plant(bert=-1), "refuted: max is beaten"),
    (plant() | plant("mean"), "depends: max beats weighted_sum, not shown for mean"),
    (plant("mean"), "refuted: max is beaten"),
    (plant(bert=0), NO_DIFFERENCE),  # on the GPT-2 only
])  # fmt: skip
def test_max_is_best_only_where_it_beats_both(planted, expected):
    assert verdict(rules.max_is_best, planted) == expected


@pytest.mark.parametrize("wild, expected", [
    ({"weighted_sum": 8}, "supported"), ({"mean": 8}, "refuted: it varies less"), ({}, NO_DIFFERENCE),
])  # fmt: skip
def test_a_larger_spread_is_found_in_twelve_cells(wild, expected):
    made = results(np.random.default_rng(2), wild=wild)
    found = rules.less_consistent(made)
    assert found.verdict == expected and found.evidence.n.item() == len(rules.spreads(made)) == 12
    right = {pool: ((runs > 0.5) == made.labels["rt"]).mean(axis=1) for pool, runs in
             made.predictions["gpt2", "frozen", "rt"].items()}  # fmt: skip
    alone = contrasts.spread(*rules._accuracies(made), [data for *_, data in made.planned])
    assert found.evidence.p.item() == pytest.approx(min(1, 5 * alone.p)), "corrected for five rules"
    effect = found.evidence.effect.item()
    ends = (alone.effect.low, alone.effect.value, alone.effect.high, alone.detectable(0.05 / 5))
    assert max(ends) < 0.999, "a contrast of nearly 1 would be cut off"
    ratios = [(1 + end) / (1 - end) for end in ends]
    assert [effect.low, effect.value, effect.high, found.evidence.detectable.item()] == pytest.approx(ratios)
    assert effect.low < effect.value < effect.high
    ratio = right["weighted_sum"].std(ddof=1) / right["mean"].std(ddof=1)
    assert rules.spreads(made).ratio["gpt2, frozen, rt"] == pytest.approx(ratio)


def test_an_unfinished_grid_decides_nothing_about_spreads():
    made = results(np.random.default_rng(3), wild={"weighted_sum": 8})
    del made.predictions["other", "frozen", "rt"]
    with pytest.raises(NotRun, match="1 of 12 cells are not complete, the first is other, frozen, rt"):
        rules.less_consistent(made)


def test_a_pooling_that_never_moves_is_no_crash():
    made = results(np.random.default_rng(3))
    made.predictions["bert", "frozen", "rt"]["mean"] = made.predictions["bert", "frozen", "rt"]["weighted_sum"] = (
        np.full((SEEDS, 500), 0.9)
    )
    assert rules.less_consistent(made).verdict == NO_DIFFERENCE


def test_the_row_that_decides_is_the_one_that_the_verdict_speaks_of():
    middle = results(np.random.default_rng(1), times(2, plant("mean")) | plant())
    found = rules.max_is_best(middle)  # max is far above the weighted sum, and below the mean
    assert found.verdict == "refuted: max is beaten" and found.evidence.test[found.deciding] == "max − mean"
    found = rules.max_is_best(results(np.random.default_rng(1), plant() | times(0.4, plant("mean"))))
    assert found.verdict == "supported" and found.evidence.test[found.deciding] == "max − mean", "the weaker one"
    turned = rules.best_depends_on_model(results(np.random.default_rng(1), plant(gpt2=-1)))
    best = {"bert": "max", "gpt2": "mean" if turned.evidence.gpt2[2].value > 0 else "weighted_sum"}
    assert turned.evidence.test[turned.deciding] == f"max − {best['gpt2']}"


def test_equal_methods_on_many_texts_are_shown_to_be_equal():
    """Two poolings that never differ by more than a text in a hundred, on 20,000 texts."""
    rng = np.random.default_rng(4)
    labels = {data: rng.integers(0, 2, 20_000) for data in DATA}
    base = {data: rng.random((SEEDS, 20_000)) for data in DATA}
    found = {(model, "fine-tuned", data): {
        pool: predictions(labels[data], base[data] + rng.normal(0, 0.01, 20_000) < 0.8) for pool in PAPER
    } for model in PAIR for data in DATA}  # fmt: skip
    made = Results(labels, found, PAIR, DATA, tuple(found))
    for rule in OF_GAPS:
        assert rule(made).verdict == "refuted: all differences are within 2 points"


def test_too_little_data_is_no_detectable_difference_and_says_what_it_could_have_seen():
    found = rules.poolings_differ(results(np.random.default_rng(5), {key: 0.1 for key in plant()}, n=40))
    assert found.verdict == NO_DIFFERENCE and found.evidence.detectable.min() > 0.08
    assert found.deciding == found.evidence.p.idxmin()


def evidence(p: list[float], p_equal: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"p": p, "p_equal": p_equal})


def test_all_differences_have_to_be_small_at_the_corrected_level():
    assert rules._no_effect(evidence([1, 1, 1], [0.04, 0.01, 0.02])).verdict == EQUAL
    assert rules._no_effect(evidence([1, 1, 1], [0.04, 0.01, 0.06])).verdict == NO_DIFFERENCE
    found = {("a", "b"): Contrast(Interval(0.0, 0, 0), 1.0, 0.01, 30.0)}
    made = rules._evidence(found, results(np.random.default_rng(0)))
    assert made.p_equal.item() == pytest.approx(5 * stats.t(30).sf(2)) and made.p_equal.item() > 0.05
    assert made.detectable.item() == found["a", "b"].detectable(0.01), "five rules of one test"


@pytest.mark.parametrize("rule", OF_GAPS)
def test_a_missing_cell_is_not_run(rule):
    made = results(np.random.default_rng(6))
    del made.predictions["bert", "fine-tuned", "rt"]
    with pytest.raises(NotRun, match="Fine-tuned bert on rt: some of its runs are missing"):
        rule(made)


def test_what_is_not_asked_for_may_be_missing():
    made = results(np.random.default_rng(6), plant())
    for data in DATA:
        del made.predictions["gpt2", "fine-tuned", data]
    assert rules.max_is_best(made).verdict == "supported"


def test_the_ends_of_a_change_are_its_gaps():
    made = results(np.random.default_rng(7), plant(gpt2=-1))
    found = rules.best_depends_on_model(made).evidence.iloc[0]
    assert found.test == "max − mean"
    assert found.effect.value == pytest.approx(found["bert"].value - found["gpt2"].value)
    means = {pool: np.mean([((made.predictions["bert", "fine-tuned", data][pool] > 0.5) == made.labels[data]).mean()
                            for data in DATA]) for pool in PAPER}  # fmt: skip
    assert found["bert"].value == pytest.approx(means["max"] - means["mean"])
    data = rules.best_depends_on_data(made).evidence.iloc[0]
    assert data.effect.value == pytest.approx(data["imdb"].value - data["rt"].value)


def test_grids_without_an_effect_get_a_verdict_in_at_most_one_of_twenty():
    """The whole procedure: any of the five rules. `benchmarks/verdicts.py` does the same with many more grids."""
    rng, grids = np.random.default_rng(8), 200
    called = np.array([[claims_an_effect(rule(results(rng, n=200)).verdict) for rule in RULES] for _ in range(grids)])
    assert called.any(axis=1).mean() <= 0.05 + slack(0.05, grids), called.mean(axis=0)


def claims_an_effect(verdict: str) -> bool:
    return verdict not in (NO_DIFFERENCE, EQUAL)
