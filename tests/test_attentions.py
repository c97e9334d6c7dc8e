"""The relatives of attention pooling: equal to a loop over their definition, with the properties of all poolings."""

import math

import pytest
import torch
from hypothesis import given

from helpers import attentions, pooling
from helpers.attentions import GatedAttention, LatentAttention, make
from tests import test_pooling as properties
from tests.test_pooling import DIM, alone, cases, dot, same, softmax, with_weights

SUMS = 1e-4  # sums of up to 64 products, ten times as long as those of the other poolings
each = pytest.mark.parametrize("name", attentions.NAMES)


def linear(layer: torch.nn.Linear, row: list[float]) -> list[float]:
    return [dot(own, row) + bias for own, bias in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)]


def by_hand(pooling: pooling.Pooling, tokens: torch.Tensor) -> torch.Tensor:
    rows = tokens.double().tolist()
    if isinstance(pooling, GatedAttention):
        scores = []
        for row in rows:
            what, gate = (linear(layer, row) for layer in (pooling.what, pooling.gate))
            seen = [math.tanh(a) / (1 + math.exp(-b)) for a, b in zip(what, gate, strict=True)]
            scores.append(dot(seen, pooling.score.tolist()))
        weights = softmax(scores)
        return torch.tensor([dot(weights, column) for column in zip(*rows, strict=True)])
    keys, values = pooling.keys.tolist(), pooling.values.tolist()
    found = []
    for row in rows:
        weights = softmax([dot(row, key) / math.sqrt(len(row)) for key in keys])
        looked = [dot(weights, column) for column in zip(*values, strict=True)]
        found.append([a + b for a, b in zip(row, looked, strict=True)])
    return torch.tensor([sum(column) / len(found) for column in zip(*found, strict=True)])


@each
def test_it_equals_a_loop_over_its_definition(name):
    @given(cases())
    def search(case) -> None:
        module = with_weights(make(name, DIM), case.seed)
        expected = torch.stack([by_hand(module, tokens) for tokens in case.rows]).float()
        same(module(case.states, case.mask), expected, SUMS)

    search()


@each
@pytest.mark.parametrize("property_", [
    properties.padding_changes_nothing, properties.neighbours_change_nothing, properties.order_changes_nothing,
    properties.gradients_stay_with_real_tokens, properties.caller_keeps_its_tensors,
])  # fmt: skip
def test_it_has_the_properties_of_all(name, property_):
    properties.holds(property_, make(name, DIM))


@each
def test_it_begins_as_the_mean_always_in_the_same_way_and_learns(name):
    torch.manual_seed(1)
    one = make(name, DIM)
    torch.manual_seed(2)
    other = make(name, DIM)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    tokens = torch.randn(5, DIM, generator=torch.Generator().manual_seed(0))
    same(alone(one, tokens), tokens.mean(dim=0))
    alone(one, tokens).square().sum().backward()
    learned = {"gated": one.score if name == "gated" else None, "latent": getattr(one, "values", None)}[name]
    assert learned.grad.abs().sum() > 0, "what begins at zero moves at once"


def test_the_others_are_made_too_and_a_slip_is_named():
    assert isinstance(make("mean", DIM), pooling.Mean) and isinstance(make("latent", DIM), LatentAttention)
    with pytest.raises(ValueError, match="Unknown pooling 'gate'"):
        make("gate", DIM)
