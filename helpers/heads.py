"""Heads: from one vector per text to the probability that the review is positive.

A *probe* trains a head (and the pooling's own weights, if it has any) on a frozen encoder.
"""

import copy
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from torch import Tensor, nn

from helpers import arguments
from helpers.encoders import TokenStates
from helpers.pooling import Pooling, pool_all

Trained = TypeVar("Trained", bound=nn.Module)

# The protocol, the same for each pooling.
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2
BATCH = 64  # texts
ROUND_STEPS = 24  # a round is one pass over the texts, or more passes until it has so many steps
MAX_ROUNDS = 40
PATIENCE = 3  # rounds without a lower validation loss

TFIDF_C = (0.1, 1, 10, 100)  # candidates for the baseline's inverse regularization


class Probe(nn.Module):
    """Standardization, then one linear unit.

    The mean and spread of the training vectors are taken once, before training.
    """

    def __init__(self, vectors: Tensor):
        super().__init__()
        self.register_buffer("center", vectors.mean(dim=0))
        self.register_buffer("spread", vectors.std(dim=0).clamp(min=1e-6))
        self.linear = nn.Linear(vectors.shape[1], 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the log-odds of *positive*: ``[n, d]`` -> ``[n]``."""
        return self.linear((vectors - self.center) / self.spread).squeeze(-1)

    def directions(self, vectors: Tensor) -> Tensor:
        """Return the direction w of each text, ``[n, d]``: its log-odds are ``w · (vector − center) + bias``."""
        return (self.linear.weight / self.spread).expand_as(vectors)  # [1, d] -> [n, d]

    @torch.no_grad()
    def probabilities(self, vectors: Tensor) -> np.ndarray:
        """Return the probability of *positive* for each text, ``[n]``."""
        return self(_checked(vectors, len(self.center))).sigmoid().numpy()


class PooledProbe(nn.Module):
    """A pooling that learns, with the probe that it learned with."""

    def __init__(self, pooling: Pooling, probe: Probe):
        super().__init__()
        self.pooling, self.probe = pooling, probe

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the log-odds of *positive*: ``[n, T, d]``, ``[n, T]`` -> ``[n]``."""
        return self.probe(self.pooling(states, mask))

    def probabilities(self, states: TokenStates) -> np.ndarray:
        """Return the probability of *positive* for each text, ``[n]``."""
        return self.probe.probabilities(pool_all(self.pooling, states))


def fit_probe(vectors: Tensor, labels: np.ndarray, train: np.ndarray, validation: np.ndarray, seed: int) -> Probe:
    """Train a probe on pooled vectors; the round with the lowest validation loss is kept.

    Parameters
    ----------
    vectors : Tensor, shape [n, d]
        One vector for each labelled text (see `pooling.pool_all`).
    labels : ndarray of {0, 1}, shape [n]
    train, validation : ndarray of int
        Rows to train on, and to choose the round with.
    seed : int
        Order of the batches.

    Raises
    ------
    ValueError
        A training or validation part without both classes, a row in both parts, labels that do not fit the
        texts, or vectors that are not finite.
    """
    vectors = _checked(vectors).detach()  # pooled where gradients are on, they would bring their graph along
    labels, train, validation = check_parts(len(vectors), labels, train, validation)
    probe = Probe(vectors[train])
    return _fit(probe, lambda rows: probe(vectors[rows]), labels, train, validation, seed)


def fit_pooling(
    pooling: Pooling, states: TokenStates, labels: np.ndarray, train: np.ndarray, validation: np.ndarray, seed: int
) -> PooledProbe:
    """Train a pooling's own weights together with a probe, by the same protocol as `fit_probe`.

    Parameters
    ----------
    pooling : Pooling
        It is copied: the caller's stays as it was.
    states : TokenStates
        All labelled texts.
    labels, train, validation, seed
        As in `fit_probe`, which also says what is raised.
    """
    start = pool_all(pooling, states)
    labels, train, validation = check_parts(len(start), labels, train, validation)
    start = start[train]
    model = PooledProbe(copy.deepcopy(pooling), Probe(start))
    return _fit(model, lambda rows: model(*states.padded(rows)), labels, train, validation, seed)


def _fit(
    model: Trained,
    logits_of: Callable[[np.ndarray], Tensor],
    labels: np.ndarray,
    train: np.ndarray,
    validation: np.ndarray,
    seed: int,
) -> Trained:
    generator = torch.Generator().manual_seed(arguments.seed(seed))
    target = torch.tensor(labels, dtype=torch.float32)  # a copy: torch warns of arrays that are read-only
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    def loss_of(rows: np.ndarray) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(logits_of(rows), target[rows])

    best, best_loss, waited = None, float("inf"), 0
    for _ in range(MAX_ROUNDS):
        for rows in _round(train, generator):
            optimizer.zero_grad()
            loss_of(rows).backward()
            optimizer.step()
        with torch.no_grad():
            parts = [float(loss_of(rows)) * len(rows) for rows in _batches(validation)]
        loss = sum(parts) / len(validation)
        if loss < best_loss:
            best, best_loss, waited = copy.deepcopy(model.state_dict()), loss, 0
        elif (waited := waited + 1) == PATIENCE:
            break
    if best is None:
        raise ValueError("The validation loss is not a number: some vectors are infinite or NaN.")
    model.load_state_dict(best)
    return model.eval()


def check_parts(texts: int, labels: np.ndarray, train: np.ndarray, validation: np.ndarray) -> list[np.ndarray]:
    """Return labels and rows as arrays, or raise what `fit_probe` says."""
    labels, train, validation = _of_texts(labels, texts), np.asarray(train), np.asarray(validation)
    for part, rows in (("training", train), ("validation", validation)):
        if rows.dtype == bool:
            raise ValueError(f"The {part} part must be row numbers: np.flatnonzero makes them from True and False.")
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise ValueError(f"The {part} part is {rows.dtype} of shape {list(rows.shape)}: give row numbers.")
        if rows.size and not 0 <= rows.min() <= rows.max() < texts:  # -1 may be a row of the other part
            raise ValueError(f"The {part} part has rows {rows.min()} to {rows.max()}: the texts are 0 to {texts - 1}.")
        if (found := set(labels[rows.astype(int)].tolist())) != {0, 1}:
            has = ", ".join(sorted(map(repr, found))[:4]) or "no text"
            raise ValueError(f"The {part} part needs texts of both classes, labelled 0 and 1, and has {has[:80]}.")
    if np.intersect1d(train, validation).size:
        raise ValueError("A text stands in both the training and the validation part: it must be in one.")
    return [labels, train, validation]


def _of_texts(labels: np.ndarray, texts: int) -> np.ndarray:
    """Labels as an array, one for each text."""
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"labels has the shape {list(labels.shape)}: give one label a text, 0 or 1.")
    if len(labels) != texts:
        raise ValueError(f"{len(labels)} labels do not fit {texts} texts.")
    return labels


def _checked(vectors: Tensor, dim: int | None = None) -> Tensor:
    """Refuse what are no vectors ``[n, d]``, or none of the size that a probe was made for."""
    if not isinstance(vectors, Tensor) or vectors.ndim != 2 or vectors.dtype != torch.float32:
        tensor = isinstance(vectors, Tensor)
        given = f"{vectors.dtype} of shape {list(vectors.shape)}" if tensor else arguments.brief(vectors)
        raise ValueError(f"vectors is {given}: give a float32 tensor [n, d], as pooling.pool_all returns.")
    if dim is not None and vectors.shape[1] != dim:
        raise ValueError(f"The vectors have {vectors.shape[1]} dimensions: this probe was trained on {dim}.")
    return vectors


def _batches(rows: np.ndarray) -> list[np.ndarray]:
    return np.array_split(rows, -(-len(rows) // BATCH))


def _round(rows: np.ndarray, generator: torch.Generator) -> Iterator[np.ndarray]:
    """Few texts make a short pass: then several passes are one round, so that few labels are not few steps."""
    for _ in range(max(1, ROUND_STEPS // len(_batches(rows)))):
        yield from _batches(rows[torch.randperm(len(rows), generator=generator).numpy()])


def fit_tfidf(
    texts: list[str], labels: np.ndarray, validation_texts: list[str], validation_labels: np.ndarray
) -> Pipeline:
    """Train the baseline that every table needs: TF-IDF of words and word pairs, logistic regression.

    The strength of the regularization is the one of a few with the highest validation accuracy.

    Returns
    -------
    sklearn.pipeline.Pipeline
        With ``predict_proba``.

    Raises
    ------
    ValueError
        Labels that do not fit the texts or are not 0 and 1, or texts that share no word.
    """
    texts, validation_texts = arguments.texts(texts), arguments.texts(validation_texts)
    labels, validation_labels = _of_texts(labels, len(texts)), _of_texts(validation_labels, len(validation_texts))
    found, others = set(labels.tolist()), set(validation_labels.tolist()) - {0, 1}
    if found != {0, 1} or others:
        has = ", ".join(sorted(map(repr, found | others))[:4])
        raise ValueError(f"The training texts must be of both classes, and all labels 0 or 1: they are {has[:80]}.")
    vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    try:
        train = vectors.fit_transform(texts)
    except ValueError as error:  # an empty vocabulary
        raise ValueError("No word stands in two of the training texts: give more texts, or longer ones.") from error
    validation = vectors.transform(validation_texts)
    # The dual solver is the fast one for few texts with many words.
    settings = {"solver": "liblinear", "dual": True, "max_iter": 1000, "random_state": 0}
    candidates = [LogisticRegression(C=c, **settings).fit(train, labels) for c in TFIDF_C]
    best = max(candidates, key=lambda model: model.score(validation, validation_labels))
    return make_pipeline(vectors, best)
