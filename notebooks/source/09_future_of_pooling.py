# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 9. The future of pooling
#
# Models grow, and so do the texts that they read. Does pooling still matter then? Two things are said about it. In long texts simple poolings drown what matters, and attention pooling does not. And the larger the model, the more the choice of pooling counts. We build the richer poolings, hide one telling sentence in ever longer texts, and train the same model in three sizes. At the end stand a guide made from tests, and all ten claims with their verdicts.
#
# **After this chapter you will be able to**
#
# - build attention pooling and its relatives, each in a few lines, and say what each costs;
# - predict from theory how fast a mean, a max and an attention lose one token among many, and hold it against a measurement;
# - pool chunks, and layers;
# - say how much three sizes of a model can show, and how much not;
# - choose a pooling, with reasons.
#
# **What you need to know**: chapters 2 to 5; for the guide and the ledger also 6 and 7.
#
# | | smoke | laptop | full |
# |---|---|---|---|
# | reading and exercises | – | 2 hours, and a project | 2 hours |
# | running all cells | under a minute | about two minutes | about five minutes |
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
import itertools
import time

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.stats import norm
from torch import nn

from helpers import (
    attentions,
    checks,
    claims,
    contrasts,
    data,
    encoders,
    evaluation,
    evidence,
    evidence_studies,
    figures,
    future_rules,
    grid,
    heads,
    pooling,
    progress,
    records,
    studies,
    widgets,
)
from helpers.evidence_studies import Stacked

figures.theme()

# %% [markdown]
# ## 9.1 Attention pooling and its relatives
#
# Chapter 2's weighted sum scores each token by one learned query, turns the scores into weights by a softmax, and sums. Toy numbers: three tokens of two numbers, and a query that likes the second number.

# %% tags=["nbval-check-output"]
states = torch.tensor([[[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]]])  # [n, T, d]
query = torch.tensor([0.0, 1.0])
weights = (states @ query).softmax(dim=1)  # [n, T]
weights, (weights.unsqueeze(-1) * states).sum(dim=1)

# %% [markdown]
# **More heads.** One query makes one choice. With h queries, each weighs the tokens anew, for its own share of the dimensions: one may look for praise, another for *not*.

# %%
class Attention(pooling.Pooling):
    """h learned queries, each for its share of the dimensions."""

    def __init__(self, dim, heads=4):
        super().__init__()
        self.queries = nn.Parameter(torch.zeros(heads, dim))

    def pool(self, states, mask):
        scores = states @ self.queries.T  # [n, T, h]                                    # new: h scores a token
        weights = scores.masked_fill(~mask.unsqueeze(-1), float("-inf")).softmax(dim=1)
        parts = states.unflatten(-1, (len(self.queries), -1))  # [n, T, d] -> [n, T, h, d/h]  # new: shares
        return (weights.unsqueeze(-1) * parts).sum(dim=1).flatten(1)  # [n, h, d/h] -> [n, d]


# %% [markdown]
# Every pooling of this section begins as the mean (scores of zero are equal weights). So whatever it reaches beyond the mean, it learned.
#
# **A gate.** A query is linear: a state scores the more, the further it goes in one direction. A small network can be choosier. It says *what* a state is, and a gate says whether that counts (Ilse et al. 2018).
#
# ### Exercise 9.1 · Gated weights ★★☆ medium, 10 minutes
#
# Given are two matrices V and U, [hidden, d], and a vector w, [hidden]. The score of a token h is w · (tanh(V h) ⊙ sigmoid(U h)), with ⊙ the product of two vectors number by number. Return the weights: a softmax over the real tokens.

# %% tags=["exercise", "ex-9.1"]
def gated_weights(states, mask, V, U, w):
    """[n, T, d], bool [n, T], [hidden, d] twice, [hidden] -> [n, T]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-9.1"]
# `states @ V.T` applies V to all tokens at once, [n, T, hidden]. What turns the last axis into one score?

# %% tags=["check", "ex-9.1"]
some = torch.tensor([[[2.0, 0.0], [0.0, 3.0], [9.0, 9.0]]])
real, V, U, w = torch.tensor([[True, True, False]]), torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([5.0])
scores = torch.tensor([5 * np.tanh(2.0) * 0.5, 0.0])  # tanh(0) is 0, and sigmoid(0) is a half
two = torch.cat([some, torch.full_like(some, float("nan"))]).index_put((torch.tensor(1), torch.tensor(1)), torch.ones(2))
two_real = torch.tensor([[True, True, False], [False, True, False]])
mixed = torch.tensor([0.5 * np.tanh(2.0), -2 * 0.5 * np.tanh(3.0)])
checks.exercise("9.1", gated_weights, lambda f: {
    "by hand": (f(some, real, V, U, w), [[*scores.softmax(0).tolist(), 0.0]]),
    "w of zeros is the mean": (f(some, real, V, U, 0 * w), [[0.5, 0.5, 0.0]]),
    "the gate closes": (f(some, real, V, -100 * torch.ones(1, 2), w), [[0.5, 0.5, 0.0]]),
    "two hidden numbers": (f(some, real, torch.eye(2), torch.zeros(2, 2), torch.tensor([1.0, -2.0])), [[*mixed.softmax(0).tolist(), 0.0]]),
    "two texts, and NaN in padding": (f(two, two_real, V, U, w), [[*scores.softmax(0).tolist(), 0.0], [0.0, 1.0, 0.0]]),
    "large scores": (f(some, real, V, U, 1e4 * w), [[1.0, 0.0, 0.0]]),
    "they sum to one": (f(torch.randn(4, 5, 2), torch.ones(4, 5, dtype=torch.bool), V, U, w).sum(dim=1), torch.ones(4)),
})


# %% tags=["solution", "ex-9.1"]
def gated_weights(states, mask, V, U, w):
    """[n, T, d], bool [n, T], [hidden, d] twice, [hidden] -> [n, T]"""
    scores = (torch.tanh(states @ V.T) * torch.sigmoid(states @ U.T)) @ w
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=1)


# %% [markdown]
# **A dictionary.** NV-Embed (Lee et al. 2024), a large embedding model, does something else; here in a simple form, with one head and no network behind it. It has a learned dictionary of r entries. Each token looks up the entries that are like it, what it finds is added to it, and then comes a plain *mean*. Tokens are not weighed: they are translated.

# %%
class Latent(pooling.Pooling):
    """Look up a dictionary, add what is found, take the mean."""

    def __init__(self, dim, entries=64):
        super().__init__()
        self.keys, self.values = nn.Parameter(torch.randn(entries, dim) / dim**0.5), nn.Parameter(torch.zeros(entries, dim))

    def pool(self, states, mask):
        alike = (states @ self.keys.T / states.shape[-1] ** 0.5).softmax(dim=-1)  # [n, T, r]
        found = states + alike @ self.values  # [n, T, r] @ [r, d] -> [n, T, d]
        return pooling.Mean()(found, mask)


# %% [markdown]
# What does each cost? Its parameters for a state of 256 numbers (a weighted sum has a query of 256, and a score for each of 512 places), and its time, as so many times that of the mean, measured here and now on one batch.

# %%
def seconds(module, states, mask):
    """The median time of a forward pass."""
    times = []
    for _ in range(21):
        start = time.perf_counter()
        module(states, mask)
        times.append(time.perf_counter() - start)
    return np.median(times)


COMPARED = ("mean", "max", "weighted_sum", "attention", "gated", "latent")
batch, full_mask = torch.randn(64, 128, 256), torch.ones(64, 128, dtype=torch.bool)
with torch.no_grad():
    made = {name: attentions.make(name, 256) for name in COMPARED}
    cost = {name: seconds(module, batch, full_mask) for name, module in made.items()}

# %% [markdown] tags=["predict"]
# Which of them will be shown to beat the mean, on frozen encoders with a thousand labelled texts? Where is there more to gain, on single sentences (`rotten_tomatoes`) or on whole reviews (`imdb`)?

# %%
ON_FILE = "laptop"  # what this chapter reads was run at laptop; 9.6 says how to run it at full
SETTINGS = grid.SCALES[ON_FILE]
TABLES = {name: records.Table("attentions" if name in attentions.NAMES else ON_FILE) for name in COMPARED}


def said(model, dataset, pool):
    """What the frozen runs of a cell said, [seeds, n]."""
    cell = {"model": model, "mode": "frozen", "dataset": dataset, "labels": max(SETTINGS.labels[dataset]), "pooling": pool}
    return TABLES[pool].probabilities(**cell)


def ahead(model, dataset, pool):
    """How much more accurate than the mean."""
    labels = TABLES["mean"].labels(dataset=dataset)
    return contrasts.contrast(labels, [said(model, dataset, name) for name in (pool, "mean")], [1, -1])


# %%
cells = list(itertools.product(SETTINGS.rates, SETTINGS.labels))
gaps = {(pool, *cell): ahead(*cell, pool) for pool in COMPARED if pool != "mean" for cell in cells}
p = dict(zip(gaps, evaluation.holm(np.array([gap.p for gap in gaps.values()])), strict=True))
rows = {pool: {"parameters": sum(one.numel() for one in made[pool].parameters()), "time, in means": f"{cost[pool] / cost['mean']:.1f}"}
        | {f"{model}, {dataset}": "" if pool == "mean" else figures.points(gaps[pool, model, dataset].effect)
           + " *" * bool(p[pool, model, dataset] < evaluation.ALPHA) for model, dataset in cells} for pool in COMPARED}
figures.table(pd.DataFrame(rows).T, f"Accuracy minus that of the mean in points, frozen; * is shown, corrected for all ({ON_FILE})")

# %% [markdown]
# In one sentence:

# %%
better = [key for key, gap in gaps.items() if p[key] < evaluation.ALPHA and gap.effect.value > 0]
worse = [key for key, gap in gaps.items() if p[key] < evaluation.ALPHA and gap.effect.value < 0]
figures.say(f"Of {len(gaps)} comparisons with the mean {len(better)} are shown to be better"
            f"{': ' + '; '.join(', '.join(key) for key in better) if better else ''}, and {len(worse)} to be worse"
            f"{': ' + '; '.join(', '.join(key) for key in worse) if worse else ''}.")

# %% [markdown]
# The intervals of the table are not corrected, the stars are. There is no simple pattern of reviews against sentences. But read down the columns: learned weights are never shown to be worse than the mean, and max often is. The plain weighted sum, with the fewest parameters, does about as well as what has many times as many; the dictionary, the dearest of all, is worth nothing here. (It was made for a model with thousands of dimensions and millions of training pairs.)
#
# ## 9.2 One token among many: theory
#
# When should a richer pooling help? When little of the text matters. Think of T tokens of pure noise, N(0, 1) in each dimension, and *one* that carries the answer: in one dimension its mean is +μ or −μ. What can be known from the pooled vector?
#
# The **mean** divides the signal by T: it becomes ±μ/T. The noise shrinks too, to a variance of 1/T.
#
# ### Exercise 9.2 · How often is the mean right? ★★☆ medium, 10 minutes
#
# The head says *positive* when that dimension of the mean is above zero. It has the distribution N(±μ/T, 1/T). Return the accuracy.

# %% tags=["exercise", "ex-9.2"]
def accuracy_of_mean(length, strength):
    """T and μ -> a number"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-9.2"]
# `norm.cdf(z)` is the chance that a standard normal number lies below z. How many standard deviations is the mean away from zero? A standard deviation is the root of the variance.

# %% tags=["check", "ex-9.2"]
checks.exercise("9.2", accuracy_of_mean, lambda f: {
    "a single token": (f(1, 1.0), norm.cdf(1.0)),
    "four tokens halve the distance, in standard deviations": (f(4, 2.0), norm.cdf(1.0)),
    "no signal is chance": (f(50, 0.0), 0.5),
    "four times the length, twice the strength": (f(400, 6.0), f(100, 3.0)),
})


# %% tags=["solution", "ex-9.2"]
def accuracy_of_mean(length, strength):
    """T and μ -> a number"""
    return norm.cdf((strength / length) / np.sqrt(1 / length))


# %% [markdown]
# The **max** keeps the largest value. The evidence stands out until the largest of the *noise* is as large. That grows too, but slowly, about as the root of 2 log T. So with a large μ max loses slowly. (And a negative μ is never the largest: max only sees that nothing positive stands out.)
#
# **Attention** can look at another dimension, by which the evidence is known: a marker. If its score lies m above the others', it gets the weight e^m / (e^m + T − 1).

# %% [markdown] tags=["predict"]
# With μ = 4: draw, on paper, the accuracy of mean, max and attention (m = 2) for T from 1 to 1,000. Who falls first? Does attention fall at all?

# %%
POINTS = (1, 4, 16, 64, 256, 1024)  # measured
LENGTHS = np.union1d(np.logspace(0, 10, 60, base=2).round().astype(int), POINTS)
STRENGTH, MARGIN = 4.0, 2.0


def theory(strength, margin):
    """Three curves over the length."""
    return {"mean": evidence.mean_accuracy(LENGTHS, strength), "max": evidence.max_accuracy(LENGTHS, strength),
            "attention": evidence.attention_accuracy(LENGTHS, strength, evidence.softmax_weight(LENGTHS, margin))}


# %% [markdown]
# And a measurement beside it: states from a random generator, pooled by the course's own classes. Attention's query knows the marker; to have the scores that the theory speaks of, the marker's dimension is set to m at the evidence and to 0 elsewhere.

# %%
def measured(length, strength, margin, texts):
    """The accuracy of each pooling on made-up states: of the best threshold on dimension 0."""
    states, mask, labels, places = evidence.synthetic(texts, length, 2, strength, 0.0, seed=length)
    states[..., 1] = 0.0
    states[torch.arange(texts), places, 1] = margin
    asks = pooling.WeightedSum(2, positions=length)
    asks.query.data[1] = 1.0
    with torch.no_grad():
        scores = {"mean": pooling.Mean()(states, mask), "max": pooling.Max()(states, mask), "attention": asks(states, mask)}
    return {name: evidence.best_accuracy(found[:, 0].numpy(), labels) for name, found in scores.items()}


TEXTS = session.pick(smoke=500, laptop=4000, full=4000)
dots = pd.DataFrame({length: measured(length, STRENGTH, MARGIN, TEXTS) for length in POINTS}).T

# %% [markdown]
# Move strength and margin (readers of the page see the first setting; the dots are measured at it).

# %%
def curves(strength, margin):
    """Theory as lines, the measurement as dots."""
    fig, ax = plt.subplots(figsize=(7.5, 4))
    found = theory(strength, margin)
    for color, (name, curve) in enumerate(found.items()):
        ax.plot(LENGTHS, curve, color=f"C{color}", label=name)
        if (strength, margin) == (STRENGTH, MARGIN):
            ax.scatter(dots.index, dots[name], color=f"C{color}", s=30, zorder=3)
    ax.set(xscale="log", xlabel="tokens", ylabel="accuracy", ylim=(0.48, 1.02), title=f"μ = {strength:g}, m = {margin:g}")
    ax.set_xticks(POINTS, POINTS)
    ax.minorticks_off()
    ax.legend(frameon=False)
    ends = ", ".join(f"{name} {curve[-1]:.2f}" for name, curve in found.items())
    return fig, f"Accuracy by length in theory, with measured dots: all begin at {found['mean'][0]:.2f}; at {LENGTHS[-1]:,} tokens {ends}."


# %% tags=["widget"]
widgets.explore(
    curves,
    strength=ipywidgets.FloatSlider(value=STRENGTH, min=0, max=8, step=0.5, description="strength μ"),
    margin=ipywidgets.FloatSlider(value=MARGIN, min=0, max=10, step=0.5, description="margin m"),
)

# %% [markdown]
# How far are the dots from the lines?

# %%
lines = {name: {length: curve[list(LENGTHS).index(length)] for length in POINTS} for name, curve in theory(STRENGTH, MARGIN).items()}
distance = (dots - pd.DataFrame(lines)).abs().max().max()
figures.say(f"Largest distance between measurement and theory: {100 * distance:.1f} points. By chance alone a dot at one half would "
            f"move by {100 * 0.5 / TEXTS**0.5:.1f} points (one standard deviation).")

# %% [markdown]
# Who falls first? Max, by a little; then the mean overtakes it. (At μ = 1 max is never the better of the two: try it.) And a surprise: attention falls too. With a fixed margin the many others outweigh the evidence in the end, only later. How large must the margin be to keep its weight?
#
# ### Exercise 9.3 · The margin that a length needs ★★☆ medium, 10 minutes
#
# Return the margin m at which the evidence gets the weight `weight` among T tokens (T of 2 or more).

# %% tags=["exercise", "ex-9.3"]
def margin_for(length, weight):
    """T, a share between 0 and 1 -> m"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-9.3"]
# Solve w = e^m / (e^m + T − 1) for e^m, then take `np.log`.

# %% tags=["check", "ex-9.3"]
checks.exercise("9.3", margin_for, lambda f: {
    "equal shares need none": (f(4, 0.25), 0.0),
    "a half among two": (f(2, 0.5), 0.0),
    "a half": (f(1001, 0.5), np.log(1000)),
    "it gives the weight": (evidence.softmax_weight(300, f(300, 0.8)), 0.8),
})


# %% tags=["solution", "ex-9.3"]
def margin_for(length, weight):
    """T, a share between 0 and 1 -> m"""
    return np.log(weight * (length - 1) / (1 - weight))


# %% [markdown]
# So to keep the *weight*, the margin has to grow as the logarithm of the length. To keep the *accuracy*, half of that is enough, since the noise of all the others averages out: it is Φ(μ/√(1 + (T − 1) e^(−2m))). Either way it has to grow, and a query of a fixed length can give only so much.
#
# Theory in one line: with a strong signal max holds longer than the mean, and attention longest, if the evidence can be recognized at all. Do trained encoders give such states?
#
# ## 9.3 One sentence among many: real texts
#
# We hide a sentence that tells the label, such as this one, among sentences of real reviews which hold no word that the emotion lexicon rates. Where it stands is drawn at random.

# %%
NAME = session.pick(smoke="mini-bert", laptop="mini-bert", full="bert-base")
encoder = encoders.load(NAME)
few = evidence.texts("test", 2, 96, encoder.tokenizer, seed=0)
for one in few:
    figures.say(f"*label {one.label}, {one.place:.0%} of the filler before it*: {one.text[:one.start]}**{one.evidence}**{one.text[one.stop:]}")

# %% [markdown]
# The filler is neutral by a lexicon, not by a judge: now and then an opinion slips through. It goes with no label, so it is noise, as everything else there. And no adjective stands in two splits: a head cannot learn the words by heart, it has to rely on what the encoder makes of them.
#
# At 32 tokens many a text *is* the evidence, as no sentence of filler fits beside it. From 64 on it never is.
#
# Each length has a head, and weights, of its own. The seeds draw four hundred training texts out of one pool of six hundred, so they speak of other draws, not of other pools; and there are six ways of saying it, the same in training and in test. So what is measured is what a head can learn from the pooled vectors of that length, and not how a head for short texts takes long ones. The table is on file (`python -m helpers.studies --only evidence`): frozen encoders, seven poolings, five seeds.

# %% [markdown] tags=["predict"]
# 32 tokens hold the evidence and little else. At 512 tokens, one in thirty is evidence. How far does the mean fall? And max? And what learns its weights?

# %%
hidden = studies.table("evidence", ON_FILE)
TOKENS = evidence_studies.LENGTHS
words = hidden.array(hidden.select().iloc[0], "words")


def found_by(model, pool, tokens):
    """Which test texts are answered rightly, [seeds, n]."""
    return hidden.stack("right", model=model, pooling=pool, tokens=tokens).astype(float)


# %%
fig, axes = plt.subplots(1, 2, figsize=(10.5, 4), sharey=True)
for ax, model in zip(axes, SETTINGS.pair, strict=True):
    for pool, marker in zip(SETTINGS.poolings, "os^DvXP", strict=True):
        learns = pool in ("weighted_sum", "attention")
        ax.plot(TOKENS, [found_by(model, pool, tokens).mean() for tokens in TOKENS], marker=marker, label=pool,
                linewidth=2.5 if learns else 1.2, linestyle="-" if learns else "--")
    ax.axhline(0.5, color=figures.INK, linewidth=1)
    ax.set(xscale="log", xticks=TOKENS, xticklabels=TOKENS, xlabel="tokens", title=model)
    ax.minorticks_off()
axes[0].set_ylabel("accuracy")
axes[1].legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
longest = {model: {pool: found_by(model, pool, TOKENS[-1]).mean() for pool in SETTINGS.poolings} for model in SETTINGS.pair}
figures.show(fig, alt="Accuracy by length for seven poolings on the BERT and the GPT-2. At 512 tokens: " + "; ".join(
    f"{model} " + ", ".join(f"{pool} {value:.2f}" for pool, value in own.items()) for model, own in longest.items()) + ".")

# %% [markdown]
# Without learned weights all sink to guessing, the line at one half. (The GPT-2's *first* has heard nothing, so it guesses from the start.) What learns its weights holds on. With intervals (the adjectives are the sample, as texts with one word share its fate):

# %%
def bracket(values, factor=100):
    """A mean over words and seeds with its interval, as text."""
    effect = contrasts.over_groups(factor * values, words).effect
    return f"{effect.value:.1f} [{effect.low:.1f}, {effect.high:.1f}]"


rows = {f"{model}, {pool}": {tokens: bracket(found_by(model, pool, tokens)) for tokens in TOKENS}
        for model in SETTINGS.pair for pool in ("mean", "max", "weighted_sum", "attention")}
figures.table(pd.DataFrame(rows).T, f"Accuracy in percent by the length of the text ({ON_FILE}, frozen)")

# %% [markdown]
# ### Theory beside it
#
# The theory has one unknown, μ. Fit it at 64 tokens, the shortest length at which every text holds filler, once for the mean and once for max, and let it predict the rest.

# %%
WITH_FILLER = np.array(TOKENS[1:])


def fitted(pool, curve):
    """The strength at which a curve passes through the accuracy at 64 tokens, and the curve from there."""
    strengths = np.linspace(0, 30, 601)
    start = np.mean([found_by(model, pool, WITH_FILLER[0]).mean() for model in SETTINGS.pair])
    strength = strengths[np.abs(curve(WITH_FILLER[0], strengths) - start).argmin()]
    return strength, curve(WITH_FILLER, strength)


CURVES = {"mean": evidence.mean_accuracy, "max": evidence.max_accuracy}
predicted = {pool: fitted(pool, curve) for pool, curve in CURVES.items()}

# %%
fig, ax = plt.subplots(figsize=(7.5, 4))
for color, (pool, (_, line)) in enumerate(predicted.items()):
    own = [contrasts.over_groups(np.mean([found_by(model, pool, tokens) for model in SETTINGS.pair], axis=0), words).effect for tokens in TOKENS]
    ax.errorbar(TOKENS, [one.value for one in own], [[one.value - one.low for one in own], [one.high - one.value for one in own]],
                color=f"C{color}", marker="o", capsize=3, label=f"{pool}, measured")
    ax.plot(WITH_FILLER, line, color=f"C{color}", linestyle=":", label=f"{pool}, theory")
ax.axhline(0.5, color=figures.INK, linewidth=1)
ax.set(xscale="log", xticks=TOKENS, xticklabels=TOKENS, xlabel="tokens", ylabel="accuracy, mean of the pair")
ax.minorticks_off()
ax.legend(frameon=False)
figures.show(fig, alt="Accuracy by length of mean and max, measured with intervals, and what theory predicts from 64 tokens on: at 512 tokens "
                      f"{predicted['mean'][1][-1]:.2f} for the mean and {predicted['max'][1][-1]:.2f} for max.")
figures.say("Fitted μ: " + ", ".join(f"{pool} {strength:.1f}" for pool, (strength, _) in predicted.items()) + ".")

# %% [markdown]
# For the mean the old law of 1/√T is not far off. For max it is: two fits of one unknown disagree, and the measured line falls faster. Where does the theory go wrong?
#
# One explanation: it says what the vector *holds*, for somebody who knows in which direction to look. A probe has to find that direction, among hundreds, from four hundred texts; the more noise the vector holds, the more it learns by heart. In each dimension max keeps the loudest token of the whole text, whatever that one was about. (How would you test this explanation? More training texts should help max; so should a direction known from short texts.) Another: the theory takes tokens for independent, and in an encoder they are not.
#
# A learned weight does what no head can do afterwards: it keeps the noise out *before* the sum.
#
# ### Where it stands

# %%
places = {tokens: hidden.array(hidden.select(tokens=tokens).iloc[0], "places").astype(float) for tokens in TOKENS}
third = np.digitize(places[TOKENS[-1]], (1 / 3, 2 / 3))  # 0: the beginning, 1: the middle, 2: the end
rows = {f"{model}, {pool}": {part: f"{100 * found_by(model, pool, TOKENS[-1])[:, third == number].mean():.1f}"
                             for number, part in enumerate(("beginning", "middle", "end"))}
        for model in SETTINGS.pair for pool in SETTINGS.poolings}
figures.table(pd.DataFrame(rows).T, f"Accuracy in percent at {TOKENS[-1]} tokens, by where the evidence stands ({ON_FILE}, frozen)")

# %% [markdown]
# Those numbers rest on a third of the test texts each, so read no more out of them than this: what learns its weights finds the evidence wherever it stands.
#
# ### The claim, judged

# %%
figures.claim(claims.claim("C8"))

# %%
c8 = claims.judge("C8", ON_FILE)
figures.verdict(claims.claim("C8"), c8, ON_FILE)

# %% [markdown]
# Attention has four queries. Does it take four? The same slope for the plain weighted sum, with its one query (a test chosen after the run):

# %%
slopes = {pool: future_rules.slope(hidden, SETTINGS, pool) for pool in ("weighted_sum", "attention")}
gap = contrasts.over_groups(slopes["weighted_sum"] - slopes["attention"], words)
figures.say("Slopes by doubling, in points: " + ", ".join(f"{pool} {bracket(slope)}" for pool, slope in slopes.items())
            + f". Their difference: {figures.points(gap.effect)} ({figures.p_value(gap.p)}, not corrected).")

# %% [markdown]
# So the word in the claim should be *learned weights*, not *attention*: one query does it as well.
#
# And the limits. "Information" is measured here by what a probe finds with four hundred texts. Mean and max end near guessing, where nothing more can be lost, so the true gap may be larger; beyond 512 tokens it must shrink, as attention falls too (9.2). The six sentences that carry the evidence are the same in training and in test: a query may learn their words and not only their adjectives.

# %% [markdown]
# ### Longer than the model can read
#
# The mini pair reads 512 tokens. Longer texts are cut into *chunks*, each chunk is pooled, and then the chunk vectors are pooled (Sun et al. 2019 compared such ways for BERT). Two poolings, one inside and one outside.

# %% [markdown] tags=["predict"]
# The mean of means is nearly the mean of everything. The max of maxes *is* the max of everything. What of the max of means?

# %%
(long_text,) = evidence.texts("test", 1, 300, encoder.tokenizer, seed=0)
pieces = evidence_studies.chunks(encoder, [long_text.text], ("mean",), 128)["mean"]  # 128: to see it on a short text
pieces.vectors.shape, pooling.Max()(*pieces.padded([0])).shape  # [n, chunks, d] -> [n, d]

# %% [markdown]
# `pieces` can be pooled as token states can. On texts of 2,048 tokens, in chunks of 512:

# %%
cut = studies.table("chunks", ON_FILE)
rows = {}
for model, tokens in itertools.product(SETTINGS.pair, evidence_studies.LONGER):
    right = cut.stack("right", model=model, tokens=tokens)[0].astype(float)  # [inner, outer, seeds, n]
    for (i, inner), (o, outer) in itertools.product(enumerate(evidence_studies.INNER), enumerate(evidence_studies.OUTER)):
        rows.setdefault(f"{model}, {inner} in chunks, {outer} over them", {})[f"{tokens:,} tokens"] = bracket(right[i, o])
figures.table(pd.DataFrame(rows).T, f"Accuracy in percent on texts in chunks ({ON_FILE}, frozen)")

# %% [markdown]
# Next to nothing is left, whatever stands outside; the max of means as well. What a mean or a max has lost inside a chunk, no pooling over chunks can bring back, attention included: there is nothing left to attend to. So the learned weights belong *inside*, where the tokens are. (How would you train them for texts of 2,048 tokens? One way: on the chunks, with the text's label, then freeze them.)
#
# ## 9.4 Layers can be pooled too
#
# So far the last layer gave the states. But each layer has some, and chapter 3 saw that the last is not always the best. A **mixture of layers** learns one weight a layer (Peters et al. 2018, ELMo): a softmax over layers instead of tokens.
#
# ### Exercise 9.4 · A mixture of layers ★★☆ medium, 10 minutes
#
# `vectors` holds one vector a layer for each text, [n, L, d], and `scores` one number a layer, [L]. Return the mixture [n, d].

# %% tags=["exercise", "ex-9.4"]
def mix(vectors, scores):
    """[n, L, d], [L] -> [n, d]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-9.4"]
# The weights are a softmax of the scores, [L]. To meet [n, L, d] they need an axis before them and one behind, or an `einsum`.

# %% tags=["check", "ex-9.4"]
layers = torch.tensor([[[2.0, 0.0, 1.0], [0.0, 4.0, 1.0]], [[1.0, 1.0, 1.0], [3.0, 5.0, 1.0]]])
three = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])  # one text, three layers, two numbers
checks.exercise("9.4", mix, lambda f: {
    "equal scores are the mean": (f(layers, torch.zeros(2)), layers.mean(dim=1)),
    "one layer takes all": (f(layers, torch.tensor([100.0, 0.0])), layers[:, 0]),
    "by hand": (f(layers, torch.tensor([3.0, 1.0]).log()), [[1.5, 1.0, 1.0], [1.5, 2.0, 1.0]]),
    "three layers": (f(three, torch.tensor([2.0, 1.0, 1.0]).log()), [[2.5, 3.5]]),
})


# %% tags=["solution", "ex-9.4"]
def mix(vectors, scores):
    """[n, L, d], [L] -> [n, d]"""
    return torch.einsum("nld,l->nd", vectors, scores.softmax(dim=0))


# %% [markdown]
# As a class it is a pooling like any other, only that its "tokens" are layers:

# %%
class LayerMix(pooling.Pooling):
    """One learned weight a layer."""

    def __init__(self, layers):
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(layers))

    def pool(self, states, mask):
        return torch.einsum("nld,l->nd", states, self.scores.to(states.dtype).softmax(dim=0))


# %% [markdown]
# Each layer's mean vector of some single sentences. Layers differ in the size of their numbers, so each is divided by its own spread first: else the loudest layer would win the mixture.

# %%
sizes = session.pick(smoke=(64, 32, 32), laptop=(600, 250, 1000), full=(1000, 500, 2000))
parts = [data.load("rotten_tomatoes", split, session.scale) for split in data.SPLITS]
parts = [part.select(range(len(part) - size, len(part))) for part, size in zip(parts, sizes, strict=True)]
sentences, y = [text for part in parts for text in part["text"]], np.array([label for part in parts for label in part["label"]])
by_layer = torch.stack([pooling.pool_all(pooling.Mean(), states) for states in encoders.encode_layers(encoder, sentences, 64)], dim=1)
by_layer = by_layer / by_layer[: sizes[0]].std(dim=(0, 2), keepdim=True)  # [n, L + 1, d]

# %%
learn, choose, test = np.split(np.arange(len(y)), np.cumsum(sizes)[:2])
known = np.concatenate([learn, choose])
L = by_layer.shape[1]


def right_with(pool, vectors, seed):
    """Which test sentences are answered rightly, and the pooling as it was learned."""
    stacked = Stacked(vectors, torch.ones(vectors.shape[:2], dtype=torch.bool))
    probe = heads.fit_pooling(pool, Stacked(vectors[known], stacked.mask[known]), y[known], learn, choose, seed)
    return (probe.probabilities(Stacked(vectors[test], stacked.mask[test])) > 0.5) == y[test], probe.pooling


# %%
SEEDS = range(3)
alone = {f"layer {number}": np.array([right_with(pooling.First(), by_layer[:, [number]], seed)[0] for seed in SEEDS]) for number in range(L)}
mixed = [right_with(LayerMix(L), by_layer, seed) for seed in SEEDS]
everything = alone | {"learned mixture": np.array([right for right, _ in mixed]),
                      "max over layers": np.array([right_with(pooling.Max(), by_layer, seed)[0] for seed in SEEDS])}
figures.show(*figures.intervals({name: contrasts.over(right.astype(float)).effect for name, right in everything.items()},
                                f"accuracy on sentences, frozen {NAME}, mean of tokens"))

# %% [markdown]
# Which layers did the mixture take, and is it shown to beat the last layer?

# %%
weights = torch.stack([module.scores.softmax(dim=0) for _, module in mixed]).mean(dim=0).detach()
gap = contrasts.over(everything["learned mixture"].astype(float) - everything[f"layer {L - 1}"])
figures.say("Weights by layer: " + ", ".join(f"{number}: {weight:.2f}" for number, weight in enumerate(weights.tolist()))
            + f". Mixture minus the last layer: {figures.points(gap.effect)} points ({figures.p_value(gap.p)}).")

# %% [markdown]
# Which layers did the mixture take? None: its weights hardly left their start. On this small model no layer stands out, and even layer 0, word vectors that have heard nothing of each other, is hardly behind. So there was little to choose. On a large model that may differ: try it (9.9).
#
# ## 9.5 Do larger models care more?
#
# "As models grow, the choice of pooling matters more." To test that, everything but the size should stay the same. So the mini pair was pretrained in two more sizes, with the same command, texts, batches and number of tokens (`python -m tools.pretrain_mini_pair mini-bert-2x64 …`; 2x64 is two layers of 64). Then all were fine-tuned on single sentences with mean, max and weighted sum.
#
# What does "matters" mean? The *spread*: the standard deviation of the three poolings' accuracies. Three poolings that are equally good would differ too, by the luck of five seeds. The test takes that off first (the root of spread² − luck², or zero where luck is larger), else noisier models would seem to care more.

# %%
spread = future_rules.spreads(records.RESULTS)
shown = spread.assign(parameters=spread.parameters / 1e6, spread=100 * spread.spread, seeds=100 * spread.seeds)
shown = shown.rename(columns={"parameters": "parameters (millions)", "spread": "spread (points)", "seeds": "by luck of the seeds alone (points)"})
figures.table(shown.drop(columns="family"), f"Spread of mean, max and weighted sum, fine-tuned on sentences ({ON_FILE})",
              dict.fromkeys(("parameters (millions)", "spread (points)", "by luck of the seeds alone (points)"), "{:.2f}"))

# %% [markdown]
# Where the last column is as large as the one before, nothing is left.

# %%
if (spread.family.value_counts() > 1).all():
    fig, ax = plt.subplots(figsize=(7.5, 4))
    for color, (family, own) in enumerate(spread.sort_values("parameters").groupby("family")):
        ax.plot(own.parameters / 1e6, 100 * own.spread, marker="o", color=f"C{color}", label=f"mini {family}: spread")
        ax.plot(own.parameters / 1e6, 100 * own.seeds, marker="x", linestyle=":", color=f"C{color}", label=f"mini {family}: luck alone")
    ax.set(xlabel="parameters (millions)", ylabel="spread of three poolings (points)", ylim=(0, None))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figures.show(fig, alt="Spread of the poolings by model size: " + "; ".join(f"{name} {100 * one:.2f} points" for name, one in spread.spread.items()) + ".")

# %%
figures.claim(claims.claim("C10"))

# %%
try:
    figures.verdict(claims.claim("C10"), claims.judge("C10", ON_FILE), ON_FILE)
except records.NotRun as missing:
    figures.say(f"**C10: {claims.NOT_RUN}.** {missing}")

# %% [markdown]
# Six models in three sizes, over a range of less than ten times. A line with a level for each family has three numbers, so six models leave three degrees of freedom. The column *detectable* says how steep a trend would have to be. So a verdict from so few says little about models a hundred times larger.
#
# Larger models are at hand, but they differ in more than size (data, tokens seen, how they were trained). So they stand beside the test and not in it: all frozen, the raw spread of mean, max and weighted sum.

# %%
beside = {}
for scale in ("laptop", "sizes", "smollm2", "full"):
    rows = records.Table(scale).rows
    rows = rows[(rows["mode"] == "frozen") & (rows.labels == 1000) & rows.pooling.isin(("mean", "max", "weighted_sum"))]
    for (model, dataset), own in rows[~rows.model.str.endswith("-random")].groupby(["model", "dataset"]):
        beside.setdefault(model, {})[dataset] = 100 * own.groupby("pooling").accuracy.mean().std()
figures.table(pd.DataFrame(beside).T, "Spread of three poolings on frozen encoders, in points (MiniLM has 22, SmolLM2 135 million parameters)",
              dict.fromkeys(SETTINGS.labels, "{:.2f}"))

# %% [markdown]
# ## 9.6 What would refute the rest
#
# All verdicts of this course are of small models. Somebody with a GPU can hold them against BERT base and GPT-2, with one command each. Each writes a table; the ledger of that scale reads it.

# %%
commands = pd.DataFrame({one.id: {"command": f"{one.source.replace(' --scale sizes', '')} --scale full"} for one in claims.CLAIMS if one.id != "C10"}).T
figures.table(commands.groupby("command").apply(lambda part: ", ".join(part.index), include_groups=False).rename("claims").to_frame(),
              "Commands that judge the claims on BERT base and GPT-2")

# %% [markdown]
# (C10 needs more than one size: the smaller BERTs of Turc et al. (2019) are of one family, in 24 sizes.)
#
# ## 9.7 What should you choose?
#
# Advice is worth what it rests on. The advice is ours; behind it stand the verdicts that it rests on, as the code finds them. If a verdict changes, doubt the advice.

# %%
verdicts = claims.ledger(ON_FILE)
GUIDE = {
    "One vector a text, and nothing to train: take the mean. Max is never shown to beat it.": ("C1a", "C2a"),
    "You have labels: let the weights be learned (9.1). One query is enough.": ("C8",),
    "A cue hides in a long text: learned weights, on the tokens, not on chunks.": ("C8",),
    "Your model or your task is another one: compare the poolings on it, for the gaps change.": ("C1b", "C3", "C10"),
    "You rank texts for questions: learned weights, on the question too; and a count of words beside it (7.4).": ("C6", "C9"),
    "You choose a sentence for a summary: begin with the first one (7.5).": ("C7",),
    "You have to explain single answers: measure what an explanation under your pooling is worth (6.3).": ("C4",),
    "You worry about bias: measure it on your own texts; the pooling alone does not settle it (6.5).": ("C5",),
}
for advice, rests_on in GUIDE.items():
    figures.say(f"- **{advice}** Rests on " + "; ".join(f"{number}: {verdicts.verdict[number]}" for number in rests_on) + ".")

# %% [markdown]
# And before all that: a bag of words (chapter 5), and the first sentence (chapter 7). Whoever does not beat them needs no pooling.
#
# ## 9.8 The ledger, complete
#
# One row a claim (C1 and C2 have two parts): the test that decides, its effect with an interval that is not corrected, and a p that is, for all tests of the rules that were written together. Decides means: where all tests of a rule have to agree, the weakest. So C6 shows a test that found nothing, while its verdict names those that found something. The corrections do not reach over all chapters: of ten claims with nothing in them one may still be called.

# %%
figures.ledger(verdicts, f"The claims ledger ({ON_FILE})")

# %%
count = verdicts.verdict.str.split(":").str[0].value_counts()
figures.say("Verdicts: " + ", ".join(f"{number} {verdict}" for verdict, number in count.items()) + f". All of small models ({ON_FILE}).")

# %% [markdown]
# ## 9.9 Your project ★★★ open, a day or more
#
# Take one claim of the ledger to a place where nobody looked. Another language, another model, another task; a pooling of your own; a claim of your own. Write it up in two pages, with one table and one figure.
#
# | part | not there | there | good |
# |---|---|---|---|
# | question | "which is best?" | a claim that could be wrong | and what would refute it, written before the run |
# | comparison | one pooling | the same budget for all | and a baseline that could embarrass them |
# | numbers | one run | seeds and an interval | and what could have been detected |
# | tests | none, or after looking | decided before | and corrected for how many there are |
# | reading | only numbers | some texts read | and an explanation that could be tested |
# | limits | "proves that" | says at which scale | and what would change the mind |
# | again | a notebook of yours | runs on another machine | with one command |
#
# ## Quiz

# %% [markdown] tags=["quiz"]
# 1. All relatives of attention begin as the mean here. Why is that good for an experiment?
#
#    Answer: What they reach beyond the mean they learned. A pooling that begins elsewhere may be better or worse for its start alone.
#
# 2. A text becomes four times as long, with one telling token. What must its signal do for the mean to be right as often?
#
#    Answer: Double. The mean's distance from zero is μ/√T standard deviations.
#
# 3. Why does attention lose too, with a fixed margin?
#
#    Answer: The softmax gives every token some weight, and with more tokens the rest carries more noise in all. To be right as often, the margin has to grow as half the logarithm of their number.
#
# 4. Measured accuracy falls faster than theory says. Is the theory wrong?
#
#    Answer: It answers another question: what the vector holds, for somebody who knows the direction and for independent tokens. A probe has to find the direction with the texts that it has. More texts, or a known direction, would show which it is.
#
# 5. Three sizes of a model show no trend. May you write "size does not matter"?
#
#    Answer: No. Write how large a trend could have been detected. With three degrees of freedom that is a large one.

# %% [markdown]
# ## Further reading
#
# - Lin et al. (2017), *A structured self-attentive sentence embedding*, [arXiv:1703.03130](https://arxiv.org/abs/1703.03130).
# - Ilse, Tomczak and Welling (2018), *Attention-based deep multiple instance learning*, [arXiv:1802.04712](https://arxiv.org/abs/1802.04712).
# - Lee et al. (2024), *NV-Embed*, [arXiv:2405.17428](https://arxiv.org/abs/2405.17428).
# - Sun et al. (2019), *How to fine-tune BERT for text classification?*, [arXiv:1905.05583](https://arxiv.org/abs/1905.05583): heads, tails, chunks, layers.
# - Peters et al. (2018), *Deep contextualized word representations*, [arXiv:1802.05365](https://arxiv.org/abs/1802.05365): a mixture of layers.
# - Turc et al. (2019), *Well-read students learn better*, [arXiv:1908.08962](https://arxiv.org/abs/1908.08962): one model in 24 sizes.
# - Xing, Xing and Sun (2024), [arXiv:2411.14654](https://arxiv.org/abs/2411.14654).

# %% [markdown]
# ## Your progress
#
# Which checks of this chapter have you passed? Passed once counts, also when you open the chapter anew.

# %% tags=["progress"]
progress.show("9.1", "9.2", "9.3", "9.4")
