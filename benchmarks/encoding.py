"""Encoding beside sentence-transformers, and beside what the processor can do at all."""

from collections.abc import Iterator

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch.profiler import ProfilerActivity, profile

from benchmarks.measure import empty_cache, result, seconds, side_by_side
from helpers import data, encoders, heads, memory, pooling, sources

TEXTS, LENGTH, ROUNDS = 1000, 256, 3
FIVE = ("first", "last", "mean", "max", "weighted_mean")
SMALL = 8  # texts
#: What a kernel does, by its name in PyTorch's profiler.
PARTS = {
    "matrix products": ("addmm", "mm", "bmm", "mkldnn_linear", "mkldnn_matmul"),
    "attention": ("_scaled_dot_product_flash_attention_for_cpu",), "GELU": ("gelu",), "copies": ("copy_", "cat"),
    "layer norm": ("native_layer_norm",), "additions": ("add", "add_"),
}  # fmt: skip


def flop(model: torch.nn.Module, lengths: list[int]) -> float:
    """Return the floating-point operations that these texts need: matrix products alone, two for each multiply-add.

    A layer has four d x d products and two of d x 4d for each token, and two of T x T x d for each text.
    """
    shape = model.config
    a_token = 4 * shape.hidden_size**2 + 2 * shape.hidden_size * shape.intermediate_size
    products = sum(length * a_token + 2 * length**2 * shape.hidden_size for length in lengths)
    return 2.0 * shape.num_hidden_layers * products


def peak(encoder: encoders.Encoder) -> float:
    """Return the operations a second of this machine's own matrix product, at the shapes of a layer."""
    width, inner = encoder.dim, encoder.model.config.intermediate_size
    rows, best, where = encoders.TOKEN_BUDGET[encoder.model.device.type], 0.0, encoder.model.device
    with torch.inference_mode():
        for columns, out in ((width, width), (width, inner), (inner, width)):
            states = torch.randn(rows, columns, dtype=encoder.dtype, device=where)
            weight = torch.randn(out, columns, dtype=encoder.dtype, device=where)
            fastest = min(seconds(lambda: torch.nn.functional.linear(states, weight)) for _ in range(200))  # noqa: B023
            best = max(best, 2 * rows * columns * out / fastest)
    return best


def where_time_goes(encoder: encoders.Encoder) -> Iterator[dict]:
    """Profile one full batch on the processor: the share of each kind of kernel."""
    tokens = [[7] * LENGTH] * (encoders.TOKEN_BUDGET["cpu"] // LENGTH)
    with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(10):
            memory.states(encoder, tokens, [encoder.layers], range(len(tokens)))
    events = {event.key.removeprefix("aten::"): event.self_cpu_time_total for event in seen.key_averages()}
    total, told = sum(events.values()), 0.0
    for part, names in PARTS.items():
        found = sum(time for key, time in events.items() if key in names)
        told += found
        yield result(f"encoding, share of time: {part}", "-", 100 * found / total, "%", "profiler, a full batch")
    rest = 100 * (1 - told / total)
    yield result("encoding, share of time: the rest", "-", rest, "%", "profiler, a full batch")


def accuracies(vectors: list[torch.Tensor], labels: np.ndarray) -> list[float]:
    """Return the accuracy of a probe on each set of vectors: half to train, a quarter to choose, a quarter to test."""
    train, validation, test = np.split(np.arange(len(labels)), [len(labels) // 2, 3 * len(labels) // 4])
    found = []
    for one in vectors:
        probabilities = heads.fit_probe(one, labels, train, validation, 0).probabilities(one[test])
        found.append(float(((probabilities > 0.5) == labels[test]).mean()))
    return found


def rows() -> Iterator[dict]:
    """Measure encoding at the course's default precision."""
    with empty_cache():
        parts = data.load("imdb", "train").select(range(TEXTS))
        texts, labels = parts["text"][:], np.array(parts["label"])
        encoder = encoders.load("minilm")
        theirs = SentenceTransformer(str(sources.from_package(sources.MINILM)), device=str(encoder.model.device))
        theirs.max_seq_length = LENGTH

        def ours(*names: str) -> list[torch.Tensor]:
            encoders.clear_cache()
            states = encoders.encode(encoder, texts, LENGTH)
            return [pooling.pool_all(pooling.make(name, encoder.dim), states) for name in names]

        theirs.encode(texts[:64])
        encoders.encode(encoder, texts[:64], LENGTH)  # both warm
        times = side_by_side({
            "peer": lambda: theirs.encode(texts), "peer, small": lambda: theirs.encode(texts, batch_size=SMALL),
            "one": lambda: ours("mean"), "five": lambda: ours(*FIVE),
        }, ROUNDS)  # fmt: skip
        dtype, goal = str(encoder.dtype).removeprefix("torch."), 1.6 if encoder.dtype == torch.bfloat16 else 1.0
        yield result(f"encoding, texts a second ({dtype})", "-", TEXTS / times["one"], "1/s")
        yield result("encoding, texts a second (sentence-transformers)", "-", TEXTS / times["peer"], "1/s")
        what = "encoding and pooling against sentence-transformers"
        yield result(f"{what} ({dtype})", f">= {goal}", times["peer"] / times["one"], "x", "its own batch size of 32")
        small = f"batches of {SMALL}, about as large as ours"
        yield result(f"{what} ({dtype}), small batches", "-", times["peer, small"] / times["one"], "x", small)
        if encoder.dtype != torch.bfloat16:
            yield result(f"{what} (bfloat16)", ">= 1.6", None, "x", "this processor has no bfloat16")
        yield result("five poolings from one pass, against one", "<= 1.15", times["five"] / times["one"], "x")
        five = 5 * times["peer"] / times["five"]
        yield result("five poolings against five encodes of sentence-transformers", ">= 4", five, "x")

        vectors = [ours("mean")[0], torch.as_tensor(theirs.encode(texts))]
        cosine = float(torch.nn.functional.cosine_similarity(*vectors).min())
        yield result(f"lowest cosine of a pooled vector to theirs in float32 ({dtype})", "> 0.999", cosine, "")
        one, other = accuracies(vectors, labels)
        width = 1.96 * (other * (1 - other) / (TEXTS / 4)) ** 0.5
        what = f"accuracy of a probe, {dtype} and theirs in float32: apart"
        yield result(what, f"<= {width:.3f}", abs(one - other), "")

        lengths = [len(tokens) for tokens in encoder.tokens(texts, LENGTH)]
        groups = encoders.by_length(lengths, encoders.TOKEN_BUDGET[encoder.model.device.type])
        places = sum(len(group) * lengths[group[0]] for group in groups)
        yield result("share of places that are padding", "-", 100 * (1 - sum(lengths) / places), "%")

        limit, reached = peak(encoder), flop(encoder.model, lengths) / times["one"]
        yield result(f"this machine's own matrix product ({dtype})", "-", limit / 1e9, "GFLOP/s")
        yield result(f"encoding, with cache and pooling ({dtype})", "-", reached / 1e9, "GFLOP/s")
        yield result("encoding, share of the machine's own matrix product", ">= 60", 100 * reached / limit, "%")
        if encoder.model.device.type == "cpu":
            yield from where_time_goes(encoder)
