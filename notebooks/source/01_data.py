# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1. Data: whole reviews and single sentences
#
# This course asks which pooling turns a transformer's token vectors into one good vector per text. An answer is an
# accuracy on some texts, so the texts come first. If the test set holds copies of the training set, every number
# after it is wrong, and no statistics will mend it.
#
# **After this chapter you will be able to**
#
# - say what two well-known sentiment data sets hold, where their labels come from, and how the two differ;
# - split texts so that the split is the same on every machine and no copy stands on both sides;
# - plant a leak, watch it lift a score, and take it out again;
# - build the baseline that every later model has to be compared with, and read its errors;
# - see what two kinds of tokenizer make of a text, and how much of a review a limit of 256 tokens cuts away.
#
# **What you need to know**: Python, a little pandas, and what training, validation and test sets are for. No
# transformer runs in this chapter.
#
# | | smoke | laptop | full |
# |---|---|---|---|
# | reading and exercises | – | 75 minutes | 75 minutes |
# | running all cells | half a minute | about a minute | a few minutes, and a download |
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
from html import escape

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import HTML, display
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from helpers import checks, data, encoders, evaluation, figures, progress, widgets

figures.theme()
blue, red, green = (sns.color_palette()[place] for place in (0, 3, 2))

# %% [markdown]
# ## 1.1 Two kinds of text
#
# `imdb` holds whole reviews, as people wrote them on the site. `rotten_tomatoes` holds single sentences, cut out of
# the reviews of professional critics. `data.load` gives both in the same form: a text, a label (0 negative,
# 1 positive) and an id.

# %%
names = {"imdb": "whole reviews", "rotten_tomatoes": "single sentences"}
splits = {
    (name, split): data.load(name, split, session.scale).to_pandas() for name in names for split in data.SPLITS
}

# %% [markdown]
# Count first. A split with nine positive texts in ten would make 90% a poor result, so we look at the balance too.

# %%
pd.DataFrame(
    [(name, split, len(part), part.label.mean()) for (name, split), part in splits.items()],
    columns=["data set", "split", "texts", "share positive"],
).round(3)

# %% [markdown]
# Now read. Web texts can hold anything, HTML included, and a notebook page would obey it. So everything we show goes
# through `escape`, which turns `<` into `&lt;`. They are texts of strangers: some are crude, and none are ours.

# %%
def excerpt(text, words=40):
    parts = text.split()
    short = len(parts) <= 2 * words
    return text if short else f"{' '.join(parts[:words])} […] {' '.join(parts[-words:])}"


def show_texts(rows):
    """Show pairs of a heading and a text, as a table."""
    cell = '<td style="text-align:left;vertical-align:top;white-space:normal;border-top:1px solid #8888">'
    lines = [f"<tr>{cell}<b>{escape(head)}</b></td>{cell}{escape(excerpt(text))}</td></tr>" for head, text in rows]
    display(HTML("<table>" + "".join(lines) + "</table>"))


# %% [markdown]
# Two of each kind: the first negative and the first positive text of the training split.

# %%
sign = ["negative", "positive"]
show_texts(
    (f"{names[name]}, {sign[label]}", splits[name, "train"].query("label == @label").text.iloc[0])
    for name in names
    for label in (0, 1)
)

# %% [markdown]
# Look for `<br />` in the reviews: the line breaks of the web page are still there. We leave them in. Every method
# in this course starts from the same raw text, and section 1.9 counts what the tags cost.
#
# **Where the labels come from.** Nobody read these texts in order to label them. An IMDB review is *negative* when
# its own writer gave the film 4 stars of 10 or fewer, and *positive* from 7 stars; the reviews between were left out
# (Maas et al. 2011). A Rotten Tomatoes sentence has the mark, *fresh* or *rotten*, of the whole review that it was
# cut from (Pang and Lee 2005). So one sentence may carry the judgement of a page that you cannot see.
#
# **What we do not have.** The installed package holds the *training* half of IMDB, 25,000 reviews, and the training
# part of Rotten Tomatoes, 8,530 sentences. At `smoke` and `laptop` our test sets are therefore cut out of published
# training sets by us. Our accuracies can be compared with each other. They cannot be compared with published test
# accuracies. At `full` the published test sets are used.

# %% [markdown]
# ## 1.2 How long is a text?
#
# A pooling squeezes all the token vectors of a text into one. With few tokens there is little to squeeze. So length
# is the first thing to know about a text.

# %% [markdown] tags=["predict"]
# How many times longer is the median whole review than the median single sentence? And does the longest review have
# twice the words of the median one, or five times, or ten times?

# %%
lengths = {name: splits[name, "train"].text.str.split().str.len() for name in names}
figure, axes = plt.subplots()
for name, color, side_of, bins in (("imdb", blue, "left", 30), ("rotten_tomatoes", red, "right", 12)):
    sns.histplot(lengths[name], log_scale=True, stat="percent", bins=bins, element="step", color=color, alpha=0.4)
    label = f"{names[name]}\nmedian {lengths[name].median():.0f} words"
    axes.text(lengths[name].median(), 1.02, label, transform=axes.get_xaxis_transform(), color=color, ha=side_of)
axes.set(xlabel="words in a text (logarithmic axis)", ylabel="% of the data set's texts")
axes.xaxis.set_major_formatter("{x:g}")
figures.show(
    figure,
    alt=f"Two histograms of words per text on a logarithmic axis that hardly overlap: single sentences around "
    f"{lengths['rotten_tomatoes'].median():.0f} words, whole reviews around {lengths['imdb'].median():.0f}, "
    f"with a long tail up to {lengths['imdb'].max():,}.",
)

# %%
long, short = lengths["imdb"], lengths["rotten_tomatoes"]
figures.say(
    f"The median review is **{long.median() / short.median():.0f} times** as long as the median sentence. The longest "
    f"review ({long.max():,} words) is {long.max() / long.median():.0f} times as long as the median review. "
    f"The two data sets hardly overlap: {np.mean(long < short.max()):.0%} of the reviews are shorter than the longest "
    "sentence."
)

# %% [markdown]
# So the two are not an easy and a hard version of the same thing. A sentence has room for one thing. A review
# has room for a plot, an argument and a verdict.

# %% [markdown]
# ## 1.3 A split that is the same everywhere
#
# The usual way to split is to shuffle with a seed. That has a weak point: add one text, or read the file in another
# order, and every text lands elsewhere. Texts that you tested on last month are then trained on today.
#
# Instead, let each text decide for itself. A hash turns a text into a number that looks random but depends on
# nothing else.

# %% tags=["nbval-check-output"]
for text in ("A fine film.", "A fine film!", "A fine film."):
    print(text, data.content_id(text))

# %% [markdown]
# One changed character changes everything; the same text gives the same digits, on every machine, for ever. There
# are 16 hexadecimal digits, so dividing by $16^{16}$ gives a position between 0 and 1.

# %% tags=["nbval-check-output"]
for text in ("A fine film.", "A fine film!"):
    print(text, round(int(data.content_id(text), 16) / 16**16, 3))

# %% [markdown]
# ### Exercise 1.1 — A text chooses its side
#
# ★☆☆ easy · 5 minutes
#
# Write `side(text)`. It returns `"train"` for positions below 0.7, `"validation"` from 0.7 to below 0.8, and `"test"`
# from 0.8.

# %% tags=["exercise", "ex-1.1"]
def side(text):
    raise NotImplementedError


# %% [markdown] tags=["hint", "ex-1.1"]
# `data.content_id(text)` gives the digits and `int(digits, 16)` the number. Python's own `hash` will not do: for
# strings it changes each time that Python starts.

# %% tags=["check", "ex-1.1"]
def cases(side):
    toys = [side(f"toy text number {number}") for number in range(8)]
    many = Counter(side(f"text {number}") for number in range(1000))
    return {
        "eight toy texts": (
            toys, ["validation", "train", "validation", "test", "train", "train", "test", "train"]
        ),
        "of 1,000 texts, those in train": (many["train"], 702),
        "of 1,000 texts, those in validation": (many["validation"], 79),
    }  # fmt: skip


checks.exercise("1.1", side, cases)


# %% tags=["solution", "ex-1.1"]
def side(text):
    position = int(data.content_id(text), 16) / 16**16
    if position < 0.7:
        return "train"
    return "validation" if position < 0.8 else "test"


# %% [markdown]
# ## 1.4 Copies, and copies that are not quite copies
#
# A hash sends two equal texts to the same side. But the web is full of texts that are *almost* equal: a review posted
# twice, with a typing error mended in between. A hash tears these apart. One lands in training, the other in the test
# set, and the exam holds a question that was practised.
#
# To find them, cut each text into *shingles*: all runs of a few words in a row. Here with runs of three.

# %% tags=["nbval-check-output"]
def shingles(text, size):
    words = text.lower().split()
    return {tuple(words[start : start + size]) for start in range(max(1, len(words) - size + 1))}


sorted(shingles("The plot is thin but the plot is fun", 3))

# %% [markdown]
# That is a set: a run that comes twice counts once. Two texts that share many shingles have long passages in common,
# and not only the same topic. But *many* measured against what? If one text is a whole review and the other a piece
# cut out of it, then most of the review's shingles are not in the piece. Still, the piece is a copy.

# %% [markdown]
# ### Exercise 1.2 — How much of the shorter text is in the other?
#
# ★★☆ medium · 10 minutes
#
# Write `overlap(a, b, size)`: the number of distinct shingles that both texts have, divided by the number of distinct
# shingles of the text that has *fewer*. Upper and lower case are the same. A text of fewer than `size` words is one
# shingle.

# %% tags=["exercise", "ex-1.2"]
def overlap(a, b, size):
    raise NotImplementedError


# %% [markdown] tags=["hint", "ex-1.2"]
# Make two sets as `shingles` above does. `x & y` is what two sets share, and `min(len(x), len(y))` the size of the
# smaller.

# %% tags=["check", "ex-1.2"]
def cases(overlap):
    whole = "one two three four five six seven eight nine ten"
    return {
        "a text and itself": (overlap(whole, whole, 3), 1),
        "a text and a piece of it": (overlap(whole, "THREE four five six", 3), 1),
        "the piece first": (overlap("three four five six", whole, 3), 1),
        "the same words in another order": (overlap("one two three four", "four three two one", 2), 0),
        "half of the shorter text": (overlap("a b c d e f g h", "a b c x y", 2), 0.5),
        "a run that comes three times counts once": (overlap("a b a b a b", "a b c d e f", 2), 0.5),
        "a text of two words, shingles of eight": (overlap("So good", "so good", 8), 1),
        "fewer shingles, though more words": (overlap("a b a b a b a b", "a b c d e", 2), 0.5),
    }


checks.exercise("1.2", overlap, cases)


# %% tags=["solution", "ex-1.2"]
def overlap(a, b, size):
    sets = []
    for text in (a, b):
        words = text.lower().split()
        sets.append({tuple(words[start : start + size]) for start in range(max(1, len(words) - size + 1))})
    return len(sets[0] & sets[1]) / min(map(len, sets))


# %% [markdown]
# Comparing every pair of 25,000 reviews would be 312 million comparisons. `data.near_duplicates` counts all the
# shared shingles in one sparse matrix product and gives every text the number of its group. It uses shingles of eight
# words and calls two texts near copies when the overlap is at least one half.

# %%
parts = session.pick(smoke=["validation", "test"], laptop=data.SPLITS, full=data.SPLITS)
scale = session.pick(smoke="laptop", laptop="laptop", full="full")  # a few dozen texts would hold no copies
loaded = [data.load("imdb", part, scale).to_pandas().assign(split=part) for part in parts]
reviews = pd.concat(loaded, ignore_index=True)
reviews["group"] = data.near_duplicates(reviews.text.tolist())

# %% [markdown] tags=["predict"]
# Of these reviews, what share has a copy or a near copy among the others? And of the groups of copies, how many
# would be torn apart by a random split that puts 80% on one side?

# %%
grouped = reviews[reviews.groupby("group").text.transform("size") > 1]
exact = grouped[grouped.text.duplicated(keep=False)]
groups = grouped.group.nunique()


def torn(side):
    """Return how many groups have members on both sides."""
    return int((pd.Series(side, grouped.index).groupby(grouped.group).nunique() > 1).sum())


random_torn = [torn(np.random.default_rng(seed).random(len(grouped)) < 0.8) for seed in range(200)]

# %%
figures.say(
    f"**{len(grouped)} of {len(reviews):,} reviews ({len(grouped) / len(reviews):.1%})** have a copy; {len(exact)} of "
    f"them have an exact one. They form {groups} groups. Over 200 random splits, {np.mean(random_torn):.0f} of these "
    f"groups are torn apart on average (from {min(random_torn)} to {max(random_torn)}). The split of this course "
    f"tears {torn(grouped.split)} apart."
)

# %% [markdown]
# That is few, and it is good news: an accuracy on a random split of this data would be hardly wrong. You know it now
# because you looked, not because you hoped. In data collected from news agencies, forums or code, the share can be
# many times larger.
#
# The course's split gives the whole group one side: the group's smallest id decides for all of its members.
#
# Here are two near copies that are not exact ones. What changed from one to the other?

# %%
near = grouped[~grouped.text.duplicated(keep=False)]
first = near[near.group == near.group.iloc[0]]
show_texts((f"{sign[row.label]}, {len(row.text.split())} words", row.text) for row in first.itertuples())

# %% [markdown]
# Copies can tell something else. If the same words carry both labels, no classifier can get both right. That
# can show *annotation noise* without any judgement of yours. It can also show a weakness of the search.

# %%
both = grouped[grouped.groupby("group").label.transform("nunique") > 1]
figures.say(f"{both.group.nunique()} of the {groups} groups carry both labels.")
show_texts((f"group {row.group}, {sign[row.label]}", row.text) for row in both.sort_values("group").head(4).itertuples())

# %% [markdown]
# Read the pairs before you call it noise. A review that quotes another one whole, in order to contradict it, is a near
# copy of it. So are two reviews that have nothing in common but a long piece of the site's own text, pasted in to fill
# the page. A near-copy rule is a tool with errors of its own.
#
# **A leak that we cannot mend.** Several people review the same film, and the data does not say which review is about
# which film. So the titles and actors of a film stand on both sides of our split. The makers of IMDB kept the films
# of their test set apart (Maas et al. 2011). That is one more reason not to compare our accuracies with published
# ones.

# %% [markdown]
# ## 1.5 Break it: plant a leak
#
# What would a leak do if there were a big one? We plant it. Take some training texts, and an *exam* from the
# validation split. The test split stays closed: what we learn here must not come from it.

# %%
n_stock, n_exam = session.pick(smoke=(48, 32), laptop=(1000, 400), full=(2000, 1000))
stock = splits["imdb", "train"].sample(n_stock, random_state=session.seed)
exam = splits["imdb", "validation"].head(n_exam)

# %% [markdown]
# The leak: copies of exam texts slip into the training texts. Each has lost a few words at both ends, so a search for
# exact copies finds none of them.

# %%
def shorten(text):
    words = text.split()
    cut = max(1, len(words) // 20)
    return " ".join(words[cut:-cut])


def leaky(share):
    copies = exam.head(int(share * len(exam)))
    return pd.concat([stock, copies.assign(text=copies.text.map(shorten))], ignore_index=True)


f"{leaky(0.5).text.isin(exam.text).sum()} training texts equal an exam text"

# %% [markdown]
# Two classifiers take the exam. *Nearest neighbour* learns nothing: it looks for the training text that is most like
# the new one, and repeats its label. *Logistic regression* gives every word a weight. Both see the texts as TF-IDF
# vectors, which section 1.6 explains.

# %%
def tfidf():
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)


def logistic(C):  # the dual solver is the fast one for few texts with many words
    return LogisticRegression(C=C, solver="liblinear", dual=True, max_iter=1000, random_state=session.seed)


def right_answers(training, exam):
    """Return for each classifier which exam texts it gets right."""
    words = tfidf()
    known, new = words.fit_transform(training.text), words.transform(exam.text)
    pupils = {
        "nearest neighbour": KNeighborsClassifier(1, metric="cosine"),
        "logistic regression": logistic(C=10),
    }
    return {name: pupil.fit(known, training.label).predict(new) == exam.label for name, pupil in pupils.items()}


# %% [markdown] tags=["predict"]
# With no leak, which of the two is better? When half of the exam has leaked, by how much does each score rise? And
# are they then better on the half that has *not* leaked?

# %%
shares = [0, 0.1, 0.25, 0.5]
never_leaked = slice(len(exam) // 2, None)
rows = []
for share in shares:
    for name, right in right_answers(leaky(share), exam).items():
        rows.append((share, name, right.mean(), right[never_leaked].mean()))
scores = pd.DataFrame(rows, columns=["share", "classifier", "reported", "honest"]).set_index(["classifier", "share"])

# %%
figure, axes = plt.subplots(figsize=(6, 4))
for name, color in (("nearest neighbour", blue), ("logistic regression", red)):
    line = scores.loc[name]
    for kind, column, style in (("whole exam", "reported", "o-"), ("never leaked", "honest", "o--")):
        axes.plot(line.index * 100, line[column], style, color=color, mfc=color if style == "o-" else "white")
        axes.text(51.5, line[column][0.5], f"{name}, {kind}", color=color, va="center")
axes.set(xlabel="% of the exam whose near copies stand in the training texts", ylabel="accuracy")
axes.set(xticks=[0, 10, 25, 50], xlim=(-2, 50.5))
nn, lr = scores.loc["nearest neighbour"], scores.loc["logistic regression"]
figures.show(
    figure,
    alt=f"Accuracy against the leaked share of the exam. Whole exam: nearest neighbour goes from {nn.reported[0]:.2f} to "
    f"{nn.reported[0.5]:.2f}, logistic regression from {lr.reported[0]:.2f} to {lr.reported[0.5]:.2f}. On exam texts that "
    f"never leaked both change little, ending at {nn.honest[0.5]:.2f} and {lr.honest[0.5]:.2f}.",
)

# %%
figures.say(
    f"With half of the exam leaked, the nearest neighbour gains **{nn.reported[0.5] - nn.reported[0]:+.2f}** and "
    f"logistic regression **{lr.reported[0.5] - lr.reported[0]:+.2f}**. On the texts that never leaked the changes are "
    f"{nn.honest[0.5] - nn.honest[0]:+.2f} and {lr.honest[0.5] - lr.honest[0]:+.2f}. The gap between the two, "
    f"{lr.reported[0] - nn.reported[0]:.2f} without the leak, is now {lr.reported[0.5] - nn.reported[0.5]:.2f}."
)

# %% [markdown]
# The solid lines are what a careless report would print. The dashed lines are what a user would get; on so few texts
# their small changes may be chance. Two things are worth keeping:
#
# - Both classifiers answer the leaked texts almost perfectly, since both have seen the answers. So the *weaker* one
#   gains more: it had more errors to hide. The leak narrows the gap between them. It distorts *comparisons*, and
#   comparisons are what this course is about.
# - Remembering needs room. Nearest neighbour stores every text, and logistic regression has far more weights than
#   there are texts. A pooling with many weights of its own can remember too.

# %% [markdown]
# ### Exercise 1.3 — Repair it
#
# ★★☆ medium · 10 minutes
#
# Write `without_copies(training, exam)`: two lists of texts in, and out comes the list of *positions* of the training
# texts that are in no group with an exam text. Copies *among* the training texts may stay.

# %% tags=["exercise", "ex-1.3"]
def without_copies(training, exam):
    raise NotImplementedError


# %% [markdown] tags=["hint", "ex-1.3"]
# `data.near_duplicates(training + exam)` gives one group number for each text, the training texts first. `np.isin`
# says which numbers occur in another list.

# %% tags=["check", "ex-1.3"]
def cases(without_copies):
    exam = [
        "we waited two long hours for this film to begin and it never truly did",
        "her voice alone is worth the price of the ticket and the long way home",
    ]
    other = "nobody told the director that a thriller needs at least one small surprise"
    cut = " ".join(exam[0].split()[2:-2])
    numbers = [f"n{number}" for number in range(60)]  # chain and far share too little; bridge shares half with both
    chain, bridge, far = (" ".join(numbers[start : start + 30]) for start in (0, 11, 22))
    return {
        "nothing to remove": (list(without_copies([other], exam)), [0]),
        "an exact copy": (list(without_copies([exam[1], other], exam)), [1]),
        "a shortened copy": (list(without_copies([other, cut], exam)), [0]),
        "copies among the training texts stay": (list(without_copies([other, cut, other], exam)), [0, 2]),
        "everything leaked": (len(list(without_copies([cut, exam[1]], exam))), 0),
        "positions, not a mask": (list(without_copies([other, other, cut], exam)), [0, 1]),
        "a copy of a copy": (list(without_copies([bridge, far, other], [chain])), [2]),
    }


checks.exercise("1.3", without_copies, cases)


# %% tags=["solution", "ex-1.3"]
def without_copies(training, exam):
    group = data.near_duplicates(list(training) + list(exam))
    leaked = np.isin(group[: len(training)], group[len(training) :])
    return np.flatnonzero(~leaked).tolist()


# %% [markdown]
# The worst case again, with half of the exam leaked, and repaired in this chapter's own way: number the groups, and
# drop each training text whose number occurs in the exam.

# %%
leaked = leaky(0.5)
group = data.near_duplicates([*leaked.text, *exam.text])
repaired = leaked[~np.isin(group[: len(leaked)], group[len(leaked) :])]
mended = {name: right.mean() for name, right in right_answers(repaired, exam).items()}

# %%
figures.say(
    f"The repair removed {len(leaked) - len(repaired)} training texts. The nearest neighbour falls back to "
    f"{mended['nearest neighbour']:.3f} (before the leak {nn.reported[0]:.3f}), logistic regression to "
    f"{mended['logistic regression']:.3f} (before {lr.reported[0]:.3f})."
)

# %% [markdown]
# ## 1.6 The baseline: which words, and how often
#
# Before any transformer, the simplest thing that works. Count the words of each text, forget their order, and give
# each word a weight. A toy first. Three texts, and the vectorizer gives each a row with one column per word.

# %% tags=["nbval-check-output"]
toy = ["good film", "bad film", "good good fun"]
words = TfidfVectorizer()
pd.DataFrame(words.fit_transform(toy).toarray(), index=toy, columns=words.get_feature_names_out()).round(2)

# %% [markdown]
# Two ideas make these numbers. *Term frequency*: *good* counts more in the third text, where it stands twice.
# *Inverse document frequency*: *bad*, which only one text has, weighs more than *film* beside it. At the end each row
# is scaled to length 1. Our `tfidf()` adds pairs of neighbouring words (*not good*), damps repetitions by a logarithm,
# and drops what stands in one text only.
#
# Logistic regression has one knob, `C`: how far the weights may grow. It is chosen on the *validation* split, for one
# draw of training texts.

# %%
n_labels, n_validation, n_test = session.pick(smoke=(48, 32, 32), laptop=(2000, 1000, 2000), full=(2000, 1000, 5000))
n_draws = session.pick(smoke=2, laptop=5, full=5)
validation = {name: splits[name, "validation"].head(n_validation) for name in names}
draws = {
    name: [splits[name, "train"].sample(n_labels, random_state=draw) for draw in range(n_draws)] for name in names
}

# %%
grid = pd.DataFrame(index=pd.Index([0.1, 1, 10, 100], name="C"), columns=list(names), dtype=float)
for name in names:
    words = tfidf()
    known, new = words.fit_transform(draws[name][0].text), words.transform(validation[name].text)
    for C in grid.index:
        model = logistic(C).fit(known, draws[name][0].label)
        grid.loc[C, name] = model.score(new, validation[name].label)
best_C = grid.idxmax()
grid.round(3)

# %% [markdown] tags=["predict"]
# With these few labels, how many whole reviews in a hundred will the baseline get right? And how many single
# sentences? Write down both numbers. One of them surprises most people.

# %% [markdown]
# Five draws of training texts show how much luck is in the draw. The test split is opened here, once, for the table
# below.

# %%
def fit(name, training):
    words = tfidf()
    model = logistic(best_C[name]).fit(words.fit_transform(training.text), training.label)
    return words, model


fitted = {name: [fit(name, draw) for draw in draws[name]] for name in names}
test = {name: splits[name, "test"].head(n_test) for name in names}

# %%
predicted = {}  # probabilities of positive: [draws, test texts]
for name in names:
    commonest = [np.full(len(test[name]), float(splits[name, "train"].label.mean() > 0.5))] * n_draws
    weighed = [model.predict_proba(words.transform(test[name].text))[:, 1] for words, model in fitted[name]]
    predicted |= {(name, "majority"): np.array(commonest), (name, "TF-IDF"): np.array(weighed)}

# %% [markdown]
# The interval says how far the accuracy could be off because these test texts, and no others, were drawn. It comes
# from a *bootstrap*: draw texts again and again from the ones we have, and see how the accuracy moves (BCa is the name
# of a variant that corrects for bias and skew). The spread over draws says what another set of training texts would have changed.

# %%
accuracy, rows = {}, []
for (name, method), values in predicted.items():
    accuracy[name, method] = evaluation.accuracy(test[name].label, values)
    spread = evaluation.correctness(test[name].label, values).mean(axis=1).std(ddof=1)
    rows.append((names[name], method, str(accuracy[name, method]), f"{spread:.3f}", len(test[name])))
columns = ["texts", "method", "accuracy [95% interval]", "spread over draws (SD)", "test texts"]
pd.DataFrame(rows, columns=columns).set_index(["texts", "method"])

# %%
figure, axes = plt.subplots(figsize=(7.5, 2.6))
for row, (name, method) in enumerate(predicted):
    found, color = accuracy[name, method], blue if name == "imdb" else red
    axes.plot([found.low, found.high], [row, row], color=color, lw=3, solid_capstyle="butt")
    axes.plot(found.value, row, "o", color=color)
    axes.text(found.value, row - 0.2, f"{found.value:.3f}", ha="center", va="bottom", color=color)
axes.set_yticks(range(len(predicted)), [f"{names[name]}, {method}" for name, method in predicted])
axes.set(ylim=(len(predicted) - 0.5, -0.9), xlabel="accuracy on the test split, with its 95% interval")
figures.show(
    figure,
    alt="Accuracies with their intervals: "
    + "; ".join(f"{names[name]}, {method} {accuracy[name, method]}" for name, method in predicted) + ".",
)

# %%
whole, sentence = accuracy["imdb", "TF-IDF"], accuracy["rotten_tomatoes", "TF-IDF"]
figures.say(
    f"Counting words, with {n_labels:,} labels, gets **{whole.value:.1%}** of the whole reviews right, and "
    f"**{sentence.value:.1%}** of the single sentences."
)

# %% [markdown]
# Keep the first of these two numbers. From the next chapter on, frozen transformers with the same texts and about as
# many labels stand beside it. **Do not expect them to win easily.** Chapter 2 puts ten poolings of a small frozen
# encoder beside this line; what it takes to get above it is one of the threads of the course.
#
# It is an old finding. With 25,000 labels and the published test set, word counts with a good classifier reach 88.29%
# with single words and 91.22% with word pairs (NBSVM, Wang and Manning 2012). A fine-tuned BERT has an error of 5.4%
# (Sun et al. 2019). Those figures and ours come from different test sets: take from them the order, not the
# differences.
#
# A long review has many chances to say *boring*. A single sentence may have none. That is one likely reason why the
# short texts are the hard ones here. Another is that the training texts are shorter too, so the same number of labels
# shows fewer words.
#
# ### What has it learned?
#
# Each word has one weight, so we can simply read them. Which words weigh most?

# %%
words, model = fitted["imdb"][0]
weights = pd.Series(model.coef_[0], words.get_feature_names_out()).sort_values()
top = pd.concat([weights.head(12), weights.tail(12)])
figure, axes = plt.subplots(figsize=(7.5, 5.5))
axes.barh(range(len(top)), top, color=[red if weight < 0 else blue for weight in top])
for row, (word, weight) in enumerate(top.items()):
    axes.text(0, row, f"  {word}  ", va="center", ha="left" if weight < 0 else "right")
axes.set(yticks=[], xlabel="weight of the word (left of 0: negative, right: positive)")
axes.grid(axis="y", visible=False)
figures.show(
    figure,
    alt=f"Bars of the 24 words with the largest weights. Most negative: {', '.join(weights.index[:6])}. "
    f"Most positive: {', '.join(weights.index[::-1][:6])}.",
)

# %% [markdown]
# Most are words of praise or blame. A few are not: find them. A word such as *also* judges nothing, yet it tells the
# two kinds apart: one adds another merit with it. A model that is right for such reasons is still right on this test
# set. On other texts it may not be.

# %% [markdown]
# ## 1.7 Read the errors
#
# An accuracy says how many. It never says why. So read the texts on which the model was surest and wrong. We read
# *validation* texts: once you have read a test text, your next idea is fitted to it.

# %%
all_words = model.predict_proba(words.transform(validation["imdb"].text))[:, 1]
read = validation["imdb"].assign(positive=all_words, error=np.abs(all_words - validation["imdb"].label))
wrong = read[read.error > 0.5].sort_values("error", ascending=False)
wrong = wrong[wrong.id != "b7db02f4ef99351a"]  # left out: too crude for a classroom
show_texts(
    (f"label {sign[row.label]}; model says {row.positive:.0%} positive", row.text) for row in wrong.head(6).itertuples()
)

# %% [markdown]
# Sort each one into a box: **(a)** the label is wrong, or only the stars could tell; **(b)** the writer praises what
# is bad, or blames with good words; **(c)** the judgement stands in a few words, and the rest tells something else;
# **(d)** the model has no excuse.
#
# Then ask for each box what could help. Against (a) nothing can, and it sets a ceiling that no pooling lifts. Against
# (b) the model must read words in their context, which is what a transformer does. Box (c) is the one that *pooling*
# is about: the information is there, in few places, and something has to pick it out.

# %% [markdown]
# ## 1.8 What a tokenizer does to a text
#
# A transformer reads neither words nor letters. A tokenizer cuts the text into *tokens*, pieces from a fixed list.
# BERT's kind is called WordPiece, GPT-2's kind byte-level BPE. They differ in what they forget.
#
# Byte-level means that the text is first written as bytes. There are only 256 of them, so nothing can ever be
# unknown.

# %% tags=["nbval-check-output"]
for text in ("e", "é", "😀"):
    print(text, list(text.encode()))

# %% [markdown]
# BPE then *merges*: find the two pieces that most often stand side by side, make them one new piece, repeat. A toy
# corpus in which *low* comes often, and three merges:

# %% tags=["nbval-check-output"]
toy_bpe = Tokenizer(models.BPE())
nine = trainers.BpeTrainer(vocab_size=9, show_progress=False)  # six letters and three merges
toy_bpe.train_from_iterator(["low"] * 5 + ["lower"] * 2 + ["slow"], nine)
print(sorted(toy_bpe.get_vocab(), key=toy_bpe.get_vocab().get))
print(toy_bpe.encode("lower").tokens, toy_bpe.encode("slower").tokens)

# %% [markdown]
# ### Exercise 1.4 — One step of BPE
#
# ★★★ hard · 20 minutes
#
# Write `bpe_step(words)`. `words` maps a word, as a tuple of pieces, to how often it occurs: `{("l", "o", "w"): 5}`.
# Find the pair of neighbouring pieces with the highest count over all words (a word that occurs five times counts
# five times). Return a new dictionary in which each occurrence of that pair, from left to right, is one piece. Ties
# do not occur in the checks.

# %% tags=["exercise", "ex-1.4"]
def bpe_step(words):
    raise NotImplementedError


# %% [markdown] tags=["hint", "ex-1.4"]
# Count with `Counter` over `zip(pieces, pieces[1:])`, adding the word's count each time; `most_common(1)` has the
# winner. To merge, walk through the word with an index that moves by two after a merge and by one otherwise.

# %% tags=["check", "ex-1.4"]
def cases(bpe_step):
    before = {("l", "o", "w"): 5, ("l", "o", "t"): 3}
    untouched = dict(before)
    step = bpe_step(before)
    return {
        "the commonest pair becomes one piece": (step, {("lo", "w"): 5, ("lo", "t"): 3}),
        "a second step builds on the first": (bpe_step(step), {("low",): 5, ("lo", "t"): 3}),
        "counts matter, not the number of words": (
            bpe_step({("a", "b"): 9, ("x", "y"): 2, ("x", "y", "z"): 2}),
            {("ab",): 9, ("x", "y"): 2, ("x", "y", "z"): 2},
        ),
        "every occurrence in a word": (
            bpe_step({("n", "a", "n", "a", "s"): 4, ("n", "a"): 1}),
            {("na", "na", "s"): 4, ("na",): 1},
        ),
        "from left to right": (bpe_step({("a", "a", "a"): 1}), {("aa", "a"): 1}),
        "pieces, not letters": (bpe_step({("a", "b"): 5, ("ca", "b"): 1}), {("ab",): 5, ("ca", "b"): 1}),
        "your function leaves its argument as it was": before == untouched,
    }


checks.exercise("1.4", bpe_step, cases)


# %% tags=["solution", "ex-1.4"]
def bpe_step(words):
    pairs = Counter()
    for pieces, count in words.items():
        for pair in zip(pieces, pieces[1:], strict=False):
            pairs[pair] += count
    best = pairs.most_common(1)[0][0]
    merged = {}
    for pieces, count in words.items():
        new, place = [], 0
        while place < len(pieces):
            found = pieces[place : place + 2] == best
            new.append("".join(best) if found else pieces[place])
            place += 2 if found else 1
        merged[tuple(new)] = count
    return merged


# %% [markdown]
# Now for real. We train a byte-level BPE on a few hundred *training* reviews, which takes under a second. Beside it
# stands the WordPiece tokenizer of MiniLM, which is BERT's own list of 30,522 pieces. The course's mini pair has a
# larger BPE, made in the same way; you will meet it in chapter 3.

# %%
bpe = Tokenizer(models.BPE())
bpe.pre_tokenizer, bpe.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
all_bytes = pre_tokenizers.ByteLevel.alphabet()
trainer = trainers.BpeTrainer(vocab_size=4096, initial_alphabet=all_bytes, show_progress=False)
bpe.train_from_iterator(splits["imdb", "train"].text.head(500), trainer)
wordpiece = encoders.load("minilm").tokenizer

# %% [markdown]
# One sentence, made to be awkward. Each box is one token. In WordPiece `##` says *this goes on the word before*; in
# BPE `Ġ` is a space, and strange letters such as `Ã` are single bytes.

# %%
def show_pieces(text):
    box = '<code style="border:1px solid currentColor;border-radius:3px;padding:0 4px;margin:2px;display:inline-block">'
    for name, pieces in (("WordPiece", wordpiece.tokenize(text)), ("byte-level BPE", bpe.encode(text).tokens)):
        boxes = "".join(f"{box}{escape(piece)}</code>" for piece in pieces)
        display(HTML(f"<p><b>{name}</b>, {len(pieces)} tokens<br>{boxes}</p>"))


awkward = "Unwatchable! We weren't café-bored 😀<br /><br />THE END."
show_pieces(awkward)

# %% [markdown] tags=["predict"]
# Turn the tokens back into text. Which of the two gives back what you put in, and what has the other one lost?

# %%
for name, back in (
    ("what went in", awkward),
    ("WordPiece", wordpiece.decode(wordpiece(awkward, add_special_tokens=False)["input_ids"])),
    ("byte-level BPE", bpe.decode(bpe.encode(awkward).ids)),
):
    print(f"{name:<15}{back}")

# %% [markdown]
# This BERT is *uncased*: it lower-cases the text and strips accents before WordPiece begins, so the capitals and the
# accent are lost. The emoji became `[UNK]`, *unknown*, since no piece fits it. For sentiment that can matter: people
# shout in capitals. Byte-level BPE lost nothing, but rare things cost it several tokens each. Try
# `show_pieces` on a sentence of your own, in your own language.

# %% [markdown]
# ## 1.9 Truncation: what 256 tokens leave of a review
#
# Computing time grows with length, so the course reads the first 256 tokens of a text and drops the rest. How much is
# that? Count the tokens of some training texts with MiniLM's tokenizer.

# %%
n_counted = session.pick(smoke=64, laptop=1000, full=5000)
counted = {name: splits[name, "train"].text.head(n_counted) for name in names}
pieces = {name: wordpiece(list(texts), verbose=False)["input_ids"] for name, texts in counted.items()}
tokens = {name: np.array([len(ids) for ids in lists]) for name, lists in pieces.items()}
limit = 256

# %%
cut_reviews = (tokens["imdb"] > limit).mean()
cut_tokens = np.maximum(tokens["imdb"] - limit, 0).sum() / tokens["imdb"].sum()
breaks = 4 * counted["imdb"].str.count("<br />").sum() / tokens["imdb"].sum()  # each is four tokens: < br / >
figures.say(
    f"A limit of {limit} tokens cuts **{cut_reviews:.0%}** of the whole reviews, and with them **{cut_tokens:.0%}** of all "
    f"their tokens. Of the single sentences it cuts {(tokens['rotten_tomatoes'] > limit).mean():.0%}. A word costs "
    f"{tokens['imdb'].sum() / counted['imdb'].str.split().str.len().sum():.2f} tokens on average; the tags `<br />` alone "
    f"take {breaks:.1%} of the tokens."
)

# %% [markdown]
# Those are two different shares, and one picture has both. Line the reviews up from the shortest to the longest. The
# coloured area is their tokens (the axis ends at 1,200; a few reviews go on). Where the limit meets the curve, reviews begin to be cut; the area above it is
# what the model never sees. Move the limit.

# %% tags=["widget"]
def draw_limit(limit):
    ordered = np.sort(tokens["imdb"])
    rank = np.linspace(0, 100, len(ordered))
    cut, lost = (ordered > limit).mean(), np.maximum(ordered - limit, 0).sum() / ordered.sum()
    figure, axes = plt.subplots()
    axes.fill_between(rank, np.minimum(ordered, limit), color=blue, alpha=0.6, lw=0)
    axes.fill_between(rank, np.minimum(ordered, limit), ordered, color=red, alpha=0.8, lw=0)
    axes.axhline(limit, color=figures.INK, lw=1)
    axes.text(1, limit + 15, f"limit: {limit} tokens")
    axes.text(60, 800, f"cut: {cut:.0%} of the reviews,\n{lost:.0%} of the tokens", ha="right")
    axes.set(xlabel="% of the reviews, from the shortest to the longest", ylabel="tokens in a review")
    axes.set(ylim=(0, 1200), xlim=(0, 100))
    return figure, (
        f"All reviews ordered by their number of tokens. A limit of {limit} tokens cuts {cut:.0%} of the reviews; "
        f"the area above the limit, {lost:.0%} of all tokens, is never seen by the model."
    )


widgets.explore(
    draw_limit,
    limit=ipywidgets.IntSlider(value=limit, min=32, max=512, step=32, description="limit"),
)

# %% [markdown]
# ## 1.10 Why sentences and whole reviews are different tasks
#
# Is what we cut worth anything? Ask the baseline. Train it and test it on a few words of each review only: the first
# ones, or the last ones. All of this happens on the validation split.

# %%
def keep(texts, n, end):
    parts = texts.str.split()
    return (parts.str[:n] if end == "first" else parts.str[-n:]).str.join(" ")


def read_part(n, end):
    """Return the validation probabilities of a baseline that reads only n words at one end."""
    training = draws["imdb"][0]
    words, model = fit("imdb", training.assign(text=keep(training.text, n, end)))
    return model.predict_proba(words.transform(keep(validation["imdb"].text, n, end)))[:, 1]


# %% [markdown] tags=["predict"]
# Which 20 words tell more, the first 20 of a review or its last 20? How many words does the baseline need before it is
# as good as with all of them? And are 20 words of a review easier or harder than a Rotten Tomatoes sentence, which is
# about as long?

# %%
amounts = [20, 60, 200]
kept = {(n, end): read_part(n, end) for n in amounts for end in ("first", "last")}
truth = validation["imdb"].label
found = {key: evaluation.accuracy(truth, values) for key, values in kept.items()}

# %%
figure, axes = plt.subplots()
for end, color, shift in (("first", blue, 0.98), ("last", red, 1.02)):
    values = [found[n, end] for n in amounts]
    bars = np.array([(value.value - value.low, value.high - value.value) for value in values]).T
    axes.errorbar(np.array(amounts) * shift, [value.value for value in values], bars, fmt="o-", color=color)
    axes.text(18, values[0].value + 0.005, f"the {end} words", ha="right", va="bottom", color=color)
everything, one = evaluation.accuracy(truth, all_words), grid["rotten_tomatoes"].max()
axes.axhline(everything.value, color=figures.INK, lw=1.5, ls=":")
axes.text(9.2, everything.value + 0.003, "whole reviews", va="bottom")
axes.axhline(one, color=green, lw=1.5, ls=":")
axes.text(255, one + 0.001, "Rotten Tomatoes sentences", color=green, ha="right", va="bottom")
axes.set(xscale="log", xlim=(9, 260), xlabel="words kept of each review", ylabel="accuracy on the validation split")
axes.set_xticks(amounts, amounts)
axes.minorticks_off()
figures.show(
    figure,
    alt="Accuracy against the number of words kept. "
    + " ".join(f"The {end} {n} words: {found[n, end].value:.2f}." for end in ("first", "last") for n in amounts)
    + f" Whole reviews: {everything.value:.2f}. Rotten Tomatoes sentences: {one:.2f}.",
)

# %% [markdown]
# Is the difference between the two ends real? *McNemar's test* looks only at the texts on which just one of the two is
# right, and asks whether they split more unevenly than fair coins would.

# %%
longer = validation["imdb"].text.str.split().str.len().to_numpy() > 200
for n, texts, who in ((20, np.full(len(truth), True), "all reviews"), (200, longer, "reviews of more than 200 words")):
    ends = evaluation.compare(truth[texts], kept[n, "last"][texts], kept[n, "first"][texts])
    figures.say(
        f"- {who}, last {n} words minus first {n}: {figures.points(ends.effect)} points of accuracy, exact McNemar "
        f"p = {ends.p:.2g}; {texts.sum():,} texts can show about {100 * ends.detectable:.1f} points"
    )

# %% [markdown]
# Many people tell the story first and judge at the end. Our encoders keep the *first* tokens of a text, as most do by
# default. The second line is the case that matters for them: a long review, cut at about our limit, at one end or the
# other. Sun et al. (2019) saw the same tendency with a fine-tuned BERT: keeping 128 tokens of the head and 382 of the
# tail gave an error of 5.42%, the head alone 5.63%.

# %%
figures.say(
    f"And your other two guesses: with the first 200 words the baseline reaches {found[200, 'first']}, with the last 200 "
    f"{found[200, 'last']}, with whole reviews {everything}. Twenty words of a review give {found[20, 'first']} (the first) "
    f"or {found[20, 'last']} (the last); Rotten Tomatoes sentences, about as long, {one:.3f}."
)

# %% [markdown]
# The table brings both data sets together: how long they are, what a limit of 256 tokens does to them, and how far
# counting words goes.

# %%
pd.DataFrame({
    names[name]: {
        "words, median": f"{lengths[name].median():.0f}",
        "tokens, median": f"{np.median(tokens[name]):.0f}",
        f"texts cut at {limit} tokens": f"{(tokens[name] > limit).mean():.0%}",
        "TF-IDF accuracy (test)": str(accuracy[name, "TF-IDF"]),
    }
    for name in names
})  # fmt: skip

# %% [markdown]
# What it means for pooling: in a sentence, one word may carry the judgement, and a *mean* mixes it with all the
# others. In a long review there are many hints, some of them against the verdict, and a *max* listens to the loudest
# in each dimension. Nothing says that one pooling must be best for both. That is a claim, and we shall test it.

# %% [markdown]
# ## What this chapter says about the claims
#
# It decides none of the ten claims (C1 to C10). It built what they are tested with:
#
# | what | needed by |
# |---|---|
# | two data sets of different character, in one form | C1, C3: does the best pooling depend on the model, and on the task? |
# | a split without copies on both sides, and the same on every machine | every claim; above all C2, since poolings with weights can remember copies |
# | the TF-IDF baseline with its interval | every table of accuracies |
# | words with weights that can be read | C4, C5: which words decide, and are they emotional ones? |
# | lengths, truncation, head and tail | C8: do simple poolings lose more as texts grow? |

# %% [markdown]
# ## Quiz

# %% [markdown] tags=["quiz"]
# 1. You shuffle with a fixed seed and split 80/20. Tomorrow a colleague adds three texts to the file. Why does your
#    test set change, and what would have kept it?
#
#    Answer: The shuffle depends on the number and the order of all texts, so nearly every text may land elsewhere. If
#    each text chooses its side by a hash of its own content, the old texts stay where they were and only the new ones
#    are added.
#
# 2. Why is the overlap of two texts divided by the shingles of the *shorter* one?
#
#    Answer: A short piece cut out of a long review is a copy, although most of the review is not in the piece. Divided
#    by the longer text, or by the union of both, its overlap would be small and the copy would be missed.
#
# 3. Two models are compared on a test set of which a part has leaked. Is the *difference* between them still fair,
#    since both had the same advantage?
#
#    Answer: No. Where both have seen the answers, both are right, and the weaker one had more errors to hide. The
#    difference shrinks, and with models that remember unequally well even the order can turn.
#
# 4. Why did we read errors in the validation split, and not in the test split?
#
#    Answer: What you read gives you ideas, and the ideas are then fitted to those texts. A test set that has been read
#    to improve the model is a second validation set.
#
# 5. A frozen encoder reaches the same accuracy as TF-IDF on whole reviews cut at 256 tokens. Does it understand them
#    as well?
#
#    Answer: That cannot be read off the two numbers. The encoder saw only the first 256 tokens, and TF-IDF the whole
#    text, with the end that tells more. A fair comparison gives both the same words; and equal accuracies may hide
#    different errors.

# %% [markdown]
# ## Further reading
#
# - Maas et al. 2011, *Learning Word Vectors for Sentiment Analysis*: the IMDB reviews and how they were labelled.
# - Pang and Lee 2005, *Seeing Stars*: the Rotten Tomatoes sentences.
# - Broder 1997, *On the resemblance and containment of documents*: shingles, and why containment is not resemblance.
# - Wang and Manning 2012, *Baselines and Bigrams*: how strong word counts are.
# - Sun et al. 2019, *How to Fine-Tune BERT for Text Classification?* (arXiv:1905.05583): head, tail, and both.
# - Sennrich, Haddow and Birch 2016, *Neural Machine Translation of Rare Words with Subword Units*: BPE for texts.
#
# Next: [chapter 2](02_poolings_from_scratch.ipynb) takes the token vectors of these texts and pools them by hand.

# %% [markdown]
# ## Your progress
#
# Which checks of this chapter have you passed? Passed once counts, also when you open the chapter anew.

# %% tags=["progress"]
progress.show("1.1", "1.2", "1.3", "1.4")
