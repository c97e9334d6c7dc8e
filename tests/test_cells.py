"""A cell of the grid: its poolings, what they are held against, and which runs it takes."""

import numpy as np
import pytest

from helpers import cells, evaluation, figures, grid, records

SETTINGS = grid.SCALES["smoke"]
LABELS = np.arange(40) % 2
#: Share of the texts that the made-up runs get right.
RIGHT = {"majority": 20, "tfidf": 34, "tfidf-cut": 33, "mean": 30, "max": 28, "weighted_sum": 31}


def log_odds(right: int, turn: int = 0) -> np.ndarray:
    """Right on so many texts, beginning at one of them."""
    sign = np.where(LABELS == 1, 2.0, -2.0)
    sign[np.roll(np.arange(40), turn)[right:]] *= -1
    return sign.astype(np.float16)


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> records.Table:
    """Two models, frozen and fine-tuned, with their twins, on one data set; with fewer labels all just guess."""
    made = records.Table("smoke", tmp_path_factory.mktemp("grid"))
    others = {"seconds": 1.0, "peak_memory_mb": 1, "configuration": "made up"}
    for run in grid.plan(SETTINGS):
        if run.dataset == "imdb":
            right = RIGHT.get(run.pooling, RIGHT.get(run.model)) - 8 * run.model.endswith("random")
            found = log_odds(right + (run.mode == "fine-tuned") - (run.model.startswith("mini-gpt2")), turn=run.seed)
            for labels, part in ((run.labels, found), (16, 0 * found)):
                made.add(vars(run) | {"labels": labels} | records.measures(LABELS, part) | others, part, LABELS)
    return made


def test_a_cell_has_each_pooling_and_each_baseline_with_the_most_labels(table):
    cell = cells.read(table, "smoke", "mini-bert", "fine-tuned", "imdb")
    assert (cell.labels, cell.name) == (32, "fine-tuned mini-bert, imdb")
    found = {name: evaluation.correctness(cell.answers, part).sum(axis=1) for name, part in
             (cell.poolings | cell.baselines).items()}  # fmt: skip
    expected = {"mean": 31, "max": 29, "weighted_sum": 32, "TF-IDF, same part": 33, "TF-IDF, whole text": 34,
                "majority": 20, "mean, random weights": 23}  # fmt: skip
    assert {name: set(right) for name, right in found.items()} == {name: {right} for name, right in expected.items()}
    assert all(len(right) == SETTINGS.seeds for right in found.values())


def test_a_contrast_takes_the_poolings_named_and_the_texts_chosen(table):
    cell = cells.read(table, "smoke", "mini-gpt2", "frozen", "imdb")
    gap = cell.contrast(["weighted_sum", "max"], [1, -1])
    assert gap.effect.value == pytest.approx((31 - 28) / 40)
    assert cell.contrast(["mean", "mean, random weights"], [1, -1]).effect.value == pytest.approx(8 / 40)
    missed = (evaluation.correctness(cell.answers, cell.poolings["max"]) == 0).all(axis=0)
    assert missed.any() and cell.contrast(["max", "majority"], [1, -1], missed).effect.value <= 0


def test_what_was_not_run_is_not_a_cell(table):
    with pytest.raises(records.NotRun, match="not run at this scale"):
        cells.read(table, "smoke", "mini-bert", "frozen", "rotten_tomatoes")
    with pytest.raises(records.NotRun, match="not run at this scale"):
        cells.read(table, "smoke", "minilm", "frozen", "imdb")


def test_the_table_of_a_cell_has_the_best_method_on_top(table, monkeypatch):
    shown = []
    monkeypatch.setattr(figures, "display", lambda bundle, **_: shown.append(getattr(bundle, "data", bundle)))
    figures.cell(cells.read(table, "smoke", "mini-bert", "frozen", "imdb"))
    caption, _, _, first, *_ = shown[0]["text/plain"].splitlines()
    assert caption == "Frozen mini-bert; imdb, first 64 tokens; 32 labels; 40 test texts; 3 seeds (smoke)"
    assert first.startswith("TF-IDF, whole text") and "0.850" in first
    assert shown[1] == "In these runs, poolings shown to be better than the mean: **none**; worse: none."
