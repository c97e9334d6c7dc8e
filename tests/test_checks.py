"""Exercise checks: right passes, wrong fails and says why, and nothing stops a notebook."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helpers import checks
from helpers.checks import TOLERANCE, Verdict, exercise


def one(result: object) -> Verdict:
    return exercise("2.1", "an answer", lambda answer: {"the value": result})


def test_a_right_answer_passes_and_each_case_is_shown():
    verdict = exercise("2.1", lambda x: 2 * x, lambda f: {"twice 2": (f(2), 4), "of a list": f([1]) == [1, 1]})
    assert verdict.status == "passed"
    assert repr(verdict) == "✔ passed: exercise 2.1\n   ✔ twice 2\n   ✔ of a list"


def test_one_wrong_case_fails_it_and_the_others_are_shown_too():
    verdict = exercise("2.1", lambda x: x + 2, lambda f: {"of 2": (f(2), 4), "of 3": (f(3), 6), "holds": False})
    assert verdict.status == "failed"
    assert repr(verdict).splitlines() == [
        "✘ failed: exercise 2.1",
        "   ✔ of 2",
        "   ✘ of 3: got [5], expected [6]",
        "   ✘ holds: this does not hold",
    ]


def stub(states):
    raise NotImplementedError


class Unwritten(torch.nn.Module):
    pass


@pytest.mark.parametrize("answer", [..., stub, Unwritten()], ids=["dots", "stub", "module without forward"])
def test_nobody_has_tried_yet(answer):
    verdict = exercise("2.1", answer, lambda f: {"of 1": (f(torch.ones(1)), 1)})
    assert verdict.status == "not attempted" and verdict.lines == []
    assert repr(verdict) == "○ not attempted yet: exercise 2.1"


def test_an_answer_that_raises_fails_with_its_message():
    verdict = exercise("2.1", lambda x: x[5], lambda f: {"of a list": (f([1]), 1)})
    assert verdict.status == "failed" and "your answer raised IndexError: list index out of range" in repr(verdict)


def test_an_operation_that_torch_lacks_is_an_attempt():
    # PyTorch raises NotImplementedError for a dtype: whoever meets it has tried.
    verdict = exercise("2.1", lambda mask: mask.softmax(dim=0), lambda f: {"of a mask": (f(torch.ones(2).bool()), 1)})
    assert verdict.status == "failed" and "not implemented for 'Bool'" in repr(verdict)


@pytest.mark.parametrize(
    "got, expected, said",
    [
        (None, 1.0, "got None: does your function return its result?"),
        (None, None, "got None"),
        (torch.ones(2), torch.ones(3), "got the shape [2], expected [3]: [1, 1] instead of [1, 1, 1]"),
        (torch.ones(1, 2), torch.ones(2), "got the shape [1, 2], expected [2]"),
        (1.0, torch.ones(2), "got the shape [], expected [2]"),
        (torch.tensor([1.0, math.nan]), torch.ones(2), "got [1, nan], expected [1, 1]"),
        (math.nan, math.nan, "got [nan]"),
        (1 + 3 * TOLERANCE, 1.0, "got [1.00003], expected [1]"),
        (torch.arange(9.0), torch.zeros(9), "got [0, 1, 2, 3, 4, 5, …], expected"),
        ("mean", "max", "got 'mean', expected 'max'"),
        (["mean"], ("mean",), "got ['mean']"),
        ("mean", 1.0, "got 'mean', expected 1.0"),
        ([torch.ones(2), torch.ones(3)], torch.ones(2), "expected tensor"),
        (1j, torch.ones(2), "got 1j"),
    ],
)
def test_a_wrong_value_fails_and_is_shown(got, expected, said):
    verdict = one((got, expected))
    assert verdict.status == "failed" and said in repr(verdict)


@pytest.mark.parametrize(
    "got, expected",
    [
        (1, 1.0),
        (True, 1),
        (1 + TOLERANCE / 2, 1.0),
        (np.array([1, 2]), torch.tensor([1.0, 2.0])),
        ([1, 2], np.array([1.0, 2.0])),
        (torch.ones(2, requires_grad=True), torch.ones(2)),
        (torch.ones(2, dtype=torch.bfloat16), [1, 1]),
        (math.inf, math.inf),
        ("mean", "mean"),
        (["mean", "max"], ["mean", "max"]),
    ],
)
def test_a_right_value_passes_whatever_it_is_made_of(got, expected):
    assert one((got, expected)).status == "passed"


anything = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.complex_numbers(), st.binary(),
        st.sampled_from([object(), len, torch.ones(2), torch.ones(0), np.ones((2, 2)), np.array(["a"]), torch.nn.ReLU,
                         torch.ones(2).to_sparse()]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(st.text(), inner)),
    max_leaves=6,
)  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch: a list of arrays is slow
@given(anything, anything)
def test_no_answer_whatever_stops_a_notebook(got, result):
    for verdict in (one((got, torch.tensor([0.123, 0.456]))), one((torch.ones(2), got)), one(result)):
        assert verdict.status in ("passed", "failed") and repr(verdict) and verdict._repr_html_()
    assert one((got, torch.tensor([0.123, 0.456]))).status == "failed"


def test_a_check_that_checks_nothing_does_not_pass():
    assert exercise("2.1", "an answer", lambda answer: {}).status == "failed"


def test_a_verdict_is_escaped_in_html():
    verdict = one(("<script>", "<b>"))
    assert "&lt;script&gt;" in verdict._repr_html_() and "<script>" not in verdict._repr_html_()
    assert "<script>" in repr(verdict)


def test_every_status_has_its_mark():
    assert set(checks.MARKS) == {"passed", "failed", "not attempted"}


def test_the_pair_that_max_returns_is_named():
    verdict = checks.exercise("x", 0, lambda _: {"max": (torch.ones(2, 2).max(dim=1) - 1, 0)})
    assert verdict.status == "failed" and "take .values" in repr(verdict)
