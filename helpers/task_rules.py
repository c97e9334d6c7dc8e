"""Tests and rules by which the claims of chapter 7 are judged, written before its studies were run.

All on average over the BERT and the GPT-2. Questions about one function share their candidates, and questions about one
name (as *random state*) nearly share their answers: so functions, names and seeds count as samples. Of summaries it is
texts and seeds. P values are corrected for all tests.
"""

from pathlib import Path

import numpy as np

from helpers import contrasts, studies
from helpers.contrasts import Contrast
from helpers.records import Rows
from helpers.rules import Verdict, settings_of
from helpers.study import common, every
from helpers.study_rules import all_point
from helpers.task_studies import MEASURES
from helpers.yardsticks import ROUGE

RULES = 3  # in this module
MADE, GENERIC = "asked_sum", "mean"  # a pooling made for the task, and one that is not


def question_answering(scale: str, folder: Path) -> Verdict:
    """C6: trained with the same budget, which pooling ranks the answer higher, on which questions?"""
    table = studies.table("answers", scale, folder)
    intent, groups, names = (common("answers", table, what) for what in ("intent", "groups", "names"))
    found, sizes = {}, []
    for part, rows, pairs in (
        ("keyword questions", ~intent, [("max", "mean")]),
        ("intent questions", intent, [("mean", "max")]),
        ("all questions", np.ones_like(intent), [("weighted_sum", "mean"), ("weighted_sum", "max")]),
    ):
        for a, b in pairs:
            gap = reciprocal_ranks(table, scale, a, "trained") - reciprocal_ranks(table, scale, b, "trained")
            found[f"{a} − {b}, {part}"] = contrasts.over_crossed(gap[:, rows], groups[rows], names[rows])
            sizes.append(len(np.unique(groups[rows])))
    return all_point(found, sizes, "max leads on intents, mean on keywords, and the weighted sum on neither", "share",
                     RULES)  # fmt: skip


def summarizing(scale: str, folder: Path) -> Verdict:
    """C7: does the sentence that the mean chooses hold more of the human summary than the one that max chooses?"""
    table = studies.table("summaries", scale, folder)
    found = {f"mean − max, {mode}": _gap(rouge_1, table, scale, "mean", "max", mode) for mode in ("generic", "trained")}
    return all_point(found, [_texts(table)] * 2, "max chooses better", "share", RULES)


def made_for_the_task(scale: str, folder: Path) -> Verdict:
    """C9: weights that depend on the question (or on the text that is summed up), against the mean, both trained."""
    answers, summaries = (studies.table(name, scale, folder) for name in ("answers", "summaries"))
    gap = [reciprocal_ranks(answers, scale, pool, "trained") for pool in (MADE, GENERIC)]
    groups, names = (common("answers", answers, what) for what in ("groups", "names"))
    found = {f"{MADE} − {GENERIC}, answers": contrasts.over_crossed(gap[0] - gap[1], groups, names),
             f"{MADE} − {GENERIC}, summaries": _gap(rouge_1, summaries, scale, MADE, GENERIC, "trained")}
    return all_point(found, [len(np.unique(groups)), _texts(summaries)], "the generic one is better", "share", RULES)


def reciprocal_ranks(table: Rows, scale: str, pool: str, mode: str) -> np.ndarray:
    """Return 1 over the rank of each question's answer, mean of the pair of models, ``[s, n]``."""
    return _of_pair("answers", table, scale, pool, mode, "quality")[:, MEASURES.index("MRR")]


def rouge_1(table: Rows, scale: str, pool: str, mode: str) -> np.ndarray:
    """Return ROUGE-1 of each text's chosen sentence, mean of the pair of models, ``[s, n]``."""
    return _of_pair("summaries", table, scale, pool, mode, "rouge")[..., ROUGE.index("rouge1")]


def _gap(measure, table: Rows, scale: str, a: str, b: str, mode: str) -> Contrast:
    values = measure(table, scale, a, mode) - measure(table, scale, b, mode)
    return contrasts.over_groups(values, np.arange(values.shape[1]))


def _of_pair(task: str, table: Rows, scale: str, pool: str, mode: str, what: str) -> np.ndarray:
    """The mean over the two models of an array of every planned seed, ``[s, …]``."""
    settings, found = settings_of(scale), []
    for model in settings.pair:
        planned = studies.STUDIES[task].runs(settings)
        runs = [run for run in planned if (run.model, run.pooling, run.mode) == (model, pool, mode)]
        found.append(every(task, table, runs, what))
    return np.mean(found, axis=0, dtype=float)


def _texts(table: Rows) -> int:
    return len(table.array(table.rows.iloc[0], "rouge"))
