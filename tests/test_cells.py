"""A cell of the grid: its poolings, what they are held against, and which runs it takes."""

from dataclasses import replace
from itertools import product

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


def precision(model: str, mode: str, labels: int) -> str:
    """One cell was computed otherwise than all others."""
    return "bfloat16" if (model, mode, labels) == ("mini-gpt2", "fine-tuned", 32) else "float32"


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
                row = vars(run) | {"labels": labels} | records.measures(LABELS, part) | others
                made.add(row | {"precision": precision(run.model, run.mode, labels)}, part, LABELS)
    return made


def test_a_cell_has_each_pooling_and_each_baseline_with_the_most_labels(table, monkeypatch):
    several = replace(SETTINGS, labels=SETTINGS.labels | {"imdb": (16, 32)})
    monkeypatch.setitem(grid.SCALES, "smoke", several)
    cell = cells.read(table, "smoke", "mini-bert", "fine-tuned", "imdb")
    assert (cell.labels, cell.name) == (32, "fine-tuned mini-bert, imdb")
    found = {name: evaluation.correctness(cell.answers, part).sum(axis=1) for name, part in
             (cell.poolings | cell.baselines).items()}  # fmt: skip
    expected = {"mean": 31, "max": 29, "weighted_sum": 32, "TF-IDF, same part": 33, "TF-IDF, whole text": 34,
                "majority": 20, "mean, random weights": 23}  # fmt: skip
    assert {name: set(right) for name, right in found.items()} == {name: {right} for name, right in expected.items()}
    assert all(len(right) == SETTINGS.seeds for right in found.values())


def test_the_precision_of_a_cell_is_that_of_its_own_runs(table):
    for model, mode in product(("mini-bert", "mini-gpt2"), ("frozen", "fine-tuned")):
        assert cells.read(table, "smoke", model, mode, "imdb").precision == precision(model, mode, 32)


def test_a_contrast_takes_the_poolings_named_and_the_texts_chosen(table):
    cell = cells.read(table, "smoke", "mini-gpt2", "frozen", "imdb")
    gap = cell.contrast(["weighted_sum", "max"], [1, -1])
    assert gap.effect.value == pytest.approx((31 - 28) / 40)
    assert cell.contrast(["mean", "mean, random weights"], [1, -1]).effect.value == pytest.approx(8 / 40)
    missed = (evaluation.correctness(cell.answers, cell.poolings["max"]) == 0).all(axis=0)
    assert missed.any() and cell.contrast(["max", "majority"], [1, -1], missed).effect.value <= 0


def test_two_groups_of_texts_are_compared_under_the_same_runs(table):
    cell = cells.read(table, "smoke", "mini-bert", "frozen", "imdb")
    early = np.arange(40) < 10
    right = [evaluation.correctness(cell.answers, cell.poolings[pool]) for pool in ("max", "mean")]
    gap = right[0] - right[1]
    found = cell.between(["max", "mean"], [1, -1], (early, ~early))
    assert found.effect.value == pytest.approx(gap[:, early].mean() - gap[:, ~early].mean())


def test_a_pooling_without_a_seed_of_the_others_is_no_cell(table, tmp_path):
    """As many seeds, but not the same ones: rows would be paired that do not belong together."""
    other = records.Table("smoke", tmp_path)
    for row in table.rows.to_dict("records"):
        moved = (row["model"], row["mode"], row["pooling"], row["seed"]) == ("mini-bert", "frozen", "max", 2)
        other.add(row | ({"seed": 7} if moved else {}), table.array(row, "checksum"), LABELS)
    with pytest.raises(records.NotRun, match="frozen mini-bert on imdb: not every pooling has the same seeds"):
        cells.read(other, "smoke", "mini-bert", "frozen", "imdb")


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
    assert caption == "Frozen mini-bert; imdb, first 64 tokens; 32 labels; 40 test texts; 3 seeds; float32 (smoke)"
    assert first.startswith("TF-IDF, whole text") and "0.850" in first
    assert shown[1] == "Poolings shown to be better than the mean: **none**; worse: none."


def test_runs_that_were_not_made_alike_are_no_cell(table, tmp_path):
    cell = {"model": "mini-bert", "mode": "frozen", "dataset": "imdb"}
    for column in ("configuration", "precision"):
        other = records.Table("smoke", tmp_path / column)
        (tmp_path / column).mkdir()
        for row in table.rows.to_dict("records"):
            changed = {column: "another"} if (row["model"], row["pooling"]) == ("mini-bert", "max") else {}
            other.add(row | changed, table.array(row, "checksum"), LABELS)
        with pytest.raises(ValueError, match="were not all made alike"):
            cells.read(other, "smoke", **cell)


def test_the_comparisons_of_a_cell_by_hand(monkeypatch):
    """Luck of a run is no difference, whatever the texts say; a gap that every run shows is one."""
    rng, labels = np.random.default_rng(0), np.arange(2000) % 2
    right = {"mean": rng.random((5, 2000)) < 0.75, "better": rng.random((5, 2000)) < 0.85}
    right["worse"] = rng.random((5, 2000)) < 0.6
    right["lucky"] = right["mean"].copy()
    right["lucky"][0] |= rng.random(2000) < 0.6  # one run of five
    said = {name: np.where(part == (labels == 1), 0.9, 0.1) for name, part in right.items()}
    cell = cells.Cell("smoke", "mini-bert", "frozen", "imdb", "float32", 32, labels, said, {})
    found = cell.comparisons()
    assert found.columns.tolist() == evaluation.compare_all(labels, said, "mean").columns.tolist()
    shares = {name: part.mean(axis=1) for name, part in right.items()}
    assert found.accuracy.to_dict() == pytest.approx({name: share.mean() for name, share in shares.items()})
    assert found.seed_sd.to_dict() == pytest.approx({name: share.std(ddof=1) for name, share in shares.items()})
    gaps = {name: cell.contrast([name, "mean"], [1, -1]) for name in ("better", "worse", "lucky")}
    for name, gap in gaps.items():
        own, row = cell.contrast([name], [1]).effect, found.loc[name]
        assert (row.low, row.high) == (own.low, own.high) and own.low < own.high
        assert (row.difference_low, row.difference_high) == (gap.effect.low, gap.effect.high)
    assert found.difference.better == pytest.approx(gaps["better"].effect.value)
    # Holm of three: the smallest p three times, the next twice (or as much as that), the largest as it is.
    small = sorted(gaps[name].p for name in ("better", "worse"))
    stepped = [3 * small[0], max(3 * small[0], 2 * small[1])]
    assert sorted(found.p_holm[["better", "worse"]]) == pytest.approx(stepped) and small[1] < 1e-3
    assert found.p_holm.lucky == pytest.approx(gaps["lucky"].p) and gaps["lucky"].p > 0.05
    assert found.detectable.better == pytest.approx(gaps["better"].detectable(0.05 / 3))
    assert found.loc["mean", ["difference", "p_holm", "detectable"]].isna().all()
    shown: list = []
    monkeypatch.setattr(figures, "display", lambda bundle, **_: shown.append(getattr(bundle, "data", bundle)))
    figures.cell(cell)
    assert shown[1] == "Poolings shown to be better than the mean: **better**; worse: worse."
