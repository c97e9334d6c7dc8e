"""Tests and rules by which the claims of chapter 6 are judged, written before its studies were run.

As in `rules`, texts (templates, words) and seeds both count as samples, and p values are corrected for all tests.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logit

from helpers import classifier_studies, contrasts, doses, evaluation, fairness, grid, records, studies
from helpers.contrasts import Contrast
from helpers.evaluation import ALPHA
from helpers.grid import Settings
from helpers.records import NotRun, Rows
from helpers.rules import NO_DIFFERENCE, REFUTED, SUPPORTED, Verdict, settings_of
from helpers.study import every

RULES = 2  # in this module
MODE = "fine-tuned"


def explained(scale: str, folder: Path) -> Verdict:
    """C4: how faithful the exact parts are under the mean and under max, on the BERT and on the GPT-2."""
    settings, table = settings_of(scale), studies.table("explained", scale, folder)
    found, texts = {}, []
    for model in settings.pair:
        own = {}
        for pool in ("mean", "max"):
            gains, most = (_arrays("explained", table, settings, model, pool, what) for what in ("gains", "most"))
            # [s, ways, methods, kinds, n] -> [s, n]: deletion, contributions, both kinds of gain
            own[pool] = gains[:, 0, 0].mean(axis=1) / most[:, 0].mean()
        found[f"mean − max, {model}"] = contrasts.over(own["mean"] - own["max"])
        texts.append(own["mean"].shape[1])
    return all_point(found, texts, "the parts under max are the more faithful", "part", RULES)


def reactions(scale: str, folder: Path) -> Verdict:
    """C5: how far max moves more than the mean when a person is exchanged, and with the rating of one word."""
    settings = settings_of(scale)
    gaps, found = studies.table("gaps", scale, folder), {}
    sizes = [fairness.pair_sizes(classifier_studies.sentences(), _scores("gaps", gaps, settings, model, pool, folder))
             for pool in ("max", "mean") for model in settings.pair]  # fmt: skip
    cube = (sizes[0] + sizes[1] - sizes[2] - sizes[3]) / 2  # [s, templates, pairs]: max − mean, mean of the models
    found["max − mean, size of a gap"] = fairness.over_templates([cube], np.full(cube.shape[1], 1 / cube.shape[1]))
    table = studies.table("doses", scale, folder)
    # The same words for both models: they learned from the same texts.
    given = classifier_studies.dosed(_runs("doses", settings, settings.pair[0], "mean")[0], settings)
    by_word = [_by_word(given, _scores("doses", table, settings, model, pool, folder))
               for pool in ("max", "mean") for model in settings.pair]  # fmt: skip
    response = (by_word[0] + by_word[1] - by_word[2] - by_word[3]) / 2  # [s, words]
    strength = pd.DataFrame(given).groupby("word", sort=False).strength.first().to_numpy()
    found["max − mean, slope over the rating"] = doses.slope(strength, response)[0]
    return all_point(found, [cube.shape[1], len(strength)], "max reacts less", "spread", RULES)  # templates, words


def _runs(study: str, settings: Settings, model: str, pool: str) -> list[grid.Run]:
    """The study's runs of a fine-tuned model under a pooling, one a seed."""
    return [run for run in studies.STUDIES[study].runs(settings)
            if (run.model, run.pooling, run.mode) == (model, pool, MODE)]  # fmt: skip


def _arrays(study: str, table: Rows, settings: Settings, model: str, pool: str, what: str) -> np.ndarray:
    """An array of every planned seed, ``[s, …]``."""
    return every(study, table, _runs(study, settings, model, pool), what)


def _scores(study: str, table: Rows, settings: Settings, model: str, pool: str, folder: Path) -> np.ndarray:
    """Answers in units of the classifier's spread over the test texts, ``[s, …]``."""
    run = _runs(study, settings, model, pool)[0]
    cell = {"model": model, "pooling": pool, "mode": MODE, "dataset": run.dataset, "labels": run.labels}
    answers = _arrays(study, table, settings, model, pool, "answers").astype(float)
    ordinary = logit(records.Table(settings.scale, folder).probabilities(**cell))[: len(answers)]
    if len(ordinary) < len(answers):
        raise NotRun(f"grid: some runs of {model} with {pool} on {run.dataset} are missing.")
    if answers.ndim == 3:  # [s, 2, n]: with and without
        answers = answers[:, 0] - answers[:, 1]
    return fairness.scores(answers, ordinary)


def _by_word(given: list[doses.Dose], response: np.ndarray) -> np.ndarray:
    """The mean response to each word over all lengths and places, ``[s, words]``."""
    words = pd.Series([one.word for one in given])
    return np.stack([response[:, words.index[words == word]].mean(axis=1) for word in words.unique()], axis=1)


def all_point(found: dict[str, Contrast], sizes: list[int], against: str, unit: str, rules: int) -> Verdict:
    """Judge some tests: supported if all point where the claim says, refuted if all point the other way.

    Parameters
    ----------
    found : dict
        Test -> a contrast that is above zero where the claim holds.
    sizes : list of int
        How many texts (templates, words, …) each rests on.
    against : str
        What is the case where the claim is refuted.
    unit : str
        As of `Verdict`.
    rules : int
        How many rules the p values are corrected for.
    """
    p = np.minimum(1, rules * evaluation.holm(np.array([one.p for one in found.values()])))
    level = ALPHA / rules / len(found)
    evidence = pd.DataFrame({
        "test": list(found), "effect": [one.effect for one in found.values()], "p": p,
        "detectable": [one.detectable(level) for one in found.values()], "n": sizes,
    })  # fmt: skip
    sure, ahead = p < ALPHA, np.array([one.effect.value > 0 for one in found.values()])
    weaker = int(p.argmax())  # it takes all of them, so the weakest one decides
    if sure.all() and ahead.all():
        return Verdict(SUPPORTED, evidence, weaker, unit)
    if sure.all() and not ahead.any():
        return Verdict(f"{REFUTED}: {against}", evidence, weaker, unit)
    if sure.any():
        factor, digits, named = (100, 1, " points") if unit == "share" else (1, 2, "")
        told = [f"{test} {factor * one.effect.value:+.{digits}f}{named}" for test, one in found.items()]
        for_it, against_it = ("; ".join(text for text, yes in zip(told, side, strict=True) if yes)
                              for side in (sure & ahead, sure & ~ahead))  # fmt: skip
        parts = [f"shown only {for_it}"] if for_it else []
        parts += [f"shown against the claim {against_it}"] if against_it else []
        return Verdict(f"depends: {'; '.join(parts)}", evidence, weaker, unit)
    return Verdict(NO_DIFFERENCE, evidence, int(p.argmin()), unit)
