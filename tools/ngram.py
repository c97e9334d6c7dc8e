"""What a language model has to beat: word counts, and counts of pairs smoothed by Kneser and Ney."""

import numpy as np


class Unigram:
    """Each token as often as in the training line; one is added to every count."""

    def __init__(self, line: np.ndarray, vocabulary: int):
        counts = np.bincount(line, minlength=vocabulary) + 1.0
        self.log_probability = np.log(counts / counts.sum())

    def losses(self, before: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Return the loss (nats) of each token, ``[n]``; what stands before it does not count."""
        return -self.log_probability[tokens]


class Bigram:
    """Interpolated Kneser–Ney: a discounted count of the pair, and for the rest how many tokens this one follows.

    After Chen and Goodman (1999), "An empirical study of smoothing techniques for language modeling", with the
    discount n1 / (n1 + 2 n2) of Ney et al. One is added to each continuation count, so that no token is impossible.
    """

    def __init__(self, line: np.ndarray, vocabulary: int):
        self.vocabulary = vocabulary
        codes = line[:-1].astype(np.int64) * vocabulary + line[1:]  # a pair as one number
        self.pairs, self.counts = np.unique(codes, return_counts=True)
        once, twice = (self.counts == 1).sum(), (self.counts == 2).sum()
        if once == 0:
            raise ValueError("No pair of tokens occurs just once: the line is too short or too regular for a discount.")
        self.discount = once / (once + 2 * twice)
        first, second = self.pairs // vocabulary, self.pairs % vocabulary
        self.total = np.bincount(first, self.counts, vocabulary)  # [vocabulary]: how often each token is followed
        self.kinds = np.bincount(first, minlength=vocabulary)  # [vocabulary]: by how many different ones
        continuation = np.bincount(second, minlength=vocabulary) + 1.0
        self.continuation = continuation / continuation.sum()

    def losses(self, before: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Return the loss (nats) of each token after the one before it, ``[n]``."""
        codes = before.astype(np.int64) * self.vocabulary + tokens
        place = np.searchsorted(self.pairs, codes).clip(max=len(self.pairs) - 1)
        count = np.where(self.pairs[place] == codes, self.counts[place], 0)
        total = self.total[before]
        seen = total > 0  # after a token that nothing ever followed only the continuation is left
        pair = np.where(seen, np.maximum(count - self.discount, 0) / np.maximum(total, 1), 0.0)
        rest = np.where(seen, self.discount * self.kinds[before] / np.maximum(total, 1), 1.0)
        return -np.log(pair + rest * self.continuation[tokens])
