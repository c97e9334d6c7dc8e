"""Exercise checks that answer at once, kindly, and never stop a notebook."""

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape

import numpy as np
import torch

from helpers import progress

TOLERANCE = 1e-5  # float32 results of a few additions: far above rounding, far below a mistake
LONGEST = 300  # characters of what an answer says of itself

MARKS = {"passed": "✔", "failed": "✘", "not attempted": "○"}


@dataclass(frozen=True)
class Verdict:
    """The outcome of one exercise: ``passed``, ``failed`` or ``not attempted``, and why."""

    exercise: str
    status: str
    lines: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        title = f"{MARKS[self.status]} {self.status}{' yet' if self.status == 'not attempted' else ''}"
        return "\n".join([f"{title}: exercise {self.exercise}", *(f"   {line}" for line in self.lines)])

    def _repr_html_(self) -> str:
        return f'<pre style="background:none;color:inherit">{escape(repr(self))}</pre>'


def exercise(name: str, answer: object, cases: Callable[[object], dict[str, object]]) -> Verdict:
    """Check an answer.

    Parameters
    ----------
    name : str
        As in the heading, "2.1".
    answer : object
        The learner's function or value. ``...`` or a function that raises ``NotImplementedError``
        means that nobody has tried yet.
    cases : callable
        From the answer to a dictionary: what is checked, in words → either a bool, or a pair
        (got, expected), compared within `TOLERANCE`.

    Returns
    -------
    Verdict
    """
    if answer is ...:
        return Verdict(name, "not attempted")
    try:
        problems = {label: _problem(result) for label, result in cases(answer).items()}
    except NotImplementedError as error:
        # So says PyTorch of a dtype, or a layout, that an operation cannot take.
        if not any(said in str(error) for said in ("not implemented for", "Could not run")):
            return Verdict(name, "not attempted")
        return _raised(name, error)
    except (Exception, SystemExit) as error:  # whatever a learner's code raises is an answer, not a crash
        return _raised(name, error)
    if not problems:
        return Verdict(name, "failed", ["✘ nothing was checked: this exercise has no cases"])
    lines = [f"✘ {label}: {problem}" if problem else f"✔ {label}" for label, problem in problems.items()]
    if any(problems.values()):
        return Verdict(name, "failed", lines)
    return Verdict(name, "passed", lines + _kept(name))


def _kept(name: str) -> list[str]:
    """Remember that the exercise was passed; what kept it from being remembered is said, and changes no verdict."""
    try:
        progress.keep(name)
    except OSError as error:
        return [f"(your progress could not be kept: {error})"]
    return []


def _raised(name: str, error: Exception) -> Verdict:
    # The commonest slip with max: it returns (values, indices), and the trouble shows only later.
    said = _line(str, error)
    pair = " (your function returned a pair, values and indices: take .values)" if "return_types" in said else ""
    return Verdict(name, "failed", [f"✘ your answer raised {type(error).__name__}: {said}{pair}"])


def _line(written: Callable[[object], str], thing: object) -> str:
    """What an answer calls itself, in a line that a page can show."""
    try:
        said = " ".join(written(thing).split())
    except Exception:  # its own __str__ or __repr__ is wrong
        said = f"(a {type(thing).__name__} that cannot be written)"
    return (said if len(said) <= LONGEST else f"{said[:LONGEST]}…").encode(errors="replace").decode()


def _problem(result: object) -> str | None:
    """Return what is wrong with one result, or None."""
    if not isinstance(result, tuple):
        return None if bool(result) else "this does not hold"
    got, expected = result
    if got is None:
        return "got None: does your function return its result?"
    try:
        if any(value.is_complex() if isinstance(value, torch.Tensor) else np.iscomplexobj(value) for value in result):
            raise TypeError("as real numbers they would lose a half")
        got, expected = (torch.as_tensor(value, dtype=torch.float64) for value in (got, expected))
    except (TypeError, ValueError, RuntimeError):
        same = got == expected
        return None if isinstance(same, bool) and same else f"got {_line(repr, got)}, expected {_line(repr, expected)}"
    if got.shape != expected.shape:
        shapes = f"got the shape {list(got.shape)}, expected {list(expected.shape)}"
        return f"{shapes}: {_brief(got)} instead of {_brief(expected)}"
    if not torch.allclose(got, expected, atol=TOLERANCE, rtol=TOLERANCE, equal_nan=False):
        return f"got {_brief(got)}, expected {_brief(expected)}"
    return None


def _brief(values: torch.Tensor) -> str:
    shown = [f"{value:.6g}" for value in values.flatten().tolist()[:6]]
    return f"[{', '.join(shown)}{', …' if values.numel() > 6 else ''}]"
