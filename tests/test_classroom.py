"""A class's assignments, tried with nbgrader itself: who solved it gets the points, and nobody else does."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.answers import wrong_answers
from tests.test_chapters import WRONG_ANSWERS
from tests.test_editions import SOURCE as SAMPLE_SOURCE
from tools import classroom
from tools.editions import SourceError, exercises, read_source, tags
from tools.project import SOURCES

pytestmark = pytest.mark.slow

CHAPTERS = [path.stem for path in sorted(SOURCES.glob("*.py"))]
TRIED = "02_poolings_from_scratch"  # the chapter that all submissions are handed in for
MISTAKEN = "ex-2.3"
REGION = re.compile(r"[ ]*### BEGIN SOLUTION\n(.*?)\n[ ]*### END SOLUTION", re.DOTALL)


def nbgrader(folder: Path, *arguments: str) -> str:
    run = subprocess.run([sys.executable, "-m", "nbgrader", *arguments], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The teacher's folder, with every assignment generated for the learners."""
    pytest.importorskip("nbgrader", reason="nbgrader is not installed: make class")
    folder = tmp_path_factory.mktemp("a class")
    classroom.prepare(sorted(SOURCES.glob("*.py")), folder)
    with pytest.MonkeyPatch.context() as patch:
        # As in an activated environment: nbgrader calls alembic by its name.
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
        patch.setenv("COURSE_SCALE", "smoke")
        patch.setenv("COURSE_PROGRESS", str(folder / "progress"))
        for name in CHAPTERS:
            nbgrader(folder, "generate_assignment", name)
        yield folder


def released(folder: Path, name: str) -> nbformat.NotebookNode:
    return nbformat.read(folder / "release" / name / f"{name}.ipynb", 4)


def grade_id(cell) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def answered(notebook: nbformat.NotebookNode, answers: dict[str, str]) -> nbformat.NotebookNode:
    """Fill in what a learner answers, by exercise."""
    for cell in notebook.cells:
        id = grade_id(cell).removesuffix("-answer").replace("ex-", "").replace("-", ".")
        if grade_id(cell).endswith("-answer") and f"ex-{id}" in answers:
            cell.source = answers[f"ex-{id}"]
    return notebook


def solutions(name: str) -> dict[str, str]:
    return {id: one.solution for id, one in exercises(read_source(SOURCES / f"{name}.py")).items()}


def hand_in(folder: Path, student: str, name: str, notebook: nbformat.NotebookNode) -> None:
    path = folder / "submitted" / student / name / f"{name}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)


def marks(folder: Path, student: str, name: str) -> dict[str, tuple[float, float]]:
    """Return (score, most) of each check that nbgrader marked by itself."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        submission = book.find_submission(name, student)
        return {
            grade.name: (grade.score, grade.max_score)
            for notebook in submission.notebooks for grade in notebook.grades if grade.cell.cell_type == "code"
        }  # fmt: skip


def test_the_learners_get_no_solution_and_all_points_have_a_place(folder):
    for name in CHAPTERS:
        notebook, text = released(folder, name), nbformat.writes(released(folder, name))
        assert "BEGIN SOLUTION" not in text and "<summary>Solution</summary>" not in text
        found = exercises(read_source(SOURCES / f"{name}.py"))
        for id, exercise in found.items():
            stub = exercise.stub.rstrip().splitlines()
            (answer,) = [cell for cell in notebook.cells if grade_id(cell) == f"{id}-answer".replace(".", "-")]
            assert answer.source.splitlines()[: len(stub) - 1] == stub[:-1] and "NotImplementedError" in answer.source
            assert exercise.solution not in text
        points = {grade_id(cell): cell.metadata.nbgrader["points"] for cell in notebook.cells
                  if cell.metadata.get("nbgrader", {}).get("grade")}  # fmt: skip
        assert set(points) == {f"{id}-check".replace(".", "-") for id in found} | {"prediction-answer", "limits-answer"}
        assert all(1 <= point <= 3 for point in points.values())


@pytest.fixture(scope="module")
def marked(folder) -> Path:
    """The folder after marking one assignment of four learners: solved, empty, one mistake, and edited checks."""
    wrong = wrong_answers(WRONG_ANSWERS / f"{TRIED}.py")[MISTAKEN][0]
    hand_in(folder, "solved", TRIED, answered(released(folder, TRIED), solutions(TRIED)))
    hand_in(folder, "empty", TRIED, released(folder, TRIED))
    hand_in(folder, "mistaken", TRIED, answered(released(folder, TRIED), solutions(TRIED) | {MISTAKEN: wrong}))
    edited = released(folder, TRIED)
    for cell in edited.cells:
        if grade_id(cell).endswith("-check"):
            cell.source = "assert True  # passed!"
    hand_in(folder, "edited", TRIED, edited)
    nbgrader(folder, "autograde", TRIED)
    return folder


def test_a_solved_submission_gets_full_marks(marked):
    found = marks(marked, "solved", TRIED)
    assert len(found) == len(solutions(TRIED)) and all(score == most > 0 for score, most in found.values())


@pytest.mark.parametrize("student", ["empty", "edited"])
def test_an_empty_submission_gets_none_and_editing_the_checks_does_not_help(marked, student):
    found = marks(marked, student, TRIED)
    assert len(found) == len(solutions(TRIED)) and all(score == 0 < most for score, most in found.values())


def test_a_mistake_loses_exactly_its_own_points(marked):
    found, check = marks(marked, "mistaken", TRIED), f"{MISTAKEN}-check".replace(".", "-")
    assert {name for name, (score, most) in found.items() if score < most} == {check}
    assert found[check][0] == 0


@pytest.mark.parametrize("name", [name for name in CHAPTERS if name != TRIED])
def test_every_chapters_solutions_get_full_marks(folder, name):
    hand_in(folder, "solver", name, answered(released(folder, name), solutions(name)))
    nbgrader(folder, "autograde", name)
    found = marks(folder, "solver", name)
    assert len(found) == len(solutions(name)) and all(score == most > 0 for score, most in found.values())


def test_a_person_marks_the_questions(marked):
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{marked / 'gradebook.db'}") as book:
        (notebook,) = book.find_submission(TRIED, "solved").notebooks
        waiting = {grade.name for grade in notebook.grades if grade.needs_manual_grade}
        assert not waiting, "an unchanged answer needs nobody: nbgrader gives it no points"
        assert {grade.name: grade.max_score for grade in notebook.grades if grade.cell.cell_type == "markdown"} == {
            "prediction-answer": classroom.QUESTION_POINTS, "limits-answer": classroom.QUESTION_POINTS,
        }  # fmt: skip


def test_the_same_cells_make_the_assignment_every_time_and_marks_survive_a_second_writing(tmp_path):
    path = SOURCES / f"{TRIED}.py"
    classroom.prepare([path], tmp_path)
    (tmp_path / "gradebook.db").write_text("marks")
    first = (tmp_path / "source" / TRIED / f"{TRIED}.ipynb").read_bytes()
    classroom.prepare([path], tmp_path)
    assert (tmp_path / "source" / TRIED / f"{TRIED}.ipynb").read_bytes() == first
    assert (tmp_path / "gradebook.db").read_text() == "marks"


def test_a_source_that_makes_no_assignment_is_told_so():
    with pytest.raises(SourceError, match="ex-1.1: the cell before the stub has to hold the heading"):
        classroom.assignment(SAMPLE_SOURCE, "01_sample")
    with pytest.raises(SourceError, match="has to begin with the stub"):
        classroom._with_region("def f(x):\n    ...", "def g(x):\n    return x", "ex-1.1")


def test_a_marked_region_gives_back_the_solution():
    for name in CHAPTERS:
        for id, one in exercises(read_source(SOURCES / f"{name}.py")).items():
            made = classroom._with_region(one.stub, one.solution, id)
            assert REGION.sub(lambda found: found[1], made) == one.solution


def test_the_source_keeps_its_tags():
    source = read_source(SOURCES / f"{TRIED}.py")
    before = [list(tags(cell)) for cell in source.cells]
    classroom.assignment(source, TRIED)
    assert [list(tags(cell)) for cell in source.cells] == before
