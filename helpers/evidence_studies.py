"""Chapter 9's studies: a sentence of evidence in ever longer texts, read by frozen encoders under each pooling.

Each length has a head (and weights) of its own: what is measured is what the pooled vector still holds, not how a head
that was made for short texts takes long ones.
"""

import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from helpers import encoders, evidence, grid, heads, pooling
from helpers.encoders import Encoder
from helpers.evidence import Planted
from helpers.grid import Settings
from helpers.study import Study

LENGTHS = (32, 64, 128, 256, 512)  # tokens of a text, the last is the most that the pair reads
LONGER = (2048,)  # in chunks
POOL, LEARN, VALIDATION, TEST = 600, 400, 150, 600  # texts; each seed learns from some of the pool
INNER, OUTER = ("mean", "max"), ("mean", "max", "attention")  # over a chunk's tokens, and over a text's chunks


@dataclass(frozen=True)
class EvidenceRun:
    """One pooling of one model on texts of one length."""

    model: str
    pooling: str
    mode: str  # "frozen"
    tokens: int
    seed: int  # chooses what is learned from, and its order


@dataclass(frozen=True)
class ChunksRun:
    """All pairs of poolings, within chunks and over them, of one model on texts of one length; all seeds."""

    model: str
    tokens: int
    seed: int  # 0


def _runs(settings: Settings) -> list[EvidenceRun]:
    """The runs; the models take turns, so that two processes do not encode the same texts at the same time."""
    return [EvidenceRun(model, pool, "frozen", tokens, seed) for tokens in LENGTHS for pool in settings.poolings
            for seed in range(settings.seeds) for model in settings.pair]  # fmt: skip


def _longer(settings: Settings) -> list[ChunksRun]:
    return [ChunksRun(model, tokens, 0) for tokens in LONGER for model in settings.pair]


@functools.cache  # a process does many runs on the same texts
def texts(model: str, tokens: int) -> dict[str, list[Planted]]:
    """Return the texts of each split."""
    sizes = {"train": POOL, "validation": VALIDATION, "test": TEST}
    tokenizer = grid.encoder_of(model).tokenizer
    return {split: evidence.texts(split, count, tokens, tokenizer, seed=0) for split, count in sizes.items()}


def _asked(run: EvidenceRun | ChunksRun, settings: Settings) -> list[str]:
    return [one.text for part in texts(run.model, run.tokens).values() for one in part]


def _parts(model: str, tokens: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The labels of all texts, the rows that a seed learns from, and those to choose the round with."""
    labels = np.array([one.label for part in texts(model, tokens).values() for one in part])
    drawn = np.random.default_rng(seed).permutation(POOL)[:LEARN]
    return labels, drawn, np.arange(POOL, POOL + VALIDATION)


def _shared(model: str, tokens: int) -> dict[str, np.ndarray]:
    """The word and the place of each test text's evidence."""
    tests = texts(model, tokens)["test"]
    words = np.unique([one.word for one in tests], return_inverse=True)[1]
    return {"words": words.astype(np.int16), "places": np.array([one.place for one in tests], np.float16)}


def _right(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (probabilities > 0.5) == (labels == 1)


def _evidence(run: EvidenceRun, settings: Settings) -> dict[str, np.ndarray]:
    encoder, given = grid.encoder_of(run.model), _asked(run, settings)
    labels, learn, choose = _parts(run.model, run.tokens, run.seed)
    labelled, tests = given[: POOL + VALIDATION], given[POOL + VALIDATION :]
    states = encoders.encode(encoder, labelled, max(LENGTHS))
    module = pooling.make(run.pooling, encoder.dim)
    if any(True for _ in module.parameters()):
        model = heads.fit_pooling(module, states, labels[: len(labelled)], learn, choose, run.seed)
    else:
        vectors = pooling.pool_all(module, states)
        model = heads.PooledProbe(module, heads.fit_probe(vectors, labels[: len(labelled)], learn, choose, run.seed))
    found = model.probabilities(encoders.encode(encoder, tests, max(LENGTHS)))
    return {"right": _right(found, labels[len(labelled) :])} | _shared(run.model, run.tokens)


# Longer than a model can read: chunks (Sun et al. 2019)


@dataclass(frozen=True)
class Stacked:
    """A few vectors of each text, ``[n, c, d]``, and their mask ``[n, c]``, where token states are asked for.

    They are pooled as token states are (`encoders.TokenStates`): vectors of chunks, or of layers.
    """

    vectors: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.vectors)

    def padded(self, rows: list[int]) -> tuple[Tensor, Tensor]:
        return self.vectors[rows], self.mask[rows]

    def batches(self) -> Iterator[tuple[list[int], Tensor, Tensor]]:
        yield list(range(len(self))), self.vectors, self.mask


@torch.inference_mode()
def chunks(encoder: Encoder, given: list[str], inner: tuple[str, ...], longest: int) -> dict[str, Stacked]:
    """Cut each text into chunks that the encoder can read, pool each, and return the chunk vectors by pooling."""
    found: dict[str, list[Tensor]] = {name: [] for name in inner}
    for text in given:
        cut = encoder.tokenizer(text, truncation=True, max_length=longest, return_overflowing_tokens=True)["input_ids"]
        ids, mask = encoder.pad(cut)  # each chunk with special tokens of its own
        with torch.autocast(ids.device.type, encoder.dtype, enabled=encoder.dtype != torch.float32):
            states = encoder.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state  # [c, T, d]
        for name in inner:
            found[name].append(pooling.make(name, encoder.dim)(states.float(), mask).cpu())  # [c, d]
    most = max(map(len, found[inner[0]]))
    mask = torch.arange(most) < torch.tensor([len(one) for one in found[inner[0]]]).unsqueeze(1)  # [n, c]
    return {name: Stacked(torch.nn.utils.rnn.pad_sequence(own, batch_first=True), mask) for name, own in found.items()}


def _chunks(run: ChunksRun, settings: Settings) -> dict[str, np.ndarray]:
    encoder = grid.encoder_of(run.model)
    of_chunks = chunks(encoder, _asked(run, settings), INNER, max(LENGTHS))
    labelled = POOL + VALIDATION
    right = np.zeros((len(INNER), len(OUTER), settings.seeds, TEST), bool)
    for i, inner in enumerate(INNER):
        own = of_chunks[inner]
        parts = (slice(labelled), slice(labelled, None))
        train, tests = (Stacked(own.vectors[part].clone(), own.mask[part]) for part in parts)
        for o, outer in enumerate(OUTER):
            for seed in range(settings.seeds):
                labels, learn, choose = _parts(run.model, run.tokens, seed)
                module = pooling.make(outer, encoder.dim)
                model = heads.fit_pooling(module, train, labels[:labelled], learn, choose, seed)
                right[i, o, seed] = _right(model.probabilities(tests), labels[labelled:])
    return {"right": right} | _shared(run.model, run.tokens)


def _configured(run: EvidenceRun | ChunksRun, settings: Settings) -> str:
    """A short hash of all that is decided about a run, but the texts."""
    facts = [grid.encoder_of(run.model).fingerprint, grid.protocol("frozen"), POOL, LEARN, VALIDATION, TEST]
    facts += [INNER, OUTER, settings.seeds] if isinstance(run, ChunksRun) else []
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def _precision(run: EvidenceRun | ChunksRun) -> str:
    return str(grid.encoder_of(run.model).dtype).removeprefix("torch.")


STUDIES = {
    "evidence": Study(EvidenceRun, _runs, _evidence, ("right", "places"), _configured, _asked, _precision, ("words",)),
    "chunks": Study(ChunksRun, _longer, _chunks, ("right", "places"), _configured, _asked, _precision, ("words",)),
}
