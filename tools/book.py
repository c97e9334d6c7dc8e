"""Build the book from the executed notebooks and the tables: python -m tools.book."""

import re
import shutil
import sys
from pathlib import Path

import nbformat
from sphinx.cmd.build import build_main
from transformers.utils import logging as transformers_logging

from tools import findings, ledger, measured
from tools.editions import tags
from tools.project import NOTEBOOKS, ROOT, SOURCES, TIMINGS

GLOSSARY = ROOT / "book" / "glossary.md"


def for_the_book(notebook: nbformat.NotebookNode, terms: list[str]) -> nbformat.NotebookNode:
    """Make an executed chapter ready for MyST-NB: alt texts, folded answers to predictions, links to the glossary."""
    _tell_alt_texts(notebook)
    _fold_what_was_to_be_predicted(notebook)
    _link_terms(notebook, terms)
    return notebook


def _tell_alt_texts(notebook: nbformat.NotebookNode) -> None:
    """A notebook keeps a figure's alt text in the output; MyST-NB reads it from the cell."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            alt = output.get("metadata", {}).get("image/png", {}).get("alt")
            if alt:
                cell.metadata["mystnb"] = {"image": {"alt": alt}}


def _fold_what_was_to_be_predicted(notebook: nbformat.NotebookNode) -> None:
    """A reader who is asked to predict should not see the answer below: the next output opens with a click."""
    asked = False
    for cell in notebook.cells:
        asked = asked or "predict" in tags(cell)
        if asked and cell.get("outputs"):
            cell.metadata["tags"] = [*tags(cell), "hide-output"]
            asked = False


def _link_terms(notebook: nbformat.NotebookNode, terms: list[str]) -> None:
    """The first *term* in italics of a chapter leads to the glossary."""
    left = set(terms)
    for cell in notebook.cells:
        if cell.cell_type != "markdown" or "quiz" in tags(cell):
            continue
        for term in sorted(left, key=len, reverse=True):
            italic = rf"(?<![*\w])\*({re.escape(term)})([.,:;]?)\*(?![*\w])"
            linked = re.sub(italic, rf"{{term}}`\1 <{term}>`\2", cell.source, count=1, flags=re.IGNORECASE)
            if linked != cell.source:
                cell.source = linked
                left.discard(term)


def terms_of(glossary: Path) -> list[str]:
    """Return the words that a glossary explains."""
    body = glossary.read_text(encoding="utf-8").split("```{glossary}")[1].split("```")[0]
    return [line for line in body.splitlines() if line and not line.startswith(" ")]


def build(chapters: list[Path], timings: Path, book: Path) -> Path:
    """Copy executed chapters into a book's folder, make its computed pages, build it, and return its first page.

    Raises
    ------
    RuntimeError
        Sphinx warned of something: a warning is a fault on a page.
    """
    for folder in ("chapters", "made"):
        shutil.rmtree(book / folder, ignore_errors=True)
        (book / folder).mkdir()
    terms = terms_of(book / GLOSSARY.name)
    for path in chapters:
        nbformat.write(for_the_book(nbformat.read(path, 4), terms), book / "chapters" / path.name)
    shutil.copy(timings, book / "made" / "timings.csv")
    shutil.copy(ROOT / "benchmarks" / "widgets.csv", book / "made" / "widgets.csv")
    (book / "made" / "ledger.md").write_text(ledger.page(), encoding="utf-8")
    (book / "made" / "speed.md").write_text(measured.page(), encoding="utf-8")
    (book / "made" / "million.md").write_text(measured.plan(), encoding="utf-8")
    (book / "made" / "finding.md").write_text(findings.sentence(findings.gaps()) + "\n", encoding="utf-8")
    html = book / "_build" / "html"
    # Every page anew: after a build that was stopped half-way, Sphinx would keep pages with old titles.
    if build_main(["-b", "html", "-E", "-a", "-q", "-W", "--keep-going", str(book), str(html)]):
        raise RuntimeError("The book was not built: each line above names a page and what is wrong with it.")
    return html / "index.html"


if __name__ == "__main__":
    transformers_logging.disable_progress_bar()
    try:
        # Only what has a source: a learner's own notebooks stay out of the book.
        executed = [NOTEBOOKS / f"{source.stem}.ipynb" for source in sorted(SOURCES.glob("*.py"))]
        page = build(executed, TIMINGS, ROOT / "book")
    except RuntimeError as error:
        sys.exit(str(error))
    print(f"The book is at {page.relative_to(ROOT)}")
