"""When memory runs out: a batch that is too large is halved, and what cannot be halved is said in one sentence."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.functional import pad

from helpers.checkpoints import Encoder


def ran_out(error: BaseException) -> bool:
    """Return whether an error says that there is no memory left."""
    # Torch has a class of its own for a GPU; for the processor it says so in a RuntimeError's text.
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "DefaultCPUAllocator" in str(error)


@contextmanager
def said(what: str) -> Iterator[None]:
    """Raise `what` as one MemoryError where the block runs out of memory."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        raise MemoryError(what) from error


def states(
    encoder: Encoder, tokens: Sequence[list[int]], layers: Sequence[int], rows: Sequence[int]
) -> dict[int, Tensor]:
    """Return some layers' states of one batch: layer -> ``[n, T, d]`` (float16, not on the GPU any more).

    A batch that does not fit in memory is done in halves, which is said once. The states are the same.

    Parameters
    ----------
    encoder : Encoder
    tokens : sequence of list of int, length n
        The token numbers of each text.
    layers : sequence of int
        0 to L.
    rows : sequence of int, length n
        What to call the texts in an error.

    Raises
    ------
    MemoryError
        One text alone does not fit.
    """
    try:
        ids, mask = encoder.pad(list(tokens))
        with torch.autocast(encoder.model.device.type, encoder.dtype, enabled=encoder.dtype != torch.float32):
            # (L + 1) x [n, T, d]
            given = {"input_ids": ids, "attention_mask": mask.long()}
            hidden = encoder.model(**given, output_hidden_states=True).hidden_states
        return {layer: hidden[layer].to(torch.float16).cpu() for layer in layers}
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
    # Only here, where the error is gone, is what it held of the batch free again.
    longest = max(map(len, tokens))
    if len(tokens) == 1:
        raise MemoryError(f"Row {rows[0]}: its {longest} tokens alone do not fit in memory with {encoder.name}: give a "
                          "smaller max_length, or close what else is open.")  # fmt: skip
    # The same words at the same place, which Python shows once.
    warnings.warn(f"{encoder.name}: a batch did not fit in memory. It was halved, and so are others like it: the same "
                  "states, only slower.", stacklevel=1)  # fmt: skip
    torch.cuda.empty_cache()  # does nothing where there is no GPU
    half = len(tokens) // 2
    parts = [states(encoder, tokens[part], layers, rows[part]) for part in (slice(half), slice(half, None))]
    return {
        layer: torch.cat([pad(part[layer], (0, 0, 0, longest - part[layer].shape[1])) for part in parts])
        for layer in layers
    }
