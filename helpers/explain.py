"""What each token brings to a classifier's answer. `faithfulness` asks how well such explanations hold.

Scores are ``[n, T]``: one row a text, one column a token, in log-odds of *positive*.
"""

from functools import singledispatch

import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from helpers import masked
from helpers import pooling as poolings
from helpers.arguments import brief
from helpers.classifiers import Classifier, Normed
from helpers.encoders import TOKEN_BUDGET, Encoder, by_length
from helpers.heads import Probe
from helpers.pooling import Pooling

STEPS, MOST_STEPS = 32, 1024  # of integrated gradients
GAP, LEAST = 0.05, 0.2  # what integrated gradients may leave: a share of what they explain, or of this much


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
    return (mask.to(states.dtype) / mask.sum(dim=1, keepdim=True)).unsqueeze(-1)


@shares.register
def _(pooling: poolings.MeanSqrtLen, states: Tensor, mask: Tensor) -> Tensor:
    return (mask.to(states.dtype) / mask.sum(dim=1, keepdim=True).to(states.dtype).sqrt()).unsqueeze(-1)


@shares.register
def _(pooling: poolings.WeightedMean, states: Tensor, mask: Tensor) -> Tensor:
    places = (mask.cumsum(dim=1) * mask).to(states.dtype)
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
    parts = (shares(part, states, mask) for part in pooling.poolings)
    return torch.cat([part.expand_as(states) if part.shape[-1] == 1 else part for part in parts], dim=-1)


@torch.no_grad()
def contributions(
    states: Tensor, mask: Tensor, pooling: Pooling, head: Probe | Normed, origin: Tensor | None = None
) -> Tensor:
    """Return the exact part of each token in the log-odds, ``[n, T]``; with the head's bias they sum to the log-odds.

    A part is measured from a point in the space of pooled vectors, so it says what a token adds to the answer for that
    point. What was given to a token by other tokens, inside the encoder, counts as its own: these are parts of the
    *states*, not of the words.

    Parameters
    ----------
    states : Tensor, shape [n, T, d]
    mask : Tensor of bool, shape [n, T]
    pooling : Pooling
    head : Probe or Normed
        A layer norm's scale is taken as it is for that text.
    origin : Tensor, shape [k d], optional
        The point. Without one it is the head's center: the mean pooled vector of the training texts *before* encoder
        and pooling were trained. `mean_vector` gives the one of the trained classifier; the parts then sum to the
        log-odds minus `answer_at` it.

    Raises
    ------
    ValueError
        As in `shares`, and in `Pooling`.
    """
    masked.check(states, mask)
    clean = torch.where(mask.unsqueeze(-1), states, 0).double()
    with torch.autocast(states.device.type, enabled=False):
        pooled = pooling(clean, mask)  # [n, k d]
        share = shares(pooling, clean, mask)  # [n, T, k d] or [n, T, 1]
        values = clean.repeat(1, 1, pooled.shape[-1] // clean.shape[-1])  # [n, T, d] -> [n, T, k d]
        point = head.center if origin is None else origin
        away = values - point / share.sum(dim=1, keepdim=True)  # the shares of a dimension need not sum to 1
        parts = (head.directions(pooled).unsqueeze(1) * share * away).sum(dim=-1)  # [n, T, k d] -> [n, T]
    return parts.float()


@torch.no_grad()
def answer_at(pooled: Tensor, head: Probe | Normed, origin: Tensor) -> Tensor:
    """Return what is left of each text's log-odds without the parts from an origin: ``[n, k d]`` -> ``[n]``."""
    return (head.directions(pooled) * (origin - head.center)).sum(dim=-1) + head.linear.bias


@torch.no_grad()
def mean_vector(model: Classifier, texts: list[str]) -> Tensor:
    """Return the mean pooled vector of some texts, ``[k d]``: the average text, as a classifier sees it."""
    tokens, vectors = model.encoder.tokens(texts, model.max_length), []
    for rows in by_length(list(map(len, tokens)), TOKEN_BUDGET[model.encoder.model.device.type]):
        ids, mask = model.encoder.pad([tokens[row] for row in rows])
        vectors.append(model.pooling(model.states(ids, mask), mask).float())
    return torch.cat(vectors).mean(dim=0)


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
        They still leave more than 5% (of the difference, or of 0.2 where it is smaller) after 1,024 steps.
    """
    table = model.transformer.get_input_embeddings()
    _check_tokens(ids, mask, len(table.weight))
    words, nothing = table(ids).detach(), baseline(model.encoder, ids)

    def answer(vectors: Tensor, mask: Tensor) -> Tensor:
        states = model.transformer(inputs_embeds=vectors, attention_mask=mask.long()).last_hidden_state
        return model.answer(states, mask)

    model.eval()
    with torch.no_grad():
        allowed = GAP * (answer(words, mask) - answer(nothing, mask)).abs().clamp(min=LEAST)
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


def _check_tokens(ids: Tensor, mask: Tensor, most: int) -> None:
    tensors = isinstance(ids, Tensor) and isinstance(mask, Tensor)
    if not tensors or ids.ndim != 2 or ids.shape != mask.shape or mask.dtype != torch.bool or ids.dtype != torch.long:
        given = [f"{one.dtype} {list(one.shape)}" if isinstance(one, Tensor) else brief(one) for one in (ids, mask)]
        raise ValueError(f"ids is {given[0]} and mask is {given[1]}: give what the encoder's pad returns, [n, T] each.")
    if not ids.numel() or not 0 <= int(ids.min()) <= int(ids.max()) < most:
        raise ValueError(f"ids must hold one text or more, of token numbers 0 to {most - 1}: take the same encoder's.")
