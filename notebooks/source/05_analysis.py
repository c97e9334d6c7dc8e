# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5. Analysis
#
# Chapters 3 and 4 ran the experiment. This chapter asks what it says. Which differences would be there again with other texts and other runs? What do they depend on? Where does a bag of words keep up? At the end stands a guide whose lines are made from tests. The *ledger* closes the chapter: all claims with their verdicts.
#
# **After this chapter you will be able to**
#
# - say how firm a ranking is;
# - split the spread of a result into its sources;
# - read accuracy against the number of labels, the length of a text, and what stands in it;
# - tell a well calibrated model from a merely accurate one;
# - read a ledger of claims, and say what its "no" means.
#
# **What you need to know**: chapters 3 and 4.
#
# | | smoke | laptop | full |
# |---|---|---|---|
# | reading and exercises | – | 2 hours | 2 hours |
# | running all cells | under a minute | under a minute | about a minute |
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
import re

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import statsmodels.formula.api as smf
from statsmodels.stats.anova import anova_lm

from helpers import (
    cells,
    checks,
    claims,
    contrasts,
    data,
    encoders,
    evaluation,
    figures,
    grid,
    heads,
    pooling,
    progress,
    records,
    widgets,
)

figures.theme()

# %% [markdown]
# ## 5.1 The whole grid
#
# The grid's table is on file. One row is one run: a model, a pooling, frozen or fine-tuned, a data set, a number of labels, a seed. Beside it lies what each run said of each test text.

# %%
ON_FILE = session.pick(smoke="laptop", laptop="laptop", full="full")
SETTINGS = grid.SCALES[ON_FILE]
table = records.Table(ON_FILE)
every = table.select()
figures.say(f"{len(every):,} runs ({ON_FILE}), {every.seconds.sum() / 3600:.1f} hours of one core.")

# %% [markdown]
# All cells with the most labels, as one picture: the mean accuracy over the seeds. Read along a row.

# %%
most = every.dataset.map({name: max(sizes) for name, sizes in SETTINGS.labels.items()})
shown = every[(every.labels == most) & every.pooling.isin(grid.POOLINGS)]
board = shown.pivot_table(index=["dataset", "mode", "model"], columns="pooling", values="accuracy")
board = board[list(grid.POOLINGS)]

# %% [markdown] tags=["predict"]
# Where will the lightest field be? On reviews or on sentences, on which model, under which pooling?

# %%
fig, ax = plt.subplots(figsize=(8.5, 0.42 * len(board) + 1))
sns.heatmap(board, annot=True, fmt=".2f", cmap="cividis", cbar=False, ax=ax,
            yticklabels=[", ".join(row) for row in board.index])
ax.set(xlabel="", ylabel="")
ax.grid(False)  # lines would cross what was not run
figures.show(fig, alt=f"Heat map of mean accuracy, {len(board)} rows (data set, mode, model) and {board.shape[1]} "
                      f"poolings. The highest, {board.max().max():.2f}, is {', '.join(board.stack().idxmax())}.")

# %% [markdown]
# The lighter, the more accurate. Models named *-random* were never *pre*trained. Fine-tuned, only their mean was run, so the rest of such a row is empty. The picture says where to look. It does not say what would be there again.
#
# One thing to keep in mind from here on. Only the claims (5.4 and 5.13) have rules that were written before the run. All other tests of this chapter were chosen later: take them as hints.
#
# ## 5.2 How firm is the ranking?
#
# Somebody always stands on top. To see how much that means we play the experiment again, many times: draw texts *with replacement*, draw seeds with replacement, and rank the poolings anew. This is the bootstrap of chapter 1, for ranks.
#
# ### Exercise 5.1 · Play it again ★★☆ medium, 15 minutes
#
# `right` has the shape [poolings, seeds, texts]: between 0 (wrong) and 1 (right). Return the share of `times` replays in which each pooling is best, [poolings]. One replay draws seeds and texts once, the *same* for all poolings (why?). Where several are best, each gets an equal part of that replay.

# %% tags=["exercise", "ex-5.1"]
def wins(right, times, rng):
    """[p, s, n], a number, a NumPy Generator -> [p], sums to 1"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-5.1"]
# `rng.integers(n, size=n)` draws row numbers with replacement. `right[:, seeds][:, :, texts]` picks them, and `.mean(axis=(1, 2))` gives an accuracy for each pooling. `accuracy == accuracy.max()` marks the best ones: divide by how many there are.

# %% tags=["check", "ex-5.1"]
def coin(shares, seeds=5, n=200):
    return (np.random.default_rng(0).random((len(shares), seeds, n)) < np.array(shares)[:, None, None]).astype(float)


lucky = np.zeros((2, 3, 4))
lucky[0, 0], lucky[1, 1:] = 1, 0.4  # pooling 0 is right in one run only
alike = np.zeros((2, 3, 200))
alike[0, :, :160], alike[1, :, 20:184] = 1, 1  # 160 and 164 of 200 texts, in every run
checks.exercise("5.1", wins, lambda f: {
    "shares sum to one": abs(f(coin([0.5, 0.5, 0.5]), 50, np.random.default_rng(1)).sum() - 1) < 1e-9,
    "a clear winner wins always": (f(coin([0.9, 0.5]), 50, np.random.default_rng(1)), [1, 0]),
    "two that are always alike share it": (f(np.ones((2, 3, 4)), 50, np.random.default_rng(1)), [0.5, 0.5]),
    "seeds are drawn: some replays miss the one good run": 0.1 < f(lucky, 300, np.random.default_rng(1))[1] < 0.6,
    "texts are drawn too: the one behind wins some replays": f(alike, 2000, np.random.default_rng(1))[0] > 0.01,
    "one draw of texts a replay, not one a seed": 0.2 < f(alike, 2000, np.random.default_rng(1))[0] < 0.36,
    "the same texts for all": (f(coin([0.5]).repeat(2, 0) * [[[1]], [[0.999]]], 50, np.random.default_rng(1)), [1, 0]),
})


# %% tags=["solution", "ex-5.1"]
def wins(right, times, rng):
    """[p, s, n], a number, a NumPy Generator -> [p], sums to 1"""
    won = np.zeros(len(right))
    for _ in range(times):
        seeds, texts = (rng.integers(size, size=size) for size in right.shape[1:])
        accuracy = right[:, seeds][:, :, texts].mean(axis=(1, 2))
        best = accuracy == accuracy.max()
        won += best / best.sum()
    return won / times


# %% [markdown]
# The same texts and seeds for all, because a hard draw hurts all of them: only what differs *between* them should decide.
#
# The course's version gives the whole distribution of ranks: the share of replays in which a pooling comes first, second, and so on. (A tie, rare with so many texts, goes to the first in the list.)

# %%
def ranks(right, times=500, seed=0):
    """[p, s, n] -> [p, p]: how often each pooling has each rank."""
    rng, found = np.random.default_rng(seed), np.zeros((len(right), len(right)))
    for _ in range(times):
        seeds, texts = (rng.integers(size, size=size) for size in right.shape[1:])
        order = np.argsort(-right[:, seeds][:, :, texts].mean(axis=(1, 2)), kind="stable")
        found[order, np.arange(len(right))] += 1 / times
    return found


# %% [markdown]
# `cells.read` gives a cell of the grid, as in chapters 3 and 4.

# %%
BERT, GPT2 = SETTINGS.pair


def cell(model, mode, dataset):
    return cells.read(table, ON_FILE, model, mode, dataset)


def right_of(one):
    """Is each run of a cell right on each text? [poolings, seeds, texts]"""
    return np.stack([evaluation.correctness(one.answers, part) for part in one.poolings.values()])


# %% [markdown] tags=["predict"]
# The fine-tuned BERT on reviews: in how many replays will the pooling on top be on top? In nine of ten, or in one of three?

# %%
chances = {(model, mode): ranks(right_of(cell(model, mode, "imdb"))) for mode in ("frozen", "fine-tuned")
           for model in (BERT, GPT2)}
tops = "; ".join(f"{model}, {mode}: {grid.POOLINGS[share[:, 0].argmax()]} in {share[:, 0].max():.0%} of the replays"
                 for (model, mode), share in chances.items())

# %% [markdown]
# Read a row: how the ranks of one pooling are spread.

# %%
fig, axes = plt.subplots(2, 2, figsize=(10, 7.5), sharey=True, layout="tight")
for ax, ((model, mode), share) in zip(axes.flat, chances.items(), strict=True):
    sns.heatmap(share, vmin=0, vmax=1, cmap="cividis", annot=True, fmt=".0%", cbar=False, ax=ax,
                xticklabels=range(1, len(share) + 1), yticklabels=grid.POOLINGS)
    ax.set(title=f"{model}, {mode}", xlabel="rank")
figures.show(fig, alt=f"Four heat maps: how often each pooling has each rank on reviews. Most often first: {tops}.")

# %% [markdown]
# How many poolings have a chance?

# %%
for (model, mode), share in chances.items():
    able = [pool for pool, part in zip(grid.POOLINGS, share, strict=True) if part[0] >= 0.05]
    figures.say(f"- *{model}, {mode}*: first in at least one replay of twenty: {', '.join(able)}.")

# %% [markdown]
# The leader's share is too high, and the others' too low: a replay takes what we saw for the truth. Of two poolings that are equally good, one leads by luck. Its share of the replays may then be anything between a half and all, each about as likely. So only a share of nearly all replays says something. Which cells are open?

# %%
unsure = [f"*{model}, {mode}* ({share[:, 0].max():.0%})" for (model, mode), share in chances.items()
          if share[:, 0].max() < 0.95]
figures.say(f"The leader has less than 95%: {', '.join(unsure) or 'none'}.")

# %% [markdown]
#
# ## 5.3 What moves a result?
#
# The accuracy of a run depends on many things at once. An *analysis of variance* splits its spread into parts: so much is due to the data set, so much to the model, to the pooling, to pooling × model (chapter 4's *interaction*). Seeds need care. Seed 3 draws the same labelled texts for every model and pooling, so a lucky draw may lift all of them together. So a *draw* (a seed on a data set) gets a part of its own. What is left is what a seed does to some runs only.
#
# *First* and *last* stay out, at first. Each reads one token, and one of them on one model is enough to take much of two parts. (On the mini GPT-2 *first* is one constant: chapter 4.)

# %% [markdown] tags=["predict"]
# Order by their share of the spread: data set, model, pooling, pooling × model, draw, and what is left.

# %%
tuned_pair = shown[(shown["mode"] == "fine-tuned") & shown.model.isin(SETTINGS.pair)]
runs = tuned_pair[~tuned_pair.pooling.isin(["first", "last"])]
assert len(runs) == runs[["dataset", "model", "pooling", "seed"]].nunique().prod(), "no run is missing"

# %% [markdown]
# Every cell has the same number of runs, so the parts do not depend on the order in which they are taken out.

# %%
LEFT = "what a seed does to some runs only"
terms = {"C(dataset)": "data set", "C(dataset):C(seed)": "draw (seed on a data set)", "C(model)": "model",
         "C(pooling)": "pooling", "C(model):C(pooling)": "pooling × model",
         "C(dataset):C(model)": "model × data set", "C(dataset):C(pooling)": "pooling × data set",
         "C(dataset):C(model):C(pooling)": "pooling × model × data set"}


def anova(runs):
    """The parts of the spread of some runs' accuracies, and the degrees of freedom of each."""
    found = anova_lm(smf.ols("accuracy ~ " + " + ".join(terms), runs).fit(), typ=1).rename(terms | {"Residual": LEFT})
    return found.assign(share=found.sum_sq / found.sum_sq.sum())


parts = anova(runs)
share = parts.share.sort_values(ascending=False)

# %% [markdown]
# One bar for each part, the largest on top:

# %%
fig, ax = plt.subplots()
bars = ax.barh(share.index[::-1], 100 * share[::-1])
ax.bar_label(bars, fmt="%.1f", padding=3)
ax.set(xlabel=f"share of the spread of {len(runs)} fine-tuned runs, in percent ({ON_FILE})")
figures.show(fig, alt="Shares of the spread: " + "; ".join(f"{name} {part:.1%}" for name, part in share.items()) + ".")

# %% [markdown]
# What do two poolings that read one token change?

# %%
wider = anova(tuned_pair[tuned_pair.pooling != "first"]).share
both = ("pooling", "pooling × data set", "pooling × model")
figures.say("With *last* as well: " + "; ".join(f"{name} {wider[name]:.1%} instead of {share[name]:.1%}" for name in both)
            + ".")

# %% [markdown]
# Such a share depends on what was put in. How much of what seeds move do the runs of a draw have in common?

# %%
moved = parts.loc[["draw (seed on a data set)", LEFT]]
seen, chance = (moved[column].iloc[0] / moved[column].sum() for column in ("sum_sq", "df"))
figures.say(f"Of all that seeds move, **{seen:.0%}** is shared by the runs of a draw. Without any shared luck "
            f"{chance:.0%} would be expected.")

# %% [markdown]
# What a draw does to all poolings alike cancels when they are compared *within* a seed. So this course compares within seeds.
#
# Two limits. This analysis knows one number a run, so it cannot say what other *texts* would bring. And a share of the spread is not a size that matters: a data set that is hard for everybody takes a large share and teaches nothing about pooling. For claims we go back to the single texts.
#
# ## 5.4 Whole reviews and single sentences: claim C3
#
# A review is long, and most of it says little. A sentence is short, and one word may settle it. So the best pooling may well depend on the task.
#
# Length is not all that differs. The mini pair was pretrained on reviews, and has read no sentence of a professional critic. The labels come from elsewhere (chapter 1). And sentences are read to another limit. So this test can say *that* the best pooling changes, and not *why*.

# %%
figures.claim(claims.claim("C3"))

# %% [markdown] tags=["predict"]
# Will another pooling be best on sentences than on reviews?

# %%
found = claims.judge("C3", ON_FILE)
ends = {f"{row.test}, {dataset}": getattr(row, dataset)
        for row in found.evidence.itertuples() for dataset in data.NAMES}
fig, alt = figures.gaps(ends, f"gap, fine-tuned, mean of {BERT} and {GPT2} ({ON_FILE})")
figures.show(fig, alt=alt)

# %% [markdown]
# And the test of what changes between them:

# %%
figures.verdict(claims.claim("C3"), found, ON_FILE)

# %% [markdown]
# An interval is for one gap alone; *p* is corrected for all tests of all rules. So an interval may leave zero out while the corrected *p* shows nothing. *p_equal* is the test of "within two points", and *n* counts the texts.
#
# ## 5.5 How many labels is a pooling worth?
#
# You have an afternoon. Look for a better pooling, or label more texts? The grid ran the frozen encoders with several numbers of labels. (Each number leaves out the validation labels that choose when to stop.)

# %%
frozen = every[(every["mode"] != "fine-tuned") & (every.dataset == "imdb")]
frozen = frozen.assign(pooling=frozen.pooling.where(frozen.model != "tfidf-cut", "TF-IDF, same part"))
curves = {model: frozen[frozen.model.isin([model, "tfidf-cut"])] for model in (BERT, GPT2)}
means = {model: part.pivot_table("accuracy", "labels", "pooling") for model, part in curves.items()}
ORDER = ["mean", "max", "weighted_sum", "attention", "TF-IDF, same part"]  # drawn: five lines can be told apart

# %% [markdown] tags=["predict"]
# Which line will be on top with the fewest labels, and which with the most? Are the poolings further apart than the ends of one line?

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
for ax, (model, part) in zip(axes, curves.items(), strict=True):
    sns.lineplot(part, x="labels", y="accuracy", hue="pooling", style="pooling", markers=True, dashes=False,
                 hue_order=ORDER, style_order=ORDER, errorbar=("sd", 1), ax=ax, legend=ax is axes[1])
    sizes = sorted(part.labels.unique())
    ax.set(title=f"{model}, frozen, reviews", xscale="log", xticks=sizes, xticklabels=sizes)
axes[1].legend(frameon=False, bbox_to_anchor=(1, 1))
ends = "; ".join(f"{model} from {part['mean'].iloc[0]:.2f} to {part['mean'].iloc[-1]:.2f}"
                 for model, part in means.items())
figures.show(fig, alt=f"Accuracy by number of labels for {', '.join(ORDER)}, mean and one standard deviation over the "
                      f"seeds. With the mean: {ends}.")

# %% [markdown]
# The bands are one standard deviation over the seeds. Now the question:

# %%
few, many = (means[BERT][ORDER[:-1]].iloc[end] for end in (0, -1))  # of the poolings that are drawn
best, size = many.idxmax(), f"{many.name:,}"
bag = means[BERT]["TF-IDF, same part"]
figures.say(f"{BERT}, reviews: of the poolings {few.idxmax()} is on top with {few.name} labels ({few.max():.3f}; TF-IDF "
            f"{bag.iloc[0]:.3f}), and {best} with {size} ({many.max():.3f}; TF-IDF {bag.iloc[-1]:.3f}). From "
            f"{few.name} to {size} labels the mean gains {100 * (many['mean'] - few['mean']):.1f} points; the best "
            f"pooling has {100 * (many.max() - many['mean']):.1f} points more than the mean with {size}.")

# %% [markdown]
# With how many labels does the learned weighted sum reach what the mean reaches with all of them?

# %%
line = means[BERT]["weighted_sum"]
reached = [f"{labels:,}" for labels, value in line.items() if value >= many["mean"]]
figures.say(f"weighted_sum has {', '.join(f'{value:.3f} with {labels:,}' for labels, value in line.items())}; the mean "
            f"has {many['mean']:.3f} with {size}. Of these numbers it takes weighted_sum "
            f"{reached[0] if reached else 'more than ' + size}. (Means over the seeds, not tested.)")

# %% [markdown]
# ## 5.6 Does length matter?
#
# A mean over many tokens dilutes; a maximum over many tokens finds something in any text. So the gap between max and mean might change with length. We cut the test texts into four groups of about equal size, by the number of words.

# %%
texts = {dataset: grid.texts_of(dataset, "test", SETTINGS)["text"][:] for dataset in data.NAMES}
words = {dataset: np.array([len(text.split()) for text in part]) for dataset, part in texts.items()}
quarter = {dataset: np.digitize(part, np.quantile(part, [0.25, 0.5, 0.75])) for dataset, part in words.items()}

# %% [markdown] tags=["predict"]
# Will max lose or gain on the mean as texts grow?

# %%
gaps = {}
for dataset in data.NAMES:
    for number in range(4):
        chosen = quarter[dataset] == number
        name = f"{dataset}, {words[dataset][chosen].min()} to {words[dataset][chosen].max()} words"
        gaps[name] = cell(BERT, "frozen", dataset).contrast(["max", "mean"], [1, -1], chosen)
shown_gaps = {name: gap.effect for name, gap in gaps.items()}
fig, alt = figures.gaps(shown_gaps, f"max − mean, frozen {BERT}")
figures.show(fig, alt=alt)

# %% [markdown]
# A gap that is shown in one quarter and not in another is not yet a change. So we test the last quarter minus the first: other texts, the same runs.

# %%
change = {dataset: cell(BERT, "frozen", dataset).between(["max", "mean"], [1, -1], (part == 3, part == 0))
          for dataset, part in quarter.items()}
p = evaluation.holm(np.array([gap.p for gap in change.values()]))
told = "; ".join(f"{name} {figures.points(gap.effect)} points, corrected {figures.p_value(one)}"
                 for (name, gap), one in zip(change.items(), p, strict=True))
figures.say(f"From the shortest to the longest quarter, max − mean changes by: {told}.")

# %% [markdown]
# Is length what the encoder sees?

# %%
tokens = SETTINGS.lengths["imdb"]
figures.say(f"The encoder reads {tokens} tokens of a review. {(words['imdb'] > tokens).mean():.0%} of the reviews have "
            "more words: of those it sees the same number of tokens, however long they are.")

# %% [markdown]
# Chapter 9 plants evidence at a known place in texts of known length: the clean test of this question.
#
# ## 5.7 Negation, contrast, praise and blame
#
# "Not bad at all." "A fine cast, *but* the story is dull." Such texts should be hard for a pooling that mixes all words, and for one that takes the strongest. We find them by rules: simple, stated, and imperfect.
#
# - **negation**: a word such as *not, no, never, nothing*, or one that ends in *n't*;
# - **contrast**: *but, however, although, though, yet, despite*;
# - **mixed**: at least one word of praise and one of blame, from two short lists.
#
# ### Exercise 5.2 · A rule for contrast ★☆☆ easy, 10 minutes
#
# Write the second rule. Whole words only, whatever their case.

# %% tags=["exercise", "ex-5.2"]
CONTRAST = ("but", "however", "although", "though", "yet", "despite")


def has_contrast(text):
    """str -> bool"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-5.2"]
# `re.search(pattern, text, re.IGNORECASE)`. In a pattern `\b` is the edge of a word, and `|` means *or*: `"|".join(CONTRAST)` inside brackets. Put an `r` before the string, so that Python leaves `\b` alone.

# %% tags=["check", "ex-5.2"]
checks.exercise("5.2", has_contrast, lambda f: {
    "'A fine cast, but the story is dull.' has one": f("A fine cast, but the story is dull."),
    "capitals: 'ALTHOUGH it is long, I laughed.'": f("ALTHOUGH it is long, I laughed."),
    "before a full stop: 'I liked it, though.'": f("I liked it, though."),
    "every word of the list": all(f(f"Long, {word} good.") for word in CONTRAST),
    "not inside a word: 'A butler rebutted the debut.' has none": not f("A butler rebutted the debut."),
    "'A warm and funny film.' has none": not f("A warm and funny film."),
    "a bool": isinstance(f("Dull."), bool) and isinstance(f("Dull, yet short."), bool),
})


# %% tags=["solution", "ex-5.2"]
CONTRAST = ("but", "however", "although", "though", "yet", "despite")


def has_contrast(text):
    """str -> bool"""
    return bool(re.search(rf"\b({'|'.join(CONTRAST)})\b", text, re.IGNORECASE))


# %% [markdown]
# All three rules, on single sentences:

# %%
PRAISE = "good|great|best|love|loved|wonderful|excellent|fun|funny|beautiful|perfect|enjoyable|brilliant"
BLAME = "bad|worst|awful|boring|dull|terrible|poor|stupid|waste|fails|mess|silly|annoying"
RULES = {
    "negation": r"\b(not|no|never|nothing|nobody|neither|nor|cannot|without)\b|n't\b",
    "contrast": r"\b(but|however|although|though|yet|despite)\b",
    "mixed": rf"\A(?=.*\b({PRAISE})\b)(?=.*\b({BLAME})\b)",
}
sentences, flags = texts["rotten_tomatoes"], re.IGNORECASE | re.DOTALL
slices = {name: np.array([bool(re.search(rule, text, flags)) for text in sentences]) for name, rule in RULES.items()}

# %% [markdown]
# How many are they, and are they positive as often as the others? (And in how many of the reviews would the same rule find something?)

# %%
tuned = cell(BERT, "fine-tuned", "rotten_tomatoes")
reviews = {name: np.mean([bool(re.search(rule, text, flags)) for text in texts["imdb"]])
           for name, rule in RULES.items()}
found = pd.DataFrame({name: [chosen.sum(), chosen.mean(), tuned.answers[chosen].mean(), reviews[name]]
                      for name, chosen in slices.items()},
                     index=["sentences", "share", "share positive", "found in reviews"]).T
share = dict.fromkeys(("share", "share positive", "found in reviews"), "{:.0%}")
figures.table(found, f"What the rules find among {len(sentences):,} test sentences", {"sentences": "{:.0f}"} | share)

# %% [markdown] tags=["predict"]
# By how many points will accuracy change on sentences with a negation, a contrast, or both praise and blame? Will max suffer more than the mean?

# %%
groups = {f"{start}{name}": kind for name, chosen in slices.items()
          for start, kind in (("", chosen), ("no ", ~chosen))}
seen = pd.DataFrame([
    (name, pool, right) for name, chosen in groups.items() for pool in ("mean", "max", "attention")
    for right in evaluation.correctness(tuned.answers, tuned.poolings[pool]).mean(axis=0)[chosen]
], columns=["group", "pooling", "accuracy"])

# %% [markdown]
# Each group beside all other sentences:

# %%
fig, ax = plt.subplots()
sns.pointplot(seen, x="accuracy", y="group", hue="pooling", dodge=0.5, linestyle="none", markers=["o", "s", "^"],
              errorbar=("ci", 95), seed=0, n_boot=500, ax=ax)
ax.set(xlabel="accuracy in a group; 95% interval over its texts, these five runs", ylabel="")
ax.legend(frameon=False)
told = "; ".join(f"{group}, {pool} {value:.2f}" for (group, pool), value in
                 seen.groupby(["group", "pooling"]).accuracy.mean().items())
figures.show(fig, alt=f"Accuracy by group and pooling: {told}.")

# %% [markdown]
# How much harder are they, under the mean? Of each group we subtract the accuracy on all other sentences:

# %%
harder = {name: tuned.between(["mean"], [1], (chosen, ~chosen)) for name, chosen in slices.items()}
corrected = evaluation.holm(np.array([gap.p for gap in harder.values()]))
figures.say("Inside minus outside, in points: " + "; ".join(
    f"*{name}* {figures.points(gap.effect)}, corrected {figures.p_value(p)}"
    for (name, gap), p in zip(harder.items(), corrected, strict=True)) + ".")

# %% [markdown]
# Does max suffer more? A gap *inside* a group does not say so: max may be behind everywhere. The question is whether the gap differs from the one among all other sentences.

# %%
GAP = (["max", "mean"], [1, -1])
inside = {name: tuned.contrast(*GAP, chosen) for name, chosen in slices.items()}
more = {name: tuned.between(*GAP, (chosen, ~chosen)) for name, chosen in slices.items()}

# %% [markdown]
# The three changes are corrected together. *Detectable* is what such a corrected test would find four times in five.

# %%
told = pd.DataFrame({
    "max − mean inside": [figures.points(gap.effect) for gap in inside.values()],
    "inside − outside": [figures.points(gap.effect) for gap in more.values()],
    "corrected p": [f"{p:.3f}" for p in evaluation.holm(np.array([gap.p for gap in more.values()]))],
    "detectable": [100 * gap.detectable(evaluation.ALPHA / len(more)) for gap in more.values()],
}, index=list(inside))
figures.table(told, f"{tuned.name}: in points, over texts and seeds ({ON_FILE})", {"detectable": "{:.1f}"})

# %% [markdown]
# Small groups and few runs see large effects only: look at the last column before you read the first.
#
# ## 5.8 From one data set to the other
#
# A model is seldom used on the texts that it was trained on. We train a probe on reviews and try it on sentences, and the other way round, live on a slice.

# %%
LENGTH = session.pick(smoke=32, laptop=128, full=256)
sizes = session.pick(smoke=(64, 32, 32), laptop=(500, 250, 500), full=(1000, 500, 1000))
parts = {dataset: [data.load(dataset, split, session.scale) for split in data.SPLITS] for dataset in data.NAMES}
parts = {dataset: [part.select(range(len(part) - size, len(part))) for part, size in zip(three, sizes, strict=True)]
         for dataset, three in parts.items()}
encoder = encoders.load(session.pick(smoke="mini-bert", laptop="mini-bert", full="bert-base"))

# %% [markdown]
# First, the token states of all texts.

# %%
labels = {dataset: [np.array(part["label"][:]) for part in three] for dataset, three in parts.items()}
learn, choose = np.arange(sizes[0]), np.arange(sizes[0], sizes[0] + sizes[1])
states = {dataset: [encoders.encode(encoder, [text for part in some for text in part["text"]], LENGTH)
                    for some in (three[:2], three[2:])] for dataset, three in parts.items()}


# %% [markdown]
# One pooling at a time: a probe for each data set, tried on both.

# %%
def crossed(pool):
    """What a probe says, for each data set that it was trained on, and each that it was tried on."""
    module, found = pooling.make(pool, encoder.dim), {}
    vectors = {dataset: [pooling.pool_all(module, part) for part in both] for dataset, both in states.items()}
    for source in data.NAMES:
        fitted = heads.fit_probe(vectors[source][0], np.concatenate(labels[source][:2]), learn, choose, seed=0)
        for target in data.NAMES:
            found[source, target] = fitted.probabilities(vectors[target][1])  # [n]
    return found


said = {pool: crossed(pool) for pool in ("mean", "max", "first", "last")}


# %% [markdown] tags=["predict"]
# Which way loses more against training on the target itself: from reviews to sentences, or from sentences to reviews?

# %%
found = pd.DataFrame({pool: {ends: str(evaluation.accuracy(labels[ends[1]][2], part)) for ends, part in one.items()}
                      for pool, one in said.items()})
figures.table(found.rename_axis(["trained on", "tested on"]), f"Frozen {encoder.name}, {sizes[0]} labels, {sizes[2]} "
              f"test texts of each, one run ({session.scale})")

# %% [markdown]
# What does it cost to be trained on the other one? For the mean and for max, compared on the same test texts. (The mini BERT was pretrained on reviews.)

# %%
for source, target in (data.NAMES, data.NAMES[::-1]):
    costs = {pool: evaluation.compare(labels[target][2], said[pool][source, target], said[pool][target, target])
             for pool in ("mean", "max")}
    told = "; ".join(f"{pool} {figures.points(gap.effect)} ({figures.p_value(gap.p)})" for pool, gap in costs.items())
    figures.say(f"- Trained on {source}, tested on {target}, against training on {target} itself, in points: {told}.")

# %% [markdown]
# One run, four tests, not corrected: a hint at most.

# %% [markdown]
# ## 5.9 Does it know how sure it is?
#
# Of the texts to which a model gives 0.9, nine in ten should be positive. If so, and the same for all other values, it is *calibrated*. The *reliability diagram* groups texts by what the model said and shows how often the label was positive. The *expected calibration error* is the average distance from the diagonal.
#
# ### Exercise 5.3 · Expected calibration error ★★☆ medium, 15 minutes
#
# Put the probabilities into `bins` groups of equal width (0 to 0.1, 0.1 to 0.2, …; 1.0 belongs to the last). For each group take the distance between its mean probability and its share of positive labels. Average over the groups, weighted by their number of texts.

# %% tags=["exercise", "ex-5.3"]
def calibration_error(labels, probabilities, bins=10):
    """[n] of 0 and 1, [n] -> a number"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-5.3"]
# The group of a probability is `int(probability * bins)`, but at most `bins - 1`: `np.minimum`. Go through the groups that hold a text; `chosen.mean()` is a group's share of all texts.

# %% tags=["check", "ex-5.3"]
even = np.linspace(0, 1, 50)
checks.exercise("5.3", calibration_error, lambda f: {
    "always right and always sure": (f(np.array([0, 1]), np.array([0.0, 1.0])), 0.0),
    "always sure and wrong half of the time": (f(np.array([0, 1]), np.array([1.0, 1.0])), 0.5),
    "by hand": (f(np.array([1, 0, 1, 1]), np.array([0.62, 0.68, 0.65, 0.12])), 0.75 * (2 / 3 - 0.65) + 0.25 * 0.88),
    "errors do not cancel between groups": (f(np.array([1, 0]), np.array([0.25, 0.75])), 0.75),
    "positive labels count, not right answers": (f(np.array([1, 1]), np.array([0.95, 0.05])), 0.5),
    "two wide groups": (f(np.array([0, 1]), np.array([0.1, 0.4]), 2), 0.25),
    "the helpers'": (f(np.arange(50) % 2, even), evaluation.calibration_error(np.arange(50) % 2, even)),
})


# %% tags=["solution", "ex-5.3"]
def calibration_error(labels, probabilities, bins=10):
    """[n] of 0 and 1, [n] -> a number"""
    group = np.minimum((probabilities * bins).astype(int), bins - 1)
    total = 0.0
    for number in np.unique(group):
        chosen = group == number
        total += chosen.mean() * abs(probabilities[chosen].mean() - labels[chosen].mean())
    return total


# %% [markdown]
# The fine-tuned BERT and the frozen one, on reviews, all five seeds together:

# %%
def reliability(one, pool):
    """Mean probability, share positive, and number of texts in each tenth."""
    said = one.poolings[pool].ravel()  # [seeds, n] -> [seeds * n]
    frame = pd.DataFrame({"said": said, "label": np.tile(one.answers, len(said) // len(one.answers))})
    tenth = (frame.said * 10).astype(int).clip(upper=9)
    return frame.groupby(tenth).agg(said=("said", "mean"), positive=("label", "mean"), texts=("label", "size"))


own = shown[(shown.dataset == "imdb") & (shown.model == BERT)].groupby(["mode", "pooling"]).calibration_error
errors, spread = own.mean(), own.std()

# %% [markdown]
# Three poolings, frozen and fine-tuned:

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True)
for ax, mode in zip(axes, ("frozen", "fine-tuned"), strict=True):
    ax.plot([0, 1], [0, 1], color=figures.INK, linewidth=1, linestyle=":")
    for pool, marker in (("mean", "o"), ("max", "s"), ("weighted_sum", "^")):
        seen = reliability(cell(BERT, mode, "imdb"), pool)
        seen = seen[seen.texts >= 50]  # a tenth with fewer answers says little
        ax.plot(seen.said, seen.positive, marker=marker, label=pool)
    ax.set(title=f"{BERT}, {mode}", xlabel="probability that the model gave", ylabel="share that is positive")
axes[1].legend(frameon=False)
told = "; ".join(f"{mode} {pool} {errors[mode, pool]:.3f}" for mode in ("frozen", "fine-tuned")
                 for pool in ("mean", "max", "weighted_sum"))
figures.show(fig, alt=f"Reliability diagrams of {BERT} on reviews. Mean expected calibration errors: {told}.")

# %% [markdown]
# A curve that is flatter than the diagonal belongs to a model that is too sure of itself.

# %% [markdown]
# The error of a *perfect* model is not zero: in a group of a hundred texts the share of positive ones moves by luck. So beside each error stands that of a model whose labels are drawn from its own probabilities.

# %%
def by_luck(one, pool, times=20):
    """Calibration error of a model that is as sure as this one and perfectly calibrated, mean over draws and runs."""
    rng, runs = np.random.default_rng(0), one.poolings[pool]
    return np.mean([evaluation.calibration_error(rng.random(len(said)) < said, said) for said in runs
                    for _ in range(times)])


told = (errors.map("{:.3f}".format) + " ± " + spread.map("{:.3f}".format)).unstack("mode").loc[list(grid.POOLINGS)]
for mode in ("frozen", "fine-tuned"):
    told[f"perfect, {mode}"] = [f"{by_luck(cell(BERT, mode, 'imdb'), pool):.3f}" for pool in told.index]
figures.table(told[["frozen", "perfect, frozen", "fine-tuned", "perfect, fine-tuned"]],
              f"Expected calibration error of {BERT}, reviews: mean and SD over five seeds ({ON_FILE})")

# %% [markdown]
# Did fine-tuning help?

# %%
wide = errors.unstack("mode")
better = list(wide.index[wide["fine-tuned"] < wide["frozen"]])
figures.say(f"The error is lower after fine-tuning for {len(better) or 'none'} of {len(wide)} poolings"
            f"{': ' * bool(better)}{', '.join(better)}. (Means of five runs, not tested.)")

# %% [markdown]
# ## 5.10 Poolings against a bag of words
#
# The table that many papers leave out: every pooling against TF-IDF with logistic regression, on the same labels and about the same part of the text. All poolings are tested, and all tests corrected together. That makes the *p* of each cell's best pooling an honest one. Its difference and interval still flatter the winner a little.

# %%
BAG = "TF-IDF, same part"
trained = [ends for ends in board.index if ends[2] in SETTINGS.rates]  # not the models with random weights
tests = {(dataset, mode, model, pool): cell(model, mode, dataset).contrast([pool, BAG], [1, -1])
         for dataset, mode, model in trained for pool in grid.POOLINGS}
p = pd.Series(evaluation.holm(np.array([gap.p for gap in tests.values()])), index=pd.MultiIndex.from_tuples(tests))

# %% [markdown] tags=["predict"]
# In how many of the cells will a bag of words be beaten? Frozen, fine-tuned; reviews, sentences.

# %%
rows = []
for ends in trained:
    top = board.loc[ends].idxmax()
    gap, own = tests[(*ends, top)], p[(*ends, top)]
    rows.append([", ".join(ends), top, figures.points(gap.effect), figures.p_number(own),
                 100 * gap.detectable(evaluation.ALPHA / len(tests))])
columns = ["cell", "best pooling", "difference [95%]", "corrected p", "detectable"]
figures.table(pd.DataFrame(rows, columns=columns).set_index("cell"),
              f"The best pooling of each cell minus TF-IDF on the same part, in points ({ON_FILE})",
              {"detectable": "{:.1f}"})

# %% [markdown]
# All poolings counted:

# %%
ahead = pd.Series({name: gap.effect.value > 0 for name, gap in tests.items()})
sure = p < evaluation.ALPHA
for mode in ("frozen", "fine-tuned"):
    own = p.index.get_level_values(1) == mode
    figures.say(f"- *{mode}*: of {own.sum()} poolings in cells, {(sure & ahead & own).sum()} are shown to be better than "
                f"the bag of words, and {(sure & ~ahead & own).sum()} to be worse.")

# %% [markdown]
# Before you pool, count words. It costs seconds. Where no pooling is shown to be better, you have no reason yet to prefer one. (It is not shown either that the bag is as good: *detectable* says how large a lead would have been seen.)
#
# And nobody has to stop reading where the encoder stops. TF-IDF on whole reviews, against the best pooling of each model:

# %%
WHOLE = "TF-IDF, whole text"
for model in SETTINGS.rates:
    top = board.loc["imdb", "fine-tuned", model].idxmax()
    gap = cell(model, "fine-tuned", "imdb").contrast([top, WHOLE], [1, -1])
    figures.say(f"- *Fine-tuned {model}*, {top}: {figures.points(gap.effect)} points, {figures.p_value(gap.p)} (not corrected).")

# %% [markdown]
# ### A decoder that has read more
#
# The mini GPT-2 has read film reviews only. *SmolLM2-135M-Instruct* is a decoder of 135 million weights that has read two trillion tokens ([arXiv:2502.02737](https://arxiv.org/abs/2502.02737)) and was tuned to follow instructions. It is optional to install (the README says how), so its runs have a table of their own: frozen, the same texts, labels and seeds. It was *not* part of any claim's test, and it differs from the mini GPT-2 in everything, not only in size.

# %%
small = records.Table("smollm2")
read_more = {dataset: cells.read(small, "smollm2", "smollm2", "frozen", dataset) for dataset in data.NAMES}

# %% [markdown] tags=["predict"]
# Which pooling will be on top on a large decoder: the last token, the weighted mean, a learned one? How far will it be from the bag of words, on reviews and on sentences?

# %%
figures.cell(read_more["imdb"])

# %% [markdown]
# Single sentences:

# %%
figures.cell(read_more["rotten_tomatoes"])

# %% [markdown]
# And against the bag of words, with the best pooling of each:

# %%
for dataset, one in read_more.items():
    top = max(one.poolings, key=lambda pool: evaluation.correctness(one.answers, one.poolings[pool]).mean())
    gap = one.contrast([top, BAG], [1, -1])
    figures.say(f"- *{dataset}*, {top}: {figures.points(gap.effect)} points against TF-IDF on the same part, "
                f"{figures.p_value(gap.p)} (not corrected).")

# %% [markdown]
# Are the gaps to the mean those of the mini GPT-2? Side by side, without *first*, which sees one token only, on either (chapter 4):

# %%
both = {dataset: (cell(GPT2, "frozen", dataset), read_more[dataset]) for dataset in data.NAMES}
pools = [pool for pool in grid.POOLINGS if pool not in ("first", "mean")]
side = {f"{pool}, {one.model}, {dataset}": one.contrast([pool, "mean"], [1, -1]).effect
        for pool in pools for dataset in data.NAMES for one in both[dataset]}
fig, alt = figures.gaps(side, "pooling − mean, frozen")
figures.show(fig, alt=alt)

# %% [markdown]
# Where is a pooling's gap to the mean another one on SmolLM2 than on the mini GPT-2? The texts and seeds are the same, so it is one contrast of four terms:

# %%
change = {}
for pool, (dataset, (mini, large)) in itertools.product(pools, both.items()):
    assert np.array_equal(mini.answers, large.answers), "the same texts"
    four = [one.poolings[name] for one in (large, mini) for name in (pool, "mean")]
    change[f"{pool}, {dataset}"] = contrasts.contrast(mini.answers, four, [1, -1, -1, 1])
p = evaluation.holm(np.array([gap.p for gap in change.values()]))
told = "; ".join(f"*{name}* {figures.points(gap.effect)} points" for (name, gap), own in
                 zip(change.items(), p, strict=True) if own < evaluation.ALPHA)
figures.say(f"Shown to differ, of {len(change)} (corrected together): {told or 'none'}.")

# %% [markdown]
# ## 5.11 Read the errors
#
# Numbers say how often; reading may suggest why. Below are test sentences on which two poolings disagree (each by its mean probability over five runs). Choose which one is right, which is wrong, and how long the text may be; the largest disagreements stand on top. Read the eight, change the filter, read on.
#
# Chapter 1 read *validation* texts only, and for a reason. These are answers to *test* texts. So read them to understand, after this chapter's verdicts are in, and test no idea that they give you on these texts again.

# %%
said = {pool: part.mean(axis=0) for pool, part in tuned.poolings.items()}  # [seeds, n] -> [n]
reader = pd.DataFrame({"text": sentences, "positive": tuned.answers == 1, "words": words["rotten_tomatoes"]} | said)


def disagreements(right, wrong, longest):
    """The eight sentences on which two poolings differ most, the one right and the other wrong."""
    if right == wrong:
        return reader.head(0)[["positive", "text"]].set_index("positive"), "Choose two different poolings"
    one, other = ((reader[pool] > 0.5) == reader.positive for pool in (right, wrong))
    chosen = reader[one & ~other & (reader.words <= longest)]
    first = chosen.loc[(chosen[right] - chosen[wrong]).abs().sort_values(ascending=False).index[:8]]
    caption = f"{right} is right and {wrong} wrong, up to {longest} words: {len(first)} of {len(chosen)} ({tuned.name})"
    return first[["positive", right, wrong, "text"]].set_index("positive"), caption


# %% tags=["widget"]
widgets.browse(
    disagreements,
    right=ipywidgets.SelectionSlider(options=grid.POOLINGS, value="mean", description="right"),
    wrong=ipywidgets.SelectionSlider(options=grid.POOLINGS, value="max", description="wrong"),
    longest=ipywidgets.IntSlider(value=40, min=5, max=60, description="words up to"),
)

# %% [markdown]
# ## 5.12 What should you choose?
#
# A guide is worth as much as what it rests on. The mean has no weights and is our default. So for each cell of the pair: which poolings are shown to beat the mean, and which to be worse? All of these tests are corrected together.

# %%
others = [pool for pool in grid.POOLINGS if pool != "mean"]
pair = list(itertools.product(SETTINGS.pair, ("frozen", "fine-tuned"), data.NAMES))
choices = {(ends, pool): cell(*ends).contrast([pool, "mean"], [1, -1]) for ends in pair for pool in others}
p = dict(zip(choices, evaluation.holm(np.array([gap.p for gap in choices.values()])), strict=True))
level = evaluation.ALPHA / len(choices)

# %% [markdown]
# One line a cell; in brackets the gap to the mean in points.

# %%
for ends in pair:
    gaps = {pool: choices[ends, pool] for pool in others if p[ends, pool] < evaluation.ALPHA}
    better, worse = (", ".join(f"{pool} ({100 * gap.effect.value:+.1f})" for pool, gap in gaps.items()
                               if (gap.effect.value > 0) == ahead) for ahead in (True, False))
    least, most_of_all = (end([100 * choices[ends, pool].detectable(level) for pool in others])
                          for end in (np.nanmin, np.nanmax))
    figures.say(f"- *{', '.join(ends)}*: better: {better or 'none'}; worse: {worse or 'none'}. "
                f"(Seen four times in five: gaps of {least:.1f} points for one pooling, to {most_of_all:.1f} for another.)")

# %% [markdown]
# Where nothing is shown to beat the mean, take the mean. What of an encoder that was *trained* with a pooling, as MiniLM was with the mean?

# %%
for ends in itertools.product(["minilm"] * ("minilm" in SETTINGS.rates), ("frozen", "fine-tuned"), data.NAMES):
    found = cell(*ends).comparisons()
    shown_better = found[(found.p_holm < evaluation.ALPHA) & (found.difference > 0)].index.intersection(grid.POOLINGS)
    figures.say(f"- *{', '.join(ends)}*: shown to be better than the mean: {', '.join(shown_better) or 'none'}.")

# %% [markdown]
# Three pieces of advice:
#
# 1. The pooling that an encoder was trained with is a place to begin. Whether it is the best one for *your* head and texts is a question of its own, as these lines say of one model.
# 2. Try a bag of words first (5.10). If it is good enough for you, stop.
# 3. A difference between poolings that your own test set cannot show (the column *detectable*) is no reason to choose. Take the simpler one.
#
# ## 5.13 The ledger so far
#
# All claims of the course, with what has been run. The same code fills it again in chapter 9. *unit* says what effect and detectable are given in; *n* counts what was sampled: test texts, or for C2b cells of the grid. Claims of later chapters fill up as their studies are run.

# %%
figures.ledger(claims.ledger(ON_FILE), f"The claims ledger ({ON_FILE})")

# %% [markdown]
# ### Would these rules cry wolf?
#
# Rules can be tried out where the truth is known. `python -m benchmarks.verdicts` makes up grids of this size, with runs that differ by luck, and lets the five rules judge them. In most of these grids nothing is planted: there every verdict that claims an effect is a false alarm. In others max is made better, everywhere or with the sign turned round on the second model.

# %% [markdown] tags=["predict"]
# How often will some rule raise a false alarm? How large must an effect be for the rules to find it nine times in ten?

# %%
made_up = pd.read_csv(records.RESULTS / "made_up_grids.csv").set_index("planted")
found = made_up[["points on the first model", "grids", "any rule", "poolings_differ", "best_depends_on_model"]]
found = found.rename(columns={"poolings_differ": "C1a", "best_depends_on_model": "C1b"})
figures.table(found, "Share of made-up grids in which a rule claims an effect, by what was planted",
              {"points on the first model": "{:.1f}"} | dict.fromkeys(("any rule", "C1a", "C1b"), "{:.0%}"))

# %% [markdown]
# In words:

# %%
small = made_up["points on the first model"].where(made_up["any rule"] >= 0.9).min()
figures.say(f"A false alarm by any of the five rules: in {made_up.loc['nothing', 'any rule']:.1%} of "
            f"{made_up.loc['nothing', 'grids']:,} grids. The smallest effect tried that is found nine times in ten: "
            f"{small:.1f} points.")

# %% [markdown]
# ### What a verdict means
#
# "No detectable difference" is not "no difference". It says: had there been an effect of the size under *detectable*, this experiment would have found it four times in five. "Refuted" is stronger: it needs an effect the other way, or a test which shows that all differences are within two points. "Supported" means: shown for these models and these texts. "Depends" means: a part of it was shown.
#
# Next: chapter 6 asks what a pooling's answer rests on, and whom it treats how.
#
# ## Quiz

# %% [markdown] tags=["quiz"]
# 1. A pooling comes first in 40% of the replays. What do you write in the paper?
#
#    Answer: That the ranking is not settled. 40% is more than one in seven, but in most replays somebody else wins.
#
# 2. Why are the same texts and seeds drawn for all poolings in one replay?
#
#    Answer: Because all met the same texts and the same labelled draws. A hard draw hurts all of them; only what differs *between* them should decide.
#
# 3. The data set explains most of the spread of the accuracies. Is the choice of pooling unimportant?
#
#    Answer: That does not follow. You cannot choose the data set, and reviews being easier than sentences says nothing about pooling.
#
# 4. A group of 90 sentences shows a gap of 3 points, p = 0.4. What is missing in "max handles contrast as well as mean"?
#
#    Answer: The smallest difference that 90 sentences could show. It is far above 3 points, so the sentence is not supported.
#
# 5. A fine-tuned model has a higher accuracy and a higher calibration error than the frozen one. When would you still prefer the frozen one?
#
#    Answer: When its probabilities are used, not its labels: for a threshold with costs, for asking a human when unsure. (Or calibrate the other one on validation texts.)

# %% [markdown]
# ## Further reading
#
# - Dror et al. (2018), *The hitchhiker's guide to testing statistical significance in NLP*.
# - Dodge et al. (2020), *Fine-tuning pretrained language models: weight initializations, data orders, and early stopping*, [arXiv:2002.06305](https://arxiv.org/abs/2002.06305).
# - Guo et al. (2017), *On calibration of modern neural networks*, [arXiv:1706.04599](https://arxiv.org/abs/1706.04599).
# - Wang and Manning (2012), *Baselines and bigrams*: why a bag of words is a serious opponent.
# - Ribeiro et al. (2020), *Beyond accuracy: behavioral testing of NLP models with CheckList*, [arXiv:2005.04118](https://arxiv.org/abs/2005.04118).
# - Xing, Xing and Sun (2024), [arXiv:2411.14654](https://arxiv.org/abs/2411.14654).

# %% [markdown]
# ## Your progress
#
# Which checks of this chapter have you passed? Passed once counts, also when you open the chapter anew.

# %% tags=["progress"]
progress.show("5.1", "5.2", "5.3")
