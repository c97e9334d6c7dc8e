"""The cells of a chapter that one cell needs, so that a test need not run the whole chapter."""

import ast
import dis
from types import CodeType

from nbformat import NotebookNode

from tools.editions import tags


def needed(notebook: NotebookNode, target: NotebookNode) -> list[NotebookNode]:
    """Return the code cells that `target` needs, in order, and itself: by the names that they bind and use.

    What a cell changes (``table["x"] = …``) counts as bound by it. Setup and imports always run.
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    wanted, kept = set(), []
    for cell in reversed(cells[: cells.index(target) + 1]):
        code = compile(cell.source, "cell", "exec")
        bound, changed = _bound(code), _changed(cell.source)
        if cell is target or {"setup", "imports"} & set(tags(cell)) or (bound | changed) & wanted:
            wanted = (wanted - bound) | _used(code)
            kept.append(cell)
    return kept[::-1]


def _bound(code: CodeType) -> set[str]:
    return {one.argval for one in dis.get_instructions(code) if one.opname == "STORE_NAME"}


def _used(code: CodeType) -> set[str]:
    """Names that the cell loads; those that it binds first itself are no harm."""
    found = {one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_NAME", "LOAD_GLOBAL")}
    return found.union(*(_used(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def _changed(source: str) -> set[str]:
    """Names whose parts are set: ``name[…] = …``, ``name.part = …``."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            while isinstance(node, ast.Subscript | ast.Attribute):
                node = node.value
            found |= {node.id} if isinstance(node, ast.Name) else set()
    return found
