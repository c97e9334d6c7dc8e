"""Words and tokens: each token belongs to one word, whatever the text."""

import pytest
import torch

from helpers.words import words_of


def test_words_are_what_stands_between_spaces(bert, gpt2):
    text = "A warm,  funny film — 👩‍👩‍👧 <b>dull</b>"
    for encoder in (bert, gpt2):
        found = words_of(encoder, text, 40)
        assert found.words == ["A", "warm,", "funny", "film", "—", "👩‍👩‍👧", "<b>dull</b>"]
        assert len(found.of_token) == len(encoder.tokens([text], 40)[0])
        inside = [number for number in found.of_token if number >= 0]
        assert inside == sorted(inside) and set(inside) == set(range(7)), "in order, and each word has a token"
    assert words_of(bert, text, 40).of_token[0] == words_of(bert, text, 40).of_token[-1] == -1


def test_a_words_score_is_the_sum_of_its_tokens(bert):
    words = words_of(bert, "a warm, film", 32)
    scores = torch.arange(len(words.of_token), dtype=torch.float32)
    assert words.sums(scores).sum() == sum(score for score, number in enumerate(words.of_token) if number >= 0)
    assert words.sums(scores)[0] == 1.0, "the first token is [CLS]"


@pytest.mark.parametrize("text", ["", "   ", "\u202eedisrevo", "a" * 300])
def test_strange_texts_have_words_too(bert, text):
    found = words_of(bert, text, 16)
    assert found.words == (text.split()[:1] if text.strip() else [])
    assert all(-1 <= number < max(1, len(found.words)) for number in found.of_token)


def test_scores_of_another_text_are_refused(bert):
    words = words_of(bert, "a warm film", 32)
    assert words.sums(torch.tensor([9.0, 1.0, 2.0, 3.0, 9.0, 0.0, 0.0])).tolist() == [1.0, 2.0, 3.0], "padding is zero"
    for wrong in (torch.ones(4), torch.ones(9)):
        with pytest.raises(ValueError, match="not of the same text"):
            words.sums(wrong)
