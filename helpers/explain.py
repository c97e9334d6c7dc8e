"""What each token brings to a classifier's answer. `faithfulness` asks how well such explanations hold.

Scores are ``[n, T]``: one row a text, one column a token, in log-odds of *positive*.
"""

from dataclasses import dataclass
from functools import singledispatch

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from helpers import pooling as poolings
from helpers.classifiers import Classifier, Normed
from helpers.encoders import TOKEN_BUDGET, Encoder
from helpers.heads import Probe
from helpers.pooling import Pooling

STEPS, MOST_STEPS = 32, 1024  # of integrated gradients
GAP = 0.05  # that integrated gradients may leave, as a share of what they have to explain


# Exact parts


@singledispatch
def shares(pooling: Pooling, states: Tensor, mask: Tensor) -> Tensor:
    """Return how much of each token enters the pooled vector, ``[n, T, d]`` or ``[n, T, 1]``: pooled = Σ share · state.

    Max gives each dimension to the token that it came from. Learned weights are taken as they are for the text: how
    they depend on it is no part of this. Padded places have 0.

    Raises
    ------
    ValueError
        The pooling is no such sum.
    """
    raise ValueError(f"{type(pooling).__name__} has no exact parts: it is not a weighted sum of the token states.")


@shares.register
def _(pooling: poolings.First, states: Tensor, mask: Tensor) -> Tensor:
    return (mask & (mask.cumsum(dim=1) == 1)).unsqueeze(-1).float()


@shares.register
def _(pooling: poolings.Last, states: Tensor, mask: Tensor) -> Tensor:
    return (mask & (mask.cumsum(dim=1) == mask.sum(dim=1, keepdim=True))).unsqueeze(-1).float()


@shares.register
def _(pooling: poolings.Mean, states: Tensor, mask: Tensor) -> Tensor:
    return (mask / mask.sum(dim=1, keepdim=True)).unsqueeze(-1)


@shares.register
def _(pooling: poolings.MeanSqrtLen, states: Tensor, mask: Tensor) -> Tensor:
    return (mask / mask.sum(dim=1, keepdim=True).sqrt()).unsqueeze(-1)


@shares.register
def _(pooling: poolings.WeightedMean, states: Tensor, mask: Tensor) -> Tensor:
    places = mask.cumsum(dim=1) * mask
    return (places / places.sum(dim=1, keepdim=True)).unsqueeze(-1)


@shares.register
def _(pooling: poolings.Max, states: Tensor, mask: Tensor) -> Tensor:
    chosen = states.masked_fill(~mask.unsqueeze(-1), float("-inf")).max(dim=1, keepdim=True).indices  # [n, 1, d]
    return torch.zeros_like(states).scatter_(1, chosen, 1.0)


@shares.register
def _(pooling: poolings.WeightedSum, states: Tensor, mask: Tensor) -> Tensor:
    return pooling.weights(states, mask).unsqueeze(-1)


@shares.register
def _(pooling: poolings.Attention, states: Tensor, mask: Tensor) -> Tensor:
    weights = pooling.weights(states, mask)  # [n, T, h]
    return weights.repeat_interleave(states.shape[-1] // weights.shape[-1], dim=-1)  # [n, T, h] -> [n, T, d]


@shares.register
def _(pooling: poolings.Concat, states: Tensor, mask: Tensor) -> Tensor:
    parts = [shares(part, states, mask).expand_as(states) for part in pooling.poolings]
    return torch.cat(parts, dim=-1)  # k x [n, T, d] -> [n, T, k d]


@torch.no_grad()
def contributions(states: Tensor, mask: Tensor, pooling: Pooling, head: Probe | Normed) -> Tensor:
    """Return the exact part of each token in the log-odds, ``[n, T]``; with the head's bias they sum to the log-odds.

    A part is measured from the mean pooled vector of the training texts (the head's center), so it says what a token
    adds to the answer for an average text. What was given to a token by other tokens, inside the encoder, counts as its
    own: these are parts of the *states*, not of the words.

    Parameters
    ----------
    states : Tensor, shape [n, T, d]
    mask : Tensor of bool, shape [n, T]
    pooling : Pooling
    head : Probe or Normed
        A layer norm's scale is taken as it is for that text.

    Raises
    ------
    ValueError
        As in `shares`, and in `Pooling`.
    """
    pooled = pooling(states, mask)  # [n, k d]
    clean = torch.where(mask.unsqueeze(-1), states, 0).float()
    share = shares(pooling, clean, mask)  # [n, T, k d] or [n, T, 1]
    values = clean.repeat(1, 1, pooled.shape[-1] // clean.shape[-1])  # [n, T, d] -> [n, T, k d]
    away = values - head.center / share.sum(dim=1, keepdim=True)  # the shares of a dimension need not sum to 1
    return (head.directions(pooled.float()).unsqueeze(1) * share * away).sum(dim=-1)  # [n, T, k d] -> [n, T]


# Gradients to the inputs


def around(encoder: Encoder) -> set[int]:
    """Return the numbers of the tokens that are no part of a text: what stands around it, and padding."""
    return {*encoder.tokenizer.convert_tokens_to_ids(encoder.special_tokens), encoder.tokenizer.pad_token_id}


def baseline(encoder: Encoder, ids: Tensor) -> Tensor:
    """Return the word vectors of a text that says nothing, ``[n, T, e]``; special tokens stay as they are.

    A BERT has a token for "nothing is known here": [MASK]. A GPT-2 has none, so each of its tokens becomes the mean of
    all word vectors.
    """
    table = encoder.model.get_input_embeddings().weight.detach()
    if encoder.model.config.model_type == "bert":
        nothing = table[encoder.tokenizer.mask_token_id]
    else:
        nothing = table.mean(dim=0)
    special = torch.isin(ids, torch.tensor(sorted(around(encoder)), device=ids.device))
    return torch.where(special.unsqueeze(-1), table[ids], nothing)


def integrated_gradients(model: Classifier, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the integrated gradients of the log-odds to the input word vectors (Sundararajan et al. 2017; Captum).

    Parameters
    ----------
    model : Classifier
    ids : Tensor, shape [n, T]
    mask : Tensor of bool, shape [n, T]

    Returns
    -------
    Tensor, shape [n, T]
        Parts of the difference in log-odds between the text and its `baseline`.
    Tensor, shape [n]
        What they leave unexplained of that difference (Captum's convergence delta).

    Raises
    ------
    ValueError
        They still leave more than 5% (of the difference, or of 1 where it is smaller) after 1,024 steps.
    """
    table = model.transformer.get_input_embeddings()
    words, nothing = table(ids).detach(), baseline(model.encoder, ids)

    def answer(vectors: Tensor, mask: Tensor) -> Tensor:
        states = model.transformer(inputs_embeds=vectors, attention_mask=mask.long()).last_hidden_state
        return model.answer(states, mask)

    with torch.no_grad():
        allowed = GAP * (answer(words, mask) - answer(nothing, mask)).abs().clamp(min=1)
    steps = STEPS
    while steps <= MOST_STEPS:
        found, left = IntegratedGradients(answer, multiply_by_inputs=True).attribute(
            words, nothing, additional_forward_args=(mask,), n_steps=steps, method="gausslegendre",
            internal_batch_size=max(len(ids), TOKEN_BUDGET[ids.device.type] // ids.shape[1]),
            return_convergence_delta=True,
        )  # fmt: skip
        if (left.abs() <= allowed).all():
            return found.sum(dim=-1).detach().float() * mask, left.float()  # [n, T, e] -> [n, T]
        steps *= 2
    row = int((left.abs() / allowed).argmax())
    raise ValueError(f"Row {row}: integrated gradients leave {float(left[row]):+.3f} after {MOST_STEPS} steps.")


# From tokens to words


@dataclass(frozen=True)
class Words:
    """The words of a text as an encoder reads it.

    Attributes
    ----------
    words : list of str
        Pieces of the text between spaces, in order, as far as the encoder reads.
    of_token : list of int
        For each token the number of its word; -1 for special tokens.
    """

    words: list[str]
    of_token: list[int]

    def sums(self, scores: Tensor) -> np.ndarray:
        """Return the sum of the scores of each word's tokens, ``[words]``."""
        found = np.zeros(len(self.words))
        for number, score in zip(self.of_token, scores.tolist(), strict=False):
            if number >= 0:
                found[number] += score
        return found


def words_of(encoder: Encoder, text: str, max_length: int) -> Words:
    """Return the words of a text and which token belongs to which.

    A character that the tokenizer cuts into several tokens, as many emoji, stays whole.
    """
    found = encoder.tokenizer(text, truncation=True, max_length=max_length, return_offsets_mapping=True)
    words, of_token, end_of_word = [], [], -1
    for start, stop in found["offset_mapping"]:
        while start < stop and text[start].isspace():  # a byte-level token holds the space before its word
            start += 1
        if start == stop:
            of_token.append(-1 if stop == 0 else len(words))  # a space of its own goes with the next word
            continue
        if start >= end_of_word:  # the whole piece between spaces, also what the tokenizer dropped at its ends
            end_of_word = next((place for place in range(start, len(text)) if text[place].isspace()), len(text))
            words.append(text[:end_of_word].split()[-1])
        of_token.append(len(words) - 1)
    return Words(words, [min(number, len(words) - 1) for number in of_token])
