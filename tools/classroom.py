"""Write a folder for a teacher: python -m tools.classroom (make class).

    build/class/student/     each chapter without its solutions
    build/class/solved/      each chapter with every stub filled in
    build/class/source/      one nbgrader assignment a chapter, made from the same tagged cells
    build/class/nbgrader_config.py

In that folder `nbgrader generate_assignment NAME` makes what learners get, `nbgrader autograde NAME` marks what came
back, and JupyterLab's menu Nbgrader, Formgrader shows the questions that a person has to mark.
"""

import ast
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.editions import (
    METADATA,
    SourceError,
    course_edition,
    exercise_id,
    exercises,
    read_source,
    solved_edition,
    student_edition,
    tags,
)
from tools.execute import write
from tools.project import BUILD, SOURCES

CONFIG = '''"""nbgrader's settings for this folder: run its commands from here."""

import os
import tempfile

# What a submission passes is its own progress, and not that of whoever marks it.
os.environ.setdefault("COURSE_PROGRESS", tempfile.mkdtemp())

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "pooling"
c.CourseDirectory.root = __file__.rpartition("nbgrader_config.py")[0] or "."
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError  # your turn"}
c.ExecutePreprocessor.timeout = 300
'''
#: What a person marks, a few lines each. The points are for reasons, not for having guessed right.
QUESTIONS = {
    "prediction": "**A prediction.** Choose one of the prompts *Predict first* above. What did you expect, and why? "
    "What came out? If the two differ: what had you not thought of? If not: what would have surprised you?",
    "limits": "**A limit.** Choose one result of this chapter. Of which model, which texts and which scale was it "
    "measured? Name one thing that it does *not* show, and an experiment that would.",
}
QUESTION_POINTS = 3


def assignment(source: NotebookNode, name: str) -> NotebookNode:
    """Make nbgrader's source of one chapter's assignment: its exercises, and two questions that a person marks.

    An exercise has as many points as its heading has stars. Its check is a locked test cell, which nbgrader puts back
    before it marks.

    Raises
    ------
    SourceError
        A stub without a heading ``### Exercise N.N`` in the cell before it, or a solution that begins otherwise.
    """
    chapter, found = course_edition(source, name), exercises(source)
    cells = [_locked(_markdown(f"{chapter.cells[0].source.splitlines()[0]}: assignment\n\n" + _HOW), "how-to")]
    points: dict[str, int] = {}
    before = None
    for original, cell in zip(source.cells, chapter.cells, strict=True):
        id, role = exercise_id(original), set(tags(original))
        if original.cell_type == "code" and (role & {"setup", "imports"} or role == {id}):
            cells.append(_locked(nbformat.v4.new_code_cell(cell.source), f"given-{len(cells)}"))
        elif "exercise" in role:
            task = _task(before, id)
            cells.append(_locked(_markdown(task), f"{id}-task"))
            answer = nbformat.v4.new_code_cell(_with_region(found[id].stub, found[id].solution, id))
            cells.append(_marked(answer, f"{id}-answer", solution=True))
            points[id] = max(1, task.count("★"))
        elif "hint" in role:
            cells.append(_locked(_markdown(cell.source), f"{id}-hint"))
        elif "check" in role and id in points:
            test = _marked(nbformat.v4.new_code_cell(_test(found[id].check)), f"{id}-check", locked=True, grade=True)
            test.metadata["nbgrader"]["points"] = points.pop(id)  # an exercise with two check cells has one test
            cells.append(test)
        before = original
    cells += _questions([cell.source for cell in chapter.cells if "predict" in tags(cell)])
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=METADATA)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    nbformat.validate(notebook)
    return notebook


_HOW = (
    "Fill in each function where it says *your turn*. The cell below it checks your answer: no error means that it is "
    "right. Marks are given by the same cells as they were handed out, so editing them changes nothing. The chapter "
    "itself has the pictures and the story; keep it open beside this."
)


def _questions(predictions: list[str]) -> list[NotebookNode]:
    """The questions that a person marks, after the prompts that one of them is about."""
    cells = [_locked(_markdown("## The chapter's prompts\n\n" + "\n\n".join(predictions)), "prompts")]
    for id, question in QUESTIONS.items():
        cells.append(_locked(_markdown(f"### {question} ({QUESTION_POINTS} points)"), f"{id}-question"))
        answer = _marked(_markdown("YOUR ANSWER HERE"), f"{id}-answer", grade=True, solution=True)
        answer.metadata["nbgrader"]["points"] = QUESTION_POINTS
        cells.append(answer)
    return cells


def _task(before: NotebookNode | None, id: str) -> str:
    """The text of an exercise: from its heading to the end of the cell before the stub."""
    heading = f"### Exercise {id.removeprefix('ex-')}"
    if before is None or heading not in before.source:
        raise SourceError(f"{id}: the cell before the stub has to hold the heading `{heading}`")
    return before.source[before.source.index(heading) :]


def _with_region(stub: str, solution: str, id: str) -> str:
    """The solution, with nbgrader's marks around all of it that is not in the stub."""
    lines = stub.rstrip().splitlines()
    given, indent = "\n".join(lines[:-1]), lines[-1][: len(lines[-1]) - len(lines[-1].lstrip())]
    if not solution.startswith(given + "\n"):
        raise SourceError(f"{id}: the solution has to begin with the stub, but for the stub's last line")
    rest = solution[len(given) + 1 :]
    return f"{given}\n{indent}### BEGIN SOLUTION\n{rest}\n{indent}### END SOLUTION"


def _test(check: str) -> str:
    """A check that raises its verdict unless the answer is right."""
    last = ast.parse(check).body[-1]
    lines = check.splitlines()
    body, verdict = "\n".join(lines[: last.lineno - 1]), "\n".join(lines[last.lineno - 1 :])
    return f'{body}\nverdict = {verdict}\nassert verdict.status == "passed", verdict'.lstrip("\n")


def _markdown(text: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(text)


def _locked(cell: NotebookNode, id: str) -> NotebookNode:
    return _marked(cell, id, locked=True)


def _marked(cell: NotebookNode, id: str, locked=False, grade=False, solution=False) -> NotebookNode:
    """Write nbgrader's metadata into a cell."""
    cell.metadata["nbgrader"] = {
        "grade_id": id.replace(".", "-"), "schema_version": 3, "locked": locked, "grade": grade, "solution": solution,
        "task": False,
    }  # fmt: skip
    return cell


def prepare(sources: list[Path], folder: Path) -> None:
    """Write the teacher's folder; what nbgrader keeps there itself (marks, submissions) is left alone."""
    for made in ("student", "solved", "source"):
        shutil.rmtree(folder / made, ignore_errors=True)
    for path in sources:
        source, name = read_source(path), path.stem
        write(student_edition(source, name), folder / "student" / f"{name}.ipynb")
        write(solved_edition(source, name), folder / "solved" / f"{name}.ipynb")
        write(assignment(source, name), folder / "source" / name / f"{name}.ipynb")
    (folder / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")


if __name__ == "__main__":
    prepare(sorted(SOURCES.glob("[0-9][0-9]_*.py")), BUILD / "class")
    print("build/class: student/, solved/, source/ (for nbgrader). The book's teaching guide says how to use it.")
