"""Explanations: their parts sum to the answer, they find what was planted, and they say where they cannot."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers import encoders, explain, pooling
from helpers.classifiers import Classifier, Normed, frozen
from helpers.faithfulness import concentration
from helpers.heads import PooledProbe, Probe
from tests.bag import DIM, classifier

pytestmark = pytest.mark.usefixtures("own_cache", "in_float32")

#: The issue's bound: float32 sums over some dozen tokens and dimensions.
FLOAT32 = 1e-4
EXACT = [name for name in pooling.NAMES if name != "generalized_mean"]


def batch(seed: int, left: bool, n: int = 5, places: int = 9, dim: int = DIM) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(places) < torch.randint(1, places + 1, (n, 1), generator=generator)
    states = torch.randn(n, places, dim, generator=generator).masked_fill(~mask.unsqueeze(-1), float("nan"))
    return (states.flip(1), mask.flip(1)) if left else (states, mask)


def learned(module: torch.nn.Module, seed: int) -> torch.nn.Module:
    """The same module with random weights: at their start, all learned poolings are the mean."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module.eval()


def head(kind: type, vectors: torch.Tensor, seed: int) -> Probe | Normed:
    return learned(kind(vectors) if kind is Probe else kind(vectors.mean(dim=0)), seed)


@pytest.mark.parametrize("kind", [Probe, Normed])
@pytest.mark.parametrize("name", EXACT)
@given(seed=st.integers(0, 10_000), left=st.booleans())
def test_the_parts_and_the_bias_sum_to_the_log_odds(name, kind, seed, left):
    states, mask = batch(seed, left)
    module = learned(pooling.make(name, DIM), seed + 1)
    pooled = module(states, mask)
    own = head(kind, pooled + torch.randn(pooled.shape, generator=torch.Generator().manual_seed(seed)), seed + 2)
    parts = explain.contributions(states, mask, module, own)
    assert parts.shape == mask.shape and (parts[~mask] == 0).all()
    assert torch.allclose(parts.sum(dim=1) + own.linear.bias, own(pooled), atol=FLOAT32, rtol=1e-5)
    origin = torch.randn(pooled.shape[1], generator=torch.Generator().manual_seed(seed + 3))
    parts = explain.contributions(states, mask, module, own, origin)
    rest = explain.answer_at(pooled, own, origin)
    assert torch.allclose(parts.sum(dim=1) + rest, own(pooled), atol=FLOAT32, rtol=1e-5)


@pytest.mark.parametrize("name", EXACT)
def test_the_parts_are_exact_for_large_values_and_under_autocast(name):
    """A GPT-2 has states with single values of some thousands."""
    states, mask = batch(7, left=False, places=64)
    states[:, 0, 3] += 3000.0
    module = learned(pooling.make(name, DIM), 1)
    if name in ("weighted_sum", "attention"):  # else the softmax of 3,000 puts all on one token
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.mul_(1e-3)
    pooled = module(states.double(), mask)
    own = head(Probe, torch.randn(40, pooled.shape[1], generator=torch.Generator().manual_seed(2)), 3)
    with torch.autocast("cpu", torch.bfloat16):
        parts = explain.contributions(states, mask, module, own)
    assert parts.dtype == torch.float32
    exact = (own.directions(pooled) * (pooled - own.center)).sum(dim=1)
    assert torch.allclose(parts.double().sum(dim=1), exact.double(), atol=FLOAT32, rtol=1e-6)


def test_a_concat_of_a_concat_has_parts():
    states, mask = batch(3, left=True)
    module = pooling.Concat(pooling.Concat(pooling.Mean(), pooling.Max()), pooling.First())
    own = head(Probe, torch.randn(9, 3 * DIM), 4)
    parts = explain.contributions(states, mask, module, own)
    assert torch.allclose(parts.sum(dim=1) + own.linear.bias, own(module(states, mask)), atol=FLOAT32, rtol=1e-5)


def test_a_pooling_without_exact_parts_says_so():
    states, mask = batch(0, left=False)
    with pytest.raises(ValueError, match="GeneralizedMean has no exact parts"):
        explain.contributions(states, mask, pooling.GeneralizedMean(), Probe(torch.randn(4, DIM)))


def test_parts_by_hand():
    """Two tokens, two dimensions; weights (1, 10), the center at (1, 1)."""
    states, mask = torch.tensor([[[3.0, 0.0], [5.0, 2.0]]]), torch.tensor([[True, True]])
    own = Probe(torch.tensor([[0.0, 0.0], [2.0, 2.0]]))
    own.spread.fill_(1.0)
    with torch.no_grad():
        own.linear.weight.copy_(torch.tensor([[1.0, 10.0]]))
    for module, expected in (
        (pooling.Mean(), [(2 - 10) / 2, (4 + 10) / 2]),
        (pooling.Max(), [0.0, 4 + 10]),  # both dimensions come from the second token
        (pooling.First(), [2 - 10, 0.0]),
        (pooling.Last(), [0.0, 4 + 10]),
        (pooling.WeightedMean(), [(2 - 10) / 3, (4 + 10) * 2 / 3]),
    ):
        found = explain.contributions(states, mask, module, own)[0]
        assert found.tolist() == pytest.approx(expected, abs=1e-5), module


# Planted truths: who finds them, and who cannot?


def planted(informative: list[int], places: int = 8) -> tuple[torch.Tensor, torch.Tensor, Probe]:
    """Tokens that say nothing, and some that say the same."""
    states, mask = torch.zeros(1, places, DIM), torch.ones(1, places, dtype=torch.bool)
    states[0, informative, 0] = 1.0
    own = Probe(torch.zeros(2, DIM))
    with torch.no_grad():
        own.linear.weight[0, 0] = 1.0
    return states, mask, own


@pytest.mark.parametrize("name", EXACT)
def test_one_informative_token_is_found_where_the_pooling_can_see_it(name):
    for place in (0, 3, 7):
        states, mask, own = planted([place])
        parts = explain.contributions(states, mask, pooling.make(name, DIM), _wide(own, name))[0]
        seen = {"first": place == 0, "last": place == 7}.get(name, True)
        assert (int(parts.argmax()) == place and parts.sum() == pytest.approx(float(parts[place]))) or not seen
        assert (parts.abs().sum() > 0) == seen, "a pooling of one token says nothing of the others"


@pytest.mark.parametrize("name, found", [
    ("mean", 4), ("mean_sqrt_len", 4), ("weighted_sum", 4), ("attention", 4),
    ("max", 1),  # of equal tokens one gets it all
    ("weighted_mean", (1 + 3 + 5 + 7) ** 2 / (1 + 9 + 25 + 49)),  # by its places
    ("concat", (4 / 8 + 1) ** 2 / ((1 / 8 + 1) ** 2 + 3 / 8**2)),  # mean over eight tokens, and max
])  # fmt: skip
def test_of_four_equal_tokens_each_pooling_names_so_many(name, found):
    states, mask, own = planted([0, 2, 4, 6])
    parts = explain.contributions(states, mask, pooling.make(name, DIM), _wide(own, name))
    assert float(concentration(parts, mask)[0]) == pytest.approx(found, rel=1e-4)


def _wide(own: Probe, name: str) -> Probe:
    """The same head for a pooled vector of two parts."""
    if name != "concat":
        return own
    wide = Probe(torch.zeros(2, 2 * DIM))
    with torch.no_grad():
        wide.linear.weight[0, [0, DIM]] = 1.0
    return wide


# Integrated gradients


@pytest.mark.parametrize("family", ["bert", "gpt2"])
@pytest.mark.parametrize("name", ["mean", "max", "attention"])
def test_integrated_gradients_explain_the_difference_to_a_text_that_says_nothing(family, name, request):
    encoder = request.getfixturevalue(family)
    module = learned(pooling.make(name, encoder.dim), 1)
    model = frozen(encoder, PooledProbe(module, learned(Probe(torch.randn(9, encoder.dim)), 2)), 32)
    ids, mask = encoder.pad(encoder.tokens(["a fine film , warm and funny", "a dull film"], 32))
    found, left = explain.integrated_gradients(model, ids, mask)
    nothing = explain.baseline(encoder, ids)
    with torch.no_grad():
        states = [encoder.model(inputs_embeds=part, attention_mask=mask.long()).last_hidden_state
                  for part in (encoder.model.get_input_embeddings()(ids), nothing)]  # fmt: skip
        text, empty = (model.head(module(part, mask)) for part in states)
    assert torch.allclose(found.sum(dim=1) - left, text - empty, atol=FLOAT32), "Captum's delta is what is missing"
    assert (left.abs() <= 0.05 * (text - empty).abs().clamp(min=0.2)).all()
    assert (found[~mask] == 0).all()


def test_integrated_gradients_of_a_bag_of_words_are_its_words(bert):
    model = classifier(bert, pooling.Mean(), {"warm": 3.0, "dull": -2.0})
    ids, mask = bert.pad(bert.tokens(["a warm film", "dull"], 32))
    found, _ = explain.integrated_gradients(model, ids, mask)
    assert found[0].tolist() == pytest.approx([0, 0, 3 / 5, 0, 0], abs=FLOAT32)
    assert found[1].tolist() == pytest.approx([0, -2 / 3, 0, 0, 0], abs=FLOAT32)


def test_the_text_that_says_nothing(bert, gpt2):
    ids = torch.tensor(bert.tokens(["a dull film"], 32))
    table = bert.model.get_input_embeddings().weight
    found = explain.baseline(bert, ids)[0]
    assert torch.equal(found[0], table[bert.tokenizer.cls_token_id])
    assert torch.equal(found[1:-1], table[bert.tokenizer.mask_token_id].expand(ids.shape[1] - 2, -1))
    ids = torch.tensor(gpt2.tokens(["a dull film"], 32))
    mean = gpt2.model.get_input_embeddings().weight.mean(dim=0)
    assert torch.allclose(explain.baseline(gpt2, ids), mean.expand(1, ids.shape[1], -1))


def test_what_integrated_gradients_cannot_explain_is_said(bert, monkeypatch):
    monkeypatch.setattr(explain, "MOST_STEPS", explain.STEPS)
    monkeypatch.setattr(explain, "GAP", 1e-9)
    model = frozen(bert, PooledProbe(pooling.Max(), learned(Probe(torch.randn(9, bert.dim)), 2)), 32)
    with pytest.raises(ValueError, match=r"Row 0: integrated gradients leave .* after 32 steps"):
        explain.integrated_gradients(model, *bert.pad(bert.tokens(["a fine film , warm and funny"], 32)))


# A classifier is what the frozen probe was


@pytest.mark.parametrize("name", ["mean", "attention"])
def test_a_frozen_encoder_and_its_probe_answer_as_before(bert, name):
    texts = ["a fine film , warm and funny", "a dull film , slow", "the end", "a fine end"]
    states = encoders.encode(bert, texts, 32)
    module = learned(pooling.make(name, bert.dim), 3)
    probed = PooledProbe(module, learned(Probe(pooling.pool_all(module, states)), 4))
    model = frozen(bert, probed, 32)
    # The cache holds half precision: 11 bits of states of about 1, through 32 weights.
    assert np.allclose(model.probabilities(texts), probed.probabilities(states), atol=5e-3)
    assert isinstance(model, Classifier) and model.head is not probed.probe, "a copy"


def test_no_text_has_no_answer(bert):
    model = frozen(bert, PooledProbe(pooling.Mean(), Probe(torch.randn(9, bert.dim))), 32)
    with pytest.raises(ValueError, match="There is no text to answer"):
        model.logits([])
