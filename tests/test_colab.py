"""The setup cell on Colab: a notebook alone in an empty place, the repository behind a git remote."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.editions import course_edition, read_source, tags
from tools.project import RELEASE_TAG, REPOSITORY_URL, SOURCES

# A course that is small: it only says where it came from.
COURSE = "def start():\n    print('started from', __file__)\n"


def setup_cell(path: Path) -> str:
    (cell,) = (c for c in course_edition(read_source(path), path.stem).cells if "setup" in tags(c))
    return cell.source


CELLS = {path.stem: setup_cell(path) for path in sorted(SOURCES.glob("*.py"))}


def test_every_chapter_begins_with_the_same_cell():
    assert len(set(CELLS.values())) == 1
    assert RELEASE_TAG in CELLS["01_data"] and REPOSITORY_URL in CELLS["01_data"]


@pytest.fixture
def colab(tmp_path):
    """Run the cell as on Colab, with `content` for /content; return what was printed."""
    remote, content = tmp_path / "remote", tmp_path / "content"
    (remote / "helpers").mkdir(parents=True)
    content.mkdir()
    (remote / "helpers" / "__init__.py").touch()
    (remote / "helpers" / "course.py").write_text(COURSE)
    git = ["git", "-C", str(remote), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "a course"], ["tag", RELEASE_TAG]):
        subprocess.run([*git, *command], check=True)
    cell = CELLS["01_data"].replace("/content", str(content)).replace(REPOSITORY_URL, f"file://{remote}")

    def run(times: int) -> str:
        program = (
            "import sys, types\n"
            "sys.modules['google.colab'] = types.ModuleType('google.colab')\n"
            f"cell = {cell!r}\n"
            f"for _ in range({times}):\n    exec(cell, {{}})\n"
            f"print('on the path:', [p for p in sys.path if {str(content)!r} in p])\n"
        )
        # -I: neither this folder nor PYTHONPATH, so that `helpers` comes from the clone or from nowhere;
        # -S: nor the site packages, where the course itself is installed.
        done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, cwd=content)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run, content


def test_the_course_is_fetched_once_and_found_twice(colab):
    run, content = colab
    said = run(times=2)
    assert said.count(f"started from {content}/course-{RELEASE_TAG}/helpers/course.py") == 2
    assert f"on the path: ['{content}/course-{RELEASE_TAG}']" in said
    marker = content / f"course-{RELEASE_TAG}" / "marker"
    marker.touch()
    assert "started from" in run(times=1) and marker.exists(), "a new kernel does not fetch it again"


def test_a_clone_that_was_cut_off_is_begun_again(colab):
    run, content = colab
    (content / f"course-{RELEASE_TAG}.part" / ".git").mkdir(parents=True)
    assert "started from" in run(times=1)
