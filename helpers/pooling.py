"""Poolings: token states ``[n, T, d]`` and a mask ``[n, T]`` in, one vector per text ``[n, d]`` out.

One class each. For all of them: the mask is bool, True = real token; whatever stands in padded places,
NaN included, never reaches a result; sums run in float32 (float64 stays); the result has the dtype of the states; the
caller's tensors are never changed; a row without a real token is a ``ValueError``.
"""

import math
from numbers import Real

import torch
from torch import Tensor, nn

from helpers.arguments import brief, whole
from helpers.encoders import TokenStates
from helpers.masked import check, count, fits, softmax, take, weigh, wide
from helpers.sources import unknown

# n texts, T places, d dimensions of a state, h heads


class Pooling(nn.Module):
    """What all poolings share: the checks, float32 inside, the caller's dtype outside."""

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Pool.

        Parameters
        ----------
        states : Tensor, shape [n, T, d]
            Floating point.
        mask : Tensor of bool, shape [n, T]
            True = real token.

        Returns
        -------
        Tensor, shape [n, d]
            ``[n, k * d]`` for `Concat` of k poolings.

        Raises
        ------
        ValueError
            Shapes that do not fit, a mask that is not bool, or a row without a real token (named).
        """
        check(states, mask)
        with torch.autocast(states.device.type, enabled=False):  # it would round the sums to bfloat16
            return self._pooled(states, mask).to(states.dtype)

    def _pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        real = mask.unsqueeze(-1)  # [n, T] -> [n, T, 1]
        return self.pool(torch.where(real, states, 0).to(wide(states)), mask)  # where, not a product: 0 * NaN is NaN

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        """Pool float32 (or float64) states whose padded places hold zeros."""
        raise NotImplementedError


class Direct(Pooling):
    """The poolings without weights to learn: they read the states where they lie, and copy as little as they can.

    Their `pool` takes states of any dtype, with any finite number in padded places.
    """

    def _pooled(self, states: Tensor, mask: Tensor) -> Tensor:
        pooled = self.pool(states, mask)
        # Padding has weight 0, and 0 * NaN is NaN, which a sum keeps: only then is the padding cleaned first.
        return pooled if pooled.sum(dtype=wide(pooled)).isfinite() else super()._pooled(states, mask)


class First(Direct):
    """The first real token: [CLS] in BERT, the start of the text in GPT-2 (Devlin et al. 2019)."""

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        return take(states, mask.int().argmax(dim=1))


class Last(Direct):
    """The last real token: the only one that a causal model lets see the whole text (Radford et al. 2018)."""

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        return take(states, mask.shape[1] - 1 - mask.int().flip(1).argmax(dim=1))


class Mean(Direct):
    """The average of the real tokens (Reimers and Gurevych 2019)."""

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        return weigh(states, mask) / count(states, mask)


class Max(Direct):
    """The largest value of each dimension over the real tokens (Collobert and Weston 2008)."""

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        # A sum with 0 or minus infinity: several times as fast as masked_fill, which gives the same.
        hidden = torch.zeros_like(mask, dtype=states.dtype).masked_fill(~mask, -math.inf)  # [n, T]
        # max, not amax: the gradient of each dimension goes to one token, also when two are equal.
        return (states + hidden.unsqueeze(-1)).max(dim=1).values


class MeanSqrtLen(Direct):
    """The sum of the real tokens over the square root of their number (Cer et al. 2018)."""

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        return weigh(states, mask) / count(states, mask).sqrt()


class WeightedMean(Direct):
    """A mean with weights 1, 2, … over the real tokens: later tokens count more (Muennighoff 2022, SGPT)."""

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        # [n, T]: counts real tokens, so padding on the left adds nothing
        weights = (mask.cumsum(dim=1) * mask).to(wide(states))
        return weigh(states, weights / weights.sum(dim=1, keepdim=True))


class WeightedSum(Pooling):
    """A learned weight for each token, from its position and its content; the weights sum to 1.

    ``weights = softmax(position_score + states @ query)`` over the real tokens. All parameters start at
    zero, where it *is* the mean. Positions count real tokens, so padding on the left changes nothing.

    Parameters
    ----------
    dim : int
        ``d``.
    positions : int
        Most real tokens in a text.
    """

    def __init__(self, dim: int, positions: int = 512):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(whole("dim", dim, 1)))
        self.position_score = nn.Parameter(torch.zeros(whole("positions", positions, 1)))

    def weights(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the weight of each token, ``[n, T]``; padded places have 0."""
        fits(self, states, len(self.query))
        place = (mask.cumsum(dim=1) - 1).clamp(min=0)  # [n, T]: 0 for the first real token
        if mask.shape[1] > len(self.position_score) and place.max() >= len(self.position_score):
            raise ValueError(
                f"A text has {int(place.max()) + 1} tokens, but this WeightedSum has weights for "
                f"{len(self.position_score)}: make it with positions={int(place.max()) + 1} or more."
            )
        query, position_score = self.query.to(states.dtype), self.position_score.to(states.dtype)
        return softmax(states @ query + position_score[place], mask)

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        return weigh(states, self.weights(states, mask))


class Attention(Pooling):
    """Multi-head attention pooling: h learned queries, each weighing the tokens for its share of the dimensions.

    After the self-attentive sentence embedding of Lin et al. (2017), with keys and values left as they are.
    The queries start at zero, where it is the mean.

    Parameters
    ----------
    dim : int
        ``d``, a multiple of `heads`.
    heads : int
        ``h``.
    """

    def __init__(self, dim: int, heads: int = 4):
        super().__init__()
        if whole("dim", dim, 1) % whole("heads", heads, 1):
            raise ValueError(f"dim is {dim}, which {heads} heads cannot share: choose a divisor of {dim}.")
        self.queries = nn.Parameter(torch.zeros(heads, dim))

    def weights(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the weight of each token for each head, ``[n, T, h]``; padded places have 0."""
        fits(self, states, self.queries.shape[1])
        return softmax(states @ self.queries.T.to(states.dtype), mask.unsqueeze(-1))

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        split = states.unflatten(-1, (len(self.queries), -1))  # [n, T, d] -> [n, T, h, d/h]
        pooled = (self.weights(states, mask).unsqueeze(-1) * split).sum(dim=1)  # [n, h, d/h]
        return pooled.flatten(1)  # [n, h, d/h] -> [n, d]


class GeneralizedMean(Pooling):
    """From the mean (p = 1) to the max (p → ∞) by one number (GeM, Radenović et al. 2018).

    A power mean needs values that are not negative, so each dimension is first shifted by its own
    minimum over the text, and shifted back after: ``min + range · mean(((x − min) / range)^p)^(1/p)``.

    Parameters
    ----------
    p : float
        At least 1.
    """

    def __init__(self, p: float = 3.0):
        super().__init__()
        if not isinstance(p, Real) or not 1 <= p < math.inf:
            given = p if isinstance(p, Real) else brief(p)
            raise ValueError(f"p is {given}: choose a finite number of at least 1 (1 is the mean).")
        self.p = p

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        real = mask.unsqueeze(-1)
        low = torch.where(real, states, math.inf).amin(dim=1, keepdim=True)  # [n, 1, d]
        high = torch.where(real, states, -math.inf).amax(dim=1, keepdim=True)
        spread = (high - low).clamp(min=torch.finfo(states.dtype).tiny)  # one token, or all equal: no division by 0
        ratio = torch.where(real, (states - low) / spread, 0)  # in [0, 1]
        # The largest ratio is 1, so the mean is at least 1/T, unless all are equal: then it is 0, and 0 is right.
        mean = (ratio**self.p).sum(dim=1) / count(states, mask)
        return low.squeeze(1) + spread.squeeze(1) * mean.clamp(min=torch.finfo(mean.dtype).tiny) ** (1 / self.p)


class Concat(Pooling):
    """Several poolings side by side (ULMFiT, Howard and Ruder 2018)."""

    def __init__(self, *poolings: Pooling):
        super().__init__()
        if wrong := [one for one in poolings or [None] if not isinstance(one, Pooling)]:
            raise ValueError(f"Concat got {brief(wrong[0])}: give one or more poolings, as Concat(Mean(), Max()).")
        self.poolings = nn.ModuleList(poolings)

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        return torch.cat([pooling.pool(states, mask) for pooling in self.poolings], dim=-1)  # k x [n, d] -> [n, k d]


NAMES = ("first", "last", "mean", "max", "mean_sqrt_len", "weighted_mean", "weighted_sum", "attention",
         "generalized_mean", "concat")  # fmt: skip


def make(name: str, dim: int) -> Pooling:
    """Make a pooling by its name, for states of `dim` dimensions.

    Raises
    ------
    ValueError
        Unknown name (the nearest is suggested).
    """
    makers = {
        "first": First,
        "last": Last,
        "mean": Mean,
        "max": Max,
        "mean_sqrt_len": MeanSqrtLen,
        "weighted_mean": WeightedMean,
        "weighted_sum": lambda: WeightedSum(dim),
        "attention": lambda: Attention(dim),
        "generalized_mean": GeneralizedMean,
        "concat": lambda: Concat(Mean(), Max()),
    }
    if name not in NAMES:
        raise unknown("pooling", name, list(NAMES))
    dim = whole("dim", dim, 1)
    return makers[name]()


@torch.no_grad()
def pool_all(pooling: Pooling, states: TokenStates) -> Tensor:
    """Pool every text of `states`, batch by batch: ``[n, d]`` (float32), in the order of the texts."""
    if isinstance(pooling, type) or not callable(pooling):
        raise ValueError(f"pooling is {brief(pooling)}: give a pooling, as pooling.Mean().")
    if not hasattr(states, "batches"):
        raise ValueError(f"states is {brief(states)}: give what encoders.encode returns.")
    pooled = {}
    for rows, padded, mask in states.batches():
        pooled.update(zip(rows, pooling(padded, mask), strict=True))
    return torch.stack([pooled[row] for row in range(len(states))])
