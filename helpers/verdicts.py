"""From the scores of all recipes to a verdict: does a server do what the model declares?"""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from helpers import served
from helpers.recipes import Model, Recipe, words
from helpers.served import CLOSE, EXACT, HALF_PRECISION, PROBES, TOLD_APART, Score

AGREES, MISPOOLED, CANNOT_TELL = "agrees", "mis-pooled", "cannot tell"
CODES = {AGREES: 0, MISPOOLED: 1, CANNOT_TELL: 2}
LENGTHS = {"1": "normalized", "pooled": "not normalized", "other": "with lengths of another kind"}


def judge(model: Model, scores: list[Score], vectors: Tensor, ours: bool, quantized: bool) -> tuple[str, str]:
    """Return the verdict and its reason in one sentence; whether texts move with the batch is looked at elsewhere.

    Parameters
    ----------
    model : Model
    scores : list of Score
        From `served.identify`.
    vectors : Tensor, shape [N, d]
        What is served.
    ours : bool
        Whether the texts are our own, asked for in every way; another's may not tell two recipes apart.
    quantized : bool
        As in `audit.audit`.
    """
    says = model.declared
    declares = _short(model, model.as_declared) if says.modes else "nothing"
    if not scores:
        line = f"it serves vectors of {vectors.shape[1]} numbers, which no recipe of this model gives"
        return (MISPOOLED if says.modes else CANNOT_TELL), line
    best, same, length = scores[0], served.tied(scores), "1" if scores[0].recipe.normalized else "pooled"
    nearest = max(scores, key=lambda score: score.cosine)
    if best.loss > max(HALF_PRECISION, TOLD_APART * (1 - nearest.cosine)):  # right directions, lengths of another kind
        best, length = nearest, "other"
        same = [score for score in scores if 1 - score.cosine <= max(TOLD_APART * (1 - best.cosine), EXACT)]
    if min(best.loss, 1 - best.cosine) > CLOSE:
        near = f"{words(best.recipe, model)}, cosine {best.cosine:.3f}"
        line = f"declares {declares}, serves none of the {len(scores):,} recipes that were tried (nearest: {near})"
        return (MISPOOLED if says.modes else CANNOT_TELL), line
    own, others = [], []
    for score in same:
        (own if served.is_declared(score.recipe, model) else others).append(score)
    nearly = f" (nearly: cosine {best.cosine:.3f})" if 1 - best.cosine > HALF_PRECISION else ""
    serves = min(own or same, key=served.departures(model)).recipe
    about = f"serves {_short(model, serves)}{nearly}, {LENGTHS[length]}"
    if not says.modes:
        return CANNOT_TELL, f"nothing is declared to compare with; it {about}"
    if not own:
        return MISPOOLED, f"declares {declares}, {about}"
    nearest_is_own = min(1 - score.cosine for score in own) <= 1 - nearest.cosine + EXACT
    if nearly and not (quantized and nearest_is_own):
        why = "it may be quantized (then say --quantized), or do something that is not among the recipes"
        if quantized:
            why = "another recipe is nearer, so the few bits leave it open"
        return CANNOT_TELL, f"declares {declares}, {about}: {why}"
    noise = 1 - best.cosine if length == "other" else best.loss
    if not ours and (told := _told_by_our_texts(model, others, noise, length)):
        return CANNOT_TELL, (f"these texts cannot tell {declares}, which is declared, from {words(told, model)}; such "
                             "texts would, in one batch and singly: "
                             f"{'; '.join(repr(PROBES[row]) for row in (0, 2, 4))}")  # fmt: skip
    if length != "other" and any(score.recipe.normalized == says.normalized for score in own):
        return AGREES, f"declares {declares}, {about}"
    return _lengths(model, length, f"declares {declares}, {about}")


def alone(
    model: Model, requests: Sequence[Sequence[str]], vectors: Tensor
) -> tuple[Tensor, list[Score]] | None:
    """Return what is served of the texts that were asked for alone, with its scores; None if no recipe fits that."""
    rows, start = [], 0
    for own in requests:
        rows += [(start, own[0])] * (len(own) == 1)
        start += len(own)
    found = vectors[[row for row, _ in rows]]
    scores = served.identify(model, [[text] for _, text in rows], found)
    return (found, scores) if scores and 1 - scores[0].cosine <= HALF_PRECISION else None


def judge_alone(
    model: Model, requests: Sequence[Sequence[str]], vectors: Tensor, singles: Tensor, scores: list[Score]
) -> tuple[str, str]:
    """Judge a server whose vectors fit a recipe where a text is asked for alone, and none in a batch.

    Parameters
    ----------
    model, requests, vectors
        As in `served.identify`.
    singles : Tensor, shape [n, d]
        What is served of the texts alone, with their `scores`, both from `alone`.
    """
    _, line = judge(model, scores, singles, True, False)
    recipe = min(served.tied(scores), key=served.departures(model)).recipe
    rests = served.first_pooled(model, recipe, requests[0], vectors[: len(requests[0])])
    cut = [f"{count - first} of {count}" for first, count in rests or [] if first]
    how = f": there only the last tokens of a text are pooled ({', '.join(cut[:3])})" if cut else ""
    return MISPOOLED, f"in a batch a text has another vector than alone{how}; alone: {line}"


def _short(model: Model, recipe: Recipe) -> str:
    """A recipe in words, but for the vectors' length."""
    return words(replace(recipe, normalized=False), model).rsplit(", ", 1)[0]


def _told_by_our_texts(model: Model, others: list[Score], noise: float, length: str) -> Recipe | None:
    """A recipe that these texts do not tell from the declared one, and our own would."""
    return next((score.recipe for score in others
                 if served.tellable(model, score.recipe, noise, length == "other")), None)  # fmt: skip


def _lengths(model: Model, length: str, line: str) -> tuple[str, str]:
    """The directions are right. Are the lengths? They matter where vectors are compared by their dot product."""
    says = model.declared
    if says.normalized and length != "1":
        return MISPOOLED, f"{line}; normalized ones are declared: cosines are right, dot products wrong"
    if says.normalized is False and length == "1" and says.similarity.startswith("dot"):
        return MISPOOLED, f"{line}; the model is made for dot products, which need the lengths: they are wrong"
    return AGREES, line
