"""Chapter 8's runs: is an answer's rank what it is called, and what is served what its name says?"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers import grid, making, matching, pooling, recipes, serving_studies, studies, task_studies, tasks, yardsticks
from helpers.serving_studies import DOT, MADE_FOR, RIGHT, SERVED, SKIPPED, MatcherRun, MistakeRun, mistakes
from helpers.task_studies import TaskRun
from tests.inline import Inline

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def one_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def tiny(tiny_bert, in_float32, monkeypatch) -> grid.Settings:
    """A tiny random model on the twelve functions of `smoke`, and a short training."""
    model = str(tiny_bert)
    settings = replace(grid.SCALES["smoke"], rates={model: 1e-3}, pair=(model,), seeds=1)
    monkeypatch.setitem(grid.SCALES, "smoke", settings)
    monkeypatch.setattr(studies, "ProcessPoolExecutor", Inline)
    monkeypatch.setattr(serving_studies, "PUBLISHED", (model,))
    monkeypatch.setattr(task_studies, "LENGTH", 48)
    monkeypatch.setattr(matching, "ROUNDS", 1)
    for function in (task_studies.sets, grid.encoder_of, serving_studies._texts):
        function.cache_clear()
    return settings


def assert_ranks(ranks: np.ndarray, expected: np.ndarray) -> None:
    """Compare ranks with expected reciprocal ranks, where no tie makes these an average."""
    untied = np.isclose(1 / expected, np.round(1 / expected))
    assert untied.mean() > 0.8
    np.testing.assert_allclose(1 / ranks[untied], expected[untied], rtol=1e-6)


def test_a_rank_counts_from_one_and_draws_among_equals():
    scores, rng = np.array([0.3, 0.9, 0.3, 0.1]), np.random.default_rng(0)
    assert yardsticks.rank(scores, 1, rng) == 1 and yardsticks.rank(scores, 3, rng) == 4
    drawn = [yardsticks.rank(scores, 0, rng) for _ in range(400)]
    assert set(drawn) == {2, 3}
    assert abs(np.mean(drawn) - 2.5) < 5 * 0.5 / 400**0.5  # five standard errors of a fair coin


def test_every_way_of_serving_is_kept_and_the_right_one_is_what_was_trained(tiny, tmp_path):
    studies.main(["--scale", "smoke", "--out", str(tmp_path), "--only", "served"])
    table, (model,) = studies.table("served", "smoke", tmp_path), tiny.rates
    assert len(table.rows) == len(MADE_FOR)
    for row in table.rows.to_dict("records"):
        ranks = table.array(row, "ranks")
        assert ranks.shape == (len(SERVED), len(tasks.answer_selection("test", "smoke")))
        trained = task_studies.fit("answers", TaskRun(model, row["trained"], "trained", 0), tiny)
        given = task_studies.sets("answers", "test", model, "smoke")
        expected = matching.reciprocal_ranks(matching.scores(trained, given), given)
        assert_ranks(ranks[SERVED.index(row["trained"])], expected)


def test_the_map_that_is_skipped_is_the_generic_pooling(tiny):
    (model,) = tiny.rates
    found = serving_studies._matcher(MatcherRun(model, "max", 0), tiny)["ranks"][SERVED.index(SKIPPED)]
    given, dim = task_studies.sets("answers", "test", model, "smoke"), grid.encoder_of(model).dim
    generic = matching.Matcher(pooling.Max(), dim)
    assert_ranks(found, matching.reciprocal_ranks(matching.scores(generic, given), given))


def test_a_mistake_is_its_recipe_on_each_functions_texts(tiny):
    (model,) = tiny.rates
    given = task_studies.sets("answers", "test", model, "smoke")
    encoder, found = grid.encoder_of(model), tasks.answer_selection("test", "smoke")
    group = found["group"][0]
    asked = [row for row, name in enumerate(found["group"]) if name == group]
    questions, candidates = [found["question"][row] for row in asked], found["candidates"][0]
    all_ranks = serving_studies._mistake(MistakeRun(model, 0), tiny)["ranks"]
    assert all_ranks.shape == (len(mistakes(2)), len(found))
    for name, ranks in zip(mistakes(2), all_ranks, strict=True):
        if name not in (RIGHT, DOT, "max", "mean, padding counted", "mean, no mask at all"):
            continue
        whole = recipes.Model(encoder)
        own = making.vectors(whole, mistakes(encoder.layers)[name], [questions, candidates])
        scores = own[: len(questions)] @ own[len(questions) :].T
        expected = [yardsticks.reciprocal_rank(row.numpy(), answer)
                    for row, answer in zip(scores, given.answers[asked], strict=True)]  # fmt: skip
        assert_ranks(ranks[asked], np.array(expected))


def test_the_dot_product_is_another_ranking_than_the_cosine():
    questions, candidates = torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0, 2.0], [9.0, 0.0]])
    assert serving_studies._alike(questions, candidates, RIGHT).argmax() == 0
    assert serving_studies._alike(questions, candidates, DOT).argmax() == 1


def test_each_mistake_is_a_recipe_of_its_own():
    assert len(set(mistakes(2).values())) == len(mistakes(2)) and next(iter(mistakes(2))) == RIGHT


def test_another_recipe_is_another_configuration(tiny, monkeypatch):
    run = MistakeRun(next(iter(tiny.rates)), 0)
    before, changed = serving_studies._of_mistake(run, tiny), mistakes(2)
    changed["max"] = replace(changed["max"], normalized=False)
    monkeypatch.setattr(serving_studies, "mistakes", lambda layers: changed)
    assert serving_studies._of_mistake(run, tiny) != before
