"""From tokens to words: which token belongs to which piece of a text between two spaces."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from helpers import arguments
from helpers.encoders import Encoder


@dataclass(frozen=True)
class Words:
    """The words of a text as an encoder reads it.

    Attributes
    ----------
    words : list of str
        Pieces of the text between spaces, in order, as far as the encoder reads.
    of_token : list of int
        For each token the number of its word; -1 for special tokens.
    """

    words: list[str]
    of_token: list[int]

    def sums(self, scores: Tensor) -> np.ndarray:
        """Return the sum of the scores of each word's tokens, ``[words]``; those of special tokens are left out.

        Parameters
        ----------
        scores : Tensor, shape [T]
            One score a token, padding on the right left out or not.
        """
        if not isinstance(scores, Tensor) or scores.ndim != 1:
            given = list(scores.shape) if isinstance(scores, Tensor) else arguments.brief(scores)
            raise ValueError(f"scores is {given}: give a tensor [T], one score a token.")
        arguments.numbers("scores", scores, "[T]")
        if scores[len(self.of_token) :].any() or len(scores) < len(self.of_token):
            raise ValueError(f"{len(self.of_token)} tokens and {len(scores)} scores: they are not of the same text.")
        found = np.zeros(len(self.words))
        for number, score in zip(self.of_token, scores.tolist(), strict=False):
            if number >= 0:
                found[number] += score
        return found


def words_of(encoder: Encoder, text: str, max_length: int) -> Words:
    """Return the words of a text and which token belongs to which.

    A character that the tokenizer cuts into several tokens, as many emoji, stays whole.
    """
    text, max_length = arguments.text(text), encoder.length(max_length)
    found = encoder.tokenizer(text, truncation=True, max_length=max_length, return_offsets_mapping=True)
    words, of_token, end_of_word = [], [], -1
    for start, stop in found["offset_mapping"]:
        while start < stop and text[start].isspace():  # a byte-level token holds the space before its word
            start += 1
        if start == stop:
            of_token.append(-1 if stop == 0 else len(words))  # a space of its own goes with the next word
            continue
        if start >= end_of_word:  # the whole piece between spaces, also what the tokenizer dropped at its ends
            end_of_word = next((place for place in range(start, len(text)) if text[place].isspace()), len(text))
            words.append(text[:end_of_word].split()[-1])
        of_token.append(len(words) - 1)
    return Words(words, [min(number, len(words) - 1) for number in of_token])
