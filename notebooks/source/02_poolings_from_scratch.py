# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2. Poolings from scratch
#
# A transformer reads a text and gives back one vector for every token. A classifier wants one vector for the whole text. The step between them is called *pooling*. It takes one line of code, and that line is wrong surprisingly often.
#
# **After this chapter you will be able to**
#
# - write the heart of each common pooling yourself, and read it as a loop, as one line and as a class;
# - say of six bugs that real projects have shipped what shows them, and repair them;
# - say what each pooling can and cannot express, where its gradient goes, and what it costs;
# - compare ten poolings on real film reviews, with intervals and honest baselines.
#
# **What you need to know**: Python, what a tensor and a gradient are, and chapter 1's reviews and baseline.
#
# | | smoke | laptop | full |
# |---|---|---|---|
# | reading and exercises | – | 2 hours | 2 hours |
# | running all cells | under a minute | about four minutes at the first run, then about one | needs a GPU, and a download |
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
import time

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from torch import nn
from transformers import BertConfig, BertModel

from helpers import checks, data, encoders, evaluation, figures, heads, pooling, progress, widgets

figures.theme()
NAN = float("nan")

# %% [markdown]
# ## 2.1 One vector per token, and a mask
#
# Let us use numbers small enough to check by eye. Two texts, at most four tokens each, and every token state has two dimensions. The first text has three real tokens and the second has two. A tensor must be a full box, so the missing places are filled with *padding*.

# %% tags=["nbval-check-output"]
states = torch.tensor([
    [[1.0, -1.0], [3.0, -3.0], [2.0, -5.0], [0.0, 0.0]],
    [[5.0, -2.0], [7.0, -4.0], [0.0, 0.0], [0.0, 0.0]],
])
states.shape  # [n, T, d]: n texts, T places, d dimensions

# %% [markdown]
# Nothing in `states` says which places are real: a token state may well be zero. A second tensor must say it. We call it the *mask*, and `True` always means *real token*.

# %% tags=["nbval-check-output"]
mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
mask.sum(dim=1)  # [n, T] -> [n]: the number of real tokens

# %% [markdown]
# ## 2.2 Mean pooling
#
# The mean is the most used pooling of all. Written as a loop, it says exactly what we want: visit the real tokens, add them up, divide by how many there were.

# %% tags=["nbval-check-output"]
def mean_by_loop(states, mask):
    rows = []
    for text, real in zip(states, mask, strict=True):
        tokens = [token for token, is_real in zip(text, real, strict=True) if is_real]
        rows.append(sum(tokens) / len(tokens))
    return torch.stack(rows)  # n x [d] -> [n, d]


mean_by_loop(states, mask)

# %% [markdown]
# Loops are slow in Python. PyTorch has `.mean(dim=1)`, which looks like the same thing in one call.

# %% [markdown] tags=["predict"]
# What will `states.mean(dim=1)` give for the second text: `[6, -3]`, as above, or something else? Decide before you run the next cell.

# %% tags=["nbval-check-output"]
states.mean(dim=1)

# %% [markdown]
# The second text came out at half its size. `mean` divided by four places, though only two are real: the two rows of padding were counted as tokens.
#
# ### Bug 1 · Padding inside the mean
#
# A number that is wrong by a constant could be harmless. This one is worse, because it depends on *the other texts in the batch*: the longest of them decides how much padding the rest get. We can say what should hold as a property, and test it: **more padding must change nothing**.

# %% tags=["imports"]
def pad(states, mask, left=0, right=0, value=0.0):
    """Add padded places on either side: [n, T, d] -> [n, left + T + right, d]."""
    more_states = nn.functional.pad(states, (0, 0, left, right), value=value)
    return more_states, nn.functional.pad(mask, (left, right), value=False)


def moved_by_padding(pool, states, mask, **padding):
    """Return the largest change in any pooled number when padding is added."""
    return (pool(*pad(states, mask, **padding)) - pool(states, mask)).abs().max().item()


# %% [markdown]
# Four more padded places: who moves, the shortcut or the loop?

# %% tags=["nbval-check-output"]
def broken_mean(states, mask):
    return states.mean(dim=1)


moved_by_padding(broken_mean, states, mask, right=4), moved_by_padding(mean_by_loop, states, mask, right=4)

# %% [markdown]
# The loop does not move. The shortcut does. In 2024 a user of the `transformers` library noticed just this: vectors pooled by hand changed with the batch size, while those of `sentence-transformers` did not ([sentence-transformers, issue 2569](https://github.com/huggingface/sentence-transformers/issues/2569)).
#
# Padding need not be zero, either. A model writes *something* at every place, and a broken one may even write NaN ("not a number"). That is our second property: **whatever stands in a padded place must not reach the result.**

# %% [markdown]
# ### Exercise 2.1 · Repair the mean ★☆☆ easy, 5 minutes
#
# Write `masked_mean` without a loop. It must give what `mean_by_loop` gives, on any padding, even when the padding holds NaN.

# %% tags=["exercise", "ex-2.1"]
def masked_mean(states, mask):
    """[n, T, d], [n, T] -> [n, d]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-2.1"]
# `mask.unsqueeze(-1)` has shape `[n, T, 1]` and so fits beside the states. Multiplying by it is not enough, because `0 * NaN` is NaN: look up `torch.where` or `Tensor.masked_fill`. Then divide by `mask.sum(dim=1, keepdim=True)`.

# %% tags=["check", "ex-2.1"]
example = torch.tensor([[[1.0, -1.0], [3.0, -3.0], [9.0, 9.0]], [[5.0, -2.0], [0.0, 0.0], [0.0, 0.0]]])
real = torch.tensor([[True, True, False], [True, False, False]])
checks.exercise("2.1", masked_mean, lambda f: {
    "a mean computed by hand": (f(example, real), [[2.0, -2.0], [5.0, -2.0]]),
    "padding on the right changes nothing": (moved_by_padding(f, example, real, right=3), 0.0),
    "padding on the left changes nothing": (moved_by_padding(f, example, real, left=3), 0.0),
    "NaN in the padding stays there": (f(*pad(example, real, right=1, value=NAN)), [[2.0, -2.0], [5.0, -2.0]]),
    "NaN in a real token is not hidden": f(example * NAN, real).isnan().all(),
    "your function leaves its arguments as they were": example[0, 2, 0] == 9.0,
})


# %% tags=["solution", "ex-2.1"]
def masked_mean(states, mask):
    """[n, T, d], [n, T] -> [n, d]"""
    clean = states.masked_fill(~mask.unsqueeze(-1), 0)  # [n, T] -> [n, T, 1], beside [n, T, d]
    return clean.sum(dim=1) / mask.sum(dim=1, keepdim=True)


# %% [markdown]
# ### From a line to a class
#
# From here on a pooling is a `nn.Module`: it can hold weights, move to a GPU, and be swapped for another. The course's own `Mean` does what you just wrote. Two lines are new: it refuses a text without a single token, for which no mean exists, and it adds in float32 whatever the states' own precision is, since the sum of many half-precision numbers loses digits.

# %% tags=["nbval-check-output"]
class Mean(nn.Module):
    def forward(self, states, mask):
        if not mask.any(dim=1).all():                                      # new: nothing to average
            raise ValueError("A row of the mask has no real token.")
        clean = states.masked_fill(~mask.unsqueeze(-1), 0).float()         # new: add in float32
        return (clean.sum(dim=1) / mask.sum(dim=1, keepdim=True)).to(states.dtype)


Mean()(states, mask)

# %% [markdown]
# ## 2.3 Max pooling
#
# Max pooling keeps, in each dimension, the largest value that any token has. It answers "did anything in this text switch this feature on?" and forgets how often. One call does it: `states.max(dim=1).values`.

# %% [markdown] tags=["predict"]
# Look at the second dimension of our toy states: all real values are negative. We zero the padding first, as we did for the mean, and then take the maximum. What will it give there, and what should it give?

# %% tags=["nbval-check-output"]
def broken_max(states, mask):
    return states.masked_fill(~mask.unsqueeze(-1), 0).max(dim=1).values


broken_max(states, mask)

# %% [markdown]
# ### Bug 2 · Zeros inside the max
#
# We even used the mask, and it is still wrong. Zero is neutral for a sum, so zeroing the padding repaired the mean. For a maximum zero is a *competitor*: it beat every negative value. The right answers are −1 and −2, and no token of either text holds the 0 that we got.
#
# Does our property see it? Not in this box: each text has padding already, so one zero more changes nothing. It needs a text *without* padding.

# %% tags=["nbval-check-output"]
full_text = states[1:, :2], mask[1:, :2]  # the second text alone: [1, 2, d], [1, 2]
moved_by_padding(broken_max, states, mask, right=4), moved_by_padding(broken_max, *full_text, right=1)

# %% [markdown]
# A property is only as good as the examples that it is tried on. Whoever tests with padded texts alone never meets this bug.
#
# This is the bug of InferSent, one of the best-known sentence encoders of its time: padded zeros took part in its max pooling ([InferSent, issue 51](https://github.com/facebookresearch/InferSent/issues/51)). Section 2.7 returns to it, because the story has a twist.

# %% [markdown]
# ### Exercise 2.2 · Repair the max ★☆☆ easy, 5 minutes
#
# Which value can never win a maximum?

# %% tags=["exercise", "ex-2.2"]
def masked_max(states, mask):
    """[n, T, d], [n, T] -> [n, d]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-2.2"]
# `float("-inf")` is smaller than every number. `Tensor.masked_fill` puts it in place.

# %% tags=["check", "ex-2.2"]
example = torch.tensor([[[-1.0, -3e30], [-3.0, -2e30], [0.0, 0.0]], [[-2.0, 4.0], [0.0, 0.0], [0.0, 0.0]]])
real = torch.tensor([[True, True, False], [True, False, False]])
unpadded = example[:1, :2], real[:1, :2]
checks.exercise("2.2", masked_max, lambda f: {
    "a maximum found by hand, all values negative": (f(example, real), [[-1.0, -2e30], [-2.0, 4.0]]),
    "padding on the right of a full text changes nothing": (moved_by_padding(f, *unpadded, right=3), 0.0),
    "padding on the left of a full text changes nothing": (moved_by_padding(f, *unpadded, left=3), 0.0),
    "NaN in the padding stays there": (f(*pad(example, real, right=1, value=NAN)), [[-1.0, -2e30], [-2.0, 4.0]]),
    "your function leaves its arguments as they were": example[0, 2, 0] == 0.0,
})


# %% tags=["solution", "ex-2.2"]
def masked_max(states, mask):
    """[n, T, d], [n, T] -> [n, d]"""
    return states.masked_fill(~mask.unsqueeze(-1), float("-inf")).max(dim=1).values


# %% [markdown]
# ## 2.4 One token for all: first and last
#
# Some poolings pick a single token. BERT puts a special token, [CLS], in front of each text for this very purpose (and another one, [SEP], behind it). GPT-2 reads from left to right, so only its *last* token has seen the whole text. Picking looks trivial: index 0, or index −1.

# %% tags=["nbval-check-output"]
def broken_last(states, mask):
    return states[:, -1]  # [n, T, d] -> [n, d]


broken_last(states, mask)

# %% [markdown]
# ### Bug 3 · The last token is padding
#
# Both texts are shorter than the box, so index −1 read padding, twice. With padding on the left, index 0 does the same to *first*. Nothing fails. The vectors have the right shape, and they hold whatever the model wrote in a place that stands for nothing.
#
# This bug has many homes. `sentence-transformers` returned padding for [CLS] under left padding until 2026 ([issue 3208](https://github.com/huggingface/sentence-transformers/issues/3208)). In `transformers`, BioGPT's classification head took the wrong token under left padding, silently, until 2026 as well ([pull request 46782](https://github.com/huggingface/transformers/pull/46782)). A well-loved textbook was asked about it too ([LLMs-from-scratch, issue 990](https://github.com/rasbt/LLMs-from-scratch/issues/990)).
#
# A popular repair counts the real tokens and takes index `count - 1`. Try it in your head on a text that is padded on the *left*.

# %% [markdown]
# ### Exercise 2.3 · The last real token, wherever the padding is ★★☆ medium, 10 minutes
#
# Return the state of the last real token of each text. It must work with padding on the right, on the left, and on both sides.

# %% tags=["exercise", "ex-2.3"]
def last_token(states, mask):
    """[n, T, d], [n, T] -> [n, d]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-2.3"]
# `mask.int().argmax(dim=1)` finds the *first* real token. Turn the mask around with `Tensor.flip(1)` to find the last, and turn its place back. To read one place per row: `states[torch.arange(len(states)), place]`.

# %% tags=["check", "ex-2.3"]
example = torch.tensor([[[1.0], [2.0], [3.0], [9.0]], [[4.0], [5.0], [8.0], [9.0]]])
real = torch.tensor([[True, True, True, False], [True, True, False, False]])
checks.exercise("2.3", last_token, lambda f: {
    "padding on the right": (f(example, real), [[3.0], [5.0]]),
    "padding on the left": (f(example.flip(1), real.flip(1)), [[1.0], [4.0]]),
    "padding on both sides": (f(*pad(example, real, left=2, right=1, value=NAN)), [[3.0], [5.0]]),
    "no padding at all": (f(example, torch.ones_like(real)), [[9.0], [9.0]]),
})


# %% tags=["solution", "ex-2.3"]
def last_token(states, mask):
    """[n, T, d], [n, T] -> [n, d]"""
    from_the_end = mask.int().flip(1).argmax(dim=1)  # [n]: 0 where the last place is real
    place = mask.shape[1] - 1 - from_the_end
    return states[torch.arange(len(states)), place]  # [n, T, d], [n] -> [n, d]


# %% [markdown]
# ## 2.5 Let the data choose the weights
#
# Mean gives each token the weight 1/n. *First* and *last* give one token all the weight. Why not let training choose? We score each token, and a softmax turns the scores into weights that are positive and sum to 1. This is the *weighted sum* of the paper that started this course ([Xing, Xing and Sun 2024](https://arxiv.org/abs/2411.14654)), and with a learned query it is attention in its simplest form.

# %% tags=["nbval-check-output"]
scores = torch.tensor([[0.0, 1.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]])  # [n, T]
weights = scores.softmax(dim=1)
weights, weights[1][mask[1]].sum()

# %% [markdown]
# ### Bug 4 · A softmax without a mask
#
# In the second text each real token should weigh one half. It weighs one quarter: padding took the other half of the weight. Since `exp(0)` is 1, a score of zero is no low score at all. Setting the weights of the padding to zero *afterwards* hides half of the bug: the weights that remain no longer sum to 1, so short texts get short vectors.
#
# Real case: a text classifier's attention over labels counted padding until 2026 ([torchTextClassifiers, pull request 96](https://github.com/InseeFrLab/torchTextClassifiers/pull/96)).

# %% [markdown]
# ### Exercise 2.4 · A softmax that knows the mask ★★☆ medium, 5 minutes
#
# Turn scores into weights. The weights of real tokens sum to 1, and padding gets exactly 0, whatever its score was.

# %% tags=["exercise", "ex-2.4"]
def masked_softmax(scores, mask):
    """[n, T], [n, T] -> [n, T]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-2.4"]
# What has to stand in a padded place *before* the softmax, so that its exponential is 0? `Tensor.masked_fill` again, then `.softmax(dim=1)`.

# %% tags=["check", "ex-2.4"]
example = torch.tensor([[0.0, 0.0, 7.0], [-50.0, NAN, NAN]])
real = torch.tensor([[True, True, False], [True, False, False]])
checks.exercise("2.4", masked_softmax, lambda f: {
    "equal scores give equal weights, padding gives 0": (f(example, real), [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]),
    "the weights sum to 1": (f(example, real).sum(dim=1), [1.0, 1.0]),
    "a score higher by log 3 weighs three times as much": (
        f(torch.tensor([[0.0, np.log(3)]]), torch.tensor([[True, True]])), [[0.25, 0.75]]),
    "a very low score": (f(torch.tensor([[-2e3, 9.0]]), torch.tensor([[True, False]])), [[1, 0]]),
    "two very high scores": (f(torch.tensor([[1e3, 1e3]]), torch.tensor([[True, True]])), [[0.5, 0.5]]),
    "the lowest score of all": (f(torch.tensor([[-1e30, 9.0]]), torch.tensor([[True, False]])), [[1, 0]]),
    "your function leaves its arguments as they were": example[0, 2] == 7.0,
})


# %% tags=["solution", "ex-2.4"]
def masked_softmax(scores, mask):
    """[n, T], [n, T] -> [n, T]"""
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=1)


# %% [markdown]
# Now the class. A score has two parts: one learned number for each *position*, and the match of the token's *content* with a learned query. Both start at zero. Then all scores are equal, so all weights are 1/n, and the weighted sum begins its life as the mean.

# %% tags=["nbval-check-output"]
class WeightedSum(nn.Module):
    def __init__(self, dim, positions=512):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(dim))                        # new: what to look for
        self.position_score = nn.Parameter(torch.zeros(positions))         # new: where to look

    def forward(self, states, mask):
        clean = states.masked_fill(~mask.unsqueeze(-1), 0)
        place = (mask.cumsum(dim=1) - 1).clamp(min=0)                      # [n, T]: counts real tokens only
        scores = clean @ self.query + self.position_score[place]           # [n, T, d] @ [d] -> [n, T]
        weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=1)
        return (weights.unsqueeze(1) @ clean).squeeze(1)                   # [n, 1, T] @ [n, T, d] -> [n, d]


WeightedSum(dim=2)(states, mask)

# %% [markdown]
# ## 2.6 Weights by position, and a mask for the model
#
# A causal model knows more at each step, so a fixed rule suggests itself: weights 1, 2, 3, … from the first token to the last. This *weighted mean* was made for GPT-like encoders (SGPT, [arXiv:2202.08904](https://arxiv.org/abs/2202.08904)).

# %%
def broken_weighted_mean(states, mask):
    weights = torch.arange(1.0, mask.shape[1] + 1) * mask                   # [T] * [n, T] -> [n, T]
    return (weights.unsqueeze(-1) * states).sum(dim=1) / weights.sum(dim=1, keepdim=True)


# %% [markdown] tags=["predict"]
# The weights of padding are zeroed and the rest are divided by their sum. Does this one survive padding on the right? On the left?

# %% tags=["nbval-check-output"]
right = moved_by_padding(broken_weighted_mean, states, mask, right=4)
left = moved_by_padding(broken_weighted_mean, states, mask, left=4)
round(right, 4), round(left, 4)

# %% [markdown]
# ### Bug 5 · Weights that count padded places
#
# Padding on the right is harmless, as long as it holds finite numbers. Padding on the left shifts each real token to a higher weight: a text that began with the weights 1 and 2 now has 5 and 6, which is nearly a plain mean. A test that pads on one side only would have passed.
#
# The weights must count *real tokens*, not places. `sentence-transformers` counted places in earlier versions. We will see below what the installed version does.

# %% [markdown]
# ### Exercise 2.5 · Weights that count real tokens ★★☆ medium, 10 minutes
#
# Return the weights 1, 2, 3, … over the real tokens, divided by their sum, and 0 in padded places.

# %% tags=["exercise", "ex-2.5"]
def position_weights(mask):
    """[n, T] -> [n, T]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-2.5"]
# `mask.cumsum(dim=1)` counts the real tokens seen so far. What does it say in a padded place after the last real token?

# %% tags=["check", "ex-2.5"]
right_padded = torch.tensor([[True, True, False, False], [True, True, True, False]])
left_padded = torch.tensor([[False, False, True, True], [False, True, True, True]])
checks.exercise("2.5", position_weights, lambda f: {
    "padding on the right": (f(right_padded), [[1 / 3, 2 / 3, 0, 0], [1 / 6, 2 / 6, 3 / 6, 0]]),
    "padding on the left": (f(left_padded), [[0, 0, 1 / 3, 2 / 3], [0, 1 / 6, 2 / 6, 3 / 6]]),
    "one token gets all the weight": (f(torch.tensor([[False, True, False]])), [[0, 1, 0]]),
})


# %% tags=["solution", "ex-2.5"]
def position_weights(mask):
    """[n, T] -> [n, T]"""
    weights = mask.cumsum(dim=1) * mask  # the count goes on after the last real token, so the mask ends it
    return weights / weights.sum(dim=1, keepdim=True)


# %% [markdown]
# ### Bug 6 · The mask never given to the model
#
# All repairs so far were in the pooling. The last bug sits before it. A transformer's tokens look at each other, and without a mask the real tokens look at the padding too. Then their states are already spoiled, and no pooling can repair them.
#
# We need a real model to see it. MiniLM is a BERT with six layers, trained to give good sentence vectors. `encoders.load` checks its file against a fixed fingerprint before it believes it.

# %%
ENCODER = session.pick(smoke="minilm", laptop="minilm", full="bert-base")
encoder = encoders.load(ENCODER)
sentence = "A film so slow that even the popcorn fell asleep."
tokens = encoder.tokenizer(sentence, return_tensors="pt")
tokens["input_ids"].shape  # [n, T]

# %% [markdown]
# We add padding behind the sentence, more and more of it, once with the mask and once without. We pool over the same real tokens each time, and compare with the vector of the sentence alone.

# %%
@torch.inference_mode()
def vector(extra, give_mask):
    """Return the mean of the sentence's token states when `extra` padded places follow it: [d]."""
    ids = nn.functional.pad(tokens["input_ids"], (0, extra), value=encoder.tokenizer.pad_token_id)
    real = nn.functional.pad(tokens["attention_mask"], (0, extra))
    output = encoder.model(ids.to(session.device), real.to(session.device) if give_mask else None)
    return pooling.Mean()(output.last_hidden_state.cpu(), real.bool())[0]


# %% [markdown] tags=["predict"]
# How far can padding turn the vector when the mask is missing? Guess the cosine similarity to the right vector at 100 padded places: 0.99, 0.9, or lower?

# %%
EXTRA = [0, 5, 10, 20, 50, 100, 200]
alone = vector(0, give_mask=True)
cosine = pd.DataFrame({
    label: {extra: torch.cosine_similarity(vector(extra, given), alone, dim=0).item() for extra in EXTRA}
    for label, given in {"with the mask": True, "without the mask": False}.items()
})
unmasked = cosine["without the mask"]

# %% [markdown]
# The same numbers as a picture.

# %%
fig, ax = plt.subplots()
sns.lineplot(cosine, markers=True, dashes=False, ax=ax)
ax.set(xlabel="padded places behind the sentence", ylabel="cosine to the right vector", ylim=(0, 1.05))
ax.legend(title="the model runs", loc="lower left")
figures.show(fig, alt=(
    "Line chart. With the mask the cosine stays at 1. "
    f"Without it, it falls to {unmasked.iloc[-1]:.2f} at {EXTRA[-1]} padded places."
))

# %%
figures.say(
    f"With the mask the vector does not move. Without it the cosine is **{unmasked[100]:.2f}** at 100 "
    f"padded places and **{unmasked[200]:.2f}** at 200: same sentence, same weights, another vector."
)

# %% [markdown]
# Two public cases: a retriever for mathematical proofs gave four different rankings when it was run with different batch sizes; the mask had not been passed ([ReProver, issue 34](https://github.com/lean-dojo/ReProver/issues/34)). A long-context encoder gave a cosine of 0.35 between the same sentence padded and not padded ([M2, issue 43](https://github.com/HazyResearch/m2/issues/43)).

# %% [markdown]
# ### Exercise 2.6 · Give the mask to both ★★☆ medium, 10 minutes
#
# Given a model, token ids and a mask, return the mean of the real token states, so that padding behind a text cannot matter. The checks use a tiny BERT with random weights. (Padding *before* a text moves it to other positions; for a model with absolute positions that needs `position_ids` too. Pad on the right, and you are spared that.)

# %% tags=["exercise", "ex-2.6"]
def embed(model, ids, mask):
    """A model, [n, T] of int, [n, T] of bool -> [n, d]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-2.6"]
# `model(input_ids=…, attention_mask=…)` usually takes the mask as numbers (`mask.long()`). Its answer is an object: take its `.last_hidden_state`. Then pool with the same mask, for instance with `pooling.Mean()`.

# %% tags=["ex-2.6"]
torch.manual_seed(0)
small = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
tiny = BertModel(BertConfig(**small, intermediate_size=32)).eval()
tiny_ids, tiny_real = torch.tensor([[5, 6, 7]]), torch.ones(1, 3, dtype=torch.bool)
tiny_padded = nn.functional.pad(tiny_ids, (0, 5)), nn.functional.pad(tiny_real, (0, 5))
two_ids, two_real = torch.tensor([[5, 6, 7, 0], [8, 9, 0, 0]]), torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]]).bool()

# %% tags=["check", "ex-2.6"]
with torch.no_grad():
    verdict = checks.exercise("2.6", embed, lambda f: {
        "the mean of the three states": (f(tiny, tiny_ids, tiny_real), tiny(tiny_ids).last_hidden_state.mean(dim=1)),
        "padding behind the text changes nothing": (f(tiny, *tiny_padded), f(tiny, tiny_ids, tiny_real)),
        "a shorter text beside it": (f(tiny, two_ids, two_real)[1], tiny(two_ids[1:, :2]).last_hidden_state[0].mean(dim=0)),
    })
verdict


# %% tags=["solution", "ex-2.6"]
def embed(model, ids, mask):
    """A model, [n, T] of int, [n, T] of bool -> [n, d]"""
    states = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    return pooling.Mean()(states, mask)


# %% [markdown]
# ## 2.7 Does it match a library that many people trust?
#
# You have now met the ideas behind the course's `helpers/pooling.py`: one class for each pooling, all with the same call. (One name below is new: `mean_sqrt_len` divides the sum by √n in place of n.) Before we build on it we compare it with `sentence-transformers`, on random states with random padding. The largest difference of any number is shown.

# %%
try:
    from sentence_transformers.sentence_transformer.modules import Pooling as LibraryPooling
except ModuleNotFoundError:  # older versions, as Colab may have one
    from sentence_transformers.models import Pooling as LibraryPooling

SAME = {
    "cls": "first", "lasttoken": "last", "mean": "mean", "max": "max",
    "mean_sqrt_len_tokens": "mean_sqrt_len", "weightedmean": "weighted_mean",
}
generator = torch.Generator().manual_seed(0)
random_states = torch.randn(16, 12, 8, generator=generator)
lengths = torch.randint(1, 13, (16, 1), generator=generator)
right_mask = torch.arange(12) < lengths  # [T] < [n, 1] -> [n, T]


# %%
def library(mode, states, mask):
    features = {"token_embeddings": states, "attention_mask": mask.long()}
    return LibraryPooling(states.shape[-1], mode)(features)["sentence_embedding"]


def difference(mode, mask):
    ours = pooling.make(SAME[mode], dim=8)(random_states, mask)
    return (ours - library(mode, random_states, mask)).abs().max().item()


# %% [markdown]
# Six modes, padding on either side. Turning the mask around puts the padding on the left.

# %%
sides = {"padding right": right_mask, "padding left": right_mask.flip(1)}
parity = pd.DataFrame({side: {mode: difference(mode, m) for mode in SAME} for side, m in sides.items()})
figures.table(parity, "Largest difference between the course and sentence-transformers", dict.fromkeys(sides, "{:.0e}"))

# %%
figures.say(
    f"The largest difference is **{parity.max().max():.0e}**. Rounding in float32 is of that size, so the two agree "
    "in all six modes, on both sides. Earlier versions of the library failed under left padding in *cls* and in "
    "*weightedmean*: bugs 3 and 5 have since been mended there."
    if parity.max().max() < 1e-6 else
    f"The largest difference is **{parity.max().max():.0e}**, more than rounding: this version of the library "
    "pools differently from the course. The table shows in which mode and on which side."
)

# %% [markdown]
# One difference remains. The library multiplies by the mask, and `0 * NaN` is NaN. If a model ever writes NaN into a padded place, the library's mean is lost and ours is not.

# %% tags=["nbval-check-output"]
spoiled = states.masked_fill(~mask.unsqueeze(-1), NAN)
library("mean", spoiled, mask).isnan().any().item(), pooling.Mean()(spoiled, mask).isnan().any().item()

# %% [markdown]
# ### The twist: when a repair makes the score worse
#
# Back to InferSent and its padded zeros. Users mended the max, trained again, and *some scores fell*: those on film reviews (MR) and product reviews (CR). Others rose. A second model with the repair was released all the same ([pull request 52](https://github.com/facebookresearch/InferSent/pull/52)). It also had new word vectors, so its scores alone cannot say what the repair did.
#
# What should we think? A score is not a proof. A bug can act like a feature: zeros in a max clip every dimension from below, and that may suit a data set. But the buggy vector depends on its neighbours in the batch, so the same text gets different vectors on different days. Repair the bug. If the clipping helped, write it down as a method of its own and test it.
#
# How often does the bug touch a vector at all? Let us count on real texts, whole reviews and single sentences.

# %%
LENGTH = session.pick(smoke=64, laptop=256, full=256)
few = session.pick(smoke=16, laptop=200, full=200)


def share_changed(name):
    """Return the share of pooled numbers that one padded zero would change."""
    texts = data.load(name, "train", session.scale).select(range(few))["text"]
    largest = pooling.pool_all(pooling.Max(), encoders.encode(encoder, texts, LENGTH))  # [n, d]
    return (largest < 0).float().mean().item()


# %% [markdown] tags=["predict"]
# A padded zero changes a dimension when every real token is negative in it. Will that be more frequent in whole reviews or in single sentences?

# %%
whole, single = share_changed("imdb"), share_changed("rotten_tomatoes")
figures.say(
    f"One padded zero changes **{whole:.1%}** of the numbers in the vectors of whole reviews, and **{single:.1%}** in "
    f"those of single sentences: {whole * encoder.dim:.1f} and {single * encoder.dim:.1f} of {encoder.dim} dimensions."
)

# %% [markdown]
# The more tokens, the surer it is that one of them is positive. So the same bug can be nearly invisible on one data set and plainer on another, and on a model with other states it may be everywhere. The property, tried on a text without padding, finds it on both.
#
# ## 2.8 Where does the gradient go?
#
# Training changes a model through gradients. Pooling decides which tokens receive them. We take a real sentence, pool it, and ask how strongly each token's state pulls on the result.

# %%
def gradient_share(pool, text):
    """Return each token's share of the gradient's absolute size: [T]."""
    states = encoders.encode(encoder, [text], LENGTH)[0].float().unsqueeze(0).requires_grad_()  # [1, T, d]
    pool(states, torch.ones(states.shape[:2], dtype=torch.bool)).sum().backward()
    return (states.grad.abs().sum(dim=-1) / states.grad.abs().sum())[0]


# %% [markdown] tags=["predict"]
# Ten words or so, and a few hundred dimensions. How many tokens will receive a gradient under mean? Under max? Under last?

# %%
words = encoder.tokenizer.convert_ids_to_tokens(tokens["input_ids"][0])
FOUR = ("mean", "max", "last", "weighted_mean")
shown = {name: gradient_share(pooling.make(name, encoder.dim), sentence) for name in FOUR}

# %% [markdown]
# Each bar is one token's share; the bars of a panel sum to 1.

# %%
fig, axes = plt.subplots(1, 4, figsize=(9, 4), sharey=True)
for ax, (name, share) in zip(axes, shown.items(), strict=True):
    ax.barh(range(len(words)), share)
    ax.set(title=name, xlabel="share of gradient")
axes[0].set_yticks(range(len(words)), words)
axes[0].invert_yaxis()
figures.show(fig, alt=(
    "Four bar charts of the gradient per token. Mean: all bars equal. Max: uneven, the longest at "
    f"{words[int(shown['max'].argmax())]}. Last: one bar only. Weighted mean: bars that grow towards the end."
))

# %% [markdown]
# Mean shares its gradient out evenly, 1/n to each token, whether the token matters or not. Max sends each dimension's gradient to the one token that won it: at most *d* tokens learn anything from a text, and of a short one perhaps all, in unequal parts (mind that each panel has an axis of its own). *Last* teaches one place and relies on attention to carry the rest. In a long text this matters: with max, a token that never wins gets no direct gradient. It learns only through the attention of those that win.

# %%
long_text = data.load("imdb", "train", session.scale)[0]["text"]
shares = {name: gradient_share(pooling.make(name, encoder.dim), long_text) for name in FOUR}
receives = {name: int((share > 0).sum()) for name, share in shares.items()}
figures.say(
    f"In one whole review of {len(shares['mean'])} tokens, **{receives['mean']}** tokens receive a gradient under "
    f"mean, **{receives['max']}** under max (at most {encoder.dim}, one for each dimension), and "
    f"**{receives['last']}** under last."
)

# %% [markdown]
# ## 2.9 Geometry: what can a pooling express?
#
# Take a text of six tokens in two dimensions, so that we can draw it. Each weighted sum with positive weights that sum to 1 lies *inside* the shape that the tokens span (their convex hull). Max takes each coordinate from another token, and so it can lie *outside*, where no mixture of tokens ever is.
#
# Between the two runs a path. The *generalised mean* has one number, the power p: raise all values to p, average, take the p-th root. At p = 1 it is the mean. As p grows, large values count more, and in the limit only the largest counts: max. Powers need values that are not negative, so the course's version first shifts each dimension by its minimum over the text, and shifts back after.

# %%
cloud = torch.tensor([[[0.5, 2.6], [1.0, 0.8], [2.2, 1.4], [2.9, 2.0], [3.6, 0.4], [1.6, 1.9]]])  # [1, T, 2]
everything = torch.ones(1, 6, dtype=torch.bool)
hull = cloud[0][[0, 1, 4, 3]]  # the corners, in order


path = torch.cat([pooling.GeneralizedMean(p)(cloud, everything) for p in np.geomspace(1, 200, 60)])  # [60, 2]

# %% [markdown]
# The next cell only draws. The region of all weighted sums is shaded, and the line is the path of the generalised mean.

# %%
def draw_path(p):
    fig, ax = plt.subplots(figsize=(6, 4.2))
    ax.fill(*hull.T, alpha=0.15, label="all weighted sums")
    ax.scatter(*cloud[0].T, s=60, label="tokens")
    ax.plot(*path.T, color=figures.INK, linewidth=1, label="generalised mean")
    for name, marker in (("mean", "s"), ("max", "^")):
        ax.scatter(*pooling.make(name, 2)(cloud, everything)[0], marker=marker, s=110, zorder=3, label=name)
    ax.scatter(*pooling.GeneralizedMean(p)(cloud, everything)[0], marker="*", s=220, zorder=4, label=f"p = {p:g}")
    ax.set(xlabel="dimension 1", ylabel="dimension 2")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return fig, (
        "Six tokens as points and the region of their weighted sums. The mean lies inside it, the max outside, at "
        f"the upper right. The generalised mean runs from one to the other, with a star at p = {p:g}."
    )


# %% [markdown] tags=["predict"]
# The star is the generalised mean. Where is it at p = 3: nearer to the mean or to the max? How large must p be to be almost at the max? Move the slider and see (the cell after it has an answer).

# %% tags=["widget"]
widgets.explore(
    draw_path,
    p=ipywidgets.FloatLogSlider(value=3, base=10, min=0, max=2.3, step=0.1, description="power p"),
)

# %%
mean, top = path[0], pooling.Max()(cloud, everything)[0]
gone = {p: (pooling.GeneralizedMean(p)(cloud, everything)[0] - mean).norm() / (top - mean).norm() for p in (3, 50)}
figures.say(f"At p = 3 the star has gone {gone[3]:.0%} of the way from mean to max, at p = 50 {gone[50]:.0%}.")

# %% [markdown]
# The containments are worth knowing by heart, because they tell you what training could find at best:
#
# - the weighted sum **contains** the mean (all scores equal), and comes as close as you like to *first* and *last* (one score far above the rest);
# - the weighted sum does **not** contain max: no weights reach a point outside the hull;
# - the generalised mean contains the mean and comes as close to max as you like.
#
# More freedom does not mean better results: what can be expressed must also be *learned*, from a finite number of labels.
#
# ### All ten
#
# These are the poolings of `helpers/pooling.py`. You have written the heart of most of them; the others are combinations of the same ideas. $h_i$ is the state of real token $i$ of $n$, and $d$ the number of dimensions.
#
# | name | the vector | learned numbers |
# |---|---|---|
# | `first`, `last` | the state of one token: in BERT [CLS] and [SEP], in GPT-2 the first and the last of the text | none |
# | `mean` | $\frac1n\sum h_i$ | none |
# | `max` | in each dimension the largest value | none |
# | `mean_sqrt_len` | $\frac{1}{\sqrt n}\sum h_i$: the mean, but longer for longer texts | none |
# | `weighted_mean` | $\sum i\,h_i / \sum i$ | none |
# | `generalized_mean` | the power mean, here with p = 3 | none |
# | `concat` | mean and max side by side, $2d$ numbers | none |
# | `weighted_sum` | softmax weights from position and content | a query of $d$, and 512 positions |
# | `attention` | four weighted sums, each with a query of its own, each for a quarter of the dimensions | $4d$ |
#
# ## 2.10 What does it cost?
#
# Pooling is cheap beside the transformer in front of it. We time each pooling on one batch and compare it with encoding the same number of tokens.

# %%
def seconds(run, repeats=5):
    """Return the fastest of a few runs: other programs can only make a run slower."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


# %% [markdown]
# One batch of eight texts for all of them, every place real.

# %%
batch = torch.randn(8, LENGTH, encoder.dim, generator=generator)
all_real = torch.ones(8, LENGTH, dtype=torch.bool)
some_ids = torch.randint(1000, 2000, (8, LENGTH), generator=generator).to(session.device)

# %%
with torch.inference_mode():
    encoding = seconds(lambda: encoder.model(some_ids).last_hidden_state.cpu(), repeats=2)
    pools = {name: pooling.make(name, encoder.dim) for name in pooling.NAMES}
    cost = pd.DataFrame({
        "learned numbers": {name: sum(p.numel() for p in pool.parameters()) for name, pool in pools.items()},
        "share of encoding time": {
            name: seconds(lambda pool=pool: pool(batch, all_real)) / encoding for name, pool in pools.items()
        },
    })

# %% [markdown]
# The table has the learned numbers of each pooling, and its time as a share of the encoder's.

# %%
formats = {"learned numbers": "{:,}", "share of encoding time": "{:.2%}"}
figures.table(cost, f"Cost of each pooling beside {ENCODER}, {LENGTH} tokens a text", formats)
figures.say(
    f"The dearest pooling here takes **{cost['share of encoding time'].max():.1%}** of the time that encoding takes. "
    "So do not choose a pooling for its speed, and encode only once: keep the token states, and pool them as often "
    "as you like."
)

# %% [markdown]
# ## 2.11 Ten poolings on real reviews
#
# Now the main job, end to end: real reviews → token states → each pooling → a *probe* → accuracy with an interval. A probe is the simplest possible classifier (one linear unit) on a frozen encoder. The weights of the two learned poolings train together with it.
#
# We decide before we look (the numbers are those of the scale `laptop`):
#
# - **Texts.** Whole reviews (`imdb`), the first 256 tokens. A validation part of its own chooses when to stop. The test part is read once, for this table.
# - **Seeds.** Five. Each draws its own 1,500 labelled texts from 1,750 of the training part, and its own order. The draws overlap, so the spread over seeds understates the luck of the draw.
# - **Same protocol** for each pooling: each dimension is scaled to mean 0 and spread 1, and the optimizer, its largest number of steps and its stopping rule are the same.
# - **Comparison.** Each method against the mean, with a bootstrap interval that is *paired*: each resampled text brings both results along. The test is McNemar's (chapter 1) on the majority vote of the five seeds. A dozen tests find something by chance more easily than one does, so *Holm's method* raises the p values. An effect counts when its corrected p is below 0.05. The interval may leave out zero while the verdict is still "no detectable difference": it is not corrected, and it averages over the five seeds, where the test compares their votes. We go by the verdict.
# - **Baselines.** The majority class, and TF-IDF with logistic regression, which knows nothing of transformers. MiniLM reads 256 tokens of a review; so the fair baseline reads the same part of it. The one that reads whole reviews shows what truncation costs.

# %%
LABELS = session.pick(smoke=48, laptop=1500, full=5000)
sizes = session.pick(smoke=(64, 32, 32), laptop=(1750, 250, 1000), full=(6000, 1000, 5000))
parts = {
    split: data.load("imdb", split, session.scale).select(range(size))
    for split, size in zip(data.SPLITS, sizes, strict=True)
}

# %% [markdown]
# The labelled texts are those of training and validation, one after another. The test texts stay apart.

# %%
labelled = parts["train"]["text"][:] + parts["validation"]["text"][:]
y = np.array(parts["train"]["label"][:] + parts["validation"]["label"][:])
y_test = np.array(parts["test"]["label"])

# %% [markdown]
# Encoding takes most of this chapter's time. It happens once: the token states stay on your disk, and a second run reads them from there.

# %%
labelled_states = encoders.encode(encoder, labelled, LENGTH)
test_states = encoders.encode(encoder, parts["test"]["text"], LENGTH)
total = int(labelled_states.offsets[-1] + test_states.offsets[-1])
figures.say(
    f"{len(labelled_states) + len(test_states):,} reviews, {total:,} token states of {encoder.dim} numbers. The cache "
    f"holds {encoders.cache_info()['megabytes']:,.0f} MB; `encoders.clear_cache()` empties it."
)

# %%
SEEDS = range(session.pick(smoke=1, laptop=5, full=5))
train_rows = {seed: np.random.default_rng(seed).permutation(sizes[0])[:LABELS] for seed in SEEDS}
validation_rows = np.arange(sizes[0], sizes[0] + sizes[1])


def fixed(pool):
    """Pool once; train a probe for each seed; return the test probabilities, [seeds, n]."""
    vectors, test_vectors = (pooling.pool_all(pool, states) for states in (labelled_states, test_states))
    probes = [heads.fit_probe(vectors, y, train_rows[seed], validation_rows, seed) for seed in SEEDS]
    return np.stack([probe.probabilities(test_vectors) for probe in probes])


# %% [markdown]
# A pooling with weights of its own gives other vectors after each step of training. It has to pool again each time, so it trains together with its probe.

# %%
def learned(pool):
    """Train pooling and probe together for each seed; return the test probabilities, [seeds, n]."""
    models = [heads.fit_pooling(pool, labelled_states, y, train_rows[seed], validation_rows, seed) for seed in SEEDS]
    return np.stack([model.probabilities(test_states) for model in models])


# %% [markdown] tags=["predict"]
# Order these by test accuracy: first ([CLS]), last ([SEP]), mean, max, weighted sum, TF-IDF on the same part of the text. Write your order down. Where do you put TF-IDF?

# %%
LEARNED = ("weighted_sum", "attention")
predictions = {
    name: (learned if name in LEARNED else fixed)(pooling.make(name, encoder.dim)) for name in pooling.NAMES
}

# %% [markdown]
# The baselines see the same labels: TF-IDF draws the same texts for each seed, and its one setting is chosen on the same validation part. First we cut each text where the encoder stops reading. The tokenizer knows the place: for every token it can say at which character it ends.

# %%
def as_read(texts):
    """Return the part of each text that the encoder reads."""
    tokens = encoder.tokenizer(texts, truncation=True, max_length=LENGTH, return_offsets_mapping=True)
    return [text[: max(end for _, end in places)] for text, places in zip(texts, tokens["offset_mapping"], strict=True)]


# %% [markdown]
# Then one function for both: it trains on a seed's texts and answers the test texts.

# %%
def tfidf(texts, test_texts):
    """Train TF-IDF for each seed; return the test probabilities, [seeds, n]."""
    validation = [texts[row] for row in validation_rows], y[validation_rows]
    models = [heads.fit_tfidf([texts[r] for r in train_rows[s]], y[train_rows[s]], *validation) for s in SEEDS]
    return np.stack([model.predict_proba(test_texts)[:, 1] for model in models])


# %% [markdown]
# The majority baseline answers the commoner label of its training texts, always.

# %%
test_texts = parts["test"]["text"][:]
predictions["TF-IDF, whole text"] = tfidf(labelled, test_texts)
predictions["TF-IDF, same part"] = tfidf(as_read(labelled), as_read(test_texts))
majority = [y[train_rows[seed]].mean().round() for seed in SEEDS]
predictions["majority"] = np.stack([np.full(len(y_test), label) for label in majority])

# %% [markdown]
# Read a row of the table from left to right: the accuracy with its interval over texts; how much it moves from seed to seed; the difference from the mean, in points of accuracy; its corrected p; and the smallest difference that these texts could show in a single test (with the correction for many tests it is somewhat larger).

# %%
table = evaluation.compare_all(y_test, predictions, reference="mean").sort_values("accuracy", ascending=False)
setting = f"Frozen {ENCODER}, {LABELS:,} labels, {len(y_test):,} test reviews, {len(SEEDS)} seeds ({session.scale})"
figures.comparisons(table, setting)

# %% [markdown]
# And as a picture. Where two intervals overlap a lot, do not read an order into the dots.

# %%
fig, ax = plt.subplots(figsize=(7.5, 5))
for name, row in table[::-1].iterrows():  # from below, so that the best stands on top
    color = sns.color_palette()[0] if name in pooling.NAMES else "#707070"
    ax.plot([row.low, row.high], [name, name], color=color, linewidth=3)
    ax.scatter(row.accuracy, name, color=color, s=60, zorder=3)
ax.set(xlabel="test accuracy, with 95% interval (grey: baselines)", xlim=(0.45, 0.95))
ranking = ", ".join(f"{name} {table.accuracy[name]:.2f}" for name in table.index)
figures.show(fig, alt=f"Dot chart of test accuracy with intervals, best first: {ranking}.")

# %%
apart = [name for name, row in table.iterrows() if row.p_holm < evaluation.ALPHA]
alike = [name for name, row in table.iterrows() if row.p_holm >= evaluation.ALPHA]
figures.say(
    f"Mean pooling reaches **{table.accuracy['mean']:.3f}**. A difference from it is shown for: "
    f"{', '.join(apart) or 'none'}. No detectable difference: {', '.join(alike) or 'none'}."
)

# %% [markdown]
# ### How to read this
#
# First the lines that many papers leave out: a bag of words with the same labels.

# %%
best = table[table.index.isin(pooling.NAMES)].accuracy.idxmax()
bags = [name for name in predictions if name.startswith("TF-IDF")]
against = {name: evaluation.compare(y_test, predictions[name], predictions[best]) for name in bags}
corrected = evaluation.holm([found.p for found in against.values()])

# %%
for (name, found), p in zip(against.items(), corrected, strict=True):
    verdict = "a difference" if p < evaluation.ALPHA else "no detectable difference"
    effect = f"{figures.points(found.effect)} points, corrected p {p:.2g}"
    figures.say(f"- **{name}** against the best pooling here ({best}): {effect}: {verdict}")

# %% [markdown]
# Counting words is a strong baseline, on the whole text most of all. (These two tests were corrected as two, and the best pooling was picked on these very texts; the table above corrects for all methods, and against the mean. So the same difference may be shown here and not there: on the same part of the text the evidence is thin.) Take that as a warning about *frozen* encoders with few labels, not about transformers: fine-tuning comes in chapter 3. A table of poolings without such a baseline has left out its most useful line.
#
# **MiniLM favours the mean, and we know why.** This model, the encoder at every scale but `full`, was *trained* with mean pooling: the mean vectors of matching sentences were pulled together. Nobody ever asked its [CLS] token to stand for a text. So whatever the table says about mean and [CLS] holds *for this model* and says little about BERT in general. That is a *confound*. The cure is a pair of models trained alike, which the next chapters bring.
#
# Why is max so far behind here, and [SEP] ahead of [CLS]? The table cannot say. That MiniLM was trained with the mean is one guess; the mini pair of chapters 3 and 4 tests it.
#
# **Small differences may be noise.** Set each difference beside the smallest one that these texts could show. Where the corrected p is large, the honest report is "no detectable difference", with the interval.
#
# ### Break it
#
# Plant bug 2 in the real experiment, as if one padded zero took part in each text. Which mistakes does the accuracy show, and which does it hide? Plant others: `pool` gets states whose padding is zero, and the mask. Try `states.mean(dim=1)` with `RIGHT = "mean"` (bug 1), or `states[:, -1]` with `RIGHT = "last"` (bug 3).

# %%
RIGHT = "max"


class Broken(pooling.Pooling):
    def pool(self, states, mask):
        return states.masked_fill(~mask.unsqueeze(-1), float("-inf")).amax(dim=1).clamp(min=0)


gap = evaluation.compare(y_test, fixed(Broken()), predictions[RIGHT])
made = [pooling.pool_all(pool, test_states) for pool in (Broken(), pooling.make(RIGHT, encoder.dim))]
changed = (made[0] != made[1]).float().mean().item()
figures.say(
    f"The bug changes {changed:.1%} of the test vectors' numbers. {RIGHT} with it, against the right one: "
    f"{figures.points(gap.effect)} points, p {gap.p:.2g}. "
    + ("The score hardly knows that something is broken. A property, tried on the right example, needs no label to know."
       if gap.p > evaluation.ALPHA else "Here the score noticed. A property needs no labels to notice.")
)

# %% [markdown]
# ## What this chapter says about the claims
#
# The course tests ten claims, C1 to C10; the book's first page lists them. This chapter decides none of them. It gives them their tools: poolings that are known to be right, and a comparison that can say "no detectable difference". The first look above already shows why C1 ("which pooling is best depends on the architecture") needs a controlled pair of models: with MiniLM alone, training and architecture cannot be told apart.
#
# ## Quiz

# %% [markdown] tags=["quiz"]
# 1. A colleague zeroes the padding and then takes the maximum. When is the result wrong?
#
#    Answer: In each dimension where all real values are negative. Zero is neutral for a sum, not for a maximum.
#
# 2. Your vectors change with the batch size, but your pooling passes all tests of this chapter. Where do you look?
#
#    Answer: Before the pooling: the attention mask was probably not given to the model, so the token states themselves are spoiled.
#
# 3. Can a weighted sum with softmax weights learn to imitate max pooling?
#
#    Answer: No. Its result stays inside the convex hull of the token states, and max can lie outside. It can imitate mean, first and last.
#
# 4. Two poolings differ by 0.8 points on 1,000 texts. The table says that about 3 points could be shown. What do you report?
#
#    Answer: No detectable difference at this size, with the interval. That is a result. It is not the same as "they are equal".
#
# 5. Why does the table not settle whether mean is better than [CLS] for BERT?
#
#    Answer: MiniLM was trained with mean pooling, so its token states were shaped for the mean. Training and pooling are confounded.

# %% [markdown]
# ## Further reading
#
# - Reimers and Gurevych (2019), *Sentence-BERT*, [arXiv:1908.10084](https://arxiv.org/abs/1908.10084): mean, max and [CLS] compared, after training with each.
# - Muennighoff (2022), *SGPT*, [arXiv:2202.08904](https://arxiv.org/abs/2202.08904): the position-weighted mean.
# - Lin et al. (2017), *A structured self-attentive sentence embedding*, [arXiv:1703.03130](https://arxiv.org/abs/1703.03130): attention as pooling.
# - Xing, Xing and Sun (2024), [arXiv:2411.14654](https://arxiv.org/abs/2411.14654): the comparison that this course puts to the test.
# - Tang and Yang (2024), [arXiv:2409.02727](https://arxiv.org/abs/2409.02727): pooling and attention in embedding models; none is best for all tasks.

# %% [markdown]
# ## Your progress
#
# Which checks of this chapter have you passed? Passed once counts, also when you open the chapter anew.

# %% tags=["progress"]
progress.show("2.1", "2.2", "2.3", "2.4", "2.5", "2.6")
