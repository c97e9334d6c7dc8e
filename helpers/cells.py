"""One cell of the grid at a time: a model, frozen or fine-tuned, on one data set, beside the baselines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers import contrasts, grid
from helpers.contrasts import Contrast
from helpers.evaluation import ALPHA, correctness, holm
from helpers.records import NotRun, Table

BASELINES = {"TF-IDF, same part": "tfidf-cut", "TF-IDF, whole text": "tfidf", "majority": "majority"}
RANDOM = "mean, random weights"


@dataclass(frozen=True)
class Cell:
    """What the runs of one model predicted on one data set, with the most labels that it was given.

    Attributes
    ----------
    scale, model, mode, dataset : str
        As in `grid.Run`.
    precision : str
        What the models' matrix products were computed in.
    labels : int
        Number of labelled texts.
    answers : ndarray of {0, 1}, shape [n]
        Labels of the test texts.
    poolings : dict
        Pooling -> probabilities of *positive*, ``[seeds, n]``.
    baselines : dict
        The same of what every pooling is held against: TF-IDF, the majority, and, where it was run, the mean of the
        same architecture with random weights. They had the same labels and seeds.
    """

    scale: str
    model: str
    mode: str
    dataset: str
    precision: str
    labels: int
    answers: np.ndarray
    poolings: dict[str, np.ndarray]
    baselines: dict[str, np.ndarray]

    @property
    def name(self) -> str:
        return f"{self.mode} {self.model}, {self.dataset}"

    def contrast(self, poolings: Sequence[str], weights: Sequence[float], texts: np.ndarray | None = None) -> Contrast:
        """Return a weighted sum of accuracies, over texts and seeds: ``contrast(["max", "mean"], [1, -1])`` is a gap.

        Parameters
        ----------
        poolings : sequence of str
            Poolings, or baselines.
        weights : sequence of float
        texts : ndarray of bool, shape [n], optional
            Which texts count; all without it.
        """
        chosen = np.ones(len(self.answers), bool) if texts is None else texts
        return contrasts.contrast(self.answers[chosen], [part[:, chosen] for part in self._of(poolings)], weights)

    def between(
        self, poolings: Sequence[str], weights: Sequence[float], groups: tuple[np.ndarray, np.ndarray]
    ) -> Contrast:
        """Return how much larger such a sum is on one group of texts (bool, ``[n]``) than on another."""
        return contrasts.between(self.answers, self._of(poolings), weights, groups)

    def _of(self, methods: Sequence[str]) -> list[np.ndarray]:
        found = self.poolings | self.baselines
        return [found[name] for name in methods]

    def comparisons(self, reference: str = "mean") -> pd.DataFrame:
        """Compare every pooling and baseline with one of them, over texts and seeds.

        Returns
        -------
        DataFrame
            Index and columns as of `evaluation.compare_all`, from `contrast`: p_holm is corrected for all comparisons
            of the cell, and detectable is what a test at the strictest level of the correction would find about four
            times in five.
        """
        found, rows = self.poolings | self.baselines, {}
        for method, said in found.items():
            own = self.contrast([method], [1]).effect
            spread = correctness(self.answers, said).mean(axis=1).std(ddof=1)
            rows[method] = {"accuracy": own.value, "low": own.low, "high": own.high, "seed_sd": spread}
            if method != reference:
                gap = self.contrast([method, reference], [1, -1])
                rows[method] |= {
                    "difference": gap.effect.value,
                    "difference_low": gap.effect.low,
                    "difference_high": gap.effect.high,
                    "p_holm": gap.p,
                    "detectable": gap.detectable(ALPHA / (len(found) - 1)),
                }
        table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")
        compared = table.index != reference
        table.loc[compared, "p_holm"] = holm(table.loc[compared, "p_holm"])
        return table


def read(table: Table, scale: str, model: str, mode: str, dataset: str) -> Cell:
    """Return one cell of a scale's table.

    Raises
    ------
    NotRun
        A part of the cell has not been run.
    ValueError
        Its runs are of different configurations or precisions.
    """
    settings = grid.SCALES[scale]
    cell = {"dataset": dataset, "labels": max(settings.labels[dataset])}
    baselines = {shown: table.probabilities(model=name, **cell) for shown, name in BASELINES.items()}
    if model in settings.pair:
        baselines[RANDOM] = table.probabilities(model=f"{model}-random", pooling="mean", mode=mode, **cell)
    poolings = table.predictions(list(settings.poolings), model=model, mode=mode, **cell)
    rows = table.select(model=model, mode=mode, **cell)
    if rows.groupby("pooling").seed.apply(frozenset).nunique() > 1:
        raise NotRun(f"{mode} {model} on {dataset}: not every pooling has the same seeds. Run the grid to its end.")
    if len(rows[["configuration", "precision"]].drop_duplicates()) > 1:
        raise ValueError(f"The runs of {mode} {model} on {dataset} were not all made alike (columns configuration and "
                         "precision): delete their rows and run the grid again on one kind of processor.")  # fmt: skip
    made = rows.precision.iloc[0]
    return Cell(scale, model, mode, dataset, made, cell["labels"], table.labels(**cell), poolings, baselines)
