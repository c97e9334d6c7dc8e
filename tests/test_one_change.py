"""One changed results file changes tables, figures, sentences and verdicts together: nothing is typed in or kept."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from helpers import claims, evaluation, figures, records
from helpers.grid import SCALES
from helpers.records import Table
from tools.editions import course_edition, read_source
from tools.execute import run
from tools.project import ROOT, SOURCES

pytestmark = pytest.mark.slow

CHAPTER = "05_analysis"
# What does not rest on what the runs on file said, by how its cell begins.
ELSEWHERE = {
    "import subprocess": "scale and hardware",
    "figures.claim(": "a claim's own words",
    "tokens = SETTINGS": "lengths of the texts",
    "tuned = cell(BERT": "what the rules find in the texts",
    "figures.cell(read_more": "SmolLM2 has a file of its own",
    "for dataset, one in read_more": "SmolLM2 against TF-IDF",
    "found = pd.DataFrame({pool: {ends": "5.8 trains live",
    "for source, target in": "5.8 trains live",
    "made_up = pd.read_csv": "made-up grids have a file of their own",
    "small = made_up": "made-up grids",
    "checks.exercise(": "an exercise",
    "progress.show(": "what a learner has passed",
}


def outputs(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """What chapter 5 shows when it reads the results of a copy of the course: kind -> (cell, all that it shows).

    A figure counts twice: as a picture, and as the words that describe it.
    """
    notebook = course_edition(read_source(SOURCES / f"{CHAPTER}.py"), CHAPTER)
    (folder / "notebooks").mkdir(exist_ok=True)
    run(notebook, folder / "notebooks", "smoke")
    found: dict[str, list[tuple[str, str]]] = {kind: [] for kind in ("picture", "alt", "table", "sentence", "verdict")}
    for cell in notebook.cells:
        own: dict[str, str] = {}
        for made in (output.get("data", {}) for output in cell.get("outputs", [])):
            markdown = made.get("text/markdown", "")
            if "image/png" in made:
                own["picture"], own["alt"] = made["image/png"], made["text/plain"]
            elif "text/html" in made and "<table" in made["text/html"]:
                own["table"] = own.get("table", "") + made["text/html"]
            elif markdown:
                kind = "verdict" if re.match(r"\*\*C\d\w?: ", markdown) else "sentence"
                own[kind] = own.get(kind, "") + markdown + "\n"
        for kind, shown in own.items():
            found[kind].append((cell.source, shown))
    return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The course's helpers with results of their own; the models are the same files."""
    folder = tmp_path_factory.mktemp("course")
    shutil.copytree(ROOT / "helpers", folder / "helpers", ignore=shutil.ignore_patterns("models", "__pycache__"))
    (folder / "helpers" / "models").symlink_to(ROOT / "helpers" / "models")
    return folder


def changed(row: dict, said: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Log-odds of a run elsewhere: max on the fine-tuned BERT is right nine times in ten, the rest is far noisier."""
    rng = np.random.default_rng([row["seed"], len(row["pooling"])])
    if (row["model"], row["pooling"], row["mode"]) == ("mini-bert", "max", "fine-tuned"):
        return np.where((rng.random(len(labels)) < 0.9) == (labels == 1), 2.0, -2.0)
    return np.where(rng.random(len(said)) < 0.15, -said, said)


def test_one_changed_file_changes_all_of_it(copy, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(copy))
    before = outputs(copy)
    results = copy / "helpers" / "results"
    table = Table("laptop", results)
    most = table.rows.dataset.map({name: max(sizes) for name, sizes in SCALES["laptop"].labels.items()})
    for row in table.rows[table.rows.labels == most].to_dict("records"):
        labels, said = table.labels(dataset=row["dataset"]), table.array(row, "checksum").astype(float)
        new = records.log_odds(expit(changed(row, said, labels)))
        table.add(row | records.measures(labels, new) | {"seconds": 2 * row["seconds"]}, new, labels)
    after = outputs(copy)
    for kind, shown in before.items():
        pairs = list(zip(shown, after[kind], strict=True))
        still = [cell for (cell, one), (_, other) in pairs if one == other and not cell.startswith(tuple(ELSEWHERE))]
        assert pairs and not still, f"{kind}: these cells show what they showed before: {still}"
    told = "".join(text for _, text in after["sentence"])
    for dataset in SCALES["laptop"].labels:  # what was planted is found, by the guide as by the ledger
        assert re.search(rf"\*mini-bert, fine-tuned, {dataset}\*: better: max \(\+", told)
    assert claims.judge("C2a", "laptop", results).verdict == "supported"
    (ledger,) = (text for cell, text in after["table"] if cell.startswith("figures.ledger("))
    expected = claims.ledger("laptop", results)
    for number, row in expected.iterrows():
        shown = re.search(rf">{number}</th>(.*?)</tr>", ledger, re.DOTALL).group(1)
        assert row.verdict in shown, number
        if isinstance(row.effect, evaluation.Interval) and row.unit == "share":
            assert figures.points(row.effect) in shown, number
