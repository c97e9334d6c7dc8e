"""Fine-tuning: planted truths are learned, the best check is kept, and the caller's things stay as they were."""

import copy
import gc
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from helpers import encoders, finetuning, pooling
from helpers.finetuning import fine_tune
from tools.project import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_cache", "in_float32")]

#: Sums of float32 in another order, after some dozen steps of training.
FLOAT32 = 1e-4
TRAIN, VALIDATION, TEST = np.arange(32), np.arange(32, 44), np.arange(44, 84)
SETTINGS = {"rate": 1e-2, "epochs": 12, "max_length": 32}


def planted(seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Texts whose label is one word."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 84)
    words = [f"the film is {['dull', 'warm'][label]} and {'long ' * rng.integers(1, 5)}" for label in labels]
    return words, labels


@pytest.fixture
def small(monkeypatch):
    """A protocol that fits 32 texts and a model that knows nothing."""
    for key, value in (("BATCH", 4), ("CHECKS", 1), ("PATIENCE", 8)):
        monkeypatch.setattr(finetuning, key, value)


def tuned(encoder, pool="mean", seed=0, labels=None, **settings):
    texts, own = planted()
    labels = own if labels is None else labels
    module = pooling.make(pool, encoder.dim)
    return fine_tune(encoder, module, texts, labels, TRAIN, VALIDATION, seed, **SETTINGS | settings)


@pytest.mark.parametrize("pool", pooling.NAMES)
def test_a_planted_word_is_found_under_every_pooling(pool, bert, small):
    texts, labels = planted()
    found = tuned(bert, pool).probabilities([texts[row] for row in TEST])
    assert found.shape == (40,) and ((found > 0.5) == labels[TEST]).mean() >= 0.95


def test_a_gpt2_is_tuned_as_well_and_its_first_token_knows_nothing(tiny_gpt2, small):
    texts, labels = planted()
    gpt2 = encoders.load(str(tiny_gpt2))
    for pool, right in (("mean", 1.0), ("first", max(labels[TEST].mean(), 1 - labels[TEST].mean()))):
        found = tuned(gpt2, pool).probabilities([texts[row] for row in TEST])
        assert ((found > 0.5) == labels[TEST]).mean() == pytest.approx(right, abs=0.05)


def test_a_seed_repeats_itself_and_another_one_differs(bert, small):
    texts = planted()[0]
    torch.manual_seed(0)
    first = tuned(bert, epochs=2).probabilities(texts)
    torch.manual_seed(9)  # the caller's own random numbers do not count
    assert np.array_equal(first, tuned(bert, epochs=2).probabilities(texts))
    assert not np.array_equal(first, tuned(bert, epochs=2, seed=1).probabilities(texts))


def test_the_callers_encoder_pooling_and_random_numbers_stay_as_they_were(bert, small):
    module = pooling.WeightedSum(bert.dim)
    before = copy.deepcopy(bert.model.state_dict()), torch.get_rng_state()
    texts, labels = planted()
    found = fine_tune(bert, module, texts, labels, TRAIN, VALIDATION, 0, **SETTINGS)
    assert all(torch.equal(value, bert.model.state_dict()[key]) for key, value in before[0].items())
    assert torch.equal(before[1], torch.get_rng_state()) and not bert.model.training
    assert not any(weight.requires_grad for weight in bert.model.parameters())
    assert module.query.abs().max() == 0 < found.pooling.query.abs().max(), "its own copy learned"


def test_the_encoder_learns_and_not_the_head_alone(bert, small):
    after = tuned(bert, epochs=2).transformer.state_dict()
    at_rest = tuned(bert, epochs=2, rate=0.0).transformer.state_dict()
    key = "encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(after[key], bert.model.state_dict()[key])
    assert torch.equal(at_rest[key], bert.model.state_dict()[key])


def test_before_the_first_step_it_reads_what_the_frozen_encoder_gives(bert):
    texts = planted()[0]
    with torch.no_grad():  # one text at a time, in full precision: the cache holds half
        batches = [bert.pad(bert.tokens([text], 32)) for text in texts]
        states = [bert.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state for ids, mask in batches]
        vectors = torch.cat([state.mean(dim=1) for state in states])
    start = finetuning.FineTuned(bert, pooling.Mean(), vectors.mean(dim=0), 32).eval()
    assert start.logits(texts).abs().max() == 0
    nn.init.normal_(start.head.linear.weight, generator=torch.Generator().manual_seed(0))
    scaled = nn.functional.layer_norm(vectors - vectors.mean(dim=0), (32,))
    # Rounding of about 1e-7 in the states, beside differences between texts of about 0.1, through 32 weights.
    assert torch.allclose(start.logits(texts), (scaled @ start.head.linear.weight.T).squeeze(1), atol=1e-3)


def test_the_check_with_the_lowest_validation_loss_is_kept(bert, small, monkeypatch):
    monkeypatch.setattr(finetuning, "PATIENCE", 2)
    texts, labels = planted()
    # Where training labels say nothing, the validation loss soon rises.
    wrong = labels.copy()
    wrong[TRAIN] = np.random.default_rng(3).permutation(wrong[TRAIN])
    found = tuned(bert, labels=wrong)
    losses = [check["validation"] for check in found.history]
    own = nn.functional.binary_cross_entropy_with_logits(
        found.logits([texts[row] for row in VALIDATION]), torch.tensor(wrong[VALIDATION]).float()
    )
    assert own.item() == pytest.approx(min(losses), abs=1e-5) and min(losses) < losses[-1]
    assert len(losses) == int(np.argmin(losses)) + 1 + 2 < 12, "and it stopped early"


def test_checks_stand_evenly_and_the_last_one_at_the_end(bert, small, monkeypatch):
    monkeypatch.setattr(finetuning, "CHECKS", 2)
    history = tuned(bert, epochs=2).history
    assert [check["step"] for check in history] == [4, 8, 12, 16]
    assert all(0 < check["training"] < 2 for check in history)


def test_two_steps_are_the_librarys_adamw_on_clipped_gradients(bert, monkeypatch):
    """By hand. One step would not do: Adam's first step is as long whatever the gradient's length."""
    for key, value in (("BATCH", 16), ("CHECKS", 1), ("CLIP", 0.01)):
        monkeypatch.setattr(finetuning, key, value)
    texts, labels = planted()
    found = tuned(bert, epochs=1)
    center = pooling.pool_all(pooling.Mean(), encoders.encode(bert, [texts[row] for row in TRAIN], 32)).mean(dim=0)
    model = finetuning.FineTuned(bert, pooling.Mean(), center, 32).train()
    optimizer = torch.optim.AdamW(
        [{"params": model.transformer.parameters()}, {"params": model.head.linear.parameters()}], weight_decay=1e-2
    )
    torch.manual_seed(0)
    lengths = [len(ids) for ids in bert.tokens(texts, 32)]
    for order, share in zip(finetuning._like_length(lengths, TRAIN, 1, 0), (1.0, 1 / 1.8), strict=True):
        ids, mask = bert.pad(bert.tokens([texts[row] for row in order], 32))
        target = torch.tensor(labels[order]).float()
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model(ids, mask), target).backward()
        assert nn.utils.clip_grad_norm_(model.parameters(), 0.01) > 0.02, "the clip has something to do"
        for group, rate in zip(optimizer.param_groups, (1e-2, 3e-3), strict=True):
            group["lr"] = share * rate
        optimizer.step()
    assert torch.allclose(found.head.linear.weight, model.head.linear.weight, atol=1e-5)
    key = "encoder.layer.0.output.dense.weight"
    assert torch.allclose(found.transformer.state_dict()[key], model.transformer.state_dict()[key], atol=1e-5)


def test_rates_rise_and_then_fall_to_zero(bert):
    model = finetuning.FineTuned(bert, pooling.WeightedSum(32), torch.zeros(32), 32)
    optimizer, schedule = finetuning._rates(model, 1e-3, 100)
    rates = []
    for _ in range(100):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    rates = np.array(rates)
    assert rates[0] == pytest.approx([1e-4, 3e-4]) and rates[10] == pytest.approx([1e-3, 3e-3])
    assert rates[55] == pytest.approx(rates[10] / 2) and rates[-1, 0] < 2e-5 and schedule.get_last_lr()[0] == 0
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len([*model.parameters()])


def test_each_epoch_shows_each_text_once_and_texts_of_like_length_together():
    lengths = np.random.default_rng(0).integers(5, 250, 150).tolist()
    train = np.arange(50, 150)
    batches = finetuning._like_length(lengths, train, epochs=2, seed=0)
    assert len(batches) == 2 * 7 and max(map(len, batches)) <= finetuning.BATCH
    for epoch in (batches[:7], batches[7:]):
        assert sorted(np.concatenate(epoch)) == train.tolist()
    spread = [np.ptp([lengths[row] for row in batch]) for batch in batches]
    assert max(spread) <= 100 and [b.tolist() for b in batches[:7]] != [b.tolist() for b in batches[7:]]


def test_a_rate_that_blows_up_is_said(bert, small):
    with pytest.raises(ValueError, match="try a rate below 1e"):
        tuned(bert, rate=1e30)


@pytest.mark.parametrize("validation, said", [(TRAIN[:5], "both the training and the valid"), ([], "both classes")])
def test_parts_that_do_not_fit_are_refused(bert, validation, said):
    texts, labels = planted()
    with pytest.raises(ValueError, match=said):
        fine_tune(bert, pooling.Mean(), texts, labels, TRAIN, np.array(validation, int), 0, **SETTINGS)


def test_a_tuned_model_is_freed_when_nobody_holds_it(bert, small):
    found = tuned(bert, epochs=1)
    watched = weakref.ref(found)
    assert all(weight.grad is None for weight in found.parameters()) and "forward" not in vars(found)
    gc.collect()
    gc.disable()
    try:
        del found
        assert watched() is None, "only the garbage collector would find it"
    finally:
        gc.enable()


def test_texts_that_the_encoder_cannot_read_are_refused(tiny_gpt2):
    gpt2 = encoders.load(str(tiny_gpt2))
    texts, labels = planted()
    with pytest.raises(ValueError, match="max_length is 49: .* takes 2 to 48"):
        fine_tune(gpt2, pooling.Mean(), texts, labels, TRAIN, VALIDATION, 0, max_length=49)
    texts[3] = ""
    with pytest.raises(ValueError, match="Row 3: .* makes no token of the text ''"):
        fine_tune(gpt2, pooling.Mean(), texts, labels, TRAIN, VALIDATION, 0, max_length=32)


TWO = """
import sys
import numpy as np
import torch
from accelerate import PartialState
torch.set_num_threads(1)
torch.cpu._is_avx512_bf16_supported = lambda: False
state = PartialState(cpu=True)
from helpers import encoders, finetuning, pooling
from tests.test_finetuning import planted, tuned
finetuning.BATCH, finetuning.CHECKS, finetuning.PATIENCE = 5, 1, 8  # five are not shared evenly by two
encoder = encoders.load(sys.argv[1])
for module in encoder.model.modules():
    if isinstance(module, torch.nn.Dropout):
        module.p = 0.0  # each process draws its own
found = tuned(encoder, "weighted_sum", epochs=3)
assert state.num_processes == int(sys.argv[3])
if state.is_main_process:
    np.save(sys.argv[2], found.probabilities(planted()[0]))
"""


def test_two_processes_learn_what_one_learns(tiny_bert, tmp_path):
    (tmp_path / "two.py").write_text(TWO)
    found = []
    for processes in (1, 2):
        out = tmp_path / f"{processes}.npy"
        # What `accelerate launch` starts on several GPUs; without one it has to be asked for by its own name.
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
        script = [str(tmp_path / "two.py"), str(tiny_bert), str(out), str(processes)]
        here = {**os.environ, "PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run([*launch, *script], env=here, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        found.append(np.load(out))
    assert found[0] == pytest.approx(found[1], abs=FLOAT32), np.abs(found[0] - found[1]).max()
    assert np.ptp(found[0]) > 0.02, "and it learned something"
