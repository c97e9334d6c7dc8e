"""Results of long runs: a tidy table with one row a run, and beside it what each run predicted for each test text."""

import functools
import platform
import subprocess
import threading
import time
import zlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.special import expit, logit
from sklearn.metrics import f1_score, log_loss

from helpers import cache, course, evaluation

RESULTS = Path(__file__).parent / "results"
KEY = ["model", "pooling", "mode", "dataset", "labels", "seed"]
SURE = 1e-6  # a probability is kept at least so far from 0 and 1


def log_odds(probabilities: np.ndarray) -> np.ndarray:
    """Return what is kept of some probabilities: log-odds in half precision, ``[n]``."""
    return logit(np.clip(np.asarray(probabilities, float), SURE, 1 - SURE)).astype(np.float16)


def measures(labels: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Return accuracy, F1 of *positive*, log loss (nats) and expected calibration error of some log-odds."""
    probabilities = expit(found.astype(float))
    measured = {
        "accuracy": evaluation.correctness(labels, probabilities).mean(),
        "f1": f1_score(labels, probabilities > 0.5, zero_division=0),
        "loss": log_loss(labels, probabilities),
        "calibration_error": evaluation.calibration_error(labels, probabilities),
    }
    return {name: round(float(value), 6) for name, value in measured.items()}


class Peak:
    """The most memory that this process held while the block ran, in megabytes (on a GPU: of the GPU's)."""

    def __enter__(self) -> "Peak":
        self.mb, self._done = 0.0, threading.Event()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        process = psutil.Process()
        while True:
            self.mb = max(self.mb, process.memory_info().rss / 1e6)
            if self._done.wait(0.02):
                return

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if torch.cuda.is_available():
            self.mb = torch.cuda.max_memory_allocated() / 1e6


def provenance(configuration: str) -> dict[str, str]:
    """Return commit, versions, hardware, the configuration as given, and date."""
    packages = [f"{package} {version(package)}" for package in ("torch", "transformers", "scikit-learn")]
    return {
        "commit": _commit(),
        "versions": ", ".join([f"Python {platform.python_version()}", *packages]),
        "hardware": course.hardware(),
        "configuration": configuration,
        "date": time.strftime("%Y-%m-%d"),
    }


@functools.cache  # once a process: what it runs is what was there when it began
def _commit() -> str:
    def git(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(["git", *arguments], cwd=RESULTS.parent, capture_output=True, text=True)

    try:
        commit = git("rev-parse", "--short", "HEAD").stdout.strip()
        changed = git("diff", "--quiet", "HEAD", "--", "*.py").returncode
    except OSError:  # there is no git here
        commit, changed = "", 0
    return (f"{commit}+changes" if changed else commit) if commit else "none"


class Table:
    """The runs of one scale: ``grid_<scale>.csv`` and ``grid_<scale>.safetensors``.

    Attributes
    ----------
    rows : DataFrame
        One row a run: its key (`KEY`); accuracy, f1, loss, calibration_error, seconds, peak_memory_mb; commit,
        versions, hardware, configuration, date.

    Raises
    ------
    ValueError
        The two files do not belong together, or one is damaged.
    """

    def __init__(self, scale: str, folder: Path = RESULTS):
        self._csv, self._side = (folder / f"grid_{scale}.{kind}" for kind in ("csv", "safetensors"))
        self.rows, self._kept = pd.DataFrame(columns=[*KEY, "configuration", "checksum"]), {}
        if not self._csv.is_file():
            return
        self.rows = pd.read_csv(self._csv, dtype={"commit": str, "configuration": str})
        try:
            self._kept = load_file(self._side)
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{self._side.name} is missing or damaged: fetch both files of {self._csv.stem} again, or "
                             "delete both to start again.") from error  # fmt: skip
        for row in self.rows.to_dict("records"):
            kept = self._kept.get(_name(row))
            if kept is None or zlib.crc32(kept.tobytes()) != row["checksum"]:
                raise ValueError(f"{self._side.name} does not hold what {_name(row)} predicted: fetch both files of "
                                 f"{self._csv.stem} again, from the same commit.")  # fmt: skip

    def configuration(self, *key: object) -> str | None:
        """Return the configuration that the row with this key was made by, or None without such a row."""
        found = self.rows[(self.rows[KEY] == list(key)).all(axis=1)]
        return found.configuration.item() if len(found) else None

    def add(self, row: dict[str, object], found: np.ndarray) -> None:
        """Add one run, in place of an older row with its key. A row is on disk only after its predictions."""
        row = row | {"checksum": zlib.crc32(found.tobytes())}
        old = (self.rows[KEY] == [row[key] for key in KEY]).all(axis=1)
        rows = pd.DataFrame([*self.rows[~old].to_dict("records"), row]).sort_values(KEY, ignore_index=True)
        kept = {_name(one): self._kept.get(_name(one), found) for one in rows.to_dict("records")}
        # The old row's predictions, if there is one, stay until the new row is written; the next run drops them.
        with cache.atomic(self._side) as temporary:
            save_file(self._kept | kept, temporary)
        with cache.atomic(self._csv) as temporary:
            rows.to_csv(temporary, index=False, lineterminator="\n")
        self.rows, self._kept = rows, kept

    def select(self, **cell: object) -> pd.DataFrame:
        """Return the rows of some cells: ``select(model="mini-bert", mode="frozen")``.

        Raises
        ------
        ValueError
            There is none: what has not been run is not shown.
        """
        found = self.rows[(self.rows[list(cell)] == list(cell.values())).all(axis=1)]
        if not len(found):
            raise ValueError(f"{self._csv.name} has no row with {cell}: it was not run at this scale.")
        return found

    def probabilities(self, **cell: object) -> np.ndarray:
        """Return what the runs of one cell predicted for each test text, ``[seeds, n]``: one row a seed, in order."""
        rows = self.select(**cell).sort_values("seed")
        if rows.seed.duplicated().any():
            missing = ", ".join(key for key in KEY[:-1] if key not in cell)
            raise ValueError(f"{cell} is more than one cell: say also {missing}.")
        return expit(np.stack([self._kept[_name(row)] for row in rows.to_dict("records")]).astype(float))

    def predictions(self, poolings: list[str], **cell: object) -> dict[str, np.ndarray]:
        """Return what each pooling predicted in one cell: pooling -> ``[seeds, n]``."""
        return {pooling: self.probabilities(pooling=pooling, **cell) for pooling in poolings}


def _name(row: dict[str, object]) -> str:
    """The name of a row's predictions: with their checksum, so that a new run's never take an old one's place."""
    return "/".join(str(row[key]) for key in [*KEY, "checksum"])
