"""Chapter 6's runs: the right classifiers are asked the right texts, once, and the answers are kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers import classifier_studies, explain, grid, studies, trained
from helpers.classifier_studies import Planted
from helpers.grid import Run
from tests.inline import Inline

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_cache", "in_float32")]


@pytest.fixture
def tiny(tiny_bert, monkeypatch) -> grid.Settings:
    """A tiny random model, few texts, few words."""
    settings = grid.Settings(
        "smoke", {str(tiny_bert): 1e-3}, (str(tiny_bert),), {"imdb": 48, "rotten_tomatoes": 24},
        labels={"imdb": (16,), "rotten_tomatoes": (64,)}, validation=16, test=24, seeds=2, poolings=("mean", "max"),
    )  # fmt: skip
    monkeypatch.setitem(grid.SCALES, "smoke", settings)
    monkeypatch.setattr(studies, "ProcessPoolExecutor", Inline)
    for name, value in (("TEXTS", 3), ("LENGTHS", (1,)), ("POOLINGS", ("mean", "max")), ("SEEDS", 1),
                        ("STRENGTHS", (0.5, 0.9)), ("ASKED", 5)):  # fmt: skip
        monkeypatch.setattr(classifier_studies, name, value)
    few = classifier_studies._of_grid("rotten_tomatoes", ("mean", "max"), 1)
    explained = replace(classifier_studies.STUDIES["explained"], runs=few)
    monkeypatch.setattr(studies, "STUDIES", classifier_studies.STUDIES | {"explained": explained})
    return settings


def test_each_study_runs_once_and_is_kept(tiny, tmp_path, monkeypatch):
    asked, answer = [], studies.answer
    monkeypatch.setattr(studies, "answer", lambda *given: asked.append(given[:2]) or answer(*given))
    for _ in range(2):
        studies.main(["--scale", "smoke", "--out", str(tmp_path)])
    planned = [(name, run) for name, study in studies.STUDIES.items() for run in study.runs(tiny)]
    assert asked == planned and len(set(planned)) == len(planned)
    shapes = {name: {found.array(row, what).shape for what in studies.STUDIES[name].arrays
                     for row in found.rows.to_dict("records")}
              for name in studies.STUDIES for found in [studies.table(name, "smoke", tmp_path)]}  # fmt: skip
    assert shapes["gaps"] == {(len(classifier_studies.sentences()),)}
    assert shapes["doses"] == {(2, (24 + 6) * 2)} and shapes["planted"] == {(2, 5)}
    tokens = sum(map(len, grid.encoder_of(tiny.pair[0]).tokens(classifier_studies.explained_texts(tiny), 24)))
    assert shapes["explained"] == {(3, tokens), (2, 3, 2, 3), (2, 3)}
    frame = studies.table("gaps", "smoke", tmp_path).rows
    assert set(frame["mode"]) == {"baseline", "frozen", "fine-tuned"} and (frame.seconds > 0).all()
    assert (frame.precision == frame["mode"].map(lambda mode: "float64" if mode == "baseline" else "float32")).all()


def test_the_answers_are_the_classifiers_own(tiny, tmp_path):
    studies.main(["--scale", "smoke", "--out", str(tmp_path), "--only", "gaps"])
    found = studies.table("gaps", "smoke", tmp_path)
    run = Run(tiny.pair[0], "max", "fine-tuned", "rotten_tomatoes", 64, 1)
    (row,) = found.select(**vars(run)).to_dict("records")
    texts = [one.text for one in classifier_studies.sentences()]
    own = trained.classifier(run, tiny).logits(texts).numpy()
    assert np.allclose(found.array(row, "answers").astype(float), own, atol=2e-3)


def test_scores_add_up_from_their_origin_and_weights_have_no_class(tiny):
    model = trained.classifier(Run(tiny.pair[0], "mean", "frozen", "rotten_tomatoes", 64, 0), tiny)
    text = classifier_studies.explained_texts(tiny)[0]
    origin = explain.mean_vector(model, [text])
    contributions, gradients, weights = classifier_studies.scores(model, text, origin)
    # Measured from the text's own vector its parts sum to zero; from the center they do not.
    assert float(contributions.sum()) == pytest.approx(0, abs=1e-3)
    contributions, *_ = classifier_studies.scores(model, text, model.head.center)
    logit = float(model.logits([text])[0])
    assert float(contributions.sum() + model.head.linear.bias.detach()) == pytest.approx(logit, abs=1e-3)
    assert gradients.shape == contributions.shape and gradients.abs().sum() > 0
    assert torch.allclose(weights, torch.full_like(weights, 1 / len(weights)))


def test_a_dose_that_would_not_be_read_is_refused(tiny, monkeypatch):
    monkeypatch.setattr(classifier_studies, "LENGTHS", (8,))
    with pytest.raises(ValueError, match="A dosed text has .* tokens .* which reads 48"):
        classifier_studies._doses(Run(tiny.pair[0], "mean", "frozen", "imdb", 16, 0), tiny)


def test_other_texts_are_another_configuration(tiny, monkeypatch):
    run = Run(tiny.pair[0], "mean", "frozen", "rotten_tomatoes", 64, 0)
    before = {name: studies.STUDIES[name].configuration(run, tiny) for name in ("explained", "gaps")}
    monkeypatch.setattr(classifier_studies, "TEXTS", 2)
    assert studies.STUDIES["explained"].configuration(run, tiny) != before["explained"]
    assert studies.STUDIES["gaps"].configuration(run, tiny) == before["gaps"]


def test_a_planted_word_is_taken_up_and_where_it_says_nothing_it_is_not():
    """A frozen mini BERT, 200 labelled sentences, three draws: measured 0.71 and 0.08, with a spread of 0.2 by draw."""
    laptop = grid.SCALES["laptop"]
    settings = replace(laptop, labels=laptop.labels | {"rotten_tomatoes": (200,)}, validation=100,
                       lengths={"imdb": 64, "rotten_tomatoes": 32})  # fmt: skip
    moved = {}
    for strength in (0.5, 0.9):
        runs = [Planted("mini-bert", "mean", "frozen", "rotten_tomatoes", 200, seed, strength) for seed in range(3)]
        answers = [classifier_studies._planted(run, settings)["answers"] for run in runs]
        moved[strength] = np.mean([np.subtract(*part).mean() for part in answers])
    assert abs(moved[0.5]) < 0.35 < moved[0.9]
