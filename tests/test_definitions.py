"""What a chapter writes out and `helpers` holds too: the two must be equal.

The chapter's own definitions are taken from its source, not copied here.
"""

import ast

import numpy as np
import pytest
import torch

from helpers import attentions, contrasts, data, encoders, finetuning, heads, matching, pooling, yardsticks
from tests.answers import inside, preparation
from tools.editions import exercises, read_source
from tools.project import NOTEBOOKS, SOURCES

ROUNDING = 1e-6  # the same sums in another order, in float32


def definitions(chapter: str, *names: str) -> dict:
    """Run a chapter's preparation, its solutions and the cells that define the given names."""
    path = SOURCES / f"{chapter}.py"
    source = read_source(path)
    namespace: dict = {"__name__": "__main__"}
    with inside(NOTEBOOKS, "smoke"):
        exec(preparation(source, chapter), namespace)
    for exercise in exercises(source).values():
        exec(exercise.solution, namespace)
    for cell in source.cells:
        if cell.cell_type == "code" and "exercise" not in cell.metadata.get("tags", []):
            # Only the definitions: what follows them in a cell shows the chapter's example.
            found = [node for node in ast.parse(cell.source).body if getattr(node, "name", None) in names]
            exec(compile(ast.Module(found, []), chapter, "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def chapter_2() -> dict:
    return definitions("02_poolings_from_scratch", "mean_by_loop", "Mean", "WeightedSum")


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    mask = torch.arange(9) < torch.randint(1, 10, (20, 1), generator=generator)
    return torch.randn(20, 9, 6, generator=generator), mask


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(
    ("own", "name"),
    [("mean_by_loop", "mean"), ("masked_mean", "mean"), ("masked_max", "max"), ("last_token", "last")],
)
def test_the_poolings_of_chapter_2_are_those_of_the_helpers(chapter_2, batch, own, name, side):
    states, mask = (part.flip(1) for part in batch) if side == "left" else batch
    torch.testing.assert_close(
        chapter_2[own](states, mask), pooling.make(name, 6)(states, mask), atol=ROUNDING, rtol=0
    )


def test_the_weights_of_chapter_2_are_those_of_the_helpers(chapter_2, batch):
    states, mask = batch
    weighted = (chapter_2["position_weights"](mask).unsqueeze(-1) * states).sum(dim=1)
    torch.testing.assert_close(weighted, pooling.WeightedMean()(states, mask), atol=ROUNDING, rtol=0)


def test_the_classes_of_chapter_2_are_those_of_the_helpers(chapter_2, batch):
    torch.testing.assert_close(chapter_2["Mean"]()(*batch), pooling.Mean()(*batch), atol=ROUNDING, rtol=0)
    ours, own = pooling.WeightedSum(6), chapter_2["WeightedSum"](6)
    with torch.no_grad():  # not at their start, where both are the mean
        for parameter in own.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(5))
    ours.load_state_dict(own.state_dict())
    torch.testing.assert_close(own(*batch), ours(*batch), atol=ROUNDING, rtol=0)


def test_the_fine_tuned_model_of_chapter_3_is_that_of_the_helpers():
    tuned = definitions("03_bert", "Tuned")["Tuned"]
    encoder = encoders.load("mini-bert")
    center = torch.randn(encoder.dim, generator=torch.Generator().manual_seed(6))
    ours = finetuning.FineTuned(encoder, pooling.Max(), center, 32)
    own = tuned(encoder.model, pooling.Max(), center)
    assert (own.linear.weight == 0).all() and (ours.head.linear.weight == 0).all(), "both heads start at zero"
    with torch.no_grad():  # not at their start, where both say one half
        for parameter in own.linear.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(7))
    ours.head.linear.load_state_dict(own.linear.state_dict())
    batch = encoder.pad(encoder.tokens(["Warm and funny.", "Dull, slow and far too long, from start to end."], 32))
    with torch.no_grad():
        own_answers, answers = own.eval()(*batch), ours.eval()(*batch)
    assert own_answers.std() > 0.01
    torch.testing.assert_close(own_answers, answers, atol=1e-5, rtol=0)  # log-odds of about one, by the same sums


def test_the_near_copies_of_chapter_1_are_those_of_the_helpers():
    overlap = definitions("01_data")["overlap"]
    reviews = data.load("imdb", "validation", "smoke")["text"]
    cut = [" ".join(text.split()[: 8 + 3 * place]) for place, text in enumerate(reviews)]
    texts = [*reviews, *cut]
    group = data.near_duplicates(texts)
    for place, (whole, part) in enumerate(zip(reviews, cut, strict=True)):
        assert (overlap(whole, part, data.SHINGLE) >= data.NEAR) == (group[place] == group[len(reviews) + place])


def test_the_baseline_of_chapter_1_is_that_of_the_helpers():
    chapter = definitions("01_data", "tfidf", "logistic")
    train, validation = (data.load("imdb", split, "smoke") for split in ("train", "validation"))
    texts, labels = list(train["text"]), np.array(train["label"])
    ours = heads.fit_tfidf(texts, labels, list(validation["text"]), np.array(validation["label"]))
    words = chapter["tfidf"]()
    model = chapter["logistic"](C=ours[-1].C).fit(words.fit_transform(texts), labels)
    own = model.predict_proba(words.transform(validation["text"][:]))
    np.testing.assert_allclose(own, ours.predict_proba(validation["text"][:]), atol=1e-9)


def test_the_poolings_of_chapter_9_are_those_of_the_helpers(batch):
    own = definitions("09_future_of_pooling", "Attention", "Latent")
    states, mask = batch
    pairs = ((own["Attention"](6, heads=3), pooling.Attention(6, heads=3)),
             (own["Latent"](6, entries=5), attentions.LatentAttention(6, entries=5)))  # fmt: skip
    for mine, theirs in pairs:
        for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
            one.data = other.data = torch.randn(one.shape, generator=torch.Generator().manual_seed(one.numel()))
        torch.testing.assert_close(mine(states, mask), theirs(states, mask), atol=ROUNDING, rtol=0)
    gated = attentions.GatedAttention(6, hidden=4)
    torch.nn.init.normal_(gated.score, generator=torch.Generator().manual_seed(1))
    weights = own["gated_weights"](states, mask, gated.what.weight, gated.gate.weight, gated.score)  # biases are zero
    torch.testing.assert_close(weights, gated.weights(states, mask), atol=ROUNDING, rtol=0)


def test_the_yardsticks_of_chapter_7_are_those_of_the_helpers(batch):
    own = definitions("07_beyond_sentiment")
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores, answer = rng.integers(0, 3, 6).astype(float), int(rng.integers(6))
        assert own["reciprocal_rank"](scores, answer) == pytest.approx(yardsticks.reciprocal_rank(scores, answer))
    values, groups = rng.normal(size=40), rng.integers(0, 9, 40)
    assert own["error_of_groups"](values, groups) == pytest.approx(contrasts.over_groups(values[None], groups).error)
    states, mask = batch
    asked = matching.Asked(pooling.Mean(), 6)
    torch.nn.init.normal_(asked.query.weight, generator=torch.Generator().manual_seed(1))
    questions = torch.randn(3, 6, generator=torch.Generator().manual_seed(2))
    found = own["asked_weights"](asked.query(questions) / 6**0.5, states, mask)
    torch.testing.assert_close(found, asked.weights(questions, states, mask)[..., 0], atol=ROUNDING, rtol=0)
    assert own["rouge_1"]("fit lines", "fit a line") == pytest.approx(2 / 5), "no stems: only the package takes them"
