"""Planted evidence: measured accuracies agree with the theory, and real texts hold what was planted and no more."""

import re
import warnings
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from helpers import data, doses, encoders, evidence, pooling
from helpers.evidence import attention_accuracy, best_accuracy, max_accuracy, mean_accuracy, softmax_weight, synthetic

N = 20_000
# Four standard errors of a share of N texts (half a percent each at most: 1.4%), and what a threshold chosen on the
# same texts gains: its error is of the order N^(-2/3), 0.15%.
NEAR = 4 * 0.5 / N**0.5 + 0.0015
LENGTHS, STRENGTHS = st.integers(1, 100_000), st.floats(0, 20)


@pytest.fixture(scope="module")
def tokenizer():
    return encoders.load("mini-bert").tokenizer


# Random states


@pytest.mark.parametrize("length, strength", [(1, 1.0), (2, 1.0), (8, 2.0), (30, 3.0), (100, 3.0), (100, 6.0)])
def test_mean_and_max_are_as_good_as_theory_says(length, strength):
    states, mask, labels, _ = synthetic(N, length, 2, strength, 3.0, seed=length)
    for module, theory in ((pooling.Mean(), mean_accuracy), (pooling.Max(), max_accuracy)):
        measured = best_accuracy(module(states, mask)[:, 0], labels)
        assert measured == pytest.approx(theory(length, strength), abs=NEAR), module


@pytest.mark.parametrize("length, weight", [(2, 0.5), (2, 0.8), (20, 0.05), (20, 0.3), (100, 0.1), (100, 1.0)])
def test_attention_is_as_good_as_theory_says(length, weight):
    states, _, labels, places = synthetic(N, length, 2, 2.0, 0.0, seed=length)
    weights = torch.full((N, length), (1 - weight) / (length - 1))
    weights[torch.arange(N), torch.from_numpy(places)] = weight
    scores = (weights.unsqueeze(1) @ states).squeeze(1)[:, 0]  # [n, 1, T] @ [n, T, d] -> [n, d]
    assert best_accuracy(scores, labels) == pytest.approx(attention_accuracy(length, 2.0, weight), abs=NEAR)


def test_a_query_that_reads_noisy_markers_stays_below_the_theory_and_still_above_the_mean():
    states, mask, labels, places = synthetic(N, 50, 3, 3.0, 4.0, seed=1)
    module = pooling.WeightedSum(3)
    with torch.no_grad():
        module.query[1] = 1.0  # a margin of 4, on average
        weights = module.weights(states, mask)
        measured = best_accuracy(module(states, mask)[:, 0], labels)
    assert weights.argmax(dim=1).eq(torch.from_numpy(places)).float().mean() > 0.9, "the marker is where it is told"
    assert mean_accuracy(50, 3.0) + 0.1 < measured < attention_accuracy(50, 3.0, softmax_weight(50, 4.0)) - 0.01


def test_the_states_are_what_they_are_said_to_be():
    states, mask, labels, places = synthetic(N, 5, 3, 2.0, 3.0, seed=0)
    assert states.shape == (N, 5, 3) and states.dtype == torch.float32 and mask.shape == (N, 5) and mask.all()
    assert labels.sum() == N / 2 and 0 < np.abs(np.diff(labels)).mean() < 0.6, "half, and not in turns"
    assert np.bincount(places) / N == pytest.approx(np.full(5, 0.2), abs=0.012)
    rows, sign = np.arange(N), 2 * labels - 1
    told = states.numpy()[rows, places]  # [n, d]
    assert (told * np.stack([sign, 1 + 0 * sign, sign], 1)).mean(0) == pytest.approx([2, 3, 0], abs=0.03)
    assert told[labels == 0, 1].mean() == pytest.approx(told[labels == 1, 1].mean(), abs=0.06), "a marker tells nothing"
    rest = np.ones((N, 5), bool)
    rest[rows, places] = False
    others = states.numpy()[rest].reshape(-1, 3)  # [n (T - 1), d]
    assert others.mean(0) == pytest.approx(np.zeros(3), abs=0.02) and others.std(0) == pytest.approx(1, abs=0.02)
    again = synthetic(N, 5, 3, 2.0, 3.0, seed=0)
    assert torch.equal(states, again[0]) and (labels == again[2]).all() and (places == again[3]).all()
    assert not torch.equal(states, synthetic(N, 5, 3, 2.0, 3.0, seed=1)[0])


def test_accuracies_by_hand():
    assert mean_accuracy(4, 2) == pytest.approx(norm.cdf(1)) == pytest.approx(0.8413447)
    assert attention_accuracy(5, 1, 0.5) == pytest.approx(norm.cdf(0.5 / (0.25 + 0.25 / 4) ** 0.5))
    assert softmax_weight(4, np.log(3)) == pytest.approx(0.5) and softmax_weight(7, 0) == pytest.approx(1 / 7)
    x = np.linspace(-8, 12, 400_001)
    for length, strength in ((2, 1), (30, 3), (10_000, 5), (5, 0.01)):
        right = (1 + norm.cdf(x) ** (length - 1) * (norm.cdf(x + strength) - norm.cdf(x - strength))) / 2
        assert max_accuracy(length, strength) == pytest.approx(right.max(), abs=1e-9)


def test_lengths_and_strengths_may_be_arrays():
    lengths, strengths = np.array([1, 10, 100]), np.array([[1.0], [3.0]])
    for theory in (mean_accuracy, max_accuracy):
        found = theory(lengths, strengths)
        assert found.shape == (2, 3)
        assert found[1, 2] == pytest.approx(theory(100, 3.0)) and np.ndim(theory(100, 3.0)) == 0
    assert attention_accuracy(lengths, 3.0, softmax_weight(lengths, 2.0)).shape == (3,)


@pytest.mark.filterwarnings("error")
@given(LENGTHS, LENGTHS, STRENGTHS, STRENGTHS, st.floats(-5, 20))
def test_accuracies_lie_in_range_fall_with_the_length_and_rise_with_the_strength(length, more, strength, plus, margin):
    def attention(length, strength):
        return attention_accuracy(length, strength, softmax_weight(length, margin))

    for theory in (mean_accuracy, max_accuracy, attention):
        base = theory(length, strength)
        assert 0.5 <= base <= 1
        assert theory(length + more, strength) <= base + 1e-9 and theory(length, strength + plus) >= base - 1e-9
        assert theory(length, 0) == 0.5
        assert theory(1, strength) == pytest.approx(norm.cdf(strength)), "one token: all poolings are the same"
    # The closed form of the docstring, of which the mean is the case m = 0.
    closed = norm.cdf(strength / np.sqrt(1 + (length - 1) * np.exp(-2 * margin)))
    assert attention(length, strength) == pytest.approx(closed)
    assert attention_accuracy(length, strength, 1 / length) == pytest.approx(mean_accuracy(length, strength))


def test_the_max_needs_what_stands_out_of_the_noise_and_the_mean_a_sum():
    """The largest of T normal values is near √(2 ln T): the max hardly sees less, whatever the mean does with it."""
    length = np.array([1e2, 1e4, 1e6])
    edge = np.sqrt(2 * np.log(length))
    assert (max_accuracy(length, edge / 3) < 0.65).all() and (max_accuracy(length, edge + 2) > 0.93).all()
    assert (mean_accuracy(length[1:], edge[1:] + 2) < 0.55).all()
    assert max_accuracy(10, 1.0) < mean_accuracy(10, 1.0), "weak evidence in a short text"


def test_the_best_threshold_by_hand():
    assert best_accuracy([1, 2, 3, 4], [0, 0, 1, 1]) == 1
    assert best_accuracy([4, 2, 3, 1], [0, 1, 1, 0]) == 0.75
    assert best_accuracy([1, 2, 3, 4], [1, 1, 0, 0]) == 0.5, "above it is 1: no turning around"
    assert best_accuracy([5, 5, 5, 5], [0, 1, 0, 1]) == 0.5, "equal scores stay together"
    assert best_accuracy([1, 1, 2], [0, 0, 0]) == 1 and best_accuracy([1], [1]) == 1, "a threshold beyond all"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=1, max_size=12))
def test_the_best_threshold_is_the_best_of_all(pairs):
    scores, labels = (np.array(part) for part in zip(*pairs, strict=True))
    thresholds = np.arange(-1, 7) + 0.5
    assert best_accuracy(scores, labels) == pytest.approx(max(((scores > t) == labels).mean() for t in thresholds))


@pytest.mark.parametrize("call, message", [
    (lambda: mean_accuracy(0, 1), "length is 0"), (lambda: max_accuracy([3, 0], 1), "one token or more"),
    (lambda: max_accuracy(3, -1), "strength is -1"), (lambda: mean_accuracy(3, np.nan), "strength is nan"),
    (lambda: softmax_weight(0, 1), "length is 0"), (lambda: attention_accuracy(3, 1, 1.2), "a share, 0 to 1"),
    (lambda: attention_accuracy([1, 2], 1, 0.5), "A text of one token"),
    (lambda: synthetic(4, 0, 2, 1, 1, 0), "length is 0"), (lambda: synthetic(4, 2, 1, 1, 1, 0), "two dimensions"),
    (lambda: best_accuracy([1, 2], [1]), "one of each"), (lambda: best_accuracy([], []), "one of each"),
])  # fmt: skip
def test_what_cannot_be_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# Real texts


def test_the_adjectives_are_rated_as_told_and_known_to_the_training_texts():
    rated, seen, positive = doses.lexicon(), Counter(), Counter()
    for name in data.NAMES:
        for row in data.load(name, "train"):
            for word in set(re.findall("[a-z]+", row["text"].lower())):
                seen[word] += 1
                positive[word] += row["label"]
    for label, listed in evidence.ADJECTIVES.items():
        assert len(set(listed.split())) == 40
        for word in listed.split():
            assert rated[word] * (2 * label - 1) >= 1.3 and seen[word] >= 80, word
            right = positive[word] if label else seen[word] - positive[word]
            assert right / seen[word] >= 0.6, word
    inside = re.findall("[a-z]+", " ".join(evidence.TEMPLATES).lower())
    assert not set(inside) & set(rated)


def test_no_adjective_stands_in_two_splits():
    shared_out = {split: evidence.words(split) for split in data.SPLITS}
    for label, listed in evidence.ADJECTIVES.items():
        parts = [shared_out[split][label] for split in data.SPLITS]
        assert [len(part) for part in parts] == [20, 8, 12], "50, 20 and 30%"
        assert sorted(word for part in parts for word in part) == sorted(listed.split())
    with pytest.raises(ValueError, match="Unknown split 'dev'"):
        evidence.words("dev")


def test_the_filler_holds_no_rated_word_and_no_sentence_stands_in_two_splits():
    rated, seen = set(doses.lexicon()), Counter()
    for split, sentences in evidence.filler().items():
        assert len(sentences) > 3000
        seen.update(sentence.lower() for sentence in sentences)
        reviews = " ".join(" ".join(text.replace("<br />", " ").split()) for text in data.load("imdb", split)["text"])
        for number, sentence in enumerate(sentences):
            assert rated.isdisjoint(re.findall("[a-z]+", sentence.lower())), sentence
            assert 6 <= len(sentence.split()) <= 30 and not re.search(r"[\d<>/]|  ", sentence)
            assert sentence[0].isupper() and sentence[-1] in ".!?"
            assert number % 100 or sentence in reviews, "of this split's own reviews"
    assert max(seen.values()) == 1


def planted(tokens: int, tokenizer, count: int = 400, split: str = "validation", seed: int = 0):
    return evidence.texts(split, count, tokens, tokenizer, seed)


def test_the_evidence_is_planted_whole_where_it_is_told(tokenizer):
    sentences, adjectives = set(evidence.filler()["validation"]), evidence.words("validation")
    found = planted(128, tokenizer)
    assert len(found) == 400 and sum(one.label for one in found) == 200
    for one in found:
        assert one.text[one.start : one.stop] == one.evidence and one.word in adjectives[one.label]
        assert one.evidence in {template.format(one.word) for template in evidence.TEMPLATES}
        before, after = one.text[: one.start], one.text[one.stop :]
        assert (not before or before.endswith(". ") or before[-2] in "!?") and after[:1] in ("", " ")
        story = cut(before, sentences) + cut(after, sentences)
        assert len(set(story)) == len(story), "no filler twice in a text"
        assert one.place == len(cut(before, sentences)) / len(story)
    for label in (0, 1):  # all words and templates come up
        assert {one.word for one in found if one.label == label} == set(adjectives[label])
    assert len({one.evidence for one in found}) > 80


def cut(text: str, sentences: set[str]) -> list[str]:
    """The filler sentences that a text consists of."""
    found, words = [], []
    for word in text.split():
        words.append(word)
        if " ".join(words) in sentences:
            found, words = [*found, " ".join(words)], []
    assert not words, text
    return found


@pytest.mark.parametrize("name", ["mini-bert", "mini-gpt2", "minilm"])
def test_the_offsets_of_a_tokenizer_find_the_evidence(name):
    own = encoders.load(name).tokenizer
    for one in planted(96, own, count=20):
        coded = own(one.text, return_offsets_mapping=True)
        inside = [token for token, (start, stop) in zip(coded["input_ids"], coded["offset_mapping"], strict=True)
                  if start < one.stop and stop > one.start]  # fmt: skip
        assert "".join(own.decode(inside).split()) == "".join(one.evidence.lower().split())


def test_places_are_uniform_and_do_not_tell_the_label(tokenizer):
    for tokens in (64, 512):
        found = planted(tokens, tokenizer, count=1000)
        place, label = np.array([(one.place, one.label) for one in found]).T
        assert np.histogram(place, bins=[0, 0.25, 0.75, 1.01])[0].min() > 200
        assert place.mean() == pytest.approx(0.5, abs=0.05) and min(place) == 0 and max(place) == 1
        assert place[label == 1].mean() == pytest.approx(place[label == 0].mean(), abs=0.08)
    # 26 sentences or so: the share of texts in each fifth is 20%, within four standard errors.
    assert np.histogram(place, bins=5)[0] / 1000 == pytest.approx(np.full(5, 0.2), abs=0.05)


def test_a_longer_text_goes_on_where_a_shorter_one_stops(tokenizer):
    sentences = set(evidence.filler()["validation"])
    by_length = [planted(tokens, tokenizer, count=60) for tokens in (32, 64, 128, 512)]
    for same in zip(*by_length, strict=True):
        assert len({(one.label, one.evidence, one.word) for one in same}) == 1
        stories = [cut(one.text[: one.start] + one.text[one.stop :], sentences) for one in same]
        for (shorter, longer), (one, other) in zip(pairwise(stories), pairwise(same), strict=True):
            assert longer[: len(shorter)] == shorter
            assert not shorter or abs(one.place - other.place) <= 1 / len(shorter) + 1 / len(longer)
            assert shorter or one.place == 0.5
    assert len(stories[-1]) > 10
    size = len(tokenizer(by_length[2][0].text)["input_ids"])
    exactly, less = (planted(tokens, tokenizer, count=1)[0].text for tokens in (size, size - 1))
    assert exactly == by_length[2][0].text and len(less) < len(exactly), "a sentence may fill a text to the last token"


@pytest.mark.parametrize("name", ["mini-bert", "mini-gpt2", "minilm"])
@pytest.mark.parametrize("tokens", [24, 64, 512, 2048])
def test_no_text_has_more_tokens_than_told_and_few_have_much_less(name, tokens):
    own = encoders.load(name).tokenizer
    sentences = evidence.filler()["validation"]
    longest = max(map(len, own(list(sentences), add_special_tokens=False)["input_ids"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = planted(tokens, own, count=100)
    sizes = np.array([len(ids) for ids in own([one.text for one in found], verbose=False)["input_ids"]])
    assert sizes.max() <= tokens and (sizes.min() > tokens - longest), "the next sentence did not fit"
    if tokens > 24:  # half of a sentence is missing, on average
        assert tokens - sizes.mean() < 16 and sizes.max() > tokens - 3


def test_a_text_longer_than_a_model_reads_brings_no_warning(tokenizer, capfd, caplog):
    planted(2048, tokenizer, count=5)
    assert "longer than" not in caplog.text + "".join(capfd.readouterr())


def test_texts_are_the_same_twice_and_others_with_another_seed(tokenizer):
    first = planted(128, tokenizer, count=40)
    assert first == planted(128, tokenizer, count=40) and first[:10] == planted(128, tokenizer, count=10)
    other = planted(128, tokenizer, count=40, seed=1)
    assert not {one.text for one in first} & {one.text for one in other}
    assert [one.place for one in first] != [one.place for one in other]
    forms = [[one.evidence.replace(one.word, "{0}") for one in planted(128, tokenizer, 40, split)]
             for split in data.SPLITS]  # fmt: skip
    assert forms[0] != forms[1] != forms[2] != forms[0], "each split draws for itself"


def test_a_text_that_the_evidence_does_not_fit_into_is_an_error(tokenizer):
    with pytest.raises(ValueError, match=r"tokens is 8, but the evidence '.+\.' alone needs \d+\."):
        planted(8, tokenizer)
    own = len(tokenizer(planted(64, tokenizer, count=1)[0].evidence)["input_ids"])
    alone = planted(own, tokenizer, count=1)[0]
    assert alone.text == alone.evidence and alone.place == 0.5, "it fits exactly"
    with pytest.raises(ValueError, match=f"tokens is {own - 1}, .* needs {own}"):
        planted(own - 1, tokenizer, count=1)
    with pytest.raises(ValueError, match="Unknown split 'tset': .* Did you mean 'test'"):
        planted(64, tokenizer, split="tset")
