"""Chapter 7's studies: which candidate answers a question, and which sentence sums a text up?

Every pooling, generic (nothing is trained) and trained for the task with the same budget, beside what is reached
without a model. Summing up is answering too: the text is the question, its sentences are the candidates, and the one
most like the human summary is the answer.
"""

import functools
import hashlib
import json
from dataclasses import dataclass, replace

import datasets
import numpy as np

from helpers import grid, matching, pooling, tasks, yardsticks
from helpers.grid import Settings
from helpers.matching import Asked, Matcher, Sets
from helpers.study import Study

GENERIC = ("first", "last", "mean", "max", "weighted_mean")  # those with something to learn are the mean before it
# Poolings whose weights depend on the question: how the question itself is pooled, and the number of heads. The last
# one was added when the results of the others were known, so that no rule speaks of it.
ASKED = {"asked_sum": ("mean", 1), "asked_attention": ("mean", 4), "asked_weighted_sum": ("weighted_sum", 1)}
MEASURES = ("MRR", "top-1")  # the rows of "quality"
TRAINED = (*grid.POOLINGS, *ASKED)
# Functions or texts to learn from, which a seed draws, and to choose the round with. There are 294 texts to draw from.
TRAIN, VALIDATION = {"answers": 300, "summaries": 100}, {"answers": 60, "summaries": 200}
LENGTH = 256  # tokens of a text that are read
NO_CHOICE = -1  # in the place of a sentence's number, where several have the highest score
BASELINES = {"answers": ("random", "overlap", "bm25"), "summaries": ("random", "lead", "central", "oracle")}


@dataclass(frozen=True)
class TaskRun:
    """One pooling of one model, or one baseline, on one task."""

    model: str  # a name in `encoders.REGISTRY`, or a baseline
    pooling: str  # of `TRAINED`; "none" for a baseline
    mode: str  # "generic", "trained" or "baseline"
    seed: int  # chooses what is learned from, and its order


def _runs(task: str):
    """The runs of one task, the cheap ones first."""

    def runs(settings: Settings) -> list[TaskRun]:
        cells = [(name, "none", "baseline", 1) for name in BASELINES[task]]
        cells += [(model, pool, "generic", 1) for model in settings.rates for pool in GENERIC]
        cells += [(model, pool, "trained", settings.seeds) for model in settings.rates for pool in TRAINED]
        return [TaskRun(*cell, seed) for *cell, seeds in cells for seed in range(seeds)]

    return runs


@functools.cache  # a process does many runs on the same texts
def answers(split: str, scale: str) -> datasets.Dataset:
    """Return the questions of a split."""
    return tasks.answer_selection(split, scale)


@functools.cache
def summaries(split: str, scale: str) -> datasets.Dataset:
    """Return the texts of a split as questions; the answer is the sentence with the highest ROUGE-1."""
    found = tasks.summaries(split, scale)
    worth = [yardsticks.rouge(*row) for row in zip(found["summary"], found["sentences"], strict=True)]
    return found.add_column("question", [" ".join(parts) for parts in found["sentences"]]).add_column(
        "candidates", found["sentences"][:]).add_column("rouge", [one.tolist() for one in worth]).add_column(
        "answer", [int(one[:, 0].argmax()) for one in worth])  # fmt: skip


LOAD = {"answers": answers, "summaries": summaries}


@functools.cache
def sets(task: str, split: str, model: str, scale: str) -> Sets:
    """A whole split: a state's last digit depends on the texts that share its batch."""
    return matching.sets(grid.encoder_of(model), LOAD[task](split, scale), LENGTH)


def matcher(name: str, dim: int) -> Matcher:
    """Make an untrained matcher by its pooling's name."""
    if name in ASKED:
        of_question, heads = ASKED[name]
        return Asked(pooling.make(of_question, dim), dim, heads)
    return Matcher(pooling.make(name, dim), dim)


def fit(task: str, run: TaskRun, settings: Settings) -> Matcher:
    """Return the matcher of a run, trained if it is to be."""
    untrained = matcher(run.pooling, grid.encoder_of(run.model).dim)
    if run.mode == "generic":
        return untrained
    train, validation = (sets(task, split, run.model, settings.scale) for split in ("train", "validation"))
    drawn = np.random.default_rng(run.seed).permutation(len(train.rows))[: TRAIN[task]]
    train = replace(train, rows=[train.rows[number] for number in drawn])
    return matching.fit(untrained, train, replace(validation, rows=validation.rows[: VALIDATION[task]]), run.seed)


def _scores(task: str, run: TaskRun, settings: Settings) -> list[np.ndarray]:
    """The scores of each question's candidates, in the order of the questions."""
    given = sets(task, "test", run.model, settings.scale)
    found = matching.scores(fit(task, run, settings), given)
    by_row = {row: own.numpy() for part, (asked, _) in zip(found, given.rows, strict=True)
              for own, row in zip(part, asked, strict=True)}  # fmt: skip
    return [by_row[row] for row in range(len(by_row))]


def _answers(run: TaskRun, settings: Settings) -> dict[str, np.ndarray]:
    found = answers("test", settings.scale)
    if run.mode == "baseline":
        how = {"overlap": yardsticks.overlap, "bm25": yardsticks.bm25,
               "random": lambda _, candidates: [np.zeros(len(own)) for own in candidates]}  # fmt: skip
        given = how[run.model](found["question"], found["candidates"])
    else:
        given = _scores("answers", run, settings)
    ranked = [[measure(*one) for one in zip(given, found["answer"], strict=True)]
              for measure in (yardsticks.reciprocal_rank, yardsticks.top_1)]  # fmt: skip
    return {
        "quality": np.array(ranked, np.float32), "intent": np.array(found["kind"]) == "intent",
        "groups": numbered(found["group"]), "names": numbered(found["asked"]),
    }  # fmt: skip


def numbered(names: list[str]) -> np.ndarray:
    """Return a number for each name, the same for the same one."""
    return np.unique(names, return_inverse=True)[1].astype(np.int16)


def _summaries(run: TaskRun, settings: Settings) -> dict[str, np.ndarray]:
    found = summaries("test", settings.scale)
    worth = [np.array(one) for one in found["rouge"]]  # n x [sentences, 3]
    if run.mode == "baseline":
        best = _baseline(run.model, found)
    else:
        best = [np.flatnonzero(own == own.max()) for own in _scores("summaries", run, settings)]
    # Among equals each is as likely: the first of them would be the lead, and that is a method of its own.
    reached = np.array([one[rows].mean(axis=0) for one, rows in zip(worth, best, strict=True)], np.float32)  # [n, 3]
    return {"rouge": reached, "chosen": np.array([rows[0] if len(rows) == 1 else NO_CHOICE for rows in best])}


def _baseline(name: str, found: datasets.Dataset) -> list[np.ndarray]:
    """The sentences of each text among which a baseline does not choose any further."""
    if name == "random":
        return [np.arange(len(own)) for own in found["sentences"]]
    chosen = {"lead": lambda: [0] * len(found), "central": lambda: yardsticks.central(found["sentences"]),
              "oracle": lambda: found["answer"][:]}[name]()  # fmt: skip
    return [np.array([number]) for number in chosen]


@functools.cache
def texts(task: str, scale: str) -> list[str]:
    """Everything that a task's runs read."""
    found = [LOAD[task](split, scale) for split in tasks.SPLITS]
    return [json.dumps(row) for part in found for row in part]


def configured(task: str, run: TaskRun, settings: Settings) -> str:
    """A short hash of all that is decided about a run, but the texts."""
    facts: list[object] = [LENGTH]
    if run.mode != "baseline":
        facts.append(grid.encoder_of(run.model).fingerprint)
    if run.mode == "trained":
        budget = (matching.LEARNING_RATE, matching.WEIGHT_DECAY, matching.BATCH, matching.ROUNDS, matching.PATIENCE)
        facts += [TRAIN[task], VALIDATION[task], matching.TEMPERATURE, *budget]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def _study(task: str, ask, arrays: tuple[str, ...], shared: tuple[str, ...] = ()) -> Study:
    def asked(run: TaskRun, settings: Settings) -> list[str]:
        return texts(task, settings.scale)

    return Study(TaskRun, _runs(task), ask, arrays, functools.partial(configured, task), asked, grid.precision, shared)


STUDIES = {
    "answers": _study("answers", _answers, ("quality",), ("intent", "groups", "names")),
    "summaries": _study("summaries", _summaries, ("rouge", "chosen")),
}
