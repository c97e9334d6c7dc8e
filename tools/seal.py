"""What an executed notebook has to keep: a seal over its inputs and outputs, and clean outputs."""

import hashlib
import json
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.project import ROOT

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
LARGEST = 1_500_000  # bytes: GitHub shows larger notebooks slowly or not at all
ELSEWHERE = re.compile(r"/home/\w+|/Users/\w+|/root\b|[A-Za-z]:\\+Users\\+\w+|ipykernel_\d+")


def inputs_sha256(notebook: NotebookNode) -> str:
    """Return a hash over what a person wrote: cell types, texts and tags, in order."""
    return _sha256([[cell.cell_type, cell.source, cell.metadata.get("tags", [])] for cell in notebook.cells])


def outputs_sha256(notebook: NotebookNode) -> str:
    """Return a hash over what the run made: outputs and execution counts, in order."""
    return _sha256([[cell.execution_count, cell.outputs] for cell in _code(notebook)])


def seal(notebook: NotebookNode, scale: str) -> None:
    """Write both hashes and the scale into the notebook."""
    notebook.metadata["course"] = {
        "inputs_sha256": inputs_sha256(notebook),
        "outputs_sha256": outputs_sha256(notebook),
        "scale": scale,
    }


def clean(notebook: NotebookNode) -> None:
    """Take out what only a live kernel could show: widget views, their state, timings.

    A widget's bundle keeps its picture or HTML. One whose only other content is the text
    representation of the widget object is removed, for that text tells a reader nothing.
    """
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    for cell in _code(notebook):
        cell.outputs = [output for output in cell.outputs if _keep(output)]


def _keep(output: NotebookNode) -> bool:
    if WIDGET_VIEW not in output.get("data", {}):
        return True
    del output["data"][WIDGET_VIEW]
    return set(output["data"]) > {"text/plain"}


def faults(notebook: NotebookNode) -> list[str]:
    """Say in one sentence each what keeps an executed notebook from being committed."""
    found = []
    if "widgets" in notebook.metadata:
        found.append("metadata.widgets is there, which GitHub calls an invalid notebook")
    if [cell.execution_count for cell in _code(notebook)] != list(range(1, len(_code(notebook)) + 1)):
        found.append("the execution counts are not 1 to n: it was not run once from top to bottom")
    for number, cell in enumerate(notebook.cells, 1):
        found += [f"cell {number}: {fault}" for fault in _cell_faults(cell)]
    size = len(nbformat.writes(notebook).encode())
    if size > LARGEST:
        found.append(f"it has {size / 1e6:.1f} MB, more than {LARGEST / 1e6} MB: save its figures smaller")
    return found


def _cell_faults(cell: NotebookNode) -> list[str]:
    found, figures = [], set()
    for output in cell.get("outputs", []):
        if output.get("name") == "stderr":
            found.append(f"it wrote to stderr: {output['text'].strip()[:200]!r}")
        if output.output_type == "error":
            found.append(f"it raised {output.ename}: {output.evalue}")
        if "image/png" in output.get("data", {}):
            alt = output.metadata.get("image/png", {}).get("alt")
            figures.add(alt)
            if not alt:
                found.append("a figure has no alt text: show it by helpers.figures.show(fig, alt=…)")
        path = machine_path(output)
        if path:
            found.append(f"an output holds a path of this machine, {path!r}")
    if len(figures - {None}) > 1:
        found.append("it shows two figures: give each its own cell, where the book finds its alt text")
    return found


def machine_path(output: NotebookNode) -> str | None:
    """Return a path of this or any machine that an output's text holds."""
    pictures = ("image/png", "image/jpeg")  # base64 may spell anything by chance
    data = {kind: value for kind, value in output.get("data", {}).items() if kind not in pictures}
    text = json.dumps([data, output.get("text", ""), output.get("traceback", [])], ensure_ascii=False)
    here = [json.dumps(str(path))[1:-1] for path in (ROOT, Path.home()) if len(path.parts) > 1]
    found = next((path for path in here if path in text), None)
    match = ELSEWHERE.search(text)
    return found or (match.group() if match else None)


def _code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _sha256(content: list) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
