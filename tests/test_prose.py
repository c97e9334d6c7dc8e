"""Prose never carries a number that a run produced: code makes such sentences."""

import re

import pytest

from tools.editions import read_source
from tools.project import SOURCES

CHAPTERS = sorted(path.stem for path in SOURCES.glob("*.py"))

#: What looks like a result: decimals, shares in percent, differences in points.
RESULT = re.compile(
    r"(?<![\w.])(?:\d*\.?\d+(?:\s?%| percent\b|[ -](?:percentage )?(?:points?|nats?)\b)|\d*\.\d+)(?![\w.]*\d)"
)
#: Numbers that somebody chose, set or made up: not results. Each chapter names its own.
CHOSEN = {
    "01_data": {"90%": "an example", "0.7": "of the split", "0.8": "of the split", "80%": "of the split"},
    "02_poolings_from_scratch": {"0.99": "a choice to predict", "0.9": "a choice to predict", "0.05": "the level",
                                 "0.8 points": "quiz", "3 points": "quiz"},
    "03_bert": {"0.1 nats": "a rule of ours"},
    "04_gpt2": {"0.80": "toy", "0.78": "toy", "0.70": "toy", "0.73": "toy", "0.02": "toy", "0.03": "toy",
                "0.05": "toy", "2 points": "quiz", "1 point": "quiz"},
    "05_analysis": {"0.9": "an example", "0.1": "a bin", "0.2": "a bin", "1.0": "a bin", "40%": "quiz",
                    "3 points": "quiz", "0.4": "quiz"},
    "06_interpretability_and_fairness": {"50 percent": "a setting", "100%": "what it would mean"},
    "07_beyond_sentiment": {"0.91": "quiz", "0.97": "quiz", "0.18": "quiz"},
    "08_pooling_in_the_wild": {"5.3": "a version", "5.4": "a version", "7.2": "a section of another chapter",
                               "7.3": "a section of another chapter"},
}  # fmt: skip
#: A published figure stands in a paragraph that names its source: authors with a year, or a link to a paper.
SOURCE = re.compile(
    r"\b[A-Z]\w+ et al\.,? \(?(?:19|20)\d\d|\b[A-Z]\w+(?: and [A-Z]\w+)?,? \((?:19|20)\d\d\)"
    r"|\([A-Z]\w+ and [A-Z]\w+,? (?:19|20)\d\d\)|\]\(https://(?:arxiv\.org|aclanthology\.org|doi\.org|github\.com)"
)
#: Headings, code and links are no prose.
NOT_PROSE = re.compile(r"^#+ .*$|`[^`]*`|\]\([^)]*\)", re.MULTILINE)
SECTION = re.compile(r"^#+ (?:Exercise )?(\d+\.\d+)", re.MULTILINE)


def typed_results(text: str, chosen: set[str] = frozenset()) -> list[str]:
    """Return the numbers in a piece of Markdown that look like results and have no source."""
    found = []
    for paragraph in re.split(r"\n\s*\n|\n(?=[-*\d])", text):
        if not SOURCE.search(paragraph):
            found += [number for number in RESULT.findall(NOT_PROSE.sub("", paragraph)) if number not in chosen]
    return found


@pytest.mark.parametrize("name", CHAPTERS)
def test_no_result_is_typed_into_the_prose(name):
    cells = [cell for cell in read_source(SOURCES / f"{name}.py").cells if cell.cell_type == "markdown"]
    chosen, sections = CHOSEN.get(name, {}), {number for cell in cells for number in SECTION.findall(cell.source)}
    found = {number for cell in cells for number in typed_results(cell.source, {*chosen, *sections})}
    assert found == set(), f"{sorted(found)}: let code say it, or name it in CHOSEN with what it is"
    assert [number for number in chosen if not any(number in cell.source for cell in cells)] == [], "not there any more"


@pytest.mark.parametrize("text, found", [
    ("The mean reaches 0.757 here.", ["0.757"]),
    ("It gains 3 points, or 2.5 points.", ["3 points", "2.5 points"]),
    ("About 80% of them, and 7 % more.", ["80%", "7 %"]),
    ("Its loss is 4.44 nats.", ["4.44 nats"]),
    ("Pooling gives .66 there.", [".66"]),
    ("Error 5.4% ([Sun et al. 2019](https://arxiv.org/abs/1905.05583)).", []),
    ("As Wang and Manning (2012) found, 88.29%.", []),
    ("See 2.10.", ["2.10"]),  # unless the chapter has such a section
    ("## 2.10 What does it cost?", []),
    ("`rate=0.001` is set in code, with five seeds and 2,000 labels.", []),
    ("With 2000 texts the mean reaches 0.757.", ["0.757"]),
    ("In 2024 we measured 0.757, and on IMDb 2000 reviews gave 81.3%.", ["0.757", "81.3%"]),
    ("See [the table](https://example.org/results): 0.757.", ["0.757"]),
    ("12 percentage points, 78 percent, a 3-point gap.", ["12 percentage points", "78 percent", "3-point"]),
    ("Version 4.57.1 and 512 places.", []),
])  # fmt: skip
def test_what_looks_like_a_typed_result(text, found):
    assert typed_results(text) == found
