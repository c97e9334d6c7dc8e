"""Documentation as data: what the installed scientific libraries say of their functions, classes and methods.

A parameter's name and description are a question and its answer; a docstring begins with one line that sums up the
rest.
"""

import contextlib
import importlib
import inspect
import io
import pkgutil
import re
import warnings
from collections.abc import Callable, Iterator
from functools import lru_cache

from docstring_parser import Docstring, DocstringStyle, ParseError, parse

LEAST_PARAMETERS, LEAST_SENTENCES, LEAST_WORDS = 5, 4, 3  # of a function, of a long description, of an answer
# Not part of what a library offers its users, or run only where something else is installed.
PRIVATE = re.compile(r"\._|\.(tests?|testing|conftest|externals|sandbox|examples|f2py|backends?|libqsturng)\b")
STOP = frozenset("a an and are as at be by can do does for from how if in into is it its of on or that the this to "
                 "used what when whether which who why with was were did".split())  # fmt: skip


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

    No candidate holds a parameter's name as a word of its own, so that no answer is given away. (Inside another word it
    may stand: *tol* in "tolerance".)
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
    return [{"question": question, "candidates": candidates, "answer": number, "group": name, "asked": own,
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
    return "keyword" if set(stems(asked)) & set(stems(answer)) else "intent"


def stems(text: str) -> list[str]:
    """Return the stems of a text's words that say something, in order."""
    return [_stemmer().stem(word) for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in STOP]


def sentences(text: str) -> list[str]:
    """Cut a text into sentences: after a full stop, question or exclamation mark before a capital."""
    return [part for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text) if part.strip()]


@lru_cache
def _stemmer():
    from nltk.stem import PorterStemmer  # here, because importing nltk opens files

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
