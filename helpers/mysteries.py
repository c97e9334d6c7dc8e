"""Chapter 8's three mystery servers. Reading on would spoil the chapter: each serves an encoder with one mistake."""

from helpers import making
from helpers.checkpoints import Encoder
from helpers.recipes import Model, Recipe
from helpers.served import Embed


def servers(bert: Encoder, gpt2: Encoder) -> dict[str, Embed]:
    """Return servers A and C of a BERT and B of a GPT-2: functions from n texts to vectors ``[n, d]``."""
    made = {
        "A": (bert, Recipe(("mean",), bert.layers, padding="padding counted", normalized=True)),
        "B": (gpt2, Recipe(("first",), gpt2.layers, normalized=True)),
        "C": (bert, Recipe(("max",), bert.layers, normalized=True)),
    }
    return {name: making.server(Model(encoder), recipe) for name, (encoder, recipe) in made.items()}
