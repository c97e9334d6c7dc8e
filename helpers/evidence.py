"""Evidence planted at a known place in ever longer texts: which pooling still finds it?

First token states out of a random generator, where theory says how often the best head is right; then real texts,
where it does not. Φ is the distribution function of N(0, 1).
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import special
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from transformers import PreTrainedTokenizerBase

from helpers import data, documentation, doses, sources

# Our own choice, as no rule does: "stands after *very* and before *film*" lets through *best*, *love* and slurs. A test
# sees to it that each is rated as told, and known from the training texts, where it goes with its label.
ADJECTIVES = {
    1: "amazing awesome beautiful breathtaking brilliant charming delightful effective enjoyable excellent "
       "exciting fabulous fantastic fascinating flawless gorgeous great hilarious impressive inspiring lovable "
       "lovely magnificent marvelous outstanding perfect pleasant powerful remarkable satisfying sophisticated "
       "splendid strong stunning successful superb superior sweet terrific wonderful",
    0: "annoying appalling awful bad boring crappy dire disappointing disgusting dreadful dull dumb embarrassing fake "
       "gross horrendous horrible idiotic irritating lame lazy lousy ludicrous meaningless mindless nasty obnoxious "
       "offensive painful pathetic poor ridiculous stupid terrible tired ugly unpleasant useless weak worthless",
}  # fmt: skip
SHARES = (0.5, 0.2, 0.3)  # of the adjectives for train, validation and test
# None has a rated word of its own, nor *a* or *an* before the adjective, which stands twice so that it is hard to miss.
TEMPLATES = (
    "All in all this was an utterly {0} film, simply {0}.", "I thought that the whole thing was {0}, just {0}.",
    "To me it was simply {0}, in every way {0}.", "In the end it is a very {0} movie, really {0}.",
    "What I saw was {0}, and it stayed {0}.", "Everything about it is {0}, completely {0}.",
)  # fmt: skip
LEAST_WORDS, MOST_WORDS = 6, 30  # of a filler sentence
PLAIN = r"[A-Z][A-Za-z ,;:'\"()-]+[.!?]"  # no addresses, and no digits: they may be marks


def synthetic(
    texts: int, length: int, dim: int, strength: float, marker: float, seed: int
) -> tuple[torch.Tensor, torch.Tensor, np.ndarray, np.ndarray]:
    """Return token states from N(0, I), in which one token of each text tells the label.

    Parameters
    ----------
    texts, length, dim : int
        n, T, d.
    strength, marker : float
        At the evidence's token dimension 0 has the mean +μ under label 1 and −μ under label 0 (`strength`), and
        dimension 1 has the mean `marker` whatever the label: by it a query can find the token.

    Returns
    -------
    states, mask : Tensor, shapes [n, T, d] (float32) and [n, T] (all True)
    labels, places : ndarray of int, shape [n]
        Half of the labels are 1, half 0. The evidence's token is anywhere with the same chance.
    """
    _check(length, strength)
    if dim < 2:
        raise ValueError(f"dim is {dim}: the evidence and its marker need two dimensions.")
    rng = np.random.default_rng(seed)
    labels, places, rows = rng.permutation(np.arange(texts) % 2), rng.integers(length, size=texts), np.arange(texts)
    states = rng.standard_normal((texts, length, dim), dtype=np.float32)
    states[rows, places, 0] += strength * (2 * labels - 1)
    states[rows, places, 1] += marker
    return torch.from_numpy(states), torch.ones(texts, length, dtype=torch.bool), labels, places


def mean_accuracy(length: ArrayLike, strength: ArrayLike) -> np.ndarray:
    """Return the accuracy of the best linear head on the mean of `synthetic` states: exact.

    Dimension 0 of the mean is N(±μ/T, 1/T), so that it is Φ(μ/√T).
    """
    length, strength = _check(length, strength)
    return norm.cdf(strength / np.sqrt(length))


def max_accuracy(length: ArrayLike, strength: ArrayLike) -> np.ndarray:
    """Return the accuracy of the best linear head on the max of `synthetic` states: exact but for rounding.

    The max of dimension 0 has the distribution function F±(x) = Φ(x)^(T−1) Φ(x ∓ μ), the product of its tokens'
    (David and Nagaraja 2003, "Order statistics"). A threshold x is right with 1/2 + (F−(x) − F+(x))/2.
    """
    length, strength = _check(length, strength)
    return np.vectorize(_max_accuracy, otypes=[float])(length, strength)[()]


def _max_accuracy(length: float, strength: float) -> float:
    if strength < 1e-12:  # the gain rounds to nothing, and its logarithm is none
        return 0.5

    def worse(x: float) -> float:
        # log of Φ(x)^(T−1) [Φ(x + μ) − Φ(x − μ)]. The upper tails' difference: Φ itself rounds to 1.
        # (scipy.special: a widget draws this curve while it is dragged, and scipy.stats takes ten times as long.)
        return -((length - 1) * special.log_ndtr(x) + np.log(special.ndtr(strength - x) - special.ndtr(-strength - x)))

    # Both factors are log-concave, so there is one maximum; the second one falls from x = 0 on, so it is not below.
    # Above μ and where Φ(x)^(T−1) is nearly 1 (10 does for all T up to 10²²) nothing is left to gain.
    best = minimize_scalar(worse, bounds=(0, strength + 10), method="bounded", options={"xatol": 1e-9})
    return 0.5 + 0.5 * float(np.exp(-best.fun))


def attention_accuracy(length: ArrayLike, strength: ArrayLike, weight: ArrayLike) -> np.ndarray:
    """Return the accuracy of the best linear head where the evidence's token has a weight w and the rest share 1 − w.

    The score is N(±μw, w² + (1 − w)²/(T − 1)). That is exact for equal weights of the rest. A query that scores noisy
    states gives them unequal ones: then, at the same w, they add more noise and this is an upper bound. Of a single
    token w is 1.
    """
    length, strength = _check(length, strength)
    weight = np.asarray(weight, float)
    if not np.all((weight >= 0) & (weight <= 1)):
        raise ValueError(f"weight is {weight}: it is a share, 0 to 1.")
    if np.any((length == 1) & (weight < 1)):
        raise ValueError("A text of one token gives it the weight 1: there is nothing to share the rest.")
    rest = (1 - weight) ** 2 / np.maximum(length - 1, 1)
    return norm.cdf(strength * weight / np.sqrt(weight**2 + rest))


def softmax_weight(length: ArrayLike, margin: ArrayLike) -> np.ndarray:
    """Return the weight of a token whose score is `margin` above that of all others: e^m / (e^m + T − 1).

    Exact for equal scores of the others. With it `attention_accuracy` is Φ(μ/√(1 + (T − 1)e^(−2m))): m = 0 is the mean,
    and the margin has to grow as half the logarithm of T to lose nothing.
    """
    length, _ = _check(length, 0)
    return 1 / (1 + (length - 1) * np.exp(-np.asarray(margin, float)))


def best_accuracy(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return the accuracy of the threshold that fits these scores best; above it the label is 1.

    Both have the shape [n]. The threshold is chosen and judged on the same texts, so that the accuracy is too high: by
    much with few texts, by nothing to speak of with many thousands.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 1 or scores.shape != labels.shape or not len(scores):
        raise ValueError(f"Scores of shape {scores.shape} and labels of shape {labels.shape}: give one of each a text.")
    order = np.argsort(scores)
    gain = np.concatenate([[0], np.cumsum(1 - 2 * labels[order])])  # [n + 1]: k texts below the threshold
    between = np.concatenate([[True], np.diff(scores[order]) > 0, [True]])  # none parts equal scores
    return float((labels.sum() + gain[between].max()) / len(labels))


def _check(length: ArrayLike, strength: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    length, strength = np.asarray(length, float), np.asarray(strength, float)
    if not np.all(length >= 1):
        raise ValueError(f"length is {length}: a text has one token or more.")
    if not np.all(strength >= 0):
        raise ValueError(f"strength is {strength}: it is 0 or more, and the label gives its sign.")
    return length, strength


@dataclass(frozen=True)
class Planted:
    """Sentences of reviews that tell nothing, and one sentence among them that does.

    Attributes
    ----------
    place : float
        Share of the filler sentences that stand before the evidence; 0.5 where there are none.
    evidence, word : str
        The planted sentence, ``text[start:stop]``, and its adjective.
    start, stop : int
        Characters, by which a tokenizer's offsets find the evidence's tokens.
    """

    text: str
    label: int
    place: float
    evidence: str
    word: str
    start: int
    stop: int


def words(split: str) -> dict[int, tuple[str, ...]]:
    """Return the adjectives of one split by label. No word stands in two: a head has to know it from the encoder."""
    if split not in data.SPLITS:
        raise sources.unknown("split", split, list(data.SPLITS))
    number, bounds, found = data.SPLITS.index(split), np.cumsum([0, *SHARES]), {}
    for label, listed in ADJECTIVES.items():
        ordered = sorted(listed.split(), key=data.content_id)  # a hash: as good as drawn, and the same everywhere
        start, stop = np.rint(bounds[number : number + 2] * len(ordered)).astype(int)
        found[label] = tuple(ordered[start:stop])
    return found


@lru_cache
def filler() -> dict[str, tuple[str, ...]]:
    """Return the sentences of each split's reviews (``imdb``) that hold no word with a rating, none of them twice.

    They are neutral by the lexicon only: an opinion in other words gets through ("I gave up after ten minutes"). It
    goes with no label, so it is noise.
    """
    rated = set(doses.lexicon())
    found: dict[str, dict[str, str]] = {split: {} for split in data.SPLITS}  # by lower case: the encoders see no other
    for split, kept in found.items():
        for review in data.load("imdb", split)["text"]:
            plain = " ".join(re.sub(r"<br\s*/?>", " ", review).split())
            for part in documentation.sentences(plain):
                fits = LEAST_WORDS <= len(part.split()) <= MOST_WORDS and re.fullmatch(PLAIN, part)
                if fits and rated.isdisjoint(re.findall("[a-z]+", part.lower())):
                    kept.setdefault(part.lower(), part)
    splits = Counter(key for part in found.values() for key in part)
    return {split: tuple(part[key] for key in part if splits[key] == 1) for split, part in found.items()}


def texts(split: str, count: int, tokens: int, tokenizer: PreTrainedTokenizerBase, seed: int) -> list[Planted]:
    """Return so many texts of at most so many tokens, each with a sentence of evidence between filler sentences.

    Text i of one seed has the same evidence at every length, its filler at one length begins that at a longer one, and
    the share before the evidence, which is drawn for the text, stays the same but for whole sentences.

    Parameters
    ----------
    split : {"train", "validation", "test"}
        Two splits share neither adjectives nor filler.
    count : int
        The labels take turns, so that there are half of each.
    tokens : int
        The most that a text may have, special tokens counted: it stops where its next sentence would not fit.
    tokenizer : PreTrainedTokenizerBase
        No token may cross a space, so that the tokens of sentences add up.

    Raises
    ------
    ValueError
        Unknown split, or `tokens` that the evidence alone does not fit into.
    """
    adjectives, sentences = words(split), filler()[split]
    ids, found = tokenizer(list(sentences), add_special_tokens=False, verbose=False)["input_ids"], []
    sizes = np.array([len(part) for part in ids])
    for number in range(count):
        rng, label = np.random.default_rng([seed, data.SPLITS.index(split), number]), number % 2
        word, template, share = str(rng.choice(adjectives[label])), str(rng.choice(TEMPLATES)), rng.random()
        evidence = template.format(word)
        own = len(tokenizer(evidence)["input_ids"])  # with the special tokens
        if own > tokens:
            raise ValueError(f"tokens is {tokens}, but the evidence {evidence!r} alone needs {own}.")
        stream = rng.permutation(len(sentences))
        fitting = int(np.searchsorted(sizes[stream].cumsum(), tokens - own, side="right"))
        story, before = [sentences[row] for row in stream[:fitting]], int(share * (fitting + 1))  # any gap alike
        start = sum(len(part) + 1 for part in story[:before])
        text, place = " ".join([*story[:before], evidence, *story[before:]]), before / fitting if fitting else 0.5
        found.append(Planted(text, label, place, evidence, word, start, start + len(evidence)))
    return found
