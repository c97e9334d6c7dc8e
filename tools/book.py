"""Build the book from the executed notebooks: python -m tools.book."""

import shutil
import sys
from pathlib import Path

import nbformat
from sphinx.cmd.build import build_main

from tools.project import NOTEBOOKS, ROOT, SOURCES, TIMINGS


def with_alt_texts(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Tell MyST-NB each figure's alt text, which a notebook keeps in the output and MyST-NB reads from the cell."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            alt = output.get("metadata", {}).get("image/png", {}).get("alt")
            if alt:
                cell.metadata["mystnb"] = {"image": {"alt": alt}}
    return notebook


def build(chapters: list[Path], timings: Path, book: Path) -> Path:
    """Copy executed chapters and their timings into a book's folder and build it; return its first page.

    Raises
    ------
    RuntimeError
        Sphinx warned of something: a warning is a fault on a page.
    """
    shutil.rmtree(book / "chapters", ignore_errors=True)
    (book / "chapters").mkdir()
    for path in chapters:
        nbformat.write(with_alt_texts(nbformat.read(path, 4)), book / "chapters" / path.name)
    shutil.copy(timings, book / "chapters" / "timings.csv")
    html = book / "_build" / "html"
    # Every page anew: after a build that was stopped half-way, Sphinx would keep pages with old titles.
    if build_main(["-b", "html", "-E", "-a", "-q", "-W", "--keep-going", str(book), str(html)]):
        raise RuntimeError("The book was not built: each line above names a page and what is wrong with it.")
    return html / "index.html"


if __name__ == "__main__":
    try:
        # Only what has a source: a learner's own notebooks stay out of the book.
        executed = [NOTEBOOKS / f"{source.stem}.ipynb" for source in sorted(SOURCES.glob("*.py"))]
        page = build(executed, TIMINGS, ROOT / "book")
    except RuntimeError as error:
        sys.exit(str(error))
    print(f"The book is at {page.relative_to(ROOT)}")
