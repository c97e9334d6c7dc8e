"""Chapter 7's runs: the right candidates are scored, once, and what is kept is what was measured."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers import grid, matching, pooling, studies, task_studies, tasks, yardsticks
from helpers.task_studies import TaskRun
from tests.inline import Inline

pytestmark = pytest.mark.slow

FLOAT16 = 2**-10  # what the cache of states keeps of a number of size one


@pytest.fixture(scope="module", autouse=True)
def one_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def tiny(tiny_bert, in_float32, monkeypatch) -> grid.Settings:
    """A tiny random model on the twelve functions of `smoke`, and a short training."""
    settings = replace(grid.SCALES["smoke"], rates={str(tiny_bert): 1e-3}, pair=(str(tiny_bert),), seeds=2)
    monkeypatch.setitem(grid.SCALES, "smoke", settings)
    monkeypatch.setattr(studies, "ProcessPoolExecutor", Inline)
    monkeypatch.setattr(task_studies, "TRAINED", ("mean", "weighted_sum", "asked_sum"))
    monkeypatch.setattr(task_studies, "GENERIC", ("mean", "max"))
    monkeypatch.setattr(task_studies, "LENGTH", 48)
    monkeypatch.setattr(matching, "ROUNDS", 1)
    for function in (task_studies.sets, grid.encoder_of):  # a process-wide memory of another test's model
        function.cache_clear()
    return settings


def test_each_run_is_made_once_and_kept(tiny, tmp_path, monkeypatch):
    made, answer = [], studies.answer
    monkeypatch.setattr(studies, "answer", lambda *given: made.append(given[:2]) or answer(*given))
    for _ in range(2):
        studies.main(["--scale", "smoke", "--out", str(tmp_path), "--only", "answers", "summaries"])
    assert made == [(name, run) for name in ("answers", "summaries") for run in studies.STUDIES[name].runs(tiny)]
    assert len(made) == (3 + 2 + 3 * 2) + (4 + 2 + 3 * 2)
    table, found = studies.table("answers", "smoke", tmp_path), tasks.answer_selection("test", "smoke")
    for row in table.rows.to_dict("records"):
        assert table.array(row, "quality").shape == (2, len(found))
        assert (table.array(row, "intent") == (np.array(found["kind"]) == "intent")).all()
        groups = table.array(row, "groups")
        first = [one == found["group"][0] for one in found["group"]]
        assert (groups == groups[0]).tolist() == first
        names = table.array(row, "names")
        assert (names == names[0]).tolist() == [one == found["asked"][0] for one in found["asked"]]
    size = (tmp_path / "answers_smoke.safetensors").stat().st_size
    assert size < len(table.rows) * len(found) * 2 * 4 + len(found) * 4 + 4000, "what all share is kept once"


def test_baselines_are_what_they_are_called(tiny):
    found = tasks.answer_selection("test", "smoke")
    sizes = np.array([len(own) for own in found["candidates"]])
    random = task_studies._answers(TaskRun("random", "none", "baseline", 0), tiny)["quality"]
    assert random[0] == pytest.approx([np.mean(1 / np.arange(1, size + 1)) for size in sizes], abs=1e-6)
    assert random[1] == pytest.approx(1 / sizes, abs=1e-6)
    texts = task_studies.summaries("test", "smoke")
    rouge = {name: task_studies._summaries(TaskRun(name, "none", "baseline", 0), tiny)
             for name in task_studies.BASELINES["summaries"]}  # fmt: skip
    for row, (summary, parts) in enumerate(zip(texts["summary"], texts["sentences"], strict=True)):
        worth = yardsticks.rouge(summary, parts)
        assert rouge["lead"]["rouge"][row] == pytest.approx(worth[0], abs=1e-6)
        assert rouge["oracle"]["rouge"][row, 0] == pytest.approx(worth[:, 0].max(), abs=1e-6)
        assert rouge["random"]["rouge"][row] == pytest.approx(worth.mean(axis=0), abs=1e-6)
        chosen = rouge["central"]["chosen"][row]
        assert rouge["central"]["rouge"][row] == pytest.approx(worth[chosen], abs=1e-6)


def test_who_does_not_choose_is_worth_a_random_sentence_and_not_the_lead(tiny, monkeypatch):
    (model,) = tiny.rates
    texts = task_studies.summaries("test", "smoke")
    scores = [np.zeros(len(own)) for own in texts["sentences"]]
    scores[0][-1] = 1.0
    monkeypatch.setattr(task_studies, "_scores", lambda *given: scores)
    found = task_studies._summaries(TaskRun(model, "mean", "generic", 0), tiny)
    random = task_studies._summaries(TaskRun("random", "none", "baseline", 0), tiny)
    assert found["rouge"][1:].tolist() == random["rouge"][1:].tolist()
    assert found["chosen"].tolist() == [len(scores[0]) - 1] + [task_studies.NO_CHOICE] * (len(texts) - 1)
    assert found["rouge"][0] == pytest.approx(texts["rouge"][0][-1], abs=1e-6)


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_generic_scores_are_cosines_in_the_order_of_the_questions(tiny, pool):
    """Each question alone, from its own texts: no batch, no cache, no set."""
    (model,) = tiny.rates
    found, encoder = tasks.answer_selection("test", "smoke"), grid.encoder_of(model)
    scores = task_studies._scores("answers", TaskRun(model, pool, "generic", 0), tiny)
    assert len(scores) == len(found)

    def vector(text):
        ids, mask = encoder.pad(encoder.tokens([text], 48))
        with torch.no_grad():
            states = encoder.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return pooling.make(pool, encoder.dim)(states, mask)[0]

    for row in (0, len(found) - 1):
        expected = [torch.cosine_similarity(vector(found[row]["question"]), vector(text), dim=0)
                    for text in found[row]["candidates"]]  # fmt: skip
        assert scores[row] == pytest.approx(np.array(expected), abs=4 * FLOAT16)


def test_seeds_draw_what_is_learned_from_and_only_training_sets_are_learned_from(tiny, monkeypatch):
    (model,) = tiny.rates
    monkeypatch.setattr(task_studies, "TRAIN", {"answers": 5, "summaries": 4})
    monkeypatch.setattr(task_studies, "VALIDATION", {"answers": 3, "summaries": 3})
    given = []
    monkeypatch.setattr(matching, "fit", lambda *parts: given.append(parts) or parts[0])
    for seed in (0, 1):
        task_studies.fit("answers", TaskRun(model, "mean", "trained", seed), tiny)
    task_studies.fit("answers", TaskRun(model, "mean", "generic", 0), tiny)
    assert len(given) == 2, "a generic matcher is not trained"
    (_, one, validation, seed), (_, other, _, other_seed) = given
    assert len(one.rows) == len(other.rows) == 5 and one.rows != other.rows and (seed, other_seed) == (0, 1)
    train = task_studies.sets("answers", "train", model, "smoke")
    assert one.questions is train.questions and all(row in train.rows for row in one.rows + other.rows)
    own = task_studies.sets("answers", "validation", model, "smoke")
    assert validation.questions is own.questions and validation.rows == own.rows[:3]


def test_another_budget_is_another_configuration_for_what_is_trained(tiny, monkeypatch):
    study, (model,) = studies.STUDIES["answers"], tiny.rates
    runs = {mode: TaskRun(model, "mean", mode, 0) for mode in ("generic", "trained")} | {
        "baseline": TaskRun("bm25", "none", "baseline", 0)}  # fmt: skip
    before = {mode: study.configuration(run, tiny) for mode, run in runs.items()}
    monkeypatch.setattr(matching, "ROUNDS", 7)
    after = {mode: study.configuration(run, tiny) for mode, run in runs.items()}
    assert {mode for mode in runs if before[mode] != after[mode]} == {"trained"}
    for name, value in (("TRAIN", {"answers": 7}), ("VALIDATION", {"answers": 7})):
        with monkeypatch.context() as patch:
            patch.setattr(task_studies, name, value)
            assert study.configuration(runs["trained"], tiny) != after["trained"]
    monkeypatch.setattr(matching, "TEMPERATURE", 7.0)
    assert study.configuration(runs["trained"], tiny) != after["trained"]
    monkeypatch.setattr(task_studies, "texts", lambda task, scale: ["other texts"])
    assert all(study.configuration(run, tiny) != after[mode] for mode, run in runs.items())


def test_a_configuration_follows_from_every_column_of_every_split(tiny):
    """Kinds, groups and summaries decide results as texts do."""
    said = "\n".join(task_studies.texts("answers", "smoke") + task_studies.texts("summaries", "smoke"))
    for split in tasks.SPLITS:
        row, text = tasks.answer_selection(split, "smoke")[0], tasks.summaries(split, "smoke")[0]
        for column, value in [*row.items(), *text.items()]:
            assert json.dumps({column: value})[1:-1] in said, column


def test_a_text_is_asked_and_never_its_summary(tiny):
    for row in task_studies.summaries("test", "smoke"):
        assert row["question"] == " ".join(row["sentences"]) and row["candidates"] == row["sentences"]
        assert row["summary"] not in row["question"]


def test_heads_and_the_questions_pooling_are_as_the_names_say():
    found = {name: task_studies.matcher(name, 8) for name in (*task_studies.ASKED, "max")}
    assert [found[name].heads for name in task_studies.ASKED] == [1, 4, 1]
    kinds = [type(one.pooling) for one in found.values()]
    assert kinds == [pooling.Mean, pooling.Mean, pooling.WeightedSum, pooling.Max]
