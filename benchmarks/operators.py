"""Pooling alone, beside sentence-transformers' `Pooling`: time and memory, forward and with backward."""

from collections.abc import Callable, Iterator

import torch
from sentence_transformers.sentence_transformer.modules import Pooling as Theirs

from benchmarks.measure import peak_bytes, result, side_by_side
from helpers import pooling

SHAPES = ((32, 256, 384), (8, 512, 768))
DTYPES = (torch.float32, torch.bfloat16)
#: Ours and theirs: every mode that theirs has.
MODES = {"first": "cls", "last": "lasttoken", "mean": "mean", "max": "max", "mean_sqrt_len": "mean_sqrt_len_tokens",
         "weighted_mean": "weightedmean"}  # fmt: skip
ROUNDS = 61  # the first one is cold, and far from the median


def call(pool: Callable[[torch.Tensor], torch.Tensor], states: torch.Tensor, backward: bool) -> Callable[[], None]:
    def run() -> None:
        given = states.detach().requires_grad_(backward)
        with torch.set_grad_enabled(backward):
            pooled = pool(given)
        if backward:
            pooled.backward(torch.ones_like(pooled))

    return run


def mask_of(shape: tuple[int, int, int]) -> torch.Tensor:
    """Texts from a quarter of the places to all of them, ``[n, T]``."""
    texts, places, _ = shape
    return torch.arange(places) < torch.linspace(places // 4, places, texts).int().unsqueeze(-1)


def rows() -> Iterator[dict]:
    """Measure each mode at two shapes, in float32 and bfloat16."""
    for shape in SHAPES:
        mask, dim = mask_of(shape), shape[-1]
        numbers = mask.long()
        for dtype in DTYPES:
            states = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
            for name, mode in MODES.items():
                own, their = pooling.make(name, dim), Theirs(dim, mode)

                def theirs(given: torch.Tensor, their: Theirs = their) -> torch.Tensor:
                    return their({"token_embeddings": given, "attention_mask": numbers})["sentence_embedding"]  # noqa: B023

                for backward in (False, True):
                    runs = {
                        "ours": call(lambda given, own=own: own(given, mask), states, backward),  # noqa: B023
                        "theirs": call(theirs, states, backward),
                    }
                    times = side_by_side(runs, ROUNDS)
                    memory = {who: peak_bytes(run) for who, run in runs.items()}
                    way = "forward and backward" if backward else "forward"
                    what = f"{name}, {list(shape)}, {str(dtype)[6:]}, {way}"
                    ratio, note = times["theirs"] / times["ours"], f"{1e3 * times['ours']:.3f} ms"
                    yield result(f"pooling speed: {what}", ">= 1", ratio, "x", note)
                    more, note = memory["ours"] / memory["theirs"], f"{memory['ours'] / 1e6:.2f} MB"
                    yield result(f"pooling memory: {what}", "<= 1", more, "x", note)
    yield from dirty()


def dirty() -> Iterator[dict]:
    """What it costs when there is NaN in the padding: theirs would give NaN."""
    mask, dim = mask_of(SHAPES[0]), SHAPES[0][-1]
    clean = torch.randn(SHAPES[0], generator=torch.Generator().manual_seed(0))
    states = clean.masked_fill(~mask.unsqueeze(-1), torch.nan)
    for name in MODES:
        own = pooling.make(name, dim)
        times = side_by_side({
            "dirty": call(lambda given, own=own: own(given, mask), states, False),
            "clean": call(lambda given, own=own: own(given, mask), clean, False),
        }, ROUNDS)  # fmt: skip
        what = f"pooling, NaN in the padding against none: {name}, {list(SHAPES[0])}, float32, forward"
        yield result(what, "-", times["dirty"] / times["clean"], "x", f"{1e3 * times['dirty']:.3f} ms")
