"""Two tasks beyond sentiment: which text answers a question, and which sentence sums a text up?

At ``laptop`` both come from the documentation of the installed scientific libraries: a function's parameters have names
and descriptions (questions and answers), and a docstring begins with one line that sums up what follows. At ``full``
they are SQuAD and CNN/DailyMail.
"""

import contextlib
import hashlib
import importlib.util
import json
import warnings
from importlib.metadata import distributions
from pathlib import Path

import datasets
import pandas as pd

from helpers import cache, course, documentation, sources
from helpers.data import SPLITS
from helpers.documentation import LEAST_SENTENCES, kind, sentences

# Split by library: two functions of one library share sentences.
LIBRARIES = {"train": ("numpy", "scipy", "statsmodels"), "validation": ("matplotlib", "seaborn"),
             "test": ("pandas", "sklearn")}  # fmt: skip
SMOKE_GROUPS = 12
HUB = {
    "answers": sources.Hub("rajpurkar/squad", "7b6d24c440a36b6815f21b70d25016731768db1f", "dataset"),
    "summaries": sources.Hub("abisee/cnn_dailymail", "96df5e686bee6baa90b8bee7c28b81fa3fa6223d", "dataset"),
}
FOLDER = {"answers": "plain_text", "summaries": "3.0.0"}  # of a repository
MOST_ROWS = 2000  # of a published split: more than the course learns from, and few enough to encode


def answer_selection(split: str, scale: str = "laptop") -> datasets.Dataset:
    """Load questions, each with some candidates, of which one is the answer.

    Parameters
    ----------
    split : {"train", "validation", "test"}
    scale : {"smoke", "laptop", "full"}

    Returns
    -------
    datasets.Dataset
        Columns question (str), candidates (list of str), answer (its place among them), kind ("keyword": the right
        candidate shares a word with the question, by stem; "intent": it shares none), group (what the candidates
        belong to: a function, or a passage), asked (what is asked for: the parameter's name, which other functions may
        have too, or the question itself).

    Raises
    ------
    ValueError
        Unknown split or scale.
    ModuleNotFoundError, ConnectionError
        None of the split's libraries is installed, or the hub cannot be reached.
    """
    return _load("answers", split, scale)


def summaries(split: str, scale: str = "laptop") -> datasets.Dataset:
    """Load texts as lists of sentences, each with a summary by a human, which is no part of the text.

    Returns
    -------
    datasets.Dataset
        Columns sentences (list of str, four or more), summary (str), group (where it stands).

    Raises
    ------
    As `answer_selection`.
    """
    return _load("summaries", split, scale)


def _load(task: str, split: str, scale: str) -> datasets.Dataset:
    for what, given, known in (("split", split, SPLITS), ("scale", scale, course.SCALES)):
        if given not in list(known):
            raise sources.unknown(what, given, list(known))
    rows = _published(task, split) if scale == "full" else _documented(split)[task]
    if scale == "smoke":
        first = list(dict.fromkeys(row["group"] for row in rows))[:SMOKE_GROUPS]
        rows = [row for row in rows if row["group"] in first]
    return datasets.Dataset.from_list(rows)


# From documentation


def _documented(split: str) -> dict[str, list[dict]]:
    """Both tasks from the split's libraries: built once for given versions, in the order of a hash of the group."""
    present = [library for library in LIBRARIES[split] if importlib.util.find_spec(library)]
    if absent := sorted(set(LIBRARIES[split]) - set(present)):
        warnings.warn(f"Not installed, so left out of {split}: {', '.join(absent)}.", stacklevel=4)
    if not present:
        raise ModuleNotFoundError(f"Of {', '.join(LIBRARIES[split])} none is installed. Run: pip install "
                                  f"{' '.join(sorted({*LIBRARIES[split]} - {'sklearn'}))}")  # fmt: skip
    made_of = [Path(path).read_text() for path in (__file__, documentation.__file__)]
    made_of += present
    made_of += sorted(f"{one.name} {one.version}" for one in distributions())  # what a library can import, it documents
    name = _hash("\n".join(made_of))[:16]
    places = cache.places("tasks", f"{name}.json")
    for path in places:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # none, or damaged
            kept = json.loads(path.read_text(encoding="utf-8"))
            if kept["checksum"] == _checksum(kept["rows"]):
                return kept["rows"]
    documents = [pair for library in present for pair in documentation.documented(library)]
    documents.sort(key=lambda pair: _hash(pair[0]))  # the first ones are a sample
    rows = {"answers": [row for name, found in documents for row in documentation.questions(name, found)],
            "summaries": [row for name, found in documents for row in documentation.summary(name, found)]}  # fmt: skip
    with cache.atomic(places[0]) as temporary:
        temporary.write_text(json.dumps({"checksum": _checksum(rows), "rows": rows}), encoding="utf-8")
    return rows


def _checksum(rows: dict) -> str:
    return _hash(json.dumps(rows, sort_keys=True))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# From the hub


def _published(task: str, split: str) -> list[dict]:
    """SQuAD has no public test split: its validation is our test, and one training passage in 16, by hash, validates.
    """
    if task == "summaries":
        found = [{"sentences": sentences(" ".join(row.article.split())), "summary": " ".join(row.highlights.split()),
                  "group": row.id} for row in _read(task, split).head(MOST_ROWS).itertuples()]  # fmt: skip
        return [row for row in found if len(row["sentences"]) >= LEAST_SENTENCES]
    frame = _read(task, "validation" if split == "test" else "train")
    frame = frame.assign(order=frame.context.map(_hash)).sort_values("order", kind="stable")  # else they go by article
    held = frame.order.str.startswith("0")
    frame = frame if split == "test" else frame[held == (split == "validation")]
    return [row for one in frame.head(MOST_ROWS).itertuples() for row in _passage(one)]


def _passage(one) -> list[dict]:
    """A SQuAD question whose candidates are its passage's sentences."""
    parts, place, ends = sentences(one.context), one.answers["answer_start"][0], [0]
    for part in parts:  # looked for after the one before: a sentence may stand there twice
        ends.append(one.context.index(part, ends[-1]) + len(part))
    if len(parts) < 2 or place >= ends[-1]:
        return []
    answer = next(number for number, end in enumerate(ends[1:]) if place < end)
    return [{"question": one.question, "candidates": parts, "answer": answer, "kind": kind(one.question, parts[answer]),
             "group": _hash(one.context)[:16], "asked": one.question}]  # fmt: skip


def _read(task: str, split: str) -> pd.DataFrame:
    """One split of a data set, of the one version that we use: a repository holds several, with the same file names."""
    where = FOLDER[task]
    folder = sources.from_hub(HUB[task], [f"{where}/*.parquet"]) / where
    paths = sorted(folder.glob(f"{split}-*.parquet"))
    if not paths:
        raise ValueError(f"The copy of {HUB[task].repo_id} has no {where}/{split}-*.parquet: fetch it again, whole.")
    return pd.concat(map(pd.read_parquet, paths), ignore_index=True)
