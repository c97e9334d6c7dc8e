# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3. BERT
#
# BERT reads a text in both directions at once: the state of every token may depend on every other token. This chapter opens one, looks at what its layers do, and then asks the question of the course in earnest: which pooling, on a frozen BERT, and on one that is tuned?
#
# **After this chapter you will be able to**
#
# - say what one layer of attention computes, and compute it yourself;
# - explain why filling gaps does not ask [CLS] to stand for the text, and measure how much it holds all the same;
# - choose a layer without fooling yourself;
# - fine-tune an encoder, a pooling and a head together, and say what that brought;
# - read a table of five seeds, and give a verdict on a claim.
#
# **What you need to know**: chapters 1 and 2, and what an optimizer does. You need not have used `transformers` before.
#
# | | smoke | laptop | full |
# |---|---|---|---|
# | reading and exercises | – | 2 hours | 2 hours |
# | running all cells | under a minute | one to four minutes at the first run | needs a GPU, and a download |
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
from sklearn.metrics.pairwise import cosine_similarity
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
    rules,
    widgets,
)

figures.theme()

# %% [markdown]
# ## 3.1 A BERT of our own
#
# At the `laptop` scale this chapter's BERT is a small one. This repository trained it itself, on the training part of chapter 1's reviews and on nothing else, together with a GPT-2 of the same size that chapter 4 opens. Both read the same texts in the same order. What we measure on it holds at this scale. It says nothing about BERT base, which has a hundred million weights and has read far more than film reviews. (At `full` the chapter runs on BERT base itself.)
#
# `encoders.load` opens a folder in the format of the `transformers` library, as that library's `AutoModel.from_pretrained` and `AutoTokenizer.from_pretrained` do, and checks what it finds.

# %% tags=["imports"]
NAME = session.pick(smoke="mini-bert", laptop="mini-bert", full="bert-base")
encoder = encoders.load(NAME)
weights = sum(parameter.numel() for parameter in encoder.model.parameters())
figures.say(f"{NAME}: {encoder.layers} layers, {encoder.dim} numbers a token, texts of up to {encoder.max_length} "
            f"tokens, {weights / 1e6:.1f} million weights.")

# %% [markdown]
# A text goes in as numbers. `encoder.tokens` cuts texts into pieces and gives each piece its number; two special tokens stand around a text, [CLS] at the start and [SEP] at the end. `encoder.pad` makes a full box of them, with chapter 2's mask.

# %%
text = "Dull, slow and far too long."
ids, mask = encoder.pad(encoder.tokens([text], max_length=64))
pieces = encoder.tokenizer.convert_ids_to_tokens(ids[0])
print(pieces)

# %% [markdown]
# The model turns each number into a state. It takes the token numbers and the mask, by the library's convention as integers: 1 for a real token, 0 for padding. Out come the states of the last layer, one for every piece.

# %%
with torch.no_grad():
    output = encoder.model(input_ids=ids, attention_mask=mask.long())
output.last_hidden_state.shape  # [n, T, d]

# %% [markdown]
# ## 3.2 What a layer does: attention by hand
#
# A layer lets tokens look at each other. Each token asks a question (its *query*), each wears a name tag (its *key*) and offers some content (its *value*). Where a query and a key match, content flows. Take three tokens with two numbers each, and let every token be its own query, key and value. We divide by √d: without it the scores of vectors with many numbers would grow, and the softmax would put everything on one token.

# %% tags=["nbval-check-output"]
tokens = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # [T, d], d = 2
scores = tokens @ tokens.T / 2**0.5  # [T, T]: how well does query i match key j?
scores.round(decimals=2)

# %% [markdown]
# The first token matches itself and the third equally well, and the second not at all. A softmax over each row turns scores into weights that sum to 1. A score of zero still gets some weight: chapter 2's bug 4.

# %% tags=["nbval-check-output"]
weights = scores.softmax(dim=1)  # each row sums to 1
weights.round(decimals=2)

# %% [markdown]
# The new state of a token is the weighted sum of the values. You know this sum: it is chapter 2's weighted sum, once for every token.

# %% tags=["nbval-check-output"]
(weights @ tokens).round(decimals=2)  # [T, T] @ [T, d] -> [T, d]

# %% [markdown]
# In a real layer queries, keys and values are three learned views of the same state. Several *heads* do this side by side, each on its share of the numbers. Their sums are joined, mixed by one more matrix, and *added* to the old state. Then a small network changes each state by itself, and its result is added as well. A *layer norm* keeps the numbers in one range.
#
# Attention alone does not know the order of the tokens. So before the first layer the model adds to each token's vector a learned vector for its *position*.
#
# ### Exercise 3.1 · Attention with a mask ★★☆ medium, 10 minutes
#
# Write one head of attention. `allowed[i, j]` says whether token `i` may look at token `j`. A token that may not be looked at gets exactly no weight.

# %% tags=["exercise", "ex-3.1"]
def attend(query, key, value, allowed):
    """[T, d], [T, d], [T, d], bool [T, T] -> [T, d]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-3.1"]
# Scores first, as above, with `d = query.shape[1]`. Then chapter 2's trick, `masked_fill` with minus infinity, before the softmax. Over which dimension must the weights sum to 1?

# %% tags=["check", "ex-3.1"]
rng = torch.Generator().manual_seed(0)
q, k, v = (torch.randn(5, 4, generator=rng) for _ in range(3))
everything, past = torch.ones(5, 5, dtype=torch.bool), torch.ones(5, 5, dtype=torch.bool).tril()
library = nn.functional.scaled_dot_product_attention
checks.exercise("3.1", attend, lambda f: {
    "the library's result, when all tokens may be seen": (f(q, k, v, everything), library(q, k, v)),
    "the library's result, when only the past may": (f(q, k, v, past), library(q, k, v, attn_mask=past)),
    "a token that sees only itself keeps its own value": (f(q, k, v, torch.eye(5).bool()), v),
    "exactly no weight, also where scores are large": (f(50 * q, 50 * k, v, torch.eye(5).bool()), v),
    "equal scores give the mean": (f(0 * q, k, v, everything)[0], v.mean(dim=0)),
})


# %% tags=["solution", "ex-3.1"]
def attend(query, key, value, allowed):
    """[T, d], [T, d], [T, d], bool [T, T] -> [T, d]"""
    scores = query @ key.T / query.shape[1] ** 0.5  # [T, T]
    weights = scores.masked_fill(~allowed, float("-inf")).softmax(dim=1)
    return weights @ value


# %% [markdown]
# ### The real weights
#
# By default the library computes attention in one step and never stores the weights. Its slower form, called *eager*, does; we switch to it for one pass.

# %%
encoder.model.set_attn_implementation("eager")
with torch.no_grad():
    output = encoder.model(input_ids=ids, attention_mask=mask.long(), output_attentions=True)
encoder.model.set_attn_implementation("sdpa")
attention = torch.stack(output.attentions)[:, 0].cpu()  # L x [1, h, T, T] -> [L, h, T, T]
attention.shape


# %% [markdown]
# Each picture is one head of one layer. Read a row: where does this token look? Predict first: will it look at itself, at its neighbours, or at one special place?

# %%
def draw_head(layer, head):
    """One head's attention: rows look at columns."""
    weights, names = attention[layer - 1, head - 1], [piece.replace("Ġ", "") for piece in pieces]  # [T, T]
    fig, ax = plt.subplots(figsize=(4.6, 4.2))
    ax.imshow(weights, vmin=0, vmax=1, cmap="cividis")
    ax.set_xticks(range(len(names)), names, rotation=90)
    ax.set_yticks(range(len(names)), names)
    ax.set_title(f"layer {layer}, head {head}")
    ax.grid(False)
    row, column = divmod(weights.argmax().item(), len(names))
    strongest = f"from {names[row]} to {names[column]}, {weights.max():.2f}"
    return fig, f"Attention weights of layer {layer}, head {head}, as a heat map; the largest goes {strongest}."


# %% tags=["widget"]
widgets.explore(
    draw_head,
    layer=ipywidgets.IntSlider(value=1, min=1, max=encoder.layers, description="layer"),
    head=ipywidgets.IntSlider(value=1, min=1, max=attention.shape[1], description="head"),
)

# %% [markdown]
# How much of the attention goes to the two neighbours, to the token itself, and to the special tokens? The last row is a yardstick: what they would get if every head looked everywhere alike. This is one sentence, so take it as a look and not as a result.

# %%
T = len(pieces)
distance = (torch.arange(T).unsqueeze(0) - torch.arange(T).unsqueeze(1)).abs()  # [T, T]
both = torch.cat([attention, torch.full_like(attention[:1], 1 / T)])  # [L + 1, h, T, T]: the last one is uniform
shares = pd.DataFrame({
    "to the neighbours": (both * (distance == 1)).sum(dim=-1).mean(dim=(1, 2)),  # [L + 1, h, T, T] -> [L + 1]
    "to itself": (both * (distance == 0)).sum(dim=-1).mean(dim=(1, 2)),
    "to [CLS] and [SEP]": both[..., [0, T - 1]].sum(dim=-1).mean(dim=(1, 2)),
}, index=[f"layer {layer}" for layer in range(1, encoder.layers + 1)] + ["uniform"])
figures.table(shares, f"Shares of the attention in {NAME}, one sentence", {name: "{:.2f}" for name in shares})

# %% [markdown]
# ## 3.3 How a BERT starts to learn
#
# BERT learns by filling gaps: some tokens are replaced by [MASK], and it predicts them from both sides. The *loss* of a prediction is minus the logarithm of the probability that it gave to the right token, in *nats*. Two yardsticks tell what a loss means. A *unigram* knows only how frequent each token is. A *bigram* knows pairs: what tends to follow what. (Their two lines below come from the test split, the curves from validation texts.) A model that has not beaten the unigram has learned nothing from context.
#
# Five copies of our BERT were trained for this section, each on two million tokens. They differ in two things:
#
# - **the first phase**: for a share of the tokens (0, ¼, ½ or ¾) the copy looks back only and predicts the *next* token, as a GPT-2 does; then the masks begin;
# - **the start** of attention: *near* (position vectors start as smooth waves, and the matrices of queries and keys start out equal, so that at first each place matches itself and its neighbours; training may change both) or *uniform* (as the library starts it: small random numbers, so that every place matches every other about alike).

# %% [markdown] tags=["predict"]
# Which copies will beat the unigram at masked places within their two million tokens? In particular: the one that sees masks from its first step?

# %%
RESULTS = records.RESULTS
curves = pd.read_csv(RESULTS / "mini_bert_ablation_curves.csv").query("objective == 'masked' and mask_share == 0.3")
ablation = pd.read_csv(RESULTS / "mini_bert_ablation.csv").query("mask_share == 0.3")
heldout = pd.read_csv(RESULTS / "mini_pair_heldout.csv").query("model == 'mini-bert' and block == 128").iloc[0]

# %% [markdown]
# Each line begins where the masks begin. The small step at three quarters of the way is where the blocks of text grow from 128 to 512 tokens. (The files also hold copies that hide another share of the tokens; we read those that hide three tenths. `causal_share` is the share of the first phase.)

# %%
fig, ax = plt.subplots()
for number, ((start, share), part) in enumerate(curves.groupby(["start", "causal_share"])):
    style = "o-" if start == "near" else "s--"
    name = f"{start}, {share:.0%} next tokens first"
    ax.plot(part.tokens / 1e6, part.heldout_loss, style, ms=4, color=f"C{number}", label=name)
for name in ("unigram", "bigram"):
    ax.axhline(heldout[name], color=figures.INK, linestyle=":", linewidth=1)
    ax.text(1.01, heldout[name], name, va="center", transform=ax.get_yaxis_transform())
ax.set(xlabel="tokens seen (millions)", ylabel="loss at [MASK] (nats)")
ax.legend(frameon=False, fontsize=9)
ends = "; ".join(f"{row.start}, {row.causal_share:.0%} {row.masked_loss:.2f}" for row in ablation.itertuples())
figures.show(fig, alt=f"Loss at masked places by tokens seen, five copies (start of attention, share of next tokens "
                      f"first). At the end: {ends}; unigram {heldout.unigram:.2f}.")

# %% [markdown]
# The same in numbers, with a probe that tells how useful the states are: a head on the mean of the frozen states, trained on 2,000 labels.

# %%
probed = [str(evaluation.Interval(*row)) for row in ablation[["accuracy", "low", "high"]].values]
shown = ablation.assign(probe=probed).rename(columns={
    "start": "start of attention", "causal_share": "next tokens first", "masked_loss": "loss at [MASK]"})
shown = shown.set_index(["start of attention", "next tokens first"])[["loss at [MASK]", "probe"]]
figures.table(shown, "After two million tokens, validation texts: loss at [MASK], and a frozen probe (mean)")

# %% [markdown]
# Look at the last column before you read on: does a lower loss mean better states?

# %%
worst = ablation.loc[ablation.masked_loss.idxmax()]
figures.say(f"The probes lie between {ablation.accuracy.min():.3f} and {ablation.accuracy.max():.3f}; that of the copy "
            f"with the highest loss has {worst.accuracy:.3f}.")

# %% [markdown]
# A loss at [MASK] and a probe for sentiment ask different things. The mean of states without any context is still a bag of words, and a bag of words is good at sentiment. So at this size and this short, the loss says whether a model reads context, and not how useful its mean is.

# %% [markdown]
# A rule for "did not start", set by us: less than 0.1 nats below the unigram. (Copies and unigram are measured on other texts, so smaller gaps say nothing.)

# %%
stuck = ablation[ablation.masked_loss > heldout.unigram - 0.1]
told = "; ".join(f"{row.start}, {row.causal_share:.0%} next tokens first" for row in stuck.itertuples())
figures.say(f"Still within 0.1 nats of the unigram at the end: **{told or 'none'}**.")

# %% [markdown]
# People who train small BERTs report such a plateau ([transformers 3983](https://github.com/huggingface/transformers/issues/3983), [4449](https://github.com/huggingface/transformers/issues/4449)). Why might it be there? A model that predicts the next token has the *current* token as its input. It needs no attention at all to learn which words follow which. At a [MASK] the input is always the same vector; whatever the model can know about the gap must come *through attention*. As long as attention is spread evenly over the text, every gap gets the same average, hardly anything can be learned from it, and so attention gets little reason to become uneven. A phase of next tokens may teach the layers what neighbours are good for, and a near start may show them where neighbours are.
#
# This is a story that fits these five runs. It is not a proof: each copy is one run from one seed.
#
# The BERT on your disk was trained in two phases too ([arXiv:2507.00994](https://arxiv.org/abs/2507.00994) found such a mix useful at larger sizes).

# %%
curve = pd.read_csv(records.RESULTS / "pretraining_mini-bert.csv")
first = curve[curve.objective == "next token"].tokens.max() / 1e6
figures.say(
    f"The mini BERT saw {curve.tokens.iloc[-1] / 1e6:.1f} million tokens, the first {first:.1f} million with the next "
    f"token to predict. At the end its loss at [MASK] on the test split is **{heldout.loss:.2f}** nats; bigram "
    f"{heldout.bigram:.2f}, unigram {heldout.unigram:.2f}."
)

# %% [markdown]
# ## 3.4 [CLS] before anybody trained it
#
# [CLS] was put in front of every text so that its state could stand for the text. But *could* is not *does*. Filling gaps asks nothing of that state. (The original BERT had a second objective that did: whether two sentences follow each other.)
#
# A pooled vector is useful only if it differs from text to text. How alike are the vectors of different texts? We take the average cosine over all pairs: 1 means that all point the same way.
#
# ### Exercise 3.2 · How alike are they? ★★☆ medium, 10 minutes
#
# Return the average cosine between two *different* rows. Comparing each row with itself would add ones that mean nothing.

# %% tags=["exercise", "ex-3.2"]
def average_cosine(vectors):
    """[n, d] -> a number between -1 and 1"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-3.2"]
# `nn.functional.normalize(vectors, dim=1)` makes each row as long as 1. One matrix product then gives every cosine, [n, n]. What stands on its diagonal (`.trace()` is its sum), and how many entries are left without it?

# %% tags=["check", "ex-3.2"]
corner = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
checks.exercise("3.2", average_cosine, lambda f: {
    "two vectors at a right angle": (f(corner), 0.0),
    "length does not matter": (f(torch.tensor([[1.0, 1.0], [5.0, 5.0]])), 1.0),
    "opposite vectors": (f(torch.tensor([[1.0, 0.0], [-3.0, 0.0]])), -1.0),
    "three vectors, by hand": (f(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])), 1 / 3),
})


# %% tags=["solution", "ex-3.2"]
def average_cosine(vectors):
    """[n, d] -> a number between -1 and 1"""
    rows = nn.functional.normalize(vectors, dim=1)
    cosines = rows @ rows.T  # [n, n]
    n = len(rows)
    return float((cosines.sum() - cosines.trace()) / (n * (n - 1)))


# %% [markdown]
# Now real reviews. The test texts are the *last* of the test part: the first thousand had a part in choosing how the mini pair was trained, so they may not judge it.

# %%
LENGTH = session.pick(smoke=32, laptop=128, full=256)
sizes = session.pick(smoke=(64, 32, 32), laptop=(500, 250, 500), full=(1000, 500, 1000))
parts = {split: data.load("imdb", split, session.scale) for split in data.SPLITS}
parts = {split: part.select(range(len(part) - size, len(part)))
         for (split, part), size in zip(parts.items(), sizes, strict=True)}
labelled, tests = parts["train"]["text"][:] + parts["validation"]["text"][:], parts["test"]["text"][:]

# %% [markdown]
# `encode_layers` gives the states of every layer from one pass: layer 0 is what enters the first layer, the last one is what leaves it. The cache keeps them.

# %%
layers, test_layers = (encoders.encode_layers(encoder, part, LENGTH) for part in (labelled, tests))
len(layers), layers[-1].dim


# %% [markdown]
# scikit-learn computes all cosines too. The upper triangle holds each pair once.

# %%
def likeness(vectors):
    return float(cosine_similarity(vectors)[np.triu_indices(len(vectors), k=1)].mean())


# %% [markdown] tags=["predict"]
# In layer 0 [CLS] is the same vector in every text, so its average cosine is 1. What will it be after the last layer: still near 1, or far below? And the mean's?

# %%
alike = pd.DataFrame({
    name: [likeness(pooling.pool_all(pooling.make(name, encoder.dim), states)) for states in test_layers]
    for name in ("first", "mean", "max")
}).rename_axis("layer")

# %% [markdown]
# One line for each pooling:

# %%
fig, ax = plt.subplots()
alike.plot(ax=ax, marker="o", xticks=alike.index)
ax.set(ylabel="average cosine of two texts", ylim=(min(0, alike.values.min()) - 0.05, 1.05))
ends = ", ".join(f"{name} {value:.2f}" for name, value in alike.iloc[-1].items())
figures.show(fig, alt=f"Average cosine between texts by layer and pooling; after the last layer: {ends}.")

# %% [markdown]
# In words:

# %%
figures.say(f"After the last layer: {ends}. A value near 1 means that most of the vector is the same for every text.")

# %% [markdown]
# A probe first subtracts the average, so what is left can still be useful to it. A search by cosine would drown in what all texts share. Keep this picture in mind for chapter 8.
#
# ## 3.5 Which layer to pool?
#
# Most code takes the last layer. It was shaped for one job, predicting the token under a mask, and that job need not be yours. So we probe each layer. And we let *random weights* tell how much of a result is due to training at all: the same architecture, as the library starts it.
#
# A rule before we look: the *validation* part chooses the layer. The test part then says how good the chosen one is. Choosing by the test part would report the luckiest of many.

# %%
y = np.array(parts["train"]["label"][:] + parts["validation"]["label"][:])
y_test = np.array(parts["test"]["label"][:])
learn, choose = np.arange(sizes[0]), np.arange(sizes[0], sizes[0] + sizes[1])


def probe(states, test_states, pool):
    """What a probe says of the validation part, and of the test part."""
    vectors, test_vectors = (pooling.pool_all(pool, part) for part in (states, test_states))
    fitted = heads.fit_probe(vectors, y, learn, choose, seed=0)
    return fitted.probabilities(vectors[choose]), fitted.probabilities(test_vectors)


# %% [markdown]
# `encoders.untrained` makes the control: the same configuration, random weights.

# %%
control = encoders.untrained(encoder)
untrained, test_untrained = (encoders.encode_layers(control, part, LENGTH) for part in (labelled, tests))

# %% [markdown]
# Three lines to draw: which states, and which pooling.

# %%
settings = {
    "mean": (layers, test_layers, pooling.Mean()),
    "first": (layers, test_layers, pooling.First()),
    "mean, random weights": (untrained, test_untrained, pooling.Mean()),
}
by_layer = {name: [probe(*both, pool) for both in zip(own, other, strict=True)]
            for name, (own, other, pool) in settings.items()}

# %% [markdown] tags=["predict"]
# Draw three lines in your mind, from layer 0 to the last: mean, [CLS], and mean with random weights. Where does each start, and where does it end?

# %%
seen = {name: [evaluation.accuracy(y[choose], found) for found, _ in results] for name, results in by_layer.items()}
fig, alt = figures.lines(seen, range(len(layers)), "layer", "validation accuracy of a probe")
figures.show(fig, alt=alt)

# %% [markdown]
# The validation part chooses. Then one paired comparison on the test part: the chosen layer against the last. (If the last one is chosen there is nothing to compare: then the usual choice was the right one here.)

# %%
chosen = int(np.argmax([one.value for one in seen["mean"]]))
gap = evaluation.compare(y_test, by_layer["mean"][chosen][1], by_layer["mean"][-1][1])
told = "a difference" if gap.p < evaluation.ALPHA else "no detectable difference"
against = "" if chosen == encoder.layers else f", {figures.points(gap.effect)} points against the last: {told}"
figures.say(f"For the mean, validation chooses layer **{chosen}** of {encoder.layers}{against} (one run).")

# %% [markdown]
# Layer 0 is no contextual model at all: its mean is a bag of word vectors. What it scores is what the words alone bring. [CLS] in layer 0 is one constant vector, so its probe can only guess the commoner label.
#
# From here on the course takes the last layer, as the paper and most code do.
#
# ### All fixed poolings, live
#
# The same slice, the last layer, each pooling that has no weights of its own. One run each: a first look before the large table. On a BERT *last* is [SEP], one more token that nobody trained to stand for the text. For the other poolings [CLS] and [SEP] are real tokens like all others.

# %%
FIXED = ["first", "last", "mean", "max", "weighted_mean"]
live = {name: probe(layers[-1], test_layers[-1], pooling.make(name, encoder.dim))[1] for name in FIXED}
live = {name: evaluation.accuracy(y_test, found) for name, found in live.items()}
fig, alt = figures.intervals(live, f"test accuracy, frozen {NAME}, one run")
figures.show(fig, alt=alt)

# %% [markdown]
# ## 3.6 The grid: each pooling, frozen
#
# One run says little. The grid ran every pooling with five seeds, each with its own draw of labelled texts, on reviews and on single sentences. It took hours, so its table is on file. `records.Table` opens it, and refuses it when table and predictions do not belong together.

# %%
ON_FILE = session.pick(smoke="laptop", laptop="laptop", full="full")
table = records.Table(ON_FILE)
MODELS = session.pick(smoke=("mini-bert", "minilm"), laptop=("mini-bert", "minilm"), full=("bert-base",))
most = max(grid.SCALES[ON_FILE].labels["imdb"])
five = table.select(model=MODELS[0], pooling="mean", mode="frozen", dataset="imdb", labels=most)
figures.table(five[["seed", "accuracy", "loss", "seconds"]].set_index("seed"), f"Five rows: frozen {MODELS[0]}, mean")

# %% [markdown]
# `cells.read` takes one cell of the grid: what each pooling predicted in each of its five runs, `[5, n]`, and what the baselines predicted. They stand in every table: TF-IDF on about the same part of the text (cut by MiniLM's tokenizer) and on the whole, the majority, and, for the pair, the same architecture with random weights.

# %%
cell = cells.read(table, ON_FILE, MODELS[0], "frozen", "imdb")
pd.Series({name: str(part.shape) for name, part in (cell.poolings | cell.baselines).items()})

# %% [markdown]
# `figures.cell` compares every method with the mean, puts the best on top, and says in a sentence what is shown.
#
# Two things are new in its test. Chapter 2 let five runs *vote* and tested the vote. Here we ask about the *average run*: nobody deploys a vote. And chapter 2 asked: would *other texts* show the same gap between the runs that we made? A statement about a pooling says more: other *runs* would show it too. Five runs can all be lucky, and a test that looks at texts alone then takes luck for a difference. So from here on a comparison of grid runs takes texts *and* seeds as a sample: the variance of a gap is what the texts say of it plus what the seeds say of it (`contrasts.contrast`), and the test is a t test.
#
# As in chapter 2 the p values are corrected together and the intervals are not: go by the corrected p. *Detectable* is the gap, in points, that a test at the strictest level of the correction would find about four times in five. The caption also names the precision of the matrix products: processors differ in it, and so do some rows on file.

# %% [markdown] tags=["predict"]
# Reviews, frozen. Order: first, last, mean, max, weighted sum, TF-IDF on the same part.

# %%
figures.cell(cell)

# %% [markdown] tags=["predict"]
# Single sentences: half a line of text instead of a page. Which gaps will shrink?

# %%
figures.cell(cells.read(table, ON_FILE, MODELS[0], "frozen", "rotten_tomatoes"))

# %% [markdown]
# Did the gaps to the mean shrink? Each pooling, from reviews to sentences:

# %%
ends = [cells.read(table, ON_FILE, MODELS[0], "frozen", name).comparisons().difference for name in data.NAMES]
told = [f"{pool} {' to '.join(f'{100 * gaps[pool]:+.1f}' for gaps in ends)}" for pool in grid.POOLINGS if pool != "mean"]
figures.say(f"{'; '.join(told)} points. (Whether a gap changes was not tested; chapter 5 does that for fine-tuned models.)")

# %% [markdown]
# ## 3.7 Fine-tuning: train all of it
#
# A probe leaves the encoder as it is. *Fine-tuning* trains encoder, pooling and head together, so that the token states bend towards the task. Now pooling matters in a new way: it decides which states receive the gradient *first*; attention then carries it to the rest. The mean sends every state the same share, max sends each dimension's gradient to one token, *first* sends all of it to [CLS].
#
# The whole model is one class: token states, pooling, head. Two lines are new. What the frozen encoder gives to *all* texts (`center`: the average pooled vector of the training texts; 3.4 showed that it is most of a vector) is taken off, and a *layer norm* brings the rest to mean 0 and spread 1: so every pooling gives the head numbers of the same size. The head's output is a *log-odds*: 0 means one half, and `sigmoid` turns it into a probability.

# %% tags=["imports"]
class Tuned(nn.Module):
    def __init__(self, transformer, pool, center):
        super().__init__()
        self.transformer = copy.deepcopy(transformer).requires_grad_(True)  # the frozen one stays as it is
        self.pool, self.linear = pool, nn.Linear(len(center), 1)
        self.register_buffer("center", center)                                             # new: [d]
        self.scale = nn.LayerNorm(len(center), elementwise_affine=False)                   # new: one scale for all
        nn.init.zeros_(self.linear.weight)

    def forward(self, ids, mask):
        states = self.transformer(input_ids=ids, attention_mask=mask.long()).last_hidden_state  # [n, T, d]
        return self.linear(self.scale(self.pool(states, mask) - self.center)).squeeze(-1)  # [n, d] -> [n]


# %% [markdown]
# ### Exercise 3.3 · One step ★★☆ medium, 15 minutes
#
# Write one step of training: forget the old gradients, compute the loss of the batch (mean binary cross-entropy from log-odds), send it back, clip the gradient *of all weights together* to a norm of at most `clip`, let the optimizer take its step. Return the loss as a Python number. The check also lets your step train the real model above on four sentences.

# %% tags=["exercise", "ex-3.3"]
def training_step(model, optimizer, inputs, labels, clip=1.0):
    """model(*inputs) gives log-odds [n]; labels is [n] with 0.0 and 1.0."""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-3.3"]
# The loss is `nn.functional.binary_cross_entropy_with_logits`. PyTorch *adds* gradients to what is there, so where must `optimizer.zero_grad()` stand? `nn.utils.clip_grad_norm_` works on the gradients that `backward` left, so it comes between `backward` and the optimizer's `step`. `loss.item()` is the number.

# %% tags=["ex-3.3"]
class Toy(nn.Module):
    """Log-odds x0 * w + x1 * v, with w = 2 and v = 0."""

    def __init__(self):
        super().__init__()
        self.w, self.v = nn.Parameter(torch.tensor([2.0])), nn.Parameter(torch.tensor([0.0]))

    def forward(self, x):
        return x[:, 0] * self.w + x[:, 1] * self.v


def toy_after(step, steps, clip, old=0.0):
    """The weights after some steps of plain gradient descent with rate 1 on two texts, and the first loss."""
    toy = Toy()
    toy.w.grad, toy.v.grad = torch.tensor([old]), torch.tensor([old])
    optimizer = torch.optim.SGD(toy.parameters(), lr=1.0)
    x, y = torch.tensor([[3.0, 4.0], [3.0, 4.0]]), torch.tensor([0.0, 0.0])
    losses = [step(toy, optimizer, (x,), y, clip) for _ in range(steps)]
    return [toy.w.item(), toy.v.item()], losses[0]


# %% tags=["check", "ex-3.3"]
def real_losses(step):
    """Five steps of the real model on four sentences."""
    torch.manual_seed(0)
    model = Tuned(encoder.model, pooling.Mean(), torch.zeros(encoder.dim))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batch = encoder.pad(encoder.tokens(["Wonderful.", "Warm and funny.", "Dull.", "Far too long."], 16))
    target = torch.tensor([1.0, 1.0, 0.0, 0.0], device=batch[0].device)
    model.to(batch[0].device)
    return [step(model, optimizer, batch, target) for _ in range(5)]


pull = torch.tensor(6.0).sigmoid().item()  # the first gradient is (3, 4) times this, by hand
checks.exercise("3.3", training_step, lambda f: {
    "one step by hand": (toy_after(f, 1, clip=100.0)[0], [2 - 3 * pull, -4 * pull]),
    "the mean loss of the batch is returned": (toy_after(f, 1, clip=100.0)[1], float(np.log1p(np.exp(6)))),
    "as a Python number": isinstance(toy_after(f, 1, clip=100.0)[1], float),
    "the clip holds for all weights together": (toy_after(f, 1, clip=0.5)[0], [2 - 0.3, -0.4]),
    "old gradients are forgotten": (toy_after(f, 1, clip=100.0, old=50.0)[0], [2 - 3 * pull, -4 * pull]),
    "the real model's loss falls": real_losses(f)[-1] < 0.5 < real_losses(f)[0],
})


# %% tags=["solution", "ex-3.3"]
def training_step(model, optimizer, inputs, labels, clip=1.0):
    """model(*inputs) gives log-odds [n]; labels is [n] with 0.0 and 1.0."""
    optimizer.zero_grad()
    loss = nn.functional.binary_cross_entropy_with_logits(model(*inputs), labels)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item()


# %% [markdown]
# `finetuning.fine_tune` is that step in a loop, with what practice has added: a learning rate for the encoder that is lower than the head's, both rising for a tenth of the steps and then falling to zero; batches of texts of like length; a look at the validation loss twice an epoch, and an early stop when it has not fallen twice. The same for every pooling. (The encoder's rate was chosen on validation reviews, with the mean and with max; the other poolings take the same one. That may favour these two.) It returns the tuned model, whose `history` holds those looks.
#
# Let us watch it on [CLS]. A small slice: one run, few labels, short texts.

# %%
FEW, SHORT = session.pick(smoke=(32, 16), laptop=(500, 96), full=(1000, 256))
RATE = grid.SCALES[session.scale].rates[NAME]
tuned = finetuning.fine_tune(
    encoder, pooling.First(), labelled, y, learn[:FEW], choose, seed=0, rate=RATE, epochs=2, max_length=SHORT
)

# %% [markdown]
# A point of *training* is the mean loss of the batches since the point before; a point of *validation* is measured then, on all validation texts. The dotted line is the loss of somebody who always says one half.

# %%
fig, alt = figures.learning_curve(tuned.history)
figures.show(fig, alt=alt)

# %% [markdown]
# And [CLS] itself, before and after. `tuned.transformer` is the tuned encoder, `tuned.pooling` its pooling.

# %%
def first_states(model):
    """[CLS] of each test review, [n, d]."""
    with torch.no_grad():
        batches = [encoder.pad(encoder.tokens([text], SHORT)) for text in tests]
        states = [model(input_ids=ids, attention_mask=mask.long()).last_hidden_state[:, 0] for ids, mask in batches]
    return torch.cat(states).float().cpu()  # n x [1, d] -> [n, d]


before, after = first_states(encoder.model), first_states(tuned.transformer)


# %% [markdown]
# Each dot is a test review, placed by the two directions in which the vectors differ most (principal components) and coloured by its label.

# %%
def two_directions(vectors):
    centered = vectors - vectors.mean(dim=0)
    return (centered @ torch.linalg.svd(centered, full_matrices=False).Vh[:2].T).numpy()  # [n, d] -> [n, 2]


fig, axes = plt.subplots(1, 2, figsize=(8.5, 3.8))
for ax, (title, vectors) in zip(axes, {"before": before, "after": after}.items(), strict=True):
    for label, (name, marker) in enumerate((("negative", "v"), ("positive", "o"))):
        ax.scatter(*two_directions(vectors)[y_test == label].T, s=14, alpha=0.6, marker=marker, label=name)
    ax.set(title=f"[CLS] {title}", xticks=[], yticks=[])
axes[1].legend(frameon=False, bbox_to_anchor=(1, 1))
side = {when: ((two_directions(vectors)[:, 0] > 0) == y_test).mean() for when, vectors in
        (("before", before), ("after", after))}
told = ", ".join(f"{when} {max(share, 1 - share):.0%}" for when, share in side.items())
figures.show(fig, alt=f"[CLS] of test reviews in two principal directions, before and after fine-tuning, coloured by "
                      f"label. The first direction alone sorts by label: {told}.")

# %% [markdown]
# And in numbers. Mind that the cosine need not fall: it measures what all texts share, and the head needs only the small part in which they differ.

# %%
right = evaluation.accuracy(y_test, tuned.probabilities(tests))
figures.say(f"Average cosine of two texts' [CLS]: **{likeness(before):.2f}** before, **{likeness(after):.2f}** after. "
            f"Test accuracy through [CLS] after this small run: {right} (one seed, {FEW} labels).")

# %% [markdown]
# ## 3.8 The grid: each pooling, fine-tuned
#
# The same poolings, the same labels, the same five draws, and now everything trains. The tables compare each method with the mean; the verdicts on the claims come in 3.9, from tests that were chosen before the run.

# %% [markdown] tags=["predict"]
# Which poolings gain most from fine-tuning? Does the order of the frozen table survive?

# %%
figures.cell(cells.read(table, ON_FILE, MODELS[0], "fine-tuned", "imdb"))

# %% [markdown]
# Single sentences:

# %%
figures.cell(cells.read(table, ON_FILE, MODELS[0], "fine-tuned", "rotten_tomatoes"))

# %% [markdown]
# Chapter 2 warned that word counts beat frozen encoders, and left fine-tuning to this chapter. So, the fine-tuned mean against both bags of words on reviews, and what became of the poolings that led when frozen:

# %%
frozen, tuned_cell = (cells.read(table, ON_FILE, MODELS[0], mode, "imdb") for mode in ("frozen", "fine-tuned"))
before_tuning, after_tuning = frozen.comparisons(), tuned_cell.comparisons()


def against_the_mean(found, method):
    sure = "shown" if found.p_holm[method] < evaluation.ALPHA else "not shown"
    return f"{method} {100 * found.difference[method]:+.1f} points ({sure})"


bags = "; ".join(against_the_mean(after_tuning, bag) for bag in ("TF-IDF, same part", "TF-IDF, whole text"))
figures.say(f"Against the fine-tuned mean: {bags}.")
led = [pool for pool in grid.POOLINGS if before_tuning.difference[pool] > 0]
told = "; ".join(f"frozen {against_the_mean(before_tuning, pool)}, fine-tuned {against_the_mean(after_tuning, pool)}"
                 for pool in led)
figures.say(f"Ahead of the mean when frozen: {told or 'none'}.")

# %% [markdown]
# A guess at the reason: a tuned encoder can put into every state what a learned weight had to look for. Only a new experiment could tell.
#
# MiniLM (at `full` it has no table here) is a BERT that has read far more. It was tuned *with mean pooling*, so its table says less about poolings than it seems to: chapter 2's confound.

# %%
if len(MODELS) > 1:
    figures.cell(cells.read(table, ON_FILE, MODELS[1], "frozen", "imdb"))

# %% [markdown]
# Fine-tuned:

# %%
if len(MODELS) > 1:
    figures.cell(cells.read(table, ON_FILE, MODELS[1], "fine-tuned", "imdb"))

# %% [markdown]
# What did fine-tuning bring, pooling by pooling? Each line is a paired difference, fine-tuned minus frozen. (The two also differ in how they scale the pooled vector, so this is the gain of the whole procedure.)

# %%
def gain(pool):
    """Accuracy fine-tuned minus accuracy frozen, over texts and seeds."""
    return contrasts.contrast(frozen.answers, [tuned_cell.poolings[pool], frozen.poolings[pool]], [1, -1]).effect


# %% [markdown]
# `contrasts.contrast` takes the predictions of several methods and a weight for each. It is the test of the tables above.

# %%
gains = {pool: gain(pool) for pool in grid.POOLINGS}
fig, alt = figures.gaps(gains, f"gain in accuracy by fine-tuning {MODELS[0]}, imdb")
figures.show(fig, alt=alt)

# %% [markdown]
# Who gained most, and least?

# %%
most = max(gains, key=lambda pool: gains[pool].value)
least = min(gains, key=lambda pool: gains[pool].value)
figures.say(f"The largest gain is that of **{most}** ({figures.points(gains[most])} points), "
            f"the smallest that of {least} ({figures.points(gains[least])}). That the largest is larger than the next "
            "one is not tested.")

# %% [markdown]
# ## 3.9 Two claims, and their verdicts
#
# The paper says that mean, max and weighted sum differ in accuracy, that max does best for sentiment on a fine-tuned BERT, and that the weighted sum is less consistent. Such sentences need a test and a rule *before* the run; else one finds in a large table whatever one looks for. Ours stand in `helpers/claims.py` and `helpers/rules.py`, and were written before the grid was run.
#
# Like the tables above, the rules take texts and seeds both as a sample.

# %%
for number in ("C1a", "C2a", "C2b"):
    figures.claim(claims.claim(number))

# %% [markdown]
# ("Corrected" means twice: for the tests of one rule, and for the five rules of `helpers/rules.py` that read this grid. *Detectable* is the effect that such a corrected test would find four times in five. *p_equal* asks the opposite: is the gap surely within two points? A small value says yes. *n* counts test texts, or cells of the grid. The intervals are not corrected, so do not judge by them alone.)

# %% [markdown] tags=["predict"]
# Write your three verdicts down: supported, refuted, depends, or no detectable difference?

# %%
figures.verdict(claims.claim("C1a"), claims.judge("C1a", ON_FILE), ON_FILE)

# %% [markdown]
# One gap that is shown is enough for this rule; look which one it is, and which of its two poolings is *lower*. And the rule averages over both models of the pair, the GPT-2 as well, which you meet in the next chapter: a gap may come mostly from one of them. Now the BERT alone:

# %%
figures.verdict(claims.claim("C2a"), claims.judge("C2a", ON_FILE), ON_FILE)

# %% [markdown]
# For the third rule, first the spread over the seeds in each cell of the grid, then the one test over all of them.

# %%
spreads = rules.spreads(rules.read(table, ON_FILE))
four = {"weighted_sum": "{:.4f}", "mean": "{:.4f}", "ratio": "{:.2f}"}
figures.table(spreads, f"Standard deviation of the accuracy over five seeds ({ON_FILE})", four)

# %% [markdown]
# A single ratio of two standard deviations from five runs each says next to nothing: look how far they scatter.

# %%
figures.verdict(claims.claim("C2b"), claims.judge("C2b", ON_FILE), ON_FILE)

# %% [markdown]
# These verdicts hold for these models, this size and these texts. There is *one* mini BERT: the intervals cover other test texts and other draws of labels, not another pretraining run. Chapter 5 puts the whole grid together.
#
# ## 3.10 What did the learned weights learn?
#
# A learned pooling can be asked what it looks at. We train a weighted sum on the frozen encoder twice, on two halves of the labelled texts that share none, and look at its two parts. First the score of each *position*. Only differences between scores count in a softmax, so we show each weight relative to the average position.

# %%
fresh = pooling.WeightedSum(encoder.dim)
learned = [heads.fit_pooling(fresh, layers[-1], y, learn[half::2], choose, seed=0) for half in (0, 1)]
scores = pd.DataFrame({f"half {half}": model.pooling.position_score.detach()[:LENGTH].numpy()
                       for half, model in enumerate(learned)}, index=range(1, LENGTH + 1))
by_place = np.exp(scores - scores.mean())

# %% [markdown]
# A weight of 2 means: twice as much as the average place.

# %%
ax = by_place.plot(xlabel="position in the text", ylabel="weight, relative to the average position")
ax.axhline(1, color=figures.INK, linestyle=":", linewidth=1)
ax.set_ylim(bottom=0)
reach = "; ".join(f"{half} from {part.min():.2f} to {part.max():.2f}" for half, part in by_place.items())
figures.show(ax.figure, alt=f"Learned weight by position: {reach}.")

# %% [markdown]
# In words:

# %%
agree = by_place.corr(method="spearman").iloc[0, 1]
figures.say(f"All weights lie between {by_place.values.min():.2f} and {by_place.values.max():.2f} of an equal share, and "
            f"the two halves' orders agree to {agree:.2f} (rank correlation: 1 is the same order, 0 none in common).")

# %% [markdown]
# Then the content. A mean gives each of n tokens the weight 1/n, so weight × n says how many times its equal share a token got. `batches()` hands out the states of the cache, with the rows that they belong to.

# %%
def shares_of(model):
    """For each kind of token: how many times its equal share it got, on average over the test reviews."""
    found = []
    for rows, states, mask in test_layers[-1].batches():
        with torch.no_grad():
            times = model.pooling.weights(states, mask) * mask.sum(dim=1, keepdim=True)  # [n, T]
        for row, one in zip(rows, times, strict=True):
            ids = encoder.tokens([tests[row]], LENGTH)[0]
            found += zip(encoder.tokenizer.convert_ids_to_tokens(ids), one[: len(ids)].tolist(), strict=True)
    return pd.DataFrame(found, columns=["piece", "times"]).groupby("piece").times.agg(["mean", "size"])


both = [shares_of(model) for model in learned]

# %% [markdown]
# Only pieces that occur often enough get a mean that can be trusted. We show the ten smallest and the ten largest, for both halves.

# %%
enough = session.pick(smoke=3, laptop=20, full=100)
common = both[0][both[0]["size"] >= enough].merge(both[1], on="piece", suffixes=(" 0", " 1"))
order = common[["mean 0", "mean 1"]].mean(axis=1).sort_values()
ends = common.loc[[*order.index[:10], *order.index[-10:]]]

# %% [markdown] tags=["predict"]
# Which words would you expect at the top?

# %%
fig, ax = plt.subplots(figsize=(6, 5))
for half in (0, 1):
    ax.scatter(ends[f"mean {half}"], range(len(ends)), marker="os"[half], label=f"half {half}")
ax.axvline(1, color=figures.INK, linestyle=":", linewidth=1)
names = [piece.replace("Ġ", "") for piece in ends.index]
ax.set(yticks=range(len(ends)), yticklabels=names, xlabel="weight × number of tokens (1 = an equal share)")
ax.legend(frameon=False)
figures.show(fig, alt=f"Pieces by learned weight: least {', '.join(names[:3])}; most {', '.join(names[:-4:-1])}.")

# %% [markdown]
# The twenty are the extremes of many, so they are partly luck. Do the two halves agree on all pieces? (Spearman's correlation of ranks: 1 is the same order, 0 is none in common.)

# %%
agree = common["mean 0"].corr(common["mean 1"], method="spearman")
figures.say(f"Over the {len(common)} pieces that are frequent enough, the two halves agree to **{agree:.2f}**.")

# %% [markdown]
# ### On one review
#
# And *attention* pooling, whose four heads each weigh the tokens for their share of the dimensions. One test review, the weights of the weighted sum above and of the four heads below.

# %%
heads_model = heads.fit_pooling(pooling.Attention(encoder.dim), layers[-1], y, learn, choose, seed=0)
row = int((test_layers[-1].lengths - session.pick(smoke=20, laptop=40, full=40)).abs().argmin())
states, mask = test_layers[-1].padded([row])
with torch.no_grad():  # [1, T] and [1, T, h] -> [1 + h, T]
    rows = torch.cat([learned[0].pooling.weights(states, mask), heads_model.pooling.weights(states, mask)[0].T])
words = encoder.tokenizer.convert_ids_to_tokens(encoder.tokens([tests[row]], LENGTH)[0])
words = [piece.replace("Ġ", "") for piece in words]

# %% [markdown]
# Each row is one set of weights, times the number of tokens: 1 is an equal share.

# %%
fig, ax = plt.subplots(figsize=(12, 3))
names = ["weighted sum", *(f"attention, head {head}" for head in range(1, len(rows)))]
sns.heatmap(rows * len(words), cmap="cividis", vmin=0, ax=ax, xticklabels=words, yticklabels=names,
            cbar_kws={"label": "times its equal share"})
ax.tick_params(axis="x", rotation=90, labelsize=8)
figures.show(fig, alt=f"Weights of one review's tokens under the weighted sum and four attention heads; the weighted "
                      f"sum's largest is on {words[int(rows[0].argmax())]!r}.")

# %% [markdown]
# ### Exercise 3.4 · How many tokens really count? ★☆☆ easy, 5 minutes
#
# Weights that sum to 1 can rest on one token or on all. The *effective number* is 1 over the sum of the squared weights: 1 for a single token, n for n equal weights. Return it for each text. Then give it `rows`, one row for each set of weights on *one* text, in a cell of your own: on how many tokens does each rest?

# %% tags=["exercise", "ex-3.4"]
def effective_number(weights):
    """[n, T], each row sums to 1 and padding has 0 -> [n]"""
    raise NotImplementedError  # your turn


# %% [markdown] tags=["hint", "ex-3.4"]
# `Tensor.square()`, then a sum over the tokens.

# %% tags=["check", "ex-3.4"]
checks.exercise("3.4", effective_number, lambda f: {
    "one token has all the weight": (f(torch.tensor([[0.0, 1.0, 0.0]])), [1.0]),
    "four equal weights, and padding": (f(torch.tensor([[0.25, 0.25, 0.25, 0.25, 0.0]])), [4.0]),
    "by hand": (f(torch.tensor([[0.5, 0.25, 0.25], [0.8, 0.2, 0.0]])), [8 / 3, 1 / 0.68]),
})


# %% tags=["solution", "ex-3.4"]
def effective_number(weights):
    """[n, T], each row sums to 1 and padding has 0 -> [n]"""
    return 1 / weights.square().sum(dim=1)


# %% [markdown]
# On how many tokens of this review does each set of weights rest?

# %%
told = ", ".join(f"{name} {1 / float(row.square().sum()):.1f}" for name, row in zip(names, rows, strict=True))
figures.say(f"Effective numbers, of {len(words)} tokens: {told}.")

# %% [markdown]
# Chapter 6 asks what such weights explain, and what they do not.
#
# ## What this chapter says about the claims
#
# C1a, C2a and C2b have their verdicts in 3.9, at the scale in the captions. Where a verdict is "no detectable difference", the table says how large a gap had to be to be found about four times in five (smaller ones are found sometimes): read it before you repeat the claim or its opposite. What happens on a GPT-2, and whether the best pooling changes with the architecture, comes next.
#
# ## Quiz

# %% [markdown] tags=["quiz"]
# 1. Nothing in a BERT's pretraining by gaps mentions the state at [CLS]. Why can a probe on it still do better than chance?
#
#    Answer: The state attends to the whole text in every layer, so something of the text gets into it, asked for or not.
#
# 2. A masked loss stays at the unigram for a million tokens. What do you look at, besides the learning rate?
#
#    Answer: The attention weights. At a [MASK] everything must come through attention; if every head is uniform, all gaps look alike.
#
# 3. You probe 13 layers and report the best test accuracy. What is wrong?
#
#    Answer: The test part chose the layer, so its accuracy is that of the luckiest of 13. Let validation choose.
#
# 4. Which tokens get a gradient when a BERT is fine-tuned through *first*?
#
#    Answer: All of them. The pooled vector is [CLS]'s state, but that state depends on every token through attention.
#
# 5. The weighted sum reaches the accuracy of the mean. Has it learned nothing?
#
#    Answer: Its weights may still have moved. Equal accuracy is not equal weights: look at 3.10, and at what happens on other texts.

# %% [markdown]
# ## Further reading
#
# - Devlin et al. (2019), *BERT*, [arXiv:1810.04805](https://arxiv.org/abs/1810.04805).
# - Reimers and Gurevych (2019), *Sentence-BERT*, [arXiv:1908.10084](https://arxiv.org/abs/1908.10084): mean, max and [CLS] compared, after training with each.
# - Sun et al. (2019), *How to fine-tune BERT for text classification?*, [arXiv:1905.05583](https://arxiv.org/abs/1905.05583): rates for each layer.
# - Clark et al. (2019), *What does BERT look at?*, [arXiv:1906.04341](https://arxiv.org/abs/1906.04341): heads and [SEP].
# - Xing, Xing and Sun (2024), [arXiv:2411.14654](https://arxiv.org/abs/2411.14654): the claims tested here.

# %% [markdown]
# ## Your progress
#
# Which checks of this chapter have you passed? Passed once counts, also when you open the chapter anew.

# %% tags=["progress"]
progress.show("3.1", "3.2", "3.3", "3.4")
