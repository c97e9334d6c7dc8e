"""The grid of experiments: what is run at each scale, and how one run is done.

A *run* is one model × pooling × mode × data set × number of labels × seed. `python -m helpers.experiments` does them.
"""

import functools
import hashlib
import json
import platform
import subprocess
import threading
import time
from dataclasses import asdict, astuple, dataclass
from importlib.metadata import version
from pathlib import Path

import datasets
import numpy as np
import psutil
import torch

from helpers import course, data, encoders, finetuning, heads, records
from helpers import pooling as poolings

POOLINGS = ("first", "last", "mean", "max", "weighted_mean", "weighted_sum", "attention")


@dataclass(frozen=True)
class Run:
    """One cell of the grid for one seed, which chooses the labelled texts, their order, and dropout."""

    model: str  # a name in `encoders.REGISTRY`, the same with "-random" after it, "majority", "tfidf" or "tfidf-cut"
    pooling: str  # "none" for a baseline
    mode: str  # "frozen", "fine-tuned" or "baseline"
    dataset: str
    labels: int
    seed: int

    @property
    def name(self) -> str:
        return "/".join(map(str, astuple(self)))


@dataclass(frozen=True)
class Settings:
    """What one scale runs.

    Attributes
    ----------
    rates : dict
        The models, and the encoder's highest learning rate in fine-tuning (chosen on validation texts).
    controls : tuple of str
        The models that are run with random weights as well.
    lengths : dict
        The data sets, and how many tokens of a text are read.
    labels : tuple of int
        Numbers of labelled texts; fine-tuning takes the largest.
    """

    scale: str
    rates: dict[str, float]
    controls: tuple[str, ...]
    lengths: dict[str, int]
    labels: tuple[int, ...]
    validation: int
    test: int
    epochs: int = 2
    seeds: int = 5
    poolings: tuple[str, ...] = POOLINGS


SCALES = {
    "smoke": Settings(
        "smoke", {"mini-bert": 3e-4, "mini-gpt2": 3e-4}, ("mini-bert",), {"imdb": 64, "rotten_tomatoes": 32},
        labels=(32,), validation=32, test=32, seeds=3, poolings=("mean", "max"),
    ),
    "laptop": Settings(
        "laptop", {"mini-bert": 3e-4, "mini-gpt2": 3e-4, "minilm": 1e-4}, ("mini-bert", "mini-gpt2"),
        {"imdb": 128, "rotten_tomatoes": 64}, labels=(100, 300, 1000), validation=250, test=2000,
    ),
    "full": Settings(
        "full", {"bert-base": 2e-5, "gpt2": 5e-5}, ("bert-base", "gpt2"), {"imdb": 512, "rotten_tomatoes": 64},
        labels=(1000, 20_000), validation=2000, test=25_000,
    ),
}  # fmt: skip


def plan(settings: Settings) -> list[Run]:
    """Return every run of a scale, the cheap ones first."""
    seeds, most = range(settings.seeds), max(settings.labels)
    frozen = [*settings.rates, *(f"{model}-random" for model in settings.controls)]
    cells = [(model, "none", "baseline", labels) for model in BASELINES for labels in settings.labels]
    cells += [(model, pool, "frozen", labels)
              for model in frozen for pool in settings.poolings for labels in settings.labels]  # fmt: skip
    cells += [(model, pool, "fine-tuned", most) for model in settings.rates for pool in settings.poolings]
    cells += [(f"{model}-random", "mean", "fine-tuned", most) for model in settings.controls]
    return [
        Run(model, pool, mode, dataset, labels, seed)
        for model, pool, mode, labels in cells for dataset in settings.lengths for seed in seeds
    ]  # fmt: skip


# One run


def execute(run: Run, settings: Settings) -> tuple[dict[str, object], np.ndarray]:
    """Do one run on one core (or one GPU).

    Returns
    -------
    dict
        Its row: the key, the measures, and where they come from.
    ndarray of float16, shape [n]
        Log-odds of *positive* for each test text.
    """
    torch.set_num_threads(1)  # so that a run gives the same wherever it is sent
    with Peak() as peak:
        start = time.perf_counter()
        found = records.log_odds(_probabilities(run, settings))
        seconds = time.perf_counter() - start
    labels = np.array(texts_of(run.dataset, "test", settings)["label"][:])
    cost = {"seconds": round(seconds, 2), "peak_memory_mb": round(peak.mb)}
    return asdict(run) | records.measures(labels, found) | cost | provenance(run, settings), found


def texts_of(dataset: str, split: str, settings: Settings) -> datasets.Dataset:
    """Return the texts of one split that a scale uses: all of those to train on, the first of the others."""
    found = _load(dataset, split, settings.scale)
    most = {"train": len(found), "validation": settings.validation, "test": settings.test}[split]
    return found.select(range(min(most, len(found))))


_load = functools.cache(data.load)  # a process does many runs on the same texts


def draw(run: Run, texts: int) -> np.ndarray:
    """Return the rows of the training texts that a run may learn from; fewer labels are part of more."""
    if run.labels > texts:
        raise ValueError(f"{run.name} asks for {run.labels} labelled texts: {run.dataset} has {texts} to train on.")
    return np.random.default_rng(run.seed).permutation(texts)[: run.labels]


@functools.cache
def encoder_of(model: str) -> encoders.Encoder:
    """Return a model of the grid, or its twin with random weights."""
    name = model.removesuffix("-random")
    return encoders.load(name) if name == model else encoders.untrained(encoders.load(name))


def _probabilities(run: Run, settings: Settings) -> np.ndarray:
    train, validation, test = (texts_of(run.dataset, split, settings) for split in data.SPLITS)
    own = train.select(draw(run, len(train)))
    texts, labels = own["text"][:] + validation["text"][:], np.array(own["label"][:] + validation["label"][:])
    rows = np.arange(len(texts))
    learn, choose, length = rows[: len(own)], rows[len(own) :], settings.lengths[run.dataset]
    if run.mode == "baseline":
        return BASELINES[run.model](texts, labels, learn, choose, test["text"][:], length)
    encoder = encoder_of(run.model)
    pooling = poolings.make(run.pooling, encoder.dim)
    if run.mode == "fine-tuned":
        rate = settings.rates[run.model.removesuffix("-random")]
        tuned = finetuning.fine_tune(
            encoder, pooling, texts, labels, learn, choose, run.seed, rate, settings.epochs, length
        )
        return tuned.probabilities(test["text"][:])
    states, others = (encoders.encode(encoder, part, length) for part in (texts, test["text"][:]))
    if any(True for _ in pooling.parameters()):
        return heads.fit_pooling(pooling, states, labels, learn, choose, run.seed).probabilities(others)
    vectors = poolings.pool_all(pooling, states)
    probe = heads.fit_probe(vectors, labels, learn, choose, run.seed)
    return probe.probabilities(poolings.pool_all(pooling, others))


def _majority(texts, labels, learn, choose, test_texts, length) -> np.ndarray:
    """The share of positive texts among the labelled ones, for every text."""
    return np.full(len(test_texts), labels[learn].mean())


def _tfidf(texts, labels, learn, choose, test_texts, length) -> np.ndarray:
    """TF-IDF and logistic regression on whole texts."""
    parts = (part for rows in (learn, choose) for part in ([texts[row] for row in rows], labels[rows]))
    return heads.fit_tfidf(*parts).predict_proba(test_texts)[:, 1]


def _tfidf_cut(texts, labels, learn, choose, test_texts, length) -> np.ndarray:
    """The same on the part of a text that the encoders read, as MiniLM's tokens count it."""
    tokenizer = encoders.load("minilm").tokenizer

    def read(part: list[str]) -> list[str]:
        found = tokenizer(part, truncation=True, max_length=length, return_offsets_mapping=True)["offset_mapping"]
        return [text[: max(end for _, end in spans)] for text, spans in zip(part, found, strict=True)]

    return _tfidf(read(texts), labels, learn, choose, read(test_texts), length)


BASELINES = {"majority": _majority, "tfidf": _tfidf, "tfidf-cut": _tfidf_cut}


class Peak:
    """The most memory that this process held while the block ran, in megabytes (on a GPU: of the GPU's)."""

    def __enter__(self) -> "Peak":
        self.mb, self._done = 0.0, threading.Event()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        process = psutil.Process()
        while True:
            self.mb = max(self.mb, process.memory_info().rss / 1e6)
            if self._done.wait(0.02):
                return

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if torch.cuda.is_available():
            self.mb = torch.cuda.max_memory_allocated() / 1e6


# Where a row comes from


def protocol() -> tuple[float, ...]:
    """Return the numbers that probes and fine-tuning are trained by."""
    probe = (heads.LEARNING_RATE, heads.WEIGHT_DECAY, heads.BATCH, heads.ROUND_STEPS, heads.MAX_ROUNDS, heads.PATIENCE)
    tuning = finetuning
    return (*probe, tuning.BATCH, tuning.WARMUP, tuning.CLIP, tuning.CHECKS, tuning.PATIENCE, *heads.TFIDF_C)


def configuration(run: Run, settings: Settings) -> str:
    """Return a short hash of all that a run's numbers follow from, but the code: that is the commit's to say."""
    model = run.model.removesuffix("-random")
    tuning = [settings.rates[model], settings.epochs] if run.mode == "fine-tuned" else []
    weights = encoder_of(run.model).fingerprint if run.mode != "baseline" else ""
    texts = [settings.scale, settings.lengths[run.dataset], settings.validation, settings.test]
    return hashlib.sha256(json.dumps([texts, tuning, weights, protocol()]).encode()).hexdigest()[:12]


def provenance(run: Run, settings: Settings) -> dict[str, str]:
    """Return commit, versions, hardware, configuration and date."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    git = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    packages = [f"{package} {version(package)}" for package in ("torch", "transformers", "scikit-learn")]
    return {
        "commit": git.stdout.strip() or "none",
        "versions": ", ".join([f"Python {platform.python_version()}", *packages]),
        "hardware": course.hardware(),
        "configuration": configuration(run, settings),
        "date": time.strftime("%Y-%m-%d"),
    }
