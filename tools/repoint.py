"""Point every badge, link and setup cell at a fork: python -m tools.repoint https://github.com/OWNER/NAME

The address stands in pyproject.toml alone; what is made from it is made again here: the README, the pages around the
chapters, CITATION.cff, and the committed notebooks, which keep their outputs.
"""

import re
import sys
from pathlib import Path

import nbformat

from tools.editions import with_ids
from tools.execute import write
from tools.project import NOTEBOOKS, RELEASE_TAG, REPOSITORY_URL, ROOT
from tools.seal import inputs_sha256, seal

ADDRESS = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+")
#: Texts that name the repository.
TEXTS = ("pyproject.toml", "README.md", "CONTRIBUTING.md", "SECURITY.md", "CITATION.cff", "book/*.md")


def repointed(text: str, old: str, new: str) -> str:
    """Return a text with the repository's address, and the Colab addresses made from it, replaced."""
    owners = [address.removeprefix("https://github.com/") for address in (old, new)]
    return re.sub(rf"(github(?:\.com)?/){re.escape(owners[0])}(?![\w-])", rf"\g<1>{owners[1]}", text)


def repoint(root: Path, old: str, new: str) -> list[Path]:
    """Replace an address everywhere below a copy of the repository; return the files that changed.

    Raises
    ------
    ValueError
        The address is none of GitHub's, or somebody has worked in a committed notebook.
    """
    if not ADDRESS.fullmatch(new):
        raise ValueError(f"{new!r} is no repository's address: give one like {old}.")
    notebooks = {path: nbformat.read(path, 4) for path in sorted((root / NOTEBOOKS.name).glob("*.ipynb"))}
    for path, notebook in notebooks.items():
        if notebook.metadata.get("course", {}).get("inputs_sha256") != inputs_sha256(notebook):
            raise ValueError(f"Somebody has worked in {path.name}: keep a copy, and check the committed one out first.")
    changed = []
    for path in sorted(path for pattern in TEXTS for path in root.glob(pattern)):
        before = path.read_text(encoding="utf-8")
        if (after := repointed(before, old, new)) != before:
            path.write_text(after, encoding="utf-8")
            changed.append(path)
    for path, notebook in notebooks.items():
        for cell in notebook.cells:
            cell.source = repointed(cell.source, old, new)
        with_ids(notebook.cells)
        seal(notebook, notebook.metadata.course.scale)
        write(notebook, path)
        changed.append(path)
    return changed


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        files = repoint(ROOT, REPOSITORY_URL, sys.argv[1].rstrip("/").removesuffix(".git"))
    except ValueError as error:
        sys.exit(str(error))
    print(f"{len(files)} files point at the fork now. Commit them, and push a tag {RELEASE_TAG}: Colab opens that.")
