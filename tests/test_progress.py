"""Progress stays on the learner's disk, is never lost, and is said the same to everybody who has none."""

import re

import pytest

from helpers import checks, progress
from tools.editions import exercises, read_source, tags
from tools.project import SOURCES


@pytest.fixture
def shown(monkeypatch) -> list[str]:
    """What is displayed, as text."""
    seen: list[str] = []
    monkeypatch.setattr(progress, "display", lambda said: seen.append(said.data))
    return seen


def answer(name: str, right: bool | None) -> checks.Verdict:
    return checks.exercise(name, ... if right is None else right, lambda given: {"it holds": given})


def test_a_passed_exercise_is_kept_and_stays_passed(own_progress):
    assert progress.passed() == set()
    assert [answer("2.1", one).status for one in (None, False)] == ["not attempted", "failed"]
    assert progress.passed() == set() and not own_progress.exists(), "what was not passed leaves no trace"
    answer("2.1", True)
    answer("2.1", False)
    assert progress.passed() == {"2.1"}


def test_two_notebooks_at_once_lose_nothing():
    for name in ("2.1", "6.3", "2.10"):
        progress.keep(name)
        progress.keep(name)
    assert progress.passed() == {"2.1", "2.10", "6.3"}


def test_what_is_shown(shown):
    progress.show("2.1", "2.2")
    assert "○ 2.1 · ○ 2.2" in shown[0] and "0 of this chapter's 2 exercises passed. So far: none." in shown[0]
    for name in ("2.2", "1.1", "1.3"):
        answer(name, True)
    progress.show("2.1", "2.2")
    assert "○ 2.1 · ✔ 2.2" in shown[1] and "1 of this chapter's 2 exercises" in shown[1]
    assert "2 in chapter 1, 1 in chapter 2" in shown[1]


def test_foreign_files_are_no_progress(own_progress):
    own_progress.mkdir(parents=True)
    for name in ("notes.passed", "2.1.passed.txt", "2.1", "x2.1.passed"):
        (own_progress / name).touch()
    assert progress.passed() == set()


def test_a_folder_that_cannot_be_written_is_said_and_changes_no_verdict(own_progress):
    own_progress.write_text("a file, where the folder should be")
    verdict = answer("2.1", True)
    assert verdict.status == "passed" and "your progress could not be kept" in verdict.lines[-1]


@pytest.mark.parametrize("path", sorted(SOURCES.glob("*.py")), ids=lambda path: path.stem)
def test_a_chapter_ends_with_the_progress_of_its_own_exercises(path):
    source = read_source(path)
    assert tags(source.cells[-1]) == ["progress"]
    names = re.findall(r'"(\d+\.\d+)"', source.cells[-1].source)
    assert names == [id.removeprefix("ex-") for id in exercises(source)]
