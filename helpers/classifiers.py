"""Encoder, pooling and head as one model: texts in, log-odds out. `explain` and `fairness` take any of them."""

import copy

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from helpers.arguments import brief
from helpers.encoders import TOKEN_BUDGET, Encoder, by_length, loaded
from helpers.heads import PooledProbe, Probe
from helpers.pooling import Pooling


class Normed(nn.Module):
    """The head of fine-tuning: centered, brought to one scale, then one linear unit that starts at zero.

    One scale for every pooling: what the frozen encoder gives all texts is taken off, and a layer norm without weights
    brings the rest to one length. A probe's scale, the spread over the texts, would not do: a state that is the same
    for all texts, as a GPT-2's first one, has none, and training would blow up what moves it.

    Parameters
    ----------
    center : Tensor, shape [d]
        The mean pooled vector of the training texts.
    """

    def __init__(self, center: Tensor):
        super().__init__()
        self.register_buffer("center", center)
        self.scale = nn.LayerNorm(len(center), elementwise_affine=False)
        self.linear = nn.utils.skip_init(nn.Linear, len(center), 1)  # it takes none of the caller's random numbers
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the log-odds of *positive*: ``[n, d]`` -> ``[n]``."""
        return self.linear(self.scale(vectors - self.center)).squeeze(-1)

    def directions(self, vectors: Tensor) -> Tensor:
        """Return the direction w of each text, ``[n, d]``: its log-odds are ``w · (vector − center) + bias``.

        The layer norm's scale is taken as it is for that text.
        """
        centered = vectors - self.center
        scale = (centered.var(dim=1, correction=0, keepdim=True) + self.scale.eps).sqrt()  # [n, 1]
        return (self.linear.weight - self.linear.weight.mean()) / scale  # [1, d] / [n, 1] -> [n, d]


class Classifier(nn.Module):
    """An encoder, a pooling and a head.

    Parameters
    ----------
    encoder : Encoder
        For its tokenizer and its padding.
    transformer : PreTrainedModel
        The encoder's own model, or a tuned copy of it.
    pooling : Pooling
    head : Probe or Normed
    max_length : int
        Longer texts keep their first tokens.
    """

    def __init__(
        self, encoder: Encoder, transformer: PreTrainedModel, pooling: Pooling, head: Probe | Normed, max_length: int
    ):
        super().__init__()
        loaded(encoder)
        self.transformer, self.pooling, self.head = transformer, pooling, head
        self.max_length, self.encoder = encoder.length(max_length), encoder
        self.to(encoder.model.device)

    def states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the token states: token numbers ``[n, T]``, mask ``[n, T]`` -> ``[n, T, d]``."""
        return self.transformer(input_ids=ids, attention_mask=mask.long()).last_hidden_state

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the log-odds of *positive*: token numbers ``[n, T]``, mask ``[n, T]`` -> ``[n]``."""
        return self.answer(self.states(ids, mask), mask)

    def answer(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the log-odds of *positive* from token states: ``[n, T, d]``, ``[n, T]`` -> ``[n]``."""
        pooled = self.pooling(states, mask)
        with torch.autocast(states.device.type, enabled=False):  # it would round the log-odds to three digits
            return self.head(pooled.float())

    def logits(self, texts: list[str]) -> Tensor:
        """Return the log-odds of *positive* for each text, ``[n]``."""
        if isinstance(texts, list) and not texts:
            raise ValueError("There is no text to answer: give one or more.")
        return self.logits_of_tokens(self.encoder.tokens(texts, self.max_length))

    @torch.no_grad()
    def logits_of_tokens(self, tokens: list[list[int]], hidden: list[set[int]] | None = None) -> Tensor:
        """Return the log-odds of *positive* for texts that are token numbers already, ``[n]``.

        Parameters
        ----------
        tokens : list of list of int, length n
        hidden : list of set of int, length n, optional
            Places of each text at which neither a token nor the pooling looks.
        """
        device, dtype = self.encoder.model.device.type, self.encoder.dtype
        found = torch.empty(len(tokens))
        self.eval()
        for rows in by_length(list(map(len, tokens)), TOKEN_BUDGET[device]):
            ids, mask = self.encoder.pad([tokens[row] for row in rows])
            for number, row in enumerate(rows if hidden else []):
                mask[number, list(hidden[row])] = False
            with torch.autocast(device, dtype, enabled=dtype != torch.float32):
                found[rows] = self(ids, mask).float().cpu()
        return found

    def probabilities(self, texts: list[str]) -> np.ndarray:
        """Return the probability of *positive* for each text, ``[n]``."""
        return self.logits(texts).sigmoid().numpy()


def frozen(encoder: Encoder, probed: PooledProbe, max_length: int) -> Classifier:
    """Return the classifier that a frozen encoder and a probe make together.

    Parameters
    ----------
    probed : PooledProbe
        From `heads.fit_pooling`, or a pooling without weights and the probe on its vectors, joined.
    """
    if not isinstance(probed, PooledProbe):
        raise ValueError(f"probed is {brief(probed)}: give a heads.PooledProbe, a pooling and a probe together.")
    return Classifier(encoder, encoder.model, copy.deepcopy(probed.pooling), copy.deepcopy(probed.probe), max_length)
