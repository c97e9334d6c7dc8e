# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4. GPT-2
#
# GPT-2 reads in one direction. A token sees what came before it and nothing after. That one rule changes which pooling makes sense: the first token knows nothing, the last one could know everything, and padding can change the result in new ways. At the end the two models stand side by side, and we can ask how pooling changes with the direction of attention.
#
# **After this chapter you will be able to**
#
# - show which tokens a state depends on, by changing one token at a time;
# - pad a GPT-2 batch on either side without changing a result by more than rounding;
# - explain what position-weighted means are for;
# - test whether the best pooling depends on the model: a difference of differences.
#
# **What you need to know**: chapters 1 to 3.
#
# | | smoke | laptop | full |
# |---|---|---|---|
# | reading and exercises | – | 2 hours | 2 hours |
# | running all cells | under a minute | one to three minutes at the first run | needs a GPU, and a download |
#
# The book's page of measured times has the exact figures, with the hardware.

# %% tags=["setup"]
import subprocess
import sys

if "google.colab" in sys.modules:  # on Colab this notebook is alone: fetch this release of the course, once
    home = "/content/course-RELEASE_TAG"
    clone = f"rm -rf {home}.part && git clone -q --depth 1 --branch RELEASE_TAG REPOSITORY_URL {home}.part"
    subprocess.run(f"test -d {home} || ({clone} && mv {home}.part {home})", shell=True, check=True)
    sys.path[:0] = [home] * (home not in sys.path)

from helpers import course

session = course.start()

# %% tags=["imports"]
import copy

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from torch import nn

from helpers import (
    cells,
    checks,
    claims,
    contrasts,
    data,
    encoders,
    evaluation,
    figures,
    finetuning,
    grid,
    heads,
    pooling,
    progress,
    records,
    widgets,
)

figures.theme()

# %% [markdown]
# ## 4.1 One rule: look back only
#
# Chapter 3's attention had a table `allowed[i, j]`: may token i look at token j? In a BERT everything is allowed. In a GPT-2 only the past is, and the token itself. Written down, the rule is a triangle.

# %% tags=["nbval-check-output"]
T = 4
torch.ones(T, T, dtype=torch.bool).tril().int()  # [T, T]: row i looks at column j

# %% [markdown]
# Why would anybody blind a model like this? Because then *every* place is a training example. The state at place i has seen tokens 1 to i, so it can be asked for token i + 1, and a text of a hundred tokens asks a hundred questions at once. A BERT can be asked at its masked places only.
#
# ### Exercise 4.1 · Who may look at whom ★★☆ medium, 10 minutes
#
# Batches have padding. Write the table for each text of a batch: token i may look at token j if j is not later than i, *and* j is a real token. What happens in the rows of padded places does not matter.

# %% tags=["exercise", "ex-4.1"]
def may_look(mask):
    """bool [n, T] -> bool [n, T, T]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-4.1"]
# With `T = mask.shape[1]` the triangle is as above, [T, T]. The mask of the tokens that are looked *at* has to lie along the columns: is that `mask.unsqueeze(1)` or `mask.unsqueeze(2)`? Two tables are joined with `&`.

# %% tags=["check", "ex-4.1"]
sides = torch.tensor([[True, True, True], [True, True, False], [False, True, True]])
checks.exercise("4.1", may_look, lambda f: {
    "no padding: the triangle": (f(sides)[0].int(), [[1, 0, 0], [1, 1, 0], [1, 1, 1]]),
    "padding on the right": (f(sides)[1][:2].int(), [[1, 0, 0], [1, 1, 0]]),
    "padding on the left is not looked at": (f(sides)[2][1:].int(), [[0, 1, 0], [0, 1, 1]]),
})


# %% tags=["solution", "ex-4.1"]
def may_look(mask):
    """bool [n, T] -> bool [n, T, T]"""
    triangle = torch.ones(mask.shape[1], mask.shape[1], dtype=torch.bool).tril()
    return triangle & mask.unsqueeze(1)  # [T, T], [n, 1, T] -> [n, T, T]


# %% [markdown]
# ## 4.2 Does the model obey? Change one token
#
# A rule in a paper is not yet a fact about a model. Here is a test that needs no look inside: change one token of a text, and see which states change. We do it at every place, for both models.

# %% tags=["imports"]
NAMES = session.pick(smoke=("mini-bert", "mini-gpt2"), laptop=("mini-bert", "mini-gpt2"), full=("bert-base", "gpt2"))
bert, gpt2 = (encoders.load(name) for name in NAMES)
text = "A slow start, but the end is wonderful."
starts = ", ".join(f"{encoder.name}: {' '.join(encoder.special_tokens) or 'none'}" for encoder in (bert, gpt2))
figures.say(f"What each tokenizer puts around a text by itself: {starts}.")

# %% [markdown]
# The copies of the text lie in one batch, each with another token changed. The unchanged text is repeated as often, so that both batches have the same shape: the last digits of a matrix product can depend on it.

# %%
def states_of(encoder, ids):
    with torch.no_grad():
        return encoder.model(input_ids=ids).last_hidden_state.cpu()  # [n, T] -> [n, T, d]


def changes(encoder):
    """The pieces of the text, and how far each state moves when one token is changed: [changed, state]."""
    ids, _ = encoder.pad(encoder.tokens([text], 64))
    same, other = ids.repeat(ids.shape[1], 1), ids.repeat(ids.shape[1], 1)  # [1, T] -> [T, T]
    places = torch.arange(len(other))
    other[places, places] = (other[places, places] + 1000) % 8000 + 4  # some other piece
    moved = (states_of(encoder, other) - states_of(encoder, same)).norm(dim=2)
    pieces = encoder.tokenizer.convert_ids_to_tokens(ids[0])
    return [piece.replace("Ġ", "") for piece in pieces], moved


# %% [markdown] tags=["predict"]
# Draw the two tables: rows are the token that was changed, columns the state that we look at. Which cells are exactly zero in each model?

# %%
fig, axes = plt.subplots(1, 2, figsize=(10.5, 4.8), layout="tight")
zeros = {}
for ax, encoder in zip(axes, (bert, gpt2), strict=True):
    pieces, moved = changes(encoder)
    sns.heatmap(moved / moved.max(), cmap="cividis", vmin=0, vmax=1, cbar=False, square=True, ax=ax,
                xticklabels=pieces, yticklabels=pieces)
    ax.set(title=encoder.name, xlabel="this state", ylabel="changed token")
    zeros[encoder.name] = f"{(moved == 0).float().mean():.0%}"
told = ", ".join(f"{name} {share}" for name, share in zeros.items())
figures.show(fig, alt=f"How far each state moves when one token is changed, two heat maps. Exactly zero are: {told}.")

# %% [markdown]
# The cells below the diagonal belong to states that stand *before* the changed token.

# %%
below = moved[torch.ones_like(moved, dtype=torch.bool).tril(-1)]
exact = "Not even the last digit moves: a later token never touches an earlier state." if below.max() == 0 else ""
figures.say(f"Where a *later* token was changed, the largest move of a state of {gpt2.name} is **{below.max():g}**. "
            f"Cells that are exactly zero: {told}. {exact}")

# %% [markdown]
# So the *first* state depends on the first token alone. The mini GPT-2 reads [CLS] before each text (as its start sign; it has no [SEP] behind it), and there the first state is one and the same vector for every text. GPT-2 from the hub has no start sign: its first state tells the first piece of the text, and nothing more.
#
# ## 4.3 How much does each place know?
#
# "The last token knows all" is what the rule *allows*. What does it know in fact? We train a probe on the state at one place at a time: the 1st, the 2nd, the 4th token, and so on. A text that is shorter gives its last token, which for the BERT is [SEP]. The test texts are the last of the test part, as in chapter 3.

# %%
LENGTH = session.pick(smoke=32, laptop=128, full=256)
sizes = session.pick(smoke=(64, 32, 32), laptop=(500, 250, 500), full=(1000, 500, 1000))
parts = {split: data.load("imdb", split, session.scale) for split in data.SPLITS}
parts = {split: part.select(range(len(part) - size, len(part)))
         for (split, part), size in zip(parts.items(), sizes, strict=True)}
labelled, tests = parts["train"]["text"][:] + parts["validation"]["text"][:], parts["test"]["text"][:]
y = np.array(parts["train"]["label"][:] + parts["validation"]["label"][:])
y_test = np.array(parts["test"]["label"][:])

# %% [markdown]
# Both models encode once; the cache keeps the states. `At` is a pooling of one line: the state at a place.

# %%
states = {encoder.name: encoders.encode(encoder, labelled, LENGTH) for encoder in (bert, gpt2)}
test_states = {encoder.name: encoders.encode(encoder, tests, LENGTH) for encoder in (bert, gpt2)}


class At(pooling.Pooling):
    """The state at one place, the last one where a text is shorter. For padding on the right."""

    def __init__(self, place):
        super().__init__()
        self.place = place

    def pool(self, states, mask):
        place = (mask.sum(dim=1) - 1).clamp(max=self.place)  # [n]
        return states[torch.arange(len(states)), place]  # [n, T, d], [n] -> [n, d]


# %% [markdown]
# A probe on any pooled vectors, and on one model's states:

# %%
learn, choose = np.arange(sizes[0]), np.arange(sizes[0], sizes[0] + sizes[1])


def answers_of(pooled, test_pooled):
    """Test probabilities of a probe, [n]: validation texts choose when to stop."""
    return heads.fit_probe(pooled, y, learn, choose, seed=0).probabilities(test_pooled)


def probed(name, pool):
    return answers_of(*(pooling.pool_all(pool, part[name]) for part in (states, test_states)))


# %% [markdown]
# The last place that we probe is the one before the limit: there every cut text still has a piece of its own, and at the limit itself the BERT would have [SEP] in all texts.

# %%
places = [place for place in (0, 1, 3, 7, 15, 31, 63, LENGTH - 2) if place < LENGTH - 1]
by_place = {name: [evaluation.accuracy(y_test, probed(name, At(place))) for place in places] for name in NAMES}

# %% [markdown] tags=["predict"]
# Two lines, from the first place to the last. Where does each begin, where does each end, and which one rises more?

# %%
at = [place + 1 for place in places]
fig, alt = figures.lines(by_place, at, "place in the text", "test accuracy of a probe")
fig.axes[0].set_xscale("log", base=2)
fig.axes[0].set_xticks(at, at)
figures.show(fig, alt=alt)

# %% [markdown]
# In words, with the yardstick:

# %%
commoner = max(y_test.mean(), 1 - y_test.mean())
ends = "; ".join(f"{name}: {found[0].value:.2f} at place 1, {found[-1].value:.2f} at place {places[-1] + 1}"
                 for name, found in by_place.items())
figures.say(f"{ends}. Always answering the commoner label of the test texts would have {commoner:.2f}.")

# %% [markdown]
# Place 1 is [CLS] in both models. A model that looks both ways could know the text everywhere; if its late places know little, the [SEP] of the shorter texts is one possible reason, and one run of few labels cannot tell.
#
# The rule *allows* the last state to hold the whole text. Nothing *asks* it to: it was trained to predict the next piece, and for that the last few words matter most. So a mean over all places, each of which remembers its own neighbourhood, may still know more. The grid below will say.
#
# ## 4.4 The pad token that does not exist
#
# GPT-2 was never trained on padding, and the tokenizer that belongs to it has no pad token. Ask it for a batch, and it refuses. (The course gives every encoder some pad token; here we take it away again, on a copy.)

# %%
tokenizer = copy.deepcopy(gpt2.tokenizer)
tokenizer.pad_token = None
try:
    tokenizer(["Great!", text], padding=True)
except ValueError as error:
    print(str(error)[:80])

# %% [markdown]
# So everybody who batches a GPT-2 invents a pad token, and many pad on the *left*, so that index −1 is the last real token. Let us see what that does to the states: the same text, alone, and with three padded places on the left. The mask is given to the model, so nobody looks at the padding.

# %% tags=["imports"]
ids, mask = gpt2.pad(gpt2.tokens([text], 64))
left_ids = nn.functional.pad(ids, (3, 0), value=gpt2.tokenizer.pad_token_id)
left_mask = nn.functional.pad(mask, (3, 0), value=False)
with torch.no_grad():
    alone = gpt2.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    naive = gpt2.model(input_ids=left_ids, attention_mask=left_mask.long()).last_hidden_state[:, 3:]

# %% [markdown] tags=["predict"]
# By how much will the states of the real tokens differ: not at all, in the last digit, or more?

# %%
gap = (naive - alone).norm(dim=2).mean() / alone.norm(dim=2).mean()
figures.say(f"The states moved by **{gap:.0%}** of their length on average.")

# %% [markdown]
# GPT-2 adds a learned vector for each *position*, and `GPT2Model` numbers positions from 0 at the left edge of the box, padding included. Our text's first token was told that it is the fourth. (The library's method for writing texts, `generate`, corrects this by itself. So people who only generate never notice.)
#
# ### Exercise 4.2 · Positions that count real tokens ★★☆ medium, 10 minutes
#
# Return the position of each token: 0 for the first real one, 1 for the second, wherever the padding is. In a padded place any position of the box will do: 0 to T − 1. The check gives your positions to the real model, and sees whether the three padded places still change anything.

# %% tags=["exercise", "ex-4.2"]
def real_positions(mask):
    """bool [n, T] -> int [n, T]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-4.2"]
# Chapter 2's `mask.cumsum(dim=1)` counts the real tokens so far, and it is 1 at the first one. What is it before that?

# %% tags=["check", "ex-4.2"]
def states_with(positions):
    """States of the text's real tokens beside three padded places on the left."""
    with torch.no_grad():
        given = {"input_ids": left_ids, "attention_mask": left_mask.long(), "position_ids": positions}
        return gpt2.model(**given).last_hidden_state[:, 3:]


def still(positions):
    """Do the model's states stay as they are? Not asked with positions that the box does not have."""
    inside = bool(((positions >= 0) & (positions < positions.shape[1])).all()) and not positions.is_floating_point()
    return inside and bool((states_with(positions) - alone).abs().max() < 1e-3)


sides = torch.tensor([[True, True, True, True], [False, False, True, True], [True, True, False, False]])
checks.exercise("4.2", real_positions, lambda f: {
    "no padding": (f(sides)[0], [0, 1, 2, 3]),
    "padding on the left": (f(sides)[1][2:], [0, 1]),
    "padding on the right": (f(sides)[2][:2], [0, 1]),
    "every position is one of the box": ((f(sides) >= 0) & (f(sides) < 4)).all(),
    "whole numbers": not f(sides).is_floating_point(),
    "the model's states do not move any more": still(f(left_mask)),
})


# %% tags=["solution", "ex-4.2"]
def real_positions(mask):
    """bool [n, T] -> int [n, T]"""
    return (mask.cumsum(dim=1) - 1).clamp(min=0)


# %% [markdown]
# The course pads on the right. Then a token's place in the box *is* its position, for every model, and the causal rule keeps real tokens from looking at padding even without a mask. The price is that index −1 is padding. Chapter 2's `Last` finds the last real token on either side.
#
# What stands in padded places does not matter if three things hold: the mask is given to the model, positions count real tokens, and the pooling reads no padded place.
#
# ### What the naive code gives
#
# Two recipes from the web for "the last token", beside the right one. To see padding at work we cut each review to between 5 and 64 words: then a batch of sixteen holds short and long texts.

# %%
def cut(texts):
    return [" ".join(text.split()[: 5 + (37 * row) % 60]) for row, text in enumerate(texts)]


def index_minus_one(states, mask):
    return states[:, -1]


RECIPES = {"last real token": ("right", pooling.Last()), "index −1, padded on the right": ("right", index_minus_one),
           "index −1, padded on the left": ("left", index_minus_one)}


# %% [markdown]
# The library's tokenizer pads on the side that it is told.

# %%
def last_of(encoder, texts, side, size, read):
    """What `read` takes from the states of batches that are padded on one side; no positions are given. [n, d]"""
    vectors = []
    for start in range(0, len(texts), size):
        tokens = encoder.tokens(texts[start : start + size], LENGTH)
        batch = encoder.tokenizer.pad({"input_ids": tokens}, padding_side=side, return_tensors="pt")
        batch = batch.to(encoder.model.device)
        with torch.no_grad():
            states = encoder.model(**batch).last_hidden_state.float()
        vectors.append(read(states, batch["attention_mask"].bool()).cpu())  # [n, T, d] -> [n, d]
    return torch.cat(vectors)


# %% [markdown]
# First a property, without any label: **a text's vector must not depend on its neighbours.** We pool each text in a batch of sixteen and in a batch of its own.

# %%
short_tests = cut(tests)
rows, moves = {}, {}
for name, (side, read) in RECIPES.items():
    rows[name], single = (last_of(gpt2, short_tests, side, size, read) for size in (16, 1))
    moves[name] = float(((rows[name] - single).norm(dim=1) / single.norm(dim=1)).mean())

# %% [markdown]
# How far did the vectors move?

# %%
moved = pd.DataFrame({"the vector moves by": moves})
figures.table(moved, f"{gpt2.name}: how far a text's vector moves when it gets neighbours, as a share of its length",
              {"the vector moves by": "{:.0%}"})

# %% [markdown] tags=["predict"]
# And the accuracy? Two recipes are wrong. Will both of them score lower than the right one?

# %%
short = cut(labelled)
train_rows = {name: last_of(gpt2, short, side, 16, read) for name, (side, read) in RECIPES.items()}
scores = {name: answers_of(train_rows[name], rows[name]) for name in rows}
compared = evaluation.compare_all(y_test, scores, reference="last real token")
figures.comparisons(compared, f"Three ways to read the last token of {gpt2.name}; reviews cut to 5 to 64 words, "
                              f"{sizes[0]} labels, one run ({session.scale})")

# %% [markdown]
# One run of each, so this is chapter 2's comparison: other texts only, and *detectable* is for one uncorrected test. What can be said of it:

# %%
sure = compared[compared.p_holm < evaluation.ALPHA]
worse, better = sure.index[sure.difference < 0], sure.index[sure.difference > 0]
told = [", ".join(names) or "none" for names in (worse, better)]
figures.say(f"Shown to be worse here: **{told[0]}**. Shown to be better: {told[1]}.")

# %% [markdown]
# A score is a poor detector of such bugs. A padded place on the right still attends to the whole text, so its state can even serve as a summary of it. But it is a summary that changes with the neighbours: the same review gets one answer today and another tomorrow. Chapter 2 told of a repair that made a score *worse*; the reason may be of the same kind.

# %% [markdown]
# ## 4.5 Weights that grow
#
# If later states know more, let them weigh more: the weighted mean of chapter 2 gives the weights 1, 2, 3, … n. It was proposed for GPT-like encoders (SGPT). Between the mean and the last token lies a whole family: weights $i^p$. At p = 0 it is the mean, at p = 1 SGPT's, and for large p the last token.

# %%
def draw_weights(p):
    fig, ax = plt.subplots(figsize=(7, 3))
    weights = (np.arange(1, 21) / 20) ** p
    ax.bar(range(1, 21), weights / weights.sum())
    ax.set(title=f"p = {p:g}", xlabel="token", ylabel="weight", ylim=(0, 1), xticks=(1, 5, 10, 15, 20))
    return fig, f"Bar chart: weights of 20 tokens for p = {p:g}; the last one has {weights[-1] / weights.sum():.2f}."


# %% tags=["widget"]
powers = ipywidgets.SelectionSlider(options=(0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0), value=1.0, description="power p")
widgets.explore(draw_weights, p=powers)

# %% [markdown]
# ### Exercise 4.3 · A family from mean to last ★★★ hard, 15 minutes
#
# Return the weights $i^p$ over the real tokens, divided by their sum; 0 in padded places. It has to survive long texts and large powers.

# %% tags=["exercise", "ex-4.3"]
def power_weights(mask, p):
    """bool [n, T], a number -> [n, T]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-4.3"]
# `mask.cumsum(dim=1)` counts 1, 2, 3, … over the real tokens. 200 to the power of 80 is more than a 32-bit float, PyTorch's default, can hold: only ratios matter, so divide the count by its largest value first. And mind that 0 to the power of 0 is 1: the mask has the last word.

# %% tags=["check", "ex-4.3"]
sides = torch.tensor([[True, True, True, False], [False, True, True, True]])
long = torch.ones(1, 200, dtype=torch.bool)
checks.exercise("4.3", power_weights, lambda f: {
    "p = 0 is the mean": (f(sides, 0.0), [[1 / 3, 1 / 3, 1 / 3, 0], [0, 1 / 3, 1 / 3, 1 / 3]]),
    "p = 1 is SGPT's": (f(sides, 1.0), [[1 / 6, 2 / 6, 3 / 6, 0], [0, 1 / 6, 2 / 6, 3 / 6]]),
    "p = 2 by hand": (f(sides, 2.0)[0], [1 / 14, 4 / 14, 9 / 14, 0]),
    "a large p is the last token": (f(sides, 80.0), [[0, 0, 1, 0], [0, 0, 0, 1]]),
    "a long text and a large p: every weight is a number": f(long, 80.0).isfinite().all(),
    "a long text and a large p: the weights sum to one": abs(f(long, 80.0).sum() - 1) < 1e-4,
})


# %% tags=["solution", "ex-4.3"]
def power_weights(mask, p):
    """bool [n, T], a number -> [n, T]"""
    share = mask.cumsum(dim=1) / mask.sum(dim=1, keepdim=True)  # [n, T]: from 1/n to 1 over the real tokens
    weights = share**p * mask
    return weights / weights.sum(dim=1, keepdim=True)


# %% [markdown]
# Three members of the family on both models, live: p = 0, p = 1, and p → ∞.

# %% [markdown] tags=["predict"]
# How will accuracy change from the mean to the weighted mean to the last token, on each model?

# %%
family = {f"{name}, {pool}": evaluation.accuracy(y_test, probed(name, pooling.make(pool, gpt2.dim)))
          for name in NAMES for pool in ("mean", "weighted_mean", "last")}
fig, alt = figures.intervals(family, f"test accuracy, frozen, {sizes[0]} labels, one run ({session.scale})")
figures.show(fig, alt=alt)

# %% [markdown]
# One run, so read no order into overlapping intervals. And mind what *last* is: the GPT-2's last token is the last piece of the text, the BERT's is its [SEP].

# %% [markdown]
# ## 4.6 The grid: the same poolings on a GPT-2
#
# The same runs as in chapter 3: every pooling, five seeds, frozen and fine-tuned, the same texts and the same protocol.

# %%
ON_FILE = session.pick(smoke="laptop", laptop="laptop", full="full")
table = records.Table(ON_FILE)


def cell(model, mode, dataset):
    return cells.read(table, ON_FILE, model, mode, dataset)


# %% [markdown] tags=["predict"]
# Reviews, frozen. In chapter 3 you saw the BERT's order. What will change for *first*, *last* and the weighted mean?

# %%
figures.cell(cell(NAMES[1], "frozen", "imdb"))

# %% [markdown]
# Single sentences:

# %%
figures.cell(cell(NAMES[1], "frozen", "rotten_tomatoes"))

# %% [markdown]
# And fine-tuned.

# %%
figures.cell(cell(NAMES[1], "fine-tuned", "imdb"))

# %% [markdown]
# Single sentences:

# %%
figures.cell(cell(NAMES[1], "fine-tuned", "rotten_tomatoes"))

# %% [markdown]
# 4.3 left a question open: does the last state know more than the mean of all? Frozen, where each state is what pretraining made of it:

# %%
for dataset in data.NAMES:
    row = cell(NAMES[1], "frozen", dataset).comparisons().loc["last"]
    told = "no detectable difference" if row.p_holm >= evaluation.ALPHA else "more" if row.difference > 0 else "less"
    figures.say(f"- {dataset}: last minus mean {100 * row.difference:+.1f} points, corrected p {row.p_holm:.2g}: {told}.")

# %% [markdown]
# And 4.5's: does it pay to let later tokens weigh more?

# %%
gains = {(mode, dataset): cell(NAMES[1], mode, dataset).comparisons().loc["weighted_mean"]
         for mode in ("frozen", "fine-tuned") for dataset in data.NAMES}
told = "; ".join(f"{mode}, {dataset} {100 * row.difference:+.1f} (corrected p {row.p_holm:.2g})"
                 for (mode, dataset), row in gains.items())
figures.say(f"Weighted mean minus mean on {NAMES[1]}, in points: {told}.")

# %% [markdown]
# And one row of the fine-tuned tables deserves a sentence of its own.

# %%
tuned_cells = {dataset: cell(NAMES[1], "fine-tuned", dataset) for dataset in data.NAMES}
tuned_first = {dataset: evaluation.accuracy(found.answers, found.poolings["first"])
               for dataset, found in tuned_cells.items()}
told = "; ".join(f"{found} on {dataset}" for dataset, found in tuned_first.items())
figures.say(f"*First* after fine-tuning: {told}.")

# %% [markdown]
# Where the first state is the same for every text there is nothing to learn from, and no gradient can carry a later word back to it. Fine-tuning cannot repair what the architecture forbids.
#
# ### Watch one run
#
# A slice of that grid, live: the GPT-2 fine-tuned through its last token.

# %%
FEW, SHORT = session.pick(smoke=(32, 16), laptop=(500, 128), full=(1000, 256))
tuned = finetuning.fine_tune(
    gpt2, pooling.Last(), labelled, y, learn[:FEW], choose, seed=0,
    rate=grid.SCALES[session.scale].rates[NAMES[1]], max_length=SHORT,
)
fig, alt = figures.learning_curve(tuned.history)
figures.show(fig, alt=alt)

# %% [markdown]
# ## 4.7 Side by side: what changes with the direction?
#
# The mini pair: two models, the same texts, tokenizer, order and number of tokens. (At `full`, BERT base and GPT-2 share none of this, so a difference between them has many possible reasons.) One looks both ways and filled gaps for the second half of its training; the other looks back only and predicted next tokens throughout. Three smaller things differ as well, since each family has its own: where the *layer norm* stands (it brings a state to mean 0 and spread 1, after each step in a BERT and before it in a GPT-2), the layers on top that turn a state into a predicted token, and the learning rate of pretraining, which was chosen for each model, with more trials for the BERT. (In fine-tuning both have the same.) And a BERT's text ends with [SEP], a GPT-2's does not. If pooling behaves differently on the two, one of these may be the reason, or the luck of one pretraining run each. We cannot say which: direction and objective changed together.

# %%
both = {(model, dataset): cell(model, "fine-tuned", dataset) for model in NAMES for dataset in data.NAMES}
points = pd.DataFrame([
    (dataset, model, pool, seed, right)
    for (model, dataset), found in both.items() for pool, part in found.poolings.items()
    for seed, right in enumerate(evaluation.correctness(found.answers, part).mean(axis=1))
], columns=["dataset", "model", "pooling", "seed", "accuracy"])

# %% [markdown]
# Each small dot is one run, each bar the mean of five runs.

# %%
where = {"x": "accuracy", "y": "pooling", "hue": "model", "palette": "colorblind"}
panels = sns.catplot(points, **where, col="dataset", kind="strip", dodge=True, height=4, aspect=1.15, sharex=False)
panels.map_dataframe(sns.pointplot, **where, hue_order=NAMES, order=grid.POOLINGS, dodge=0.4, linestyle="none",
                     marker="|", markersize=18, errorbar=None)
means = points.groupby(["dataset", "model", "pooling"]).accuracy.mean()
tops = "; ".join(f"{dataset}, {model}: {means[dataset, model].idxmax()} {means[dataset, model].max():.2f}"
                 for dataset in data.NAMES for model in NAMES)
figures.show(panels.figure, alt=f"Accuracy of each fine-tuned run by pooling, both models, two panels. On top: {tops}.")

# %% [markdown]
# ### A difference of differences
#
# Claim C1 says that *which pooling is best depends on the architecture*. That is not the same as "max is worse on the GPT-2": perhaps everything is worse on the GPT-2. The claim is about an *interaction*: the gap between two poolings is another gap on the other model.
#
# $$(\text{max} - \text{mean})_{\text{BERT}} - (\text{max} - \text{mean})_{\text{GPT-2}}$$
#
# Toy numbers first. On the BERT max has 0.80 and mean 0.78; on the GPT-2 0.70 and 0.73. Then the gaps are +0.02 and −0.03, and the interaction is +0.05.
#
# ### Exercise 4.4 · An interaction for each text ★★☆ medium, 10 minutes
#
# Each array says for each seed and text whether a prediction was right (1) or wrong (0), shape [seeds, n]. Average over the seeds first. Return the difference of differences of *each text*, [n]; its mean is the interaction.

# %% tags=["exercise", "ex-4.4"]
def interaction_of_texts(max_bert, mean_bert, max_gpt2, mean_gpt2):
    """four arrays [seeds, n] -> [n]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-4.4"]
# `array.mean(axis=0)` averages over seeds, [seeds, n] -> [n]. Then it is one line with three minus signs: mind the brackets.

# %% tags=["check", "ex-4.4"]
ones, zeros, half = np.ones((2, 3)), np.zeros((2, 3)), np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
checks.exercise("4.4", interaction_of_texts, lambda f: {
    "max helps on the BERT only": (f(ones, zeros, ones, ones), [1.0, 1.0, 1.0]),
    "max helps on both alike: no interaction": (f(ones, zeros, ones, zeros), [0.0, 0.0, 0.0]),
    "it helps there and not here": (f(ones, ones, ones, zeros), [-1.0, -1.0, -1.0]),
    "seeds are averaged": (f(half, zeros, zeros, zeros), [0.5, 0.5, 0.5]),
})


# %% tags=["solution", "ex-4.4"]
def interaction_of_texts(max_bert, mean_bert, max_gpt2, mean_gpt2):
    """four arrays [seeds, n] -> [n]"""
    here = max_bert.mean(axis=0) - mean_bert.mean(axis=0)
    there = max_gpt2.mean(axis=0) - mean_gpt2.mean(axis=0)
    return here - there


# %% [markdown]
# How sure can we be of its mean? Two things were drawn by chance: the test texts, and the seeds (with their labelled texts). `contrasts.contrast` takes both into account, as in chapter 3: the variance of the mean is what the texts say of it plus what the seeds say of it. It takes the methods' predictions and a weight for each: `[1, -1]` is a gap, `[1, -1, -1, 1]` is the difference of two gaps; your function gives its value for each text.

# %%
runs = [cell(model, "fine-tuned", "imdb") for model in NAMES]
four = [run.poolings[pool] for run in runs for pool in ("max", "mean")]
found = contrasts.contrast(runs[0].answers, four, [1, -1, -1, 1])
figures.say(f"Reviews: (max − mean) on {NAMES[0]} minus (max − mean) on {NAMES[1]} = {figures.points(found.effect)} "
            f"points, p {found.p:.2g}.")

# %% [markdown]
# Claim C1b was written down before the grid was run. It averages over reviews and sentences, and asks for more than a gap that shrinks: *another* pooling must be best, and the best pooling of each model must be shown to beat the other's best, on its own model.

# %%
figures.claim(claims.claim("C1b"))

# %% [markdown] tags=["predict"]
# Three differences, one for each pair of the paper's poolings. Will any corrected p be below 0.05? Will another pooling be best?

# %%
figures.verdict(claims.claim("C1b"), claims.judge("C1b", ON_FILE), ON_FILE)

# %% [markdown]
# The last two columns are the same gap on each model alone. For "another pooling is best" it has to turn round, *and* be shown on both.

# %% [markdown]
# ### More poolings, on frozen encoders
#
# For more poolings, each against the mean, and on frozen encoders, where nothing could adapt. These tests were not part of the decision; they are a family of their own. For *first* the outcome follows from the rule of 4.1: on the mini GPT-2 it is a constant. In *last*, the BERT's token is its [SEP], and the GPT-2's is the last piece of the text.

# %%
frozen = {(model, dataset): cell(model, "frozen", dataset) for model in NAMES for dataset in data.NAMES}


def against_mean(pool, dataset):
    """By how much more the BERT gains with this pooling over the mean than the GPT-2 does."""
    four = [frozen[model, dataset].poolings[name] for model in NAMES for name in (pool, "mean")]
    return contrasts.contrast(frozen[NAMES[0], dataset].answers, four, [1, -1, -1, 1])


others = [pool for pool in grid.POOLINGS if pool != "mean"]
gaps = {pool: contrasts.combined([against_mean(pool, dataset) for dataset in data.NAMES], [0.5, 0.5])
        for pool in others}

# %% [markdown]
# `combined` joins contrasts of different texts: here the average over the two data sets.

# %%
shown = {pool: gap.effect for pool, gap in gaps.items()}
fig, alt = figures.gaps(shown, f"(pooling − mean) on {NAMES[0]} minus the same on {NAMES[1]}, frozen")
figures.show(fig, alt=alt)

# %% [markdown]
# Which of these are shown, after a correction for all of them?

# %%
p = dict(zip(gaps, evaluation.holm(np.array([gap.p for gap in gaps.values()])), strict=True))
sure = [f"{pool} ({figures.points(gaps[pool].effect)} points)" for pool in gaps if p[pool] < evaluation.ALPHA]
figures.say(f"Frozen, the gap to the mean is shown to differ between the two models for: {'; '.join(sure) or 'none'}.")

# %% [markdown]
# ## What this chapter says about the claims
#
# C1b has its verdict above. The mini pair is controlled, so a difference is not due to data, size, tokenizer or order of the texts. Three limits remain. The pair is *small*: four layers, film reviews only. Direction and objective changed together. And there is *one* BERT and *one* GPT-2: the intervals cover other test texts and other draws of labels, but no other pretraining run. The command that makes more such models is in the repository (`tools/pretrain_mini_pair.py`).
#
# ## Quiz

# %% [markdown] tags=["quiz"]
# 1. Why can fine-tuning not lift *first* on the mini GPT-2?
#
#    Answer: Its state depends on the first token only, which is the same in every text. No training can bring later words into it.
#
# 2. You pad GPT-2 on the left and give the mask. What else must you give, and why?
#
#    Answer: Positions that count real tokens. GPT2Model numbers places from the left edge, so padding shifts every position vector.
#
# 3. With right padding a causal model needs no attention mask for its real tokens. True?
#
#    Answer: True: padding stands later, and nothing looks at what is later. The pooling still needs the mask.
#
# 4. Max beats mean by 2 points on one model and by 1 point on the other; the first difference is significant, the second is not. Is that an interaction?
#
#    Answer: Not yet: the difference of differences is 1 point, and its own interval decides. One significant and one non-significant test do not show that the two differ.
#
# 5. Which differences between the mini pair remain besides the direction of attention?
#
#    Answer: The objective of the second half of the training, the place of the layer norm, the layers that predict, the learning rate of pretraining, [SEP] at the BERT's end, and the luck of one run each.

# %% [markdown]
# ## Further reading
#
# - Radford et al. (2019), *Language models are unsupervised multitask learners*: GPT-2.
# - Muennighoff (2022), *SGPT*, [arXiv:2202.08904](https://arxiv.org/abs/2202.08904): position-weighted means, and why.
# - BehnamGhader et al. (2024), *LLM2Vec*, [arXiv:2404.05961](https://arxiv.org/abs/2404.05961): what happens when a decoder is allowed to look both ways.
# - Nieuwenhuis, Forstmann and Wagenmakers (2011), *Erroneous analyses of interactions in neuroscience*: why two tests are not a test of a difference.
# - Clark (1973), *The language-as-fixed-effect fallacy*: why texts and runs both have to count.
# - Xing, Xing and Sun (2024), [arXiv:2411.14654](https://arxiv.org/abs/2411.14654).

# %% [markdown]
# ## Your progress
#
# Which checks of this chapter have you passed? Passed once counts, also when you open the chapter anew.

# %% tags=["progress"]
progress.show("4.1", "4.2", "4.3", "4.4")
