"""How time, memory and disk grow with the number of reviews and with their length; what a million would take.

Each size runs in a process of its own, so that its peak of memory is its own.
"""

import hashlib
import re
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks import measure
from benchmarks.measure import empty_cache, result, seconds
from helpers import cache, data, encoders

MODEL = "mini-bert"
SIZES = (1000, 2000, 4000, 8000, 16_000, 32_000)
LENGTH = 128  # tokens, while the number of texts grows
LENGTHS = (32, 64, 128, 256, 512)
MILLION = 1_000_000


def reviews(count: int, names: Sequence[str] = data.NAMES) -> list[str]:
    """Return so many different texts; of several data sets the same mixture at each size."""
    texts = {text for name in names for split in data.SPLITS for text in data.load(name, split, "laptop")["text"][:]}
    return sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest())[:count]


def child(count: int, length: int, model: str, names: Sequence[str]) -> dict[str, float]:
    """Encode, and open again, in this process."""
    texts, encoder = reviews(count, names), encoders.load(model)
    took = seconds(lambda: encoders.encode(encoder, texts, length))
    opened = statistics.median(seconds(lambda: encoders.encode(encoder, texts, length)) for _ in range(5))
    tokens = int(encoders.encode(encoder, texts, length).offsets[-1])
    # Not getrusage: there a child begins with its parent's peak.
    (most,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return {"seconds": took, "open": opened, "tokens": tokens, "disk": cache.info()["megabytes"],
            "memory": int(most) / 1e6}  # fmt: skip


def apart(count: int, length: int, model: str = MODEL, names: Sequence[str] = data.NAMES) -> dict[str, float]:
    """The same in a process and a cache of its own."""
    return measure.apart("scale", f"child({count}, {length}, {model!r}, {names!r})")


def opens(texts: int) -> float:
    """Return how long it takes to find 1,000 texts among so many (states as small as can be: they are not read)."""
    with empty_cache():
        shelf, states = cache.Shelf("opens"), torch.zeros(1, 1, dtype=torch.float16)
        keys = [hashlib.sha256(str(row).encode()).digest()[:16] for row in range(texts)]
        for start in range(0, texts, encoders.SHARD_TEXTS):
            part = keys[start : start + encoders.SHARD_TEXTS]
            shelf.add(part, [states] * len(part))
        wanted = set(keys[:: texts // 1000][:1000])
        if shelf.find(wanted).keys() != wanted:
            raise RuntimeError("The shelf does not find what was put on it.")
        return statistics.median(seconds(lambda: shelf.find(wanted)) for _ in range(5))


def rows() -> Iterator[dict]:
    """Measure sizes, lengths and the opening; plan a million."""
    found = {size: apart(size, LENGTH) for size in SIZES}
    for size, one in found.items():
        note = f"{one['tokens'] / size:.0f} tokens a text, {one['disk']:.0f} MB on disk"
        yield result(f"{MODEL}, {size} texts: milliseconds a text", "-", 1e3 * one["seconds"] / size, "ms", note)
        yield result(f"{MODEL}, {size} texts: peak memory", "< 3", one["memory"], "GB")
        opened = one["open"]
        yield result(f"{MODEL}, {size} texts: the warm cache opens", "< 0.2", opened, "s")
    span = f"{SIZES[0]} to {SIZES[-1]} texts"
    slopes = [one["seconds"] / size for size, one in found.items()]
    bend = 100 * (max(slopes) / min(slopes) - 1)
    yield result(f"time per text, {span}: largest over smallest", "<= 10", bend, "%")
    grown = 100 * (max(one["memory"] for one in found.values()) / found[SIZES[0]]["memory"] - 1)
    yield result(f"peak memory, {span}: grows by", "<= 15", grown, "%")
    for texts in (32_000, MILLION):
        took = opens(texts)
        yield result(f"1,000 texts are found among {texts}", "< 0.2", took, "s")
    for length in LENGTHS:
        one = apart(1000, length)
        yield result(f"{MODEL}, 1000 texts of at most {length} tokens: microseconds a token", "-",
                     1e6 * one["seconds"] / one["tokens"], "us", f"{one['memory']:.2f} GB")  # fmt: skip
    for model in (MODEL, "minilm"):
        one = apart(1000, 256, model, ("imdb",))
        planned, note = f"planned: a million reviews with {model}", f"{one['tokens'] / 1000:.0f} tokens a text"
        yield result(f"{planned}, disk", "-", MILLION / 1000 * one["disk"] / 1e3, "GB", note)
        yield result(f"{planned}, time", "-", MILLION / 1000 * one["seconds"] / 3600, "h", note)
