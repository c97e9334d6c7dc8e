# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 8. Pooling in the wild
#
# You chose a pooling, trained with it, and measured it. Then somebody serves your model. The server loads the weights, makes the token states, and takes a pooling: its own. Nothing fails. The vectors have the right size and the right length. Only the ranking is bad, and nobody looks at a ranking that never was good. This has happened in the best-known servers, more than once, and lately. In this chapter you become the one who notices.
#
# **After this chapter you will be able to**
#
# - say why a wrong pooling raises no alarm, and what it costs;
# - unmask a server from outside, with tests of three lines each;
# - read what a model's folder declares of its pooling, and see when it says nothing;
# - audit any server with one command;
# - ship a model so that others serve it as you trained it.
#
# **What you need to know**: chapters 2 to 4, and 7.2 for what a ranking is worth.
#
# | | smoke | laptop | full |
# |---|---|---|---|
# | reading and exercises | – | 2 hours | 2 hours |
# | running all cells | under a minute | under two minutes | under two minutes |
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
import json
import tempfile
from pathlib import Path

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from torch import nn

from helpers import (
    audit,
    checks,
    contrasts,
    data,
    encoders,
    figures,
    finetuning,
    grid,
    making,
    mysteries,
    pooling,
    progress,
    recipes,
    records,
    served,
    serving_studies,
    studies,
    task_studies,
    widgets,
)
from helpers.evaluation import holm

figures.theme()

# %% [markdown]
# ## 8.1 Two healthy servers
#
# A server, for us, is a function: some texts go in, one vector each comes out. Here are two, of the same model: MiniLM, which its makers trained with the mean of its token states. One server takes that mean. The other takes the first token, [CLS], as many would with a BERT.

# %%
minilm = encoders.load("minilm")


def server(pool):
    """A function from texts to vectors of length 1, [n, d]."""
    def embed(texts):
        vectors = pooling.pool_all(pooling.make(pool, minilm.dim), encoders.encode(minilm, list(texts), 128))
        return nn.functional.normalize(vectors, dim=1).numpy()
    return embed


# %% [markdown]
# Now the checks that a careful person runs before a service goes live. Has a vector the right size? Are its numbers finite, is its length 1? Does the same text give the same vector? Is a text nearer to its paraphrase than to something else?

# %%
TRIO = ["The film was a delight.", "I enjoyed the movie very much.", "Turn left after the second bridge."]


def health(embed):
    """What a health check looks at, by name."""
    first, second = embed(TRIO), embed(TRIO)
    near, far = first[0] @ first[1], first[0] @ first[2]
    return {"size": first.shape[1], "finite": bool(np.isfinite(first).all()),
            "length": round(float(np.linalg.norm(first[0])), 3), "repeatable": bool((first == second).all()),
            "paraphrase nearer": bool(near > far)}


# %% [markdown] tags=["predict"]
# Will this check tell the two servers apart? And two more, with max and with the weighted mean?

# %%
figures.table(pd.DataFrame({pool: health(server(pool)) for pool in ("mean", "first", "max", "weighted_mean")}).T,
              "Health of four servers of MiniLM: the mean is right, the others are not")

# %% [markdown]
# It does not. Both are healthy, and so are max and the weighted mean. A health check asks whether there *is* a vector, not whether it is the one that the model was trained to give. There is one difference that no such check looks at:

# %%
cosine = (server("mean")(TRIO) * server("first")(TRIO)).sum(axis=1).mean()
figures.say(f"The mean cosine between what the two servers give for the same text: {cosine:.2f}.")

# %% [markdown]
# But to see that you need both servers, or the model itself. Keep this in mind: it is what the audit in 8.6 will do.
#
# ## 8.2 What does it cost?
#
# The task is that of chapter 7: a question about a parameter, and the descriptions of the same function's parameters, one of which is the answer. *Recall@k* is the share of questions whose answer is among the first k.
#
# What we decided before the run: MiniLM is served rightly, and in each of the wrong ways below. The test for each is the difference of the MRR on the same questions, with an interval for new functions and new names (7.3), p values corrected for all of them (Holm).

# %%
ON_FILE = session.pick(smoke="laptop", laptop="laptop", full="full")
runs = studies.table("mistakes", ON_FILE)
(run,) = runs.rows.to_dict("records")
groups, names = (runs.array(run, what) for what in ("groups", "names"))


def worth(ranks):
    """Reciprocal rank, recall@1 and recall@3 of each question, from its answer's rank."""
    return {"MRR": 1 / ranks, "recall@1": (ranks <= 1).astype(float), "recall@3": (ranks <= 3).astype(float)}


def estimate(values):
    """The mean of values [s, n] with its interval over functions, names and seeds."""
    return contrasts.over_crossed(values, groups, names)


# %% [markdown] tags=["predict"]
# MiniLM was made for the mean. Order these by what they cost: the first token, max, later tokens counting more, padding counted as text, the last layer but one, and the dot product of vectors that were not brought to length 1.

# %%
recipe_names = list(serving_studies.mistakes(minilm.layers))
found = {name: worth(ranks[None].astype(float))  # [1, n]
         for name, ranks in zip(recipe_names, runs.array(run, "ranks"), strict=True)}
right = found[serving_studies.RIGHT]
gaps = {name: estimate(one["MRR"] - right["MRR"]) for name, one in found.items() if name != serving_studies.RIGHT}
corrected = dict(zip(gaps, holm([gap.p for gap in gaps.values()]), strict=True))

# %% [markdown]
# Two baselines from chapter 7 stand in the table too, on the same questions: *random*, and *bm25*, which counts shared words. (Its study kept no recall@3.)

# %%
baselines = {}
for name in ("bm25", "random"):
    kept = studies.table("answers", ON_FILE).stack("quality", model=name)  # [1, measures, n]
    means = dict(zip(task_studies.MEASURES, 100 * kept.mean(axis=(0, 2)), strict=True))
    baselines[name] = {"MRR": means["MRR"], "recall@1": means["top-1"]}

# %%
lines = {name: {what: 100 * values.mean() for what, values in one.items()} for name, one in found.items()}
for name, gap in gaps.items():
    lines[name] |= {"MRR, wrong − right [95%]": figures.points(gap.effect), "corrected p": figures.p_number(corrected[name])}
lines |= baselines
order = sorted(lines, key=lambda name: -lines[name]["MRR"])
figures.table(pd.DataFrame(lines).T.loc[order], f"MiniLM served rightly ({serving_studies.RIGHT}) and wrongly: in hundredths, "
              f"{len(groups):,} test questions ({ON_FILE})", dict.fromkeys(("MRR", "recall@1", "recall@3"), "{:.1f}"))

# %%
worst = min(gaps, key=lambda name: gaps[name].effect.value)
small = [name for name in gaps if corrected[name] >= 0.05]
better = [name for name in gaps if corrected[name] < 0.05 and gaps[name].effect.value > 0]
figures.say(f"The dearest mistake: *{worst}*, {figures.points(gaps[worst].effect)} points of MRR. No difference is shown for: "
            f"{', '.join(f'*{name}*' for name in small) or 'none'}. Shown to rank better than the right one: "
            f"{', '.join(f'*{name}*' for name in better) or 'none'}.")

# %% [markdown]
# How was your order? The dot product costs least, for the directions are right and only the lengths disturb. Later tokens counting more, max, and padding counted come next, then the single tokens. With no mask at all even the token states are wrong. A layer too early is dearest: the last layer is the one that was trained to be averaged.
#
# Two things to take away. Some mistakes are dear, and no health check sees them. And some are cheap, or even help a little, *on this task*. That is no comfort: vectors that were stored under one recipe and asked for under another fit together badly, even when each recipe alone ranks well.
#
# One such case is on public record: in [plur-ai/plur, issue 270](https://github.com/plur-ai/plur/issues/270), two Dense layers behind the pooling were skipped. The vectors had a cosine of about zero to the right ones, and recall on the project's own test hardly moved.
#
# ### Models of your own
#
# MiniLM's makers chose the mean. What if you train, with one pooling, and your server takes another? Chapter 7's matchers (a frozen encoder, a pooling, a linear map) were trained with each of four poolings, five seeds each, and served with five, and with the right pooling but without the map.

# %%
matchers = studies.table("served", ON_FILE)
PAIR = ["mini-bert", "mini-gpt2"]


def served_with(model, trained):
    """MRR under each way of serving, {name: [s, n]}."""
    ranks = matchers.stack("ranks", model=model, trained=trained).astype(float)  # [s, K, n]
    return {name: 1 / ranks[:, row] for row, name in enumerate(serving_studies.SERVED)}


# %%
def costs(models):
    """MRR served wrongly minus served rightly, in points: rows are the training, columns the serving."""
    table = {}
    for trained in serving_studies.MADE_FOR:
        own = [served_with(model, trained) for model in models]
        table[trained] = {name: 100 * np.mean([one[name] - one[trained] for one in own]) for name in serving_studies.SERVED}
    return pd.DataFrame(table).T


# %% [markdown] tags=["predict"]
# Where will the row of *max* be darkest? And which column would you fear most, if you did not know the row?

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 3.6), sharey=True)
maps = {"mini pair": costs(PAIR), "MiniLM": costs(["minilm"])}
largest = max(one.abs().to_numpy().max() for one in maps.values())
for ax, (title, one) in zip(axes, maps.items(), strict=True):
    sns.heatmap(one, annot=True, fmt=".1f", cmap="PuOr", vmin=-largest, vmax=largest, cbar=False, ax=ax)
    ax.set(title=f"{title}: points of MRR", xlabel="served with", ylabel="trained with")
    ax.grid(False)
    ax.tick_params(axis="x", rotation=30)
cell = maps["mini pair"].stack().idxmin()
figures.show(fig, alt="Two heat maps of points of MRR lost or gained when a matcher trained with one pooling is served with "
                      f"another. On the mini pair the largest loss is {maps['mini pair'].min().min():.1f} points: trained with {cell[0]}, served {cell[1]}.")

# %% [markdown]
# The diagonal is zero by definition. Everything else is what a word in a configuration file does. Trained with the mean or with max, every other way loses much, and both *first* and *last* are columns to fear; only the mean does little harm to a matcher that was made for max. But look at the lower rows. Matchers trained with *first* or *last* are often served *better* by the mean. It is no riddle: a frozen encoder's single token knows little (a GPT-2's first one nothing, chapter 4), and the map, though made for it, still passes on what a better pooling brings. Wrong is not always worse. It is only never what you measured.

# %%
tests = {(model, trained, name): estimate(values[name] - values[trained])
         for model in (*PAIR, "minilm") for trained in serving_studies.MADE_FOR
         for values in [served_with(model, trained)] for name in serving_studies.SERVED if name != trained}
levels = holm([test.p for test in tests.values()])
shown = [(cell, test) for (cell, test), p in zip(tests.items(), levels, strict=True) if p < 0.05]
lost, gained = ([cell for cell, test in shown if (test.effect.value < 0) == sign] for sign in (True, False))
figures.say(f"Of {len(tests)} wrong pairings {len(lost)} are shown to lose, {len(gained)} to gain, and for {len(tests) - len(shown)} no "
            f"difference is shown (Holm over all of them). The gains (model: trained → served): "
            f"{'; '.join(f'{model}: {trained} → {name}' for model, trained, name in gained)}.")

# %% [markdown]
# ## 8.3 Case files
#
# All of these are public threads. We read them as they were stored; what a thread does not say, we do not say either.
#
# | what went wrong | how it showed | where |
# |---|---|---|
# | Padded zeros took part in the max. | Each text got another vector when its batch had a longer one. Repaired, some transfer scores fell. | [InferSent 51](https://github.com/facebookresearch/InferSent/issues/51), [52](https://github.com/facebookresearch/InferSent/pull/52) |
# | CLS pooling took place 0, which is padding if the tokenizer pads on the left. | By reading the code. Now the first *real* token is taken. | [sentence-transformers 3208](https://github.com/UKPLab/sentence-transformers/issues/3208) |
# | A user's own mean changed with the batch size; the library's did not. | Two ways to the same vector, compared. | [sentence-transformers 2569](https://github.com/UKPLab/sentence-transformers/issues/2569) |
# | Padded to the model's full length, and to the longest text: two vectors, cosine 0.35. | The same text, embedded twice. | [m2 43](https://github.com/HazyResearch/m2/issues/43) |
# | A classification head took the token at (number of real tokens − 1): right with padding on the right only. | Found in 2026, the last of a family of such heads. | [transformers 46782](https://github.com/huggingface/transformers/pull/46782) |
# | The file that declares the pooling changed its schema. A server that looked for the old one found nothing, and took the architecture's default without a word. | By comparing with the library. Repaired with a warning. | [vLLM 45995](https://github.com/vllm-project/vllm/issues/45995), [54533](https://github.com/vllm-project/vllm/pull/54533) |
# | A mean-pooled model served by its last token. | A user computed the vectors by hand. | [vLLM 15929](https://github.com/vllm-project/vllm/issues/15929) |
# | A last-token model, served by a container that was set to the mean: reported healthy, 0 of 3 test queries right. On another server, with the last token, 3 of 3. | Three queries with known answers. 1,251 stored vectors to make again. | [crow 355](https://github.com/kh0pper/crow/pull/355) |
# | A server started without a pooling option took the mean for every model. | A check at the start, added then. | [lilbee 382](https://github.com/tobocop2/lilbee/pull/382) |
# | A CLS model served mean-pooled: cosine 0.776; recall@1 55% where CLS gives 65%, recall@3 82% where it gives 100%. | 967 documents of their own, embedded both ways. | [omlx 2594](https://github.com/jundot/omlx/pull/2594) |
# | Two Dense layers after the pooling were skipped: cosine about 0. | By comparing with the library. | [plur 270](https://github.com/plur-ai/plur/issues/270) |
# | A server that reads several texts side by side gave wrong vectors for them, and right ones for a text alone. | A user compared the two. The posts that we read name no cause; in 8.6 the audit finds one in a server with the same symptom. | [llama.cpp 26282](https://github.com/ggml-org/llama.cpp/issues/26282) |
# | Token vectors, averaged by hand, were not what the server's own pooled route gave. | Comparing two routes of one server. The thread does not name the cause; length 1 on one route would explain it. | [text-embeddings-inference 278](https://github.com/huggingface/text-embeddings-inference/issues/278) |
#
# Read the middle column again. Most were found by *comparing two ways to the same vector*, a few by questions with known answers, and none by a health check.
#
# ## 8.4 Detective work
#
# You have the server, and nothing else. What can questions from outside reveal?
#
# ### First test: other neighbours
#
# Toy numbers: a text of two tokens with one number each, 1 and 3. Its mean is 2. Beside a longer text it is filled up, here with zeros.

# %% tags=["nbval-check-output"]
alone, beside = torch.tensor([1.0, 3.0]), torch.tensor([1.0, 3.0, 0.0, 0.0])
alone.mean().item(), beside.mean().item()

# %% [markdown]
# If padding is counted, a text's vector depends on its neighbours. So ask twice: alone, and beside a much longer text.
#
# ### Exercise 8.1 · Does a vector move with its neighbours? ★☆☆ easy, 5 minutes
#
# `embed` takes a list of texts and returns an array [n, d]. Return 1 − cosine between the text's vector when it is asked for alone, and when it is asked for together with the neighbour.

# %% tags=["exercise", "ex-8.1"]
def moves(embed, text, neighbour):
    """a server, two texts -> a number, 0 if nothing moves"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-8.1"]
# `embed([text])[0]` is the one vector, `embed([neighbour, text])[1]` the other. Their lengths may differ, so divide by both: `np.linalg.norm`.

# %% tags=["check", "ex-8.1"]
def counting(texts):
    """A toy server that counts padding: words' lengths, filled up with zeros, their mean and their number."""
    most = max(len(text.split()) for text in texts)
    return np.array([[np.sum([len(word) for word in text.split()]) / most, len(text.split())] for text in texts])


def careful(texts):
    """A toy server that does not."""
    return np.array([[np.mean([len(word) for word in text.split()]), len(text.split())] for text in texts])


one, long = "two words", "a text that has many more words than the other one"
expected = 1 - (np.array([4.0, 2.0]) @ np.array([8 / 11, 2.0])) / np.linalg.norm([4.0, 2.0]) / np.linalg.norm([8 / 11, 2.0])
checks.exercise("8.1", moves, lambda f: {
    "a careful server does not move": (f(careful, one, long), 0.0),
    "one that counts padding does": (f(counting, one, long), expected),
    "the longer of two does not move": (f(counting, long, one), 0.0),
    "a server that scales by the batch does not turn": (f(lambda texts: careful(texts) * len(texts), one, long), 0.0),
})


# %% tags=["solution", "ex-8.1"]
def moves(embed, text, neighbour):
    """a server, two texts -> a number, 0 if nothing moves"""
    alone, beside = embed([text])[0], embed([neighbour, text])[1]
    return float(1 - alone @ beside / np.linalg.norm(alone) / np.linalg.norm(beside))


# %% [markdown]
# ### Second test: what has the token seen?
#
# In a GPT-2 the first token sees itself only (chapter 4). If a server takes it, then every text that begins alike gets the same vector, whatever follows.
#
# ### Exercise 8.2 · Texts that begin alike ★☆☆ easy, 5 minutes
#
# Return the smallest cosine between the vectors of any two of the texts. For texts that begin with the same word and then go different ways, it is 1 under the first token of a causal model.

# %% tags=["exercise", "ex-8.2"]
def least_alike(embed, texts):
    """a server, n texts -> a number"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-8.2"]
# Divide the rows by their lengths; then `vectors @ vectors.T` has all cosines.

# %% tags=["check", "ex-8.2"]
SAME_START = ["The end came late.", "The ship is blue, and so is the sea.", "The dog barks."]
checks.exercise("8.2", least_alike, lambda f: {
    "only the first word": (f(lambda texts: np.array([[len(text.split()[0]), 7.0] for text in texts]), SAME_START), 1.0),
    "opposite vectors": (f(lambda texts: np.array([[0.0, 1.0], [2.0, 0.0], [-3.0, 0.0]]), SAME_START), -1.0),
    "opposite vectors, first and last": (f(lambda texts: np.array([[2.0, 0.0], [0.0, 1.0], [-3.0, 0.0]]), SAME_START), -1.0),
    "lengths do not matter": (f(lambda texts: np.array([[2.0, 2.0], [5.0, 0.0]]), SAME_START[:2]), 0.5**0.5),
})


# %% tags=["solution", "ex-8.2"]
def least_alike(embed, texts):
    """a server, n texts -> a number"""
    vectors = np.array(embed(texts))
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return float((vectors @ vectors.T).min())


# %% [markdown]
# ### Third test: candidates
#
# If you have the model, you need no tricks: make the token states yourself, pool them in each way, and see which vectors the server's are equal to.
#
# ### Exercise 8.3 · Which pooling made it? ★★☆ medium, 10 minutes
#
# Given served vectors [n, d], the token states [n, T, d] with their mask, and some poolings by name: return the name of the pooling whose vectors have the highest mean cosine with the served ones.

# %% tags=["exercise", "ex-8.3"]
def nearest(vectors, states, mask, poolings):
    """[n, d], [n, T, d], bool [n, T], {name: pooling} -> a name"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-8.3"]
# `nn.functional.cosine_similarity(a, b, dim=1)` gives one cosine a row. `max(names, key=…)` finds the best name.

# %% tags=["check", "ex-8.3"]
toy_states = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [9.0, -9.0]], [[1.0, 5.0], [-3.0, 1.0], [0.0, 2.0]]])
toy_mask = torch.tensor([[True, True, False], [True, True, True]])
some = {name: pooling.make(name, 2) for name in ("first", "last", "mean", "max", "weighted_mean")}
checks.exercise("8.3", nearest, lambda f: {
    **{f"made by {name}": f(pool(toy_states, toy_mask), toy_states, toy_mask, some) == name for name, pool in some.items()},
    "lengths do not matter": f(7 * some["max"](toy_states, toy_mask), toy_states, toy_mask, some) == "max",
    "each text counts alike, however long its vector": f(torch.tensor([[2.0, 0.0], [0.0, 100.0]]), toy_states, toy_mask, {
        "a": lambda states, mask: torch.tensor([[1.0, 0.0], [1.0, 3.0]]), "b": lambda states, mask: torch.tensor([[-1.0, 0.0], [0.0, 99.0]])}) == "a",
    "every text counts": f(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), toy_states, toy_mask, {"first": some["first"], "last": some["last"]}) == "first",
})


# %% tags=["solution", "ex-8.3"]
def nearest(vectors, states, mask, poolings):
    """[n, d], [n, T, d], bool [n, T], {name: pooling} -> a name"""
    def likeness(name):
        return nn.functional.cosine_similarity(poolings[name](states, mask), vectors, dim=1).mean()
    return max(poolings, key=likeness)


# %% [markdown]
# ### Three mystery servers
#
# A, B and C serve encoders of this course, each with a mistake of its own. B serves the mini GPT-2; A and C serve MiniLM. Here are the first two tests once more, in our words. Put your own in their place.

# %% [markdown] tags=["predict"]
# Before you look at the table: which of the three tests do you expect to strike at a server that counts padding? At one that takes the first token of a GPT-2? At one that takes max?

# %%
mystery = mysteries.servers(minilm, encoders.load("mini-gpt2"))
QUIET, LONG_ONE = "A quiet film.", "The invoice is due on the last working day of March, unless both sides agree on another date and say so."


def direction(vectors):
    """Vectors of length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def question(embed):
    """Ask a server; hear two answers."""
    moved = 1 - direction(embed([QUIET])[0]) @ direction(embed([LONG_ONE, QUIET])[1])
    starts = direction(embed(SAME_START))
    return {"moves with its neighbours": moved, "least alike, same start": (starts @ starts.T).min()}


# %%
evidence = {name: question(embed) for name, embed in mystery.items()}
figures.table(pd.DataFrame(evidence).T, "What the first two tests say of the three servers", dict.fromkeys(evidence["A"], "{:.3f}"))

# %% [markdown]
# A moves with its neighbours: it counts padding, or does not give the model the mask. B gives texts that begin alike one and the same vector: it takes the first token of a GPT-2. C passes both tests, so call the third witness: the model's own token states.

# %%
own = encoders.encode(minilm, SAME_START, 128)
states, mask = own.padded([0, 1, 2])
answer = torch.as_tensor(mystery["C"](SAME_START))
known = {name: pooling.make(name, minilm.dim)(states, mask) for name in ("first", "last", "mean", "max", "weighted_mean")}
likeness = {name: float(nn.functional.cosine_similarity(own, answer, dim=1).mean()) for name, own in known.items()}
figures.table(pd.Series(likeness, name="cosine").sort_values(ascending=False).to_frame(), "Server C's vectors and each pooling's", {"cosine": "{:.3f}"})

# %% [markdown]
# C takes max. And A: padding counted, or no mask? From outside the two look alike. What could settle it are candidates again, now with the mistakes of padding among them. That is a lot of candidates, and the audit in 8.6 makes them all. Ask it:
#
# `audit.audit(audit.load("minilm"), *served.ask(mystery["A"])).line`
#
# ## 8.5 What a folder declares
#
# How should a server know? A transformer's own files say nothing of a pooling. Save MiniLM with its pooling by sentence-transformers, and look at what is added.

# %%
home = Path(tempfile.mkdtemp())
body = Transformer(str(encoders.folder("minilm")))
SentenceTransformer(modules=[body, Pooling(minilm.dim, "mean"), Normalize()]).save_pretrained(str(home / "minilm"))
sorted(path.relative_to(home).as_posix() for path in home.rglob("*.json"))

# %% [markdown]
# `modules.json` lists the parts; each has a folder with its settings. The pooling is one word in one small file:

# %%
print((home / "minilm" / "1_Pooling" / "config.json").read_text())

# %% [markdown]
# Until version 5.3 that file had a yes or no for each pooling. A server of that time may have looked for the one that says yes, as this toy does.

# %% tags=["nbval-check-output"]
def old_reader(config, default="first"):
    """The pooling that is set to true; the architecture's default if there is none."""
    return next((key for key, value in config.items() if key.startswith("pooling_mode") and value is True), default)


old_reader({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}), old_reader({"pooling_mode": "mean"})

# %% [markdown]
# The new file says *mean*, and the old reader takes the first token. No error, no warning. That is how vLLM's case came about (8.3), and the repair was to read both and to *say so* when neither is found. A default that is taken in silence is a decision that nobody made.
#
# ## 8.6 The audit
#
# `helpers.audit` does the third test in earnest. It reads what a folder declares; asks the server for some texts in one batch, singly, in another order and beside a long one; makes the vectors of some thousand recipes, right and wrong ones; and lays them beside the served ones.

# %%
model = audit.load(str(home / "minilm"))
report = audit.audit(model, *served.ask(server("mean")))
figures.say(f"**{report.status}**: {report.line}.")

# %% [markdown]
# And the server from 8.1 that takes the first token:

# %%
report = audit.audit(model, *served.ask(server("first")))
figures.say(f"**{report.status}**: {report.line}.")
figures.table(report.scores.head(6).set_index("recipe"), "The recipes that come nearest to what is served",
              {"loss": "{:.1e}", "error": "{:.1e}", "same": "{:.0f}"})

# %% [markdown]
# Its columns: the mean and the smallest cosine over the texts, the largest difference of two numbers, and the *loss* that ranks the recipes (half the squared distance, over the recipe's squared length; for vectors of length 1 it is 1 − cosine). *same* counts the other recipes that give the same numbers. For there are mistakes that nobody can see: once a vector has length 1, it is all one whether the sum was divided by n, by √n, or by the padded length.
#
# Try it: choose what a server does, and see what the audit makes of it.

# %%
TRIED = {"mean": recipes.Recipe(("mean",), minilm.layers, normalized=True)}
TRIED |= {name: recipes.Recipe((name,), minilm.layers, normalized=True) for name in ("first", "last", "max", "weighted_mean")}
TRIED |= {f"mean, {name}": recipes.Recipe(("mean",), minilm.layers, padding=name, normalized=True) for name in list(recipes.PADDINGS)[1:5]}
TRIED["mean, not normalized"] = recipes.Recipe(("mean",), minilm.layers)
reports = {name: audit.audit(model, *served.ask(making.server(model, recipe), served.PROBES[:4])) for name, recipe in TRIED.items()}


def unmask(serves):
    """The audit of a server that follows a recipe, as a figure with its description."""
    return audit.draw(reports[serves]), f"A server that does this: {serves}. Verdict, {reports[serves].status}: {reports[serves].line}."


# %% tags=["widget"]
widgets.explore(unmask, serves=ipywidgets.SelectionSlider(options=list(TRIED), value="first", description="it serves", layout={"width": "90%"}))

# %% [markdown]
# The same from a terminal, for a server that speaks HTTP (the OpenAI-compatible API, text-embeddings-inference's or Ollama's):
#
# ```
# python -m helpers.audit MODEL --endpoint http://localhost:8080
# ```
#
# or for vectors that somebody sent you, `--vectors FILE.npy --texts FILE`. Its exit code is 0 (as declared), 1 (not as declared) or 2 (could not be told), so that a deployment can stop on it. And for what sentence-transformers itself makes of a folder:

# %%
code = audit.main([str(home / "minilm"), "--sentence-transformers"])

# %% [markdown]
# ### A server that nobody here wrote
#
# llama.cpp is one of the most used servers there are. We took it from its Python package, gave it SmolLM2, a decoder of 30 layers, and started it with three poolings, each time with one *slot* and with four. A slot holds one text: with four, four texts are read side by side. Then we audited it over HTTP, as you would. SmolLM2 declares no pooling; we said that the mean is expected (`--expect mean`).

# %% [markdown] tags=["predict"]
# Two of the six servers were started with the mean, as expected. Will both be found right?

# %%
llama = pd.read_csv(records.RESULTS / "audit_llama_cpp.csv")
figures.table(llama.set_index(["started with", "slots"])[["verdict", "line"]], f"llama.cpp's server (xllamacpp {llama.version[0]}) with SmolLM2, audited")

# %% [markdown]
# With one slot the mean is right. With four it is not, as soon as a request has several texts. The server reads them in pieces: first as many tokens of each as the shortest has, then further ones of those that are longer. Each piece is pooled, and each takes the place of what was pooled before. What remains of a text is the mean of its last piece. In toy numbers, a text of six tokens beside one of two:

# %% tags=["nbval-check-output"]
text = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
text.mean().item(), text[2:].mean().item()

# %% [markdown]
# And for four texts that are read side by side, with 2, 7, 10 and 20 tokens, as four of the audit's texts have for SmolLM2:

# %%
lengths = [2, 7, 10, 20]
fig, ax = plt.subplots(figsize=(8, 2.2))
for row, length in enumerate(lengths):
    last = lengths[row - 1] if row else 0
    ax.barh(row, last, color="#cccccc", edgecolor="white")
    ax.barh(row, length - last, left=last, color="#0173b2", edgecolor="white")
ax.set(yticks=range(4), yticklabels=[f"{length} tokens" for length in lengths], xlabel="token", title="blue: what is pooled in the end")
ax.invert_yaxis()
ax.grid(axis="y", visible=False)
figures.show(fig, alt="Four texts of 2, 7, 10 and 20 tokens as bars. Pooled are all 2 of the first, the last 5 of the second, the last 3 of the "
                      "third and the last 10 of the fourth.")

# %% [markdown]
# (Which four stand side by side is up to the server, so the last number differs from the table's.) How could the audit know? Alone, every text fitted the mean; in the batch, none of the recipes fitted. So it took the text's own token states once more and pooled them without their first token, without the first two, and so on, until one fitted. The last token is the last token in either case, so the row *last* knows nothing of all this.
#
# The thread in 8.3 reports the same symptom, with other models. This is one version of one program, on one machine: whether *your* server does it, the audit says.
#
# ### Can it be wrong?
#
# Two errors are possible: to accuse a server that is right, and to miss one that is not. The first was tried on servers with random models, poolings, precisions and texts (`python -m benchmarks.audits`):

# %%
trials = pd.read_csv(records.RESULTS / "audit_right_servers.csv")
figures.say(f"Of {len(trials):,} right servers {(trials.verdict == audit.MISPOOLED).sum()} were accused, "
            f"{(trials.verdict == audit.CANNOT_TELL).sum()} could not be told, {(trials.verdict == audit.AGREES).sum()} agreed.")

# %% [markdown]
# For the second look at the margin: how far is the right recipe from the next one, when the server's weights are rounded to few bits? *verdict* is what the audit says by itself; the next column, what it says when it is told of the few bits (`--quantized`). The last one, so told: what it says of a server that takes the weighted mean instead, a pooling near to the mean. (PyTorch's int8 replaces `nn.Linear`, and a GPT-2 in transformers has none.)

# %%
margins = pd.read_csv(records.RESULTS / "audit_margins.csv")
figures.table(margins.set_index(["model", "weights"])[["cosine", "runner-up", "its cosine", "verdict", "with --quantized", "weighted mean served"]],
              "The mean, served with quantized weights: its cosine with the exact one, and the next recipe's", {"cosine": "{:.4f}", "its cosine": "{:.4f}"})

# %%
right_ones, wrong_ones = margins["with --quantized"], margins["weighted mean served"]
figures.say(f"Told of the few bits, it finds {(right_ones == audit.AGREES).sum()} of {len(margins)} right servers right. Of {len(margins)} "
            f"wrong ones it finds {(wrong_ones == audit.AGREES).sum()} right and {(wrong_ones == audit.MISPOOLED).sum()} wrong; "
            f"of {(wrong_ones == audit.CANNOT_TELL).sum()} it says that it cannot tell.")

# %% [markdown]
# The coarser the rounding, the more often it says that it cannot tell. In these trials it was never wrong.
#
# ## 8.7 The same mistake in a model of your own
#
# A classifier has a head, and a head is made for its pooling. Fine-tune the mini BERT with max on film sentences; then let somebody serve it with the mean.

# %%
mini = encoders.load("mini-bert")
MOST = {"train": session.pick(smoke=40, laptop=800, full=4000), "test": session.pick(smoke=40, laptop=600, full=2000)}
film = {split: data.load("rotten_tomatoes", split, session.scale) for split in MOST}
film = {split: part.select(range(min(MOST[split], len(part)))) for split, part in film.items()}

# %%
learn = film["train"]
cut = len(learn) * 4 // 5
rate = grid.SCALES["laptop"].rates["mini-bert"]
tuned = finetuning.fine_tune(mini, pooling.Max(), learn["text"][:], np.array(learn["label"]), np.arange(cut),
                             np.arange(cut, len(learn)), seed=0, rate=rate, max_length=64)

# %% [markdown] tags=["predict"]
# Max was trained. Served are the mean, the first token, the last. Which will cost little, which much? Could you notice it without labels?

# %%
sentences, truth = film["test"]["text"][:], np.array(film["test"]["label"])
says = {}
for name in ("max", "mean", "first", "last"):
    tuned.pooling = pooling.make(name, mini.dim)
    says[name] = tuned.logits(sentences).numpy() > 0

# %%
hit = {name: (found == truth).astype(float)[None] for name, found in says.items()}
lost = {name: contrasts.over_groups(own - hit["max"], np.arange(len(truth))) for name, own in hit.items() if name != "max"}
p_values = dict(zip(lost, holm([test.p for test in lost.values()]), strict=True))
rows = {name: {"accuracy": own.mean(), "called positive": says[name].mean()} for name, own in hit.items()}
for name, test in lost.items():
    rows[name] |= {"points, minus max [95%]": figures.points(test.effect), "corrected p": figures.p_number(p_values[name])}
majority = max(truth.mean(), 1 - truth.mean())
rows["always the commoner answer"] = {"accuracy": majority, "called positive": float(truth.mean() >= 0.5)}

# %%
figures.table(pd.DataFrame(rows).T, f"One mini BERT, fine-tuned with max on {len(learn)} film sentences, served with each pooling; "
              f"{len(truth)} test sentences", {"accuracy": "{:.3f}", "called positive": "{:.2f}"})

# %%
harmless = [name for name in lost if p_values[name] >= 0.05]
figures.say(f"No difference is shown for: {', '.join(f'*{name}*' for name in harmless) or 'none of them'}. "
            f"Lowest: *{min(hit, key=lambda name: hit[name].mean())}*.")

# %% [markdown]
# Did you fear for the mean? So did we, and wrote it down before the run: max's values are larger than the mean's, so the head's bias should be wrong for it. The table does not bear that out. One reason may be the head: ours takes the average over the dimensions and their scale away before it weighs them (chapter 3), and with that most of what max adds. And fine-tuning may have put the verdict into many tokens, so that mean and max see much the same. We did not test either.
#
# The first token was asked for nothing in this training, and says nothing. Look at what such a classifier calls positive: nearly everything. That is a symptom that you can watch without labels. But it is one training on few texts, and the mean here is a mistake with *no* symptom. Not seeing a cost is no proof that there is none: on the questions in 8.2 the map that was trained with max, served with other poolings, did lose.
#
# ## 8.8 Ship it so that others serve it rightly
#
# Declare the pooling in the folder, load the folder again, and audit what comes out.
#
# ### Exercise 8.4 · Declare a pooling ★★☆ medium, 10 minutes
#
# Given the folder of a saved sentence-transformers model and the name of a mode ("mean", "cls", "max", "lasttoken"), make the folder declare that mode, in the schema from 5.4 on. Keep the other settings of the file, except the old keys that begin with `pooling_mode_`.

# %% tags=["exercise", "ex-8.4"]
def declare(folder, mode):
    """a Path, a name -> nothing; the folder's pooling is changed"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-8.4"]
# Which folder is the pooling's? `modules.json` says: the `path` of the module whose `type` ends in "Pooling". Old keys begin with `pooling_mode_`.

# %% tags=["check", "ex-8.4"]
def after(declare, mode, path="1_Pooling", **config):
    """What a folder's Pooling file holds after it was changed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        modules = [{"idx": 0, "path": "", "type": "a.Transformer"}, {"idx": 1, "path": "1_Notes", "type": "a.Notes"},
                   {"idx": 2, "path": path, "type": "a.b.Pooling"}]
        (folder / "modules.json").write_text(json.dumps(modules))
        for other in ("", "1_Notes", path):  # every module has a config.json
            (folder / other).mkdir(exist_ok=True)
            (folder / other / "config.json").write_text(json.dumps(config if other == path else {"of": other}))
        declare(folder, mode)
        return json.loads((folder / path / "config.json").read_text())


checks.exercise("8.4", declare, lambda f: {
    "the mode is there": after(f, "cls", pooling_mode="mean")["pooling_mode"] == "cls",
    "other settings stay": after(f, "max", pooling_mode="mean", include_prompt=False)["include_prompt"] is False,
    "the old keys go": not [key for key in after(f, "cls", pooling_mode_mean_tokens=True, pooling_mode_lasttoken=False)
                            if key.startswith("pooling_mode_")],
    "the folder may have another name": after(f, "cls", path="7_Pool", pooling_mode="mean")["pooling_mode"] == "cls",
})


# %% tags=["solution", "ex-8.4"]
def declare(folder, mode):
    """a Path, a name -> nothing; the folder's pooling is changed"""
    modules = json.loads((folder / "modules.json").read_text())
    path = next(module["path"] for module in modules if module["type"].endswith("Pooling"))
    config = json.loads((folder / path / "config.json").read_text())
    config = {key: value for key, value in config.items() if not key.startswith("pooling_mode_")}
    (folder / path / "config.json").write_text(json.dumps(config | {"pooling_mode": mode}))


# %% [markdown]
# Now the whole way: save MiniLM so that its folder declares *max*, load it again from there, and let a server go on with the mean.

# %%
SentenceTransformer(modules=[body, Pooling(minilm.dim, "max"), Normalize()]).save_pretrained(str(home / "declares-max"))
again = SentenceTransformer(str(home / "declares-max"), local_files_only=True)
changed = audit.load(str(home / "declares-max"))
for embed in (again.encode, server("mean")):
    report = audit.audit(changed, *served.ask(embed, served.PROBES[:4]))
    figures.say(f"**{report.status}**: {report.line}.")

# %% [markdown]
# The library that loads the folder does what it says. The server that was not told does not.
#
# ### Before you ship
#
# 1. The folder declares the pooling (`modules.json`), in the schema that your users' software reads. A GGUF file has a header field for it, `pooling_type`.
# 2. The Dense layers and the normalization stand there too, and the prompts.
# 3. Three questions with known answers are asked of the *running* server, and their ranks are looked at.
# 4. The same text is asked for alone, in a batch, and beside a long one.
# 5. The audit runs in the deployment, and its exit code stops it.
# 6. Stored vectors carry the name of the recipe that made them. When the recipe changes, they are made again.
#
# ### What an audit cannot say
#
# It compares what is served with what is declared. If the declaration itself is wrong (the model was trained with another pooling), the audit agrees with the mistake. Whether a pooling is the *right* one is a question for a task with known answers: that is what the other chapters are for.
#
# This chapter tests no claim of the ledger.
#
# ## Quiz

# %% [markdown] tags=["quiz"]
# 1. All vectors have length 1, and a text's paraphrase is nearer than a stranger. What do you know of the pooling?
#
#    Answer: Next to nothing. Four poolings of MiniLM passed in 8.1, and three of them are wrong for it.
#
# 2. A text's vector changes when a longer text stands beside it. Name two mistakes that do this, and one harmless cause.
#
#    Answer: Padding is counted in the pooling; or the mask is not given to the model. Harmless: half precision rounds otherwise in batches of another size, but then the change is tiny.
#
# 3. Why does it do no harm when a GPT-2 with padding on the right gets no mask and its mean is taken over the real tokens?
#
#    Answer: No token of a causal model sees what stands behind it. A BERT's tokens see the padding.
#
# 4. A server returns vectors of length 1. Can you tell whether it took the mean or the sum?
#
#    Answer: No. They have the same direction. And once the length is 1, nobody is harmed.
#
# 5. The audit says "agrees", and the search is bad. What now?
#
#    Answer: The server does what the folder declares. Perhaps the declaration is wrong, or the prompt is missing, or the model is not made for this task. Measure on questions with known answers.

# %% [markdown]
# ## Further reading
#
# - Reimers and Gurevych (2019), *Sentence-BERT*, [arXiv:1908.10084](https://arxiv.org/abs/1908.10084): its Table 6 compares poolings in training, each served as it was trained.
# - Muennighoff (2022), *SGPT*, [arXiv:2202.08904](https://arxiv.org/abs/2202.08904): why a causal model's later tokens should count more.
# - Xing, Xing and Sun (2024), [arXiv:2411.14654](https://arxiv.org/abs/2411.14654).

# %% [markdown]
# ## Your progress
#
# Which checks of this chapter have you passed? Passed once counts, also when you open the chapter anew.

# %% tags=["progress"]
progress.show("8.1", "8.2", "8.3", "8.4")
