"""Questions with answers and texts with summaries: the right ones, no answer given away, the same every time."""

import importlib.util
import json
import re

import pandas as pd
import pytest
from docstring_parser import DocstringStyle, parse

from helpers import cache, documentation, tasks

#: What the pinned versions hold, with room for others: functions, questions, texts.
COUNTS = {"train": (1161, 8136, 280), "validation": (183, 1758, 200), "test": (506, 4477, 300)}


@pytest.fixture(scope="module", autouse=True)
def one_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.mark.parametrize("split", COUNTS)
def test_there_are_as_many_as_said(split):
    answers, texts = tasks.answer_selection(split), tasks.summaries(split)
    found = len(set(answers["group"])), len(answers), len(texts)
    assert all(0.8 * said <= real <= 1.25 * said for said, real in zip(COUNTS[split], found, strict=True)), found
    assert {name.split(".")[0] for name in answers["group"]} == set(tasks.LIBRARIES[split])
    assert set(answers["kind"]) == {"keyword", "intent"}


@pytest.mark.parametrize("split", COUNTS)
def test_no_candidate_holds_the_name_that_is_asked_for(split):
    for row in tasks.answer_selection(split):
        name = re.fullmatch(r"What does (.+) do in \S+ \S+\?", row["question"])[1]
        assert len(row["candidates"]) >= 5 and len(set(row["candidates"])) == len(row["candidates"])
        pattern = re.compile(rf"(?<![\w.]){re.escape(name).replace(chr(92) + ' ', '[ _]')}(?!\w)", re.IGNORECASE)
        assert not any(map(pattern.search, row["candidates"])), row


@pytest.mark.parametrize("split", COUNTS)
def test_no_summary_stands_in_its_own_text(split):
    for row in tasks.summaries(split):
        assert len(row["sentences"]) >= 4 and row["summary"].endswith(".")
        assert row["summary"].rstrip(".").lower() not in " ".join(row["sentences"]).lower()


def test_the_splits_share_no_function_and_next_to_no_wording():
    texts = {split: {text for row in tasks.answer_selection(split) for text in row["candidates"]} for split in COUNTS}
    for one, other in (("train", "test"), ("validation", "test"), ("train", "validation")):
        assert len(texts[one] & texts[other]) < 0.01 * len(texts[other]), "a few say 'Maximum number of iterations.'"


def test_it_is_built_once_and_is_the_same_twice(monkeypatch, tmp_path):
    first = tasks.answer_selection("validation").to_list()
    monkeypatch.setattr(documentation, "documented", lambda library: pytest.fail("built again"))
    assert tasks.answer_selection("validation").to_list() == first
    monkeypatch.undo()
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    assert tasks.answer_selection("validation").to_list() == first


@pytest.mark.parametrize("damage", [
    lambda text: text[:-100], lambda text: text.replace("matplotlib", "matplotIib"), lambda text: "[]",
])  # fmt: skip
def test_what_is_damaged_is_built_again(damage, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    first = tasks.summaries("validation").to_list()
    (path,) = (cache.root() / "tasks").iterdir()
    path.write_text(damage(path.read_text()))
    assert tasks.summaries("validation").to_list() == first
    json.loads(path.read_text())


def test_a_library_that_is_missing_is_named_and_the_rest_goes_on(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "seaborn" else find(name))
    with pytest.warns(UserWarning, match="Not installed, so left out of validation: seaborn"):
        found = tasks.answer_selection("validation")
    assert {name.split(".")[0] for name in found["group"]} == {"matplotlib"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with (pytest.warns(UserWarning), pytest.raises(ModuleNotFoundError, match="none is installed. Run: pip install")):
        tasks.summaries("test")


def test_smoke_is_the_beginning_of_laptop():
    small, large = tasks.answer_selection("test", "smoke"), tasks.answer_selection("test")
    assert small.to_list() == large.to_list()[: len(small)] and len(set(small["group"])) == 12


@pytest.mark.parametrize("split, scale, message", [
    ("tests", "laptop", "Unknown split 'tests'.*'test'"), ("test", "tiny", "Unknown scale 'tiny'"),
])  # fmt: skip
def test_a_slip_is_named(split, scale, message):
    with pytest.raises(ValueError, match=message):
        tasks.answer_selection(split, scale)


# By hand

FIT = '''Fit a line.

It goes through the points. It is found by least squares. There is no noise in ``max_iter``. That is all.

Parameters
----------
max_iter : int
    Maximum number of iterations. Unlike `tol`, max_iter is a count.
tol : float
    How small a step has to be before we stop.
X, y : array
    Two in one.
alpha : float
    Strength of the penalty, see :class:`~sklearn.linear_model.Ridge`.
a : str
    short
copy : bool
    Whether a copy is made first.
verbose : int
    How much is printed on the way.

Examples
--------
>>> 1 + 1
'''


def test_a_docstring_by_hand():
    found = documentation.questions("sklearn.linear.fit", parse(FIT, DocstringStyle.NUMPYDOC))
    assert [row["question"] for row in found] == [
        f"What does {name} do in sklearn fit?" for name in ("max iter", "tol", "alpha", "copy", "verbose")
    ], "names of two parameters, and descriptions of a word, are left out"
    assert found[0]["candidates"][:3] == [
        "Maximum number of iterations. Unlike , is count.", "How small step has to be before we stop.",
        "Strength of the penalty, see sklearn.linear_model.Ridge.",
    ], "the names are gone, and so is the article where a parameter is called a"  # fmt: skip
    assert [row["answer"] for row in found] == [0, 1, 2, 3, 4]
    assert [row["kind"] for row in found] == ["keyword", "intent", "intent", "intent", "intent"]
    assert documentation.summary("sklearn.linear.fit", parse(FIT, DocstringStyle.NUMPYDOC)) == [{
        "sentences": ["It goes through the points.", "It is found by least squares.", "There is no noise in max_iter.",
                      "That is all."],
        "summary": "Fit a line.", "group": "sklearn.linear.fit",
    }]  # fmt: skip


@pytest.mark.parametrize("asked, answer, kind", [
    ("max iter", "How often to repeat it.", "intent"), ("iterations", "The iteration to begin with.", "keyword"),
    ("is it", "It is what it is.", "intent"), ("n jobs", "How many jobs to run.", "keyword"),
])  # fmt: skip
def test_a_keyword_question_shares_a_stem(asked, answer, kind):
    assert documentation.kind(asked, answer) == kind


# The hub's data sets, as files


@pytest.fixture
def hub(tmp_path, monkeypatch):
    squad = pd.DataFrame({
        "question": ["Who wrote it?", "When?", "Where?", "Who fell last?"],
        "context": ["Ann wrote the book. It came out in 1931. It sold well."] * 2
                   + ["One sentence only, in Rome.", "Bob fell. Ann fell. Bob fell."],
        "answers": [{"text": ["Ann"], "answer_start": [0]}, {"text": ["1931"], "answer_start": [35]},
                    {"text": ["Rome"], "answer_start": [22]}, {"text": ["Bob"], "answer_start": [20]}],
    })  # fmt: skip
    news = pd.DataFrame({"article": ["A man ran. He fell. He got up. He won."], "highlights": ["Man wins\nrace ."],
                         "id": ["x"]})  # fmt: skip
    short = pd.DataFrame({"article": ["He fell. He won."], "highlights": ["A fall."], "id": ["y"]})
    news = pd.concat([news, short])
    for name, frame, splits in (("rajpurkar/squad/plain_text", squad, ("train", "validation")),
                                ("abisee/cnn_dailymail/3.0.0", news, ("train", "validation", "test")),
                                ("abisee/cnn_dailymail/1.0.0", news, ("train", "validation", "test"))):  # fmt: skip
        (tmp_path / name).mkdir(parents=True)
        for split in splits:
            frame.to_parquet(tmp_path / name / f"{split}-00000-of-00001.parquet")
    monkeypatch.setenv("COURSE_HUB_FOLDER", str(tmp_path))


def test_the_published_data_sets_come_through_the_same_functions(hub):
    found = tasks.answer_selection("test", "full").to_list()
    assert [(row["question"], row["answer"]) for row in found] == [
        ("Who wrote it?", 0), ("When?", 1), ("Who fell last?", 2)]  # fmt: skip
    assert found[0]["candidates"] == ["Ann wrote the book.", "It came out in 1931.", "It sold well."]
    assert [row["kind"] for row in found] == ["keyword", "intent", "keyword"]
    assert len(tasks.answer_selection("train", "full")) + len(tasks.answer_selection("validation", "full")) == 3
    (row,) = tasks.summaries("test", "full")
    assert row == {"sentences": ["A man ran.", "He fell.", "He got up.", "He won."], "summary": "Man wins race .",
                   "group": "x"}  # fmt: skip


def test_a_copy_without_the_version_that_we_use_is_named(hub, tmp_path):
    (tmp_path / "abisee/cnn_dailymail/3.0.0/test-00000-of-00001.parquet").unlink()
    with pytest.raises(ValueError, match=r"abisee/cnn_dailymail has no 3\.0\.0/test-\*\.parquet: fetch it again"):
        tasks.summaries("test", "full")
    assert len(tasks.summaries("train", "full")) == 1
