# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 7. Beyond sentiment
#
# So far one vector had to answer one question: is this review positive? A search engine asks otherwise. It has a question and some texts, makes a vector of each, and takes the text whose vector lies nearest. There is no head that could repair what the pooling lost. Does the same pooling win? People say: max catches the keyword, mean the whole intent, and a weighted sum learns what matters to the question. And for summaries they say: take the mean. We test both.
#
# **After this chapter you will be able to**
#
# - build a test set for search and for summaries out of what is installed anyway;
# - measure a ranking, ties included, and give it an interval when questions share their candidates;
# - say why the vectors of a language model all look alike, and what helps;
# - let a token's weight depend on the question;
# - say what a sentence must reach to be called a summary.
#
# **What you need to know**: chapters 2 to 5.
#
# | | smoke | laptop | full |
# |---|---|---|---|
# | reading and exercises | – | 2 hours | 2 hours |
# | running all cells | under a minute | about two minutes | about half an hour |
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
from collections import Counter
from importlib.metadata import version

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from docstring_parser import DocstringStyle, parse
from IPython.display import display
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from torch import nn

from helpers import (
    checks,
    claims,
    contrasts,
    documentation,
    encoders,
    figures,
    grid,
    matching,
    pooling,
    progress,
    sources,
    studies,
    task_studies,
    tasks,
    views,
    widgets,
    yardsticks,
)
from helpers.words import words_of

figures.theme()

# %% [markdown]
# ## 7.1 Questions without a download
#
# Who has ten thousand questions with their answers on a laptop, with no network? You do. The documentation of the libraries that this course needs says of each parameter what it does. Here is a small docstring in their style.

# %%
TOY = """Fit a line.

Parameters
----------
max_iter : int
    Maximum number of iterations. Unlike tol, max_iter is a count.
tol : float
    How small a step must be before we stop.
alpha : float
    Strength of the penalty.
copy : bool
    Whether a copy is made first.
verbose : int
    How much is printed on the way.
"""

# %% [markdown]
# A parameter's name makes a question, and the descriptions of all parameters of that function are the candidates. (From here on *function* also stands for a class or a method.) Only functions with five or more descriptions are taken.

# %% tags=["nbval-check-output"]
found = documentation.questions("toy.fit", parse(TOY, DocstringStyle.NUMPYDOC))
pd.DataFrame(found)[["question", "answer", "kind"]]

# %% tags=["nbval-check-output"]
found[0]["candidates"]

# %% [markdown]
# Two things happened. The names of the parameters are gone from the candidates, as words of their own: else an answer could be found without reading it. (Inside another word a name may remain, as *tol* in *tolerance*.) And each question has a *kind*, by a rule that we fixed before any run. In a **keyword** question the parameter's name shares a word with the answer, by stem (*jobs* and *job* do, *max* and *maximum* do not). In an **intent** question it shares none: one has to know what is meant.

# %% tags=["nbval-check-output"]
documentation.kind("n jobs", "The number of parallel jobs."), documentation.kind("copy", "Whether X is overwritten.")

# %% [markdown]
# The real ones. They are split by library, because functions of one library share sentences.

# %%
loaded = {split: tasks.answer_selection(split, session.scale) for split in tasks.SPLITS}
counts = pd.DataFrame({split: {
    "functions": len(set(part["group"])), "questions": len(part),
    "intent questions": f"{np.mean(np.array(part['kind']) == 'intent'):.0%}",
    "candidates a question": f"{np.mean([len(own) for own in part['candidates']]):.1f}",
} for split, part in loaded.items()}).T
figures.table(counts, f"Questions about parameters ({session.scale})")

# %% [markdown]
# Which library went where, in which version, and does wording leak from one split to the next?

# %%
named = {"sklearn": "scikit-learn"}
held = {split: {text for own in part["candidates"] for text in own} for split, part in loaded.items()}
figures.say("; ".join(f"*{split}*: " + ", ".join(f"{name} {version(named.get(name, name))}" for name in libraries)
                      for split, libraries in tasks.LIBRARIES.items())
            + f". Descriptions that stand word for word in the training and in the test split: "
              f"{len(held['train'] & held['test'])} of {len(held['test']):,}.")

# %% [markdown]
# Before any machine tries: one function, its questions and its candidates.

# %%
test = loaded["test"]
some = test[0]
asked = [row for row in test.select(range(min(60, len(test)))) if row["group"] == some["group"]]
figures.table(pd.DataFrame({"question": [row["question"] for row in asked], "kind": [row["kind"] for row in asked],
                            "answer": [row["candidates"][row["answer"]][:90] + "…" for row in asked]}).set_index("question"),
              f"The questions about {some['group']}")

# %% [markdown]
# ## 7.2 What is a ranking worth?
#
# A method gives each candidate a score, and the highest comes first. The **reciprocal rank** is 1 if the answer comes first, 1/2 if second, 1/3 if third. Its mean over all questions is the **MRR**. **Top-1** is the share of questions whose answer comes first. (A third measure, mean average precision or MAP, is for questions with several answers. With one answer each it *is* the MRR.)
#
# ### Exercise 7.1 · Reciprocal rank, with ties ★★☆ medium, 10 minutes
#
# Return the reciprocal rank of the answer. If several candidates have the answer's score, each order of them is as likely: return what is expected. A method that gives all the same score must not win by standing first in a list.

# %% tags=["exercise", "ex-7.1"]
def reciprocal_rank(scores, answer):
    """[c], a place -> a number"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-7.1"]
# Count the scores that are higher: `(scores > scores[answer]).sum()`. The answer's rank is at least one more. With k equal scores (itself counted) there are k ranks that it may have: average 1/rank over them. `np.arange(first, first + k)` lists them.

# %% tags=["check", "ex-7.1"]
checks.exercise("7.1", reciprocal_rank, lambda f: {
    "first": (f(np.array([0.2, 0.9, 0.5]), 1), 1.0),
    "third": (f(np.array([0.2, 0.9, 0.5]), 0), 1 / 3),
    "negative scores": (f(np.array([-3.0, -1.0, -2.0]), 1), 1.0),
    "two share the top": (f(np.array([0.2, 0.9, 0.9]), 1), 0.75),
    "all alike": (f(np.zeros(4), 0), (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4),
    "a tie lower down": (f(np.array([5.0, 1.0, 1.0, 0.0]), 2), (1 / 2 + 1 / 3) / 2),
})


# %% tags=["solution", "ex-7.1"]
def reciprocal_rank(scores, answer):
    """[c], a place -> a number"""
    first = 1 + int((scores > scores[answer]).sum())
    equal = int((scores == scores[answer]).sum())
    return float((1 / np.arange(first, first + equal)).mean())


# %% [markdown]
# ### What is reached without a model
#
# Three baselines. *random* knows nothing. *overlap* counts the words that question and candidate share. *bm25* does so with care: a rare word counts more than a common one, its second occurrence less than its first, and a word in a long text less than in a short one. It is what search engines were built on for decades, and many still are.

# %% [markdown] tags=["predict"]
# The names were taken out of the candidates. How much can word overlap still find among keyword questions? And among intent questions?

# %%
ON_FILE = session.pick(smoke="laptop", laptop="laptop", full="full")
SETTINGS = grid.SCALES[ON_FILE]
ranked = studies.table("answers", ON_FILE)
row = ranked.select(mode="baseline").iloc[0]
intent, groups, names = (ranked.array(row, what) for what in ("intent", "groups", "names"))
KINDS = {"all": np.ones_like(intent), "keyword": ~intent, "intent": intent}

# %% [markdown]
# The table of all runs is on file, with the reciprocal rank of each question (`python -m helpers.studies --only answers`).

# %%
def quality(measure="MRR", **cell):
    """What a cell's runs reached on each question, [seeds, n]."""
    return ranked.stack("quality", **cell)[:, task_studies.MEASURES.index(measure)].astype(float)


def effect_of(values, kind="all"):
    """The mean over the questions of a kind, [seeds, n], with its interval (7.3 says how)."""
    rows = KINDS[kind]
    return contrasts.over_crossed(values[:, rows], groups[rows], names[rows]).effect


def bracket(effect):
    """An estimate with its interval, as text, in hundredths."""
    return f"{100 * effect.value:.1f} [{100 * effect.low:.1f}, {100 * effect.high:.1f}]"


def line(**cell):
    """One line of a table: MRR by kind, and top-1."""
    shown = {kind: bracket(effect_of(quality(**cell), kind)) for kind in KINDS}
    return shown | {"top-1, all": bracket(effect_of(quality("top-1", **cell)))}


# %%
plain = {name: line(model=name) for name in task_studies.BASELINES["answers"]}
figures.table(pd.DataFrame(plain).T, f"MRR of the baselines, in hundredths, {len(intent):,} test questions ({ON_FILE})")

# %% [markdown]
# On keyword questions the old method is strong. On intent questions it is no better than chance, and that is by construction: the right answer shares no word with the name, while a wrong one may. So *bm25* on all questions is the line that a vector has to beat. We come back to it.
#
# ## 7.3 The nearest vector
#
# Toy numbers: one question and three candidates, two numbers each.

# %% tags=["nbval-check-output"]
question, candidates = torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0, 2.0], [0.0, 1.0], [9.0, 0.0]])
question @ candidates.T  # [q, c]

# %% [markdown]
# By the dot product the third candidate wins, because it is long. The *cosine* looks at directions only: both are divided by their lengths first. Now the first wins.
#
# ### Exercise 7.2 · Cosines of all pairs ★☆☆ easy, 5 minutes
#
# Return the cosine of each question and each candidate, without a loop.

# %% tags=["exercise", "ex-7.2"]
def cosines(questions, candidates):
    """[q, d], [c, d] -> [q, c]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-7.2"]
# `torch.nn.functional.normalize(x, dim=-1)` divides each row by its length. Of rows of length 1 the dot product *is* the cosine.

# %% tags=["check", "ex-7.2"]
two, three = torch.tensor([[1.0, 1.0], [-3.0, 0.0]]), torch.tensor([[2.0, 2.0], [0.0, 1.0], [9.0, 0.0]])
checks.exercise("7.2", cosines, lambda f: {
    "by hand": (f(two, three), [[1.0, 0.5**0.5, 0.5**0.5], [-(0.5**0.5), 0.0, -1.0]]),
    "lengths do not matter": (f(two, 7 * three), f(two, three)),
    "the shape is questions by candidates": (list(f(torch.ones(4, 5), torch.ones(2, 5)).shape), [4, 2]),
})


# %% tags=["solution", "ex-7.2"]
def cosines(questions, candidates):
    """[q, d], [c, d] -> [q, c]"""
    return nn.functional.normalize(questions, dim=-1) @ nn.functional.normalize(candidates, dim=-1).T


# %% [markdown]
# ### On real questions
#
# A frozen encoder, a slice of the test functions, and the poolings that have nothing to learn.

# %%
NAME, LENGTH = session.pick(smoke="mini-bert", laptop="mini-bert", full="bert-base"), 128
encoder = encoders.load(NAME)
GROUPS = list(dict.fromkeys(test["group"]))[: session.pick(smoke=12, laptop=80, full=500)]
part = test.select([row for row, group in enumerate(test["group"]) if group in set(GROUPS)])
given = matching.sets(encoder, part, LENGTH)

# %% [markdown]
# Questions and candidates are pooled in the same way, then compared set by set.

# %%
def vectors(pool):
    """The pooled questions [n, d] and candidates [m, d] of the slice."""
    return [pooling.pool_all(pooling.make(pool, encoder.dim), states) for states in (given.questions, given.candidates)]


def mrr(questions, candidates):
    """The mean reciprocal rank of the slice, with the cosine."""
    scores = [nn.functional.cosine_similarity(questions[asked].unsqueeze(1), candidates[own], dim=-1)
              for asked, own in given.rows]
    return matching.reciprocal_ranks(scores, given).mean()


# %% [markdown]
# Look before you count. All questions about one function against all its candidates, in one scale of colours. The right pairs stand on the diagonal, in a frame.

# %%
asked, own = next(pair for pair in given.rows if len(pair[0]) in (7, 8, 9))
fig, axes = plt.subplots(1, 2, figsize=(9.5, 4))
for ax, pool in zip(axes, ("mean", "max"), strict=True):
    all_questions, all_candidates = vectors(pool)
    shown = nn.functional.cosine_similarity(all_questions[asked].unsqueeze(1), all_candidates[own], dim=-1)
    sns.heatmap(shown, annot=True, fmt=".2f", cmap="cividis", vmin=0.4, vmax=1, cbar=False, square=True, ax=ax)
    for row in range(len(asked)):
        ax.add_patch(plt.Rectangle((row, row), 1, 1, fill=False, edgecolor="white", linewidth=2))
    ax.set(title=pool, xlabel="candidate", ylabel="question")
    ax.grid(False)
figures.show(fig, alt=f"Two heat maps of the cosines of {len(asked)} questions with {len(own)} candidates under mean and "
                      f"max, frozen {NAME}. Under max all lie between {shown.min():.2f} and {shown.max():.2f}.")

# %% [markdown]
# Surprise: the diagonal does not stand out. There are stripes instead: some candidates are near to *all* questions, others to none. And under max everything is near to everything.
#
# This is known as a narrow cone. All states of a language model share a large common part, and max, which takes the largest value of each dimension, shares even more. A head for sentiment did not care: it standardized each dimension first (chapter 3). The cosine does care.

# %% [markdown] tags=["predict"]
# Take the common part away: subtract from each question the average question, and from each candidate the average candidate. (Averages of other texts, those for validation.) What will it do for the mean? For the last token?

# %%
other = matching.sets(encoder, loaded["validation"].select(range(session.pick(smoke=60, laptop=300, full=2000))), LENGTH)


def without_the_common(pool):
    """The vectors of the slice minus the averages of other texts."""
    sides = zip(vectors(pool), (other.questions, other.candidates), strict=True)
    return [own - pooling.pool_all(pooling.make(pool, encoder.dim), states).mean(dim=0) for own, states in sides]


centered = {pool: {"as it is": mrr(*vectors(pool)), "centered": mrr(*without_the_common(pool))} for pool in task_studies.GENERIC}
figures.table(100 * pd.DataFrame(centered).T, f"MRR in hundredths, frozen {NAME}, {len(part)} questions about {len(GROUPS)} functions",
              dict.fromkeys(("as it is", "centered"), "{:.1f}"))

# %% [markdown]
# No weight was trained for that. The mean gains, and max too. (The average question also holds the words that all questions share, *What does … do in*: two things are taken away at once.) What was not in the vectors does not come back: look at *last*.
#
# %% [markdown]
# ### The whole table, generic
#
# Now all test questions and all models, as they are, without centering and without training.

# %%
MODELS = list(SETTINGS.rates)


def board(mode, pools, measure="MRR"):
    """Poolings by models, below them the baselines."""
    rows = {pool: {model: bracket(effect_of(quality(measure, model=model, mode=mode, pooling=pool))) for model in MODELS}
            for pool in pools}
    rows |= {name: dict.fromkeys(MODELS, bracket(effect_of(quality(measure, model=name)))) for name in ("bm25", "random")}
    return pd.DataFrame(rows).T


figures.table(board("generic", task_studies.GENERIC), f"MRR in hundredths, frozen encoders, nothing trained ({ON_FILE})")

# %% [markdown]
# The mini models are far below bm25. And the GPT-2's *first* is level with *random*, as it has to be: that token has seen nothing but itself (chapter 4), so it is the same in every text.
#
# %% [markdown]
# MiniLM stands apart, and for two reasons that cannot be told apart here. It is larger and saw far more text; and it was *trained for this*: on pairs of texts that belong together, with the mean. So its mean is no evidence that means suit search, as its mean was made to.
#
# Its makers' library, sentence-transformers, has a path of its own from text to vector. Does ours give the same?

# %%
folder = sources.from_package(sources.MINILM)
body = Transformer(str(folder), max_seq_length=LENGTH)
theirs = SentenceTransformer(modules=[body, Pooling(body.get_embedding_dimension(), "mean"), Normalize()])
minilm = encoders.load("minilm")
few = part.select(range(session.pick(smoke=12, laptop=60, full=60)))
ours = matching.sets(minilm, few, LENGTH)

# %%
texts = list(dict.fromkeys(text for own in few["candidates"] for text in own))
their_vectors = torch.as_tensor(theirs.encode(texts, show_progress_bar=False))
our_vectors = pooling.pool_all(pooling.Mean(), encoders.encode(minilm, texts, LENGTH))
likeness = nn.functional.cosine_similarity(our_vectors, their_vectors)
figures.say(f"Lowest cosine of our vector and theirs, over {len(texts)} candidates: {likeness.min():.4f}.")

# %% [markdown]
# The same vectors, up to the last digits (our cache keeps half precision). Whoever uses that library with this model uses the mean.
#
# ### How sure is such a number?
#
# The questions about one function share their candidates. If one description is near to everything, all these questions suffer together. So the questions are not so many independent samples, and an interval that takes them for it is too short.
#
# ### Exercise 7.3 · The error of a mean of groups ★★☆ medium, 15 minutes
#
# Return the standard error of the mean of all values, when whole groups were sampled. Of each group take the sum of (value − mean of all values). The variance is the sum of their squares over n², times G / (G − 1) for G groups.

# %% tags=["exercise", "ex-7.3"]
def error_of_groups(values, groups):
    """[n], [n] numbers of groups -> a number"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-7.3"]
# `np.bincount` can sum by group: see its `weights`. Group numbers may have gaps, so what is the number of groups?

# %% tags=["check", "ex-7.3"]
some_values = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
alone, twins, uneven = np.arange(6), np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 1, 1, 2])
checks.exercise("7.3", error_of_groups, lambda f: {
    "each value a group of its own": (f(some_values, alone), some_values.std(ddof=1) / 6**0.5),
    "three groups": (f(some_values, twins), (3 / 2 * (0.0 + 1.0 + 1.0) / 36) ** 0.5),
    "groups of three, two and one": (f(some_values, uneven), (3 / 2 * (0.25 + 0.0 + 0.25) / 36) ** 0.5),
    "copies bring nothing new": (f(np.repeat(some_values, 5), np.repeat(alone, 5)), f(some_values, alone)),
    "group numbers with gaps": (f(some_values, 10 * twins + 3), f(some_values, twins)),
})


# %% tags=["solution", "ex-7.3"]
def error_of_groups(values, groups):
    """[n], [n] numbers of groups -> a number"""
    sums = np.bincount(groups, weights=values - values.mean())
    count = len(np.unique(groups))
    return float(np.sqrt(count / (count - 1) * (sums**2).sum()) / len(values))


# %% [markdown]
# How much longer do the intervals become?

# %%
one = quality(model=MODELS[0], mode="generic", pooling="mean")[0]
naive = one.std(ddof=1) / len(one) ** 0.5
clustered = contrasts.over_groups(one[None], groups).error
crossed = contrasts.over_crossed(one[None], groups, names).error
figures.say(f"Standard error of that MRR, in hundredths: {100 * naive:.2f} if questions were independent, "
            f"{100 * clustered:.2f} by function, {100 * crossed:.2f} by function and by name.")

# %% [markdown]
# By name? *random state* is asked of many functions, with nearly the same answer each time. So a question has two kinds of kin: those about the same function and those about the same name. The two variances add up, less that of the groups which both make together (Cameron, Gelbach and Miller 2011). All intervals on answers in this chapter, those above too, are of this kind.
#
# ## 7.4 Trained for the task
#
# Cosine has no head, so what can be trained? A linear map behind the pooling, the same for questions and candidates; and the pooling's own weights. The loss: in each set of candidates a softmax over the cosines should choose the answer. All poolings get the same budget, and begin as the generic pooling, for the map begins as "change nothing".
#
# ### Weights that know the question
#
# A weighted sum of chapter 2 weighs a text's tokens once and for all. But which word of a description matters depends on what was asked. So let the question choose the weights: a softmax of (A · question) · state. Toy numbers, with A = 1:

# %% tags=["nbval-check-output"]
states = torch.tensor([[2.0, 0.0], [0.0, 2.0]])  # [T, d]: two tokens
asks = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # [q, d]: two questions
(asks @ states.T).softmax(dim=-1)  # [q, T]

# %% [markdown]
# The first question weighs the first token, the second the second. So one text has as many vectors as there are questions. That has a price: its vector cannot be computed before the question is known, as a search engine with a billion texts must.
#
# ### Exercise 7.4 · Asked weights ★★☆ medium, 15 minutes
#
# For a batch: questions [q, d], already mapped, and candidates' states [c, T, d] with a mask [c, T]. Return the weights [q, c, T]. They sum to 1 over a candidate's real tokens; padded places have 0, whatever stands there.

# %% tags=["exercise", "ex-7.4"]
def asked_weights(questions, states, mask):
    """[q, d], [c, T, d], bool [c, T] -> [q, c, T]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-7.4"]
# `torch.einsum` makes all products at once: which letters stay? Then chapter 2's masked softmax. The mask lacks one axis, and it is the first.

# %% tags=["check", "ex-7.4"]
two_texts = torch.tensor([[[2.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [float("nan")] * 2]])
real, both_ask = torch.tensor([[True, True], [True, False]]), torch.eye(2)
half = 1 / (1 + np.exp(-2.0))
checks.exercise("7.4", asked_weights, lambda f: {
    "by hand": (f(both_ask, two_texts, real), [[[half, 1 - half], [1.0, 0.0]], [[1 - half, half], [1.0, 0.0]]]),
    "they sum to one": (f(both_ask, two_texts, real).sum(dim=-1), torch.ones(2, 2)),
    "one question, two texts": (list(f(both_ask[:1], two_texts, real).shape), [1, 2, 2]),
    "padding on the left": (f(both_ask, two_texts.flip(1), real.flip(1))[0], [[1 - half, half], [0.0, 1.0]]),
    "scores far below zero": (f(-500 * both_ask, two_texts, real)[0], [[0.0, 1.0], [1.0, 0.0]]),
})


# %% tags=["solution", "ex-7.4"]
def asked_weights(questions, states, mask):
    """[q, d], [c, T, d], bool [c, T] -> [q, c, T]"""
    scores = torch.einsum("qd,ctd->qct", questions, states)
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)


# %% [markdown]
# `matching.Asked` is this, with a learned A that begins at zero: untrained it is the mean. With one head it is a weighted sum (`asked_sum` in the tables), with four heads an attention (`asked_attention`).
#
# ### A small training, live

# %% [markdown] tags=["predict"]
# Four matchers learn on some training functions: mean, max, a plain weighted sum, and one that knows the question. Who gains most?

# %%
def slice_of(split, functions):
    """The sets of a split's first functions."""
    chosen = set(list(dict.fromkeys(loaded[split]["group"]))[:functions])
    return matching.sets(encoder, loaded[split].select(
        [row for row, group in enumerate(loaded[split]["group"]) if group in chosen]), LENGTH)


train = slice_of("train", session.pick(smoke=12, laptop=200, full=300))
validation = slice_of("validation", session.pick(smoke=6, laptop=30, full=60))

# %%
SHOWN = ("mean", "max", "weighted_sum", "asked_sum")
untrained = {name: task_studies.matcher(name, encoder.dim) for name in SHOWN}
trained = {name: matching.fit(model, train, validation, seed=0) for name, model in untrained.items()}
gains = pd.DataFrame({what: {name: matching.reciprocal_ranks(matching.scores(model, given), given).mean()
                             for name, model in models.items()}
                      for what, models in (("untrained", untrained), ("trained", trained))})
figures.table(100 * gains, f"MRR in hundredths, {NAME}, trained on {len(train.rows)} functions, one run",
              dict.fromkeys(gains, "{:.1f}"))

# %% [markdown]
# ### All runs
#
# The table on file: three hundred functions to learn from, drawn anew for each of five seeds, every pooling with the same steps and the same stopping rule.

# %%
figures.table(board("trained", task_studies.TRAINED), f"MRR in hundredths, trained for the task, mean of the seeds ({ON_FILE})")
figures.table(board("trained", task_studies.TRAINED, "top-1"), f"Top-1 in percent, trained for the task, mean of the seeds ({ON_FILE})")

# %% [markdown]
# (`weighted_mean` has fixed weights 1, 2, …; `weighted_sum` learns its weights. `asked_weighted_sum` is explained below.) Read down a column: what learns its own weights stands on top, on all three models. What knows the question stands lower, unless its question has learned weights too. The next pages ask why.
#
# %% [markdown]
# As a picture: each pooling against the trained mean, by kind of question; the average of the mini BERT and the mini GPT-2 (*the pair*).

# %%
def of_pair(pool):
    return np.mean([quality(model=model, mode="trained", pooling=pool) for model in SETTINGS.pair], axis=0)


def gap(pool, reference, kind):
    """How much better a trained pooling ranks than another one, on one kind of question."""
    return effect_of(of_pair(pool) - of_pair(reference), kind)


ahead = {pool: {kind: gap(pool, "mean", kind) for kind in ("keyword", "intent")} for pool in task_studies.TRAINED if pool != "mean"}
order = sorted(ahead, key=lambda pool: ahead[pool]["keyword"].value)

# %%
fig, ax = plt.subplots(figsize=(7.5, 4.5))
for color, (kind, shift) in enumerate((("keyword", 0.15), ("intent", -0.15))):
    for row, pool in enumerate(order):
        one = ahead[pool][kind]
        ax.plot([100 * one.low, 100 * one.high], [row + shift] * 2, color=f"C{color}", linewidth=3)
        ax.scatter(100 * one.value, row + shift, color=f"C{color}", s=40, zorder=3, label=kind if row == 0 else None)
ax.axvline(0, color=figures.INK, linewidth=1)
ax.set(yticks=range(len(order)), yticklabels=order, xlabel="MRR minus that of the trained mean, in points, with 95% interval")
ax.legend(frameon=False, loc="lower right")
figures.show(fig, alt=f"MRR of each trained pooling minus that of the trained mean ({ON_FILE}, the pair): " + "; ".join(
    f"{pool} {figures.points(own['keyword'])} on keyword and {figures.points(own['intent'])} on intent questions" for pool, own in ahead.items()) + ".")

# %% [markdown]
# ### And bm25?
#
# The line that a vector has to beat, with the best of the paper's poolings:

# %%
against = {f"{model}, {kind}": effect_of(quality(model=model, mode="trained", pooling="weighted_sum") - quality(model="bm25"), kind)
           for model in MODELS for kind in KINDS}
figures.show(*figures.gaps(against, f"trained weighted sum minus bm25 ({ON_FILE})"))

# %% [markdown]
# The mini models with trained weights lose to bm25 on keyword questions and win on intents; MiniLM wins on both. Counting words is hard to beat where words are shared. (So search engines do both, and add the scores.)

# %% [markdown]
# ### The claim, judged
#
# What the claim says, and what we wrote down before these runs:

# %%
figures.claim(claims.claim("C6"))

# %%
c6 = claims.judge("C6", ON_FILE)
figures.verdict(claims.claim("C6"), c6, ON_FILE)

# %% [markdown]
# The first line of the evidence points *against* the claim: on keyword questions max ranks worse than the mean. Perhaps because a rare word wins some dimensions of a max, and hundreds of others are won by whatever else is there.
#
# ### What did the weighted sum learn?
#
# One pooling serves both sides: it pools the questions and the candidates. From which side does the gain come? Take the trained weighted sum of our small training, and give one side back to the mean.

# %%
class Sides(matching.Matcher):
    """A trained matcher whose sides are pooled in two ways."""

    def __init__(self, trained, of_question, of_candidate):
        super().__init__(of_question, encoder.dim)
        self.map, self.of_candidate = trained.map, of_candidate

    def candidates(self, asked, states, mask):
        return self.of_candidate(states, mask).unsqueeze(0)


# %% [markdown] tags=["predict"]
# Learned weights for the question only, or for the candidates only: which of them keeps more of the gain?

# %%
winner, mean = trained["weighted_sum"], pooling.Mean()
sides = {"both sides": (winner.pooling, winner.pooling), "question only": (winner.pooling, mean),
         "candidates only": (mean, winner.pooling), "none": (mean, mean)}
figures.say("MRR in hundredths with learned weights for " + ", ".join(
    f"*{name}*: {100 * matching.reciprocal_ranks(matching.scores(Sides(winner, *both), given), given).mean():.1f}"
    for name, both in sides.items()) + ".")

# %% [markdown]
# Most of it comes from the question. Look at its weights. Zero is what the mean gives a token, +1 is twice as much:

# %%
def beside_the_mean(text, share):
    """A text's words, and how far the mean weight of their tokens, [T], is above an equal share, in equal shares."""
    words = words_of(encoder, text, LENGTH)
    return words.words, words.sums(share * len(share)) / words.sums(torch.ones(len(share))) - 1


def read_question(question):
    """What the trained weighted sum gives the words of a question, beside the mean."""
    states, mask = encoders.encode(encoder, [question], LENGTH).padded([0])
    with torch.no_grad():
        return beside_the_mean(question, winner.pooling.weights(states, mask)[0])  # [n, T] -> [T]


few_questions = part.select(range(0, min(len(part), 40), 10))["question"]
display(views.bundle({f"question {number}": read_question(question) for number, question in enumerate(few_questions, start=1)},
                     f"Weights above (blue) and below (orange) those of the mean, trained weighted sum, {NAME}"), raw=True)

# %% [markdown]
# The name of the parameter, and the *do* that follows it. Over every tenth question of the slice:

# %%
def part_of_weight(question):
    """The share of a question's weight on the name, on the do after it, and on everything else."""
    words, above = read_question(question)
    end = words.index("do")
    share = (above + 1) * [len(encoder.tokenizer(word, add_special_tokens=False)["input_ids"]) for word in words]
    return {"the name": share[2:end].sum(), "do": share[end], "the rest": share[:2].sum() + share[end + 1 :].sum()}


if session.scale != "full":  # SQuAD's questions have no such form
    shares = pd.DataFrame(map(part_of_weight, part.select(range(0, len(part), 10))["question"])).mean()
    figures.say("Of the weight of words: " + ", ".join(f"{value:.0%} on {name}" for name, value in (shares / shares.sum()).items()) + ".")

# %% [markdown]
# *What does* and the function's name say little: all candidates are about that function. The parameter's name is what counts, and the mean gives it one share among many. And *do*? It says nothing itself, but it stands next to the name in every question, and its *state* has heard the name. (That is a guess. How would you test it?)
#
# So "the weighted sum learns the relevance to the question" is half right: it learned which part *of the question* is relevant. That may be why `asked_sum`, which looks at the candidates with the question in mind, lags behind: it was given the question as a mean. `asked_weighted_sum` has both. We added it when we had seen the results of the others. So no rule speaks of it, and its rows are a hint:

# %%
figures.say("asked_weighted_sum minus weighted_sum, in points of MRR: " + ", ".join(
    f"{model} {figures.points(effect_of(quality(model=model, mode='trained', pooling='asked_weighted_sum') - quality(model=model, mode='trained', pooling='weighted_sum')))}"
    for model in MODELS) + ".")

# %% [markdown]
# And what do weights that know the question do with a description?

# %%
def read_description(question, text):
    """What the trained asked_sum gives the words of a description, for a question."""
    states, mask = encoders.encode(encoder, [text], LENGTH).padded([0])
    with torch.no_grad():
        vector = trained["asked_sum"].pooling(*encoders.encode(encoder, [question], LENGTH).padded([0]))
        return beside_the_mean(text, trained["asked_sum"].weights(vector, states, mask)[0, 0, :, 0])  # [q, c, T, h] -> [T]


def both_read(question, text):
    """A question and a description, as HTML and as text."""
    rows = {"question, weighted_sum": read_question(question), "description, asked_sum": read_description(question, text)}
    return views.bundle(rows, f"Weights above (blue) and below (orange) those of the mean, {NAME}, our small training")


# %% [markdown]
# Ask something of your own (readers of the page see one description under two questions).

# %%
FIRST = {row["question"]: row["candidates"][row["answer"]] for row in part.select(range(5))}
right, wrong = list(FIRST)[:2]

# %% tags=["widget"]
widgets.read(
    both_read,
    views.bundle({question: read_description(question, FIRST[right]) for question in (right, wrong)},
                 f"One description under two questions: weights above and below those of the mean, asked_sum, {NAME}"),
    question=ipywidgets.Text(value=right, description="question", layout={"width": "90%"}),
    text=ipywidgets.SelectionSlider(options=[(f"{number} of {len(FIRST)}", text) for number, text in enumerate(FIRST.values(), 1)], description="description"),
)

# %% [markdown]
# Under both questions the weights are nearly the same. They *may* depend on the question, but they hardly do. One reason may be that the vectors of two questions are so alike (the cone, and the words that all questions share). What a model may learn, and what it learns from a few hundred functions, are two things.
#
# %% [markdown]
# ## 7.5 Summaries
#
# The first line of a docstring sums up what follows, and a human wrote it. So there is a test for summaries as well: a long description of four sentences or more, from which the first line has been taken out, and that line to compare with. An *extractive* summary chooses a sentence of the text.

# %%
stories = {split: task_studies.summaries(split, session.scale) for split in tasks.SPLITS}
story = stories["test"][0]
figures.table(pd.DataFrame({"sentence": [text[:110] for text in story["sentences"]]}), f"A long description; its summary: “{story['summary']}”")

# %% [markdown]
# ### What is a sentence worth?
#
# **ROUGE-1** compares words: what share of the summary's words does the sentence have (recall), and what share of the sentence's words are in the summary (precision)? Their harmonic mean is F1. ROUGE-2 does so with pairs of words, ROUGE-L with the longest common subsequence.
#
# ### Exercise 7.5 · ROUGE-1 by hand ★★☆ medium, 10 minutes
#
# Return F1 of the words, as they are between spaces. A word that stands twice in one text and once in the other is shared once. If nothing is shared, it is 0.

# %% tags=["exercise", "ex-7.5"]
def rouge_1(summary, sentence):
    """two str -> a number"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-7.5"]
# `collections.Counter(text.split())` counts words, and `a & b` of two counters keeps the smaller count of each. `.total()` sums.

# %% tags=["check", "ex-7.5"]
checks.exercise("7.5", rouge_1, lambda f: {
    "the same": (f("fit a line", "fit a line"), 1.0),
    "half of one, all of the other": (f("fit a line to points", "fit a line"), 2 * 3 / 8),
    "nothing shared": (f("fit a line", "draw it"), 0.0),
    "a word twice in one": (f("a b", "a a a"), 2 * 1 / 5),
    "a word twice in both": (f("a a b", "a a c"), 2 * 2 / 6),
    "order does not matter": (f("a b c", "c b a"), 1.0),
})


# %% tags=["solution", "ex-7.5"]
def rouge_1(summary, sentence):
    """two str -> a number"""
    one, other = (Counter(text.split()) for text in (summary, sentence))
    return 2 * (one & other).total() / (one.total() + other.total())


# %% [markdown]
# The course uses the package rouge-score, which also takes stems and leaves punctuation out. Of the description above:

# %%
worth = yardsticks.rouge(story["summary"], story["sentences"])
figures.table(pd.DataFrame(100 * worth, columns=["ROUGE-1", "ROUGE-2", "ROUGE-L"]), "What each of its sentences is worth, in hundredths",
              dict.fromkeys(["ROUGE-1", "ROUGE-2", "ROUGE-L"], "{:.1f}"))

# %% [markdown]
# ### The yardsticks
#
# *random* is what a random sentence is worth. *lead* takes the first sentence. *central* takes the one nearest to the average of all sentences, as TF-IDF vectors (chapter 1). *oracle* takes the best by ROUGE-1: nobody can do better with one sentence.
#
# A pooling does it like this: the whole text is the question, its sentences are the candidates, and the nearest one is chosen. So a summary is a search for the sentence that could stand for all. Under `asked_sum` the text chooses which words of a sentence count: their *salience* in this text.

# %% [markdown] tags=["predict"]
# Order them: random, lead, central, and the frozen mean of a small BERT. (Where does a writer put what matters?)

# %%
summed = studies.table("summaries", ON_FILE)


def reached(**cell):
    """One line of a table: ROUGE-1, 2 and L in hundredths, with intervals over texts and seeds."""
    values = summed.stack("rouge", **cell).astype(float)  # [s, n, 3]
    each = np.arange(values.shape[1])
    effects = [contrasts.over_groups(100 * values[..., number], each).effect for number in range(3)]
    return {name: f"{one.value:.1f} [{one.low:.1f}, {one.high:.1f}]" for name, one in zip(("ROUGE-1", "ROUGE-2", "ROUGE-L"), effects, strict=True)}


# %%
floor = {name: reached(model=name) for name in task_studies.BASELINES["summaries"]}


def summed_board(mode, pools):
    """ROUGE-1 of poolings by models, below them the baselines."""
    rows = {pool: {model: reached(model=model, mode=mode, pooling=pool)["ROUGE-1"] for model in MODELS} for pool in pools}
    return pd.DataFrame(rows | {name: dict.fromkeys(MODELS, one["ROUGE-1"]) for name, one in floor.items()}).T


documents = summed.stack("rouge", model="lead").shape[1]
figures.table(summed_board("generic", task_studies.GENERIC), f"ROUGE-1 in hundredths, {documents} texts, nothing trained ({ON_FILE})")

# %% [markdown]
# No frozen encoder reaches the lead: a position beats those who read. It is so in news as well, where *lead* is the baseline that papers fear.
#
# Look at the GPT-2's *first*: it is worth a random sentence, as it has to be. In our first version it stood on top of this table, level with the lead. Its vectors are the same for all sentences, so all cosines are equal, and `argmax` takes the first of equals: the lead, by accident. A method that knows nothing must not choose; so among equals we now count what is expected, as in exercise 7.1.
#
# ### Trained

# %%
figures.table(summed_board("trained", task_studies.TRAINED), f"ROUGE-1 in hundredths, trained for the task, mean of the seeds ({ON_FILE})")
every = {**floor, **{f"{model}, {pool}": reached(model=model, mode="trained", pooling=pool) for model in MODELS for pool in ("mean", "max", "weighted_sum")}}
figures.table(pd.DataFrame(every).T, f"All three measures, for the paper's poolings ({ON_FILE})")

# %% [markdown]
# Does training catch up with the lead? Lead minus the trained mean, on the same texts:

# %%
def rouge_1_of(**cell):
    return summed.stack("rouge", **cell)[..., 0].astype(float)  # [s, n, 3] -> [s, n]


figures.say("Lead minus the trained mean, in points of ROUGE-1: " + ", ".join(
    f"{model} {figures.points(contrasts.over_groups(rouge_1_of(model='lead') - rouge_1_of(model=model, mode='trained', pooling='mean'), np.arange(documents)).effect)}"
    for model in MODELS) + ".")

# %% [markdown]
# ### Two claims, judged

# %%
for number in ("C7", "C9"):
    figures.claim(claims.claim(number))

# %%
c7, c9 = (claims.judge(number, ON_FILE) for number in ("C7", "C9"))
figures.verdict(claims.claim("C7"), c7, ON_FILE)
figures.verdict(claims.claim("C9"), c9, ON_FILE)

# %% [markdown]
# Some of these intervals leave zero out, and still the verdict is "no detectable difference". The intervals are not corrected; the p values are, for all tests of all three rules of this chapter. Look for long enough and some interval will leave zero out. And C7's second half, that max "finds the key point and loses context", is tested by none of this: ROUGE does not see it.
#
# For C9, remember `asked_weighted_sum`: it ranks answers far better than the mean. But we chose it after looking, and most of its lead is learned weights on the question, which a plain weighted sum has as well.
#
# ### Read what was chosen
#
# Texts on which two poolings choose different sentences, with the human line beside. (These are test texts: read them to understand, not to get ideas that are then tested on them.)

# %%
on_file = task_studies.summaries("test", ON_FILE)
leads, kept = np.array([worth[0] for worth in on_file["rouge"]]), summed.stack("rouge", model="lead")[0]
ALIKE = leads.shape == kept.shape and np.allclose(leads, kept, atol=1e-6)  # else your libraries have other versions


def choices(model, a, b):
    """Texts on which two generic poolings disagree."""
    if not ALIKE:
        return pd.DataFrame(index=["no text"]), "Your libraries are not of the table's versions: its sentences are others than yours"
    picks = [summed.stack("chosen", model=model, mode="generic", pooling=pool)[0] for pool in (a, b)]
    chose = np.minimum(*picks) != task_studies.NO_CHOICE
    rows = np.flatnonzero(chose & (picks[0] != picks[1]))[:6].tolist()
    table = pd.DataFrame([{"human": on_file[row]["summary"], a: on_file[row]["sentences"][picks[0][row]][:160],
                           b: on_file[row]["sentences"][picks[1][row]][:160]} for row in rows])
    return (table.set_index("human") if len(table) else pd.DataFrame(index=["no text"])), f"{a} and {b} disagree, generic {model} ({ON_FILE})"


# %% tags=["widget"]
widgets.browse(
    choices,
    model=ipywidgets.SelectionSlider(options=MODELS, value=MODELS[0], description="model"),
    a=ipywidgets.SelectionSlider(options=task_studies.GENERIC, value="mean", description="one"),
    b=ipywidgets.SelectionSlider(options=task_studies.GENERIC, value="max", description="other"),
)

# %% [markdown]
# ## 7.6 What this cannot show
#
# - The questions are made from names, not asked by people, and one sort of text (documentation) was read by encoders that know film reviews, or, with MiniLM, much more. `COURSE_SCALE=full` asks SQuAD and CNN/DailyMail in the same way.
# - The encoders stayed frozen. A model that is fine-tuned for search with a pooling, as MiniLM was, adapts to it.
# - One sentence is a short summary, and ROUGE counts words. A good sentence in other words gets nothing.
#
# What we have, in plain words. With nothing to learn, small language models rank worse than counting words. Trained, the poolings that learn their weights rank best, and much of that is reading the *question* well. Max does not catch keywords here. For summaries, take the first sentence before you take any pooling. And the verdicts:

# %%
figures.say(" ".join(f"**{number}**: {found.verdict}." for number, found in (("C6", c6), ("C7", c7), ("C9", c9))))

# %% [markdown]
# Next: chapter 8 goes out into the wild, where models are served with the wrong pooling, and nobody notices.
#
# ## Quiz

# %% [markdown] tags=["quiz"]
# 1. A method gives every candidate the same score. What is its expected reciprocal rank among four?
#
#    Answer: (1 + 1/2 + 1/3 + 1/4) / 4, a little above one half. Code that lets the first of equals win would report 1 whenever the answer happens to stand first.
#
# 2. All cosines of a search engine lie between 0.91 and 0.97. Is it broken?
#
#    Answer: Not for that alone: only the order counts. But a large common part hides the rest. Subtract the mean vector of other texts and measure again.
#
# 3. Why are intervals by question too short here?
#
#    Answer: Questions about one function share their candidates, so their results move together. The functions are the sample.
#
# 4. Weights that depend on the question rank better in your test. What do they cost in a search engine with a billion texts?
#
#    Answer: A text's vector then depends on the question, so it cannot be computed in advance. They can re-rank a few hundred candidates that a plain vector found.
#
# 5. A new summarizer reaches ROUGE-1 of 0.18 on these texts. Good?
#
#    Answer: Compare with *lead*, *random* and *oracle* on the same texts before you say so. Here the first sentence alone is worth more.

# %% [markdown]
# ## Further reading
#
# - Robertson and Zaragoza (2009), *The probabilistic relevance framework: BM25 and beyond*.
# - Lin (2004), *ROUGE: a package for automatic evaluation of summaries*.
# - Reimers and Gurevych (2019), *Sentence-BERT*, [arXiv:1908.10084](https://arxiv.org/abs/1908.10084): mean against max and [CLS], trained for similarity.
# - Ethayarajh (2019), *How contextual are contextualized word representations?*, [arXiv:1909.00512](https://arxiv.org/abs/1909.00512): the narrow cone.
# - Nogueira and Cho (2019), *Passage re-ranking with BERT*, [arXiv:1901.04085](https://arxiv.org/abs/1901.04085): what is gained when question and text are read together.
# - Radev et al. (2004), *Centroid-based summarization of multiple documents*.

# %% [markdown]
# ## Your progress
#
# Which checks of this chapter have you passed? Passed once counts, also when you open the chapter anew.

# %% tags=["progress"]
progress.show("7.1", "7.2", "7.3", "7.4", "7.5")
