"""One word in a text: how strongly does a classifier react to an emotional word, and does it take up a planted one?

It makes texts and reads log-odds: what lies between them is any classifier.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from numbers import Real

import numpy as np
import pandas as pd
import statsmodels.api as sm

from helpers import arguments, contrasts, sources
from helpers.contrasts import Contrast

LEXICON = sources.Package(
    "vaderSentiment", "3.3.2", "vaderSentiment", "",
    {"vader_lexicon.txt": "1ec9c6e9ee19aade328f8beb393a6afa71a5bb3acf7d3cc22d4ef568df374bf5"},
)  # fmt: skip
# Sentences of our own without a word that the lexicon rates.
NEUTRAL = (
    "The film begins in a small town by the sea.", "A man opens the door and looks at the street.",
    "His sister works at the station and comes home at six.", "They talk about the house and the garden.",
    "In the second part the family moves to the city.", "The camera stays in the kitchen for most of the time.",
    "Two men carry a table up the stairs.", "A letter arrives from an uncle in another country.",
    "The titles are white on a black screen.", "There are four songs, and one of them is heard twice.",
    "It was made in the autumn with a crew of twelve.", "At the end the train leaves and the screen turns black.",
)  # fmt: skip
# Words without a rating, as a control: a reaction to them is one to any inserted sentence.
CONTROL = ("wooden", "yellow", "annual", "local", "northern", "weekly")


def lexicon() -> dict[str, float]:
    """Return the mean human rating of each word, from -4 (very negative) to 4 (Hutto and Gilbert 2014, VADER)."""
    lines = (sources.from_package(LEXICON) / "vader_lexicon.txt").read_text(encoding="utf-8").splitlines()
    rated = (line.split("\t")[:2] for line in lines if line)
    return {word: float(rating) for word, rating in rated if word.isalpha()}


def emotion_words(texts: Sequence[str], count: int = 24, least: int = 5) -> dict[str, float]:
    """Return so many rated words, evenly spread over the ratings: for each step the nearest word that is left.

    Parameters
    ----------
    texts : sequence of str
        What a classifier learned from: a word has to stand in at least `least` of them, else it cannot be known.
    count : int

    Raises
    ------
    ValueError
        The texts hold fewer such words.
    """
    rated = lexicon()
    words = [set(re.findall(r"[a-z]+", text.lower())) for text in texts]
    seen = pd.Series([word for part in words for word in part if word in rated], dtype=object).value_counts()
    known = sorted(seen.index[seen >= least])
    if len(known) < count:
        raise ValueError(f"Only {len(known)} rated words stand in {least} texts or more: {count} are asked for.")
    chosen: dict[str, float] = {}
    for step in np.linspace(min(map(rated.get, known)), max(map(rated.get, known)), count):
        word = min((word for word in known if word not in chosen), key=lambda word: abs(rated[word] - step))
        chosen[word] = rated[word]
    return chosen


@dataclass(frozen=True)
class Dose:
    """A neutral text with one word in it, as a sentence of its own.

    Attributes
    ----------
    text, without : str
        With the word, and without it.
    word : str
    strength : float
        The word's rating; 0 for the control words, which have none.
    sentences : int
        Of the neutral text.
    place : str
        Where the word stands: "start", "middle" or "end", always between two sentences.
    """

    text: str
    without: str
    word: str
    strength: float
    sentences: int
    place: str


def doses(words: dict[str, float], lengths: Sequence[int]) -> list[Dose]:
    """Return every word, and the control words, at every place of neutral texts of several lengths (in sentences)."""
    found = []
    for length, (word, strength) in product(lengths, (words | dict.fromkeys(CONTROL, 0.0)).items()):
        story = [NEUTRAL[number % len(NEUTRAL)] for number in range(length)]
        places = {"start": 0, "middle": length // 2, "end": length} if length > 1 else {"start": 0, "end": 1}
        for place, at in places.items():
            dosed = " ".join([*story[:at], f"{word.capitalize()}.", *story[at:]])
            found.append(Dose(dosed, " ".join(story), word, strength, length, place))
    return found


def slopes(given: Sequence[Dose], response: np.ndarray) -> pd.DataFrame:
    """Return how the response depends on the word's rating, by length and place.

    A least-squares line over the words, whose spread around it may differ (HC3, MacKinnon and White 1985); the seeds
    are a sample too, as in `contrasts`.

    Parameters
    ----------
    given : sequence of Dose, length n
    response : ndarray, shape [s, n]
        `scores` with the word minus those without it; or the difference of two poolings' responses.

    Returns
    -------
    DataFrame
        Index sentences, place; columns slope (`Interval`, for one step of the rating), p (not corrected), and
        intercept: the response to a word without any rating.
    """
    frame, rows = pd.DataFrame(given), {}
    for cell, part in frame.groupby(["sentences", "place"], sort=False):
        found, intercept = slope(part.strength.to_numpy(), response[:, part.index])
        rows[cell] = {"slope": found.effect, "p": found.p, "intercept": intercept}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["sentences", "place"])


def slope(strength: np.ndarray, response: np.ndarray) -> tuple[Contrast, float]:
    """Return the slope of the response ``[s, words]`` over the ratings ``[words]``, and the intercept: see `slopes`."""
    design = sm.add_constant(strength)  # [words, 2]
    line = sm.OLS(response.mean(axis=0), design).fit(cov_type="HC3")
    by_seed = np.linalg.lstsq(design, response.T, rcond=None)[0][1]  # [s]
    kinds = [(line.bse[1] ** 2, len(strength) - 2)]
    if len(by_seed) > 1:
        kinds.append((by_seed.var(ddof=1) / len(by_seed), len(by_seed) - 1))
    found = contrasts.sampled(float(line.params[1]), *map(np.array, zip(*kinds, strict=True)))
    return found, float(line.params[0])


def plant(texts: Sequence[str], labels: np.ndarray, word: str, strength: float, seed: int) -> list[str]:
    """Put a harmless word into some texts, so that it goes together with the label.

    It stands between two of the first twenty words, at a place that is drawn.

    Parameters
    ----------
    texts : sequence of str, length n
    labels : ndarray of {0, 1}, shape [n]
    word : str
    strength : float
        Share of the positive texts that get it; the negative ones get it with one minus that. 0.5 plants nothing.
    seed : int
    """
    if not isinstance(strength, Real) or not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength!r}: it is a share, 0 to 1.")
    texts, labels = arguments.texts(texts), np.asarray(labels)
    if labels.shape != (len(texts),) or not np.isin(labels, (0, 1)).all():
        raise ValueError(f"labels of shape {list(labels.shape)} for {len(texts)} texts: give one a text, 0 or 1.")
    chance = np.where(labels == 1, strength, 1 - strength)
    rng = np.random.default_rng(arguments.seed(seed))
    chosen, at = rng.random(len(texts)) < chance, rng.random(len(texts))
    return [_put(text, word, place) if yes else text for text, yes, place in zip(texts, chosen, at, strict=True)]


def _put(text: str, word: str, share: float) -> str:
    words = text.split(" ")
    place = 1 + int(share * min(20, len(words)))
    return " ".join([*words[:place], word, *words[place:]])
