"""The course's main finding as one picture and one sentence, both from the tables: python -m tools.findings.

The README and the book's first page show the picture and carry the sentence; a test holds them to the tables.
"""

import itertools
from dataclasses import dataclass

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from helpers import cells, data, evaluation, figures, grid, records
from helpers.contrasts import Contrast
from tools.project import ROOT

SCALE = "laptop"
PICTURE = ROOT / "book" / "findings.png"
METHODS = {
    "max": "max",
    "weighted_sum": "weighted sum (learned)",
    "first": "first token",
    "last": "last token",
    "TF-IDF, same part": "bag of words (TF-IDF)",
}
TEXTS = {"imdb": "whole reviews", "rotten_tomatoes": "single sentences"}
MODES = ("frozen", "fine-tuned")


@dataclass(frozen=True)
class Gap:
    """One method minus the mean, in one cell of the grid, with a p that is corrected for all of the picture."""

    method: str
    model: str
    mode: str
    dataset: str
    contrast: Contrast
    p: float

    @property
    def shown(self) -> bool:
        return self.p < evaluation.ALPHA


def gaps() -> list[Gap]:
    """Return every method of the picture minus the mean, in each cell of the mini pair."""
    table, found = records.Table(SCALE), []
    for model, mode, dataset in itertools.product(grid.SCALES[SCALE].pair, MODES, data.NAMES):
        cell = cells.read(table, SCALE, model, mode, dataset)
        found += [(method, model, mode, dataset, cell.contrast([method, "mean"], [1, -1])) for method in METHODS]
    corrected = evaluation.holm(np.array([contrast.p for *_, contrast in found]))
    return [Gap(*one, p=float(p)) for one, p in zip(found, corrected, strict=True)]


def sentence(found: list[Gap]) -> str:
    """Say what the picture shows."""
    cells_of = len({(gap.model, gap.mode, gap.dataset) for gap in found})
    counts = []
    for method, name in METHODS.items():
        signs = [gap.contrast.effect.value > 0 for gap in found if gap.method == method and gap.shown]
        counts.append(f"{name}: ahead in {sum(signs)}, behind in {len(signs) - sum(signs)}")
    return (
        f"Against mean pooling, in {cells_of} cells (a BERT and a GPT-2 of 5 million parameters that were pretrained "
        f"alike, frozen or fine-tuned, whole reviews or single sentences), after correction: {'; '.join(counts)}. "
        "Elsewhere no difference is shown."
    )


def draw(found: list[Gap]) -> plt.Figure:
    """Draw the gaps, one panel for frozen and one for fine-tuned encoders."""
    figures.theme()
    rows = list(itertools.product(data.NAMES, grid.SCALES[SCALE].pair))
    looks = dict(zip(METHODS, zip([*sns.color_palette()[:4], "#555555"], "osD^X", strict=True), strict=True))
    figure, panels = plt.subplots(1, 2, figsize=(11, 5), sharey=True, sharex=True)
    for panel, mode in zip(panels, MODES, strict=True):
        panel.axvline(0, color=figures.INK, lw=1)
        for gap in (gap for gap in found if gap.mode == mode):
            color, marker = looks[gap.method]
            place = list(METHODS).index(gap.method)
            y = rows.index((gap.dataset, gap.model)) + 0.15 * (place - 2)
            effect = gap.contrast.effect
            panel.plot([100 * effect.low, 100 * effect.high], [y, y], color=color, lw=1.5)
            panel.plot(100 * effect.value, y, marker, color=color, ms=7, mfc=color if gap.shown else figures.PAPER,
                       label=METHODS[gap.method] if gap.dataset == data.NAMES[0] and gap.model == rows[0][1] else None)
        panel.set(title=f"encoder {mode}", xlabel="accuracy minus that of mean pooling (points)")
    panels[0].set_yticks(range(len(rows)), [f"{TEXTS[dataset]}\n{model}" for dataset, model in rows])
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower center", ncols=5, frameon=False)
    figure.supxlabel("filled: shown after correction (Holm); lines: 95% intervals", y=0.08, fontsize=10)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    return figure


if __name__ == "__main__":
    all_gaps = gaps()
    draw(all_gaps).savefig(PICTURE, dpi=110, metadata={"Software": None})
    print(sentence(all_gaps))
