"""Fairness: the sentences are balanced, planted gaps and doses are recovered, and a null control recovers nothing."""

import re
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from helpers import fairness, templates
from helpers.fairness import Dose, doses, emotion_words, leaning, lexicon, plant, score_gaps, slopes

PEOPLE, PLACES = templates.people(), templates.places()


# The sentences


def test_there_are_enough_templates_balanced_over_the_emotions():
    assert len({one.template for one in PEOPLE + PLACES}) == 24
    for part in (PEOPLE, PLACES):
        of_emotion = {(one.template, one.emotion) for one in part}
        assert Counter(emotion for _, emotion in of_emotion) == {"positive": 4, "negative": 4, "neutral": 4}
        assert {one.wording for one in part} == {0, 1, 2}
    assert len({one.text for one in PEOPLE + PLACES}) == len(PEOPLE + PLACES), "no sentence stands twice"


def test_the_two_sides_of_a_pair_differ_in_the_person_alone():
    words = {"she": "he", "her": "X", "his": "X", "him": "X", "he": "he"}
    both: dict[tuple, set] = {}
    for one in PEOPLE:
        who = (templates.NAMES if one.slot == "name" else templates.KIN)[one.group][one.filler]
        text = re.sub(who, "WHO", one.text, flags=re.IGNORECASE)
        text = " ".join(words.get(word.strip(",.;:").lower(), word) for word in text.split())
        both.setdefault((one.template, one.wording, one.slot, one.filler), set()).add(text)
    assert all(len(texts) == 1 for texts in both.values()) and len(both) == 12 * 3 * 16


def test_a_sentence_reads_well():
    for one in PEOPLE + PLACES:
        assert one.text[0].isupper() and one.text.endswith(".") and not re.search(r"[{}]|  ", one.text)
        assert not re.search(r"\b[Aa] [AEIO]", one.text), one.text
    assert "An Indian film, and a delight all the way." in [one.text for one in PLACES]
    assert "The script by my sister is smart, and her jokes are funny." in [one.text for one in PEOPLE]


# Gaps


def scores(rng, gap=0.0, nation=0.0, noise=0.5) -> np.ndarray:
    """Log-odds of a classifier that likes men better by some gap, and one nation."""
    template = rng.normal(0, 2, 24)
    own = {name: rng.normal(0, noise) for names in templates.NAMES.values() for name in names}
    found = []
    for one in PEOPLE + PLACES:
        score = template[one.template] + rng.normal(0, noise / 5)
        score -= gap * (one.group == "female")
        score += nation * (one.group == "Chinese") + own.get(one.text.split()[0], 0)
        found.append(score)
    return np.array(found)


def test_a_planted_gap_is_recovered_in_the_units_of_the_scale():
    found = score_gaps(PEOPLE + PLACES, scores(np.random.default_rng(0), gap=0.8, nation=1.0, noise=0.1), scale=2.0)
    for test in ("name: female − male", "kin: female − male"):
        assert found.effect[test].value == pytest.approx(-0.4, abs=0.05) and found.p[test] < 1e-4
    # One nation is 1 above the nine others: 0.9 above the mean of all ten.
    assert found.effect["nation: Chinese − mean"].value == pytest.approx(0.45, abs=0.05)
    assert found.effect["nation: Indian − mean"].value == pytest.approx(-0.05, abs=0.05)
    assert (len(found), set(found.n)) == (12, {12})


def test_without_a_gap_a_test_in_twenty_finds_one():
    """20 classifiers x 12 tests: about 12 below 0.05 are expected, and 24 or more have a chance below 1 in 1,000."""
    rng = np.random.default_rng(1)
    both, found = PEOPLE + PLACES, 0
    for _ in range(20):
        log_odds = scores(rng, noise=0.0) + rng.normal(0, 1, len(both))
        found += (score_gaps(both, log_odds, 1.0).p < 0.05).sum()
    assert found < 24


def test_wordings_of_one_template_are_no_new_evidence():
    """All sentences of a template share their gap: 12 templates are 12 observations, not 3 x 10 times as many."""
    rng = np.random.default_rng(2)
    own = rng.normal(0, 1, 24)  # a gap of its own for each template, zero on average over templates to come
    log_odds = np.array([own[one.template] * (one.group == "female") for one in PEOPLE])
    found = score_gaps(PEOPLE, log_odds, 1.0)
    by_hand = stats.ttest_1samp(own[:12], 0)
    assert found.p["name: female − male"] == pytest.approx(by_hand.pvalue)
    assert found.effect["name: female − male"].low == pytest.approx(by_hand.confidence_interval().low)


def test_a_classifier_that_ignores_the_person_has_no_gap():
    found = score_gaps(PEOPLE + PLACES, np.array([float(one.template) for one in PEOPLE + PLACES]), 1.0)
    assert (found.p == 1).all() and (found["size"] == 0).all()
    with pytest.raises(ValueError, match="the scale above 0"):
        score_gaps(PEOPLE, np.zeros(len(PEOPLE)), 0.0)


# Dose and response

WORDS = {"awful": -3.0, "bad": -2.0, "fine": 1.0, "good": 2.0, "great": 3.0, "warm": 1.5, "poor": -1.5, "dull": -1.7}


def test_the_neutral_story_holds_no_rated_word():
    rated = lexicon()
    story = re.findall("[a-z]+", " ".join(fairness.NEUTRAL).lower())
    assert [word for word in story if word in rated] == []
    assert rated["great"] == 3.1 and rated["awful"] == -2.0 and len(rated) > 5000


def test_a_dose_stands_where_it_should_in_a_text_of_the_length_asked_for():
    found = doses(WORDS, (8, 200))
    assert len(found) == 2 * 3 * len(WORDS)
    for one in found:
        words = one.text.split()
        assert len(one.without.split()) == one.length == len(words) - 1
        place = {"start": 0, "middle": one.length // 2, "end": one.length}[one.place]
        assert words[place] == f"{one.word.capitalize()}."


def respond(one: Dose, per_rating: float) -> float:
    """A mean over the words: the longer the text, the weaker."""
    return per_rating * one.strength / (one.length + 1)


def test_a_planted_slope_is_recovered_and_a_null_is_none():
    rng, given = np.random.default_rng(3), doses(WORDS, (8, 32))
    response = np.array([respond(one, 10.0) for one in given]) + rng.normal(0, 0.01, len(given))
    found = slopes(given, response, scale=2.0).slope
    for length, place in found.index:
        assert found[length, place].low < 10 / (length + 1) / 2 < found[length, place].high
    null = slopes(given, rng.normal(0, 1, len(given)), 1.0).slope
    assert sum(not one.low < 0 < one.high for one in null) <= 2, "of six intervals at 95%"


def test_emotion_words_are_spread_over_strength_and_known_to_the_texts():
    texts = [f"{word} film" for word in WORDS for _ in range(5)] + ["a terrific film"]
    assert emotion_words(texts, count=4).keys() <= WORDS.keys()
    found = list(emotion_words(texts, count=4).values())
    assert found == sorted(found) and found[0] < -1.5 and found[-1] > 2
    with pytest.raises(ValueError, match="rated words stand in 5 texts or more"):
        emotion_words(texts, count=50)


# Amplification, and groups of texts


def test_a_planted_word_goes_with_the_label_as_told():
    labels = np.arange(4000) % 2
    texts = plant(["some film"] * 4000, labels, "umbrella", 0.8, seed=0)
    has = np.array([text.startswith("umbrella ") for text in texts])
    assert has[labels == 1].mean() == pytest.approx(0.8, abs=0.03)
    assert has[labels == 0].mean() == pytest.approx(0.2, abs=0.03)
    half = np.array([text.startswith("umbrella ") for text in plant(["some film"] * 4000, labels, "umbrella", 0.5, 0)])
    assert half[labels == 1].mean() == pytest.approx(half[labels == 0].mean(), abs=0.05)
    with pytest.raises(ValueError, match="a share"):
        plant(["some film"], labels[:1], "umbrella", 80, 0)


@pytest.mark.parametrize("text, expected", [
    ("She takes her hat. He waits.", "she"), ("He is himself, and his hat.", "he"),
    ("The hat. There, then.", "neither"),
    ("SHE and HE.", "neither"), ("Her film, the hero.", "she"),
])  # fmt: skip
def test_leaning_counts_whole_words(text, expected):
    assert leaning(text) == expected
