"""The long runs of chapters 6 to 9, each a table with arrays beside it. What is done already is skipped.

    python -m helpers.studies --dry-run
    python -m helpers.studies --only explained planted
"""

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from helpers import classifier_studies, course, evidence_studies, grid, records, serving_studies, task_studies
from helpers.grid import Settings
from helpers.records import RESULTS, Rows

STUDIES = (classifier_studies.STUDIES | task_studies.STUDIES | serving_studies.STUDIES
           | evidence_studies.STUDIES)  # fmt: skip


def table(name: str, scale: str, folder: Path = RESULTS) -> Rows:
    """Return the results of one study, as far as they are there."""
    return STUDIES[name].table(name, scale, folder)


def answer(name: str, run: object, settings: Settings) -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """Do one run of a study on one core; return its row and its arrays."""
    torch.set_num_threads(1)
    study, start = STUDIES[name], time.perf_counter()
    parts = study.ask(run, settings)
    made = records.provenance(study.configuration(run, settings), study.precision(run))
    return asdict(run) | {"seconds": round(time.perf_counter() - start, 2)} | made, parts


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    scales = [scale for scale, settings in grid.SCALES.items() if settings.pair]
    parser.add_argument("--scale", choices=scales, default="laptop")
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES), help="some of the studies")
    parser.add_argument("--dry-run", action="store_true", help="show what is missing")
    parser.add_argument("--processes", type=int, default=1 if torch.cuda.is_available() else course.cores())
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the tables")
    chosen = parser.parse_args(arguments)
    settings = grid.SCALES[chosen.scale]
    for name in chosen.only:
        found = table(name, chosen.scale, chosen.out)
        runs = STUDIES[name].missing(settings, found)
        if chosen.dry_run:
            print(f"{name}: {len(runs)} of {len(STUDIES[name].runs(settings))} runs are missing")
            continue
        with ProcessPoolExecutor(chosen.processes, multiprocessing.get_context("spawn")) as workers:
            sent = [workers.submit(answer, name, run, settings) for run in runs]
            for one in tqdm(as_completed(sent), total=len(sent), desc=name, unit="run"):
                found.put(*one.result())


if __name__ == "__main__":
    main()
