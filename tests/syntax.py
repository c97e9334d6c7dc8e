"""The course's own code as syntax trees, for tests of what it never does."""

import ast

from tools.project import ROOT

CODE = [path for folder in ("helpers", "tools", "notebooks/source") for path in sorted((ROOT / folder).glob("*.py"))]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in CODE}


def calls(tree: ast.AST, *names: str) -> list[ast.Call]:
    """The calls of some functions, however they were imported."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) in names]  # fmt: skip
