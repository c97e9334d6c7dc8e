"""What poolings are built from: checks of states and mask, and sums over the real tokens alone.

States are ``[n, T, d]``, masks ``[n, T]`` (bool, True = real token), weights ``[n, T]`` with 0 in padded places.
"""

import math

import torch
from torch import Tensor, nn

from helpers.arguments import brief


def fits(pooling: nn.Module, states: Tensor, dim: int) -> None:
    """Refuse states of another size than a pooling's weights are for."""
    if states.shape[-1] != dim:
        given, name = states.shape[-1], type(pooling).__name__
        raise ValueError(f"The states have {given} dimensions and this {name} was made for {dim}: make it for {given}.")


@torch.compiler.disable  # it looks at values, which a compiled graph cannot
def check(states: Tensor, mask: Tensor) -> None:
    """Refuse states and masks that do not mean what `pooling.Pooling` says."""
    if not (isinstance(states, Tensor) and isinstance(mask, Tensor)):
        raise ValueError(f"states is {brief(states)} and mask is {brief(mask)}: give two torch tensors.")
    if states.ndim != 3 or mask.shape != states.shape[:2]:
        raise ValueError(
            f"states have shape {list(states.shape)} and the mask {list(mask.shape)}: "
            "they must be [n, T, d] and [n, T]."
        )
    if not states.is_floating_point():
        raise ValueError(f"states are {states.dtype}: they must be floating point.")
    if mask.dtype != torch.bool:
        raise ValueError(f"The mask is {mask.dtype}: it must be bool (write attention_mask.bool()).")
    empty = (~mask.any(dim=1)).nonzero()
    if len(empty):
        raise ValueError(f"Row {int(empty[0])} of the mask has no real token: there is nothing to pool.")


def wide(states: Tensor) -> torch.dtype:
    """Return what sums run in: float32, or float64 where the states have it."""
    return torch.promote_types(states.dtype, torch.float32)


def count(states: Tensor, mask: Tensor) -> Tensor:
    """Return how many real tokens each text has, ``[n, 1]``, in the dtype that sums run in."""
    return mask.sum(dim=1, keepdim=True, dtype=wide(states))  # [n, 1]


def take(states: Tensor, place: Tensor) -> Tensor:
    """Return the state at one place of each text, ``[n, d]``."""
    return states[torch.arange(len(states), device=states.device), place]  # [n, T, d], [n] -> [n, d]


def softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Turn scores over the places (dimension 1) into weights that sum to 1; padded places get 0."""
    return scores.masked_fill(~mask, -math.inf).softmax(dim=1)


def weigh(states: Tensor, weights: Tensor) -> Tensor:
    """Return the sum of the tokens by their weights, ``[n, d]``, in float32 (or float64)."""
    dtype = wide(states)
    return _Weigh.apply(states.to(dtype), weights.to(dtype))


class _Weigh(torch.autograd.Function):
    """The sum of the tokens by their weights: ``[n, T, d]``, ``[n, T]`` -> ``[n, d]``.

    A matrix product reads the states once and copies nothing. Its gradient by another matrix product would be slower
    than the plain product that it is.
    """

    @staticmethod
    def forward(context, states: Tensor, weights: Tensor) -> Tensor:
        context.save_for_backward(states if context.needs_input_grad[1] else None, weights)
        return (weights.unsqueeze(1) @ states).squeeze(1)  # [n, 1, T] @ [n, T, d] -> [n, d]

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        states, weights = context.saved_tensors
        of_states, of_weights = context.needs_input_grad
        return (
            weights.unsqueeze(-1) * gradient.unsqueeze(1) if of_states else None,  # [n, T, 1] * [n, 1, d]
            (states @ gradient.unsqueeze(-1)).squeeze(-1) if of_weights else None,  # [n, T, d] @ [n, d, 1] -> [n, T]
        )
