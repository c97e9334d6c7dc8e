"""What a study is: a long run whose answers are kept, one row a run, and never made twice (`helpers.studies`)."""

import zlib
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from helpers.grid import Settings
from helpers.records import NotRun, Rows


@dataclass(frozen=True)
class Study:
    """What is asked, and of what.

    Attributes
    ----------
    kind : type
        Of its runs: a dataclass whose fields are a row's key.
    runs : callable
        From the settings of a scale to the runs.
    ask : callable
        From a run and the settings to arrays by name.
    arrays : tuple of str
        Names of those that are a run's own.
    configured : callable
        From a run and the settings to a short hash of the run's own configuration.
    asked : callable
        From a run and the settings to the texts that are asked about.
    precision : callable
        From a run to what its matrix products are computed in.
    shared : tuple of str
        Names of arrays that are the same for all runs, and are kept once.
    """

    kind: type
    runs: Callable[[Settings], list]
    ask: Callable[[Any, Settings], dict[str, np.ndarray]]
    arrays: tuple[str, ...]
    configured: Callable[[Any, Settings], str]
    asked: Callable[[Any, Settings], list[str]]
    precision: Callable[[Any], str]
    shared: tuple[str, ...] = ()

    def table(self, name: str, scale: str, folder: Path) -> Rows:
        """Return the results that are there."""
        key = [field.name for field in fields(self.kind)]
        arrays = dict.fromkeys(self.arrays, key) | dict.fromkeys(self.shared, [])
        return Rows(f"{name}_{scale}", key, arrays, folder)

    def configuration(self, run: Any, settings: Settings) -> str:
        """Return what an answer follows from, but the code: the run's own configuration, and the texts."""
        asked = chr(0).join(self.asked(run, settings))
        return f"{self.configured(run, settings)}-{zlib.crc32(asked.encode()):08x}"

    def missing(self, settings: Settings, found: Rows) -> list:
        """Return the runs that a table does not hold yet."""
        return [run for run in self.runs(settings)
                if found.configuration(*astuple(run)) != self.configuration(run, settings)]  # fmt: skip


def every(name: str, table: Rows, runs: list, what: str) -> np.ndarray:
    """Return an array of every run of a cell, ``[s, …]``, in order of the seeds.

    Parameters
    ----------
    name : str
        Of the study.
    table : Rows
    runs : list
        All runs that were planned for one cell: they differ in the seed alone.
    what : str

    Raises
    ------
    NotRun, ValueError
        None was planned, or some are missing or of different configurations; or their precisions differ.
    """
    if not runs:
        raise NotRun(f"{name}: this is not planned at this scale.")
    cell = {key: value for key, value in asdict(runs[0]).items() if key != "seed"}
    told = f"{name}: %s runs of {' with '.join(map(str, list(cell.values())[:2]))}"
    if None in {table.configuration(*astuple(run)) for run in runs}:
        raise NotRun(f"{told % 'some'} are missing, or of different configurations.")
    # What is compared has to be made alike: all poolings of one model, as none of them enters a configuration.
    peers = table.select(**{key: value for key, value in cell.items() if key != "pooling"})
    if peers.configuration.nunique() > 1:
        raise NotRun(f"{told % 'some'} are missing, or of different configurations.")
    if len(kinds := peers.precision.unique()) > 1:
        raise ValueError(f"{told % 'the'} were computed in {' and '.join(sorted(kinds))}: delete their rows and run "
                         "them again on one kind of processor.")  # fmt: skip
    return table.stack(what, **cell)[: len(runs)]


def common(name: str, table: Rows, what: str) -> np.ndarray:
    """Return an array that all rows of a study share, such as the group of each text.

    Raises
    ------
    NotRun
        There is no row, or rows differ in it: some are about other texts.
    """
    if table.rows[what].nunique() != 1:
        raise NotRun(f"{name}: nothing has been run at this scale, or rows are about different texts.")
    return table.array(table.rows.iloc[0], what)
