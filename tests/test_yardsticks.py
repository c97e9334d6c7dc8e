"""Yardsticks: hand-computed values, brute force over ties, and the published formula of BM25."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import yardsticks

FLOAT = 1e-9  # float64, a few additions
FLOAT32 = 1e-5  # bm25s computes in it


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.data())
def test_among_equals_every_order_is_as_likely(scores, data):
    scores, answer = np.array(scores, float), data.draw(st.integers(0, len(scores) - 1))
    ranks = []
    for order in itertools.permutations(range(len(scores))):  # which of equals comes first
        ranked = sorted(order, key=lambda place: -scores[place])  # a stable sort keeps the order of equals
        ranks.append(1 + ranked.index(answer))
    assert yardsticks.reciprocal_rank(scores, answer) == pytest.approx(np.mean([1 / rank for rank in ranks]), abs=FLOAT)
    assert yardsticks.top_1(scores, answer) == pytest.approx(np.mean([rank == 1 for rank in ranks]), abs=FLOAT)


def test_rouge_by_hand():
    """"fit line points" against "line points here": two words of three each, one pair of two, two in a row."""
    (found,) = yardsticks.rouge("Fit line points.", ["line points here"])
    assert found.tolist() == pytest.approx([2 / 3, 1 / 2, 2 / 3], abs=FLOAT)
    sentences = ["fitting line to point", "draw it", "points to lines fit"]
    same, other, turned = yardsticks.rouge("Fit lines to points", sentences)
    assert same.tolist() == [1.0, 1.0, 1.0], "stems count, endings do not"
    assert other.tolist() == [0.0, 0.0, 0.0]
    assert turned[0] == 1.0 and turned[1] == 0.0 and turned[2] == pytest.approx(1 / 4), "order counts for pairs and L"


def test_overlap_is_a_share_of_the_questions_stems():
    (found,) = yardsticks.overlap(["What does max iter do?"], [["Maximum iter and max.", "An iter.", "Nothing here."]])
    assert found.tolist() == [1.0, 0.5, 0.0]
    (found,) = yardsticks.overlap(["What is it?"], [["It is what it is."]])
    assert found.tolist() == [0.0], "a question of stop words asks for nothing"


def test_bm25_is_its_formula():
    """Lucene's BM25 with k = 1.5 and b = 0.75, on stems of our own."""
    texts = [["alpha beta beta", "beta gamma", "gamma gamma gamma delta epsilon"], ["alpha beta beta", "zeta"]]
    found = yardsticks.bm25(["alpha beta", "unknown words"], texts)
    corpus = [text.split() for text in dict.fromkeys(itertools.chain(*texts))]  # each text counts once
    average = np.mean(list(map(len, corpus)))

    def score(asked, text):
        total = 0.0
        for word in asked:
            known = sum(word in own for own in corpus)
            idf = math.log(1 + (len(corpus) - known + 0.5) / (known + 0.5))
            often = text.count(word)
            total += idf * often / (often + 1.5 * (1 - 0.75 + 0.75 * len(text) / average))
        return total

    expected = [score(["alpha", "beta"], text.split()) for text in texts[0]]
    assert found[0].tolist() == pytest.approx(expected, abs=FLOAT32) and found[0].argmax() == 0
    assert found[1].tolist() == [0.0, 0.0]


def test_the_central_sentence_shares_most_with_the_others():
    text = ["Interest rates rose sharply.", "The cat sat on the mat.", "A dog ran on the mat with the cat."]
    assert yardsticks.central([text, ["Only one."]]) == [1, 0]
