"""What a caller gives: texts, numbers and seeds, checked before they can become a wrong number.

Each check returns its argument as the type that is worked with, or raises one sentence: what it is, what was given,
what to give.
"""

import math
import reprlib
from collections.abc import Iterable, Mapping, Set
from numbers import Integral, Real

import numpy as np

LONGEST = 60  # characters of a value in a message
LARGEST_SEED = 2**63 - 1  # torch takes no larger one


def brief(given: object) -> str:
    """Write what was given so that it fits into a sentence: its type, and its value if that is short."""
    if isinstance(given, type):
        return f"the class {given.__name__}"
    if given is None:
        return "None"
    plain = given.item() if isinstance(given, np.generic) else given
    value = reprlib.repr(plain) if isinstance(plain, str | bytes | Real | list | tuple) else ""
    value = value if len(value) <= LONGEST else f"{value[:LONGEST]}…"
    return f"{value} ({type(given).__name__})" if value else f"a {type(given).__name__}"


def text(given: object, name: str = "text") -> str:
    """Return a text; refuse what is none, and halves of characters (lone surrogates), which no tokenizer takes."""
    if not isinstance(given, str):
        raise ValueError(f"{name} is {brief(given)}, not a text: give a list of one or more strings.")
    try:
        given.encode()
    except UnicodeEncodeError as error:
        half = given[error.start]
        raise ValueError(f"{name} has half a character ({half!r}) at place {error.start}: write "
                         "text.encode(errors='replace').decode() to replace such.") from error  # fmt: skip
    return given


def texts(given: object) -> list[str]:
    """Return texts as a list; refuse what has no order or is one text, and name the row that is no text."""
    # A bare string is a list of characters, a table is one of its columns' names.
    alone = isinstance(given, str | bytes | Mapping | Set) or getattr(given, "ndim", 1) != 1
    if alone or not isinstance(given, Iterable):
        raise ValueError(f"texts is {brief(given)}: give a list of one or more strings.")
    found = [text(one, f"Row {row}") for row, one in enumerate(given)]
    if not found:
        raise ValueError("There is no text: give a list of one or more strings.")
    return found


def whole(name: str, given: object, least: int = 0, most: float = math.inf) -> int:
    """Return a whole number, NumPy's as well."""
    if isinstance(given, bool) or not isinstance(given, Integral) or not least <= given <= most:
        raise ValueError(f"{name} is {brief(given)}: give a whole number from {least}{_up_to(most)}.")
    return int(given)


def number(name: str, given: object, least: float, most: float = math.inf) -> float:
    """Return a finite number."""
    if isinstance(given, bool) or not isinstance(given, Real) or not least <= given <= most or math.isinf(given):
        raise ValueError(f"{name} is {brief(given)}: give a number from {least:g}{_up_to(most)}.")
    return float(given)


def seed(given: object) -> int:
    """Return a seed that both NumPy and torch take."""
    return whole("seed", given, 0, LARGEST_SEED)


def numbers(name: str, given: object, shape: str) -> np.ndarray:
    """Return finite numbers as an array with as many axes as its shape is written with, as in "[s, n]"."""
    try:
        found = np.asarray(given, float)
    except (TypeError, ValueError, RuntimeError) as error:
        said = str(error).split(".")[0][:100]
        raise ValueError(f"{name} must be numbers of shape {shape}: {said}.") from error
    if found.ndim != shape.count(",") + 1:
        raise ValueError(f"{name} has the shape {list(found.shape)}: give numbers of shape {shape}.")
    if (bad := np.argwhere(~np.isfinite(found))).size:
        place = bad[0].tolist()
        raise ValueError(f"{name} holds {found[tuple(place)]} at {place}: give finite numbers only.")
    return found


def _up_to(most: float) -> str:
    return " on" if most == math.inf else f" to {most}"
