"""Chapter 8's studies: what does it cost when vectors are served otherwise than they were made?

The task is chapter 7's: the answer to a question about a parameter, among the same function's other descriptions.
"""

import functools
import hashlib
import json
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from helpers import encoders, grid, making, matching, pooling, recipes, task_studies, yardsticks
from helpers.grid import Settings
from helpers.matching import Sets
from helpers.recipes import SPECIAL, Model, Recipe
from helpers.study import Study
from helpers.task_studies import TaskRun

MADE_FOR = ("mean", "max", "first", "last")  # a matcher is trained with one of them
SKIPPED = "map skipped"  # the trained map behind the pooling is left out
SERVED = (*MADE_FOR, "weighted_mean", SKIPPED)  # the rows of "ranks"
PUBLISHED = ("minilm",)  # encoders whose makers chose a pooling, the mean
RIGHT, DOT = "mean", "mean, compared by dot product"
SHARED = ("groups", "names")
SETS = 10  # functions whose texts are read at a time


@dataclass(frozen=True)
class MatcherRun:
    """A matcher that was trained with one pooling, and is served with each."""

    model: str
    trained: str  # of `MADE_FOR`
    seed: int


@dataclass(frozen=True)
class MistakeRun:
    """A published encoder as it is, served by each recipe of `mistakes`."""

    model: str
    seed: int  # draws an order among equals


def mistakes(layers: int) -> dict[str, Recipe]:
    """Return what a server may do with an encoder that was made for the mean, by name; the first one is right."""
    plain = Recipe(("mean",), layers, normalized=True)
    named = {RIGHT: plain, DOT: replace(plain, normalized=False)}
    named |= {name: replace(plain, poolings=(name,))
              for name in ("first", "last", "max", "weighted_mean", recipes.POOLER)}  # fmt: skip
    wrong_places = ("padding counted", "no mask at all")
    named |= {f"mean, {name}": replace(plain, padding=name) for name in wrong_places}
    named |= {f"mean, {name}": replace(plain, special=name) for name in SPECIAL[1:]}
    return named | {"mean of the layer before": replace(plain, layer=layers - 1)}


def _ranks(scores: list[Tensor], given: Sets, seed: int) -> np.ndarray:
    """The rank of each question's answer, ``[n]``, from one matrix of scores a set."""
    rng, found = np.random.default_rng(seed), np.empty(len(given.answers), np.uint8)
    for part, (asked, _) in zip(scores, given.rows, strict=True):
        for own, row in zip(part.numpy(), asked, strict=True):
            found[row] = min(255, yardsticks.rank(own, given.answers[row], rng))
    return found


def _matcher(run: MatcherRun, settings: Settings) -> dict[str, np.ndarray]:
    trained = task_studies.fit("answers", TaskRun(run.model, run.trained, "trained", run.seed), settings)
    given, dim = task_studies.sets("answers", "test", run.model, settings.scale), trained.map.in_features
    ranks = []
    for served in SERVED:
        model = matching.Matcher(pooling.make(run.trained if served == SKIPPED else served, dim), dim)
        if served != SKIPPED:
            model.map = trained.map
        ranks.append(_ranks(matching.scores(model, given), given, run.seed))
    return {"ranks": np.stack(ranks)} | _shared(settings)


@torch.no_grad()
def _mistake(run: MistakeRun, settings: Settings) -> dict[str, np.ndarray]:
    model = Model(encoders.load(run.model))
    wanted = mistakes(model.encoder.layers)
    scores = {name: [] for name in wanted}
    given, texts = task_studies.sets("answers", "test", run.model, settings.scale), _texts(settings.scale)
    for start in range(0, len(given.rows), SETS):
        part = given.rows[start : start + SETS]
        requests = [[own[row] for row in rows] for pair in part for own, rows in zip(texts, pair, strict=True)]
        for name, made in zip(wanted, making.vectors_of(model, list(wanted.values()), requests), strict=True):
            own = made.split([len(request) for request in requests])
            scores[name] += [_alike(*pair, name) for pair in zip(own[::2], own[1::2], strict=True)]
    return {"ranks": np.stack([_ranks(own, given, run.seed) for own in scores.values()])} | _shared(settings)


def _alike(questions: Tensor, candidates: Tensor, mistake: str) -> Tensor:
    """Cosines, or dot products, ``[q, c]``."""
    if mistake != DOT:
        questions, candidates = (nn.functional.normalize(one, dim=1) for one in (questions, candidates))
    return questions @ candidates.T


@functools.cache
def _texts(scale: str) -> tuple[list[str], list[str]]:
    """All questions and all candidates of the test split, in the order of `matching.sets`."""
    found, candidates, seen = task_studies.answers("test", scale), [], set()
    for group, own in zip(found["group"], found["candidates"], strict=True):
        if group not in seen:
            seen.add(group)
            candidates += own
    return found["question"][:], candidates


def _shared(settings: Settings) -> dict[str, np.ndarray]:
    found = task_studies.answers("test", settings.scale)
    return {"groups": task_studies.numbered(found["group"]), "names": task_studies.numbered(found["asked"])}


def _matchers(settings: Settings) -> list[MatcherRun]:
    return [MatcherRun(model, trained, seed) for model in settings.rates for trained in MADE_FOR
            for seed in range(settings.seeds)]  # fmt: skip


def _published(settings: Settings) -> list[MistakeRun]:
    return [MistakeRun(model, 0) for model in settings.rates if model in PUBLISHED]


def _of_matcher(run: MatcherRun, settings: Settings) -> str:
    trained = task_studies.configured("answers", TaskRun(run.model, run.trained, "trained", run.seed), settings)
    return hashlib.sha256(json.dumps([trained, SERVED]).encode()).hexdigest()[:12]


def _of_mistake(run: MistakeRun, settings: Settings) -> str:
    encoder = grid.encoder_of(run.model)
    wanted = [[name, asdict(recipe)] for name, recipe in mistakes(encoder.layers).items()]
    return hashlib.sha256(json.dumps([encoder.fingerprint, wanted, SETS]).encode()).hexdigest()[:12]


def _asked(run: object, settings: Settings) -> list[str]:
    return task_studies.texts("answers", settings.scale)


def _precision(run: MatcherRun) -> str:
    return str(grid.encoder_of(run.model).dtype).removeprefix("torch.")


def _in_float32(run: MistakeRun) -> str:
    return "float32"  # `recipes` rounds nothing


STUDIES = {
    "served": Study(MatcherRun, _matchers, _matcher, ("ranks",), _of_matcher, _asked, _precision, SHARED),
    "mistakes": Study(MistakeRun, _published, _mistake, ("ranks",), _of_mistake, _asked, _in_float32, SHARED),
}  # fmt: skip
