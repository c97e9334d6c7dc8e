"""Classifiers of the grid: the run's own predictions, trained once, and never from a damaged file."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers import encoders, grid, trained
from helpers.grid import Run

pytestmark = pytest.mark.usefixtures("own_cache", "in_float32")


@pytest.fixture
def settings(tiny_bert) -> grid.Settings:
    return grid.Settings(
        "smoke", {str(tiny_bert): 1e-3}, (), {"rotten_tomatoes": 16}, labels={"rotten_tomatoes": (16,)},
        validation=16, test=24, seeds=1, poolings=("mean", "attention"),
    )  # fmt: skip


@pytest.fixture
def tuned(tiny_bert) -> Run:
    return Run(str(tiny_bert), "attention", "fine-tuned", "rotten_tomatoes", 16, 0)


def counted(monkeypatch) -> list[Run]:
    seen, fit = [], grid.fit
    monkeypatch.setattr(grid, "fit", lambda run, settings: seen.append(run) or fit(run, settings))
    return seen


@pytest.mark.parametrize("mode", ["frozen", "fine-tuned"])
def test_a_classifier_says_what_its_run_said(settings, tuned, mode):
    run = replace(tuned, mode=mode)
    _, found, _ = grid.execute(run, settings)
    tests = grid.texts_of("rotten_tomatoes", "test", settings)["text"][:]
    said = trained.classifier(run, settings).logits(tests).numpy()
    # The grid keeps log-odds in half precision, and a frozen run's states too.
    assert np.allclose(said, found.astype(float), atol=5e-3) and said.std() > 0


def test_it_is_trained_once(settings, tuned, monkeypatch):
    seen = counted(monkeypatch)
    first, second = (trained.classifier(tuned, settings) for _ in range(2))
    assert seen == [tuned] and not second.training
    assert all(torch.equal(part, second.state_dict()[name]) for name, part in first.state_dict().items())


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_file_is_not_believed(settings, tuned, monkeypatch, damage):
    first = trained.classifier(tuned, settings)
    path, *_ = trained.kept(tuned, settings)
    content = bytearray(path.read_bytes())
    content[-9] ^= 64
    path.write_bytes({"cut": content[:-40], "flip": content, "empty": b""}[damage])
    seen = counted(monkeypatch)
    again = trained.classifier(tuned, settings)
    assert seen == [tuned], "trained again"
    assert torch.equal(first.head.linear.weight, again.head.linear.weight)


def test_other_weights_or_another_protocol_are_another_file(settings, tuned, monkeypatch):
    first = trained.kept(tuned, settings)
    assert trained.kept(replace(tuned, seed=1), settings) != first
    assert trained.kept(tuned, replace(settings, epochs=1)) != first
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert trained.kept(tuned, settings) != first, "trained in another precision"
    assert encoders.cache_info()["files"] == 0, "asking for the place makes nothing"
