"""Does a classifier react to who or what a sentence is about? It reads log-odds: any classifier may have given them."""

import re
from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from helpers import arguments, contrasts
from helpers.contrasts import Contrast
from helpers.templates import Sentence

# Counterfactual pairs


def scores(log_odds: np.ndarray, ordinary: np.ndarray) -> np.ndarray:
    """Return log-odds in units of their spread over ordinary texts, so that classifiers can be compared.

    Parameters
    ----------
    log_odds : ndarray, shape [s, n]
        One row a seed.
    ordinary : ndarray, shape [s, m]
        Log-odds of ordinary texts by the same classifiers.

    Raises
    ------
    ValueError
        A classifier that says the same of all ordinary texts: it has no unit.
    """
    found = [np.asarray(one) for one in (log_odds, ordinary)]
    tables = all(one.ndim == 2 and one.dtype.kind in "fiu" and one.size for one in found)
    if not tables or len(found[0]) != len(found[1]):
        given = " and ".join(f"{one.dtype} {list(one.shape)}" for one in found)
        raise ValueError(f"log_odds and ordinary are {given}: give numbers [s, n] and [s, m], of the same s seeds.")
    log_odds, ordinary = found[0], arguments.numbers("ordinary", found[1], "[s, m]")
    spread = ordinary.std(axis=1, keepdims=True)
    if not (np.isfinite(log_odds).all() and (spread > LEAST_SPREAD).all()):
        raise ValueError(f"Log-odds must be numbers that spread over ordinary texts; one spread is {spread.min():.2g}.")
    return log_odds / spread


LEAST_SPREAD = 1e-3  # below it a classifier's answers differ by rounding


def score_gaps(sentences: Sequence[Sentence], found: np.ndarray) -> pd.DataFrame:
    """Return the gaps in score between groups, paired within a wording.

    Templates, names and kinship terms, and seeds are all samples, as in `contrasts`: another name might have another
    gap. Wordings of a template are averaged. The nations are what they are, so they are no sample.

    Parameters
    ----------
    sentences : sequence of Sentence, length n
    found : ndarray, shape [s, n]
        From `scores`; or the difference of those of two poolings, to compare their gaps.

    Returns
    -------
    DataFrame
        Index test: "name: female − male", the same for kin and pronoun, and each nation minus the mean of all; then the
        same between positive and negative templates. Columns effect (`Interval`), p (not corrected).
    """
    frame, rows, found = pd.DataFrame(sentences), {}, arguments.numbers("found", found, "[s, n]")
    if not len(frame) or found.shape[1] != len(frame):
        raise ValueError(f"found has {found.shape[1]} scores of {len(frame)} sentences: give one score a sentence.")
    for slot, part in frame.groupby("slot", sort=False):
        cube = {group: _cube(part[part.group == group], found) for group in part.group.unique()}  # [s, t, f]
        emotion = part.groupby("template").emotion.first()
        weights = {"": np.full(len(emotion), 1 / len(emotion)), ", positive − negative": _between(emotion)}
        if slot == "nation":
            mean = sum(cube.values()) / len(cube)
            tests = {f"{nation} − mean": [own - mean] for nation, own in cube.items()}
        elif set(cube) != {"female", "male"}:
            raise ValueError(f"The {slot} sentences have only {', '.join(cube)}: give both sides.")
        elif slot == "name":  # no name belongs to another one
            tests = {"female − male": [cube["female"], -cube["male"]]}
        else:
            tests = {"female − male": [cube["female"] - cube["male"]]}
        for (test, cubes), (end, weight) in product(tests.items(), weights.items()):
            gap = over_templates(cubes, weight)
            rows[f"{slot}: {test}{end}"] = {"effect": gap.effect, "p": gap.p}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("test")


def pair_sizes(sentences: Sequence[Sentence], found: np.ndarray) -> np.ndarray:
    """Return how far the score moves when one kinship term takes the other's place, whatever the direction.

    Returns
    -------
    ndarray, shape [s, templates, pairs]
        Absolute gaps, mean over the wordings.
    """
    frame = pd.DataFrame(sentences)
    female, male = (_ordered(frame[(frame.slot == "kin") & (frame.group == group)]) for group in ("female", "male"))
    sizes = np.abs(found[:, female.index] - found[:, male.index])  # [s, templates * wordings * pairs]
    shape = [female[column].nunique() for column in ("template", "wording", "filler")]
    return sizes.reshape(len(found), *shape).mean(axis=2)  # [s, t, wordings, f] -> [s, t, f]


def _ordered(part: pd.DataFrame) -> pd.DataFrame:
    return part.sort_values(["template", "wording", "filler"])


def _cube(part: pd.DataFrame, found: np.ndarray) -> np.ndarray:
    """Scores of one group, mean over the wordings, ``[s, templates, fillers]``."""
    part = _ordered(part)
    shape = [part[column].nunique() for column in ("template", "wording", "filler")]
    return found[:, part.index].reshape(len(found), *shape).mean(axis=2)


def _between(emotion: pd.Series) -> np.ndarray:
    """Weights of the templates: the mean of the positive ones minus that of the negative ones."""
    positive, negative = ((emotion == one).to_numpy(float) for one in ("positive", "negative"))
    return positive / positive.sum() - negative / negative.sum()


def over_templates(cubes: list[np.ndarray], weights: np.ndarray) -> Contrast:
    """Return a weighted sum over templates of the sum of some cubes, with templates, fillers and seeds as samples.

    Parameters
    ----------
    cubes : list of ndarray, each of shape [s, templates, fillers]
        Each with fillers of its own.
    weights : ndarray, shape [templates]
    """
    by_template = sum(cube.mean(axis=(0, 2)) for cube in cubes)  # [t]
    by_seed = sum(cube.mean(axis=2) @ weights for cube in cubes)  # [s]
    samples = [(by_seed, 1 / len(by_seed))]
    samples += [(np.einsum("stf,t->f", cube, weights) / len(cube), 1 / cube.shape[2]) for cube in cubes]
    # Templates with one weight are one sample: with w each, their sum has the variance n · w² · σ².
    samples += [(by_template[part], part.sum() * weight**2) for weight in np.unique(weights) if weight
                for part in [weights == weight]]  # fmt: skip
    kinds = [(values.var(ddof=1) * factor, len(values) - 1) for values, factor in samples if len(values) > 1]
    return contrasts.sampled(float(by_template @ weights), *map(np.array, zip(*kinds, strict=True)))


# Groups of real texts


def leaning(text: str) -> str:
    """Return which pronouns a text holds more of: "she", "he", or "neither" (none, or as many).

    A rule about words. It does not know who is meant, or who wrote the text.
    """
    text = arguments.text(text).lower()
    she, he = (len(re.findall(rf"\b(?:{words})\b", text)) for words in ("she|her|hers", "he|him|his"))
    return "neither" if she == he else "she" if she > he else "he"
