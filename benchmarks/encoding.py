"""Encoding beside sentence-transformers, and beside what the processor can do at all."""

import os
import tempfile
from collections.abc import Iterator

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch.profiler import ProfilerActivity, profile

from benchmarks.measure import result, seconds, side_by_side
from helpers import data, encoders, heads, pooling, sources

TEXTS, LENGTH, ROUNDS = 1000, 256, 3
FIVE = ("first", "last", "mean", "max", "weighted_mean")
#: What a kernel does, by its name in PyTorch's profiler.
PARTS = {
    "matrix products": ("addmm", "mm", "bmm", "mkldnn_linear"), "attention": ("flash_attention", "scaled_dot"),
    "GELU": ("gelu",), "copies": ("copy_",), "layer norm": ("layer_norm",), "additions": ("add", "add_"),
}  # fmt: skip


def flop(model: torch.nn.Module, lengths: list[int]) -> float:
    """Return the floating-point operations that these texts need: matrix products alone, two for each multiply-add.

    A layer has four d x d products and two of d x 4d for each token, and two of T x T x d for each text.
    """
    shape = model.config
    a_token = 4 * shape.hidden_size**2 + 2 * shape.hidden_size * shape.intermediate_size
    products = sum(length * a_token + 2 * length**2 * shape.hidden_size for length in lengths)
    return 2.0 * shape.num_hidden_layers * products


def peak(dtype: torch.dtype, width: int, inner: int) -> float:
    """Return the operations a second of this machine's own matrix product, at the widths of a layer."""
    rows, best = encoders.TOKEN_BUDGET["cpu"], 0.0
    with torch.inference_mode():
        for columns, out in ((width, width), (width, inner), (inner, width)):
            states, weight = torch.randn(rows, columns, dtype=dtype), torch.randn(out, columns, dtype=dtype)
            fastest = min(seconds(lambda: torch.nn.functional.linear(states, weight)) for _ in range(200))  # noqa: B023
            best = max(best, 2 * rows * columns * out / fastest)
    return best


def where_time_goes(encoder: encoders.Encoder) -> Iterator[dict]:
    """Profile one full batch: the share of each kind of kernel."""
    ids = torch.randint(1000, 2000, (encoders.TOKEN_BUDGET["cpu"] // LENGTH, LENGTH))
    mask = torch.ones_like(ids)
    with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(10):
            encoder.model(input_ids=ids, attention_mask=mask)
    events = {event.key.removeprefix("aten::"): event.self_cpu_time_total for event in seen.key_averages()}
    total = sum(events.values())
    for part, names in PARTS.items():
        found = sum(time for key, time in events.items() if any(name in key for name in names if len(name) > 4)
                    or key in names)  # fmt: skip
        yield result(f"encoding, share of time: {part}", "-", 100 * found / total, "%", "profiler, full batch")


def rows() -> Iterator[dict]:
    """Measure encoding at the course's default precision, and at float32 where that is another one."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COURSE_CACHE"] = folder
        parts = data.load("imdb", "train").select(range(TEXTS))
        texts, labels = parts["text"][:], np.array(parts["label"])
        encoder = encoders.load("minilm")
        theirs = SentenceTransformer(str(sources.from_package(sources.MINILM)), device=str(encoder.model.device))
        theirs.max_seq_length = LENGTH

        def ours(names: tuple[str, ...]) -> list[torch.Tensor]:
            encoders.clear_cache()
            states = encoders.encode(encoder, texts, LENGTH)
            return [pooling.pool_all(pooling.make(name, encoder.dim), states) for name in names]

        times = side_by_side(
            {"peer": lambda: theirs.encode(texts), "one": lambda: ours(("mean",)), "five": lambda: ours(FIVE)}, ROUNDS
        )
        pooled = ours(("mean",))[0]
        dtype = str(encoder.dtype).removeprefix("torch.")
        speed, more = times["peer"] / times["one"], times["five"] / times["one"]
        yield result(f"encoding, texts a second ({dtype})", "-", TEXTS / times["one"], "1/s")
        yield result("encoding, texts a second (sentence-transformers)", "-", TEXTS / times["peer"], "1/s")
        goal = 1.6 if encoder.dtype == torch.bfloat16 else 1.0
        yield result(f"encoding and pooling against sentence-transformers ({dtype})", f">= {goal}", speed, "x")
        if encoder.dtype != torch.bfloat16:
            yield result("encoding and pooling against sentence-transformers (bfloat16)", ">= 1.6", None, "x",
                         "this processor has no bfloat16")  # fmt: skip
        yield result("five poolings from one pass, against one", "<= 1.15", more, "x")
        five = 5 * times["peer"] / times["five"]
        yield result("five poolings against five encodes of sentence-transformers", ">= 4", five, "x")

        with torch.inference_mode():
            reference = torch.as_tensor(theirs.encode(texts, normalize_embeddings=True))
        cosine = float(torch.nn.functional.cosine_similarity(pooled, reference).min())
        yield result(f"lowest cosine of a pooled vector to theirs in float32 ({dtype})", "> 0.999", cosine, "")
        half = np.arange(TEXTS // 2), np.arange(TEXTS // 2, 3 * TEXTS // 4), np.arange(3 * TEXTS // 4, TEXTS)
        right = [
            float(((heads.fit_probe(vectors, labels, *half[:2], 0).probabilities(vectors[half[2]]) > 0.5)
                   == labels[half[2]]).mean())
            for vectors in (pooled, reference)
        ]  # fmt: skip
        apart, width = abs(right[0] - right[1]), 1.96 * (0.25 / len(half[2])) ** 0.5
        what, goal = f"accuracy of a probe, {dtype} against float32: apart", f"<= {width:.3f}"
        yield result(what, goal, apart, "")

        lengths = [min(len(tokens), LENGTH) for tokens in encoder.tokens(texts, LENGTH)]
        groups = encoders.by_length(lengths, encoders.TOKEN_BUDGET[encoder.model.device.type])
        places = sum(len(group) * lengths[group[0]] for group in groups)
        yield result("share of places that are padding", "-", 100 * (1 - sum(lengths) / places), "%")

        limit = peak(encoder.dtype, encoder.dim, encoder.model.config.intermediate_size)
        encoded = side_by_side({"encode": lambda: (encoders.clear_cache(), encoders.encode(encoder, texts, LENGTH))}, 1)
        reached = flop(encoder.model, lengths) / encoded["encode"]
        yield result(f"this machine's own matrix product ({dtype})", "-", limit / 1e9, "GFLOP/s")
        yield result(f"encoding, cache written ({dtype})", "-", reached / 1e9, "GFLOP/s")
        share = 100 * reached / limit
        yield result("encoding, share of the machine's own matrix product", ">= 60", share, "%")
        yield from where_time_goes(encoder)
