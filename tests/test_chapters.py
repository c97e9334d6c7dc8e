"""Every chapter: its notebook came from its source, is clean, and its checks tell right from wrong."""

import copy
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tests.answers import inside, preparation, verdict, wrong_answers
from tools.editions import course_edition, exercises, read_source, solved_edition, student_edition, tags
from tools.execute import run
from tools.project import NOTEBOOKS, SOURCES
from tools.seal import faults, inputs_sha256, outputs_sha256

WRONG_ANSWERS = Path(__file__).parent / "wrong_answers"
CHAPTERS = sorted(path.stem for path in SOURCES.glob("*.py"))
EXERCISES = [(name, id) for name in CHAPTERS for id in exercises(read_source(SOURCES / f"{name}.py"))]

each_chapter = pytest.mark.parametrize("name", CHAPTERS)
each_exercise = pytest.mark.parametrize("name, id", EXERCISES, ids=[f"{name}-{id}" for name, id in EXERCISES])


def source(name: str) -> NotebookNode:
    return read_source(SOURCES / f"{name}.py")


def committed(name: str) -> NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4)


def bare(notebook: NotebookNode) -> NotebookNode:
    """Return all of a notebook but what a run adds to it."""
    copied = copy.deepcopy(notebook)
    copied.metadata.pop("course", None)
    for cell in copied.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return copied


def drift(name: str, source: NotebookNode, notebook: NotebookNode) -> list[str]:
    """Say where a notebook no longer fits its source, or its outputs their inputs."""
    found, made, seals = [], course_edition(source, name), notebook.metadata.get("course", {})
    if [cell.source for cell in made.cells] != [cell.source for cell in notebook.cells]:
        found.append("the cells differ from the source: run `python -m tools.notebooks execute`")
    elif bare(made) != bare(notebook):
        found.append("the cells' types, tags, ids or metadata differ from the source")
    if seals.get("inputs_sha256") != inputs_sha256(made):
        found.append("the outputs came from other inputs")
    if seals.get("outputs_sha256") != outputs_sha256(notebook):
        found.append("the outputs were changed after the run")
    return found


def test_sources_and_notebooks_correspond_one_to_one():
    assert CHAPTERS == sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


@each_chapter
def test_the_notebook_came_from_its_source(name):
    assert drift(name, source(name), committed(name)) == []


@each_chapter
def test_a_changed_source_and_a_changed_output_are_noticed(name):
    edited = source(name)
    edited.cells[-1].source += "\n\nOne more sentence."
    assert "the outputs came from other inputs" in drift(name, edited, committed(name))
    notebook = committed(name)
    next(cell for cell in notebook.cells if cell.get("outputs")).outputs.pop()
    assert drift(name, source(name), notebook) == ["the outputs were changed after the run"]


def untag(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        cell.metadata.pop("tags", None)


def skip(notebook: NotebookNode) -> None:
    notebook.cells[-1].metadata["tags"] = ["nbval-skip"]


def hide(notebook: NotebookNode) -> None:
    next(cell for cell in notebook.cells if cell.get("outputs")).metadata["jupyter"] = {"outputs_hidden": True}


def retype(notebook: NotebookNode) -> None:
    next(cell for cell in notebook.cells if cell.cell_type == "markdown").cell_type = "raw"


@each_chapter
@pytest.mark.parametrize("change", [untag, skip, hide, retype])
def test_a_change_beside_the_text_of_a_cell_is_noticed(name, change):
    # Without its tags, nbval would no longer compare the outputs of a cell.
    notebook = committed(name)
    change(notebook)
    assert drift(name, source(name), notebook) == ["the cells' types, tags, ids or metadata differ from the source"]


@each_chapter
def test_the_notebook_is_clean_valid_and_from_a_laptop_run(name):
    notebook = committed(name)
    nbformat.validate(notebook)
    assert faults(notebook) == []
    assert notebook.metadata.course.scale == "laptop"


@each_chapter
def test_the_student_edition_holds_no_solution(name):
    text = "\n".join(cell.source for cell in student_edition(source(name), name).cells)
    assert "<summary>Solution</summary>" not in text
    for exercise in exercises(source(name)).values():
        assert exercise.solution not in text


@each_chapter
def test_a_prompt_to_predict_is_prose(name):
    assert [cell.source[:60] for cell in source(name).cells
            if "predict" in tags(cell) and cell.cell_type != "markdown"] == []  # fmt: skip


@pytest.mark.slow
@each_chapter
def test_the_solved_edition_passes_every_check(name):
    notebook = solved_edition(source(name), name)
    # Rarely nbclient waits for ever at a widget (its issue 312), and nbval runs them too.
    notebook.cells = [cell for cell in notebook.cells if "widget" not in tags(cell)]
    run(notebook, NOTEBOOKS, "smoke")
    verdicts = [
        "".join(output.get("data", {}).get("text/plain", "") for output in cell.outputs)
        for cell in notebook.cells
        if "check" in tags(cell)
    ]
    assert verdicts, "a chapter without an exercise"
    assert [verdict for verdict in verdicts if not verdict.startswith("✔ passed")] == []


@each_exercise
def test_a_check_tells_right_from_wrong(name, id):
    chapter = source(name)
    prepared, exercise = preparation(chapter, name), exercises(chapter)[id]
    wrong = wrong_answers(WRONG_ANSWERS / f"{name}.py").get(id, [])
    assert len(wrong) >= 2, f"tests/wrong_answers/{name}.py needs two wrong answers to {id}"
    with inside(NOTEBOOKS, "smoke"):
        assert verdict(prepared, exercise, exercise.solution) == "passed"
        assert verdict(prepared, exercise, exercise.stub) == "not attempted"
        assert [(answer, verdict(prepared, exercise, answer)) for answer in wrong] == [
            (answer, "failed") for answer in wrong
        ]


@each_chapter
def test_there_is_no_wrong_answer_without_its_exercise(name):
    assert set(wrong_answers(WRONG_ANSWERS / f"{name}.py")) == set(exercises(source(name)))
