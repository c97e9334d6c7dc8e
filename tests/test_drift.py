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


def test_judging_by_hand():
    recorded = np.array([0.7, 0.72, 0.74, 0.76, 0.78])
    error = recorded.std(ddof=1) / 5**0.5
    same = drift.judge(recorded, recorded, 8)
    assert same["inside"] and not same["drift"] and same["high"] == pytest.approx(0.74 + stats.t.ppf(0.975, 4) * error)
    lower = drift.judge(recorded, recorded - 0.03 + np.array([1, -1, 0, 1, -1]) / 1000, 8)
    assert lower["drift"] and lower["inside"], "all seeds lose three points: certain, though the seeds spread as far"
    assert drift.judge(recorded, recorded - 0.03, 8)["drift"]
    assert not drift.judge(recorded, recorded - 0.004, 8)["drift"], "certain, and too small to matter"
    luck = np.array([0.05, -0.02, 0.03, -0.04, 0.02])
    assert not drift.judge(recorded, recorded + luck, 8)["drift"], "large, and not certain"
    one_text = np.array([0.0005, 0, 0, 0, 0])
    assert not drift.judge(recorded, recorded + one_text, 8)["drift"]


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
