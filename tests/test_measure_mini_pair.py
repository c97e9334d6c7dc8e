"""Measuring the mini pair: the right losses at the right places, planted effects found, nothing stale believed."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from helpers import data, encoders, finetuning
from tools import corpus, measure_mini_pair, mini_models, model_card
from tools.corpus import MASK
from tools.mini_models import NAMES, new_model

pytestmark = pytest.mark.usefixtures("own_cache", "in_float32")
FLOAT32 = 1e-5


@pytest.fixture
def small(monkeypatch):
    for key, value in (("LAYERS", 2), ("DIM", 32), ("HEADS", 2)):
        monkeypatch.setattr(mini_models, key, value)


# Losses


@pytest.mark.parametrize("name", NAMES)
def test_the_losses_are_the_librarys_at_the_chosen_places(name, small):
    model = new_model(name).eval()
    ids = torch.randint(4, corpus.VOCABULARY, (4, 10), generator=torch.Generator().manual_seed(0))
    chosen = torch.zeros_like(ids, dtype=torch.bool)
    chosen[:, 1:] = True
    if name == "mini-bert":
        chosen[:, ::2] = False
        labels = ids.masked_fill(~chosen, -100)
        expected = model(ids.masked_fill(chosen, MASK), labels=labels).loss.item()
    else:
        expected = model(ids, labels=ids).loss.item()
    losses = measure_mini_pair._losses(model, ids, chosen)
    assert losses.shape == (int(chosen.sum()),) and losses.mean().item() == pytest.approx(expected, abs=FLOAT32)


@pytest.mark.parametrize("name", NAMES)
def test_model_and_counts_are_measured_at_the_same_places(name, small, tmp_path):
    words = np.array("a fine film warm funny dull slow far too long the end best of it and".split())
    rng = np.random.default_rng(0)
    texts = {split: [" ".join(rng.choice(words, 20)) for _ in range(n)] for split, n in (("train", 60), ("test", 40))}
    texts["train"] += ["the end is the best of it"] * 100
    texts["test"] += ["the end is the best of it"] * 30
    new_model(name).save_pretrained(tmp_path)
    shared = corpus.train_tokenizer(texts["train"])
    corpus.for_model(shared, name).save_pretrained(tmp_path)
    line, test = (corpus.stream(shared, texts[split], 0) for split in ("train", "test"))
    found = measure_mini_pair.heldout_losses(name, tmp_path, 16, line.numpy(), test)
    blocks = corpus.blocks(test, 16)
    if name == "mini-gpt2":
        assert found["places"] == 15 * len(blocks), "every place but the first"
    else:
        assert 0.1 * blocks.numel() < found["places"] < 0.3 * blocks.numel()
    # An untrained model knows nothing; the counts know the sentence that comes again and again.
    assert abs(found["loss"] - np.log(corpus.VOCABULARY)) < 0.5 and found["bigram"] < found["unigram"] < 5


# Accuracy


@pytest.fixture
def planted(tiny_bert, monkeypatch):
    """Texts whose label is one word, for a tiny BERT."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    texts = [f"the film is {['dull', 'warm'][label]} and {'long ' * rng.integers(1, 5)}" for label in labels]
    settings = {"LENGTH": 32, "LABELS": 32, "VALIDATION": 8, "TEST": 20}
    for key, value in settings.items():
        monkeypatch.setattr(measure_mini_pair, key, value)
    monkeypatch.setattr(measure_mini_pair, "reviews", lambda: (texts[:40], labels[:40], texts[40:], labels[40:]))
    monkeypatch.setattr(finetuning, "BATCH", 4)
    monkeypatch.setattr(measure_mini_pair, "encoder_of", lambda *_: encoders.load(str(tiny_bert)))
    return labels[40:]


def test_a_fine_tuned_run_is_one_row_and_its_seed_counts(planted):
    found = [measure_mini_pair.fine_tuned("mini-bert", "pretrained", seed) for seed in (0, 0, 1)]
    assert found[0].shape == (20,) and np.array_equal(*found[:2]) and not np.array_equal(*found[1:])


def test_a_probe_gives_one_row_a_seed(planted):
    found = measure_mini_pair.frozen("mini-bert", "pretrained", "mean")
    assert found.shape == (5, 20) and ((found > 0.5) == planted).mean() > 0.9


def test_the_reviews_that_judge_are_none_that_chose():
    texts, labels, test_texts, test_labels = measure_mini_pair.reviews()
    assert len(texts) == len(labels) == 2250 and len(test_texts) == len(test_labels) == 2000
    assert texts == measure_mini_pair.labelled()[0] and set(labels) == set(test_labels) == {0, 1}
    seen = data.load("imdb", "test")["text"][: measure_mini_pair.SEEN]
    assert not set(test_texts) & {*seen, *texts}
    assert set(test_texts) <= set(data.load("imdb", "test")["text"])


def predictions(labels: np.ndarray, right: float, seeds: int = 5) -> np.ndarray:
    """The first texts right, the others wrong, for every seed."""
    correct = np.arange(len(labels)) < right * len(labels)
    return np.tile(np.where(correct, labels, 1 - labels), (seeds, 1)).astype(float)


@pytest.fixture
def made_up() -> tuple[np.ndarray, dict]:
    """mini-bert: pretraining brings 20 points and fine-tuning 5 more; mini-gpt2: neither brings anything."""
    labels = np.random.default_rng(1).integers(0, 2, 400)
    shares = {
        ("mini-bert", "pretrained", "frozen"): 0.8, ("mini-bert", "random", "frozen"): 0.6,
        ("mini-bert", "pretrained", "fine-tuned"): 0.85, ("mini-bert", "random", "fine-tuned"): 0.7,
        ("mini-gpt2", "pretrained", "frozen"): 0.6, ("mini-gpt2", "random", "frozen"): 0.6,
        ("mini-gpt2", "pretrained", "fine-tuned"): 0.6, ("mini-gpt2", "random", "fine-tuned"): 0.6,
    }  # fmt: skip
    return labels, {(*key, "mean"): predictions(labels, share) for key, share in shares.items()}


def test_planted_differences_are_found_and_absent_ones_are_not(made_up):
    table = measure_mini_pair.comparisons(*made_up).set_index(["model", "comparison"])
    assert table.difference.tolist() == pytest.approx([0.2, 0.05, 0, 0])
    assert (table.loc["mini-bert"].p_holm < 0.001).all() and (table.loc["mini-gpt2"].p_holm == 1).all()
    assert (table.loc["mini-bert"].low > 0).all()


def test_every_accuracy_has_its_interval(made_up):
    table = measure_mini_pair.accuracies(*made_up)
    assert table.accuracy.tolist() == pytest.approx([0.8, 0.6, 0.85, 0.7, 0.6, 0.6, 0.6, 0.6])
    assert ((table.low < table.accuracy) & (table.accuracy < table.high)).all()


# What is kept


def test_predictions_of_other_weights_or_another_protocol_are_not_taken(small, tmp_path, monkeypatch):
    monkeypatch.setattr(measure_mini_pair, "MODELS", tmp_path / "models")
    monkeypatch.setattr(measure_mini_pair, "WORK", tmp_path / "work")
    monkeypatch.setattr(measure_mini_pair, "fine_tuned", lambda *_: np.full(20, 0.25))
    folder = tmp_path / "models" / "mini-bert"
    new_model("mini-bert").save_pretrained(folder)
    job = ("fine-tuned", "mini-bert", "pretrained", 0)
    assert measure_mini_pair._kept(job) is None
    measure_mini_pair._keep(job)
    assert measure_mini_pair._kept(job).tolist() == [[0.25] * 20]
    with monkeypatch.context() as patch:
        patch.setattr(measure_mini_pair, "SEEN", 3)
        assert measure_mini_pair._kept(job) is None
    path = measure_mini_pair._path(job)
    path.write_bytes(path.read_bytes()[:-9])
    assert measure_mini_pair._kept(job) is None, "damaged"
    measure_mini_pair._keep(job)
    new_model("mini-bert", seed=1).save_pretrained(folder)
    assert measure_mini_pair._kept(job) is None, "other weights"


# The card


def test_the_card_holds_the_numbers_of_its_tables(made_up, tmp_path):
    models, results = tmp_path / "models", tmp_path / "results"
    for folder in (models / "mini-bert", results):
        folder.mkdir(parents=True)
    (models / "mini-bert" / "model.safetensors").write_bytes(b"0" * 10_700_000)
    rates = {"learning_rate": 0.0007, "masked_rate": 0.0005, "weight_decay": 0.1}
    made = {
        "recipe": rates | {"causal_tokens": 2e6, "mask_share": 0.25}, "tokens": 6_999_000, "corpus_tokens": 3_499_500,
        "seed": 3, "seconds": 4321, "hardware": "a CPU", "device": "cpu", "versions": {"torch": "9.9"},
        "date": "2026-01-02", "float16_shift": 1.2e-4, "batch_tokens": 2048,
    }  # fmt: skip
    (models / "mini-bert" / "training.json").write_text(json.dumps(made))
    curve = {
        "tokens": [1e6, 2e6, 3e6, 7e6], "objective": ["next token"] * 2 + ["masked"] * 2, "block": [128] * 3 + [512],
        "train_loss": [6, 5, 6, 4], "heldout_loss": [6, 5, 6, 4],
    }  # fmt: skip
    pd.DataFrame(curve).to_csv(results / "pretraining_mini-bert.csv")
    measure_mini_pair.accuracies(*made_up).to_csv(results / "mini_pair_accuracy.csv")
    measure_mini_pair.comparisons(*made_up).to_csv(results / "mini_pair_comparisons.csv")
    losses = {"model": "mini-bert", "block": 128, "places": 1234, "loss": 4.321, "bigram": 5.432, "unigram": 6.543}
    pd.DataFrame([losses]).to_csv(results / "mini_pair_heldout.csv")
    model_card.write("mini-bert", models, results)
    card = (models / "mini-bert" / "README.md").read_text(encoding="utf-8")
    for expected in (
        "10.7 MB", "7.00 million (2.0 passes over 3.50 million)", "72 minutes on one core", "torch 9.9", "1.2e-04",
        "The first 2 million tokens as a causal model", "then 5.00 million with 25%", "rate 0.0007 (0.0005 with masks)",
        "| 128 | 1,234 | 4.32 | 5.43 | 6.54 |", "| frozen | mean | 0.800 [", "| pretrained − random, frozen | +20.0 [",
        "--tokens 6999000",
    ):  # fmt: skip
        assert expected in card, expected
    assert (models / "mini-bert" / "loss_curve.png").read_bytes().startswith(b"\x89PNG")
