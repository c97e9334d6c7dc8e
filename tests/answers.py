"""Give an answer to an exercise and hear the verdict of its check."""

import ast
import runpy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nbformat import NotebookNode

from tools.editions import Exercise, course_edition, tags


def verdict(prepared: str, exercise: Exercise, answer: str) -> str:
    """Run what an exercise needs, an answer and the check; return the verdict's status."""
    namespace: dict = {"__name__": "__main__"}
    for code in (prepared, exercise.given, answer):
        exec(compile(code, exercise.id, "exec"), namespace)
    *body, last = ast.parse(exercise.check).body
    if not isinstance(last, ast.Expr):
        raise ValueError(f"{exercise.id}: the check has to end with its verdict")
    exec(compile(ast.Module(body, []), exercise.id, "exec"), namespace)
    return eval(compile(ast.Expression(last.value), exercise.id, "eval"), namespace).status


def preparation(source: NotebookNode, name: str) -> str:
    """Return the code of a chapter's cells tagged `setup` or `imports`."""
    cells = course_edition(source, name).cells
    return "\n\n".join(cell.source for cell in cells if {"setup", "imports"} & set(tags(cell)))


def wrong_answers(path: Path) -> dict[str, list[str]]:
    """Read the wrong answers of a chapter, by exercise."""
    return runpy.run_path(str(path))["WRONG"] if path.exists() else {}


@contextmanager
def inside(folder: Path, scale: str) -> Iterator[None]:
    """Stand where a notebook stands: in its folder, at a scale."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("COURSE_SCALE", scale)
        yield
