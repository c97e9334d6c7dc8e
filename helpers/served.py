"""Ask for vectors, and find the recipe that made them: what each recipe would give, beside what came back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from helpers import arguments, making, recipes
from helpers.recipes import Model, Recipe

# A recipe's loss is half the squared distance of its vectors from the served ones, in units of their length: for
# vectors of length 1 it is 1 - cosine.
EXACT = 1e-8  # below it two implementations in float32 are the same
EQUAL = 1e-6  # two float32 numbers below 1 that differ by less than this are the same
TOLD_APART = 4.0  # with so many times the loss of the best one (and more than EXACT) a recipe is another one
HALF_PRECISION = 2e-3  # up to here a loss is rounding (bfloat16)
FILLED = (64, 128, 256, 512)  # places that every batch may be filled up to
SCREENED = 2  # of the shortest texts, which such a filling changes most
CLOSE = 0.1  # up to here it may be quantized weights: int8 and 4 bits move MiniLM's by 0.08 (`benchmarks.audits`)
#: What a server is asked for: texts of very different lengths, each with another last word.
PROBES = (
    "Yes.",
    "A quiet film about the sea.",
    "How do I return a parcel that arrived broken?",
    "The invoice is due on the last working day of March, unless both sides agree on another date.",
    "Rain fell on the roof all night, and in the morning the river had taken the bridge.",
    "sort a list of numbers without changing the order of equal ones",
    "Nobody in the village believed the clockmaker until the bell, silent for thirty years, rang at noon.",
    "Take two eggs, a cup of flour and a little salt; stir, wait ten minutes, and bake the thin batter in a hot pan "
    "until its edges turn brown and lift by themselves.",
)
# A neighbour that makes the batch wide. Under 128 tokens: some servers refuse longer ones.
LONG = " ".join([PROBES[-1], PROBES[-2], PROBES[3]])


AGAIN, ASKED_AGAIN = "asked for again", 2
Embed = Callable[[Sequence[str]], np.ndarray]  # n texts -> [n, d]


@dataclass(frozen=True)
class Score:
    """How well one recipe reproduces the served vectors.

    Attributes
    ----------
    recipe : Recipe
    cosine, worst : float
        Mean and smallest cosine over the texts.
    error : float
        Largest absolute difference of two numbers.
    loss : float
        Mean over the texts of half the squared distance, over the recipe's squared length.
    """

    recipe: Recipe
    cosine: float
    worst: float
    error: float
    loss: float


def ask(embed: Embed, texts: Sequence[str] = PROBES) -> tuple[list[list[str]], Tensor, pd.DataFrame]:
    """Ask for some texts in one batch, singly, in another order and beside a long one.

    Returns
    -------
    requests : list of list of str
    served : Tensor, shape [N, d]
        The vectors of all requests, in their order.
    invariances : DataFrame

    Raises
    ------
    ValueError
        Vectors of other sizes for other requests.
    """
    texts = list(texts)
    again = [[text] for text in texts[:ASKED_AGAIN]]  # alone: in a batch, other neighbours may be the cause
    requests = [texts, *([text] for text in texts), texts[::-1], [texts[0], LONG], *again]
    answers = [_answer(embed, request) for request in requests]
    if len(sizes := {answer.shape[1] for answer in answers}) > 1:
        raise ValueError(f"The server's vectors have {' and '.join(map(str, sorted(sizes)))} numbers, by request.")
    together, alone = answers[0], torch.cat(answers[1 : len(texts) + 1])
    turned, beside, *repeated = answers[len(texts) + 1 :]
    others = {"alone": (together, alone), "in another place of the batch": (together, turned.flip(0)),
              "beside a much longer text": (alone[:1], beside[:1]),
              AGAIN: (alone[: len(again)], torch.cat(repeated))}  # fmt: skip
    moved = {name: float(losses(*pair).max()) for name, pair in others.items()}
    table = pd.DataFrame({"largest change": moved})
    table["holds"] = table["largest change"] <= HALF_PRECISION
    return requests[: -len(again)], torch.cat(answers[: -len(again)]), table


def _answer(embed: Embed, request: list[str]) -> Tensor:
    """One request's vectors, ``[n, d]``."""
    found = arguments.numbers("The server's answer", embed(request), "[texts, numbers]")
    if len(found) != len(request) or not found.size:
        raise ValueError(f"The server answers {len(request)} texts with the shape {list(found.shape)}: one row each.")
    return torch.as_tensor(found, dtype=torch.float32)


def losses(made: Tensor, served: Tensor) -> Tensor:
    """Return half the squared distance of two vectors over the first one's squared length, ``[N]``."""
    size = made.square().sum(dim=1).clamp(min=1e-12)
    return (made - served).square().sum(dim=1) / (2 * size)


def identify(model: Model, requests: Sequence[Sequence[str]], served: Tensor) -> list[Score]:
    """Return every recipe with how well it reproduces the served vectors, the nearest first.

    Parameters
    ----------
    model : Model
    requests : sequence of sequence of str
        What was asked for: the texts of one request may have been padded to its longest.
    served : Tensor, shape [N, d]
    """
    scores = _scored(model, requests, served, None)
    if scores and scores[0].loss > EXACT:  # batches filled up to a size are less usual, and slow: first with few texts
        texts = [text for own in requests for text in own]
        rows = sorted(range(len(texts)), key=lambda row: len(texts[row]))[:SCREENED]
        few = [[texts[row]] for row in rows], served[rows]
        nearest = _scored(model, *few, None)[0].loss
        for filled in (size for size in FILLED if size <= model.encoder.max_length):
            found = _scored(model, *few, filled)
            if found and found[0].loss * TOLD_APART < nearest:
                scores += _scored(model, requests, served, filled)
    return sorted(scores, key=lambda score: score.loss)


def _scored(model: Model, requests: Sequence[Sequence[str]], served: Tensor, filled: int | None) -> list[Score]:
    found = []
    for recipe, made in making.candidates(model, requests, served.shape[1], filled):
        cosines = torch.cosine_similarity(made, served, dim=1)
        found.append(Score(recipe, float(cosines.mean()), float(cosines.min()), float((made - served).abs().max()),
                           float(losses(made, served).mean())))  # fmt: skip
    return sorted(found, key=lambda score: score.loss)


def first_pooled(model: Model, recipe: Recipe, texts: Sequence[str], served: Tensor) -> list[tuple[int, int]] | None:
    """Return from which token on each text was pooled, if only the rest of it was: (that token, number of tokens).

    So does a server that reads a batch in pieces and keeps what it pooled of the last one (llama.cpp, issue 26282).
    None where a text's vector is not the recipe's of any rest of it.
    """
    found = []
    for text, own in zip(texts, served, strict=True):
        rests = making.of_rests(model, recipe, text)  # [n, d]
        distances = 1 - torch.cosine_similarity(rests, own.unsqueeze(0), dim=1)
        if float(distances.min()) > HALF_PRECISION:
            return None
        found.append((int(distances.argmin()), len(rests)))
    return found


def tied(scores: Sequence[Score]) -> list[Score]:
    """Return the recipes that these texts cannot tell from the nearest one."""
    return [score for score in scores if score.loss <= max(TOLD_APART * scores[0].loss, EXACT)]


def distinct(scores: Sequence[Score], model: Model) -> list[tuple[Score, int]]:
    """Return one score of each group of recipes that give the same numbers, the simplest, and how many others do."""
    groups: list[list[Score]] = []
    for score in scores:
        if groups and abs(groups[-1][0].loss - score.loss) <= EXACT and abs(groups[-1][0].error - score.error) <= EQUAL:
            groups[-1].append(score)
        else:
            groups.append([score])
    return [(min(group, key=departures(model)), len(group) - 1) for group in groups]


def is_declared(recipe: Recipe, model: Model) -> bool:
    """Whether a recipe is the declared one but for the length of the vectors, which is looked at by itself."""
    wanted = model.as_declared
    # Cut to fewer dimensions it is the declared one still, unless a whole pooling may have been cut away.
    dims = None if len(wanted.poolings) == 1 else recipe.dims
    return replace(recipe, normalized=wanted.normalized, dims=dims) == wanted


def departures(model: Model) -> Callable[[Score], tuple]:
    """From a score to how far its recipe is from the usual: of those that give the same, the simplest is named."""
    order = [*recipes.POOLINGS, recipes.POOLER]

    def departures(score: Score) -> tuple:
        recipe = score.recipe
        odd = [recipe.layer != model.encoder.layers, not recipe.prompt_pooled, recipe.dense != model.dense_layers,
               *map(bool, (recipe.mixture, recipe.padding, recipe.special, recipe.prompt, recipe.filled))]  # fmt: skip
        return sum(odd), len(recipe.poolings), [order.index(name) for name in recipe.poolings]

    return departures


def tellable(model: Model, recipe: Recipe, noise: float, directions: bool) -> bool:
    """Whether our own texts would tell a recipe from the declared one; by their directions alone, if so asked."""
    recipe = replace(recipe, normalized=directions or recipe.normalized)
    own = replace(model.as_declared, normalized=recipe.normalized, dims=recipe.dims)
    made = [making.vectors(model, one, [PROBES]) for one in (own, recipe)]
    if made[0].shape != made[1].shape:
        return True
    return float(losses(*made).mean()) > max(TOLD_APART * noise, EXACT)
