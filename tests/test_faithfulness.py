"""Does erasing tell a true explanation from a random one? On models of which the truth is known."""

import numpy as np
import pytest
import torch

from helpers import encoders, pooling
from helpers.faithfulness import SHARES, Eraser, agreement, concentration, faithfulness
from tests.bag import classifier

pytestmark = pytest.mark.usefixtures("own_cache", "in_float32")

WORDS = "a film and the end is of best it long far too slow".split()


@pytest.fixture
def bert(tiny_bert) -> encoders.Encoder:
    return encoders.load(str(tiny_bert))


@pytest.fixture
def model(bert):
    return classifier(bert, pooling.Mean(), {"warm": 40.0, "dull": -40.0})


def texts(n: int = 40) -> list[str]:
    """Each has one word that decides, somewhere among others."""
    rng = np.random.default_rng(0)
    found = []
    for row in range(n):
        words = rng.choice(WORDS, size=rng.integers(6, 14)).tolist()
        words[rng.integers(len(words))] = ("warm", "dull")[row % 2]
        found.append(" ".join(words))
    return found


def truth(eraser: Eraser) -> list[torch.Tensor]:
    """The word vectors' own values: what this model really goes by."""
    table = eraser.model.transformer.table.weight[:, 0].detach()
    return [table[torch.tensor(part)] for part in eraser.tokens]


@pytest.mark.parametrize("by", ["deletion", "hiding"])
def test_the_truth_is_faithful_and_its_reverse_is_the_opposite(model, by):
    eraser = Eraser(model, texts(), by)
    chance, most = eraser.chance(), eraser.most()
    found = faithfulness(eraser.erase(truth(eraser)), chance, most)
    turned = faithfulness(eraser.erase([-part for part in truth(eraser)]), chance, most)
    for name in ("comprehensiveness", "sufficiency"):
        assert found[name].low > 0.3 and turned[name].high < 0, name


@pytest.mark.parametrize("by", ["deletion", "hiding"])
def test_a_random_explanation_is_as_good_as_chance(model, by):
    eraser = Eraser(model, texts(120), by)
    rng = np.random.default_rng(5)
    found = faithfulness(
        eraser.erase([torch.tensor(rng.random(len(part))) for part in eraser.tokens]), eraser.chance(), eraser.most()
    )
    for one in found.values():
        assert one.low < 0 < one.high


def test_the_falls_by_hand(bert):
    """Four words, of which one decides: without it the answer is one half."""
    model = classifier(bert, pooling.Mean(), {"warm": 6.0})
    eraser = Eraser(model, ["warm film and end"])
    before = 1 / (1 + np.exp(-6 / 6))  # the mean over [CLS], four words and [SEP]
    found = eraser.erase(truth(eraser))
    assert found.comprehensiveness[0] == pytest.approx([before - 0.5] * 5, abs=1e-5)
    alone = [1 / (1 + np.exp(-6 / size)) for size in (3, 3, 3, 3, 4)]  # 1, 1, 1, 1 and 2 words stay
    assert found.sufficiency[0] == pytest.approx(before - np.array(alone), abs=1e-5)
    assert eraser.most()[0] == pytest.approx(before - 1 / (1 + np.exp(-6 / 3)), abs=1e-5)


def test_for_a_negative_answer_the_scores_are_turned_round(model):
    eraser = Eraser(model, ["a dull film and the end", "a warm film and the end"])
    found = eraser.erase(truth(eraser))
    assert (eraser.sign.tolist(), eraser.before.min() > 0.5) == ([-1, 1], True)
    assert (found.comprehensiveness[:, 0] > 0.4).all()


def test_hiding_keeps_the_places_and_deletion_does_not(bert):
    model = classifier(bert, pooling.Mean(), {"warm": 6.0})
    model.pooling = pooling.WeightedSum(8)
    with torch.no_grad():
        model.pooling.position_score[2] = 5.0  # the second word weighs most: but positions count what is left
    scores = [torch.tensor([0.0, 9.0, 0.0, 0.0, 0.0])]
    erasers = [Eraser(model, ["film warm end"], by) for by in ("deletion", "hiding")]
    falls = [eraser.erase(scores).comprehensiveness[0, 0] for eraser in erasers]
    # Without "film", "warm" is the first word for the pooling, whether hidden or deleted: places count real tokens.
    assert falls[0] == pytest.approx(falls[1], abs=1e-6) and falls[0] > 0.3


def test_what_cannot_be_erased_is_refused(model):
    with pytest.raises(ValueError, match="Row 1 has fewer than two tokens"):
        Eraser(model, ["a film", "film"])
    with pytest.raises(ValueError, match="choose 'deletion' or 'hiding'"):
        Eraser(model, ["a film"], "masking")


def test_chance_repeats_itself_and_takes_the_same_shares(model):
    eraser = Eraser(model, texts(6))
    assert np.array_equal(eraser.chance(1).sufficiency, eraser.chance(1).sufficiency)
    assert eraser.chance().comprehensiveness.shape == (6, len(SHARES))


# Concentration and agreement


def test_concentration_by_hand():
    scores = torch.tensor([[3.0, -3.0, 0.0, 9.0], [5.0, 0.0, 0.0, 0.0]])
    mask = torch.tensor([[True, True, True, False], [True, True, True, True]])
    effective, top = concentration(scores, mask)
    assert effective.tolist() == pytest.approx([2.0, 1.0]) and top.tolist() == pytest.approx([0.5, 1.0])
    with pytest.raises(ValueError, match="Row 0 has no score but zero"):
        concentration(torch.zeros(1, 3), torch.ones(1, 3, dtype=torch.bool))


def test_agreement_is_spearmans_over_all_words():
    rng = np.random.default_rng(0)
    a = [rng.normal(size=rng.integers(1, 6)) for _ in range(60)]
    assert agreement(a, [part**3 for part in a]).value == pytest.approx(1.0)
    assert agreement(a, [-part for part in a]).value == pytest.approx(-1.0)
    unrelated = agreement(a, [rng.normal(size=len(part)) for part in a])
    assert unrelated.low < 0 < unrelated.high
