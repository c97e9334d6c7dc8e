"""One source, several editions: each edition is a function from a source to a notebook.

A source is a jupytext py:percent file. Its cells say by tag what they are: ``setup``, ``imports``,
``predict``, ``exercise``, ``hint``, ``check``, ``solution``, ``quiz``. The cells of one exercise
share a tag such as ``ex-2.1``.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from tools.project import RELEASE_TAG, REPOSITORY_URL, colab_url

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
EXERCISE_ID = re.compile(r"ex-\d+\.\d+")
ROLES = {"exercise": "code", "hint": "markdown", "check": "code", "solution": "code"}


class SourceError(ValueError):
    """A chapter's source breaks a rule of the course."""


@dataclass(frozen=True)
class Exercise:
    """The code of one exercise. `given` runs before the answer, `check` after it."""

    id: str
    given: str
    stub: str
    solution: str
    check: str


def read_source(path: Path) -> NotebookNode:
    """Read one chapter's source and hold it to the rules."""
    source = jupytext.read(path, fmt="py:percent")
    if not source.cells or not source.cells[0].source.startswith("# "):
        raise SourceError(f"{path.name}: the first cell has to be markdown that begins with `# Title`")
    exercises(source)
    return source


def tags(cell: NotebookNode) -> list[str]:
    """Return the tags of a cell."""
    return cell.metadata.get("tags", [])


def exercise_id(cell: NotebookNode) -> str | None:
    """Return the id of the exercise that a cell belongs to."""
    return next((tag for tag in tags(cell) if EXERCISE_ID.fullmatch(tag)), None)


def exercises(source: NotebookNode) -> dict[str, Exercise]:
    """Collect the exercises of a source, in order.

    Raises
    ------
    SourceError
        A cell with a role has no exercise id or the wrong cell type, or an exercise has not exactly
        one stub, at least one check and at least one solution.
    """
    parts: dict[str, dict[str, list[str]]] = {}
    for cell in source.cells:
        roles = [tag for tag in tags(cell) if tag in ROLES]
        id = exercise_id(cell)
        if roles and (len(roles) > 1 or id is None or cell.cell_type != ROLES[roles[0]]):
            start = cell.source.splitlines()[0] if cell.source else "an empty cell"
            raise SourceError(f"`{start}`: it needs one role, one tag ex-N.N, and the type {ROLES[roles[0]]}")
        if id and (roles or cell.cell_type == "code"):
            role = roles[0] if roles else "given"
            parts.setdefault(id, {}).setdefault(role, []).append(cell.source)
    found = {}
    for id, code in parts.items():
        if len(code.get("exercise", [])) != 1 or "check" not in code or "solution" not in code:
            raise SourceError(f"{id}: an exercise needs one stub, a check and a solution")
        found[id] = Exercise(
            id,
            given=_join(code.get("given", [])),
            stub=code["exercise"][0],
            solution=_join(code["solution"]),
            check=_join(code["check"]),
        )
    return found


def course_edition(source: NotebookNode, name: str) -> NotebookNode:
    """Make what is executed, committed and shown in the book: hints and solutions are folded."""
    return _notebook([_cell(cell) for cell in source.cells], name)


def student_edition(source: NotebookNode, name: str) -> NotebookNode:
    """Make what a class works on: the same, and no solution in it."""
    return _notebook([_cell(cell) for cell in source.cells if "solution" not in tags(cell)], name)


def solved_edition(source: NotebookNode, name: str) -> NotebookNode:
    """Make what tests run: each solution stands where its stub stood."""
    solutions = {id: exercise.solution for id, exercise in exercises(source).items()}
    solved = nbformat.from_dict(source)
    for cell in solved.cells:
        if "exercise" in tags(cell):
            cell.source = solutions[exercise_id(cell)]
    return student_edition(solved, name)


def _notebook(cells: list[NotebookNode], name: str) -> NotebookNode:
    """Make a notebook of an edition's cells, with the Colab link under the title."""
    title, _, rest = cells[0].source.partition("\n")
    cells[0].source = f"{title}\n\n[▶ Open in Colab]({colab_url(name)})\n{rest}".rstrip()
    notebook = nbformat.v4.new_notebook(cells=with_ids(cells), metadata=METADATA)
    nbformat.validate(notebook)
    return notebook


def _cell(cell: NotebookNode) -> NotebookNode:
    """Make the cell of an edition that stands for one cell of the source."""
    if "solution" in tags(cell):
        return _markdown(_fold("Solution", f"```python\n{cell.source}\n```"), cell)
    if cell.cell_type == "code":
        return nbformat.v4.new_code_cell(_fill(cell.source, cell), metadata=_metadata(cell))
    if "hint" in tags(cell):
        return _markdown(_fold("Hint", cell.source), cell)
    if "predict" in tags(cell):
        return _markdown(_quote(cell.source), cell)
    if "quiz" in tags(cell):
        return _markdown(_fold_answers(cell.source), cell)
    return _markdown(cell.source, cell)


def _markdown(text: str, cell: NotebookNode) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(text, metadata=_metadata(cell))


def _fill(code: str, cell: NotebookNode) -> str:
    """Write the repository's address and the release into a setup cell, so that Colab can fetch them."""
    if "setup" not in tags(cell):
        return code
    return code.replace("REPOSITORY_URL", REPOSITORY_URL).replace("RELEASE_TAG", RELEASE_TAG)


def _metadata(cell: NotebookNode) -> dict:
    """Keep the tags of a cell and nothing else."""
    return {"tags": list(tags(cell))} if tags(cell) else {}


def _fold(summary: str, text: str) -> str:
    """Make a closed box that opens in GitHub, JupyterLab, Colab and the book alike."""
    return f"<details>\n<summary>{summary}</summary>\n\n{text}\n\n</details>"


def _quote(text: str) -> str:
    """Set a prediction prompt off as a quotation, which every reader of notebooks can show."""
    lead = "" if text.startswith("**Predict") else "**Predict first.** "
    return "\n".join(f"> {line}".rstrip() for line in (lead + text).splitlines())


def _fold_answers(text: str) -> str:
    """Fold each paragraph of a quiz that begins with ``Answer:``, at its own indentation."""

    def fold(match: re.Match) -> str:
        indent, answer = match["indent"], match["answer"].strip()
        return (
            f"\n{indent}<details>\n{indent}<summary>Answer</summary>\n\n"
            f"{indent}{answer}\n\n{indent}</details>\n"
        )

    folded = re.sub(r"^(?P<indent>[ ]*)Answer:(?P<answer>.*(?:\n[ ]*\S.*)*)", fold, text, flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", folded).strip()


def with_ids(cells: list[NotebookNode]) -> list[NotebookNode]:
    """Give each cell an id made from its content, so that an edit changes no other cell's id."""
    seen: Counter[str] = Counter()
    for cell in cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return cells


def _join(sources: list[str]) -> str:
    return "\n\n".join(sources)
