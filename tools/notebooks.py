"""Make the notebooks of the course from their sources.

    python -m tools.notebooks build                       write what changed; keep outputs that still fit
    python -m tools.notebooks execute [--scale S] [NAME…] run chapters and keep their outputs
    python -m tools.notebooks editions                    write build/student and build/solved

NAME is a chapter (01_data) or the number that it begins with (01).
"""

import argparse
import os
import sys
import time
from difflib import get_close_matches
from pathlib import Path

import nbformat

from helpers import course
from tools.editions import SourceError, course_edition, read_source, solved_edition, student_edition
from tools.execute import ChapterError, Timing, execute, record, write
from tools.project import ANSWERS, BUILD, NOTEBOOKS, SOURCES, TIMINGS
from tools.seal import inputs_sha256

KEPT = "laptop"  # the scale whose outputs are committed


def chapters(names: list[str]) -> list[Path]:
    """Return the sources of the named chapters, or of all when none is named.

    Raises
    ------
    ValueError
        No chapter has that name.
    """
    known = sorted(SOURCES.glob("[0-9][0-9]_*.py"))
    for name in names:
        if not any(_named(path, name) for path in known):
            stems = [path.stem for path in known]
            near = get_close_matches(name, stems, n=1, cutoff=0.4)
            guess = f" Did you mean {near[0]}?" if near else ""
            there = ", ".join(stems) or "none yet"
            raise ValueError(f"There is no chapter {name!r}; there are: {there}.{guess}")
    return [path for path in known if not names or any(_named(path, name) for name in names)]


def _named(path: Path, name: str) -> bool:
    return name in (path.stem, path.stem.split("_")[0])


def rescue(target: Path) -> None:
    """Copy a notebook that somebody has worked in to my_answers/ before it is written anew."""
    notebook = nbformat.read(target, 4) if target.exists() else None
    sealed = notebook and notebook.metadata.get("course", {}).get("inputs_sha256")
    if sealed and sealed != inputs_sha256(notebook):
        kept = ANSWERS / f"{target.stem}-{time.strftime('%Y%m%d-%H%M%S')}.ipynb"
        write(notebook, kept)
        print(f"{target.stem}: somebody has worked in this notebook. Their copy is {kept}", flush=True)


def build() -> None:
    """Write each chapter's notebook anew where its inputs changed; leave the others alone."""
    for path in chapters([]):
        notebook = course_edition(read_source(path), path.stem)
        target = NOTEBOOKS / f"{path.stem}.ipynb"
        if target.exists() and inputs_sha256(nbformat.read(target, 4)) == inputs_sha256(notebook):
            print(f"{path.stem}: as it was")
        else:
            rescue(target)
            write(notebook, target)
            print(f"{path.stem}: written, without outputs")


def run_chapters(scale: str, names: list[str]) -> None:
    """Execute chapters and print how long each took. Only `laptop` runs go into notebooks/."""
    folder = NOTEBOOKS if scale == KEPT else BUILD / scale
    timings: list[Timing] = []
    for path in chapters(names):
        print(f"{path.stem} runs at {scale} …", flush=True)
        notebook = course_edition(read_source(path), path.stem)
        rescue(folder / f"{path.stem}.ipynb")
        timings.append(execute(notebook, folder / f"{path.stem}.ipynb", NOTEBOOKS, scale))
        if scale == KEPT:
            record(timings, TIMINGS)
    for timing in timings:
        print(f"{timing.chapter:<36} {timing.seconds:>7.1f} s  ({timing.cache} cache)")
    print(f"{'together':<36} {sum(timing.seconds for timing in timings):>7.1f} s")


def editions() -> None:
    """Write the student and the solved edition of each chapter, without outputs."""
    for path in chapters([]):
        source = read_source(path)
        write(student_edition(source, path.stem), BUILD / "student" / f"{path.stem}.ipynb")
        write(solved_edition(source, path.stem), BUILD / "solved" / f"{path.stem}.ipynb")
        print(f"{path.stem}: build/student and build/solved")


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.notebooks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build")
    runner = commands.add_parser("execute")
    runner.add_argument("--scale", choices=list(course.SCALES), help=f"else {KEPT}")
    runner.add_argument("names", nargs="*", metavar="NAME")
    commands.add_parser("editions")
    chosen = parser.parse_args(arguments)
    wanted = os.environ.get("COURSE_SCALE") or KEPT
    if chosen.command == "execute" and not chosen.scale and wanted != KEPT:  # nothing falls back in silence
        sys.exit(f"COURSE_SCALE is {wanted}, but chapters are kept at {KEPT}: add --scale {wanted}, or unset it.")
    try:
        if chosen.command == "build":
            build()
        elif chosen.command == "execute":
            run_chapters(chosen.scale or KEPT, chosen.names)
        else:
            editions()
    except (SourceError, ChapterError, ValueError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
