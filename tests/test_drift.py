"""Drift watch: the same slice passes, a planted drift is named, and chance is let be."""

import zlib
from dataclasses import astuple, replace

import numpy as np
import pytest
from scipy import stats

from helpers import grid, records
from helpers.records import NotRun, Table
from tools import drift

SETTINGS = replace(grid.SCALES["smoke"], seeds=5)


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A table of made-up runs, and a grid that gives the same again; `planted` holds what it gets wrong by then."""
    labels = {dataset: np.random.default_rng(1).integers(0, 2, 200) for dataset in SETTINGS.labels}
    planted: dict[str, int] = {}

    def execute(run, settings, worse=None):
        rng, truth = np.random.default_rng(zlib.crc32(run.name.encode())), labels[run.dataset]
        right = rng.random(200) < 0.75 + rng.normal(0, 0.02)
        right[: (worse or planted).get(f"{run.model} {run.pooling}", 0)] = False
        found = np.where(right == (truth == 1), 2, -2).astype(np.float16)
        key = dict(zip(records.KEY, astuple(run), strict=True))
        return key | records.measures(truth, found) | records.provenance("x", f"of {run.seed % 2}"), found, truth

    table = Table("smoke", tmp_path)
    for run in drift.slice_of(SETTINGS):
        table.add(*execute(run, SETTINGS, {"": 0}))
    monkeypatch.setattr(grid, "execute", execute)
    monkeypatch.setattr(grid, "configuration", lambda run, settings: "x")
    monkeypatch.setitem(grid.SCALES, "smoke", SETTINGS)
    monkeypatch.setattr(drift.records, "Table", lambda scale: Table(scale, tmp_path))
    return planted


def test_the_slice_is_stated_and_small():
    runs = drift.slice_of(grid.SCALES["laptop"])
    assert len(runs) == 2 * 2 * 2 * 5
    assert {(run.mode, run.labels) for run in runs} == {("frozen", 1000)}
    assert {run.pooling for run in runs} == {"mean", "max"}


def test_the_same_results_are_inside_and_the_report_names_versions(recorded, capsys):
    drift.main(["--scale", "smoke"])
    told = capsys.readouterr().out
    assert "torch" in told and told.count("recorded: Python") == 2 and "; of 0; " in told and "; of 1; " in told
    (now,) = [line for line in told.splitlines() if line.startswith("now: ")]
    assert f"; {grid.precision(drift.slice_of(SETTINGS)[0])}; " in now
    assert "No cell has moved by more than chance and 0.5 points" in told


def test_a_planted_drift_is_named_and_ends_with_an_error(recorded, capsys):
    recorded["mini-gpt2 max"] = 80
    with pytest.raises(SystemExit, match="mini-gpt2/max/frozen/imdb/32, mini-gpt2/max/frozen/rotten_tomatoes/32"):
        drift.main(["--scale", "smoke"])
    assert "mini-bert" in capsys.readouterr().out


def test_the_share_of_texts_that_are_decided_differently_is_told(recorded):
    recorded["mini-gpt2 max"] = 80
    found = drift.watch(drift.records.Table("smoke"), SETTINGS)["decided differently"]
    assert found["mini-gpt2/max/frozen/imdb/32"] == pytest.approx(0.75 * 80 / 200, abs=0.05), "those that were right"
    assert found["mini-bert/max/frozen/imdb/32"] == 0


def right(*counts, n=1000):
    """[seeds, n]: each seed has the first so many texts right."""
    return np.arange(n) < np.array(counts)[:, None]


def test_judging_by_hand():
    recorded = right(700, 720, 740, 760, 780)
    accuracy = recorded.mean(axis=1)
    reach = stats.t.ppf(0.975, 4) * accuracy.std(ddof=1) / 5**0.5
    same = drift.judge(recorded, recorded, 8)
    assert same["inside"] and not same["drift"] and same["p"] == 1
    assert [same["low"], same["recorded"], same["high"]] == pytest.approx([0.74 - reach, 0.74, 0.74 + reach])
    lower = drift.judge(recorded, right(670, 690, 710, 730, 750), 8)
    assert lower["drift"] and lower["inside"], "all seeds lose three points: certain, though the seeds spread as far"
    assert lower["p"] == pytest.approx(8 * 5 * 2 * 0.5**30), "thirty texts moved, all one way; 40 tests"
    assert drift.judge(right(670, 690, 710, 730, 750), recorded, 8)["drift"], "a gain is a drift as well"
    far = drift.judge(recorded, right(600, 620, 640, 660, 680), 8)
    assert far["drift"] and not far["inside"] and far["again"] == pytest.approx(0.64)


@pytest.mark.parametrize("now", [(670, 720, 740, 760, 780), (680, 740, 740, 760, 780), (690, 708, 725, 741, 756)])
def test_a_drift_is_seen_however_the_seeds_differ_in_it(now):
    """In one seed; in two that cancel; in all, by unequal amounts."""
    assert drift.judge(right(700, 720, 740, 760, 780), right(*now), 8)["drift"]


def test_small_or_even_moves_are_no_drift():
    recorded = right(700, 720, 740, 760, 780)
    small = drift.judge(right(3000, 3010, n=4000), right(2984, 2994, n=4000), 2)
    assert small["p"] < 0.001 and not small["drift"], "certain, and too small to matter: 0.4 points"
    assert not drift.judge(recorded, right(690, 710, 730, 750, 770), 8)["drift"], "ten texts one way, of forty tests"
    rounded = recorded.copy()
    for seed, count in enumerate((700, 720, 740, 760, 780)):  # a tenth moves: 55 texts lost and 45 won
        rounded[seed, count - 55 : count + 45] ^= True
    assert not drift.judge(recorded, rounded, 8)["drift"], "a point in accuracy, and within chance"


def test_rows_of_another_protocol_are_no_drift(recorded, monkeypatch):
    monkeypatch.setattr(grid, "configuration", lambda run, settings: "y")
    with pytest.raises(NotRun, match="is not on file as it would be run today"):
        drift.main(["--scale", "smoke"])


def test_a_scale_without_a_pair_has_no_slice(tmp_path):
    with pytest.raises(NotRun, match="there is no slice to run again"):
        drift.watch(Table("smollm2", tmp_path), grid.SCALES["smollm2"])


def test_a_slice_that_was_never_run_says_so_at_once(tmp_path):
    with pytest.raises(NotRun, match="is not on file as it would be run today"):
        drift.watch(Table("smoke", tmp_path), SETTINGS)
