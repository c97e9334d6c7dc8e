"""Measure what the course promises of speed and memory, beside its peer and the machine's own limit.

    python -m benchmarks [encoding] [operators] [start] [chapters] [scale] [again] [tests]

All parts without a name (`make bench`, about an hour on two cores); on an otherwise idle machine. Prints the table
and keeps it in benchmarks/results.json.
"""

import argparse
import subprocess
import sys

from transformers.utils import logging as transformers_logging

from benchmarks import again, course_time, encoding, measure, operators, scale

PARTS = {
    "encoding": encoding.rows, "operators": operators.rows, "start": course_time.at_start,
    "chapters": course_time.chapters, "scale": scale.rows, "again": again.rows, "tests": course_time.tests,
}  # fmt: skip


def line(row: dict) -> str:
    holds = {True: "holds", False: "FALLS SHORT", None: ""}[row["holds"]]
    measured = "not measured" if row["measured"] is None else f"{row['measured']:g} {row['unit']}"
    return f"{row['name']:<86} {row['goal']:>14} {measured:>16}  {holds:<11} {row['note']}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    chosen = parser.parse_args().parts
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"unknown part {min(unknown)}: choose from {', '.join(PARTS)}")
    if len(chosen) != 1:  # each part in a process of its own: a child's peak of memory begins with its parent's
        for part in chosen or PARTS:
            subprocess.run([sys.executable, "-m", "benchmarks", part], check=True)
        return
    transformers_logging.disable_progress_bar()
    for row in PARTS[chosen[0]]():
        print(line(row), flush=True)
        measure.keep([{"part": chosen[0], **row}])


if __name__ == "__main__":
    main()
