"""The rules of chapter 7: made-up results of known truth get the right verdict, and none without an effect."""

import zlib
from dataclasses import asdict, astuple

import numpy as np
import pandas as pd
import pytest

from helpers import claims, contrasts, evaluation, grid, studies, task_rules
from helpers.records import NotRun

pytestmark = pytest.mark.slow

SETTINGS = grid.SCALES["smoke"]
MADE = {"seconds": 1.0, "commit": "made up", "date": "today", "hardware": "none", "precision": "float32"}
QUESTIONS, FUNCTIONS, TEXTS = 400, 80, 200
NONE = {"keyword": {}, "intent": {}, "summaries": {}}


def tables(folder, effects=NONE, seed=0, keep=lambda run: True):
    """Results in which some (pooling, mode) are better by so much, by the kind of question and in summaries."""
    intent, groups = np.arange(QUESTIONS) % 2 == 1, np.arange(QUESTIONS) // (QUESTIONS // FUNCTIONS)
    rng = np.random.default_rng(seed)
    own = rng.uniform(0.3, 0.6, FUNCTIONS)[groups]  # some functions are harder, for all alike
    text = rng.uniform(0.1, 0.3, TEXTS)
    for name in ("answers", "summaries"):
        table = studies.table(name, "smoke", folder)
        for run in filter(keep, studies.STUDIES[name].runs(SETTINGS)):
            better = {part: given.get((run.pooling, run.mode), 0.0) for part, given in effects.items()}
            rng = np.random.default_rng([seed, zlib.crc32(str(astuple(run)).encode())])  # other runs change nothing
            luck = rng.normal(0, 0.005)
            if name == "answers":
                mrr = own + np.where(intent, better["intent"], better["keyword"]) + rng.normal(0, 0.1, QUESTIONS) + luck
                parts = {"quality": np.stack([mrr, -mrr]).astype(np.float32), "intent": intent, "groups": groups,
                         "names": np.arange(QUESTIONS)}  # fmt: skip
            else:
                rouge = text + better["summaries"] + rng.normal(0, 0.05, TEXTS) + luck
                parts = {"rouge": np.stack([rouge, -rouge, -rouge], axis=-1), "chosen": np.zeros(TEXTS)}
            table.put(asdict(run) | MADE | {"configuration": "made up"}, parts)
    return folder


def planted(sign):
    return {"keyword": {("max", "trained"): sign * 0.08, ("weighted_sum", "trained"): sign * 0.2},
            "intent": {("mean", "trained"): sign * 0.08, ("weighted_sum", "trained"): sign * 0.2},
            "summaries": {("mean", "trained"): sign * 0.06, ("mean", "generic"): sign * 0.06}}  # fmt: skip


def test_what_is_planted_is_found(tmp_path):
    tables(tmp_path, planted(1))
    found = task_rules.question_answering("smoke", tmp_path)
    assert found.verdict == "supported"
    # 0.08 on one kind; over all questions 0.2 less half of 0.08
    assert [one.value for one in found.evidence.effect] == pytest.approx([0.08, 0.08, 0.16, 0.16], abs=0.02)
    assert found.evidence.n.tolist() == [FUNCTIONS] * 4
    found = task_rules.summarizing("smoke", tmp_path)
    assert found.verdict == "supported" and found.evidence.n.tolist() == [TEXTS, TEXTS]
    assert [one.value for one in found.evidence.effect] == pytest.approx([0.06, 0.06], abs=0.01)


def test_the_opposite_refutes(tmp_path):
    tables(tmp_path, planted(-1))
    assert task_rules.question_answering("smoke", tmp_path).verdict.startswith("refuted: max leads on intents")
    assert task_rules.summarizing("smoke", tmp_path).verdict == "refuted: max chooses better"


def test_made_for_the_task_has_to_win_on_both(tmp_path):
    better = {("asked_sum", "trained"): 0.08}
    for number, (effects, verdict) in enumerate([
        ({"keyword": better, "intent": better, "summaries": better}, "supported"),
        (NONE | {"keyword": better, "intent": better}, "depends: shown only asked_sum − mean, answers +"),
    ]):  # fmt: skip
        (tmp_path / str(number)).mkdir()
        found = task_rules.made_for_the_task("smoke", tables(tmp_path / str(number), effects))
        assert found.verdict.startswith(verdict) and found.evidence.n.tolist() == [FUNCTIONS, TEXTS]
        assert found.evidence.effect[0].value == pytest.approx(0.08, abs=0.02)


def test_without_an_effect_nothing_is_claimed(tmp_path):
    """8 made-up worlds x 3 rules, each at 1.7%: three or more happen in 1 of 150."""
    wrong = 0
    for seed in range(8):
        (tmp_path / str(seed)).mkdir()
        folder = tables(tmp_path / str(seed), seed=seed)
        for rule in (task_rules.question_answering, task_rules.summarizing, task_rules.made_for_the_task):
            wrong += rule("smoke", folder).verdict != "no detectable difference"
    assert wrong < 3


@pytest.mark.parametrize("kin", ["groups", "names"])
def test_functions_and_names_are_the_sample_not_questions(tmp_path, kin):
    """Copies of each question bring nothing new, whether they are about one function or about one name."""
    effects = []
    for times in (1, 10):
        folder = tmp_path / str(times)
        folder.mkdir()
        table = studies.table("answers", "smoke", folder)
        rng = np.random.default_rng(0)
        for run in studies.STUDIES["answers"].runs(SETTINGS):
            mrr = rng.uniform(0, 1, 80).repeat(times)
            alone, together = np.arange(80 * times), (np.arange(80) // 4).repeat(times)
            table.put(asdict(run) | MADE | {"configuration": "made up"}, {
                "quality": np.stack([mrr, mrr]), "intent": (np.arange(80) % 2 == 1).repeat(times),
                "groups": together if kin == "groups" else alone, "names": together if kin == "names" else alone,
            })  # fmt: skip
        effects.append(task_rules.question_answering("smoke", folder).evidence.effect)
    assert [str(one) for one in effects[0]] == [str(one) for one in effects[1]]


def test_what_is_not_complete_decides_nothing(tmp_path):
    for rule in (task_rules.question_answering, task_rules.summarizing, task_rules.made_for_the_task):
        with pytest.raises(NotRun):
            rule("smoke", tmp_path)
    tables(tmp_path, keep=lambda run: run.seed != 2)
    for rule in (task_rules.question_answering, task_rules.summarizing, task_rules.made_for_the_task):
        with pytest.raises(NotRun, match="are missing"):
            rule("smoke", tmp_path)
    assert set(claims.ledger("smoke", tmp_path).verdict) == {claims.NOT_RUN}


def test_what_was_computed_in_two_precisions_decides_nothing(tmp_path):
    tables(tmp_path)
    path = tmp_path / "answers_smoke.csv"
    frame = pd.read_csv(path)
    frame.assign(precision=["bfloat16" if seed else "float32" for seed in frame.seed]).to_csv(path, index=False)
    with pytest.raises(ValueError, match="answers: the runs of .* were computed in bfloat16 and float32"):
        task_rules.question_answering("smoke", tmp_path)


def test_the_ledger_holds_the_verdicts(tmp_path):
    found = claims.ledger("smoke", tables(tmp_path, planted(1)))
    assert (found.verdict[["C6", "C7"]] == "supported").all() and found.verdict.C4 == claims.NOT_RUN
    assert found.unit.C6 == "share" and found.provenance.C7 == "made up; today; none; float32"


def test_p_values_are_corrected_for_the_tests_of_a_rule_and_for_three_rules(tmp_path):
    tables(tmp_path, {"keyword": {("max", "trained"): 0.02}, "intent": {}, "summaries": {}})
    found = task_rules.question_answering("smoke", tmp_path).evidence
    table = studies.table("answers", "smoke", tmp_path)
    gaps = {pool: task_rules.reciprocal_ranks(table, "smoke", pool, "trained")
            for pool in ("max", "mean", "weighted_sum")}  # fmt: skip
    intent, groups = np.arange(QUESTIONS) % 2 == 1, np.arange(QUESTIONS) // (QUESTIONS // FUNCTIONS)
    every = np.ones_like(intent)
    raw = [contrasts.over_crossed((gaps[a] - gaps[b])[:, rows], groups[rows], np.flatnonzero(rows)).p
           for a, b, rows in (("max", "mean", ~intent), ("mean", "max", intent), ("weighted_sum", "mean", every),
                              ("weighted_sum", "max", every))]  # fmt: skip
    assert found.p.tolist() == pytest.approx(np.minimum(1, 3 * evaluation.holm(np.array(raw))).tolist())


@pytest.mark.parametrize("column, value, told", [
    ("configuration", "older", "of different configurations"), ("names", 7, "are about different texts|not hold"),
])  # fmt: skip
def test_rows_of_another_making_are_not_compared(tmp_path, column, value, told):
    """The mean's rows were left from an older run: complete, and alike among themselves."""
    tables(tmp_path, planted(1))
    path = tmp_path / "answers_smoke.csv"
    frame = pd.read_csv(path)
    frame.loc[(frame.pooling == "mean") & (frame["mode"] == "trained"), column] = value
    frame.to_csv(path, index=False)
    with pytest.raises(ValueError, match=told):  # NotRun is one
        task_rules.question_answering("smoke", tmp_path)
