"""One changed results file changes tables, figures, sentences and verdicts together: nothing is typed in or kept."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from helpers import records
from helpers.grid import SCALES
from helpers.records import Table
from tools.editions import course_edition, read_source
from tools.execute import run
from tools.project import ROOT, SOURCES

CHAPTER = "05_analysis"
# What does not rest on what the runs on file said, by how its cell begins.
ELSEWHERE = {
    "import subprocess": "scale and hardware",
    "figures.claim(": "a claim's own words",
    "tuned = cell(BERT": "what the rules find in the texts",
    "tokens = SETTINGS": "lengths of the texts",
    "figures.cell(read_more": "SmolLM2 has a file of its own",
    "for dataset, one in read_more": "SmolLM2 against TF-IDF",
    "found = pd.DataFrame({pool: {ends": "5.8 trains live",
    "for source, target in": "5.8 trains live",
    "ends = list(": "MiniLM's best poolings: its rows stay",
    "checks.exercise(": "an exercise",
}


def outputs(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """What chapter 5 shows when it reads the results of a copy of the course: kind -> (cell, what it shows)."""
    notebook = course_edition(read_source(SOURCES / f"{CHAPTER}.py"), CHAPTER)
    (folder / "notebooks").mkdir(exist_ok=True)
    run(notebook, folder / "notebooks", "smoke")
    found: dict[str, list[tuple[str, str]]] = {"figure": [], "table": [], "sentence": [], "verdict": []}
    for cell in notebook.cells:
        for made in (output.get("data", {}) for output in cell.get("outputs", [])):
            markdown = made.get("text/markdown", "")
            if "image/png" in made:
                found["figure"].append((cell.source, made["image/png"]))
            elif "text/html" in made and "<table" in made["text/html"]:
                found["table"].append((cell.source, made["text/html"]))
            elif markdown:
                kind = "verdict" if re.match(r"\*\*C\d\w?: ", markdown) else "sentence"
                found[kind].append((cell.source, markdown))
    return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The course's helpers with results of their own; the models are the same files."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copytree(ROOT / "helpers", folder / "helpers", ignore=shutil.ignore_patterns("models", "__pycache__"))
    (folder / "helpers" / "models").symlink_to(ROOT / "helpers" / "models")
    return folder


def changed(row: dict, said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Log-odds of a run elsewhere: max on the fine-tuned BERT is right nine times in ten, the rest is noisier."""
    rng = np.random.default_rng(row["seed"])
    if (row["model"], row["pooling"], row["mode"]) == ("mini-bert", "max", "fine-tuned"):
        return np.where((rng.random(len(labels)) < 0.9) == (labels == 1), 2.0, -2.0)
    return np.where(rng.random(len(said)) < 0.05, -said, said)


def test_one_changed_file_changes_all_of_it(copy, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(copy))
    before = outputs(copy)
    table = Table("laptop", copy / "helpers" / "results")
    most = table.rows.dataset.map({name: max(sizes) for name, sizes in SCALES["laptop"].labels.items()})
    rows = table.rows[table.rows.model.isin(SCALES["laptop"].pair) & (table.rows.labels == most)]
    for row in rows.to_dict("records"):
        labels, said = table.labels(dataset=row["dataset"]), table.array(row, "checksum").astype(float)
        new = records.log_odds(expit(changed(row, said, labels)))
        table.add(row | records.measures(labels, new), new, labels)
    after = outputs(copy)
    for kind, shown in before.items():
        pairs = list(zip(shown, after[kind], strict=True))
        still = [cell for (cell, one), (_, other) in pairs if one == other and not cell.startswith(tuple(ELSEWHERE))]
        assert pairs and not still, f"{kind}: these cells show what they showed before: {still}"
    ledger = after["table"][-1][1]
    assert "ledger" in ledger
    assert re.search(r"C2a.*?supported", ledger, re.DOTALL), "max is best on the fine-tuned BERT now"
