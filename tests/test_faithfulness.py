"""Does erasing tell a true explanation from a random one? On models of which the truth is known."""

import numpy as np
import pytest
import torch

from helpers import classifier_studies, encoders, pooling
from helpers.classifiers import frozen
from helpers.faithfulness import SHARES, Eraser, agreement, concentration, faithfulness, gains
from helpers.heads import PooledProbe, Probe
from tests.bag import DIM, classifier

pytestmark = pytest.mark.usefixtures("own_cache", "in_float32")

WORDS = "a film and the end is of best it long far too slow".split()


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
    chance, most, true = eraser.chance(), eraser.most(), eraser.toward(truth(eraser))
    assert most == pytest.approx(eraser.before - 0.5, abs=1e-6), "an empty text has no value"
    found, turned = (gains(eraser.erase([sign * part for part in true]), chance) for sign in (1, -1))
    for one, other in zip(found, turned, strict=True):
        assert faithfulness(one, most).low > 0.3 and faithfulness(other, most).high < 0


@pytest.mark.parametrize("by", ["deletion", "hiding"])
def test_a_random_explanation_is_as_good_as_chance(model, by):
    """In 20 tries an interval at 95% leaves zero out once; five times or more happen in 3 of 1,000."""
    eraser, rng, missed = Eraser(model, texts(60), by), np.random.default_rng(5), 0
    chance, most = eraser.chance(), eraser.most()
    for _ in range(20):
        own = gains(eraser.erase([torch.tensor(rng.random(len(part))) for part in eraser.tokens]), chance)
        found = faithfulness(own[0], most)
        missed += not found.low < 0 < found.high
    assert missed < 5


def test_chance_is_the_mean_of_ten_orders(model, monkeypatch):
    eraser, seen = Eraser(model, texts(4)), []
    monkeypatch.setattr(eraser, "erase", lambda scores, erase=eraser.erase: seen.append(scores) or erase(scores))
    found = eraser.chance()
    assert len(seen) == 10
    assert found.sufficiency == pytest.approx(np.mean([Eraser.erase(eraser, one).sufficiency for one in seen], axis=0))


def test_nothing_to_lose_is_nothing_to_divide_by():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="nothing to divide by"):
        faithfulness(rng.normal(0.01, 0.02, 64), rng.normal(0, 0.05, 64))


def test_the_falls_by_hand(bert):
    """Four words, of which one decides: without it the answer is one half."""
    model = classifier(bert, pooling.Mean(), {"warm": 6.0})
    eraser = Eraser(model, ["warm film and end"])
    before = 1 / (1 + np.exp(-6 / 6))  # the mean over [CLS], four words and [SEP]
    found = eraser.erase(truth(eraser))
    assert found.comprehensiveness[0] == pytest.approx([before - 0.5] * 5, abs=1e-5)
    alone = [1 / (1 + np.exp(-6 / size)) for size in (3, 3, 3, 3, 4)]  # 1, 1, 1, 1 and 2 words stay
    assert found.sufficiency[0] == pytest.approx(before - np.array(alone), abs=1e-5)
    assert eraser.most()[0] == pytest.approx(before - 0.5, abs=1e-5)


def test_for_a_negative_answer_scores_for_positive_are_turned_round_and_weights_are_not(model):
    eraser = Eraser(model, ["a dull film and the end", "a warm film and the end"])
    assert (eraser.sign.tolist(), eraser.before.min() > 0.5) == ([-1, 1], True)
    for scores in (eraser.toward(truth(eraser)), [part.abs() for part in truth(eraser)]):
        assert (eraser.erase(scores).comprehensiveness[:, 0] > 0.4).all()


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_hiding_is_the_attention_mask_and_not_deletion(family, request):
    encoder = encoders.load(str(request.getfixturevalue(f"tiny_{family}")))
    module = pooling.Mean()
    model = frozen(encoder, PooledProbe(module, Probe(torch.randn(30, encoder.dim))), 32)
    torch.nn.init.normal_(model.head.linear.weight, generator=torch.Generator().manual_seed(0))
    text = ["a warm and funny film , the end"]
    free = Eraser(model, text).free[0]
    scores = [torch.zeros(len(Eraser(model, text).tokens[0]))]
    scores[0][free[1]] = 1.0
    hidden, deleted = (Eraser(model, text, by).erase(scores).comprehensiveness[0, 0] for by in ("hiding", "deletion"))
    ids, mask = encoder.pad(encoder.tokens(text, 32))
    mask[0, free[1]] = False
    ids[0, free[1]] = 7  # whatever stands there
    with torch.no_grad():
        own = Eraser(model, text).before[0] - float((Eraser(model, text).sign[0] * model(ids, mask)[0]).sigmoid())
    assert hidden == pytest.approx(own, abs=1e-6) and abs(hidden - deleted) > 1e-5
    assert torch.equal(model.logits_of_tokens(encoder.tokens(text, 32), [set()]), model.logits(text)), "nothing hidden"


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
    # Words of a text that share one value are no new evidence: the bootstrap draws texts.
    wide, narrow = (agreement([np.repeat(part, times) for part in one], [np.repeat(part, times) for part in other])
                    for one, other in [([part[:1] for part in a], [rng.normal(size=1) for _ in a])] for times in (1, 9))
    assert wide.high - wide.low == pytest.approx(narrow.high - narrow.low, rel=0.05)
    for wrong in (a[:9], [np.ones(3)] * 20):
        with pytest.raises(ValueError, match="ten texts are needed"):
            agreement(wrong, wrong)


# Which method finds what, on a model of which the truth is known: and which fails, and by how much?

#: Share of the scores' mass that lies on the tokens that decide: one "warm" among eight words, then four.
FOUND = {
    "contributions": (1.0, 1.0),
    "gradients": (1.0, 1.0),
    "weights": (1 / 10, 4 / 10),  # all ten tokens alike, [CLS] and [SEP] too: no better than chance
}


@pytest.mark.parametrize("name", ["mean", "max", "weighted_sum"])
def test_which_method_finds_what_decides(bert, name):
    model = classifier(bert, pooling.make(name, DIM), {"warm": 6.0})
    texts = {"a film and warm the end of it": [4], "warm film warm the warm of warm it": [1, 3, 5, 7]}
    for which, (text, places) in enumerate(texts.items()):
        scores = classifier_studies.scores(model, text, torch.zeros(DIM))
        for method, score in zip(classifier_studies.METHODS, scores, strict=True):
            mass = score.abs() / score.abs().sum()
            # Max's own weights: the word wins one dimension of eight, and ties in the others go to the first token.
            won = name == "max" and method == "weights"
            found = 1 / DIM if won else FOUND[method][which]
            assert float(mass[places].sum()) == pytest.approx(found, abs=1e-3), method
            # Of equal tokens max names one, however many there are.
            named = 1 if name == "max" else len(places)
            assert int((mass[places] > 0.01).sum()) == named, method


@pytest.mark.parametrize("module, whole, rest", [
    (pooling.Max(), 6.0, 6.0),  # the runner-up is as large: nothing falls
    (pooling.Mean(), 12 / 10, 6 / 9),  # two of ten tokens say 6, then one of nine
])  # fmt: skip
def test_where_parts_fail_by_how_much_a_runner_up(bert, module, whole, rest):
    """Under max one of two equal words has the whole part, and its fall is zero; under the mean each has its half."""
    model, text = classifier(bert, module, {"warm": 6.0}), "warm film and warm the end of it"
    scores = classifier_studies.scores(model, text, torch.zeros(DIM))[0]
    fall = Eraser(model, [text], "hiding").erase([scores]).comprehensiveness[0, 0]  # one token of eight goes
    before, after = (1 / (1 + np.exp(-value)) for value in (whole, rest))
    assert fall == pytest.approx(before - after, abs=1e-4)
