"""A fork: one command, and nothing points at the old address any more."""

import subprocess
import sys

import nbformat
import pytest

from tests.repository import copied
from tools.project import REPOSITORY_URL, ROOT
from tools.repoint import repoint, repointed
from tools.seal import inputs_sha256, outputs_sha256

FORK = "https://github.com/some-teacher/pooling-2027"


@pytest.fixture(scope="module")
def fork(tmp_path_factory):
    """A copy of the repository, re-pointed."""
    copy = copied(tmp_path_factory.mktemp("a fork") / "copy")
    return copy, repoint(copy, REPOSITORY_URL, FORK)


def test_nothing_points_at_the_old_address(fork):
    copy, changed = fork
    owner = REPOSITORY_URL.removeprefix("https://github.com/")
    for path in copy.rglob("*"):
        if path.is_file() and path.suffix in (".md", ".toml", ".ipynb", ".cff", ".yml", ".py", ".bib"):
            assert f"/{owner}" not in path.read_text(encoding="utf-8"), path
    assert {"pyproject.toml", "README.md", "01_data.ipynb"} <= {path.name for path in changed}


def test_the_forks_own_tools_find_every_notebook_as_it_should_be(fork):
    copy, _ = fork
    run = subprocess.run([sys.executable, "-m", "tools.notebooks", "build"], cwd=copy, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        old, new = nbformat.read(path, 4), nbformat.read(copy / "notebooks" / path.name, 4)
        assert FORK in new.cells[1].source + new.cells[2].source
        assert outputs_sha256(new) == outputs_sha256(old) == new.metadata.course.outputs_sha256
        assert new.metadata.course.inputs_sha256 == inputs_sha256(new)
        if old.metadata.course.inputs_sha256 == inputs_sha256(old):
            assert f"{path.stem}: as it was" in run.stdout


def test_there_and_back_again_changes_nothing():
    colab = f"colab.research.google.com/github/{REPOSITORY_URL.removeprefix('https://github.com/')}/blob/v1"
    text = f"[a]({REPOSITORY_URL}) {colab} {REPOSITORY_URL}-other"
    there = repointed(text, REPOSITORY_URL, FORK)
    assert there.count("some-teacher/pooling-2027") == 2 and there.endswith(f"{REPOSITORY_URL}-other")
    assert repointed(there, FORK, REPOSITORY_URL) == text


@pytest.mark.parametrize("address", ["github.com/a/b", "https://example.org/a/b", "https://github.com/a", "a/b"])
def test_what_is_no_address_is_refused(tmp_path, address):
    with pytest.raises(ValueError, match="no repository's address"):
        repoint(tmp_path, REPOSITORY_URL, address)


def test_a_notebook_that_somebody_worked_in_is_not_touched(tmp_path):
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / "notebooks" / "01_data.ipynb"
    notebook = nbformat.read(ROOT / "notebooks" / "01_data.ipynb", 4)
    notebook.cells[5].source += "\nmy own work"
    nbformat.write(notebook, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Somebody has worked in 01_data.ipynb"):
        repoint(tmp_path, REPOSITORY_URL, FORK)
    assert path.read_bytes() == before
