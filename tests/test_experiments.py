"""Running the grid: the same table in whatever way it is run, and whoever dies on the way."""

import os
import signal
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from distributed import Client
from filelock import FileLock

from helpers import experiments, grid
from helpers.records import KEY, Table
from tools.project import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_cache", "no_gpu")]
#: What a second run of the same row cannot repeat (the second may be tomorrow's).
COSTS = ["seconds", "peak_memory_mb", "date"]
really_execute = grid.execute


@pytest.fixture
def no_gpu(monkeypatch):
    """All processes compute on the processor, in the same precision."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def tiny(tiny_bert, monkeypatch) -> grid.Settings:
    """Real reviews of the smallest scale, and a tiny random model: 14 runs."""
    settings = grid.Settings(
        "smoke", {str(tiny_bert): 1e-3}, (), {"rotten_tomatoes": 16}, labels={"rotten_tomatoes": (16,)},
        validation=16, test=24, seeds=2, poolings=("mean", "weighted_sum"),
    )  # fmt: skip
    monkeypatch.setitem(grid.SCALES, "smoke", settings)
    return settings


def dying(run: grid.Run, settings: grid.Settings) -> tuple[dict, np.ndarray, np.ndarray]:
    """Do a run; but the first time that this one is done, the process is killed before it can answer."""
    found = really_execute(run, settings)
    if run.mode == "fine-tuned" and run.seed == 0 and run.pooling == "mean":
        try:
            os.close(os.open(os.environ["KILLED_ONCE"], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return found
        os.kill(os.getpid(), signal.SIGKILL)
    return found


def run_grid(out: Path, *arguments: str) -> Table:
    experiments.main(["--scale", "smoke", "--out", str(out), *arguments])
    return Table("smoke", out)


def same(one: Table, other: Table) -> None:
    pd.testing.assert_frame_equal(one.rows.drop(columns=COSTS), other.rows.drop(columns=COSTS))
    for row in one.rows.to_dict("records"):
        cell = {key: row[key] for key in KEY}
        assert np.array_equal(one.probabilities(**cell), other.probabilities(**cell))


def test_workers_keep_their_memory_and_use_one_core(monkeypatch):
    """Dask's default has them give it back at once, which took a quarter of each training step."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # somebody's own choice would be kept
    with experiments._cluster(None, 1) as client:
        found = [client.submit(os.environ.get, name).result() for name in ("MALLOC_TRIM_THRESHOLD_", "OMP_NUM_THREADS")]
    assert found == [None, "1"]


def test_two_workers_of_a_cluster_give_the_serial_table_though_one_is_killed(tiny, tmp_path, monkeypatch):
    serial = run_grid(tmp_path / "serial", "--processes", "1")
    assert len(serial.rows) == len(grid.plan(tiny)) == 14
    monkeypatch.setenv("KILLED_ONCE", str(tmp_path / "killed"))
    monkeypatch.setattr(grid, "execute", dying)
    here = {**os.environ, "OMP_NUM_THREADS": "1"}
    file = str(tmp_path / "scheduler.json")
    scheduler = ["dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", file]
    worker = ["dask_worker", "--scheduler-file", file, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    started = []
    try:
        for command in (scheduler, worker, worker):
            command = [sys.executable, "-m", f"distributed.cli.{command[0]}", *command[1:]]
            started.append(subprocess.Popen(command, env=here, stderr=subprocess.DEVNULL, cwd=tmp_path))
        with Client(scheduler_file=file, timeout=60) as client:
            client.wait_for_workers(2, timeout=120)
            address = client.scheduler.address
        found = run_grid(tmp_path / "cluster", "--cluster", address)
        codes = [process.poll() for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert sorted(codes[1:], key=str) == [-signal.SIGKILL, None], "one worker died, the other one went on"
    same(serial, found)


def write_script(folder: Path, settings: grid.Settings, change: str = "") -> str:
    """The command line, with the tiny grid in place of the smallest scale's."""
    script = folder / "script.py"
    script.write_text(
        "import sys\nfrom helpers import experiments, grid\nfrom tests.test_experiments import dying\n"
        f"grid.SCALES['smoke'] = grid.{settings!r}\n{change}\nexperiments.main(sys.argv[1:])\n"
    )
    return str(script)


def test_processes_that_share_each_run_write_one_table(tiny, tmp_path):
    serial = run_grid(tmp_path / "serial", "--processes", "1", "--only", "pooling=none,mean", "seed=0")
    out = tmp_path / "together"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    arguments = ["--scale", "smoke", "--out", str(out), "--only", "pooling=none,mean", "seed=0"]
    here = {**os.environ, "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run([*launch, write_script(tmp_path, tiny), *arguments], env=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = Table("smoke", out)
    pd.testing.assert_frame_equal(found.rows[KEY], serial.rows[KEY])
    for row in serial.rows.query("mode != 'fine-tuned'").to_dict("records"):  # dropout is each process's own
        cell = {key: row[key] for key in KEY}
        assert np.array_equal(serial.probabilities(**cell), found.probabilities(**cell))


def test_a_killed_run_goes_on_where_it_was(tiny, tmp_path, monkeypatch):
    serial = run_grid(tmp_path / "serial", "--processes", "1")
    out = tmp_path / "killed"
    script = write_script(tmp_path, tiny, "grid.execute = dying")
    here = {**os.environ, "KILLED_ONCE": str(tmp_path / "once")}
    command = [sys.executable, script, "--scale", "smoke", "--out", str(out), "--processes", "1"]
    assert subprocess.run(command, env=here, stderr=subprocess.DEVNULL).returncode == -signal.SIGKILL
    kept = Table("smoke", out)
    assert 0 < len(kept.rows) < len(serial.rows)
    done = []
    monkeypatch.setattr(grid, "execute", lambda run, settings: done.append(run) or really_execute(run, settings))
    same(serial, run_grid(out, "--processes", "1"))
    assert len(done) == len(serial.rows) - len(kept.rows), "what was done is not done again"
    done.clear()
    same(serial, run_grid(out, "--processes", "1"))
    assert not done


def test_a_part_of_the_grid_can_be_run_alone(tiny, tmp_path):
    table = run_grid(tmp_path, "--processes", "1", "--only", "model=majority,tfidf", "seed=1")
    assert sorted(table.rows.model) == ["majority", "tfidf"] and set(table.rows.seed) == {1}


@pytest.mark.parametrize("only, said", [("colour=red", "--only takes key=value"), ("model", "--only takes key=value"),
                                        ("model=bert", "The smoke grid has no model bert")])  # fmt: skip
def test_a_part_that_does_not_exist_is_refused(only, said, tiny, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run_grid(tmp_path, "--only", only)
    assert said in capsys.readouterr().err


def test_a_run_that_fails_does_not_take_the_others_along(tiny, tmp_path):
    class Client:
        """Does at once what it is sent."""

        def submit(self, function, run, settings, pure):
            return Done(function, run, settings)

    class Done:
        def __init__(self, function, run, settings):
            self.status = "error" if run.pooling == "mean" else "finished"
            self.result = lambda: function(run, settings)
            self.exception = lambda: OSError("disk full")
            self.release = lambda: None

    table = Table("smoke", tmp_path)
    runs = [run for run in grid.plan(tiny) if run.mode == "frozen"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments, "as_completed", list)
        with pytest.raises(RuntimeError, match="2 of 4 runs failed, the first was .*mean.*disk full"):
            experiments.work(runs, tiny, table, Client())
    assert len(table.rows) == 2 and set(table.rows.pooling) == {"weighted_sum"}


def test_a_run_that_fails_alone_does_not_stop_those_after_it(tiny, tmp_path, monkeypatch):
    def failing(run, settings):
        if run.pooling == "mean":
            raise ValueError("the validation loss is not a number")
        return really_execute(run, settings)

    monkeypatch.setattr(grid, "execute", failing)
    with pytest.raises(RuntimeError, match="2 of 4 runs failed, the first was .*mean.*not a number"):
        run_grid(tmp_path, "--processes", "1", "--only", "mode=frozen")
    assert set(Table("smoke", tmp_path).rows.pooling) == {"weighted_sum"}


def test_two_commands_never_write_one_table(tiny, tmp_path, capsys):
    with FileLock(tmp_path / ".grid_smoke.lock"):
        with pytest.raises(SystemExit):
            run_grid(tmp_path, "--processes", "1")
        assert "Another process is writing grid_smoke" in capsys.readouterr().err
        run_grid(tmp_path, "--dry-run")  # only reads


def test_a_dry_run_plans_and_does_nothing(tiny, tmp_path, capsys):
    run_grid(tmp_path, "--dry-run")
    said = capsys.readouterr().out
    assert "14 runs, about" in said and "fine-tuned" in said and not [*tmp_path.glob("grid*")]


def test_an_estimate_follows_the_rows_that_are_there(tiny):
    runs = [run for run in grid.plan(tiny) if run.mode == "baseline" and run.model == "tfidf"]
    rows = pd.DataFrame([dict(zip(KEY, astuple(run), strict=True)) | {"seconds": 90.0} for run in runs])
    assert experiments.estimate(runs, tiny, rows).minutes.tolist() == [pytest.approx(len(runs) * 1.5)]


def test_a_run_is_guessed_from_its_size():
    settings = grid.SCALES["laptop"]
    mini, minilm = (grid.Run(model, "mean", "fine-tuned", "imdb", 1000, 0) for model in ("mini-bert", "minilm"))
    # By hand: 6 * 1000 * 2 + 2 * (4 * 250 + 2000) products a parameter and token, 128 tokens, 3.2 million parameters.
    assert experiments._guess(mini, settings) == pytest.approx(18_000 * 128 * 3.2e6 / 5e10)
    assert experiments._guess(minilm, settings) > 3 * experiments._guess(mini, settings)
    fixed, learned = (grid.Run("mini-bert", pool, "frozen", "imdb", 1000, 0) for pool in ("mean", "attention"))
    # Half precision, 2 bytes: the labelled texts once or in each round, the test texts once. Before that they are
    # encoded: its own labelled texts with six other poolings, the others with four other seeds as well.
    encoding = 2 * (1000 + 2250 / 5) / 7 * 128 * 3.2e6 / 5e10
    assert experiments._guess(fixed, settings) == pytest.approx(2 + encoding + 2 * 3000 * 128 * 256 / 2e8)
    assert experiments._guess(learned, settings) == pytest.approx(2 + encoding + 2 * 22_000 * 128 * 256 / 2e8)


def test_frozen_runs_find_their_states_in_the_cache(tiny, tmp_path, monkeypatch):
    runs = [run for run in grid.plan(tiny) if run.mode == "frozen"]
    grid.encode_all(runs[0].model, "rotten_tomatoes", tiny)
    monkeypatch.setattr(grid.encoders, "_compute", lambda *_: pytest.fail("computed again"))
    for run in runs:
        grid.execute(run, tiny)
