"""The same result again? The same machine twice, another number of threads, and bfloat16.

Each run is a process of its own with an empty cache: texts to token states, to pooled vectors, to five probes.
"""

from collections.abc import Iterator

import numpy as np
import torch
from scipy import stats

from benchmarks import measure
from benchmarks.measure import result
from helpers import data, encoders, heads, pooling

POOLINGS = ("mean", "max", "weighted_sum")
SEEDS = range(5)


def child(scale: str, sizes: tuple[int, int, int], length: int, threads: int, half: bool) -> dict[str, list]:
    """Return each pooling's test accuracy and summed probabilities, one a seed, in every digit."""
    torch.set_num_threads(threads)
    torch.cpu._is_avx512_bf16_supported = lambda: half  # a processor without bfloat16 can compute it too, slowly
    encoder = encoders.load("mini-bert")
    splits = zip(data.SPLITS, sizes, strict=True)
    parts = [data.load("imdb", split, scale).select(range(size)) for split, size in splits]
    states, unseen = (
        encoders.encode(encoder, texts, length)
        for texts in (parts[0]["text"][:] + parts[1]["text"][:], parts[2]["text"][:])
    )
    labels, truth = np.array(parts[0]["label"][:] + parts[1]["label"][:]), np.array(parts[2]["label"])
    train, validation = np.arange(sizes[0]), np.arange(sizes[0], sizes[0] + sizes[1])
    found = {}
    for name in POOLINGS:
        pool, each = pooling.make(name, encoder.dim), []
        for seed in SEEDS:
            if name == "weighted_sum":
                probabilities = heads.fit_pooling(pool, states, labels, train, validation, seed).probabilities(unseen)
            else:
                probe = heads.fit_probe(pooling.pool_all(pool, states), labels, train, validation, seed)
                probabilities = probe.probabilities(pooling.pool_all(pool, unseen))
            each.append([float(((probabilities > 0.5) == truth).mean()), float(probabilities.astype(float).sum())])
        found[name] = each
    return found


def apart(scale: str, sizes: tuple[int, int, int], length: int, threads: int = 1, half: bool = False) -> dict:
    """The same in a process of its own, with an empty cache."""
    return measure.apart("again", f"child({scale!r}, {sizes}, {length}, {threads}, {half})")


def spread(accuracies: list[float]) -> float:
    """Return half the width of the seeds' 95% t interval."""
    return float(stats.t.ppf(0.975, len(accuracies) - 1) * stats.sem(accuracies))


def rows() -> Iterator[dict]:
    """Compare each pooling's mean accuracy with that of one thread and float32."""
    setting = ("laptop", (1000, 250, 1000), 128)
    one = apart(*setting)
    changed = sum(one[name] != other for name, other in apart(*setting).items())
    yield result("the same run twice: poolings with another digit", "<= 0", changed, "")
    for what, other in (("two threads", apart(*setting, threads=2)), ("bfloat16", apart(*setting, half=True))):
        for name in POOLINGS:
            accuracies, others = ([accuracy for accuracy, _ in found[name]] for found in (one, other))
            moved, width = abs(np.mean(accuracies) - np.mean(others)), spread(accuracies)
            note = "the seeds' 95% interval is that wide on each side"
            yield result(f"{name}, {what}: accuracy moves by", f"<= {width:.4f}", moved, "", note)
