"""Does a classifier react to what should not matter, and how strongly does it react to one emotional word?

Everything here makes texts and reads log-odds: what lies between them is any classifier.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from scipy import stats

from helpers import sources
from helpers.evaluation import CONFIDENCE, Interval
from helpers.templates import NATIONS, Sentence

# Counterfactual pairs


def score_gaps(sentences: Sequence[Sentence], log_odds: np.ndarray, scale: float) -> pd.DataFrame:
    """Return the gaps in score between groups, paired within a wording, over templates.

    A template's sentences belong together, so it counts once: its mean gap. t interval and test over the templates.

    Parameters
    ----------
    sentences : sequence of Sentence, length n
    log_odds : ndarray, shape [n]
    scale : float
        Spread of the classifier's log-odds over ordinary texts: gaps are given in its units, so that classifiers whose
        scores have another size can be compared.

    Returns
    -------
    DataFrame
        Index test: "name: female − male", "kin: …", and each nation minus the mean of all. Columns effect
        (`Interval`), p (not corrected), size (mean absolute gap of a pair), n (templates).
    """
    if not (np.isfinite(log_odds).all() and scale > 0):
        raise ValueError("Log-odds and scale must be numbers, and the scale above 0.")
    frame = pd.DataFrame(sentences).assign(score=np.asarray(log_odds) / scale)
    rows = {}
    for slot, part in frame.groupby("slot", sort=False):
        if slot == "nation":
            pairs = part.assign(gap=part.score - part.groupby(["template", "wording"]).score.transform("mean"))
            tests = {f"nation: {nation} − mean": pairs[pairs.group == nation] for nation in NATIONS}
        else:
            sides = part.pivot(index=["template", "wording", "filler"], columns="group", values="score")
            tests = {f"{slot}: female − male": (sides.female - sides.male).rename("gap").reset_index()}
        for test, pairs in tests.items():
            by_template = pairs.groupby("template").gap.mean()
            rows[test] = _t(by_template) | {"size": pairs.gap.abs().mean(), "n": len(by_template)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("test")


def _t(values: pd.Series) -> dict[str, object]:
    mean = float(values.mean())
    if np.ptp(values) < 1e-12:  # a score that ignores the slot: no gap anywhere, and no spread to judge it by
        return {"effect": Interval(mean, mean, mean), "p": 1.0 if abs(mean) < 1e-12 else 0.0}
    found = stats.ttest_1samp(values, 0)
    low, high = found.confidence_interval(CONFIDENCE)
    return {"effect": Interval(mean, float(low), float(high)), "p": float(found.pvalue)}


# Dose and response

LEXICON = sources.Package(
    "vaderSentiment", "3.3.2", "vaderSentiment", "",
    {"vader_lexicon.txt": "1ec9c6e9ee19aade328f8beb393a6afa71a5bb3acf7d3cc22d4ef568df374bf5"},
)  # fmt: skip
PLACES = ("start", "middle", "end")
# Sentences of our own without a word that the lexicon rates.
NEUTRAL = (
    "The film begins in a small town by the sea.", "A man opens the door and looks at the street.",
    "His sister works at the station and comes home at six.", "They talk about the house and the garden.",
    "In the second part the family moves to the city.", "The camera stays in the kitchen for most of the time.",
    "Two men carry a table up the stairs.", "A letter arrives from an uncle in another country.",
    "The titles are white on a black screen.", "There are four songs, and one of them is heard twice.",
    "It was made in the autumn with a crew of twelve.", "At the end the train leaves and the screen turns black.",
)  # fmt: skip


def lexicon() -> dict[str, float]:
    """Return the mean human rating of each word, from -4 (very negative) to 4 (Hutto and Gilbert 2014, VADER)."""
    lines = (sources.from_package(LEXICON) / "vader_lexicon.txt").read_text(encoding="utf-8").splitlines()
    rated = (line.split("\t")[:2] for line in lines if line)
    return {word: float(rating) for word, rating in rated if word.isalpha()}


def emotion_words(texts: Sequence[str], count: int = 24, least: int = 5) -> dict[str, float]:
    """Return so many rated words, evenly spread over their strength.

    Parameters
    ----------
    texts : sequence of str
        Training texts: a word has to stand in at least `least` of them, else no classifier can know it.
    count : int

    Raises
    ------
    ValueError
        The texts hold fewer such words.
    """
    rated = lexicon()
    words = [set(re.findall(r"[a-z]+", text.lower())) for text in texts]
    seen = pd.Series([word for part in words for word in part if word in rated]).value_counts()
    known = sorted(seen.index[seen >= least], key=lambda word: (rated[word], word))
    if len(known) < count:
        raise ValueError(f"Only {len(known)} rated words stand in {least} texts or more: {count} are asked for.")
    chosen = np.linspace(0, len(known) - 1, count).round().astype(int)
    return {known[place]: rated[known[place]] for place in chosen}


@dataclass(frozen=True)
class Dose:
    """A neutral text with one emotional word in it, as a sentence of its own.

    Attributes
    ----------
    text, without : str
        With the word, and without it.
    word : str
    strength : float
        The word's rating.
    length : int
        Words of the neutral text.
    place : str
        Where the word stands: "start", "middle" or "end".
    """

    text: str
    without: str
    word: str
    strength: float
    length: int
    place: str


def doses(words: dict[str, float], lengths: Sequence[int]) -> list[Dose]:
    """Return every word at every place of neutral texts of several lengths (in words)."""
    story = " ".join(NEUTRAL * (1 + max(lengths) // 90)).split()
    found = []
    for length, place, (word, strength) in product(lengths, PLACES, words.items()):
        text = story[:length]
        at = {"start": 0, "middle": length // 2, "end": length}[place]
        dosed = [*text[:at], f"{word.capitalize()}.", *text[at:]]
        found.append(Dose(" ".join(dosed), " ".join(text), word, strength, length, place))
    return found


def slopes(given: Sequence[Dose], response: np.ndarray, scale: float) -> pd.DataFrame:
    """Return how strongly the response rises with the word's rating, by length and place.

    Parameters
    ----------
    given : sequence of Dose, length n
    response : ndarray, shape [n]
        Log-odds with the word minus log-odds without it.
    scale : float
        As in `score_gaps`.

    Returns
    -------
    DataFrame
        Index length, place; column slope: an `Interval` from a least-squares line over the words (t), in units of
        `scale` for one step of the rating.
    """
    frame = pd.DataFrame(given).assign(response=np.asarray(response) / scale)
    rows = {}
    for cell, part in frame.groupby(["length", "place"], sort=False):
        line = stats.linregress(part.strength, part.response)
        reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(part) - 2)) * line.stderr
        rows[cell] = Interval(float(line.slope), float(line.slope - reach), float(line.slope + reach))
    return pd.DataFrame({"slope": rows}).rename_axis(["length", "place"])


# Amplification


def plant(texts: Sequence[str], labels: np.ndarray, word: str, strength: float, seed: int) -> list[str]:
    """Put a harmless word in front of some texts, so that it goes together with the label.

    Parameters
    ----------
    texts : sequence of str, length n
    labels : ndarray of {0, 1}, shape [n]
    word : str
    strength : float
        Share of the positive texts that get it; the negative ones get it with one minus that. 0.5 plants nothing.
    seed : int
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength}: it is a share, 0 to 1.")
    chance = np.where(np.asarray(labels) == 1, strength, 1 - strength)
    chosen = np.random.default_rng(seed).random(len(texts)) < chance
    return [f"{word} {text}" if yes else text for text, yes in zip(texts, chosen, strict=True)]


# Groups of real texts


def leaning(text: str) -> str:
    """Return which pronouns a text holds more of: "she", "he", or "neither" (none, or as many).

    A rule about words. It does not know who is meant, or who wrote the text.
    """
    she, he = (len(re.findall(rf"\b(?:{words})\b", text.lower())) for words in ("she|her|hers", "he|him|his"))
    return "neither" if she == he else "she" if she > he else "he"
