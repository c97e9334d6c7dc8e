"""The two models of the mini pair, untrained, and what each is trained to predict."""

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, PreTrainedModel

from tools import corpus

NAMES = ("mini-bert", "mini-gpt2")
LAYERS, DIM, HEADS = 4, 256, 4


def new_model(name: str, seed: int = 0) -> PreTrainedModel:
    """Return the untrained model: 4 layers of 256 with 4 heads, 512 positions, 8,192 pieces."""
    torch.manual_seed(seed)
    if name == "mini-bert":
        return BertForMaskedLM(BertConfig(
            vocab_size=corpus.VOCABULARY, hidden_size=DIM, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
            intermediate_size=4 * DIM, max_position_embeddings=corpus.POSITIONS, type_vocab_size=1,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=corpus.PAD,
        ))  # fmt: skip
    return GPT2LMHeadModel(GPT2Config(
        vocab_size=corpus.VOCABULARY, n_embd=DIM, n_layer=LAYERS, n_head=HEADS, n_positions=corpus.POSITIONS,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, pad_token_id=corpus.PAD, bos_token_id=corpus.CLS,
        eos_token_id=corpus.SEP,
    ))  # fmt: skip


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
