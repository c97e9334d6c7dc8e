"""Two relatives of attention pooling, for chapter 9. Like those of `pooling`, each begins as the mean."""

import math

import torch
from torch import Tensor, nn

from helpers import masked, pooling
from helpers.arguments import whole
from helpers.pooling import Pooling


class GatedAttention(Pooling):
    """A token's weight comes from a small network with a gate (Ilse et al. 2018), not from one query.

    ``weights = softmax(score @ (tanh(V h) * sigmoid(U h)))``: a token can be wanted for one thing, or for another.

    Parameters
    ----------
    dim : int
        ``d``.
    hidden : int
        Width of the small network.
    """

    def __init__(self, dim: int, hidden: int = 64):
        super().__init__()
        self.what, self.gate = nn.Linear(whole("dim", dim, 1), hidden), nn.Linear(dim, hidden)
        generator = torch.Generator().manual_seed(0)  # the same start whatever was drawn before
        for layer in (self.what, self.gate):
            nn.init.normal_(layer.weight, std=1 / math.sqrt(dim), generator=generator)
            nn.init.zeros_(layer.bias)
        self.score = nn.Parameter(torch.zeros(hidden))

    def weights(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the weight of each token, ``[n, T]``; padded places have 0."""
        masked.fits(self, states, self.what.in_features)
        states = states.to(self.score.dtype)
        seen = torch.tanh(self.what(states)) * torch.sigmoid(self.gate(states))  # [n, T, hidden]
        return (seen @ self.score).masked_fill(~mask, -math.inf).softmax(dim=1)

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        weights = self.weights(states, mask).to(states.dtype)
        return (weights.unsqueeze(1) @ states).squeeze(1)  # [n, 1, T] @ [n, T, d] -> [n, d]


class LatentAttention(Pooling):
    """Each token looks up a learned dictionary, and what it finds is added to it; then the mean.

    The latent attention of NV-Embed (Lee et al. 2024), with one head and without its feed-forward layer:
    ``h + softmax(h @ keys / sqrt(d)) @ values``. It weighs entries, not tokens.

    Parameters
    ----------
    dim : int
        ``d``.
    entries : int
        ``r``, of the dictionary.
    """

    def __init__(self, dim: int, entries: int = 64):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.keys = nn.Parameter(torch.randn(entries, whole("dim", dim, 1), generator=generator) / math.sqrt(dim))
        self.values = nn.Parameter(torch.zeros(entries, dim))

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        masked.fits(self, states, self.keys.shape[1])
        keys, values = self.keys.to(states.dtype), self.values.to(states.dtype)
        found = (states @ keys.T / math.sqrt(states.shape[-1])).softmax(dim=-1) @ values  # [n, T, r] @ [r, d]
        return pooling.Mean().pool(torch.where(mask.unsqueeze(-1), states + found, 0), mask)


MAKERS = {"gated": GatedAttention, "latent": LatentAttention}
NAMES = tuple(MAKERS)


def make(name: str, dim: int) -> Pooling:
    """Make a pooling by its name: one of these, or one of `pooling.NAMES`.

    Raises
    ------
    ValueError
        Unknown name (the nearest is suggested).
    """
    return MAKERS[name](dim) if name in NAMES else pooling.make(name, dim)
