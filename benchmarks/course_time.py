"""How long the course takes: each chapter with an empty and with a full cache, the tests, the imports."""

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import empty_cache, result, seconds
from helpers import cache
from tools.editions import course_edition, read_source
from tools.execute import execute
from tools.project import NOTEBOOKS, ROOT, SOURCES


def python(code: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True))


def at_start() -> Iterator[dict]:
    """The imports, and the start of a chapter."""
    bare = min(python("pass") for _ in range(3))
    imported = min(python("import helpers") for _ in range(3)) - bare
    yield result("import helpers", "< 0.3", imported, "s")
    imports = min(python("from helpers import course") for _ in range(3))
    started = min(python("from helpers import course; course.start()") for _ in range(3)) - imports
    yield result("course.start(), imports done", "< 2", started, "s")
    yield result("from helpers import course (brings torch and transformers)", "-", imports - bare, "s")


def chapters() -> Iterator[dict]:
    """Every chapter at `laptop`, one after the other: first with an empty cache, then once more."""
    with empty_cache(), tempfile.TemporaryDirectory() as folder:
        for state, goal in (("cold", 25), ("warm", 10)):
            took = {}
            for source in sorted(SOURCES.glob("[0-9][0-9]_*.py")):
                notebook = course_edition(read_source(source), source.stem)
                target = Path(folder) / f"{source.stem}.ipynb"
                took[source.stem] = execute(notebook, target, NOTEBOOKS, "laptop").seconds
                print(f"{source.stem} {state}: {took[source.stem]:.0f} s", flush=True)
            together = sum(took.values())
            for name, one in took.items():
                yield result(f"{name}, {state} cache", "-", one, "s", f"{one / together:.0%} of all")
            yield result(f"all chapters, {state} cache", f"< {goal}", together / 60, "min")
        yield result("cache after all chapters", "-", cache.info()["megabytes"] / 1e3, "GB")
        # The kernels are this process's children, and the largest of them.
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        yield result("memory of a kernel, at most", "< 3", most / 1e6, "GB")
    files = sum(path.lstat().st_size for path in Path(sys.prefix).rglob("*") if path.is_file())
    yield result("the environment, with what the tests need", "-", files / 1e9, "GB")


def tests() -> Iterator[dict]:
    """`make test`, the environment being there."""
    took = seconds(lambda: subprocess.run(["make", "test"], cwd=ROOT, check=True)) / 60
    yield result("make test", "< 12", took, "min")
