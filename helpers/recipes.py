"""Recipes: every way in which a server may have made one vector out of a model's token states, right or wrong.

Here they are named; `helpers.making` makes their vectors.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.checkpoints import Encoder
from helpers.declared import Declared, Dense
from helpers.pooling import First, Last, Max, Mean, MeanSqrtLen, Pooling, WeightedMean
from helpers.readings import Padding


class BeforeLast(Pooling):
    """The token before the last real one; of one token, that one."""

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        last = mask.shape[1] - 1 - mask.int().flip(1).argmax(dim=1)  # [n]
        rest = mask & (torch.arange(mask.shape[1], device=mask.device) != last.unsqueeze(1))
        return Last().pool(states, torch.where(rest.any(dim=1, keepdim=True), rest, mask))


POOLINGS: dict[str, type[Pooling]] = {
    "mean": Mean, "first": First, "last": Last, "before_last": BeforeLast, "max": Max,
    "mean_sqrt_len": MeanSqrtLen, "weighted_mean": WeightedMean,
}  # fmt: skip
POOLER = "pooler"  # what a BERT makes of its first token for next-sentence prediction: a Dense layer of its own
SHOWN = {"first": "first token (cls)", "last": "last token", "before_last": "the token before the last",
         POOLER: "BERT's pooler_output"}  # fmt: skip
MOST_SIDE_BY_SIDE = 3
# Averages of several layers, counted from the end; "the first" is what leaves layer 1.
MIXTURES = {"the last two layers": (-2, -1), "the last four layers": (-4, -3, -2, -1),
            "the first and the last layer": (1, -1)}  # fmt: skip


PADDINGS = {
    "": Padding("right", True, "real"),  # as it should be: nothing to say
    "padding counted": Padding("right", True, "all"),
    "padding counted as zeros": Padding("right", True, "zeros"),
    "the model not given the mask": Padding("right", False, "real"),
    "no mask at all": Padding("right", False, "all"),
    "left padding, positions shifted": Padding("left", True, "real"),
    "left padding counted": Padding("left", True, "all"),
    "left padding counted as zeros": Padding("left", True, "zeros"),
    "left padding read as right": Padding("left", True, "as right"),
}
SPECIAL = ("", "special tokens left out of the pooling", "special tokens not added")
SKIPPED = "prompt left out of the pooling"


@dataclass(frozen=True)
class Recipe:
    """How a vector is made; `words` says it.

    Attributes
    ----------
    poolings : tuple of str
        Of `POOLINGS`; several stand side by side.
    layer : int
        0 to L; L is the last one.
    mixture : str
        Of `MIXTURES`, in place of one layer.
    padding : str
        Of `PADDINGS`.
    special : str
        Of `SPECIAL`.
    prompt : str
        Name of the prompt before each text, or "".
    prompt_pooled : bool
    dense : int
        How many of the declared Dense layers are applied.
    normalized : bool
    dims : int or None
        Only so many of the first dimensions, if not all.
    filled : int or None
        Every batch is padded to so many places, and not to its longest text.
    """

    poolings: tuple[str, ...]
    layer: int
    mixture: str = ""
    padding: str = ""
    special: str = ""
    prompt: str = ""
    prompt_pooled: bool = True
    dense: int = 0
    normalized: bool = False
    dims: int | None = None
    filled: int | None = None


@dataclass(frozen=True)
class Model:
    """An encoder with what is declared of its pooling."""

    encoder: Encoder
    declared: Declared = Declared()

    @property
    def dense_layers(self) -> int:
        return sum(isinstance(module, Dense) for module in self.declared.after)

    @property
    def as_declared(self) -> Recipe:
        """The recipe that is declared; it has no pooling where none is."""
        says = self.declared
        pooled = says.include_prompt or not says.prompt
        return Recipe(says.modes, self.encoder.layers, prompt=says.prompt, prompt_pooled=pooled,
                      dense=self.dense_layers, normalized=bool(says.normalized))  # fmt: skip


def words(recipe: Recipe, model: Model) -> str:
    """Return a recipe in words; what is as it should be is not mentioned."""
    said = [" + ".join(SHOWN.get(pool, pool) for pool in recipe.poolings)]
    if recipe.mixture:
        said.append(f"of the average of {recipe.mixture}")
    elif recipe.layer != model.encoder.layers:
        said.append(f"layer {recipe.layer} of {model.encoder.layers}")
    said += [recipe.padding, recipe.special]
    said.append(f"filled up to {recipe.filled} places" if recipe.filled else "")
    said.append(f"with the prompt {recipe.prompt!r}" if recipe.prompt else "")
    said.append("" if recipe.prompt_pooled else SKIPPED)
    if skipped := model.dense_layers - recipe.dense:
        said.append("Dense skipped" if skipped == model.dense_layers else f"the last {skipped} of Dense skipped")
    said.append(f"cut to {recipe.dims} dimensions" if recipe.dims else "")
    said.append("normalized" if recipe.normalized else "not normalized")
    return ", ".join(part for part in said if part)
