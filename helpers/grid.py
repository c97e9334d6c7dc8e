"""The grid of experiments: what is run at each scale, and how one run is done.

A *run* is one model × pooling × mode × data set × number of labels × seed. `python -m helpers.experiments` does them.
"""

import functools
import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, replace

import datasets
import numpy as np
import torch

from helpers import attentions, data, encoders, finetuning, heads, records
from helpers import pooling as poolings

POOLINGS = ("first", "last", "mean", "max", "weighted_mean", "weighted_sum", "attention")
LABELS = (100, 300, 1000)


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
        The models, and the encoder's highest learning rate in fine-tuning. At ``laptop`` it was chosen on validation
        texts (`tools.choose_rates`); at ``full`` it is a customary one.
    pair : tuple of str
        The BERT and the GPT-2 that are compared. They are run with random weights as well, as the library starts them.
    probed : tuple of str
        Models that are run frozen only.
    lengths : dict
        The data sets, and how many tokens of a text are read.
    labels : dict
        Numbers of labelled texts of each data set; fine-tuning takes the largest.
    """

    scale: str
    rates: dict[str, float]
    pair: tuple[str, ...]
    lengths: dict[str, int]
    labels: dict[str, tuple[int, ...]]
    validation: int
    test: int
    epochs: int = 2
    seeds: int = 5
    poolings: tuple[str, ...] = POOLINGS
    probed: tuple[str, ...] = ()


_LAPTOP = Settings(
    "laptop", {"mini-bert": 1e-4, "mini-gpt2": 1e-4, "minilm": 3e-5}, ("mini-bert", "mini-gpt2"),
    {"imdb": 128, "rotten_tomatoes": 64}, labels={"imdb": LABELS, "rotten_tomatoes": LABELS}, validation=250, test=2000,
)  # fmt: skip
_MOST = {"imdb": (max(LABELS),), "rotten_tomatoes": (max(LABELS),)}

SCALES = {
    "smoke": Settings(
        "smoke", {"mini-bert": 3e-4, "mini-gpt2": 3e-4}, ("mini-bert", "mini-gpt2"),
        {"imdb": 64, "rotten_tomatoes": 32}, labels={"imdb": (32,), "rotten_tomatoes": (32,)}, validation=32, test=32,
        seeds=3, poolings=("mean", "max", "weighted_sum"),
    ),
    "laptop": _LAPTOP,
    # A real pretrained decoder, on the laptop's texts. It is optional to install, so its table is one of its own.
    "smollm2": replace(_LAPTOP, rates={}, pair=(), probed=("smollm2",), labels=_MOST),
    # For chapter 9: smaller sizes of the pair, and poolings with more to learn.
    "sizes": replace(
        _LAPTOP, pair=(),
        rates={"mini-bert-2x64": 1e-3, "mini-gpt2-2x64": 1e-3, "mini-bert-2x128": 1e-3, "mini-gpt2-2x128": 3e-4},
        labels={"rotten_tomatoes": (max(LABELS),)}, poolings=("mean", "max", "weighted_sum"),
    ),
    "attentions": replace(
        _LAPTOP, rates={}, pair=(), probed=tuple(_LAPTOP.rates), labels=_MOST, poolings=attentions.NAMES
    ),
    "full": Settings(
        "full", {"bert-base": 2e-5, "gpt2": 5e-5}, ("bert-base", "gpt2"), {"imdb": 512, "rotten_tomatoes": 64},
        labels={"imdb": (1000, 20_000), "rotten_tomatoes": (1000, 8000)}, validation=2000, test=25_000,
    ),
}  # fmt: skip


def plan(settings: Settings) -> list[Run]:
    """Return every run of a scale, the cheap ones first."""
    trained, random = [*settings.rates], [f"{model}-random" for model in settings.pair]
    frozen = [*trained, *settings.probed, *random]
    cells = [("baseline", model, "none") for model in BASELINES]
    cells += [("frozen", model, pool) for model in frozen for pool in settings.poolings]
    cells += [("fine-tuned", model, pool) for model in trained for pool in settings.poolings]
    cells += [("fine-tuned", model, "mean") for model in random]
    return [
        Run(model, pool, mode, dataset, labels, seed)
        for mode, model, pool in cells
        for dataset, sizes in settings.labels.items()
        for labels in (sizes if mode != "fine-tuned" else [max(sizes)])
        for seed in range(settings.seeds)
    ]


# One run


def execute(run: Run, settings: Settings) -> tuple[dict[str, object], np.ndarray, np.ndarray]:
    """Do one run on one core (or one GPU). A process does one at a time.

    Returns
    -------
    dict
        Its row: the key, the measures, what it cost, and where it comes from.
    ndarray of float16, shape [n]
        Log-odds of *positive* for each test text.
    ndarray, shape [n]
        The labels of these texts.
    """
    with _ALONE:  # in one process runs would share their random numbers and the tokenizer's settings
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # so that a run gives the same wherever it is sent
        try:
            come_from = records.provenance(configuration(run, settings), precision(run))
            labels = np.array(texts_of(run.dataset, "test", settings)["label"][:])
            with records.Peak() as peak:
                start = time.perf_counter()
                found = records.log_odds(_probabilities(run, settings))
                seconds = time.perf_counter() - start
        finally:
            torch.set_num_threads(threads)
    cost = {"seconds": round(seconds, 2), "peak_memory_mb": round(peak.mb)}
    return asdict(run) | records.measures(labels, found) | cost | come_from, found, labels


_ALONE = threading.Lock()


def texts_of(dataset: str, split: str, settings: Settings) -> datasets.Dataset:
    """Return the texts of one split that a scale uses: all of those to train on, and the last of the others.

    The last ones, because probes on the first 1,000 test reviews had a part in choosing how the mini pair was trained.
    """
    return _part(dataset, split, settings.scale, {"validation": settings.validation, "test": settings.test}.get(split))


@functools.cache  # a process does many runs on the same texts
def _part(dataset: str, split: str, scale: str, most: int | None) -> datasets.Dataset:
    found = data.load(dataset, split, scale)
    return found if most is None else found.select(range(max(0, len(found) - most), len(found)))


@functools.cache  # asked for every run
def _ids(dataset: str, scale: str, validation: int, test: int) -> str:
    """A hash of the ids of all texts that the runs on a data set use."""
    sizes = {"train": None, "validation": validation, "test": test}
    ids = [_part(dataset, split, scale, most)["id"][:] for split, most in sizes.items()]
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()


def draw(run: Run, texts: int) -> np.ndarray:
    """Return the rows of the training texts that a run may learn from; fewer labels are part of more."""
    if run.labels > texts:
        raise ValueError(f"{run.name} asks for {run.labels} labelled texts: {run.dataset} has {texts} to train on.")
    return np.random.default_rng(run.seed).permutation(texts)[: run.labels]


def labelled(run: Run, settings: Settings) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Return the labelled texts of a run, their labels, the rows to learn from, and those to choose the round with."""
    train, validation = (texts_of(run.dataset, split, settings) for split in ("train", "validation"))
    own = train.select(draw(run, len(train)))
    rows = np.arange(len(own) + len(validation))
    labels = np.array(own["label"][:] + validation["label"][:])
    return own["text"][:] + validation["text"][:], labels, rows[: len(own)], rows[len(own) :]


@functools.cache
def encoder_of(model: str) -> encoders.Encoder:
    """Return a model of the grid, or its twin with random weights."""
    name = model.removesuffix("-random")
    return encoders.load(name) if name == model else encoders.untrained(encoders.load(name))


def encode_all(model: str, dataset: str, settings: Settings) -> None:
    """Put the token states of every text that a model's frozen runs need into the cache.

    All together and whatever run comes first: a state's last digit depends on the texts that share its batch.
    """
    train, *others = (texts_of(dataset, split, settings) for split in data.SPLITS)
    runs = [run for run in plan(settings) if (run.model, run.mode, run.dataset) == (model, "frozen", dataset)]
    rows = sorted({row for run in runs for row in draw(run, len(train)).tolist()})
    texts = train.select(rows)["text"][:] + [text for part in others for text in part["text"]]
    encoders.encode(encoder_of(model), texts, settings.lengths[dataset])


def _probabilities(run: Run, settings: Settings) -> np.ndarray:
    tests, length = texts_of(run.dataset, "test", settings)["text"][:], settings.lengths[run.dataset]
    if run.mode == "baseline":
        return BASELINES[run.model](*labelled(run, settings), tests, length)
    model = fit(run, settings)
    if run.mode == "fine-tuned":
        return model.probabilities(tests)
    return model.probabilities(encoders.encode(encoder_of(run.model), tests, length))


def fit(run: Run, settings: Settings) -> heads.PooledProbe | finetuning.FineTuned:
    """Return what a run trains: pooling and probe on frozen states, or everything, fine-tuned."""
    if run.mode == "frozen":
        encode_all(run.model, run.dataset, settings)
    return fit_on(run, settings, *labelled(run, settings))


def fit_on(
    run: Run, settings: Settings, texts: list[str], labels: np.ndarray, learn: np.ndarray, choose: np.ndarray
) -> heads.PooledProbe | finetuning.FineTuned:
    """Return what a run would train on other texts, or other labels (as `labelled` gives them)."""
    encoder, length = encoder_of(run.model), settings.lengths[run.dataset]
    pooling = attentions.make(run.pooling, encoder.dim)
    if run.mode == "fine-tuned":
        rate = settings.rates[run.model.removesuffix("-random")]
        how = (run.seed, rate, settings.epochs, length)
        return finetuning.fine_tune(encoder, pooling, texts, labels, learn, choose, *how)
    states = encoders.encode(encoder, texts, length)
    if any(True for _ in pooling.parameters()):
        return heads.fit_pooling(pooling, states, labels, learn, choose, run.seed)
    probe = heads.fit_probe(poolings.pool_all(pooling, states), labels, learn, choose, run.seed)
    return heads.PooledProbe(pooling, probe)


def _majority(texts, labels, learn, choose, tests, length) -> np.ndarray:
    """The share of positive texts among the labelled ones, for every text."""
    return np.full(len(tests), labels[learn].mean())


def _tfidf(texts, labels, learn, choose, tests, length) -> np.ndarray:
    """TF-IDF and logistic regression on whole texts."""
    parts = (part for rows in (learn, choose) for part in ([texts[row] for row in rows], labels[rows]))
    return heads.fit_tfidf(*parts).predict_proba(tests)[:, 1]


def _tfidf_cut(texts, labels, learn, choose, tests, length) -> np.ndarray:
    """The same on about the part of a text that the encoders read: as many tokens, as MiniLM counts them."""
    tokenizer = encoder_of("minilm").tokenizer

    def read(part: list[str]) -> list[str]:
        found = tokenizer(part, truncation=True, max_length=length, return_offsets_mapping=True)["offset_mapping"]
        return [text[: max(end for _, end in spans)] for text, spans in zip(part, found, strict=True)]

    return _tfidf(read(texts), labels, learn, choose, read(tests), length)


BASELINES: dict[str, Callable[..., np.ndarray]] = {"majority": _majority, "tfidf": _tfidf, "tfidf-cut": _tfidf_cut}


# What a run follows from


def protocol(mode: str) -> tuple[float, ...]:
    """Return the numbers by which the runs of one mode are trained."""
    both, own = (heads.LEARNING_RATE, heads.WEIGHT_DECAY), finetuning
    return {
        "frozen": (*both, heads.BATCH, heads.ROUND_STEPS, heads.MAX_ROUNDS, heads.PATIENCE),
        "fine-tuned": (*both, own.BATCH, own.WARMUP, own.CLIP, own.CHECKS, own.PATIENCE),
        "baseline": heads.TFIDF_C,
    }[mode]


def precision(run: Run) -> str:
    """Return what a run's matrix products are computed in on this machine."""
    return "float64" if run.mode == "baseline" else str(encoder_of(run.model).dtype).removeprefix("torch.")


def configuration(run: Run, settings: Settings) -> str:
    """Return a short hash of all that is decided about a run. Code, versions, hardware and precision have columns."""
    facts: list[object] = [settings.lengths[run.dataset], protocol(run.mode)]
    facts += [_ids(run.dataset, settings.scale, settings.validation, settings.test)]
    if run.mode != "baseline":
        facts += [encoder_of(run.model).fingerprint]
    if run.mode == "fine-tuned":
        facts += [settings.rates[run.model.removesuffix("-random")], settings.epochs]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
