"""How well an explanation holds: does the answer change when the tokens go that it names?

An explanation is one score a token, in log-odds of *positive*, as `explain` gives it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from helpers import arguments
from helpers.classifiers import Classifier
from helpers.evaluation import CONFIDENCE, RESAMPLES, Interval
from helpers.explain import around

SHARES = (0.01, 0.05, 0.10, 0.20, 0.50)  # of the tokens, as in ERASER
DRAWS = 10  # random orders


@dataclass(frozen=True)
class Erasure:
    """How far the probability of the predicted class falls, by text and share of the tokens (`SHARES`).

    Attributes
    ----------
    comprehensiveness : ndarray, shape [n, 5]
        Without the tokens of the highest scores. Higher is better.
    sufficiency : ndarray, shape [n, 5]
        With nothing but them. Lower is better.
    """

    comprehensiveness: np.ndarray
    sufficiency: np.ndarray


class Eraser:
    """Takes tokens out of some texts and asks again (ERASER, DeYoung et al. 2020).

    Parameters
    ----------
    model : Classifier
    texts : list of str, length n
    by : str
        "deletion": the tokens are cut out and the rest moves together. "hiding": they stay in their places, but no
        token and no pooling looks at them.
    """

    def __init__(self, model: Classifier, texts: list[str], by: str = "deletion"):
        if by not in ["deletion", "hiding"]:
            raise ValueError(f"by is {arguments.brief(by)}: choose 'deletion' or 'hiding'.")
        self.model, self.by = model, by
        self.tokens = model.encoder.tokens(texts, model.max_length)
        special = around(model.encoder)
        self.free = [[place for place, token in enumerate(part) if token not in special] for part in self.tokens]
        if short := [row for row, free in enumerate(self.free) if len(free) < 2]:
            raise ValueError(f"Row {short[0]} has fewer than two tokens: nothing can be taken out and something left.")
        logits = model.logits_of_tokens(self.tokens)
        self.sign = torch.where(logits > 0, 1.0, -1.0)  # [n]: the predicted class
        self.before = (self.sign * logits).sigmoid().numpy()

    def toward(self, scores: Sequence[Tensor]) -> list[Tensor]:
        """Return scores for *positive* as scores for the predicted class of each text."""
        return [sign * score for sign, score in zip(self.sign, self._fitting(scores), strict=True)]

    def erase(self, scores: Sequence[Tensor]) -> Erasure:
        """Return what happens without the tokens of the highest scores, and with them alone.

        A share of the tokens is rounded up: of ten tokens 1% and 10% are one.

        Parameters
        ----------
        scores : sequence of Tensor, length n
            Of each text one score a token, for the class that it is predicted to have (see `toward`).
        """
        gone, stay, rng = [], [], np.random.default_rng(0)
        for free, score in zip(self.free, self._fitting(scores), strict=True):
            # Among equal scores the order is drawn: the order of the text would be an explanation of its own.
            order = sorted(rng.permutation(free).tolist(), key=lambda place: -float(score[place]))
            for share in SHARES:
                count = min(math.ceil(share * len(free)), len(free) - 1)  # something goes and something stays
                gone.append(set(order[:count]))
                stay.append(set(order[count:]))
        return Erasure(*(self._fall(part) for part in (gone, stay)))

    def chance(self, seed: int = 0) -> Erasure:
        """Return the same for random orders of the tokens: the mean of ten."""
        rng = np.random.default_rng(arguments.seed(seed))
        draws = [self.erase([torch.tensor(rng.random(len(part))) for part in self.tokens]) for _ in range(DRAWS)]
        return Erasure(*(np.mean([getattr(draw, name) for draw in draws], axis=0) for name in Erasure.__annotations__))

    def most(self) -> np.ndarray:
        """Return how far the probability falls when the whole text goes, ``[n]``.

        What is left are the special tokens, or, where a model has none, the token that fills batches up.
        """
        tokenizer = self.model.encoder.tokenizer
        nothing = tokenizer("")["input_ids"] or [tokenizer.pad_token_id]
        return self.before - (self.sign * self.model.logits_of_tokens([nothing])).sigmoid().numpy()

    def _fitting(self, scores: Sequence[Tensor]) -> Sequence[Tensor]:
        """Refuse scores of other texts, or without any order."""
        if not hasattr(scores, "__len__") or len(scores) != len(self.tokens):
            given = len(scores) if hasattr(scores, "__len__") else arguments.brief(scores)
            raise ValueError(f"scores is {given}: give one tensor for each of the {len(self.tokens)} texts.")
        for row, (score, part) in enumerate(zip(scores, self.tokens, strict=True)):
            found = arguments.numbers(f"Row {row} of scores", score[: len(part)] if np.ndim(score) else score, "[T]")
            if len(found) < len(part):
                raise ValueError(f"Row {row} has {len(part)} tokens and {len(found)} scores: give one score a token.")
        return scores

    def _fall(self, gone: list[set[int]]) -> np.ndarray:
        """The fall in probability without some places, five variants of each text: ``[n, 5]``."""
        every = [part for part in self.tokens for _ in SHARES]
        if self.by == "hiding":
            logits = self.model.logits_of_tokens(every, gone)
        else:
            logits = self.model.logits_of_tokens([
                [token for place, token in enumerate(part) if place not in out]
                for part, out in zip(every, gone, strict=True)
            ])  # fmt: skip
        signs = self.sign.repeat_interleave(len(SHARES))
        after = (signs * logits).sigmoid().numpy().reshape(-1, len(SHARES))  # [n * 5] -> [n, 5]
        return self.before[:, None] - after


def gains(found: Erasure, chance: Erasure) -> np.ndarray:
    """Return what an explanation gains over a random order of the same model, by text: ``[2, n]``, more is better.

    First comprehensiveness, then sufficiency (turned round), each the mean over the shares of tokens.
    """
    return np.stack([(found.comprehensiveness - chance.comprehensiveness).mean(axis=1),
                     (chance.sufficiency - found.sufficiency).mean(axis=1)])  # fmt: skip


def faithfulness(gained: np.ndarray, most: np.ndarray, seed: int = 0) -> Interval:
    """Return a gain over chance as a part of what there is to lose in this model: 0 is no better than chance.

    Raw falls of different models cannot be compared (Edin et al. 2024, arXiv:2408.08137, who normalise by the best and
    the worst order instead). Bootstrap over the texts.

    Parameters
    ----------
    gained : ndarray, shape [n]
        One row of `gains`.
    most : ndarray, shape [n]
        `Eraser.most`.

    Raises
    ------
    ValueError
        The model has nothing to lose that could be told from zero: compare its raw gains with chance instead.
    """
    gained, most = arguments.numbers("gained", gained, "[n]"), arguments.numbers("most", most, "[n]")
    if len(gained) != len(most) or len(most) < 2:
        raise ValueError(f"gained has {len(gained)} texts and most has {len(most)}: give the same two or more of both.")
    if most.mean() < 3 * most.std(ddof=1) / len(most) ** 0.5:
        raise ValueError(f"Without its text the model's answer falls by {most.mean():+.3f} only: nothing to divide by.")
    return _ratio(gained, most, seed)


def _ratio(part: np.ndarray, whole: np.ndarray, seed: int) -> Interval:
    """A ratio of two means over the same texts, with its interval."""
    found = stats.bootstrap(
        (part, whole), lambda a, b, axis: a.mean(axis=axis) / b.mean(axis=axis), paired=True, vectorized=True,
        n_resamples=RESAMPLES, confidence_level=CONFIDENCE, method="percentile", batch=500,
        rng=np.random.default_rng(arguments.seed(seed)),
    ).confidence_interval  # fmt: skip
    return Interval(float(part.mean() / whole.mean()), float(found.low), float(found.high))


# On how many tokens does an explanation rest?


def concentration(scores: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return the effective number of tokens, ``[n]``, and the share of the largest, ``[n]``.

    Of the absolute scores p, brought to sum 1: 1 / Σ p² (Laakso and Taagepera 1979), and the largest p. The number
    grows with the length of a text: divide it by the number of tokens before you compare texts.

    Raises
    ------
    ValueError
        A text whose scores are all zero (named).
    """
    for row, score in enumerate(scores if isinstance(scores, Tensor) else [scores]):
        arguments.numbers(f"Row {row} of scores", score, "[T]")
    if not isinstance(mask, Tensor) or mask.shape != scores.shape:
        given = list(mask.shape) if isinstance(mask, Tensor) else arguments.brief(mask)
        raise ValueError(f"mask is {given} and the scores are {list(scores.shape)}: give one True or False a score.")
    size = (scores.abs() * mask).double()
    whole = size.sum(dim=1, keepdim=True)
    if (empty := (whole == 0).nonzero()).numel():
        raise ValueError(f"Row {int(empty[0, 0])} has no score but zero: it rests on no token.")
    share = size / whole
    return 1 / share.square().sum(dim=1), share.max(dim=1).values


def _rows(name: str, given: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
    if isinstance(given, str) or not hasattr(given, "__len__"):
        raise ValueError(f"{name} is {arguments.brief(given)}: give a list with one array of scores a text.")
    return given


def agreement(a: Sequence[np.ndarray], b: Sequence[np.ndarray], seed: int = 0) -> Interval:
    """Return the rank correlation (Spearman) of two scores of the same words, with a bootstrap over the texts.

    Parameters
    ----------
    a, b : sequence of ndarray, length n
        One array of scores a text; bring those of a text to one size first, where texts of different length meet.

    Raises
    ------
    ValueError
        Fewer than ten texts, or a score that is the same for all words.
    """
    a, b = ([arguments.numbers(f"Row {row} of {name}", part, "[words]") for row, part in enumerate(given)]
            for name, given in (("a", _rows("a", a)), ("b", _rows("b", b))))  # fmt: skip
    if [len(part) for part in a] != [len(part) for part in b]:
        raise ValueError("a and b have other texts, or texts of other lengths: give the same words to both.")
    if len(a) < 10 or any(np.ptp(np.concatenate(part)) == 0 for part in (a, b)):
        raise ValueError(f"{len(a)} texts, or a score without any order: ten texts are needed, and scores that differ.")

    def rank(rows: np.ndarray) -> float:
        return float(stats.spearmanr(*(np.concatenate([part[row] for row in rows]) for part in (a, b))).statistic)

    rng, n = np.random.default_rng(arguments.seed(seed)), len(a)
    drawn = [rank(rng.integers(n, size=n)) for _ in range(999)]
    low, high = np.nanquantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(rank(np.arange(n)), float(low), float(high))
