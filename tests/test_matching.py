"""Matching: untrained it is the generic pooling, ranks are right with ties, and what is planted is learned."""

import dataclasses

import datasets
import numpy as np
import pytest
import torch

from helpers import matching, pooling
from helpers.matching import Asked, Matcher, reciprocal_ranks

pytestmark = pytest.mark.usefixtures("own_cache", "in_float32")


def states(n: int, places: int, dim: int, seed: int, lengths: list[int] | None = None):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor(lengths or [places] * n)
    mask = torch.arange(places) < lengths.unsqueeze(1)
    return torch.randn(n, places, dim, generator=generator).masked_fill(~mask.unsqueeze(-1), 0.0), mask


@pytest.mark.parametrize("name", ["mean", "max", "first", "weighted_sum"])
def test_untrained_it_is_the_cosine_of_the_generic_vectors(name):
    module, asked, own = pooling.make(name, 8), states(2, 5, 8, 0, [5, 3]), states(3, 6, 8, 1, [6, 2, 4])
    found = Matcher(module, 8)(asked, own)
    expected = torch.nn.functional.cosine_similarity(module(*asked).unsqueeze(1), module(*own).unsqueeze(0), dim=-1)
    assert found.shape == (2, 3) and torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("heads", [1, 4])
def test_untrained_and_asked_it_is_the_mean_whatever_stands_in_padding(heads):
    asked, (own, mask) = states(2, 5, 8, 0), states(3, 6, 8, 1, [6, 2, 4])
    mean = Matcher(pooling.Mean(), 8)(asked, (own, mask))
    model = Asked(pooling.Mean(), 8, heads)
    assert torch.allclose(model(asked, (own, mask)), mean, atol=1e-6)
    torch.nn.init.normal_(model.query.weight, generator=torch.Generator().manual_seed(0))
    before = model(asked, (own, mask))
    for fill in (99.0, float("nan")):
        assert torch.allclose(model(asked, (own.masked_fill(~mask.unsqueeze(-1), fill), mask)), before, atol=1e-6)
    assert not torch.allclose(before, mean, atol=1e-3)


def test_the_weights_depend_on_the_question_and_sum_to_one():
    asked, (own, mask) = states(2, 5, 8, 0), states(3, 6, 8, 1, [6, 2, 4])
    model = Asked(pooling.Mean(), 8, heads=2)
    torch.nn.init.normal_(model.query.weight, generator=torch.Generator().manual_seed(0))
    weights = model.weights(model.pooling(*asked), own, mask)
    assert weights.shape == (2, 3, 6, 2) and torch.allclose(weights.sum(dim=2), torch.ones(2, 3, 2))
    assert (weights[:, ~mask] == 0).all() and not torch.allclose(weights[0], weights[1], atol=1e-3)
    # By hand: the softmax over real tokens of the mapped question times the token, over the root of their size.
    question = model.query(model.pooling(*asked))[0, :4]
    scores = torch.stack([question @ own[2, place, :4] / 2 for place in range(4)])
    assert torch.allclose(weights[0, 2, :4, 0], scores.softmax(0), atol=1e-6)


def test_heads_have_to_fit():
    with pytest.raises(ValueError, match="3 heads do not divide 8 dimensions"):
        Asked(pooling.Mean(), 8, heads=3)


class Given:
    """Ranks need only the rows and the answers."""

    rows, answers = [([0, 1], [0, 1, 2]), ([2], [3, 4])], np.array([0, 2, 1])


def test_ranks_by_hand_and_among_equals_what_is_expected():
    found = [torch.tensor([[0.9, 0.1, 0.2], [0.5, 0.5, 0.5]]), torch.tensor([[0.7, 0.1]])]
    assert reciprocal_ranks(found, Given).tolist() == pytest.approx([1.0, (1 + 1 / 2 + 1 / 3) / 3, 0.5])


@pytest.fixture
def made(bert):
    """The answer holds the word that the question asks for; elsewhere stands another one."""
    words = ["warm", "dull", "slow", "fine"]
    rows = []
    rng = np.random.default_rng(0)
    for group in range(30):
        own = [f"the {word} {' '.join(rng.choice(['film', 'end', 'it', 'of'], 2))}" for word in rng.permutation(words)]
        rows += [{"question": f"is it {own[number].split()[1]}", "candidates": own, "answer": number, "kind": "keyword",
                  "group": str(group)} for number in range(4)]  # fmt: skip
    found = datasets.Dataset.from_list(rows)
    parts = (range(80), range(80, 100), range(100, 120))
    return [matching.sets(bert, found.select(part), 32) for part in parts]


def test_sets_hold_each_candidate_once(made):
    train = made[0]
    assert len(train.rows) == 20 and len(train.candidates) == 80 and len(train.questions) == 80
    assert train.rows[1] == ([4, 5, 6, 7], [4, 5, 6, 7]) and train.answers[:5].tolist() == [0, 1, 2, 3, 0]


@pytest.mark.parametrize("kind", [Matcher, Asked])
def test_training_finds_what_decides_and_leaves_the_callers_model_as_it_was(made, bert, kind):
    train, validation, test = made
    generic = kind(pooling.Mean(), bert.dim)
    before = reciprocal_ranks(matching.scores(generic, test), test).mean()
    trained = matching.fit(generic, train, validation, seed=0)
    after = reciprocal_ranks(matching.scores(trained, test), test).mean()
    assert after > max(0.9, before) and torch.equal(generic.map.weight, torch.eye(bert.dim))
    again = matching.fit(generic, train, validation, seed=0)
    assert torch.equal(again.map.weight, trained.map.weight), "the same seed, the same model"


def test_the_round_is_chosen_by_the_validation_sets(made, bert, monkeypatch):
    """Their answers are wrong: whoever learns from the training sets only gets worse there."""
    train, validation, _ = made
    turned = dataclasses.replace(validation, answers=(validation.answers + 1) % 4)
    generic = Matcher(pooling.Mean(), bert.dim)
    kept, chosen = (matching.fit(generic, train, part, seed=0) for part in (validation, turned))
    assert matching._quality(kept, train) > matching._quality(chosen, train) + 0.1


def test_a_round_that_is_worse_than_none_is_not_kept(made, bert, monkeypatch):
    monkeypatch.setattr(matching, "LEARNING_RATE", 10.0)
    monkeypatch.setattr(matching, "ROUNDS", 2)
    train, validation, _ = made
    generic = Matcher(pooling.Mean(), bert.dim)
    kept = matching.fit(generic, train, validation, seed=0)
    assert matching._quality(kept, validation) >= matching._quality(generic, validation)
