"""Heads: from one vector per text to the probability that the review is positive.

A *probe* trains a head (and the pooling's own weights, if it has any) on a frozen encoder.
"""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from torch import Tensor, nn

from helpers.encoders import TokenStates
from helpers.pooling import Pooling, pool_all

# The protocol, the same for each pooling.
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2
BATCH = 64  # texts
MAX_EPOCHS = 40
PATIENCE = 4  # epochs without a lower validation loss

TFIDF_C = (0.1, 1, 10, 100)  # candidates for the baseline's inverse regularization


class Probe(nn.Module):
    """Pooling, then standardization, then one linear unit.

    The mean and spread of the pooled training vectors are taken once, before training.
    """

    def __init__(self, pooling: Pooling, pooled: Tensor):
        super().__init__()
        self.pooling = pooling
        self.register_buffer("center", pooled.mean(dim=0))
        self.register_buffer("spread", pooled.std(dim=0).clamp(min=1e-6))
        self.linear = nn.Linear(pooled.shape[1], 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def logits(self, pooled: Tensor) -> Tensor:
        """Return the log-odds of *positive* for pooled vectors: ``[n, d]`` -> ``[n]``."""
        return self.linear((pooled - self.center) / self.spread).squeeze(-1)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Return the log-odds of *positive*: ``[n, T, d]``, ``[n, T]`` -> ``[n]``."""
        return self.logits(self.pooling(states, mask))

    def probabilities(self, states: TokenStates) -> np.ndarray:
        """Return the probability of *positive* for each text, ``[n]``."""
        with torch.no_grad():
            return self.logits(pool_all(self.pooling, states)).sigmoid().numpy()


def fit_probe(
    pooling: Pooling, states: TokenStates, labels: np.ndarray, train: np.ndarray, validation: np.ndarray, seed: int
) -> Probe:
    """Train a probe; the epoch with the lowest validation loss is kept.

    Parameters
    ----------
    pooling : Pooling
        It is copied: the caller's stays as it was.
    states : TokenStates
        All labelled texts.
    labels : ndarray of {0, 1}, shape [n]
    train, validation : ndarray of int
        Rows of `states` to train on, and to choose the epoch with.
    seed : int
        Order of the batches.

    Raises
    ------
    ValueError
        A training or validation part without both classes, or a row in both parts.
    """
    labels = np.asarray(labels)
    for part, rows in (("training", train), ("validation", validation)):
        if len(np.unique(labels[rows])) < 2:
            raise ValueError(f"The {part} part has one class only: it needs texts of both.")
    if np.intersect1d(train, validation).size:
        raise ValueError("A text stands in both the training and the validation part: it must be in one.")
    generator = torch.Generator().manual_seed(seed)
    pooling = copy.deepcopy(pooling)
    learns = any(parameter.requires_grad for parameter in pooling.parameters())
    pooled = pool_all(pooling, states)
    target = torch.as_tensor(labels, dtype=torch.float32)
    probe = Probe(pooling, pooled[train])
    optimizer = torch.optim.AdamW(probe.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)

    def loss_of(rows: np.ndarray) -> Tensor:
        # A pooling without weights gives the same vectors each time: pool once.
        logits = probe(*states.padded(rows)) if learns else probe.logits(pooled[rows])
        return nn.functional.binary_cross_entropy_with_logits(logits, target[rows])

    best, best_loss, waited = None, float("inf"), 0
    for _ in range(MAX_EPOCHS):
        for rows in _batches(train, states.lengths, generator):
            optimizer.zero_grad()
            loss_of(rows).backward()
            optimizer.step()
        with torch.no_grad():
            # An order of its own: how many texts validate must not change the order of training.
            fixed = torch.Generator().manual_seed(seed)
            parts = [float(loss_of(rows)) * len(rows) for rows in _batches(validation, states.lengths, fixed)]
        loss = sum(parts) / len(validation)
        if loss < best_loss:
            best, best_loss, waited = copy.deepcopy(probe.state_dict()), loss, 0
        elif (waited := waited + 1) == PATIENCE:
            break
    probe.load_state_dict(best)
    return probe.eval()


def fit_tfidf(
    texts: list[str], labels: np.ndarray, validation_texts: list[str], validation_labels: np.ndarray
) -> Pipeline:
    """Train the baseline that every table needs: TF-IDF of words and word pairs, logistic regression.

    The strength of the regularization is the one of a few with the highest validation accuracy.

    Returns
    -------
    sklearn.pipeline.Pipeline
        With ``predict_proba``.
    """
    vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    train, validation = vectors.fit_transform(texts), vectors.transform(validation_texts)
    # The dual solver is the fast one for few texts with many words.
    settings = {"solver": "liblinear", "dual": True, "max_iter": 1000, "random_state": 0}
    candidates = [LogisticRegression(C=c, **settings).fit(train, labels) for c in TFIDF_C]
    best = max(candidates, key=lambda model: model.score(validation, validation_labels))
    return make_pipeline(vectors, best)


def _batches(rows: np.ndarray, lengths: Tensor, generator: torch.Generator) -> Iterator[np.ndarray]:
    """Shuffle rows into batches of texts of like length, so that little is padded."""
    shuffled = rows[torch.randperm(len(rows), generator=generator).numpy()]
    # Sort within blocks of 8 batches: like lengths meet, but never the same company twice.
    for start in range(0, len(shuffled), 8 * BATCH):
        block = shuffled[start : start + 8 * BATCH]
        block = block[np.argsort(lengths[block].numpy(), kind="stable")]
        yield from np.array_split(block, -(-len(block) // BATCH))
