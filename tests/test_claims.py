"""The ledger: every claim is there, what is not run says so, and one changed result changes its verdict."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers import claims, grid, records
from helpers.claims import CLAIMS, NOT_RUN, claim, judge, ledger
from helpers.records import NotRun, Table
from tests.test_rules import plant, times
from tools.made_up import results

GRID = ["C1a", "C1b", "C2a", "C2b", "C3"]
SETTINGS = replace(grid.SCALES["smoke"], labels={"imdb": (16, 32), "rotten_tomatoes": (16, 32)})


@pytest.fixture(autouse=True)
def two_numbers_of_labels(monkeypatch):
    """Claims are judged with the most labels, so there have to be fewer as well."""
    monkeypatch.setitem(grid.SCALES, "smoke", SETTINGS)


@pytest.fixture(autouse=True)
def fast_statsmodels(monkeypatch):
    monkeypatch.setattr("gc.collect", lambda: 0)  # statsmodels calls it for each family, 0.1 s a time


@pytest.fixture(scope="module")
def answers() -> dict[str, np.ndarray]:
    """The answers of each data set."""
    rng = np.random.default_rng(1)
    return {dataset: rng.integers(0, 2, 32) for dataset in SETTINGS.labels}


def fill(
    folder, answers, planted: float = 0.0, runs=lambda run: True,
    configuration=lambda run: "made up", precision=lambda run: "float32",
):  # fmt: skip
    """Rows and predictions as the grid would leave them; max is right on more of them, with the most labels."""
    table, rng = Table("smoke", folder), np.random.default_rng(0)
    for run in grid.plan(SETTINGS):
        if run.mode == "baseline" or run.model.endswith("-random") or not runs(run):
            continue
        labels = answers[run.dataset]
        best = run.pooling == "max" and run.mode == "fine-tuned" and run.labels == 32
        share = 0.6 + planted * best
        found = np.where((rng.random(len(labels)) < share) == (labels == 1), 2, -2).astype(np.float16)
        key = {name: getattr(run, name) for name in records.KEY}
        made = records.provenance(configuration(run), precision(run))
        table.add(key | records.measures(labels, found) | made, found, labels)
    return folder


def test_all_ten_claims_of_the_design_are_there_each_with_test_rule_and_source():
    assert {one.id.rstrip("ab") for one in CLAIMS} == {f"C{number}" for number in range(1, 11)}
    assert all(one.judge for one in CLAIMS) and len(GRID) == claims.rules.RULES
    assert {one.id for one in CLAIMS if "experiments" in one.source} == {*GRID, "C10"}
    for one in CLAIMS:
        assert all(len(part) > 10 for part in (one.sentence, one.test, one.rule, one.source)) and one.chapters
        assert one.rule.startswith("Supported:") and "Refuted:" in one.rule


def test_before_any_run_every_claim_says_that_it_has_not_been_run(tmp_path):
    found = ledger("smoke", tmp_path)
    assert list(found.index) == [one.id for one in CLAIMS] and set(found.verdict) == {NOT_RUN}
    assert found[["test", "effect", "p", "detectable", "n", "provenance"]].isna().all(axis=None)


def test_a_grid_fills_its_claims_and_no_others(tmp_path, answers):
    found = ledger("smoke", fill(tmp_path, answers))
    assert set(found.verdict[GRID]) == {"no detectable difference"} and set(found.verdict.drop(GRID)) == {NOT_RUN}
    row = found.loc["C1a"]
    assert row.n == sum(map(len, answers.values())) and row.scale == "smoke" and 0 < row.p <= 1
    assert row.effect.low < row.effect.value < row.effect.high and row.detectable > 0.1
    made = records.provenance("made up", "float32")
    assert row.provenance == "; ".join(made[told] for told in ("commit", "date", "hardware", "precision"))
    assert isinstance(row.n, int | np.integer)


def test_results_that_change_change_the_verdict(tmp_path, answers):
    fill(tmp_path, answers, planted=0.4)
    verdicts = ledger("smoke", tmp_path).verdict
    assert verdicts.C1a == verdicts.C2a == "supported" and verdicts.C1b == "no detectable difference"
    assert judge("C2a", "smoke", tmp_path).verdict == "supported"
    fill(tmp_path, answers, planted=-0.4)
    assert judge("C2a", "smoke", tmp_path).verdict == "refuted: max is beaten"


@pytest.mark.parametrize("turns_on, supported", [({"gpt2": -1}, "C1b"), ({"rt": -1}, "C3")])
def test_what_depends_on_the_model_is_not_what_depends_on_the_data(tmp_path, monkeypatch, turns_on, supported):
    made = results(np.random.default_rng(1), plant(**turns_on))
    monkeypatch.setattr(claims.rules, "read", lambda table, scale: made)
    verdicts = {number: judge(number, "smoke", tmp_path).verdict for number in ("C1b", "C3")}
    assert verdicts == dict.fromkeys(verdicts, "no detectable difference") | {supported: "supported"}


def test_the_ledger_shows_the_test_that_decides_in_its_unit(tmp_path, answers, monkeypatch):
    one = {"model": "mini-bert", "pooling": "max", "mode": "frozen", "dataset": "imdb", "labels": 32, "seed": 0}
    fill(tmp_path, answers, runs=lambda run: vars(run) == one)  # somewhere to come from
    made = results(np.random.default_rng(1), plant() | times(0.4, plant("weighted_sum")))
    monkeypatch.setattr(claims.rules, "read", lambda table, scale: made)
    found, evidence = ledger("smoke", tmp_path), claims.rules.max_is_best(made).evidence
    assert list(evidence.test) == ["max − mean", "max − weighted_sum"] and evidence.p[0] < evidence.p[1] < 0.05
    decides = ["test", "effect", "p", "detectable"]
    assert found.loc["C2a", decides].to_dict() == evidence.loc[1, decides].to_dict(), "the weaker one, not the first"
    assert found.unit[GRID].to_dict() == dict.fromkeys(GRID, "share") | {"C2b": "ratio"}


@pytest.mark.parametrize("missing", [{"seed": 2}, {"dataset": "imdb"}, {"pooling": "weighted_sum"}])
def test_a_grid_that_is_not_complete_decides_nothing_that_needs_the_rest(tmp_path, answers, missing):
    """No row is missing but the fine-tuned BERT's: what is said of it says so."""
    (name, value), = missing.items()
    gone = {"model": "mini-bert", "mode": "fine-tuned", name: value}
    fill(tmp_path, answers, runs=lambda run: any(getattr(run, key) != part for key, part in gone.items()))
    assert set(ledger("smoke", tmp_path).verdict) == {NOT_RUN}
    with pytest.raises(NotRun, match="mini-bert"):
        judge("C1b", "smoke", tmp_path)


def test_rows_of_an_older_configuration_decide_nothing(tmp_path, answers):
    fill(tmp_path, answers, configuration=lambda run: "old" if run.seed == 1 and run.model == "mini-gpt2" else "new")
    found = ledger("smoke", tmp_path).verdict
    assert found.C1a == found.C1b == found.C2b == found.C3 == NOT_RUN
    assert found.C2a == "no detectable difference", "it asks the BERT alone"


def test_rows_of_two_precisions_decide_nothing(tmp_path, answers):
    half = "mini-gpt2/max/fine-tuned"
    fill(tmp_path, answers, precision=lambda run: "bfloat16" if run.name.startswith(half) else "float32")
    found = ledger("smoke", tmp_path).verdict
    assert found.C1a == NOT_RUN and found.C2a == "no detectable difference"


def test_models_that_were_asked_about_different_texts_are_not_compared(tmp_path, answers):
    for model, labels in (("mini-bert", answers), ("mini-gpt2", answers | {"imdb": 1 - answers["imdb"]})):
        asked = {"model": model, "mode": "fine-tuned", "dataset": "imdb", "labels": 32}
        fill(tmp_path, labels, runs=lambda run, asked=asked: asked.items() <= vars(run).items())
    with pytest.raises(ValueError, match="about other test texts of imdb: run the grid to its end"):
        judge("C1a", "smoke", tmp_path)


def test_seeds_beyond_the_planned_ones_change_nothing(tmp_path, answers):
    before = ledger("smoke", fill(tmp_path, answers))
    table = Table("smoke", tmp_path)
    row = table.select(model="mini-bert", pooling="max", mode="fine-tuned", dataset="imdb", seed=0).iloc[0].to_dict()
    said = np.full(32, 2, np.float16)
    table.add(row | {"seed": 7} | records.measures(answers["imdb"], said), said, answers["imdb"])
    pd.testing.assert_frame_equal(ledger("smoke", tmp_path), before)


def test_names_that_are_wrong_or_not_built_yet():
    with pytest.raises(ValueError, match="There is no claim 'C2': take one of C1a, C1b, C2a"):
        claim("C2")
    with pytest.raises(NotRun, match="smoke has one size"):
        judge("C10", "smoke")
    assert pd.isna(ledger("full").loc["C10"].effect)
    with pytest.raises(NotRun, match="smollm2 compares no pair of models"):
        ledger("smollm2")
