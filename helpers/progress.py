"""Which exercises a learner has passed, kept on the learner's own disk and nowhere else.

One empty file an exercise, whose name says all: nothing half-written can be read, and two notebooks need no lock.
"""

import os
import re
from collections import Counter
from pathlib import Path

import platformdirs
from IPython.display import Markdown, display

_FILE = re.compile(r"(\d+\.\d+)\.passed")


def root() -> Path:
    """Return the folder of what was passed: ``COURSE_PROGRESS``, or the usual place for a user's data."""
    return Path(os.environ.get("COURSE_PROGRESS") or Path(platformdirs.user_data_dir("pooling-course")) / "progress")


def keep(exercise: str) -> None:
    """Remember that an exercise ("2.1") was passed; it stays passed.

    Raises
    ------
    OSError
        The folder cannot be written to.
    """
    root().mkdir(parents=True, exist_ok=True)
    (root() / f"{exercise}.passed").touch()


def passed() -> set[str]:
    """Return the exercises that were passed, in all chapters."""
    return {found[1] for path in root().glob("*.passed") if (found := _FILE.fullmatch(path.name))}


def show(*exercises: str) -> None:
    """Show which of a chapter's exercises were passed, and how many of each chapter so far."""
    done = passed()
    marks = " · ".join(f"{'✔' if one in done else '○'} {one}" for one in exercises)
    chapters = Counter(int(one.split(".")[0]) for one in done)
    so_far = ", ".join(f"{count} in chapter {chapter}" for chapter, count in sorted(chapters.items()))
    here = sum(one in done for one in exercises)
    display(Markdown(
        f"**{marks}**\n\n{here} of this chapter's {len(exercises)} exercises passed. So far: {so_far or 'none'}. "
        "This is kept on your own disk only (`course.doctor()` says where); deleting that folder begins anew."
    ))  # fmt: skip
