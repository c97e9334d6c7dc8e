# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 6. Interpretability and fairness
#
# A classifier says *positive*. Which words is that owed to, and would it say the same about somebody else? People say that a mean is easy to explain and fair, that max hangs on a few strong words, and that a weighted sum is as clear as its weights. These are claims about poolings, so we can test them: same encoder, same texts, same head, and only the pooling differs.
#
# **After this chapter you will be able to**
#
# - split a log-odds into exact parts, one for each token, under nearly every pooling;
# - say what such a part is, and what it is not;
# - test an explanation by taking away what it names, against chance;
# - measure how a score reacts to a name, a pronoun, a nation, or one emotional word;
# - say what such a test cannot show.
#
# **What you need to know**: chapters 2 to 5.
#
# | | smoke | laptop | full |
# |---|---|---|---|
# | reading and exercises | – | 2 hours | 2 hours |
# | running all cells | under a minute | about three minutes | about ten minutes |
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
import re

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from IPython.display import display
from scipy.special import logit
from scipy.stats import spearmanr, ttest_1samp
from sklearn.metrics import accuracy_score

from helpers import (
    cells,
    checks,
    claims,
    classifier_studies,
    classifiers,
    contrasts,
    data,
    doses,
    encoders,
    evaluation,
    explain,
    fairness,
    faithfulness,
    figures,
    grid,
    heads,
    pooling,
    progress,
    records,
    studies,
    views,
    widgets,
)
from helpers.words import words_of

figures.theme()

# %% [markdown]
# ## 6.1 Exact parts
#
# Chapter 2's chain ends in a linear head: log-odds = w · pooled + b. The pooled vector is, for most poolings, a weighted sum of the token states. So the log-odds is a sum too, with one part for each token. Nothing is estimated: it is only written differently.
#
# Toy numbers first. Three tokens with two numbers each, w = (1, −1), b = 0, and the mean.

# %% tags=["nbval-check-output"]
states = torch.tensor([[[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]]])  # [n, T, d]
w = torch.tensor([1.0, -1.0])
states @ w / 3  # [n, T]: the part of each token

# %% [markdown]
# The first token speaks for *positive*, the second against, and the third says nothing. Their sum is what the head says of the mean:

# %% tags=["nbval-check-output"]
(states @ w / 3).sum(), states.mean(dim=1) @ w

# %% [markdown]
# ### Exercise 6.1 · Parts under the mean ★★☆ medium, 10 minutes
#
# The same for a batch with padding. Padded places have the part 0, and may hold anything, NaN included.

# %% tags=["exercise", "ex-6.1"]
def parts_of_mean(states, mask, w):
    """[n, T, d], bool [n, T], [d] -> [n, T]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-6.1"]
# `torch.where(mask, states @ w, 0)` is safe where a product with the mask is not. By what do you divide, in each row?

# %% tags=["check", "ex-6.1"]
some = torch.tensor([[[2.0, 0.0], [0.0, 3.0]], [[1.0, 5.0], [float("nan")] * 2]])
real, u, v = torch.tensor([[True, True], [True, False]]), torch.tensor([1.0, -1.0]), torch.tensor([2.0, 1.0])
checks.exercise("6.1", parts_of_mean, lambda f: {
    "by hand": (f(some, real, u), [[1.0, -1.5], [-4.0, 0.0]]),
    "they sum to the log-odds": (f(some, real, v).sum(dim=1), pooling.Mean()(some, real) @ v),
    "padding on the left": (f(some.flip(1), real.flip(1), u), [[-1.5, 1.0], [0.0, -4.0]]),
})


# %% tags=["solution", "ex-6.1"]
def parts_of_mean(states, mask, w):
    """[n, T, d], bool [n, T], [d] -> [n, T]"""
    return torch.where(mask, states @ w, 0) / mask.sum(dim=1, keepdim=True)


# %% [markdown]
# ### Max gives each dimension to one token
#
# Under max the largest value of each dimension comes from one token, so the whole of that dimension's part is that token's.
#
# ### Exercise 6.2 · Parts under max ★★★ hard, 15 minutes
#
# Return the part of each token. A token that wins no dimension has the part 0. Of equal values the first one wins. Padding is as in 6.1; b belongs to nobody, so leave it out.

# %% tags=["exercise", "ex-6.2"]
def parts_of_max(states, mask, w):
    """[n, T, d], bool [n, T], [d] -> [n, T]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-6.2"]
# Chapter 2's `masked_fill` with minus infinity, then `.max(dim=1)`: it returns the values, [n, d], and their places, `.indices`, [n, d]. `torch.zeros(n, T).scatter_add_(1, places, parts)` adds each dimension's part to the token at its place.

# %% tags=["check", "ex-6.2"]
some, real = torch.tensor([[[5.0, 0.0], [1.0, 4.0], [9.0, 9.0]]]), torch.tensor([[True, True, False]])
u, v, ends = torch.tensor([1.0, 10.0]), torch.tensor([2.0, -3.0]), torch.tensor([[True, False, True]])
two_texts = torch.tensor([[[5.0, 0.0], [1.0, 4.0]], [[7.0, 2.0], [float("nan")] * 2]])
two_real = torch.tensor([[True, True], [True, False]])
below = torch.tensor([[[-1.0, -2.0], [-3.0, -1.0], [9.0, 9.0]]])
checks.exercise("6.2", parts_of_max, lambda f: {
    "each token wins one dimension": (f(some, real, u), [[5.0, 40.0, 0.0]]),
    "one token wins both": (f(some, ends, u), [[0.0, 0.0, 99.0]]),
    "of equal values the first wins": (f(torch.ones(1, 3, 2), real, u), [[11.0, 0.0, 0.0]]),
    "they sum to the log-odds": (f(some, real, v).sum(dim=1), pooling.Max()(some, real) @ v),
    "two texts, and NaN in padding": (f(two_texts, two_real, u), [[5.0, 40.0], [7.0 + 20.0, 0.0]]),
    "all values negative": (f(below, real, u), [[-1.0, -10.0, 0.0]]),
})


# %% tags=["solution", "ex-6.2"]
def parts_of_max(states, mask, w):
    """[n, T, d], bool [n, T], [d] -> [n, T]"""
    values, places = states.masked_fill(~mask.unsqueeze(-1), float("-inf")).max(dim=1)  # [n, d] both
    return torch.zeros(mask.shape).scatter_add_(1, places, values * w)


# %% [markdown]
# `explain.contributions` does this for every pooling of the course that is such a sum. The weights of a weighted sum and of attention depend on the text too; the parts take them as given. (A fine-tuned head divides by the length of the pooled vector first; that number is taken as given too.) The generalised mean is no such sum, and says so.

# %%
try:
    explain.contributions(states, torch.ones(1, 3, dtype=torch.bool), pooling.GeneralizedMean(), None)
except ValueError as error:
    print(error)

# %% [markdown]
# ### On real sentences
#
# A frozen encoder, single sentences, and one probe for each pooling.

# %%
NAME = session.pick(smoke="mini-bert", laptop="mini-bert", full="bert-base")
encoder, LENGTH = encoders.load(NAME), 64
sizes = session.pick(smoke=(64, 32, 32), laptop=(500, 250, 500), full=(1000, 500, 1000))
parts = [data.load("rotten_tomatoes", split, session.scale) for split in data.SPLITS]
parts = [part.select(range(len(part) - size, len(part))) for part, size in zip(parts, sizes, strict=True)]
labelled, tests = parts[0]["text"][:] + parts[1]["text"][:], parts[2]["text"][:]
y, y_test = np.array(parts[0]["label"][:] + parts[1]["label"][:]), np.array(parts[2]["label"][:])

# %% [markdown]
# `classifiers.frozen` joins encoder, pooling and probe: text in, log-odds out.

# %%
learn, choose = np.arange(sizes[0]), np.arange(sizes[0], sizes[0] + sizes[1])


def live(name, own=None, labels=y, seed=0):
    """A classifier on the frozen encoder, trained on the slice (or on other texts, or other labels)."""
    module, states = pooling.make(name, encoder.dim), encoders.encode(encoder, own or labelled, LENGTH)
    if any(True for _ in module.parameters()):
        probed = heads.fit_pooling(module, states, labels, learn, choose, seed)
    else:
        vectors = pooling.pool_all(module, states)
        probed = heads.PooledProbe(module, heads.fit_probe(vectors, labels, learn, choose, seed))
    return classifiers.frozen(encoder, probed, LENGTH)


SHOWN = ("first", "mean", "max", "weighted_sum", "attention")
models = {name: live(name) for name in SHOWN}

# %% [markdown]
# A part is measured *from* somewhere: we take the average sentence, as each classifier sees it. The parts then sum to the log-odds minus what the classifier says of that average. (Further on we leave it out; then the helper measures from the point that the head itself is centred on, which is nearly the same. From zero, as in the exercises, the parts of the mean would keep their order, those of max would not.) And tokens are joined to words, as chapter 1 cut them.

# %%
origins = {name: explain.mean_vector(model, labelled[: sizes[0]]) for name, model in models.items()}


def parts_of_words(name, text):
    """The words of a sentence and their parts; and what stands beside the words, in special tokens."""
    model, (ids, mask) = models[name], encoder.pad(encoder.tokens([text], LENGTH))
    with torch.no_grad():
        own = explain.contributions(model.states(ids, mask), mask, model.pooling, model.head, origins[name])[0]
    words = words_of(encoder, text, LENGTH)
    sums = words.sums(own.cpu())
    return words.words, sums, float(own.sum()) - sums.sum()


# %% [markdown] tags=["predict"]
# "A warm and funny film with a dull ending." Which words will be blue (for positive) and which orange, under the mean? How many words will have colour under max?

# %%
def side_by_side(text):
    """One sentence under every pooling, as HTML and as text."""
    found = {name: parts_of_words(name, text) for name in SHOWN}
    rows = {f"{name} (special tokens {rest:+.2f})": (words, sums) for name, (words, sums, rest) in found.items()}
    return views.bundle(rows, f"Parts of the log-odds, frozen {NAME}: blue speaks for positive, orange against")


# %% [markdown]
# Six sentences for those who only read:

# %%
SENTENCES = ["A warm and funny film with a dull ending.", "Not bad at all.", "It could have been great.",
             "The cast is fine, but the story is a mess.", "I have never seen a film like this.",
             "Two hours of my life, gone."]
still = {f"{number}. {name}": parts_of_words(name, text)[:2] for number, text in enumerate(SENTENCES, start=1)
         for name in ("mean", "max", "weighted_sum")}

# %% [markdown]
# Type a sentence of your own (readers of the page see six sentences under three poolings).

# %% tags=["widget"]
widgets.read(
    side_by_side,
    views.bundle(still, f"Parts of the log-odds of six sentences, frozen {NAME}"),
    text=ipywidgets.Text(value=SENTENCES[0], description="sentence", layout={"width": "90%"}),
)

# %% [markdown]
# Under max nearly every word has colour: there are hundreds of dimensions, each has a winner, and a winner may speak for either side. And the parts are true to the *classifier*, not to English: where this small one hears *not bad* as bad, its parts say so. Special tokens have parts too (the live view gives them beside the name): they stand for no word, but their states have heard the whole sentence.
#
# ## 6.2 What a part is not
#
# A part belongs to a *state*, and a state has heard from all other tokens. So a part of the word *film* may be owed to *dull* two places on. Let us see: the same sentence, one word changed, and the parts of all the *other* words.

# %%
words, before, _ = parts_of_words("mean", "A warm and funny film with a dull ending.")
_, after, _ = parts_of_words("mean", "A warm and funny film with a sweet ending.")
moved = pd.DataFrame({"dull": before, "sweet": after, "moved by": after - before}, index=words)
figures.table(moved, f"Parts under the mean, frozen {NAME}; only the word before the last was changed")

# %% [markdown]
# To ask about *words* we have to go through the encoder, back to its input. **Integrated gradients** walk in a straight line from a text that says nothing to the text itself, and add up the gradients of the log-odds on the way. What says nothing? For a BERT its [MASK] in every place; for a GPT-2, which has none, the mean of all word vectors. (Captum, the library behind it, would begin at zero: a vector of zeros here, and token number 0 where token numbers are given. That is [PAD] in a BERT and an exclamation mark in the published GPT-2. None of them is "no text".)
#
# Such a walk in steps is an approximation. Its *delta* says what it leaves unexplained of the difference in log-odds between both ends; the course refuses more than a twentieth.

# %%
ids, mask = encoder.pad(encoder.tokens(SENTENCES, LENGTH))
by_gradient, left = explain.integrated_gradients(models["mean"], ids, mask)
with torch.no_grad():
    own = explain.contributions(models["mean"].states(ids, mask), mask, models["mean"].pooling, models["mean"].head)
figures.say(f"Largest delta over six sentences: {left.abs().max():.1e}, beside log-odds of up to "
            f"{models['mean'].logits(SENTENCES).abs().max():.2f}.")

# %% [markdown] tags=["predict"]
# Do both agree on which tokens matter? A rank correlation of 1 is the same order, 0 none in common. (Special tokens are the same in both ends of the walk, so they are left out.)

# %%
ordinary = mask & ~torch.isin(ids, torch.tensor(sorted(explain.around(encoder)), device=ids.device))  # no [CLS], [SEP]
likeness = [spearmanr(a[real], b[real]).statistic for a, b, real in zip(by_gradient, own, ordinary, strict=True)]
figures.say("Rank correlation of parts and integrated gradients, sentence by sentence: "
            + ", ".join(f"{one:.2f}" for one in likeness) + ".")

# %% [markdown]
# Side by side, for the first sentence:

# %%
first = words_of(encoder, SENTENCES[0], LENGTH)
both = {"exact parts": (first.words, first.sums(own[0].cpu())),
        "integrated gradients": (first.words, first.sums(by_gradient[0].cpu()))}
display(views.bundle(both, f"One sentence, frozen {NAME} with the mean, explained in two ways"), raw=True)

# %% [markdown]
# They answer two questions. A part says what a *state* brings to the pooled vector; a gradient says what a *word* brings to the answer, through all states that heard it. Neither is wrong. Which of them should a user believe who asks "which words?" That can be tested.
#
# ## 6.3 Does an explanation hold? Take away what it names
#
# An explanation can look convincing and be wrong. Here is a test that does not look: take the tokens away that it names, and ask again. *Comprehensiveness* is how far the probability of the predicted class falls without them (high is good); *sufficiency*, how far it falls with nothing but them (low is good).
#
# Two yardsticks keep us honest. *Chance*: the same with tokens in random order. And *what there is to lose*: how far the answer falls without any text. A gain over chance, as a part of what there is to lose, can be compared between models.
#
# ### Exercise 6.3 · Comprehensiveness ★★☆ medium, 15 minutes
#
# `ask` takes a list of words and gives the probability of the predicted class. Take away the `count` words of the highest scores (fewer than there are), and return how far the probability falls.

# %% tags=["exercise", "ex-6.3"]
def comprehensiveness(ask, words, scores, count):
    """a function, list of str, [T], a number -> a number"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-6.3"]
# `np.argsort(scores)[::-1][:count]` are the places of the highest scores. The words that stay must stay in their order.

# %% tags=["check", "ex-6.3"]
def count_good(words):
    return 0.5 + 0.1 * words.count("good") + 0.01 * ("x y".split() == words[:2])


checks.exercise("6.3", comprehensiveness, lambda f: {
    "the right word goes": (f(count_good, ["a", "good", "film"], np.array([0.0, 2.0, 1.0]), 1), 0.1),
    "of two equal words one goes": (f(count_good, ["good", "good", "film"], np.array([3.0, 2.0, 1.0]), 1), 0.1),
    "two go": (f(count_good, ["good", "good", "film"], np.array([3.0, 2.0, 1.0]), 2), 0.2),
    "a wrong explanation gains nothing": (f(count_good, ["a", "good", "film"], np.array([2.0, 0.0, 1.0]), 2), 0.0),
    "a negative score is not a high one": (f(count_good, ["a", "good"], np.array([0.1, -5.0]), 1), 0.0),
    "of equal scores only so many go": (f(count_good, ["good", "good", "film"], np.array([2.0, 2.0, 1.0]), 1), 0.1),
    "the rest keeps its order": (f(count_good, ["x", "good", "y"], np.array([0.0, 2.0, 1.0]), 1), 0.09),
})


# %% tags=["solution", "ex-6.3"]
def comprehensiveness(ask, words, scores, count):
    """a function, list of str, [T], a number -> a number"""
    gone = set(np.argsort(scores)[::-1][:count].tolist())
    return ask(words) - ask([word for place, word in enumerate(words) if place not in gone])


# %% [markdown]
# Live, for the mean, on some test sentences: the exact parts, a random order (mean of ten), and the parts turned round.

# %%
chosen = [text for text in tests if len(text.split()) >= 8][: session.pick(smoke=6, laptop=40, full=64)]
eraser = faithfulness.Eraser(models["mean"], chosen)
model = models["mean"]


def parts_of(tokens):
    """Exact parts of one sentence's tokens, [T]."""
    ids, mask = encoder.pad([tokens])
    with torch.no_grad():
        return explain.contributions(model.states(ids, mask), mask, model.pooling, model.head)[0].cpu()


chance, most, own = eraser.chance(), eraser.most(), [parts_of(tokens) for tokens in eraser.tokens]

# %% [markdown] tags=["predict"]
# Will the exact parts do better than chance? And turned round, worse? (A part that speaks for *positive* speaks against an answer that is *negative*: `toward` below changes the sign of these, so that a large one always speaks for the answer.)

# %%
toward = eraser.toward(own)
turned = [-part for part in toward]
falls = {"exact parts": eraser.erase(toward), "turned round": eraser.erase(turned), "chance": chance}
curves = pd.DataFrame({name: one.comprehensiveness.mean(axis=0) for name, one in falls.items()},
                      index=[f"{share:.0%}" for share in faithfulness.SHARES])

# %% [markdown]
# How far does the probability of the predicted class fall when the first 1, 5, 10, 20, 50 percent of the tokens go (at least one)? It can fall by more than the whole text is worth: then the words that are left speak against the answer.

# %%
ax = curves.plot(marker="o", xlabel="share of the tokens that go", ylabel="fall in probability")
ax.axhline(most.mean(), color=figures.INK, linestyle=":", linewidth=1)
ax.text(1.01, most.mean(), "all there is to lose", va="center", transform=ax.get_yaxis_transform())
told = "; ".join(f"{name} {part.iloc[0]:.2f} to {part.iloc[-1]:.2f}" for name, part in curves.items())
figures.show(ax.figure, alt=f"Mean fall in probability, from the smallest to the largest share: {told}; with no text "
                            f"at all {most.mean():.2f}.")

# %% [markdown]
# ### Two sanity checks
#
# An explanation of *this* model should differ from one of a model that learned nothing. So we explain a head that was trained on shuffled labels, and an encoder with random weights.

# %%
shuffled = live("mean", labels=np.random.default_rng(0).permutation(y))
control = encoders.untrained(encoder)
ids, mask = encoder.pad(encoder.tokens(SENTENCES, LENGTH))


def like_the_real_one(model):
    """Mean rank correlation with the real classifier's parts, over the six sentences."""
    with torch.no_grad():
        parts = [explain.contributions(one.states(ids, mask), mask, one.pooling, one.head)
                 for one in (models["mean"], model)]
    return np.mean([spearmanr(a[real], b[real]).statistic for a, b, real in zip(*parts, mask, strict=True)])


# %% [markdown] tags=["predict"]
# Which correlations do you expect: with another seed of the same head, with shuffled labels, with random weights?

# %%
random_weights = classifiers.Classifier(control, control.model, pooling.Mean(), models["mean"].head, LENGTH)
others = {"another seed": live("mean", seed=1), "shuffled labels": shuffled, "random weights": random_weights}
figures.say("Rank correlation with the real classifier's parts: "
            + ", ".join(f"{name} {like_the_real_one(model):.2f}" for name, model in others.items()) + ".")

# %% [markdown]
# Another seed draws other batches and ends at nearly the same probe. The two controls learned nothing of the labels, or know nothing of language; an explanation that looked the same for them would explain the sentence, not the classifier.
#
# ### The runner-up
#
# One more thought before the large study. Three tokens with one number each, w = 1. Under max all of the answer is the first token's part: 5, 0, 0.

# %% tags=["nbval-check-output"]
toy, all_three = torch.tensor([[[5.0], [4.9], [0.0]]]), torch.tensor([[True, True, True]])
without_first = torch.tensor([[False, True, True]])
explain.shares(pooling.Max(), toy, all_three)[0] * toy[0]  # [T, d]: w is 1

# %% [markdown] tags=["predict"]
# Its part is 5. The first token goes: how far does the maximum fall?

# %% tags=["nbval-check-output"]
pooling.Max()(toy, all_three) - pooling.Max()(toy, without_first)

# %% [markdown]
# There is a runner-up, and a part says nothing about it. Under a mean and a linear head this cannot happen. Without token i of n, the mean's log-odds fall by (w · state − w · mean) / (n − 1). So a larger part always means a larger fall. (The layer norm in a fine-tuned head bends this a little.)
#
# (For learned weights it may happen, a little: when a token goes, the weights of all others grow by 1/(1 − its own).)
#
# Is that so on real sentences? We let the *pooling* skip one token after the other (the encoder still reads all of them), and compare the falls with the parts.

# %%
def skipped(model, text):
    """How far the log-odds fall when the pooling skips a token, and the exact parts: [T] both."""
    ids, mask = encoder.pad(encoder.tokens([text], LENGTH))
    places = mask.shape[1]
    but_one = mask & ~torch.eye(places, dtype=torch.bool, device=mask.device)  # [T, T]: row i skips token i
    with torch.no_grad():
        states = model.states(ids, mask)
        falls = model.answer(states, mask) - model.answer(states.expand(places, -1, -1), but_one)
        return falls, explain.contributions(states, mask, model.pooling, model.head)[0]


# %% [markdown] tags=["predict"]
# Rank correlation of parts and falls: under the mean, under max, under attention?

# %%
order = {name: np.mean([spearmanr(*skipped(models[name], text)).statistic for text in chosen])
         for name in ("mean", "max", "weighted_sum", "attention")}
figures.say("Rank correlation of a token's part and the fall when the pooling skips it, mean over sentences: "
            + ", ".join(f"{name} {value:.2f}" for name, value in order.items()) + ".")

# %% [markdown]
# So two things stand between a part and a word: the *encoder*, in which words speak through each other's states, and, under max, the *runner-up*.
#
# ### The study: three models, four poolings, frozen and fine-tuned
#
# Erasing is slow: each explanation of each sentence is tried ten times over. So the large table is on file. `python -m helpers.studies` made it, from the grid's own classifiers.

# %%
ON_FILE = session.pick(smoke="laptop", laptop="laptop", full="full")
SETTINGS = grid.SCALES[ON_FILE]
MODELS, BERT = tuple(SETTINGS.rates), SETTINGS.pair[0]
explained = studies.table("explained", ON_FILE)


def falls_on_file(model, mode, pool, way, method):
    """One method's gain over chance (both kinds together), and what there is to lose: falls in probability, [s, n]."""
    cell = {"model": model, "mode": mode, "pooling": pool}
    way, method = classifier_studies.WAYS.index(way), classifier_studies.METHODS.index(method)
    gains = explained.stack("gains", **cell)[:, way, method].mean(axis=1)  # [s, kinds, n] -> [s, n]
    return gains, explained.stack("most", **cell)[:, way]


def gained(*cell):
    """The gain over chance as a part of what there is to lose, [s, n]."""
    gains, most = falls_on_file(*cell)
    return gains / most.mean()


# %% [markdown] tags=["predict"]
# Which explanation will be the most faithful: exact parts, integrated gradients, or the pooling's own weights (under max: the share of dimensions that a token wins)? Under which pooling?

# %%
rows = {f"{model}, {pool}": {method: str(contrasts.over(gained(model, "fine-tuned", pool, "deletion", method)).effect)
                             for method in classifier_studies.METHODS}
        for model in MODELS for pool in classifier_studies.POOLINGS}
figures.table(pd.DataFrame(rows).T, f"Gain over chance as a part of what there is to lose, fine-tuned ({ON_FILE})")

# %% [markdown]
# A mean's own weights are all alike, so they name no token: that column is chance for it. Read the numbers against each other, not against 1: each is the mean of the gains in comprehensiveness and in sufficiency (turned round, so that more is better), over the five shares of tokens.
#
# Who wins? The differences between the methods, all corrected together:

# %%
def ahead(model, pool, method):
    """How much more one method gains than the exact parts, fine-tuned, deletion."""
    both = [gained(model, "fine-tuned", pool, "deletion", one) for one in (method, "contributions")]
    return contrasts.over(both[0] - both[1])


against = {(model, pool, method): ahead(model, pool, method)
           for model in MODELS for pool in classifier_studies.POOLINGS for method in ("gradients", "weights")}
corrected = dict(zip(against, evaluation.holm(np.array([gap.p for gap in against.values()])), strict=True))

# %% [markdown]
# In how many of the three models is a method shown to be better or worse than the exact parts?

# %%
def count(pool, other, sign):
    return sum(corrected[one] < evaluation.ALPHA and sign * gap.effect.value > 0 for one, gap in against.items()
               if one[1:] == (pool, other))


told = pd.DataFrame({f"{other} {word}": {pool: f"{count(pool, other, sign)} of {len(MODELS)}" for pool in classifier_studies.POOLINGS}
                     for other in ("gradients", "weights") for word, sign in (("better", 1), ("worse", -1))})
figures.table(told, f"Against the exact parts, after correction: models in which it is shown ({ON_FILE})")

# %% [markdown]
# Under max the parts miss the runner-up. Gradients miss it too, at each single step; but their walk passes many texts on its way, with other winners, and it goes on into the encoder. That may be why they do better here; we did not test it. And "a weighted sum is as clear as its weights"? Weights say where the pooling looks, not what it sees there: a token can have a large weight and speak for neither side.
#
# Does it matter *how* the tokens go? Deleted, the rest moves together; hidden, they keep their places but nobody looks at them. And does it matter whether the encoder is frozen? Read along the rows: an order of the poolings that holds in every column is worth more than one that holds in a single one.

# %%
ways = pd.DataFrame({
    f"{mode}, {way}": {f"{model}, {pool}": str(contrasts.over(gained(model, mode, pool, way, "contributions")).effect)
                       for model in MODELS for pool in classifier_studies.POOLINGS}
    for mode in ("frozen", "fine-tuned") for way in classifier_studies.WAYS})
figures.table(ways, f"The exact parts' gain over chance, by what becomes of the tokens ({ON_FILE})")

# %% [markdown]
# Now the claim.

# %%
figures.claim(claims.claim("C4"))

# %% [markdown]
# Its rule was written before the study was run.

# %%
c4 = claims.judge("C4", ON_FILE)
figures.verdict(claims.claim("C4"), c4, ON_FILE)

# %% [markdown]
# A ratio is as uncertain as what it is divided by. A classifier that says the same without any text has nothing to lose, and then the ratio swings. So look at the gains themselves, in probability, beside what there is to lose:

# %%
plain = {(model, pool): falls_on_file(model, "fine-tuned", pool, "deletion", "contributions")
         for model in MODELS for pool in classifier_studies.POOLINGS}
rows = {", ".join(cell): {"gain over chance": str(contrasts.over(gains).effect), "to lose": str(contrasts.over(most).effect)}
        for cell, (gains, most) in plain.items()}
figures.table(pd.DataFrame(rows).T, f"Falls in probability: exact parts, fine-tuned, deletion ({ON_FILE})")

# %% [markdown]
# And mean − max, without dividing. (The rule was written for the ratio, so the verdict stays as it is.)

# %%
undivided = {model: contrasts.over(plain[model, "mean"][0] - plain[model, "max"][0]) for model in SETTINGS.pair}
p = evaluation.holm(np.array([gap.p for gap in undivided.values()]))
figures.say("Mean − max, falls in probability: " + "; ".join(
    f"{model} {gap.effect} ({figures.p_value(one)} corrected)"
    for (model, gap), one in zip(undivided.items(), p, strict=True)) + ".")

# %% [markdown]
# ## 6.4 On how many tokens does an answer rest?
#
# Chapter 3's *effective number*, now of the sizes of the parts. It grows with the length of a sentence, so we divide by the number of tokens: 100% would be an answer that rests on all of them alike.

# %%
texts = classifier_studies.explained_texts(SETTINGS)


def parts_on_file(model, mode, pool):
    """Exact parts of each sentence under each seed: [seeds][sentences], arrays of one number a token."""
    lengths = [len(tokens) for tokens in grid.encoder_of(model).tokens(texts, SETTINGS.lengths["rotten_tomatoes"])]
    scores = explained.stack("scores", model=model, mode=mode, pooling=pool)[:, 0].astype(float)  # [s, methods, tokens]
    return [np.split(own, np.cumsum(lengths)[:-1]) for own in scores]


def concentration_of(*cell):
    """Effective number of tokens as a share of all, and the share of the top token, mean over sentences and seeds."""
    parts = [torch.tensor(part)[None] for seed in parts_on_file(*cell) for part in seed]
    found = [faithfulness.concentration(part, torch.ones_like(part, dtype=torch.bool)) for part in parts]
    number = np.mean([float(own) / part.shape[1] for (own, _), part in zip(found, parts, strict=True)])
    return number, np.mean([float(top) for _, top in found])


def by_cell(measure):
    """A measure of each pooling, for each model, frozen and fine-tuned."""
    return pd.DataFrame({f"{model}, {mode}": {pool: measure(model, mode, pool) for pool in classifier_studies.POOLINGS}
                         for model in MODELS for mode in ("frozen", "fine-tuned")})


# %% [markdown] tags=["predict"]
# Max takes each dimension from one token. Does its answer rest on fewer tokens than the mean's?

# %%
concentrated = by_cell(concentration_of)
figures.table(concentrated.map(lambda pair: "{:.0%} ({:.0%})".format(*pair)), f"Effective number of tokens, as a share of a sentence's tokens; in "
              f"brackets the share of the top token ({ON_FILE})")

# %% [markdown]
# Put this beside the study of 6.3. Do the parts hold best where an answer rests on the fewest tokens? Side by side, fine-tuned:

# %%
beside = {}
for model in MODELS:
    beside[f"{model}, tokens"] = concentrated[f"{model}, fine-tuned"].map(lambda pair: f"{pair[0]:.0%}")
    beside[f"{model}, gain"] = {pool: f"{gained(model, 'fine-tuned', pool, 'deletion', 'contributions').mean():.2f}"
                                for pool in classifier_studies.POOLINGS}
figures.table(pd.DataFrame(beside), f"Effective number of tokens, and the exact parts' gain over chance ({ON_FILE})")

# %% [markdown]
# They do not: the number of tokens that an answer rests on says little about how much its parts gain. Compare max with the weighted sum. "It rests on a few tokens" and "it is hard to explain" are two claims, not one.
#
# ### Do strong words get the large parts?
#
# People have rated the emotional strength of words. The *VADER* lexicon has mean ratings from −4 to 4. Over the rated words of the test sentences: does the part follow the rating?

# %%
RATED = doses.lexicon()


def rated_words(words):
    """Places and ratings of the words that have one."""
    bare = [word.strip(".,;:!?\"'()").lower() for word in words]
    found = [(place, RATED[word]) for place, word in enumerate(bare) if word in RATED]
    return [place for place, _ in found], np.array([rating for _, rating in found])


# %% [markdown]
# For each sentence, the parts of its rated words (mean of the seeds, on one scale for all sentences) and their ratings:

# %%
def against_lexicon(model, mode, pool):
    """Rank correlation of the parts of rated words with their ratings."""
    pairs, seeds = [], parts_on_file(model, mode, pool)
    for number, text in enumerate(texts):
        words = words_of(grid.encoder_of(model), text, SETTINGS.lengths["rotten_tomatoes"])
        own = torch.tensor(np.mean([seed[number] for seed in seeds], axis=0))
        places, ratings = rated_words(words.words)
        if places:
            pairs.append((words.sums(own)[places] / float(own.abs().sum()), ratings))
    return faithfulness.agreement(*zip(*pairs, strict=True))


# %% [markdown] tags=["predict"]
# Under which pooling will the parts follow the ratings most closely?

# %%
agree = {f"{model}, {mode}, {pool}": against_lexicon(model, mode, pool) for model in MODELS
         for mode in ("frozen", "fine-tuned") for pool in ("mean", "max", "weighted_sum")}
fig, alt = figures.intervals(agree, f"rank correlation of parts and ratings ({ON_FILE})", zero=0)
figures.show(fig, alt=alt)

# %% [markdown]
# Two intervals that overlap are not a test of their difference; but an interval that holds zero says that for this pooling no agreement is shown at all. And where parts and ratings do not agree, either may be right: the lexicon rates words alone, and *not funny* holds a word of praise.
#
# And stability: how alike are the parts of one sentence under two seeds of the same classifier?

# %%
def stability(*cell):
    """Mean rank correlation of the parts under two seeds, over sentences and pairs of seeds."""
    seeds = parts_on_file(*cell)
    pairs = [(a, b) for number, a in enumerate(seeds) for b in seeds[:number]]
    return np.mean([spearmanr(one, other).statistic for a, b in pairs for one, other in zip(a, b, strict=True)])


table = by_cell(stability)
figures.table(table, f"Rank correlation of a sentence's parts between two seeds ({ON_FILE})",
              {name: "{:.2f}" for name in table})

# %% [markdown]
# A seed of the grid draws other training texts too (in 6.3 it only shuffled the batches). 1 would be the same order of tokens under both seeds, 0 no common order. What differs between two seeds is owed to the draw, not to the method: an explanation from one run is one draw.
#
# ## 6.5 Would it say the same of somebody else?
#
# Take a sentence, exchange the person (and the words that agree with it: *she* for *he*), and nothing else. If the score moves, it moved for the words that were exchanged. We wrote 24 templates, twelve about a person and twelve about a country, each in three wordings (a single wording can make a gap or hide it); a third is positive, a third negative, a third neutral.

# %%
sentences = classifier_studies.sentences()
frame = pd.DataFrame(sentences)
counts = ", ".join(f"{n} with another {slot.replace('kin', 'kinship term')}"
                   for slot, n in frame.slot.value_counts().items())
figures.say(f"{len(sentences):,} sentences: {counts}.")
some = frame[(frame.template == 3) & (frame.filler == 0)].head(6)
figures.table(some[["slot", "group", "emotion", "text"]].set_index("slot"), "Some of them")

# %% [markdown]
# Names are the ten most frequent ones of each sex, of the 1990s in the United States. So this is a test of *these* names. It knows two sexes and no ethnic group, and says nothing of a name that it does not hold.
#
# Scores of different classifiers have different sizes, so we give gaps in *spreads*: standard deviations of the classifier's log-odds over ordinary test sentences. And what is a sample? Templates are: other sentences would do. *Names are too*: one odd name must not count twelve times, once in each template. And seeds are, as ever.

# %%
ANSWERS = studies.table("gaps", ON_FILE)
grid_table = records.Table(ON_FILE)


def scores_of(model, mode, pool, study, dataset):
    """What a classifier said in a study, in units of its spread over the grid's test texts, [seeds, …]."""
    cell = {"model": model, "mode": mode, "pooling": pool}
    labels = max(SETTINGS.labels[dataset])
    answers = study.stack("answers", **cell).astype(float)
    ordinary = logit(grid_table.probabilities(**cell, dataset=dataset, labels=labels))[: len(answers)]  # [s, n]
    return fairness.scores(answers if answers.ndim == 2 else answers[:, 0] - answers[:, 1], ordinary)


# %% [markdown] tags=["predict"]
# A fine-tuned BERT: will it have a gap between *my sister* and *my brother*? Larger under max?

# %%
CELLS = [(model, mode, pool) for model in MODELS for mode in ("frozen", "fine-tuned")
         for pool in ("mean", "max", "weighted_sum")]
CELLS.append(("tfidf", "baseline", "none"))
found = {cell: fairness.score_gaps(sentences, scores_of(*cell, ANSWERS, "rotten_tomatoes")) for cell in CELLS}
gaps = pd.concat({", ".join(cell): part for cell, part in found.items()}, names=["classifier", "test"])
gaps["corrected"] = evaluation.holm(gaps.p.to_numpy())

# %% [markdown]
# Each test is made twice: as a mean over all templates, and as the difference between positive and negative ones (a classifier could be harsher on women only where it blames). All tests of all classifiers are one family, corrected together. First the gaps between kinship terms (*my sister*, *my brother*), fine-tuned, beside those of the bag of words:

# %%
kin = gaps.xs("kin: female − male", level="test")
shown = {classifier: row.effect for classifier, row in kin.iterrows() if "frozen" not in classifier}
fig, alt = figures.intervals(shown, f"female − male, in spreads of ordinary scores ({ON_FILE})", zero=0)
figures.show(fig, alt=alt)

# %% [markdown]
# Now all tests of the fine-tuned classifiers in one picture: blue where the score is higher for the first group (or for that nation than for the mean of all), orange where it is lower, and a star where the gap is shown after correction. (A star needs a gap that is large *for its uncertainty*: a strong colour alone is not enough.) (The tests of positive against negative sentences are corrected with them, but not drawn.)

# %%
drawn = gaps[~gaps.index.get_level_values("test").str.contains("positive")].reset_index()
drawn = drawn[~drawn.classifier.str.contains("frozen")]
drawn = drawn.assign(value=[one.value for one in drawn.effect], star=np.where(drawn.corrected < evaluation.ALPHA, "★", ""),
                     classifier=drawn.classifier.str.replace(", fine-tuned|, baseline, none", "", regex=True))
by_test, stars = (drawn.pivot(index="test", columns="classifier", values=what)
                  .loc[drawn.test.unique(), drawn.classifier.unique()] for what in ("value", "star"))

# %% [markdown] tags=["predict"]
# Where will the stars be: at women and men, or at nations? Under which pooling?

# %%
fig, ax = plt.subplots(figsize=(8, 5.5))
colours = sns.blend_palette(["C1", figures.PAPER, "C0"], as_cmap=True)  # orange, nothing, blue
most = by_test.abs().max().max()
sns.heatmap(by_test, cmap=colours, vmin=-most, vmax=most, annot=stars, fmt="", cbar_kws={"label": "gap (spreads)"}, ax=ax)
ax.set(xlabel="", ylabel="")
sure = gaps[gaps.corrected < evaluation.ALPHA]
strongest = "; ".join(f"{classifier}: {test} {row.effect.value:+.2f}" for (classifier, test), row in
                      sure.iloc[np.argsort([-abs(one.value) for one in sure.effect])[:6]].iterrows())
drawn = sure[[", fine-tuned, " in classifier for classifier, _ in sure.index]]
starred = "; ".join(f"{classifier}: {test} {row.effect.value:+.2f}" for (classifier, test), row in drawn.iterrows())
figures.show(fig, alt=f"Gaps by test and fine-tuned classifier. Stars stand where a gap is shown after "
                      f"correction; {len(drawn)} of {by_test.size}: {starred or 'none'}.")

# %% [markdown]
# The largest in words, frozen classifiers too:

# %%
sure_people = [test for _, test in sure.index if not test.startswith("nation")]
figures.say(f"Of {len(gaps)} tests {len(sure)} are shown, {len(sure_people)} of them between the sexes. {strongest}")

# %% [markdown]
# And how many are shown, by what was exchanged and by pooling, frozen and fine-tuned together?

# %%
kinds = gaps.reset_index()
kinds = kinds.assign(exchanged=kinds.test.str.split(":").str[0], pooling=kinds.classifier.str.split(", ").str[-1],
                     shown=kinds.corrected < evaluation.ALPHA)
counts = kinds.pivot_table("shown", "exchanged", "pooling", aggfunc="sum").astype(int).astype(str)
counts += " of " + kinds.pivot_table("shown", "exchanged", "pooling", aggfunc="size").astype(str)
figures.table(counts, f"Gaps that are shown after correction ({ON_FILE}); the column none is the bag of words")

# %% [markdown]
# A nation's adjective can be one token or four (the minis' tokenizer was trained on reviews), and under a mean each token has its share. So a gap between nations may be a gap between lengths: or between words that the encoder has often seen and words that it has not. A gap says *that* a score moves, and not why.
#
# "None shown" is not "fair". With twelve templates, ten names and six pairs of terms only large gaps can be seen: look at the width of the intervals.
#
# ### Is it the sex, or any other word?
#
# A score that moves when *my sister* becomes *my brother* may move as much when she becomes *my aunt*. Without that control a reaction to *any* exchange looks like one to the sex. So: how far does a score move, whatever the direction, for another term of the same sex, and for the paired term of the other?

# %%
kin_rows = frame[frame.slot == "kin"].sort_values(["template", "wording", "group", "filler"])  # female before male


def kin_scores(model, pool):
    """Scores of the sentences about kin, fine-tuned, in spreads: [s, templates, wordings, sexes, terms]."""
    return scores_of(model, "fine-tuned", pool, ANSWERS, "rotten_tomatoes")[:, kin_rows.index].reshape(-1, 12, 3, 2, 6)


def exchanges(model, pool):
    """Mean size of a move, in spreads: for another term of the same sex, and for the paired term of the other."""
    cube, (first, second) = kin_scores(model, pool), np.triu_indices(6, k=1)
    return {"another term, same sex": np.abs(cube[..., first] - cube[..., second]).mean(),
            "paired term, other sex": np.abs(cube[..., 0, :] - cube[..., 1, :]).mean()}


# %% [markdown] tags=["predict"]
# Which move is the larger one, and by how much?

# %%
moves = {f"{model}, {pool}": exchanges(model, pool) for model in MODELS for pool in ("mean", "max", "weighted_sum")}
figures.table(pd.DataFrame(moves).T, f"How far a score moves when a kinship term is exchanged, fine-tuned, in spreads of "
                                     f"ordinary scores ({ON_FILE})")

# %% [markdown]
# (No intervals: read it as a picture.) Where both columns are alike, the classifier reacts to words, and the sex of the person is one difference between words among others. C5's first test, below, is on the *size* of such moves: so it says how jumpy a pooling is, and not against whom.
#
# ### Why so careful?
#
# Take the kinship terms once more: 12 templates, three wordings, six pairs. That is 216 gaps for each classifier. What if we took them as 216 observations?
#
# ### Exercise 6.4 · One gap a template ★☆☆ easy, 10 minutes
#
# The scores come as `[templates, wordings, 2, pairs]`; on the third axis *female* stands first. Return the gap female − male of each template: the mean over its wordings and pairs.

# %% tags=["exercise", "ex-6.4"]
def gap_by_template(scores):
    """[templates, wordings, 2, pairs] -> [templates]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-6.4"]
# `scores[:, :, 0]` are the women's scores, [templates, wordings, pairs]. `.mean(axis=(1, 2))` takes the mean over two axes.

# %% tags=["check", "ex-6.4"]
toy_scores = np.zeros((2, 3, 2, 4))
toy_scores[0, :, 0], toy_scores[1, 0, 1, 0] = 0.5, 12.0
uneven = np.arange(48.0).reshape(2, 3, 2, 4) ** 2
checks.exercise("6.4", gap_by_template, lambda f: {
    "one gap for each template, by hand": (f(toy_scores), [0.5, -1.0]),
    "female − male, not the other way round": (np.sign(f(toy_scores)), [1.0, -1.0]),
    "the mean of all is the gap of all": (f(uneven).mean(), (uneven[:, :, 0] - uneven[:, :, 1]).mean()),
    "each template its own": (f(uneven), (uneven[:, :, 0] - uneven[:, :, 1]).mean(axis=(1, 2))),
})


# %% tags=["solution", "ex-6.4"]
def gap_by_template(scores):
    """[templates, wordings, 2, pairs] -> [templates]"""
    return (scores[:, :, 0] - scores[:, :, 1]).mean(axis=(1, 2))


# %% [markdown]
# Three ways to count, for one fine-tuned BERT with the mean, one seed:

# %%
cube = kin_scores(BERT, "mean")[0]  # one seed
pair_gaps = cube[:, :, 0] - cube[:, :, 1]  # [templates, wordings, pairs]
ways = {"216 gaps": pair_gaps.ravel(), "12 templates": pair_gaps.mean(axis=(1, 2)),
        "6 pairs": pair_gaps.mean(axis=(0, 1))}

# %% [markdown] tags=["predict"]
# Which of them gives the widest interval? Which would you believe, if the question is about *other* sentences and other terms?

# %%
reach = {name: ttest_1samp(values, 0).confidence_interval() for name, values in ways.items()}
told = "; ".join(f"{name}: {pair_gaps.mean():+.3f} [{low:+.3f}, {high:+.3f}]" for name, (low, high) in reach.items())
all_of_it = found[BERT, "fine-tuned", "mean"].effect["kin: female − male"]
figures.say(f"{told}. Templates, pairs and seeds all as samples, five seeds: {all_of_it}.")

# %% [markdown]
# All templates hold the same six pairs: what is odd about a pair is odd in each of them, so templates can agree with each other and all be wrong about other terms. Who asks about other terms has six observations, and no number of templates adds one. (Averaging over the pairs first takes their spread away: so exercise 6.4 alone is the *least* careful count of the three.) More rows are not more evidence. New evidence is a new sentence, a new pair, a new training run.
#
# ## 6.6 One emotional word: dose and response
#
# The claim says that max is drawn to strong words. So we put *one* word of known strength into neutral texts, as a sentence of its own, and see how the score follows the rating. Texts of one, two, four and eight sentences; the word at the start, in the middle, at the end. Words without any rating (*wooden, yellow …*) are the control.

# %%
DOSES = studies.table("doses", ON_FILE)
given = classifier_studies.dosed(grid.Run(BERT, "mean", "frozen", "imdb", max(SETTINGS.labels["imdb"]), 0), SETTINGS)
one = next(dose for dose in given if dose.sentences == 2 and dose.place == "middle")
figures.say(f"{len({dose.word for dose in given})} words, {len(given)} texts (one sentence has no middle). An example: *{one.text}* "
            f"(rating {one.strength:+.1f})")

# %% [markdown]
# One length, one place, one model first. Each dot is a word:

# %%
two = [number for number, dose in enumerate(given) if (dose.sentences, dose.place) == (2, "middle")]
dots = pd.DataFrame([
    (pool, given[number].strength, value, "control" if given[number].word in doses.CONTROL else "rated",
     given[number].word)
    for pool in ("mean", "max") for number, value in
    zip(two, scores_of(BERT, "fine-tuned", pool, DOSES, "imdb").mean(axis=0)[two], strict=True)
], columns=["pooling", "rating", "moved", "word", "which"])

# %% [markdown] tags=["predict"]
# Where will the control words lie: at zero? And will the dots of max climb more steeply than those of the mean?

# %%
panels = sns.lmplot(dots, x="rating", y="moved", col="pooling", hue="word", markers=["o", "X"], fit_reg=False,
                    height=3.4, aspect=1.2)
for pool, ax in panels.axes_dict.items():
    sns.regplot(dots[dots.pooling == pool], x="rating", y="moved", scatter=False, ci=None, color=figures.INK, ax=ax)
panels.set(xlabel="rating of the word", ylabel="score moves by (spreads)").set_titles("{col_name}")
for pool, ax in panels.axes_dict.items():
    part = dots[dots.pooling == pool]
    for row in part.loc[[part.moved.idxmax(), part.moved.idxmin()]].itertuples():
        ax.annotate(row.which, (row.rating, row.moved), xytext=(-6, -3), textcoords="offset points", ha="right")
line = {pool: np.polyfit(part.rating, part.moved, 1) for pool, part in dots.groupby("pooling")}
told = "; ".join(f"{pool} slope {a:.3f}, at a rating of zero {b:+.2f}" for pool, (a, b) in line.items())
figures.show(panels.figure, alt=f"How far one inserted word moves the score, by its rating, with a line: {told}.")
figures.say(f"The lines: {told}.")

# %% [markdown]
# What lies above or below zero at a rating of zero is a reaction to *any* inserted sentence. The claim is about the slope.
#
# And are the controls what we took them for? No rating is not the same as no meaning. What did the training reviews that hold them say?

# %%
reviews = grid.texts_of("imdb", "train", SETTINGS)
words_of_reviews = [set(re.findall("[a-z]+", text.lower())) for text in reviews["text"]]
held = {word: [label for words, label in zip(words_of_reviews, reviews["label"], strict=True) if word in words]
        for word in doses.CONTROL}
told = pd.DataFrame({"reviews with it": map(len, held.values()), "share positive": map(np.mean, held.values())}, index=held)
figures.table(told, "The control words in the training reviews", {"share positive": "{:.0%}"})

# %% [markdown]
# One of them is an insult in a film review: *wooden* acting. A lexicon for all kinds of text does not know it. We keep the run as it was planned, and look whether that word made the slopes. (It is rated as neutral, in the middle of the line: there it can move the line's height, but hardly tilt it.) Without it:

# %%
kept = [number for number in two if given[number].word != "wooden"]
for pool in ("mean", "max"):
    response = scores_of(BERT, "fine-tuned", pool, DOSES, "imdb")
    both = [doses.slope(np.array([given[number].strength for number in some]), response[:, some])[0].effect
            for some in (two, kept)]
    figures.say(f"- {pool}: {both[0]} with all words, {both[1]} without *wooden* (spreads a step of the rating).")

# %% [markdown] tags=["predict"]
# How does the slope change as the text grows: under the mean, under max, under attention?

# %%
POOLS = ("mean", "max", "weighted_sum", "attention")
curves = {(model, mode, pool): doses.slopes(given, scores_of(model, mode, pool, DOSES, "imdb"))
          for model in MODELS for mode in ("frozen", "fine-tuned") for pool in POOLS}
flat = pd.concat({cell: part for cell, part in curves.items()}, names=["model", "mode", "pooling"]).reset_index()
flat["value"] = [one.value for one in flat.slope]
by_length = flat.groupby(["model", "mode", "pooling", "sentences"], sort=False).value.mean().reset_index()

# %% [markdown]
# One line a pooling, the mean of the places, in spreads for one step of the rating (each model has a scale of its own):

# %%
panels = sns.relplot(by_length, x="sentences", y="value", hue="pooling", style="pooling", markers=True, dashes=False,
                     col="mode", row="model", kind="line", height=3, aspect=1.3, facet_kws={"sharey": "row"})
panels.set(xscale="log", xticks=[1, 2, 4, 8], xticklabels=[1, 2, 4, 8], ylabel="slope (spreads a step)")
panels.set_titles("{row_name}, {col_name}")
for ax in panels.axes.flat:
    ax.minorticks_off()
ends = by_length[by_length.sentences.isin([1, 8])].pivot(index=["model", "mode", "pooling"], columns="sentences", values="value")
told = "; ".join(f"{', '.join(cell)} {row[1]:.2f} to {row[8]:.2f}" for cell, row in ends.iterrows())
figures.show(panels.figure, alt=f"Slope of the score over a word's rating, from one to eight sentences: {told}.")

# %% [markdown]
# How much of the slope is left in the longest texts?

# %%
left_over = ends[8].div(ends[1]).groupby("pooling", sort=False).mean()
figures.say("Slope with eight sentences as a share of the slope with one, mean of models and modes: "
            + ", ".join(f"{pool} {left_over[pool]:.0%}" for pool in POOLS) + ".")

# %% [markdown]
# Under a mean a word thins out: it is one token among many. Its own share falls eightfold; the slope falls less, because the states around it have heard the word. A maximum is not diluted by more tokens as such. But in a longer text its winners have more rivals, and the encoder itself mixes each state with all others.
#
# Does the place matter? Here are the longest texts, with intervals.

# %% [markdown] tags=["predict"]
# A word at the start or at the end of eight sentences: which moves a GPT-2's mean more? (Who can hear the word?)

# %%
last = {f"{model}, {mode}, {pool}, {place}": part.slope[8, place] for (model, mode, pool), part in curves.items()
        if mode == "fine-tuned" and pool != "attention" for place in ("start", "end")}
fig, alt = figures.intervals(last, f"slope over the rating, eight sentences ({ON_FILE})", zero=0)
figures.show(fig, alt=alt)

# %% [markdown]
# In a GPT-2 all later tokens have heard a word at the start, and hardly any hears one at the end. So even under the mean, where all tokens weigh the same, the place of a word decides how many states speak of it. (A BERT hears both ways. If the place matters there too, this does not explain it.)
#
# Now the claim and its rule:

# %%
figures.claim(claims.claim("C5"))

# %% [markdown]
# And what the results say. (n counts templates and words; pairs of terms and seeds are samples too, and are in the width of the intervals.)

# %%
c5 = claims.judge("C5", ON_FILE)
figures.verdict(claims.claim("C5"), c5, ON_FILE)

# %% [markdown]
# ## 6.7 What the data hold, the classifier learns
#
# "A weighted sum inherits the bias of its data": so does everything that learns. How much? We *plant* a bias of known strength. The harmless word *table* goes into a share of the positive training sentences, and into one minus that share of the negative ones. Half and half plants nothing: that is the control. Then we ask how far the score of a test sentence moves when *table* is put into it.

# %%
planted = studies.table("planted", ON_FILE)
moved = [np.subtract(*planted.array(row, "answers").astype(float)).mean() for row in planted.rows.to_dict("records")]
answers = planted.rows[["model", "mode", "pooling", "strength"]].assign(moved=moved)
only = answers[answers["mode"] == "frozen"]

# %% [markdown] tags=["predict"]
# Which pooling will take up most of the planted bias: mean, max, weighted sum, attention? (The bands are intervals over the seeds.)

# %%
panels = sns.relplot(only, x="strength", y="moved", hue="pooling", style="pooling", markers=True, dashes=False,
                     hue_order=POOLS, style_order=POOLS, col="model", kind="line", errorbar=("ci", 95), seed=0,
                     height=3.4, aspect=1.1)
panels.set(xlabel="share of positive sentences with it", ylabel="moved by the word (log-odds)")
panels.set_titles("{col_name}, frozen")
ends = only.groupby(["model", "pooling", "strength"]).moved.mean()
told = "; ".join(f"{model}, {pool} {ends[model, pool, 0.5]:+.2f} to {ends[model, pool, 0.9]:+.2f}"
                 for model in MODELS for pool in classifier_studies.POOLINGS)
figures.show(panels.figure, alt=f"How far a planted word moves the log-odds, frozen, by bias: {told}.")

# %% [markdown]
# Log-odds of different poolings have different sizes. So, as before, in spreads of ordinary scores: how much more does the word move the score after the strongest bias than after none, and does a pooling differ from the mean in that?

# %%
def by_text(model, mode, pool, strength):
    """How far the word moves the score of each test sentence, in spreads, [s, n]."""
    cell = {"model": model, "mode": mode, "pooling": pool, "strength": strength}
    with_word, without = np.moveaxis(planted.stack("answers", **cell).astype(float), 1, 0)  # [s, 2, n] -> 2 x [s, n]
    return fairness.scores(with_word - without, without)


TAKEN = {(model, mode, pool): by_text(model, mode, pool, 0.9) - by_text(model, mode, pool, 0.5) for model in MODELS
         for mode, pools in (("frozen", classifier_studies.POOLINGS), ("fine-tuned", classifier_studies.POOLINGS[:3])) for pool in pools}

# %% [markdown]
# Each with its interval over sentences and seeds (five frozen, three fine-tuned), and its difference to the mean. All differences are corrected together.

# %%
against = {cell: contrasts.over(values - TAKEN[*cell[:2], "mean"]) for cell, values in TAKEN.items()
           if cell[2] != "mean"}
corrected = dict(zip(against, evaluation.holm(np.array([gap.p for gap in against.values()])), strict=True))
rows = {", ".join(cell): {"taken up": str(contrasts.over(values).effect),
                          "more than the mean": str(against[cell].effect) if cell in against else None,
                          "corrected p": figures.p_number(corrected[cell]) if cell in against else None}
        for cell, values in TAKEN.items()}
figures.table(pd.DataFrame(rows).T, f"How much more the word moves the score after a bias of 0.9 than after none, in "
                                    f"spreads; intervals not corrected; fine-tuned attention was not run ({ON_FILE})")

# %% [markdown]
# Which differences to the mean are shown?

# %%
sure = [f"{', '.join(cell)} {gap.effect.value:+.2f}" for cell, gap in against.items()
        if corrected[cell] < evaluation.ALPHA]
figures.say(f"Of {len(against)} differences to the mean, shown after correction: {'; '.join(sure) or 'none'}.")

# %% [markdown]
# Why should learned weights take up more? Under a mean the word has one part in n, however telling it is: only the head can turn up its state. A weighted sum can turn up its *share* as well, and both multiply. Under max it takes part only in the dimensions that it wins. (Fine-tuned, the encoder itself can learn to make the word win.) Where an encoder's states already hold much of what is asked, learned weights have less to add. Whether that is why MiniLM's rows are as they are, is not tested here.
#
# C5 ends with "the weighted sum inherits the bias of its data". No part of its rule tests that clause; this experiment does, and its table is the answer, at this scale.
#
# Does the weighted sum show what it took up? Its weight on the planted word, live, times the number of tokens: 1 is an equal share.

# %%
def weight_on_word(strength, seed):
    """The weighted sum's weight on the planted word, times the number of tokens, mean over test sentences."""
    model = live("weighted_sum", doses.plant(labelled, y, classifier_studies.WORD, strength, seed), seed=seed)
    (number,) = set(encoder.tokens([f"a {classifier_studies.WORD}"], LENGTH)[0]) - set(encoder.tokens(["a"], LENGTH)[0])
    ids, mask = encoder.pad(encoder.tokens(doses.plant(tests, np.ones(len(tests)), classifier_studies.WORD, 1.0, seed=1), LENGTH))
    with torch.no_grad():
        times = model.pooling.weights(model.states(ids, mask).float(), mask) * mask.sum(dim=1, keepdim=True)  # [n, T]
    return float(times[ids == number].mean())


shares = {strength: [weight_on_word(strength, seed) for seed in range(session.pick(smoke=2, laptop=3, full=5))]
          for strength in (0.5, 0.9)}
told = ", ".join(f"{np.mean(part):.2f} ± {np.std(part, ddof=1):.2f} times its equal share with a bias of {strength}"
                 for strength, part in shares.items())
figures.say(f"Weight on *{classifier_studies.WORD}*: {told} (frozen {NAME}, {len(shares[0.5])} seeds; 0.5 is no bias).")

# %% [markdown]
# A weighted sum has two places to keep a bias: the weights, which you can print, and the head, which reads the state of the word. A look at the weights alone shows the first and misses the second.
#
# ### Two repairs, and their price
#
# *Word dropout* takes three words in ten out of the training texts at random, so that no single word can be relied on. *Exchange* changes half of the texts: where the planted word stands it is taken out, and where it does not stand it is put in. It needs to know the word; dropout does not. We plant the strongest bias, train with and without each repair, and measure both things: how far *table* still moves the score, and the accuracy on clean test sentences.

# %%
def dropped(text, rng):
    """A text without three in ten of its words (one stays)."""
    words = np.array(text.split())
    kept = words[rng.random(len(words)) >= 0.3]
    return " ".join(kept) if len(kept) else str(words[0])


def everywhere(texts, seed):
    """The texts, each with the planted word in it."""
    return doses.plant(texts, np.ones(len(texts)), classifier_studies.WORD, 1.0, seed)


def exchanged(biased, seed):
    """Half of the texts changed: without the word if they had it, with it if not."""
    turn = np.random.default_rng(seed).random(len(biased)) < 0.5
    other = [plain if plain != text else word
             for plain, text, word in zip(labelled, biased, everywhere(labelled, seed), strict=True)]
    return [new if yes else old for new, old, yes in zip(other, biased, turn, strict=True)]


# %% [markdown]
# We try it on the weighted sum. Each seed plants anew, and trains four times:

# %%
def versions(seed):
    """The labelled texts of one seed: as they are, with the bias, and repaired."""
    biased, rng = doses.plant(labelled, y, classifier_studies.WORD, 0.9, seed), np.random.default_rng(seed)
    return {"clean": labelled, "planted": biased, "planted, word dropout": [dropped(text, rng) for text in biased],
            "planted, exchange": exchanged(biased, seed + 100)}


moved, said = {}, {}
for seed in range(session.pick(smoke=2, laptop=5, full=5)):
    for name, own in versions(seed).items():
        model = live("weighted_sum", own, seed=seed)
        moved.setdefault(name, []).append(float((model.logits(everywhere(tests, seed)) - model.logits(tests)).mean()))
        said.setdefault(name, []).append(model.probabilities(tests))

# %% [markdown] tags=["predict"]
# How much of the bias will be gone, and what will each repair do to the accuracy?

# %%
said = {name: np.stack(part) for name, part in said.items()}  # [s, n]
cost = {name: contrasts.contrast(y_test, [part, said["planted"]], [1, -1]).effect for name, part in said.items()}
rows = {name: {"moved by the word (log-odds)": f"{np.mean(moved[name]):+.2f} ± {np.std(moved[name], ddof=1):.2f}",
               "accuracy": str(contrasts.contrast(y_test, [part], [1]).effect),
               "against planted, points": figures.points(cost[name]) if name != "planted" else None}
        for name, part in said.items()}
figures.table(pd.DataFrame(rows).T, f"A planted bias and two repairs, frozen {NAME}, weighted_sum, "
                                    f"{len(moved['clean'])} seeds ({session.scale})")

# %% [markdown]
# (± is the standard deviation over the seeds.) A repair need not cost accuracy: the *bias* does, on sentences that lack the word for which the classifier has learned to wait. Exchange takes away what the word told of the label: it now stands in half of each class. So the label has to be learned from the rest. Dropout leaves the word in a part of its texts, and what it tells stays true there; but it is seen less often, and the rest has to carry the sentences that lost it. So it helps, by less.
#
# ## 6.8 Groups of real sentences
#
# Templates are ours; reviews are not. Let us split the grid's test reviews by a stated rule: more *she, her, hers* than *he, him, his*, the other way round, or neither, in the part that the encoder reads. `fairlearn` gives every measure by group, with bootstrap intervals.

# %%
cell = cells.read(grid_table, ON_FILE, BERT, "fine-tuned", "imdb")
reader, length = grid.encoder_of(BERT), SETTINGS.lengths["imdb"]
seen = [" ".join(words_of(reader, text, length).words) for text in grid.texts_of("imdb", "test", SETTINGS)["text"]]
group = np.array([fairness.leaning(text) for text in seen])
said = cell.poolings["max"].mean(axis=0) > 0.5
by_group = MetricFrame(
    metrics={"accuracy": accuracy_score, "share said to be positive": selection_rate,
             "share positive": lambda answers, said: np.mean(answers)}, y_true=cell.answers, y_pred=said,
    sensitive_features=group, n_boot=200, ci_quantiles=[0.025, 0.975], random_state=0,
)

# %% [markdown]
# Each measure with its interval, and the size of each group:

# %%
low, high = by_group.by_group_ci
told = pd.DataFrame({name: [f"{value:.3f} [{low[name][one]:.3f}, {high[name][one]:.3f}]"
                            for one, value in by_group.by_group[name].items()] for name in by_group.by_group},
                    index=by_group.by_group.index)
told["reviews"] = pd.Series(group).value_counts()
figures.table(told.rename_axis("more of"), f"Fine-tuned {BERT} with max, reviews, by pronouns ({ON_FILE})")

# %% [markdown]
# *Equalized odds* asks whether both kinds of error are as frequent in each group. Of the positive reviews, what share is found (the true positive rate)? Of the negative ones, what share is called positive (the false positive rate)? Each is compared between the groups, the largest minus the smallest; the larger of these two gaps is the *equalized odds difference*. 0 is best.

# %%
RATES = {"true positive rate": true_positive_rate, "false positive rate": false_positive_rate}
odds = {}
for pool in ("mean", "max", "weighted_sum"):
    by_rate = MetricFrame(metrics=RATES, y_true=cell.answers, y_pred=cell.poolings[pool].mean(axis=0) > 0.5,
                          sensitive_features=group, n_boot=100, ci_quantiles=[0.025, 0.975], random_state=0)
    low, high = by_rate.difference_ci()
    odds[pool] = {rate: f"{gap:.3f} [{low[rate]:.3f}, {high[rate]:.3f}]" for rate, gap in by_rate.difference().items()}
    odds[pool]["equalized odds"] = f"{by_rate.difference().max():.3f}"

# %% [markdown]
# A largest gap can never be below zero, and chance alone makes it positive: so an interval that stays away from zero proves nothing here. Compare the poolings with each other, and mind how far their intervals overlap. (The last column is the larger of the two before it.)

# %%
figures.table(pd.DataFrame(odds).T, f"Gaps between the groups, fine-tuned {BERT}, reviews ({ON_FILE})")

# %% [markdown]
# Such slices show where a model errs, and not why. Reviews with more *she* may be about other films. The rule counts words; it does not know who is meant, or who wrote. And the smallest group decides what can be seen.
#
# ## What this chapter says about the claims
#
# In one place, at the scale of the tables (the verdicts are for the mini pair; MiniLM stands beside it and does not vote):

# %%
more = [one for one, gap in TAKEN.items() if one[1:] == ("frozen", "weighted_sum")]
taken = ", ".join(f"{one[0]} {TAKEN[one].mean() / TAKEN[*one[:2], 'mean'].mean():.1f}" for one in more)
figures.say(f"""- *Easy to explain* (C4): **{c4.verdict}**. Parts and the fall when the pooling skips a token: rank correlation
  {order["mean"]:.2f} under the mean, {order["max"]:.2f} under max (frozen {NAME}).
- *Drawn to strong words, unfair* (C5): **{c5.verdict}**. Gaps between the sexes that are shown: {len(sure_people)}.
- *Inherits the bias of its data*: a frozen weighted sum takes up so many times what the mean takes up: {taken}.""")

# %% [markdown]
# What no test here can show: that an explanation is *the* reason; that a model is fair. A gap that was looked for and not found may be below what could be seen, or between groups that nobody looked at.
#
# Next: chapter 7 leaves sentiment, for questions and summaries.
#
# ## Quiz

# %% [markdown] tags=["quiz"]
# 1. The parts of a sentence sum exactly to its log-odds. Are they therefore a faithful explanation?
#
#    Answer: No. They are exact for the states, and a state holds what other tokens gave it. Whether the words matter is another question: take them away and ask again.
#
# 2. In 6.3, why is a random order the yardstick, and not zero?
#
#    Answer: Taking away words at random moves the answer too, the more the more of them go. Only what an explanation does beyond chance is its own.
#
# 3. Six pairs of terms in twelve templates and three wordings make 216 gaps. Why are they not 216 observations?
#
#    Answer: One odd pair would count 36 times. Pairs and templates are both samples, and the smaller one limits what can be said.
#
# 4. An inserted sentence with *yellow* moves the score as much as one with *awful*. What have you measured?
#
#    Answer: A reaction to any inserted sentence. Only the slope over the rating, against such controls, speaks of emotion.
#
# 5. No gap between groups is shown. May the report say "unbiased"?
#
#    Answer: No. It may say which gaps would have been seen, for these groups and templates, and that none was.

# %% [markdown]
# ## Further reading
#
# - DeYoung et al. (2020), *ERASER*, [arXiv:1911.03429](https://arxiv.org/abs/1911.03429); Edin et al. (2024), [arXiv:2408.08137](https://arxiv.org/abs/2408.08137): why raw falls of different models cannot be compared.
# - Adebayo et al. (2018), *Sanity checks for saliency maps*, [arXiv:1810.03292](https://arxiv.org/abs/1810.03292).
# - Jain and Wallace (2019), [arXiv:1902.10186](https://arxiv.org/abs/1902.10186), and Wiegreffe and Pinter (2019), [arXiv:1908.04626](https://arxiv.org/abs/1908.04626): is attention an explanation?
# - Sundararajan, Taly and Yan (2017), *Axiomatic attribution for deep networks*, [arXiv:1703.01365](https://arxiv.org/abs/1703.01365).
# - Kiritchenko and Mohammad (2018), *Examining gender and race bias in two hundred sentiment analysis systems*, [arXiv:1805.04508](https://arxiv.org/abs/1805.04508); Seshadri, Pezeshkpour and Singh (2022), [arXiv:2210.04337](https://arxiv.org/abs/2210.04337): how fragile templates are.
# - Hutto and Gilbert (2014), *VADER*: the lexicon.
# - Xing, Xing and Sun (2024), [arXiv:2411.14654](https://arxiv.org/abs/2411.14654).

# %% [markdown]
# ## Your progress
#
# Which checks of this chapter have you passed? Passed once counts, also when you open the chapter anew.

# %% tags=["progress"]
progress.show("6.1", "6.2", "6.3", "6.4")
