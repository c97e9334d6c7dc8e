"""Two tasks beyond sentiment: which text answers a question, and which sentence sums a text up?

At ``laptop`` both come from the documentation of the installed scientific libraries: a function's parameters have names
and descriptions (questions and answers), and a docstring begins with one line that sums up what follows. At ``full``
they are SQuAD and CNN/DailyMail.
"""

import contextlib
import hashlib
import importlib.util
import inspect
import io
import json
import pkgutil
import re
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import datasets
import pandas as pd
from docstring_parser import Docstring, DocstringStyle, ParseError, parse
from nltk.stem import PorterStemmer

from helpers import cache, course, sources
from helpers.data import SPLITS

# Split by library: two functions of one library share sentences.
LIBRARIES = {"train": ("numpy", "scipy", "statsmodels"), "validation": ("matplotlib", "seaborn"),
             "test": ("pandas", "sklearn")}  # fmt: skip
LEAST_PARAMETERS, LEAST_SENTENCES, LEAST_WORDS = 5, 4, 3  # of a function, of a long description, of an answer
SMOKE_GROUPS = 12
HUB = {
    "answers": sources.Hub("rajpurkar/squad", "7b6d24c440a36b6815f21b70d25016731768db1f", "dataset"),
    "summaries": sources.Hub("abisee/cnn_dailymail", "96df5e686bee6baa90b8bee7c28b81fa3fa6223d", "dataset"),
}
# Not part of what a library offers its users, or run only where something else is installed.
PRIVATE = re.compile(r"\._|\.(tests?|testing|conftest|externals|sandbox|examples|f2py|backends?|libqsturng)\b")
STOP = frozenset("a an and are as at be by can do does for from how if in into is it its of on or that the this to "
                 "used what when whether which who why with was were did".split())  # fmt: skip


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
        belong to: a function, or a passage).

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
        if given not in known:
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
    made_of = [Path(__file__).read_text(), *(f"{name} {_version(name)}" for name in (*present, "docstring-parser"))]
    name = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]
    path = cache.root() / "tasks" / f"{name}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # none, or damaged
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["checksum"] == _checksum(kept["rows"]):
            return kept["rows"]
    documents = [pair for library in present for pair in documented(library)]
    documents.sort(key=lambda pair: hashlib.sha256(pair[0].encode()).hexdigest())  # the first ones are a sample
    rows = {"answers": [row for name, found in documents for row in questions(name, found)],
            "summaries": [row for name, found in documents for row in summary(name, found)]}  # fmt: skip
    with cache.atomic(path) as temporary:
        temporary.write_text(json.dumps({"checksum": _checksum(rows), "rows": rows}), encoding="utf-8")
    return rows


def documented(library: str) -> Iterator[tuple[str, Docstring]]:
    """Yield the public functions, classes and methods of a library, by name, with their parsed documentation.

    Of objects with the same documentation only the first is given.
    """
    seen: set[str] = set()
    for name, thing in sorted(_public(library).items()):
        text = inspect.getdoc(thing)
        if text and text not in seen:
            seen.add(text)
            with contextlib.suppress(ParseError):
                yield name, parse(text, DocstringStyle.NUMPYDOC)


def _public(library: str) -> dict[str, object]:
    found: dict[int, tuple[str, object]] = {}
    quiet = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        warnings.simplefilter("ignore")
        root = importlib.import_module(library)
        names = sorted(part.name for part in pkgutil.walk_packages(root.__path__, f"{library}.", lambda name: None))
        for name in (library, *(name for name in names if not PRIVATE.search(name))):
            with contextlib.suppress(Exception):  # a module that needs something else is no part of the data
                module = importlib.import_module(name)
                for own, thing in sorted(vars(module).items()):
                    if callable(thing) and not own.startswith("_") and _of(thing, library):
                        found.setdefault(id(thing), (f"{name}.{own}", thing))
                        for method, inner in sorted(vars(thing).items()) if inspect.isclass(thing) else ():
                            if callable(inner) and not method.startswith("_"):
                                found.setdefault(id(inner), (f"{name}.{own}.{method}", inner))
    return dict(found.values())


def _of(thing: object, library: str) -> bool:
    return str(getattr(thing, "__module__", None)).split(".")[0] == library


def questions(name: str, found: Docstring) -> list[dict]:
    """Return a function's questions: what each parameter does, among the descriptions of all its parameters.

    No candidate holds a parameter's name, so that no answer can be found by string match.
    """
    named = [(part.arg_name.lstrip("*"), part.description) for part in found.params if part.args[0] == "param"
             and part.description and re.fullmatch(r"\*{0,2}\w+", part.arg_name)]  # fmt: skip
    hide = _hider([own for own, _ in named])
    described = [(own, text) for own, text in ((own, hide(_plain(text))) for own, text in named)
                 if len(text.split()) >= LEAST_WORDS]  # fmt: skip
    candidates = [text for _, text in described]
    if len(candidates) < LEAST_PARAMETERS or len(set(candidates)) < len(candidates):
        return []
    where = name.split(".", 1)[0] + " " + name.rsplit(".", 1)[-1]
    asked = [f"What does {own.replace('_', ' ')} do in {where}?" for own, _ in described]
    return [{"question": question, "candidates": candidates, "answer": number, "group": name,
             "kind": kind(own.replace("_", " "), candidates[number])}
            for number, ((own, _), question) in enumerate(zip(described, asked, strict=True))]  # fmt: skip


def summary(name: str, found: Docstring) -> list[dict]:
    """Return a docstring's long description with its one-line summary, or nothing where it is too short."""
    line, text = _plain(found.short_description or ""), _plain(found.long_description or "")
    parts = [part for part in sentences(text) if line.rstrip(".").lower() not in part.lower()]
    if len(parts) < LEAST_SENTENCES or len(line.split()) < LEAST_WORDS or not line.endswith("."):  # cut off
        return []
    return [{"sentences": parts, "summary": line, "group": name}]


def kind(asked: str, answer: str) -> str:
    """Return "keyword" if the answer has a word of the question, by stem (Porter 1980), else "intent"."""
    return "keyword" if stems(asked) & stems(answer) else "intent"


def stems(text: str) -> set[str]:
    """Return the stems of a text's words that say something."""
    return {_stemmer().stem(word) for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in STOP}


def sentences(text: str) -> list[str]:
    """Cut a text into sentences: after a full stop, question or exclamation mark before a capital."""
    return [part for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text) if part.strip()]


@lru_cache
def _stemmer() -> PorterStemmer:
    return PorterStemmer()


def _plain(text: str) -> str:
    """One line without examples, tables and the marks of reStructuredText."""
    text = re.split(r"\n\s*(?:>>>|Examples?\n|[^\n]*\n\s*[-=]{3,})", text)[0]
    text = re.sub(r"^\s*\.\. .*$", "", text, flags=re.MULTILINE)  # directives
    text = re.sub(r":[\w:]+:`~?([^`<]*)(?:<[^`]*)?`", r"\1", text)  # roles
    text = re.sub(r"`{1,2}([^`]*)`{1,2}_?|\*{1,2}(\w[^*]*)\*{1,2}|\[\d+\]_", lambda m: m[1] or m[2] or "", text)
    return " ".join(text.replace("::", ":").split())


def _hider(names: list[str]) -> Callable[[str], str]:
    """A function that takes these names, with underscores or spaces, out of a text."""
    either = "|".join(re.escape(name).replace("_", "[_ ]") for name in sorted(names, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.])(?:{either or '(?!)'})(?!\w)", re.IGNORECASE)

    def hide(text: str) -> str:
        shorter = " ".join(pattern.sub("", text).split())
        return text if shorter == text else hide(shorter)  # what moved together may be a name too

    return hide


def _version(library: str) -> str:
    return version({"sklearn": "scikit-learn"}.get(library, library))


def _checksum(rows: dict) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


# From the hub


def _published(task: str, split: str) -> list[dict]:
    """SQuAD has no public test split: its validation is our test, and one training passage in 16, by hash, validates.
    """
    folder = sources.from_hub(HUB[task], ["*.parquet"])
    if task == "summaries":
        frame = _read(folder, split)
        return [{"sentences": sentences(" ".join(row.article.split())), "summary": " ".join(row.highlights.split()),
                 "group": row.id} for row in frame.itertuples()]  # fmt: skip
    frame = _read(folder, "validation" if split == "test" else "train")
    held = frame.context.map(lambda text: hashlib.sha256(text.encode()).hexdigest()[0] == "0")
    frame = frame if split == "test" else frame[held == (split == "validation")]
    return [row for one in frame.itertuples() for row in _passage(one)]


def _passage(one) -> list[dict]:
    """A SQuAD question whose candidates are its passage's sentences."""
    parts, place, ends = sentences(one.context), one.answers["answer_start"][0], [0]
    for part in parts:  # looked for after the one before: a sentence may stand there twice
        ends.append(one.context.index(part, ends[-1]) + len(part))
    if len(parts) < 2 or place >= ends[-1]:
        return []
    answer = next(number for number, end in enumerate(ends[1:]) if place < end)
    return [{"question": one.question, "candidates": parts, "answer": answer, "kind": kind(one.question, parts[answer]),
             "group": hashlib.sha256(one.context.encode()).hexdigest()[:16]}]  # fmt: skip


def _read(folder: Path, split: str) -> pd.DataFrame:
    paths = sorted(folder.rglob(f"{split}*.parquet"))
    if not paths:
        raise ValueError(f"The copy in {folder.name} has no {split}*.parquet: fetch it again, whole.")
    return pd.concat(map(pd.read_parquet, paths), ignore_index=True)
