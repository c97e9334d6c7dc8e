"""The two models of the mini pair, in three sizes, untrained, and what each is trained to predict."""

import math

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, PreTrainedModel

from tools import corpus

NAMES = ("mini-bert", "mini-gpt2")
LAYERS, DIM, HEADS = 4, 256, 4
#: Smaller ones of the same two, for chapter 9: layers, width, and heads of 64 as the pair's.
SMALLER = {"2x128": (2, 128, 2), "2x64": (2, 64, 1)}
ALL = (*NAMES, *(f"{name}-{size}" for size in SMALLER for name in NAMES))


def family(name: str) -> str:
    """Return which of the two a model is, whatever its size."""
    return next(own for own in NAMES if name.startswith(own))


def shape(name: str) -> tuple[int, int, int]:
    """Return a model's number of layers, its width, and its number of heads."""
    size = name.removeprefix(family(name)).removeprefix("-")
    return SMALLER[size] if size else (LAYERS, DIM, HEADS)


def new_model(name: str, seed: int = 0) -> PreTrainedModel:
    """Return the untrained model of one of the names in `ALL`: 512 positions, 8,192 pieces.

    Two things do not start as the library has them, and both are trained as usual. The position vectors are
    sinusoids (Vaswani et al. 2017), three times as large as the word vectors, and each head's query and key matrices
    are equal. Near positions are alike, so attention starts near. As the library has them, attention is uniform, and
    at this size that of the BERT stays so for millions of tokens: it then learns nothing from its neighbours.
    """
    layers, dim, heads = shape(name)
    torch.manual_seed(seed)
    if family(name) == "mini-bert":
        model = BertForMaskedLM(BertConfig(
            vocab_size=corpus.VOCABULARY, hidden_size=dim, num_hidden_layers=layers, num_attention_heads=heads,
            intermediate_size=4 * dim, max_position_embeddings=corpus.POSITIONS, type_vocab_size=1,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=corpus.PAD,
        ))  # fmt: skip
        positions = model.bert.embeddings.position_embeddings.weight
        attentions = [layer.attention.self for layer in model.bert.encoder.layer]
        pairs = [(attention.query.weight, attention.key.weight) for attention in attentions]
    else:
        model = GPT2LMHeadModel(GPT2Config(
            vocab_size=corpus.VOCABULARY, n_embd=dim, n_layer=layers, n_head=heads, n_positions=corpus.POSITIONS,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, pad_token_id=corpus.PAD, bos_token_id=corpus.CLS,
            eos_token_id=corpus.SEP,
        ))  # fmt: skip
        positions = model.transformer.wpe.weight
        # [d, 3 d], the library's Conv1D: query, key and value side by side, each transposed.
        pairs = [block.attn.c_attn.weight.T.split(dim)[:2] for block in model.transformer.h]
    generator = torch.Generator().manual_seed(seed)  # the same numbers for both models
    with torch.no_grad():
        positions.copy_(sinusoids(*positions.shape) * 3 * math.sqrt(2) * model.config.initializer_range)
        for query, key in pairs:
            query.copy_(torch.randn(dim, dim, generator=generator) / math.sqrt(dim))
            key.copy_(query)
    return model


def sinusoids(places: int, dim: int) -> Tensor:
    """Return sine and cosine waves of `dim` / 2 wavelengths from 2π to 20,000π, ``[places, dim]``."""
    rates = torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000.0) / dim))  # [dim / 2]
    angles = torch.arange(places).unsqueeze(1) * rates  # [places, dim / 2]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def causal_loss(model: PreTrainedModel, ids: Tensor) -> Tensor:
    """Mean loss (nats) of predicting each token from those before it: ``[n, T]`` -> scalar.

    A BERT looks both ways, so it is given a triangular mask: place i sees the places up to i.
    """
    if isinstance(model, BertForMaskedLM):
        n, places = ids.shape
        triangle = torch.ones(places, places, dtype=torch.bool, device=ids.device).tril()
        states = model.bert(ids, attention_mask=triangle.expand(n, 1, places, places)).last_hidden_state
        head: nn.Module = model.cls
    else:
        states, head = model.transformer(ids, use_cache=False).last_hidden_state, model.lm_head
    logits = head(states[:, :-1].flatten(0, 1))  # [n, T, d] -> [n * (T - 1), vocabulary]
    return nn.functional.cross_entropy(logits.float(), ids[:, 1:].flatten())


def choose_masks(ids: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Choose which tokens become [MASK], never a special one: ``[n, T]`` -> bool ``[n, T]``."""
    return (torch.rand(ids.shape, generator=generator) < share) & (ids.cpu() > corpus.MASK)


def masked_loss(model: BertForMaskedLM, ids: Tensor, chosen: Tensor) -> Tensor:
    """Mean loss (nats) at the places that carry [MASK]; the head is computed there only."""
    states = model.bert(ids.masked_fill(chosen, corpus.MASK)).last_hidden_state  # [n, T, d]
    return nn.functional.cross_entropy(model.cls(states[chosen]).float(), ids[chosen])
