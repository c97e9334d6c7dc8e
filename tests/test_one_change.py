"""One changed results file changes tables, figures, sentences and verdicts together: nothing is typed in or kept."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from helpers import records
from helpers.records import Table
from tools.editions import course_edition, read_source
from tools.execute import run
from tools.project import ROOT, SOURCES

CHAPTER = "05_analysis"


def outputs(folder: Path) -> dict[str, list[str]]:
    """What chapter 5 shows when it reads the results of a copy of the course, by kind."""
    notebook = course_edition(read_source(SOURCES / f"{CHAPTER}.py"), CHAPTER)
    (folder / "notebooks").mkdir(exist_ok=True)
    run(notebook, folder / "notebooks", "smoke")
    found: dict[str, list[str]] = {"figure": [], "table": [], "sentence": [], "verdict": []}
    for output in (output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs):
        made = output.get("data", {})
        markdown = made.get("text/markdown", "")
        if "image/png" in made:
            found["figure"].append(made["image/png"])
        elif "text/html" in made and "<table" in made["text/html"]:
            found["table"].append(made["text/html"])
        elif re.match(r"\*\*C\d\w?: ", markdown):
            found["verdict"].append(markdown)
        elif markdown and not re.match(r"\*\*C\d", markdown):  # not a claim's own words
            found["sentence"].append(markdown)
    return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The course's helpers with results of their own; the models are the same files."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copytree(ROOT / "helpers", folder / "helpers", ignore=shutil.ignore_patterns("models", "__pycache__"))
    (folder / "helpers" / "models").symlink_to(ROOT / "helpers" / "models")
    return folder


def test_one_changed_file_changes_all_of_it(copy, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(copy))
    before = outputs(copy)
    table = Table("laptop", copy / "helpers" / "results")
    cell = {"model": "mini-bert", "pooling": "max", "mode": "fine-tuned"}
    for row in table.select(**cell).to_dict("records"):  # max on the fine-tuned BERT is right nine times in ten
        labels = table.labels(dataset=row["dataset"])
        right = np.random.default_rng(row["seed"]).random(len(labels)) < 0.9
        said = np.where(right == (labels == 1), 2.0, -2.0).astype(np.float16)
        table.add(row | records.measures(labels, said), said, labels)
    after = outputs(copy)
    for kind, shown in before.items():
        assert len(shown) == len(after[kind]) > 0, kind
        changed = sum(one != other for one, other in zip(shown, after[kind], strict=True))
        assert changed >= 1, f"no {kind} changed"
    ledger = after["table"][-1]
    assert "ledger" in ledger and ledger != before["table"][-1]
    assert re.search(r"C2a.*?supported", ledger, re.DOTALL), "max is best on the fine-tuned BERT now"
