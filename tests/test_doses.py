"""One word in a text: planted doses are recovered through a real pooling, and control words move nothing."""

import re

import numpy as np
import pytest
from scipy import stats

from helpers import doses, pooling
from helpers.doses import CONTROL, emotion_words, lexicon, plant, slopes
from tests.bag import classifier

WORDS = {"awful": -3.0, "bad": -2.0, "fine": 1.0, "good": 2.0, "great": 3.0, "warm": 1.5, "poor": -1.5, "dull": -1.7}
LENGTHS = (1, 2, 8)


def test_the_neutral_story_and_the_control_hold_no_rated_word():
    rated = lexicon()
    assert [word for word in re.findall("[a-z]+", " ".join(doses.NEUTRAL).lower()) if word in rated] == []
    assert not set(CONTROL) & set(rated)
    assert rated["great"] == 3.1 and rated["awful"] == -2.0 and len(rated) > 5000


def test_a_dose_is_a_sentence_between_sentences():
    found = doses.doses(WORDS, LENGTHS)
    assert len(found) == (2 + 3 + 3) * (len(WORDS) + len(CONTROL))
    for one in found:
        dose = f"{one.word.capitalize()}."
        assert one.text.replace(dose, "").split() == one.without.split(), "nothing else differs"
        before, after = one.text.split(dose)
        assert before == "" or before.endswith(". "), "it stands between two sentences"
        counts = before.count("."), after.count(".")
        assert sum(counts) == one.sentences
        assert counts[0] == {"start": 0, "middle": one.sentences // 2, "end": one.sentences}[one.place]
        assert one.strength == WORDS.get(one.word, 0.0)


def test_a_planted_dose_is_recovered_from_the_texts_themselves(bert):
    """Words of known value, read by a classifier without context: under the mean a dose thins out with the length."""
    story = ["the film is long", "the end is the best", "a film and the end"]
    values = {"warm": 2.0, "dull": -2.0, "fine": 1.0}  # words of the tiny tokenizer
    for module, thins in ((pooling.Mean(), True), (pooling.Max(), False)):
        model = classifier(bert, module, values)
        given = [doses.Dose(" ".join([*story[:length], word]), " ".join(story[:length]), word, strength, length, "end")
                 for length in (1, 3) for word, strength in (values | {"slow": 0.0, "far": 0.0}).items()]  # fmt: skip
        response = (model.logits([one.text for one in given]) - model.logits([one.without for one in given])).numpy()
        found = slopes(given, response[None])
        short, long = (found.slope[length, "end"].value for length in (1, 3))
        tokens = [len(bert.tokens([" ".join([*story[:length], "warm"])], 32)[0]) for length in (1, 3)]
        if thins:
            assert (short, long) == pytest.approx([1 / size for size in tokens], abs=1e-4)
            assert found.intercept[1, "end"] == pytest.approx(0, abs=1e-4)
        else:
            assert short == pytest.approx(long, abs=1e-4) and short > 0.3


def test_a_null_has_no_slope():
    """18 intervals at 95%: one is expected to leave zero out; five or more happen in 2 of 1,000."""
    rng, given, missed = np.random.default_rng(3), doses.doses(WORDS, (2, 8)), 0
    for _ in range(3):
        found = slopes(given, rng.normal(0, 1, (3, len(given))) + rng.normal(0, 1, (1, len(given))))
        missed += sum(not one.low < 0 < one.high for one in found.slope)
    assert missed < 5


def test_seeds_that_disagree_widen_a_slope():
    given = doses.doses(WORDS, (2,))
    strengths = np.array([one.strength for one in given])
    found = slopes(given, np.array([0.2, 1.0, 1.8])[:, None] * strengths).slope[2, "end"]
    assert found.value == pytest.approx(1.0) and found.high - found.low > 3


def test_a_slope_by_hand():
    """Words that scatter more at the ends: the sandwich of MacKinnon and White (1985, HC3), with n − 2 degrees."""
    rng, x = np.random.default_rng(4), np.linspace(-3, 3, 20)
    y = 0.3 * x + rng.normal(0, 0.1 + 0.3 * np.abs(x))
    found, intercept = doses.slope(x, y[None])
    away = x - x.mean()
    by_hand = (away @ y) / (away @ away)
    left = y - y.mean() - by_hand * away
    leverage = 1 / len(x) + away**2 / (away @ away)
    error = np.sqrt(np.sum((away * left / (1 - leverage)) ** 2)) / (away @ away)
    assert (found.effect.value, intercept) == pytest.approx((by_hand, y.mean() - by_hand * x.mean()))
    assert found.error == pytest.approx(error) and found.freedom == pytest.approx(18)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(by_hand) / error, 18))


def test_emotion_words_are_spread_over_the_ratings_and_known_to_the_texts():
    texts = [f"{word} film" for word in WORDS for _ in range(5)] + ["a terrific film"]
    rated = lexicon()
    found = list(emotion_words(texts, count=4))
    ratings = [rated[word] for word in found]
    assert set(found) <= set(WORDS) and ratings == sorted(ratings)
    low, high = (end(map(rated.get, WORDS)) for end in (min, max))
    # Each is the nearest to its step; so the middle is there, and not the extremes alone.
    assert np.abs(np.array(ratings) - np.linspace(low, high, 4)).max() < 1.1
    with pytest.raises(ValueError, match="rated words stand in 5 texts or more"):
        emotion_words(texts, count=50)


def test_a_planted_word_goes_with_the_label_as_told():
    labels, texts = np.arange(4000) % 2, ["some film that I saw"] * 4000
    has = np.array(["umbrella" in text for text in plant(texts, labels, "umbrella", 0.8, seed=0)])
    assert has[labels == 1].mean() == pytest.approx(0.8, abs=0.03)
    assert has[labels == 0].mean() == pytest.approx(0.2, abs=0.03)
    half = np.array(["umbrella" in text for text in plant(texts, labels, "umbrella", 0.5, 0)])
    assert half[labels == 1].mean() == pytest.approx(half[labels == 0].mean(), abs=0.05)
    assert plant(texts, labels, "umbrella", 0.8, 0) != plant(texts, labels, "umbrella", 0.8, 1)
    with pytest.raises(ValueError, match="a share"):
        plant(texts[:1], labels[:1], "umbrella", 80, 0)


def test_a_planted_word_stands_where_it_is_read():
    texts = plant(["word " * 300] * 500, np.ones(500), "umbrella", 1.0, 0)
    places = {text.split().index("umbrella") for text in texts}
    assert places == set(range(1, 21)), "after the first word, within the first twenty"
