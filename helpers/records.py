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
ROUNDED = 1e-6  # measures have six digits


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
        self._process = psutil.Process()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            self._look()

    def _look(self) -> None:
        self.mb = max(self.mb, self._process.memory_info().rss / 1e6)

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._look()  # a short block may be over before the thread has had its turn
        if torch.cuda.is_available():
            self.mb = torch.cuda.max_memory_allocated() / 1e6


def provenance(configuration: str, precision: str) -> dict[str, str]:
    """Return commit, versions, hardware, date, and configuration and precision as given."""
    packages = [f"{package} {version(package)}" for package in ("torch", "transformers", "scikit-learn")]
    return {
        "commit": _commit(),
        "versions": ", ".join([f"Python {platform.python_version()}", *packages]),
        "hardware": course.hardware(),
        "configuration": configuration,
        "date": time.strftime("%Y-%m-%d"),
        "precision": precision,
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


class NotRun(ValueError):
    """Something was asked of runs that have not been made."""


class Rows:
    """A tidy table with arrays beside it: ``<stem>.csv`` and ``<stem>.safetensors``.

    Parameters
    ----------
    stem : str
    key : list of str
        Columns that say which row it is.
    arrays : dict
        Column that holds an array's checksum -> the key columns that name the array: rows which agree in them share it.
    folder : Path

    Attributes
    ----------
    rows : DataFrame
        One row a run.

    Raises
    ------
    ValueError
        The two files do not belong together, or one is damaged.
    """

    def __init__(self, stem: str, key: list[str], arrays: dict[str, list[str]], folder: Path):
        self._csv, self._side = (folder / f"{stem}.{kind}" for kind in ("csv", "safetensors"))
        self._key, self._arrays = key, arrays
        self.rows, self._kept = pd.DataFrame(columns=[*key, "configuration", *arrays]), {}
        if not self._csv.is_file():
            return
        try:
            self.rows = pd.read_csv(self._csv, dtype={"commit": str, "configuration": str})
        except ValueError as error:  # an empty or binary file, or rows that do not fit
            raise ValueError(f"{self._csv.name} is no table: fetch it again.") from error
        if missing := [column for column in [*key, "configuration", *arrays] if column not in self.rows]:
            raise ValueError(f"{self._csv.name} has no column {', '.join(missing)}: fetch it again.")
        if (twice := self.rows.duplicated(key)).any():
            run = "/".join(str(part) for part in self.rows.loc[twice.idxmax(), key])
            raise ValueError(f"{self._csv.name} holds {run} twice: fetch it again.")
        try:
            self._kept = load_file(self._side)
        except (OSError, SafetensorError) as error:
            raise ValueError(f"{self._side.name} is missing or damaged: fetch both files of {self._csv.stem} again, or "
                             "delete both to start again.") from error  # fmt: skip
        for row in self.rows.to_dict("records"):
            if any(_checksum(self._kept.get(self._name(row, what))) != row[what] for what in arrays):
                run = "/".join(str(row[part]) for part in key)
                raise ValueError(f"{self._side.name} does not hold what {run} predicted: fetch both files of "
                                 f"{self._csv.stem} again, from the same commit.")  # fmt: skip

    def configuration(self, *key: object) -> str | None:
        """Return the configuration that the row with this key was made by, or None without such a row."""
        found = self.rows[(self.rows[self._key] == list(key)).all(axis=1)]
        return found.configuration.item() if len(found) else None

    def put(self, row: dict[str, object], parts: dict[str, np.ndarray]) -> None:
        """Add one row, in place of an older one with its key. A row is on disk only after its arrays.

        Parameters
        ----------
        row : dict
            Key, measures, cost and provenance.
        parts : dict
            Its arrays.
        """
        if bad := [what for what, part in parts.items() if not np.isfinite(part).all()]:
            run = "/".join(str(row[part]) for part in self._key)
            raise ValueError(f"{run} gave {', '.join(bad)} with values that are no numbers: it is not kept.")
        row = row | {what: _checksum(part) for what, part in parts.items()}
        old = (self.rows[self._key] == [row[part] for part in self._key]).all(axis=1)
        rows = pd.DataFrame([*self.rows[~old].to_dict("records"), row]).sort_values(self._key, ignore_index=True)
        new = {self._name(row, what): part for what, part in parts.items()}
        names = [self._name(one, what) for one in rows.to_dict("records") for what in parts]
        # The old row's arrays, if there is one, stay until the new row is written; the next run drops them.
        with cache.atomic(self._side) as temporary:
            save_file(self._kept | new, temporary)
        with cache.atomic(self._csv) as temporary:
            rows.to_csv(temporary, index=False, lineterminator="\n")
        self.rows, self._kept = rows, {name: (self._kept | new)[name] for name in names}

    def select(self, **cell: object) -> pd.DataFrame:
        """Return the rows of some cells: ``select(model="mini-bert", mode="frozen")``.

        Raises
        ------
        NotRun
            There is none: what has not been run is not shown.
        """
        found = self.rows[(self.rows[list(cell)] == list(cell.values())).all(axis=1)]
        if not len(found):
            raise NotRun(f"{self._csv.name} has no row with {cell}: it was not run at this scale.")
        return found

    def array(self, row: dict[str, object] | pd.Series, what: str) -> np.ndarray:
        """Return one array of a row of `rows`."""
        return self._kept[self._name(row, what)]

    def stack(self, what: str, **cell: object) -> np.ndarray:
        """Return an array of every seed of one cell, ``[seeds, …]``, in order of the seeds.

        Raises
        ------
        NotRun, ValueError
            There is no such row; or they are of more than one cell.
        """
        rows = self.select(**cell).sort_values("seed")
        if rows.seed.duplicated().any():
            missing = ", ".join(key for key in self._key if key not in cell and key != "seed")
            raise ValueError(f"{cell} is more than one cell: say also {missing}.")
        return np.stack([self.array(row, what) for row in rows.to_dict("records")])

    def _name(self, row: dict[str, object] | pd.Series, what: str) -> str:
        """The name of an array: with its checksum, so that new never pass for old."""
        return "/".join([*(str(row[part]) for part in self._arrays[what]), what, str(row[what])])


class Table(Rows):
    """The runs of one scale's grid: ``grid_<scale>.csv`` and ``grid_<scale>.safetensors``.

    A row has its key (`KEY`); accuracy, f1, loss, calibration_error, seconds, peak_memory_mb; commit, versions,
    hardware, configuration, date, precision; and checksums of what the run predicted and of its texts' labels.
    """

    def __init__(self, scale: str, folder: Path = RESULTS):
        super().__init__(f"grid_{scale}", KEY, {"checksum": KEY, "answers": ["dataset"]}, folder)
        for row in self.rows.to_dict("records"):
            said, labels = self.array(row, "checksum"), self.array(row, "answers")
            found = evaluation.correctness(labels, expit(said.astype(float))).mean()
            if not abs(found - row["accuracy"]) <= ROUNDED:  # NaN too
                run = "/".join(str(row[part]) for part in KEY)
                raise ValueError(f"{self._csv.name} gives {run} the accuracy {row['accuracy']}, its predictions have "
                                 f"{found:.6f}: fetch both files again.")  # fmt: skip

    def add(self, row: dict[str, object], found: np.ndarray, labels: np.ndarray) -> None:
        """Add one run, as `put` does.

        Parameters
        ----------
        row : dict
        found : ndarray of float16, shape [n]
            Log-odds of *positive* for each test text.
        labels : ndarray of {0, 1}, shape [n]
            The texts' labels: they lie beside the predictions, so that a table can be read without its texts.
        """
        self.put(row, {"checksum": found, "answers": labels.astype(np.uint8)})

    def probabilities(self, **cell: object) -> np.ndarray:
        """Return what the runs of one cell predicted for each test text, ``[seeds, n]``: one row a seed, in order."""
        return expit(self.stack("checksum", **cell).astype(float))

    def predictions(self, poolings: list[str], **cell: object) -> dict[str, np.ndarray]:
        """Return what each pooling predicted in one cell: pooling -> ``[seeds, n]``."""
        return {pooling: self.probabilities(pooling=pooling, **cell) for pooling in poolings}

    def labels(self, **cell: object) -> np.ndarray:
        """Return the labels of the test texts of some cells, ``[n]``: ``labels(dataset="imdb")``.

        Raises
        ------
        ValueError
            The rows predict different texts: some are older than the rest.
        """
        rows = self.select(**cell)
        if rows.answers.nunique() > 1:
            raise ValueError(f"{self._csv.name} has rows about other test texts in {cell}: run the grid to its end.")
        return self.array(rows.iloc[0], "answers").astype(int)


def _checksum(part: np.ndarray | None) -> int | None:
    return None if part is None else zlib.crc32(part.tobytes())
