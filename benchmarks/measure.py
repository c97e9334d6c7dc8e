"""How a benchmark measures, and what it keeps: one row for each goal, with the machine that it was measured on."""

import json
import operator
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from helpers import cache
from tools.execute import hardware

RESULTS = Path(__file__).with_name("results.json")
COMPARED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
SHOWN = ("torch", "transformers", "sentence-transformers", "numpy")


def result(name: str, goal: str, measured: float | None, unit: str, note: str = "") -> dict:
    """Return one row, with whether its goal holds.

    Parameters
    ----------
    goal : str
        A sign and a number, as ``<= 1.15``, or ``-`` for none.
    measured : float, optional
        None where this machine cannot tell; then `note` says why.
    """
    # Judged as it is shown: four digits.
    measured = None if measured is None else float(f"{measured:.4g}")
    sign, _, number = goal.partition(" ")
    holds = None if goal == "-" or measured is None else COMPARED[sign](measured, float(number))
    versions = {"Python": platform.python_version(), **{package: version(package) for package in SHOWN}}
    machine = f"{hardware()}, {torch.get_num_threads()} threads"
    row = {"name": name, "goal": goal, "measured": measured, "unit": unit, "holds": holds, "note": note}
    return {**row, "hardware": machine, "versions": versions, "measured on": time.strftime("%Y-%m-%d")}


def keep(rows: list[dict]) -> None:
    """Put rows into the table; a row of the same name is replaced."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    merged = {row["name"]: row for row in [*known, *rows]}
    with cache.atomic(RESULTS) as temporary:
        temporary.write_text(json.dumps(list(merged.values()), indent=1) + "\n", encoding="utf-8")


@contextmanager
def empty_cache() -> Iterator[str]:
    """Use an empty cache, and none that is shared, in this process and those that it starts."""
    before = {name: os.environ.pop(name, None) for name in ("COURSE_CACHE", "COURSE_SHARED_CACHE")}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COURSE_CACHE"] = folder
        try:
            yield folder
        finally:
            del os.environ["COURSE_CACHE"]
            os.environ.update({name: value for name, value in before.items() if value is not None})


def apart(module: str, call: str) -> dict:
    """Return what a call of one of these benchmarks' functions gives in a process of its own, with an empty cache."""
    code = f"import json; from benchmarks import {module}; print(json.dumps({module}.{call}))"
    with empty_cache():
        run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def seconds(run: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def side_by_side(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each: one call in turn, so that a busy moment of the machine meets all of them.

    Whoever calls has warmed up what has to be warm.
    """
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            times[name].append(seconds(run))
    return {name: statistics.median(found) for name, found in times.items()}


def peak_bytes(run: Callable[[], object]) -> int:
    """Return the most memory that tensors took at one time during a call, beyond what was there before it."""
    run()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    changes = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(changes, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most
