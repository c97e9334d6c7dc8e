"""Fairness: the sentences are balanced, planted gaps are recovered, and a null control recovers nothing."""

import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers import fairness, templates
from helpers.doses import lexicon
from helpers.fairness import leaning, pair_sizes, score_gaps

PEOPLE, PLACES = templates.people(), templates.places()
BOTH = PEOPLE + PLACES


# The sentences


def test_there_are_enough_templates_balanced_over_the_emotions():
    assert len({one.template for one in BOTH}) == 24
    for part in (PEOPLE, PLACES):
        of_emotion = {(one.template, one.emotion) for one in part}
        assert Counter(emotion for _, emotion in of_emotion) == {"positive": 4, "negative": 4, "neutral": 4}
        assert {one.wording for one in part} == {0, 1, 2}
    assert len({one.text for one in BOTH}) == len(BOTH), "no sentence stands twice"


def test_the_two_sides_of_a_pair_differ_in_the_person_alone():
    """Filled by hand with marks for the person, both sides are the template."""
    wordings = [(number, wording, text) for number, (_, part) in enumerate(templates._numbered(templates.PEOPLE))
                for wording, text in enumerate(part)]  # fmt: skip
    texts = {(one.slot, one.group, one.template, one.wording, one.filler): one.text for one in PEOPLE}
    for number, wording, text in wordings:
        assert re.search(r"\{they\}|\{their\}|\{them\}", text), "each wording has a pronoun"
        for slot, group, filler, who in (("name", "female", 2, "Emily"), ("name", "male", 1, "Christopher"),
                                         ("kin", "male", 3, "my uncle"), ("pronoun", "female", 0, "she")):  # fmt: skip
            forms = ("she", "her", "her") if group == "female" else ("he", "his", "him")
            own = text.format(who=who, they=forms[0], their=forms[1], them=forms[2])
            assert texts[slot, group, number, wording, filler] == own[0].upper() + own[1:]


def test_a_sentence_reads_well():
    for one in BOTH:
        assert one.text[0].isupper() and one.text.endswith(".") and not re.search(r"[{}]|  ", one.text)
        assert not re.search(r"\b[Aa] [AEIO]", one.text), one.text
    assert "An Indian film, and a delight all the way." in [one.text for one in PLACES]
    assert "As the clown my nephew is very funny, and everybody laughs with him." in [one.text for one in PEOPLE]


def test_neutral_templates_hold_no_rated_word():
    rated = lexicon()
    texts = [text for part in (templates.PEOPLE, templates.PLACES) for wordings in part["neutral"] for text in wordings]
    assert len(texts) == 24
    assert [word for text in texts for word in re.findall("[a-z]+", text.lower()) if word in rated] == []


# Gaps


def made_up(rng, gap=0.0, nation=0.0, of_names=0.0, noise=0.1, seeds=3) -> np.ndarray:
    """Scores of some classifiers that like men better by some gap, and one nation, and each name as it comes."""
    template, own = rng.normal(0, 2, 24), Counter()
    for names in (*templates.NAMES.values(), *templates.KIN.values()):
        own.update({name: rng.normal(0, of_names) for name in names})
    base = [
        template[one.template] - gap * (one.group == "female") + nation * (one.group == "Chinese")
        + next((value for name, value in own.items() if name in one.text or name.capitalize() in one.text), 0)
        for one in BOTH
    ]  # fmt: skip
    return np.array(base) + rng.normal(0, noise, (seeds, len(BOTH)))


def test_a_planted_gap_is_recovered():
    found = score_gaps(BOTH, made_up(np.random.default_rng(0), gap=0.8, nation=1.0))
    for slot in ("name", "kin", "pronoun"):
        assert found.effect[f"{slot}: female − male"].value == pytest.approx(-0.8, abs=0.05)
        assert found.p[f"{slot}: female − male"] < 1e-3
        assert found.effect[f"{slot}: female − male, positive − negative"].value == pytest.approx(0, abs=0.1)
    # One nation is 1 above the nine others: 0.9 above the mean of all ten.
    assert found.effect["nation: Chinese − mean"].value == pytest.approx(0.9, abs=0.05)
    assert found.effect["nation: Indian − mean"].value == pytest.approx(-0.1, abs=0.05)
    assert len(found) == 2 * (3 + 10)


def test_a_gap_that_turns_round_with_the_emotion_is_found():
    sign = {"positive": 1.0, "negative": -1.0, "neutral": 0.0}
    scores = np.array([[0.5 * sign[one.emotion] * (one.group == "female") for one in BOTH]] * 2)
    found = score_gaps(BOTH, scores + np.random.default_rng(0).normal(0, 0.05, scores.shape)).effect
    assert abs(found["kin: female − male"].value) < 0.05
    assert found["kin: female − male, positive − negative"].value == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("slot", ["name", "kin"])
def test_odd_names_are_no_gap_between_the_sexes(slot):
    """Each name and term moves the score in its own way; so other names would have other gaps.

    60 classifiers at the 5% level: 3 are expected to show a gap, and 10 or more happen in 1 of 1,000.
    """
    rng, found = np.random.default_rng(1), 0
    for _ in range(60):
        found += score_gaps(PEOPLE, made_up(rng, of_names=0.5)[:, : len(PEOPLE)]).p[f"{slot}: female − male"] < 0.05
    assert found < 10


def test_one_slot_by_hand():
    """Pronouns are what they are: templates are the sample, and wordings and seeds that agree are no new evidence."""
    own = np.random.default_rng(2).normal(0.2, 1, 24)
    scores = np.array([[own[one.template] * (one.group == "female") for one in PEOPLE]])
    by_hand = stats.ttest_1samp(own[:12], 0)
    for seeds in (1, 3):
        found = score_gaps(PEOPLE, np.repeat(scores, seeds, axis=0))
        assert found.effect["pronoun: female − male"].value == pytest.approx(own[:12].mean())
        if seeds == 1:
            assert found.p["pronoun: female − male"] == pytest.approx(by_hand.pvalue)
            assert found.effect["pronoun: female − male"].low == pytest.approx(by_hand.confidence_interval().low)


def test_names_are_two_samples_by_hand():
    """Where only names differ, it is Welch's t test of ten women's names against ten men's."""
    own = np.random.default_rng(5).normal([[0.4], [0.0]], [[1.0], [0.3]], (2, 10))  # the sexes differ in spread
    side = {"female": own[0], "male": own[1]}
    scores = np.array([[side[one.group][one.filler] if one.slot == "name" else 0.0 for one in PEOPLE]] * 2)
    found, by_hand = score_gaps(PEOPLE, scores), stats.ttest_ind(*own, equal_var=False)
    assert found.p["name: female − male"] == pytest.approx(by_hand.pvalue)
    interval = by_hand.confidence_interval()
    effect = found.effect["name: female − male"]
    assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high))


def test_a_change_with_the_emotion_by_hand():
    """Where only templates differ, it is Welch's t test of four positive gaps against four negative ones."""
    own = np.random.default_rng(6).normal(0.0, np.linspace(0.2, 2.0, 24))
    scores = np.array([[own[one.template] * (one.group == "female") for one in PEOPLE]] * 2)
    emotion = {one.template: one.emotion for one in PEOPLE}
    parts = [[own[number] for number in emotion if emotion[number] == side] for side in ("positive", "negative")]
    found, by_hand = score_gaps(PEOPLE, scores), stats.ttest_ind(*parts, equal_var=False)
    assert found.p["pronoun: female − male, positive − negative"] == pytest.approx(by_hand.pvalue)


def test_seeds_that_disagree_widen_the_interval():
    gap = np.array([-0.5, 0.1, 0.9])
    scores = np.array([[one * (sentence.group == "female") for sentence in PEOPLE] for one in gap])
    found = score_gaps(PEOPLE, scores).effect["pronoun: female − male"]
    interval = stats.ttest_1samp(gap, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-3)


def test_a_classifier_that_ignores_the_person_has_no_gap():
    scores = np.array([[float(one.template) for one in BOTH]] * 2)
    assert (score_gaps(BOTH, scores).p == 1).all() and (pair_sizes(BOTH, scores) == 0).all()


def test_one_side_alone_has_no_gap():
    women = [one for one in PEOPLE if one.group == "female"]
    with pytest.raises(ValueError, match="only female"):
        score_gaps(women, np.zeros((2, len(women))))


def test_the_size_of_a_pair_has_no_direction():
    scores = np.array([[(1 if one.wording else -2) * (one.group == "female") for one in PEOPLE]] * 2, float)
    sizes = pair_sizes(PEOPLE, scores)
    assert sizes.shape == (2, 12, 6) and np.allclose(sizes, (2 + 1 + 1) / 3)


def test_scores_are_in_units_of_the_spread_over_ordinary_texts():
    ordinary = np.array([[-2.0, 2.0], [-1.0, 1.0]])
    assert fairness.scores(np.array([[4.0], [4.0]]), ordinary).tolist() == [[2.0], [4.0]]
    for log_odds, flat in ((np.zeros((1, 3)), np.zeros((1, 5))), (np.full((1, 3), np.nan), np.eye(2)[:1])):
        with pytest.raises(ValueError, match="must be numbers that spread"):
            fairness.scores(log_odds, flat)


# Groups of texts


@pytest.mark.parametrize("text, expected", [
    ("She takes her hat. He waits.", "she"), ("He is himself, and his hat.", "he"),
    ("The hat. There, then.", "neither"),
    ("SHE and HE.", "neither"), ("Her film, the hero.", "she"),
])  # fmt: skip
def test_leaning_counts_whole_words(text, expected):
    assert leaning(text) == expected


def test_sentences_make_a_tidy_table():
    assert list(pd.DataFrame(BOTH).columns) == ["text", "slot", "group", "template", "wording", "filler", "emotion"]
