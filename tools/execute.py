"""Run a chapter from top to bottom, and keep what it made only when all went well."""

import csv
import os
import platform
import re
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from helpers import cache, course
from tools.seal import clean, faults, seal


class ChapterError(RuntimeError):
    """A chapter did not run to its end, or made something that cannot be committed."""


@dataclass(frozen=True)
class Timing:
    """How long one chapter took, where, and whether token states had to be computed."""

    chapter: str
    scale: str
    cache: str
    seconds: float
    hardware: str

    @property
    def key(self) -> tuple[str, ...]:
        """What makes a row of the table: a new run of the same kind replaces the old one."""
        return self.chapter, self.scale, self.cache, self.hardware


#: Seconds that a cell may take, many times what the slowest one needs.
LONGEST = {"smoke": 150, "laptop": 900, "full": 3600}


def run(notebook: NotebookNode, folder: Path, scale: str) -> None:
    """Execute a notebook in place by this interpreter's own kernel, with `folder` as its place.

    Rarely a kernel and nbclient wait for each other at a widget (nbclient's issue 312). So a cell that takes too long
    has the notebook run once more, and says so; the second time it is an error.
    """
    try:
        _run(notebook, folder, scale)
    except CellTimeoutError:
        print(f"A cell took more than {LONGEST[scale]} seconds: the chapter runs once more.", flush=True)
        _run(notebook, folder, scale)


def _run(notebook: NotebookNode, folder: Path, scale: str) -> None:
    # Without this a kernel called python3 in the user's home would come before this environment's.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=LONGEST[scale],
        resources={"metadata": {"path": str(folder)}},
        # The kernel would warn that it talks over TCP: it does so to this process alone.
        extra_arguments=["--log-level=ERROR"],
        record_timing=False,
        store_widget_state=True,  # nbclient needs it for output widgets; `clean` takes it out again
    )
    with tempfile.TemporaryDirectory() as nothing_passed:  # an output never tells what somebody has passed here
        client.execute(env={**os.environ, "COURSE_SCALE": scale, "COURSE_PROGRESS": nothing_passed})
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}


def execute(notebook: NotebookNode, target: Path, folder: Path, scale: str) -> Timing:
    """Run a chapter and write it, sealed, to `target`.

    Raises
    ------
    ChapterError
        A cell failed, or the outputs have a fault. `target` is left as it was.
    """
    before, start = cache.info(), time.perf_counter()
    try:
        run(notebook, folder, scale)
    except CellExecutionError as error:
        raise ChapterError(f"{target.stem} stopped at a cell:\n{_plain(str(error))}") from None
    except CellTimeoutError:
        raise ChapterError(f"{target.stem} stopped: a cell took more than {LONGEST[scale]} seconds, twice.") from None
    except DeadKernelError:
        raise ChapterError(f"{target.stem} stopped: its kernel was killed, most often for want of memory.") from None
    seconds = time.perf_counter() - start
    clean(notebook)
    found = faults(notebook)
    if found:
        raise ChapterError(f"{target.stem} ran, but cannot be kept:\n  " + "\n  ".join(found))
    seal(notebook, scale)
    write(notebook, target)
    grown = cache.info()["files"] > before["files"]
    return Timing(target.stem, scale, "cold" if grown else "warm", round(seconds, 1), hardware())


def write(notebook: NotebookNode, target: Path) -> None:
    """Write a notebook whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with cache.atomic(target) as temporary:
        nbformat.write(notebook, temporary)


def hardware() -> str:
    """Name the processor, its cores and the GPU, if there is one."""
    information = Path("/proc/cpuinfo")
    text = information.read_text() if information.exists() else ""
    model = re.search(r"model name\s*:\s*(.+)", text)
    return f"{model[1] if model else platform.processor() or platform.machine()}, {course.hardware()}"


def record(timings: list[Timing], table: Path) -> None:
    """Put timings into the table, one row for each chapter, scale, cache and hardware."""
    rows = {timing.key: timing for timing in [*read_timings(table), *timings]}
    with cache.atomic(table) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(Timing.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(rows[key]) for key in sorted(rows))


def read_timings(table: Path) -> list[Timing]:
    """Read the table of timings; none when it is not there yet."""
    if not table.exists():
        return []
    with open(table, newline="", encoding="utf-8") as file:
        return [Timing(**{**row, "seconds": float(row["seconds"])}) for row in csv.DictReader(file)]


def _plain(text: str) -> str:
    """Take the terminal colours out of a traceback."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
