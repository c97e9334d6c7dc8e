"""The vectors of recipes: of every one, for texts that were asked for in given requests, or of some chosen ones.

So they can be laid beside what a server answered (`helpers.served`).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from helpers.checkpoints import Encoder
from helpers.declared import Dense
from helpers.readings import Reading
from helpers.recipes import MIXTURES, MOST_SIDE_BY_SIDE, PADDINGS, POOLER, POOLINGS, SPECIAL, Model, Recipe


def candidates(
    model: Model, requests: Sequence[Sequence[str]], dim: int, filled: int | None = None
) -> Iterator[tuple[Recipe, Tensor]]:
    """Make the vectors of every recipe.

    Parameters
    ----------
    model : Model
    requests : sequence of sequence of str
        The texts of each request: those of one are padded to the longest of them.
    dim : int
        What the served vectors have. Recipes that cannot give it are left out.
    filled : int, optional
        Instead: all texts are padded to so many places, whatever the request. Then only mistakes with padding are made.

    Yields
    ------
    Recipe
    Tensor, shape [N, dim]
        Of all texts, in the order of the requests.
    """
    encoder, says = model.encoder, model.declared
    bare = _has_special_tokens(encoder) and all(encoder.tokenizer(text, add_special_tokens=False)["input_ids"]
                                                for own in requests for text in own)  # fmt: skip
    for prompt, special in product(["", *says.prompts], [SPECIAL[0], SPECIAL[2]] if bare else [SPECIAL[0]]):
        if filled and (prompt or special):  # two mistakes at once are not looked for
            continue
        base = Recipe((), 0, special=special, prompt=prompt, filled=filled)
        reading = _reading(model, base, requests)
        for name in PADDINGS:
            if (name and not reading.padded) or (filled and not name):
                continue
            yield from _pooled(model, reading, replace(base, padding=name), dim)
        if not filled and reading.prompt:
            yield from _pooled(model, reading, replace(base, prompt_pooled=False), dim)
        if not filled and not special and reading.has_special:
            yield from _pooled(model, reading, replace(base, special=SPECIAL[1]), dim)


def vectors(model: Model, recipe: Recipe, requests: Sequence[Sequence[str]]) -> Tensor:
    """Return the vectors of one recipe, ``[N, …]``: the same numbers that `candidates` yields."""
    return vectors_of(model, [recipe], requests)[0]


def vectors_of(model: Model, wanted: Sequence[Recipe], requests: Sequence[Sequence[str]]) -> list[Tensor]:
    """Return the vectors of several recipes, each ``[N, …]``; what they share is computed once."""
    found, read, reading = {}, None, None
    for recipe in sorted(set(wanted), key=_order):
        if reading is None or read != _read_as(recipe):
            reading, read = _reading(model, recipe, requests), _read_as(recipe)
        states = _states(reading, recipe)
        parts = [_pool(model, reading, states, pooling, _layers(model, recipe)) for pooling in recipe.poolings]
        found[recipe] = _finish(model, torch.cat(parts, dim=1), recipe)
    return [found[recipe] for recipe in wanted]


def of_rests(model: Model, recipe: Recipe, text: str) -> Tensor:
    """Return a recipe's vectors of a text without its first k tokens, k = 0, …, n - 1: ``[n, …]``.

    The states are those of the whole text: only the pooling begins later.
    """
    reading = _reading(model, recipe, [[text]])
    [(rows, hidden, mask)] = _states(reading, recipe)
    rests = []
    for place in mask[0].nonzero().flatten():
        rest = mask & (torch.arange(mask.shape[1]) >= place)
        parts = [_pool(model, reading, [(rows, hidden, rest)], pooling, _layers(model, recipe))
                 for pooling in recipe.poolings]  # fmt: skip
        rests.append(_finish(model, torch.cat(parts, dim=1), recipe))
    return torch.cat(rests)


def _order(recipe: Recipe) -> tuple:
    """Recipes that share states stand together."""
    padding = PADDINGS[recipe.padding]
    return _read_as(recipe), padding.side, padding.told


def _read_as(recipe: Recipe) -> tuple[str, bool, int]:
    """What the tokenizer's work depends on."""
    return recipe.prompt, recipe.special == SPECIAL[2], recipe.filled or 0


def server(model: Model, recipe: Recipe) -> Callable[[Sequence[str]], np.ndarray]:
    """Return a server that follows a recipe: a function from n texts to vectors ``[n, d]``."""

    def embed(texts: Sequence[str]) -> np.ndarray:
        return vectors(model, recipe, [list(texts)]).numpy()

    return embed


def _has_special_tokens(encoder: Encoder) -> bool:
    tokenizer = encoder.tokenizer
    return tokenizer("a")["input_ids"] != tokenizer("a", add_special_tokens=False)["input_ids"]


def _reading(model: Model, recipe: Recipe, requests: Sequence[Sequence[str]]) -> Reading:
    says = model.declared
    before = says.prompts.get(recipe.prompt, "")
    if says.lower:
        before, requests = before.lower(), [[text.lower() for text in own] for own in requests]
    return Reading(model.encoder, requests, before, recipe.special != SPECIAL[2], recipe.filled, says.most_tokens)


def _states(reading: Reading, recipe: Recipe) -> list[tuple[list[int], Tensor, Tensor]]:
    return reading.states(PADDINGS[recipe.padding], recipe.special == SPECIAL[1], not recipe.prompt_pooled)


def _layers(model: Model, recipe: Recipe) -> list[int]:
    return [*MIXTURES[recipe.mixture]] if recipe.mixture else [recipe.layer]


def _pool(model: Model, reading: Reading, states: list, pooling: str, layers: list[int]) -> Tensor:
    """Return one pooling of the average of some layers, ``[N, d]``."""
    if pooling == POOLER:
        module = model.encoder.model.pooler
        return reading.pooled(states, layers, lambda hidden, _: module(hidden.to(module.dense.weight.device)).cpu())
    return reading.pooled(states, layers, POOLINGS[pooling]())


def _pooled(model: Model, reading: Reading, base: Recipe, dim: int) -> Iterator[tuple[Recipe, Tensor]]:
    """Every pooling of every layer, then what may follow it."""
    states, last, modes = _states(reading, base), model.encoder.layers, model.declared.modes
    plain = base == Recipe((), 0)
    depths = [replace(base, layer=layer) for layer in range(last + 1)]
    if plain:
        depths += [replace(base, layer=last, mixture=name) for name, own in MIXTURES.items() if last >= len(own)]
    for depth in depths:
        layers, top = _layers(model, depth), depth == replace(base, layer=last)
        single = {name: _pool(model, reading, states, name, layers) for name in POOLINGS}
        choices = [(name,) for name in POOLINGS]
        if plain and top:
            if hasattr(getattr(model.encoder.model, POOLER, None), "dense"):  # without weights of its own it is noise
                single[POOLER] = _pool(model, reading, states, POOLER, layers)
                choices.append((POOLER,))
            count, rest = divmod(dim, model.encoder.dim)
            if 1 < count <= MOST_SIDE_BY_SIDE and not rest:
                choices += product(POOLINGS, repeat=count)
        if len(modes) > 1 and modes not in choices:
            choices.append(modes)
        for names in choices:
            found = torch.cat([single[name] for name in names], dim=1)
            for dense, normalized in product(range(model.dense_layers + 1), (False, True)):
                recipe = replace(depth, poolings=names, dense=dense, normalized=normalized)
                if (made := _fitting(model, found, recipe, dim)) is not None:
                    yield made


def _fitting(model: Model, found: Tensor, recipe: Recipe, dim: int) -> tuple[Recipe, Tensor] | None:
    made = _finish(model, found, recipe)
    if made is None or made.shape[1] < dim:
        return None
    if made.shape[1] > dim:
        recipe = replace(recipe, dims=dim)
        made = _finish(model, found, recipe)
    return recipe, made


def _finish(model: Model, found: Tensor, recipe: Recipe) -> Tensor | None:
    """Apply the Dense layers (and what is declared between them), the cut and the length; None where sizes do not fit.
    """
    applied = 0
    for module in model.declared.after:
        if applied == recipe.dense:
            break
        if isinstance(module, Dense):
            if module.weight.shape[1] != found.shape[1]:
                return None
            applied += 1
        found = module(found)
    found = found[:, : recipe.dims]
    return nn.functional.normalize(found, dim=1) if recipe.normalized else found
