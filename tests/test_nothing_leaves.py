"""Nothing leaves the machine: no telemetry, no news, and a chapter asks nobody outside."""

import ast
import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import nbformat
import pytest

from tests import browser
from tests.alone import EXECUTE, patiently
from tests.test_bundle import cut
from tools.editions import course_edition, read_source
from tools.project import ROOT, SOURCES


def python(code: str, **more: str) -> str:
    given = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name and name != "DO_NOT_TRACK"}
    run = subprocess.run([sys.executable, "-c", code], env={**given, **more}, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_the_hubs_libraries_tell_nobody_of_their_use_unless_asked_to():
    asked = "import helpers, huggingface_hub.constants as hub; print(hub.HF_HUB_DISABLE_TELEMETRY)"
    assert python(asked) == "True"
    assert python(asked.replace("import helpers, ", "import ")) == "False", "not without us"
    assert python(asked, HF_HUB_DISABLE_TELEMETRY="0") == "False", "who sets it has the last word"


HEARD = {"helpers", "huggingface_hub", "transformers", "datasets", "sentence_transformers", "accelerate", "tokenizers"}


@pytest.mark.parametrize("path", sorted(SOURCES.glob("*.py")), ids=lambda path: path.stem)
def test_a_chapter_imports_the_helpers_first_so_that_it_holds(path):
    names: list[str] = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names += [one.name for one in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    roots = [name.split(".")[0] for name in names]
    assert next(name for name in roots if name in HEARD) == "helpers"


@pytest.mark.slow
def test_make_lab_starts_a_jupyterlab_that_neither_fetches_news_nor_asks_to(tmp_path):
    (flags,) = re.findall(r"^QUIET := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert "jupyterlab --notebook-dir notebooks $(QUIET)\n" in (ROOT / "Makefile").read_text(encoding="utf-8")
    for given, quiet in ((flags.split(), True), ([], False)):
        home = tmp_path / str(quiet)
        home.mkdir()
        with browser.jupyterlab(tmp_path, home, *given) as address:
            page = urllib.request.urlopen(f"{address}/lab").read().decode()
            settings = re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)[1]
            assert json.loads(settings)["news"]["disabled"] is quiet
            if quiet:
                for what in ("news", "update"):
                    answer = json.load(urllib.request.urlopen(f"{address}/lab/api/{what}"))
                    assert not answer.get("news") and not answer.get("notification")


# Put on the path of a process, it notes every address that Python asks for, and refuses it.
WATCH = """
import os, socket, sys

HERE = {"localhost", "127.0.0.1", "::1", "", "0.0.0.0", "::", None, socket.gethostname()}

def watch(event, details):
    if not event.startswith("socket.") or event in ("socket.__new__", "socket.bind", "socket.gethostname"):
        return
    target = details[-1] if event in ("socket.connect", "socket.sendto", "socket.sendmsg") else details[0]
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg") and not isinstance(target, tuple):
        return  # a file of this machine, or a socket that is connected already
    target = target[0] if isinstance(target, tuple) else target
    target = target.decode() if isinstance(target, bytes) else target
    if target not in HERE:
        with open(os.environ["WATCH_LOG"], "a") as log:
            print(event, target, file=log)
        raise OSError("refused: nothing may leave this machine")

sys.addaudithook(watch)
"""


def watched(command: list[str], folder: Path) -> tuple[subprocess.CompletedProcess, list[str]]:
    """Run a command that may reach nothing; return how it went, and where it or its children wanted to go."""
    (folder / "sitecustomize.py").write_text(WATCH)
    log = folder / "log"
    log.write_text("")
    given = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    given |= {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "WATCH_LOG": str(log), "COURSE_SCALE": "smoke",
              "JUPYTER_PREFER_ENV_PATH": "1", "HOME": str(folder), "OMP_NUM_THREADS": "1",
              "COURSE_CACHE": str(folder / "cache")}  # fmt: skip
    noting = [*cut(), sys.executable, str(ROOT / "tests" / "watched.py"), str(log)] if cut() else []
    run = subprocess.run([*noting, *command], cwd=folder, env=given, capture_output=True, text=True)
    return run, sorted(set(log.read_text().splitlines()))


PLANTED = {
    "a connection": ("import socket; socket.socket().connect(('192.0.2.1', 80))", "socket.connect 192.0.2.1"),
    "a name": ("import socket; socket.getaddrinfo('outside.example', 80)", "socket.getaddrinfo outside.example"),
    "a datagram": ("import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'a', ('192.0.2.2', 53))",
                   "socket.sendto 192.0.2.2"),
    "a child": ("import subprocess, sys; subprocess.run([sys.executable, '-c', 'import urllib.request as u;"
                "u.urlopen(\"http://192.0.2.3/\")'])", "socket.getaddrinfo 192.0.2.3"),
}  # fmt: skip
# 192.0.2.4, port 80, as the system wants it; no hook of Python sees this call.
NATIVE = ("import ctypes, socket; one = socket.socket();"
          "ctypes.CDLL(None).connect(one.fileno(), b'\\x02\\0\\0\\x50\\xc0\\0\\x02\\x04' + bytes(8), 16)")  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_connection_is_noticed(name, tmp_path):
    code, told = PLANTED[name]
    assert told in watched([sys.executable, "-c", code], tmp_path)[1]


def test_a_connection_that_compiled_code_makes_is_noticed(tmp_path):
    if not cut():
        pytest.skip("no right to make a network namespace here (unshare --net)")
    assert watched([sys.executable, "-c", NATIVE], tmp_path)[1] == ["packet to 192.0.2.4"]


def executed(notebook: nbformat.NotebookNode, folder: Path) -> list[str]:
    """Run a notebook as nbconvert does, to its end; return where its kernel wanted to go."""
    nbformat.write(notebook, folder / "chapter.ipynb")
    found: list[str] = []

    def run() -> subprocess.CompletedProcess:
        done, asked = watched([sys.executable, *EXECUTE, "--output", "done", "chapter.ipynb"], folder)
        found.extend(asked)
        return done

    done = patiently(run)
    assert done.returncode == 0, done.stderr[-3000:]
    assert nbformat.read(folder / "done.ipynb", 4).cells[-1].execution_count
    return found


@pytest.mark.slow
def test_a_chapter_runs_and_asks_nobody_outside(tmp_path):
    assert executed(course_edition(read_source(SOURCES / "01_data.py"), "01_data"), tmp_path) == []


@pytest.mark.slow
def test_a_cell_that_asks_somebody_is_noticed_also_where_it_hides_that_it_failed(tmp_path):
    hidden = "try:\n    import socket; socket.socket().connect(('192.0.2.1', 80))\nexcept OSError:\n    pass"
    cells = [nbformat.v4.new_code_cell(code) for code in (hidden, NATIVE)]
    found = executed(nbformat.v4.new_notebook(cells=cells), tmp_path)
    assert found == (["packet to 192.0.2.4"] if cut() else []) + ["socket.connect 192.0.2.1"]
