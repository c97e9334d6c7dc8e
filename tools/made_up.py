"""Made-up results of known truth, as a grid gives them: texts of all degrees of difficulty, and runs with luck."""

from itertools import product

import numpy as np
from scipy.special import expit

from helpers.rules import PAPER, Results

PAIR, DATA = ("bert", "gpt2"), ("imdb", "rt")
SEEDS = 5


def predictions(labels: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Probabilities that are right exactly where told."""
    return np.where(np.asarray(right, bool) == (labels == 1), 0.9, 0.1)


def results(rng, planted: dict | None = None, n: int = 500, luck: float = 0.12, wild: dict | None = None,
            shared: float = 0.3) -> Results:  # fmt: skip
    """Results without any effect but those planted.

    Parameters
    ----------
    planted : dict
        (model, data set, pooling) -> by how much the log-odds of being right are higher there, fine-tuned.
    luck : float
        Standard deviation of a run's log-odds: 0.12 is about 2 points of accuracy.
    wild : dict
        Pooling -> how many times as much luck its runs have.
    shared : float
        Share of the luck's variance that a seed gives to all runs on a data set: its draw of labelled texts.
    """
    planted, wild = planted or {}, wild or {}
    labels = {data: rng.integers(0, 2, n) for data in DATA}
    found = {}
    for data in DATA:
        ease, draw = rng.normal(1.3, 1.5, n), rng.normal(0, 1, (SEEDS, 1))
        for model, mode in product((*PAIR, "other"), ("frozen", "fine-tuned")):
            found[model, mode, data] = runs = {}
            for pool in PAPER:
                effect = planted.get((model, data, pool), 0) if mode == "fine-tuned" else 0
                own = rng.normal(0, 0.7, n)  # texts that suit this pooling on this model
                chance = shared**0.5 * draw + (1 - shared) ** 0.5 * rng.normal(0, 1, (SEEDS, 1))
                chance = luck * wild.get(pool, 1) * chance
                runs[pool] = predictions(labels[data], rng.random((SEEDS, n)) < expit(ease + own + chance + effect))
    return Results(labels, found, PAIR, DATA, tuple(found))
