"""What a chapter writes out and `helpers` holds too: the two must be equal.

The chapter's own definitions are taken from its source, not copied here.
"""

import ast

import numpy as np
import pytest
import torch

from helpers import data, encoders, finetuning, heads, pooling
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
