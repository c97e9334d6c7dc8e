"""Faults, each tried for real: killed processes, full and read-only disks, damaged files, a wrong clock, no memory.

Elsewhere: a killed grid (test_experiments), its two files (test_grid), a killed download (test_hub), two writers
at once and coarser damage (test_encoders, test_cache), training that goes on step by step (test_pretraining).
"""

import hashlib
import itertools
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from safetensors.numpy import save_file

from helpers import cache, encoders, finetuning, grid, memory, pooling, trained
from helpers.encoders import encode, load
from helpers.records import Table
from tests.test_encoders import FLOAT16, TEXTS, assert_right, flip, shards
from tests.test_experiments import run_grid, same
from tests.test_pretraining import BATCH, run_of, weights_of
from tools import execute, mini_models, notebooks, pretrain_mini_pair

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("own_cache", "in_float32"),
    pytest.mark.skipif(sys.platform != "linux", reason="signals, mounts and limits as Linux has them"),
]
SAMPLE = Path(__file__).parent / "sample" / "01_sample.py"
MANY = [f"film {number} , a fine one" + " and warm" * (number % 7) for number in range(12)]
LONGEST_WAIT = 120  # seconds for what takes one or two


# Children: each is forked from one server that has imported everything, so that twenty cost little


def start(function, *given) -> multiprocessing.Process:
    """Run a function of this module in a process of its own, with this test's cache."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([__name__])
    process = server.Process(target=_child, args=(os.environ["COURSE_CACHE"], function, given))
    process.start()
    return process


def _child(folder: str, function, given: tuple) -> None:
    os.environ["COURSE_CACHE"] = folder
    torch.cpu._is_avx512_bf16_supported = lambda: False
    function(*given)


def ended(process: multiprocessing.Process) -> int:
    process.join(LONGEST_WAIT)
    return process.exitcode


def wait_for(condition) -> None:
    end = time.monotonic() + LONGEST_WAIT
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.005)


def die_at_write(number: int, half: bool = True) -> None:
    """Have this process killed at its n-th file: when half of it is written, or just after it got its name."""
    real, count = os.replace, itertools.count(1)

    def replace(source, target) -> None:
        last = next(count) == number
        if last and half:
            os.truncate(source, os.path.getsize(source) // 2)
        else:
            real(source, target)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace


def left_over(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix == ".tmp"]


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """The number of texts in each batch that is computed from now on."""
    counts, real = [], memory.states
    monkeypatch.setattr(memory, "states", lambda encoder, tokens, *rest: (
        counts.append(len(tokens)) or real(encoder, tokens, *rest)))  # fmt: skip
    return counts


@pytest.fixture
def undisturbed(bert, tmp_path, monkeypatch) -> torch.Tensor:
    """The states of `MANY` from a run that nothing happened to, in shards of three, and nothing in the test's cache."""
    monkeypatch.setattr(encoders, "SHARD_TEXTS", 3)
    with monkeypatch.context() as patch:
        patch.setenv("COURSE_CACHE", str(tmp_path / "undisturbed"))
        return encode(bert, MANY, 32).values


# Killed: encoding


def encoding(folder: Path, texts: list[str], number: int = 0, half: bool = True) -> None:
    die_at_write(number, half)
    encoders.SHARD_TEXTS = 3
    encode(load(str(folder)), texts, 32)


@pytest.mark.parametrize("half", [True, False], ids=["in a shard", "between shards"])
@pytest.mark.parametrize("number", [1, 2, 4])
def test_killed_encoding_goes_on_with_what_was_finished(number, half, bert, tiny_bert, own_cache, undisturbed,
                                                           computed):  # fmt: skip
    assert ended(start(encoding, tiny_bert, MANY, number, half)) == -signal.SIGKILL
    finished = number - half
    assert len(shards()) == finished and len(left_over(own_cache)) == half
    computed.clear()
    states = encode(bert, MANY, 32)
    assert sum(computed) == len(MANY) - 3 * finished
    assert torch.equal(states.values, undisturbed)
    assert cache.info()["files"] == 4 + half, "what a killed writer left is counted"
    cache.clear()
    assert not left_over(own_cache)


def test_encoding_killed_at_any_moment_again_and_again(bert, tiny_bert, own_cache, monkeypatch, computed):
    texts = [f"{text} {number}" for number in range(40) for text in MANY]
    monkeypatch.setattr(encoders, "SHARD_TEXTS", 3)
    with monkeypatch.context() as patch:
        patch.setenv("COURSE_CACHE", str(own_cache.parent / "undisturbed"))
        expected = encode(bert, texts, 32).values
    codes = []
    for seen in range(4, 64, 10):  # of 160 shards
        process = start(encoding, tiny_bert, texts)
        wait_for(lambda process=process, seen=seen: len(shards()) >= seen or not process.is_alive())
        process.kill()
        codes.append(ended(process))
    assert codes[0] == -signal.SIGKILL and set(codes) <= {-signal.SIGKILL, 0}, "a later one may have been too fast"
    finished = len(shards())
    computed.clear()
    assert torch.equal(encode(bert, texts, 32).values, expected)
    assert sum(computed) == len(texts) - 3 * finished


def test_what_killed_writers_left_goes_after_a_day_and_a_living_writers_file_stays(own_cache):
    target = own_cache / "a.safetensors"
    cache.write_array(target, np.arange(3))
    old, new = (own_cache / f".a.safetensors.{number}.0123abcd.tmp" for number in (7, 8))
    other = own_cache / ".notes.tmp"
    for path in (old, new, other):
        path.write_bytes(b"half")
    two_days_ago = time.time() - 2 * 86_400
    os.utime(old, (two_days_ago, two_days_ago))
    os.utime(other, (two_days_ago, two_days_ago))
    cache.write_array(target, np.arange(3))
    assert not old.exists() and new.exists()
    assert other.exists(), "a file of somebody else's"


# Killed: pretraining


def small() -> None:
    """What test_pretraining's fixture makes small, for a process of its own."""
    mini_models.LAYERS, mini_models.DIM, mini_models.HEADS = 2, 32, 2
    pretrain_mini_pair.SHORT, pretrain_mini_pair.LONG = 16, 32
    pretrain_mini_pair.WARMUP_TOKENS, pretrain_mini_pair.SAVE_STEPS = 2 * BATCH, 5


def pretraining(folder: Path, number: int = 0, half: bool = True) -> None:
    small()
    die_at_write(number, half)
    line = torch.randint(4, 200, (3000,), generator=torch.Generator().manual_seed(3))
    run = run_of("mini-bert", line, folder)
    run.train(folder / "curve.csv")
    np.save(folder / "weights.npy", weights_of(run).numpy())


def test_pretraining_killed_at_any_file_goes_on_as_if_nothing_had_been(tmp_path):
    (tmp_path / "whole").mkdir()
    assert ended(start(pretraining, tmp_path / "whole")) == 0
    weights, curve = np.load(tmp_path / "whole" / "weights.npy"), pd.read_csv(tmp_path / "whole" / "curve.csv")
    assert len(curve) == 5
    for number in range(1, 15):  # at five steps the last state and the curve, at four of them the trunk too
        folder = tmp_path / str(number)
        folder.mkdir()
        for half in (True, False):
            assert ended(start(pretraining, folder, number if half else 1, half)) == -signal.SIGKILL
        assert ended(start(pretraining, folder)) == 0
        assert np.array_equal(np.load(folder / "weights.npy"), weights)
        again = pd.read_csv(folder / "curve.csv")
        pd.testing.assert_frame_equal(again.drop(columns="seconds"), curve.drop(columns="seconds"))


# Killed: the building of notebooks


WAITS = """
# %%
import os, pathlib, threading
if not pathlib.Path("go").exists():
    pathlib.Path("kernel.tmp2").write_text(str(os.getpid()))
    pathlib.Path("kernel.tmp2").rename("kernel")
    threading.Event().wait()
"the end"
"""
BEFORE = execute.Timing("02_other", "laptop", "warm", 9.0, "a laptop")


def building(folder: Path, command: str = "execute", number: int = 0) -> None:
    """`python -m tools.notebooks`, with the folders of a test; what it says goes to a file."""
    die_at_write(number)
    notebooks.SOURCES, notebooks.NOTEBOOKS, notebooks.TIMINGS, notebooks.ANSWERS = places(folder)
    sys.stdout = sys.stderr = open(folder / "said.txt", "w", encoding="utf-8")  # noqa: SIM115 (the process ends)
    os.environ.pop("COURSE_SCALE", None)
    notebooks.main([command])


def places(folder: Path) -> list[Path]:
    return [folder / name for name in ("source", "notebooks", "timings.csv", "my_answers")]


@pytest.fixture
def chapter(tmp_path) -> Path:
    """A folder with the source of a chapter that waits, its notebook without outputs, and a table of timings."""
    folder = tmp_path / "course"
    (folder / "source").mkdir(parents=True)
    source = SAMPLE.read_text(encoding="utf-8")
    (folder / "source" / SAMPLE.name).write_text(source + WAITS, encoding="utf-8")
    assert ended(start(building, folder, "build")) == 0
    target = folder / "notebooks" / "01_sample.ipynb"
    notebook = nbformat.read(target, 4)
    earlier = nbformat.v4.new_output("stream", text="of an earlier run")
    next(cell for cell in notebook.cells if cell.cell_type == "code").outputs.append(earlier)
    nbformat.write(notebook, target)
    execute.record([BEFORE], folder / "timings.csv")
    return folder


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def assert_built(folder: Path) -> None:
    """The next build works: all outputs, and a row for it beside the old one."""
    (folder / "notebooks" / "go").touch()
    assert ended(start(building, folder)) == 0, (folder / "said.txt").read_text(encoding="utf-8")
    notebook = nbformat.read(folder / "notebooks" / "01_sample.ipynb", 4)
    assert notebook.cells[-1].outputs[0].data["text/plain"] == "'the end'"
    found = execute.read_timings(folder / "timings.csv")
    assert [timing.chapter for timing in found] == ["01_sample", "02_other"] and found[1] == BEFORE


@pytest.mark.parametrize("victim", ["builder", "kernel"])
def test_a_build_killed_while_a_chapter_runs_leaves_all_as_it_was(victim, chapter):
    target, table = chapter / "notebooks" / "01_sample.ipynb", chapter / "timings.csv"
    waits = chapter / "notebooks" / "kernel"
    before = target.read_bytes(), table.read_bytes()
    process = start(building, chapter)
    wait_for(lambda: waits.exists() or not process.is_alive())
    kernel = int(waits.read_text())
    try:
        os.kill(process.pid if victim == "builder" else kernel, signal.SIGKILL)
        code = ended(process)
        wait_for(lambda: gone(kernel))
    finally:
        if not gone(kernel):
            os.kill(kernel, signal.SIGKILL)
    said = (chapter / "said.txt").read_text(encoding="utf-8")
    assert code == (-signal.SIGKILL if victim == "builder" else 1)
    assert victim == "builder" or "01_sample stopped: its kernel was killed, most often for want of memory." in said
    assert (target.read_bytes(), table.read_bytes()) == before
    assert not left_over(chapter)
    waits.unlink()
    assert_built(chapter)


@pytest.mark.parametrize("number", [1, 2], ids=["the notebook", "the timings"])
def test_a_build_killed_while_it_writes_leaves_whole_files(number, chapter):
    target, table = chapter / "notebooks" / "01_sample.ipynb", chapter / "timings.csv"
    before = target.read_bytes(), table.read_bytes()
    (chapter / "notebooks" / "go").touch()
    # What a kernel writes at its start is its own: only files of the course are counted.
    assert ended(start(building, chapter, "execute", number)) == -signal.SIGKILL
    assert len(left_over(chapter)) == 1
    assert table.read_bytes() == before[1]
    assert (target.read_bytes() == before[0]) == (number == 1)
    nbformat.validate(nbformat.read(target, 4))
    assert_built(chapter)


# Disks


class Disk:
    """A small file system of its own: a tmpfs. Where mounting is not allowed, `mount` skips the test."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()

    def mount(self, *options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", ",".join(["size=24m", *options]), "tmpfs", str(self.folder)]
        return shutil.which("mount") is not None and not subprocess.run(command, capture_output=True).returncode

    def fill(self, left: int = 0) -> None:
        """Leave so many bytes (a page has 4,096)."""
        (self.folder / "filler").write_bytes(bytes(shutil.disk_usage(self.folder).free - left))

    def make_room(self) -> None:
        (self.folder / "filler").unlink()

    def lock(self, read_only: bool = True) -> None:
        if os.path.ismount(self.folder):
            subprocess.run(["mount", "-o", f"remount,{'ro' if read_only else 'rw'}", str(self.folder)], check=True)
        else:
            for path in [self.folder, *self.folder.rglob("*")]:
                if path.is_dir():
                    path.chmod(0o555 if read_only else 0o755)


@pytest.fixture
def disk(tmp_path):
    """A disk of 24 MB that can be full."""
    made = Disk(tmp_path / "disk")
    if not made.mount():
        pytest.skip("mounting is not permitted here: run as root, or under `unshare --user --map-root-user --mount`")
    yield made
    subprocess.run(["umount", "--lazy", str(made.folder)], check=True)


@pytest.fixture
def lockable(tmp_path):
    """A folder that can be made read-only: a disk, or for those whom rights bind a folder without them."""
    made = Disk(tmp_path / "disk")
    mounted = made.mount()
    if not mounted and os.geteuid() == 0:
        pytest.skip("mounting is not permitted here, and no rights bind root")
    yield made
    made.lock(False)
    if mounted:
        subprocess.run(["umount", "--lazy", str(made.folder)], check=True)


@pytest.fixture
def settings(tiny_bert, monkeypatch) -> grid.Settings:
    """Real reviews of the smallest scale and a tiny random model, as the smallest grid."""
    made = grid.Settings(
        "smoke", {str(tiny_bert): 1e-3}, (), {"rotten_tomatoes": 16}, labels={"rotten_tomatoes": (16,)},
        validation=16, test=24, seeds=2, poolings=("mean",),
    )  # fmt: skip
    monkeypatch.setitem(grid.SCALES, "smoke", made)
    return made


def on(folder: Path, monkeypatch) -> Path:
    """Point the cache to a folder, and return it."""
    monkeypatch.setenv("COURSE_CACHE", str(folder))
    return folder


NO_SPACE = "There is no space left in the folder {} for .*clear_cache.*set COURSE_CACHE to a folder on another"


def test_encoding_into_a_full_disk_is_said_and_goes_on_when_there_is_room(bert, disk, undisturbed, monkeypatch,
                                                                          computed):  # fmt: skip
    pages = [-(-path.stat().st_size // 4096) for path in sorted((disk.folder.parent / "undisturbed").rglob("*.saf*"))]
    folder = on(disk.folder / "cache", monkeypatch)
    disk.fill(left=4096 * sum(pages[:2]))
    with pytest.raises(OSError, match=NO_SPACE.format(f"{folder / 'states'}.*")):
        encode(bert, MANY, 32)
    assert len(shards()) == 2 and not left_over(folder)
    disk.make_room()
    computed.clear()
    assert torch.equal(encode(bert, MANY, 32).values, undisturbed)
    assert sum(computed) == len(MANY) - 6, "two shards had been finished"


def test_a_full_disk_leaves_the_grids_table_as_it_was(settings, disk, tmp_path, capsys):
    baselines = ("--processes", "1", "--only", "mode=baseline")
    expected = run_grid(tmp_path / "elsewhere", *baselines)
    out = disk.folder / "out"
    before = run_grid(out, *baselines, "seed=0")
    disk.fill()
    with pytest.raises(SystemExit):
        run_grid(out, *baselines)
    said = capsys.readouterr().err
    assert f"There is no space left in the folder {out} for grid_smoke.safetensors" in said and "Traceback" not in said
    same(Table("smoke", out), before)
    assert not left_over(out)
    disk.make_room()
    same(run_grid(out, *baselines), expected)


def test_a_tuned_model_that_finds_no_room_is_said_and_kept_later(settings, tiny_bert, disk, own_cache, monkeypatch):
    run = grid.Run(str(tiny_bert), "mean", "fine-tuned", "rotten_tomatoes", 16, 0)
    expected = trained.classifier(run, settings).state_dict()
    folder = on(disk.folder / "cache", monkeypatch)
    shutil.copytree(own_cache / "states", folder / "states")
    disk.fill(left=8192)
    with pytest.raises(OSError, match=NO_SPACE.format(folder / "tuned")):
        trained.classifier(run, settings)
    assert not [*(folder / "tuned").iterdir()]
    disk.make_room()
    found = trained.classifier(run, settings).state_dict()
    assert all(torch.equal(found[name], part) for name, part in expected.items())
    assert trained._read(trained.kept(run, settings)[0]) is not None


def test_an_array_that_finds_no_room_leaves_the_old_one(disk):
    path = disk.folder / "a.safetensors"
    cache.write_array(path, np.arange(5))
    disk.fill()
    with pytest.raises(OSError, match=NO_SPACE.format(disk.folder)):
        cache.write_array(path, np.arange(50_000))
    assert np.array_equal(cache.read_array(path, 5), np.arange(5)) and not left_over(disk.folder)


def test_pretraining_stops_at_a_full_disk_and_goes_on_when_there_is_room(disk, tmp_path):
    (tmp_path / "whole").mkdir()
    pretraining_here(tmp_path / "whole")
    folder = disk.folder / "work"
    folder.mkdir()
    size = (tmp_path / "whole" / "mini-bert-last.safetensors").stat().st_size
    disk.fill(left=3 * size // 2)  # for one checkpoint, not for the next one beside it
    with pytest.raises(OSError, match="There is no space left in the folder"):
        pretraining_here(folder)
    assert not left_over(folder) and len([*folder.iterdir()]) >= 1
    disk.make_room()
    pretraining_here(folder)
    assert np.array_equal(*(np.load(one / "weights.npy") for one in (folder, tmp_path / "whole")))


def pretraining_here(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module, names in ((mini_models, ("LAYERS", "DIM", "HEADS")),
                              (pretrain_mini_pair, ("SHORT", "LONG", "WARMUP_TOKENS", "SAVE_STEPS"))):  # fmt: skip
            for name in names:
                patch.setattr(module, name, getattr(module, name))  # so that all is put back
        patch.setattr(os, "replace", os.replace)
        pretraining(folder)


@pytest.fixture
def course(chapter, monkeypatch):
    """The chapter in this process, on whatever folder is given; it does not wait."""

    def use(folder: Path) -> Path:
        shutil.copytree(chapter, folder)
        (folder / "notebooks" / "go").touch()
        for name, path in zip(("SOURCES", "NOTEBOOKS", "TIMINGS", "ANSWERS"), places(folder), strict=True):
            monkeypatch.setattr(notebooks, name, path)
        monkeypatch.delenv("COURSE_SCALE", raising=False)
        return folder

    return use


def changed(folder: Path) -> None:
    path = folder / "source" / SAMPLE.name
    path.write_text(path.read_text(encoding="utf-8").replace("`sum` adds", "`sum` sums"), encoding="utf-8")


@pytest.mark.parametrize("command", ["build", "execute"])
def test_a_notebook_that_finds_no_room_stays_as_it_was(command, course, disk):
    folder = course(disk.folder / "course")
    changed(folder)
    target = folder / "notebooks" / "01_sample.ipynb"
    before = target.read_bytes()
    disk.fill()
    with pytest.raises(SystemExit, match=f"There is no space left in the folder {target.parent} for 01_sample.ipynb"):
        notebooks.main([command])
    assert target.read_bytes() == before and not left_over(folder)
    assert execute.read_timings(folder / "timings.csv") == [BEFORE]
    disk.make_room()
    notebooks.main([command])
    assert "`sum` sums" in target.read_text(encoding="utf-8")


# Read-only, and odd paths


def test_a_read_only_cache_is_read_and_what_is_new_is_one_sentence(bert, tiny_bert, lockable, monkeypatch, computed):
    folder = on(lockable.folder / "cache", monkeypatch)
    encode(bert, TEXTS, 32)
    lockable.lock()
    computed.clear()
    assert_right(encode(bert, TEXTS, 32), tiny_bert, bert, TEXTS)
    assert not computed
    with pytest.raises(OSError, match=f"The folder {folder}.* cannot be written to.*set COURSE_CACHE to a folder of"):
        encode(bert, [*TEXTS, "new"], 32)
    with pytest.raises(OSError, match=f"The folder {folder}.* cannot be made .*set COURSE_CACHE to a folder of"):
        encode(bert, TEXTS, 16)
    lockable.lock(False)
    assert_right(encode(bert, [*TEXTS, "new"], 32), tiny_bert, bert, [*TEXTS, "new"])


def test_damage_in_a_read_only_cache_is_never_read(bert, tiny_bert, lockable, own_cache, monkeypatch):
    folder = on(lockable.folder / "cache", monkeypatch)
    encode(bert, TEXTS, 32)
    (path,) = shards()
    path.write_bytes(path.read_bytes()[:50])
    lockable.lock()
    with pytest.raises(OSError, match="cannot be written to.*set COURSE_CACHE"):
        encode(bert, TEXTS, 32)
    # As the cache that a class shares, it is passed over.
    on(own_cache, monkeypatch)
    monkeypatch.setenv("COURSE_SHARED_CACHE", str(folder))
    assert_right(encode(bert, TEXTS, 32), tiny_bert, bert, TEXTS)
    assert path.stat().st_size == 50


def test_a_model_in_a_read_only_folder_is_used(tiny_bert, lockable):
    folder = Path(shutil.copytree(tiny_bert, lockable.folder / "model"))
    lockable.lock()
    encoder = load(str(folder))
    assert_right(encode(encoder, TEXTS, 32), folder, encoder, TEXTS)


@pytest.mark.parametrize("command", ["build", "execute"])
def test_a_read_only_folder_of_notebooks_is_one_sentence(command, course, lockable):
    folder = course(lockable.folder / "course")
    changed(folder)
    target = folder / "notebooks" / "01_sample.ipynb"
    before = target.read_bytes()
    lockable.lock()
    with pytest.raises(SystemExit, match=f"The folder {target.parent} cannot be written to"):
        notebooks.main([command])
    assert target.read_bytes() == before
    lockable.lock(False)
    notebooks.main([command])
    assert target.read_bytes() != before


def test_a_read_only_folder_of_results_is_one_sentence(settings, lockable, capsys):
    baseline = ("--processes", "1", "--only", "model=majority")
    run_grid(lockable.folder / "old", *baseline, "seed=0")
    lockable.lock()
    for name, sentence in (("new", "give another --out"), ("old", "")):
        with pytest.raises(SystemExit):
            run_grid(lockable.folder / name, *baseline)
        said = capsys.readouterr().err
        assert str(lockable.folder / name) in said and sentence in said and "Traceback" not in said
    assert len(Table("smoke", lockable.folder / "old").rows) == 1


@pytest.fixture
def odd(tmp_path) -> Path:
    return tmp_path / "Übung — 授業 é" / "with space"


def test_states_and_models_under_a_path_of_many_letters(tiny_bert, odd, monkeypatch, computed):
    folder = Path(shutil.copytree(tiny_bert, odd / "das Modell ß"))
    on(odd / "cache", monkeypatch)
    encoder = load(str(folder))
    states = encode(encoder, TEXTS, 32)
    (path,) = shards()
    assert odd in path.parents
    flip(path)
    assert_right(states, folder, encoder, TEXTS)
    assert ended(start(encoding, folder, [*TEXTS, "from another process"])) == 0
    computed.clear()
    encode(encoder, [*TEXTS, "from another process"], 32)
    assert not computed, "one process finds what another one made"
    cache.clear()
    assert not shards()


def test_tables_and_tuned_models_under_a_path_of_many_letters(settings, tiny_bert, odd, tmp_path, monkeypatch):
    only = ("--processes", "1", "--only", "model=majority", "seed=0")
    same(run_grid(odd / "results", *only), run_grid(tmp_path / "results", *only))
    on(odd / "cache", monkeypatch)
    run = grid.Run(str(tiny_bert), "mean", "fine-tuned", "rotten_tomatoes", 16, 0)
    made = trained.classifier(run, settings)
    monkeypatch.setattr(grid, "fit", lambda *_: pytest.fail("trained again"))
    assert torch.equal(trained.classifier(run, settings).head.linear.weight, made.head.linear.weight)


def test_notebooks_under_a_path_of_many_letters(course, odd):
    folder = course(odd / "Kurs")
    notebooks.main(["execute"])
    assert_built(folder)


# Damage: one bit, anywhere


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_no_bit_of_a_shard_that_flips_gives_a_wrong_state(bert, computed):
    texts = MANY[:3]
    whole = encode(bert, texts, 32)
    alone = []
    (path,) = shards()
    content, expected = path.read_bytes(), [whole[row] for row in range(3)]
    for text in texts:  # a repaired text is computed alone, and may differ in the last place
        cache.clear()
        alone.append(encode(bert, [text], 32)[0])
    begin = content.index(expected[0].numpy().tobytes())
    end = max(content.index(state.numpy().tobytes()) + state.numpy().nbytes for state in expected)
    # One bit of each byte of header and index, every other bit of one state's row, and of every 7th byte of the rest.
    bits = [8 * at + at % 8 for at in range(len(content)) if not begin <= at < end or at % 7 == 0]
    bits += range(8 * begin, 8 * begin + 512, 2)
    noticed = 0
    for bit in bits:
        for other in shards():
            other.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(flipped(content, bit))
        computed.clear()
        states = encode(bert, texts, 32)
        for row in range(3):
            assert torch.equal(states[row], expected[row]) or torch.equal(states[row], alone[row]), f"bit {bit}"
        noticed += bool(computed)
        assert computed or not begin <= bit // 8 < end, f"bit {bit} of a value was not noticed"
    assert noticed > 0.95 * len(bits)


@pytest.mark.parametrize("values", [np.arange(5), np.arange(12, dtype=np.float32).reshape(6, 2)], ids=["ids", "floats"])
def test_no_bit_of_an_array_that_flips_gives_a_wrong_number(values, own_cache):
    path = own_cache / "a.safetensors"
    cache.write_array(path, values)
    content, refused = path.read_bytes(), 0
    for bit in range(8 * len(content)):
        path.write_bytes(flipped(content, bit))
        found = cache.read_array(path, len(values))
        assert found is None or (found.dtype == values.dtype and np.array_equal(found, values)), f"bit {bit}"
        refused += found is None
    assert refused > 0.9 * 8 * len(content)
    for size in range(len(content)):
        path.write_bytes(content[:size])
        assert cache.read_array(path, len(values)) is None


def test_no_bit_of_a_tuned_model_that_flips_gives_another_model(settings, tiny_bert):
    run = grid.Run(str(tiny_bert), "mean", "fine-tuned", "rotten_tomatoes", 16, 0)
    expected = trained.classifier(run, settings).state_dict()
    path = trained.kept(run, settings)[0]
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    positions = [*range(0, header, 2), *range(header, len(content), len(content) // 150)]
    for at in positions:
        path.write_bytes(flipped(content, 8 * at + at // 2 % 8))
        found = trained._read(path)
        assert found is None or (found.keys() == expected.keys() and all(
            torch.equal(found[name], part) and found[name].dtype == part.dtype for name, part in expected.items()
        )), f"byte {at}"  # fmt: skip
        assert found is None or at < header, f"byte {at} of a weight was not noticed"


# Damage: files of another make


def layout(keys: list[bytes], states: list[np.ndarray], make: str) -> tuple[dict, dict]:
    """A shard as another version of the course may have written it, whole by its own rules."""
    kept = [state.astype(np.float32) if make == "float32" else state for state in states]
    kept = [state[:, :16].copy() for state in kept] if make == "narrower" else kept
    width = 32 if make == "longer keys" else 8 if make == "shorter keys" else 16
    index = {
        "keys": np.frombuffer(b"".join((key * 2)[:width] for key in keys), np.uint8).reshape(len(keys), width),
        "offsets": np.cumsum([0] + [len(state) for state in kept]),
        "checksums": np.array([zlib.crc32(state.tobytes()) for state in kept], np.int64),
    }
    if make == "lengths for offsets":
        index["offsets"] = np.diff(index["offsets"])
    if make == "one checksum less":
        index["checksums"] = index["checksums"][:-1]
    values = np.concatenate(kept)
    about = {"index": cache._index_checksum(list(index.values()))}
    if make == "no checksums":
        del index["checksums"]
    if make == "no metadata":
        about = None
    if make == "other metadata":
        about = {"version": "1"}
    values = values.ravel() if make == "flat" else values
    return {"states" if make == "other name" else "values": values, **index}, about


@pytest.mark.parametrize("make", ["float32", "narrower", "flat", "longer keys", "shorter keys", "lengths for offsets",
                                  "one checksum less", "no checksums", "no metadata", "other metadata",
                                  "other name"])  # fmt: skip
def test_a_shard_of_another_make_is_never_misread(make, bert, tiny_bert, computed):
    texts = [*dict.fromkeys(TEXTS)]
    states = encode(bert, texts, 32)
    (path,) = shards()
    rows = [states[row].numpy() + np.float16(1) for row in range(len(texts))]  # wrong numbers, whole by their checksum
    tensors, about = layout([hashlib.sha256(text.encode()).digest()[:16] for text in texts], rows, make)
    path.unlink()
    save_file(tensors, path, about)
    assert_right(encode(bert, texts, 32), tiny_bert, bert, texts)
    computed.clear()
    assert_right(encode(bert, texts, 32), tiny_bert, bert, texts)
    assert not computed, "what was computed anew is kept"


def test_an_array_of_another_make_is_not_read(own_cache):
    path, values = own_cache / "a.safetensors", np.arange(5)
    right = {"checksum": str(zlib.crc32(values.tobytes()))}
    for tensors, about in (({"values": values}, None), ({"values": values}, {"crc": right["checksum"]}),
                           ({"groups": values}, right), ({"values": values.astype(np.int32)}, right)):  # fmt: skip
        path.parent.mkdir(exist_ok=True)
        save_file(tensors, path, about)
        assert cache.read_array(path, 5) is None
    save_file({"values": values}, path, right)
    assert np.array_equal(cache.read_array(path, 5), values)


# Eight at once


def encoding_together(folder: Path, texts: list[str], expected: Path, barrier) -> None:
    encoder = load(str(folder))
    encoders.SHARD_TEXTS = 1  # writes as often as can be
    barrier.wait(LONGEST_WAIT)
    found = encode(encoder, texts, 32).values.float().numpy()
    np.testing.assert_allclose(found, np.load(expected), atol=FLOAT16)


def test_eight_processes_that_encode_the_same_at_once(bert, tiny_bert, own_cache, tmp_path, monkeypatch, computed):
    texts = [f"{text} {number}" for number in range(4) for text in MANY]
    with monkeypatch.context() as patch:
        patch.setenv("COURSE_CACHE", str(tmp_path / "alone"))
        np.save(tmp_path / "expected.npy", encode(bert, texts, 32).values.float().numpy())
    barrier = multiprocessing.get_context("forkserver").Barrier(8)
    given = (tiny_bert, texts, tmp_path / "expected.npy", barrier)
    processes = [start(encoding_together, *given) for _ in range(8)]
    assert [ended(process) for process in processes] == [0] * 8
    assert not left_over(own_cache)
    for path in shards():
        for _, place in cache.Shard(path).places():
            assert place.read() is not None, "every copy is whole"
    computed.clear()
    assert_right(encode(bert, texts, 32), tiny_bert, bert, texts)
    assert not computed


# A clock that goes back


def repairing(folder: Path, texts: list[str], now: int) -> None:
    time.time_ns = lambda: now
    states = encode(load(str(folder)), texts, 32)
    assert states.values.isfinite().all()  # reads, and so repairs


@pytest.mark.parametrize("year", [1971, 2400])
def test_what_is_repaired_is_found_whatever_the_clock_says(year, bert, tiny_bert, monkeypatch, computed):
    encode(bert, TEXTS, 32)
    for path in shards():
        flip(path)
    assert ended(start(repairing, tiny_bert, TEXTS, (year - 1970) * 31_556_952 * 10**9)) == 0
    computed.clear()
    assert_right(encode(bert, TEXTS, 32), tiny_bert, bert, TEXTS)
    assert not computed, "the repaired copy counts, though another one may have a later time in its name"
    for path in shards():  # and now by a clock that is right again
        flip(path)
    assert_right(encode(bert, TEXTS, 32), tiny_bert, bert, TEXTS)
    computed.clear()
    assert_right(encode(bert, TEXTS, 32), tiny_bert, bert, TEXTS)
    assert not computed


# No memory left


def no_gpu_memory() -> Exception:
    return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def no_memory() -> Exception:
    return RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you "
                        "tried to allocate 99 bytes. Error code 12 (Cannot allocate memory)")  # fmt: skip


def holds(encoder, places: int, error, monkeypatch) -> list[int]:
    """Have a model take so many places at most; return the list of what it was asked for."""
    asked, real = [], encoder.model.forward

    def forward(input_ids, **named):
        asked.append(input_ids.numel())
        if input_ids.numel() > places:
            raise error()
        return real(input_ids=input_ids, **named)

    monkeypatch.setattr(encoder.model, "forward", forward)
    return asked


@pytest.mark.parametrize("error", [no_gpu_memory, no_memory, MemoryError])
def test_a_batch_too_large_for_the_memory_is_halved_and_said_once(error, bert, tiny_bert, monkeypatch, recwarn):
    asked = holds(bert, 60, error, monkeypatch)
    assert_right(encode(bert, MANY, 32), tiny_bert, bert, MANY)
    assert max(asked) > 60 and min(asked) <= 60
    (warning,) = [str(one.message) for one in recwarn if "memory" in str(one.message)]
    assert "a batch did not fit in memory. It was halved" in warning


def test_a_text_too_large_for_the_memory_is_named(bert, monkeypatch):
    texts = ["the end is far too long , and the best of it is warm", "a film", "slow"]
    slow, real = bert.tokenizer("slow")["input_ids"][1], bert.model.forward

    def forward(input_ids, **named):  # not the longest: it stands in a later half
        if (input_ids == slow).any():
            raise no_gpu_memory()
        return real(input_ids=input_ids, **named)

    monkeypatch.setattr(bert.model, "forward", forward)
    with pytest.warns(UserWarning, match="halved"), pytest.raises(MemoryError, match="Row 2: its .* max_length"):
        encode(bert, texts, 32)
    assert not shards()


def test_another_error_of_the_model_is_no_want_of_memory(bert, monkeypatch):
    asked = holds(bert, 0, lambda: RuntimeError("mat1 and mat2 shapes cannot be multiplied"), monkeypatch)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        encode(bert, TEXTS, 32)
    assert len(asked) == 1


def encoding_in_little_memory(folder: Path, texts: list[str], said: Path) -> None:
    encoders.TOKEN_BUDGET = {"cpu": 200_000}
    encoder, real = load(str(folder)), memory.states
    encode(encoder, ["dull"], 32)  # what is allocated once is there
    asked = []

    def limited(encoder, tokens, *rest):
        asked.append(len(tokens))
        if len(asked) > 1:
            return real(encoder, tokens, *rest)
        # One of the arrays that a layer makes of all texts has 4,000 x 20 places x 64 numbers: 20 MB.
        now, (_, hard) = psutil.Process().memory_info().vms, resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (now + 60_000_000, hard))
        try:
            return real(encoder, tokens, *rest)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))

    memory.states = limited
    encoders.SHARD_TEXTS = len(texts)
    encode(encoder, texts, 48)
    said.write_text(json.dumps(asked))


def test_a_process_that_really_has_no_memory_left_halves_its_batch(bert, tiny_bert, tmp_path, computed):
    texts = [f"film {number} is a dull film , slow and far too long and the end is the best" for number in range(4000)]
    assert ended(start(encoding_in_little_memory, tiny_bert, texts, tmp_path / "said.json")) == 0
    asked = json.loads((tmp_path / "said.json").read_text())
    assert asked[0] == len(texts) and 2 * asked[1] == asked[0], "halved once at least"
    states = encode(bert, texts, 48)
    assert not computed, "all is in the cache"
    assert_right(encode(bert, texts[::500], 48), tiny_bert, bert, texts[::500], 48)
    assert len(states) == len(texts)


@pytest.mark.parametrize("error", [no_gpu_memory, no_memory])
def test_fine_tuning_that_does_not_fit_says_so_and_is_not_halved(error, bert, monkeypatch):
    tries = []

    def forward(*_) -> torch.Tensor:
        tries.append(1)
        raise error()

    monkeypatch.setattr(finetuning.FineTuned, "forward", forward)
    labels, rows = np.arange(12) % 2, np.arange(12)
    with pytest.raises(MemoryError, match="Fine-tuning .* on 16 texts of up to 32 tokens at once does not fit in mem"):
        finetuning.fine_tune(bert, pooling.make("mean", 32), MANY, labels, rows[:8], rows[8:], seed=0, max_length=32)
    assert len(tries) == 1


def test_a_grid_without_memory_is_one_sentence_and_keeps_its_rows(settings, tmp_path, monkeypatch, capsys):
    real = grid.execute

    def execute(run, settings):
        if run.model == "tfidf":
            raise MemoryError("a batch does not fit in memory")
        return real(run, settings)

    monkeypatch.setattr(grid, "execute", execute)
    with pytest.raises(SystemExit):
        run_grid(tmp_path, "--processes", "1", "--only", "model=majority,tfidf", "seed=0")
    said = capsys.readouterr().err
    assert "a batch does not fit in memory" in said and "Traceback" not in said
    assert Table("smoke", tmp_path).rows.model.tolist() == ["majority"]
