"""Chapter 6's studies: the grid's classifiers are asked about other texts.

Fine-tuned classifiers come from the cache, or are trained again (`trained`).
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from scipy.special import logit

from helpers import classifiers, doses, explain, grid, records, templates, trained
from helpers.classifiers import Classifier
from helpers.faithfulness import Eraser, gains
from helpers.grid import Run, Settings
from helpers.study import Study

POOLINGS = ("mean", "max", "weighted_sum", "attention")  # those of which an explanation is worth a question
SEEDS = 3
TEXTS, LEAST_WORDS = 64, 8  # sentences that are explained
METHODS, WAYS = ("contributions", "gradients", "weights"), ("deletion", "hiding")
LENGTHS = (1, 2, 4, 8)  # sentences of the neutral texts, of about nine words each
WORD, STRENGTHS, LABELS, ASKED = "table", (0.5, 0.6, 0.7, 0.8, 0.9), 500, 200  # of the planted word


@dataclass(frozen=True)
class Planted(Run):
    """A run whose training texts hold a planted word (`doses.plant`)."""

    strength: float


def _of_grid(
    dataset: str, poolings: tuple[str, ...] | None = None, seeds: int | None = None, baseline: str = "",
    tuned: tuple[str, ...] | None = None,
):  # fmt: skip
    """The runs of the grid on one data set with the most labels: frozen and fine-tuned, and a bag of words.

    Without a choice of poolings they are all of the scale's; `tuned` chooses for the fine-tuned runs alone.
    """

    def runs(settings: Settings) -> list[Run]:
        frozen = poolings or settings.poolings
        chosen = {"frozen": frozen, "fine-tuned": tuned or frozen}
        return [run for run in grid.plan(settings) if run.dataset == dataset
                and run.labels == max(settings.labels[dataset]) and not run.model.endswith("-random")
                and run.seed < (seeds or settings.seeds)
                and (run.model == baseline if run.mode == "baseline" else run.pooling in chosen[run.mode])]  # fmt: skip

    return runs


def _log_odds(run: Run, settings: Settings, texts: list[str]) -> np.ndarray:
    if run.mode == "baseline":
        length = settings.lengths[run.dataset]
        said = grid.BASELINES[run.model](*grid.labelled(run, settings), texts, length)
        return logit(np.clip(said, records.SURE, 1 - records.SURE)).astype(np.float32)
    return trained.classifier(run, settings).logits(texts).numpy()


# Counterfactual sentences


def sentences() -> list[templates.Sentence]:
    """Return the counterfactual sentences, in the order of the answers."""
    return templates.people() + templates.places()


def _gaps(run: Run, settings: Settings) -> dict[str, np.ndarray]:
    return {"answers": _log_odds(run, settings, [one.text for one in sentences()])}


# One emotional word


def dosed(run: Run, settings: Settings) -> list[doses.Dose]:
    """Return the neutral texts with one word in them, in the order of the answers: words of the run's own texts."""
    texts, _, learn, _ = grid.labelled(Run(run.model, run.pooling, run.mode, run.dataset, run.labels, 0), settings)
    words = doses.emotion_words([texts[row] for row in learn], least=max(2, len(learn) // 200))
    return doses.doses(words, LENGTHS)


def _doses(run: Run, settings: Settings) -> dict[str, np.ndarray]:
    given, length = dosed(run, settings), settings.lengths[run.dataset]
    if run.mode != "baseline":
        encoder = grid.encoder_of(run.model)
        longest = max(map(len, encoder.tokenizer([one.text for one in given])["input_ids"]))
        if longest > length:  # else a word at the end would not be read
            raise ValueError(f"A dosed text has {longest} tokens for {run.model}, which reads {length}.")
    found = _log_odds(run, settings, [one.text for one in given] + [one.without for one in given])
    return {"answers": found.reshape(2, -1)}  # [2 * doses] -> [2, doses]: with the word, and without


# Explanations


def explained_texts(settings: Settings) -> list[str]:
    """Return the test sentences that are explained."""
    tests = grid.texts_of("rotten_tomatoes", "test", settings)["text"]
    return [text for text in tests if len(text.split()) >= LEAST_WORDS][:TEXTS]


def scores(model: Classifier, text: str, origin: torch.Tensor) -> list[torch.Tensor]:
    """Return the scores of a text's tokens by each of `METHODS`, 3 x ``[T]``.

    Contributions, measured from an origin, and gradients are for *positive*; weights have no class.
    """
    ids, mask = model.encoder.pad(model.encoder.tokens([text], model.max_length))
    with torch.no_grad():
        states = model.states(ids, mask)
        share = explain.shares(model.pooling, states.float(), mask).mean(dim=-1)  # [n, T, d] -> [n, T]
    own = explain.contributions(states, mask, model.pooling, model.head, origin)
    return [own[0].cpu(), explain.integrated_gradients(model, ids, mask)[0][0].cpu(), share[0].cpu()]


def _explained(run: Run, settings: Settings) -> dict[str, np.ndarray]:
    model, texts = trained.classifier(run, settings).eval(), explained_texts(settings)
    ordinary = grid.texts_of(run.dataset, "train", settings)["text"][:ASKED]
    origin = explain.mean_vector(model, ordinary)
    found = [scores(model, text, origin) for text in texts]
    by_method = [torch.cat(part).numpy().astype(np.float16) for part in zip(*found, strict=True)]  # 3 x [tokens]
    gained, most = [], []
    for way in WAYS:
        eraser = Eraser(model, texts, way)
        chance = eraser.chance()
        most.append(eraser.most())
        for number, method in enumerate(METHODS):
            own = [one[number] for one in found]
            gained.append(gains(eraser.erase(own if method == "weights" else eraser.toward(own)), chance))
    shape = (len(WAYS), len(METHODS), 2, len(texts))
    return {"scores": np.stack(by_method), "gains": np.stack(gained).reshape(shape).astype(np.float32),
            "most": np.stack(most).astype(np.float32)}  # fmt: skip


# A planted word


def _planted_runs(settings: Settings) -> list[Run]:
    labels = min(LABELS, max(settings.labels["rotten_tomatoes"]))
    frozen = product(settings.rates, POOLINGS, ["frozen"], range(settings.seeds), STRENGTHS)
    tuned = product(settings.rates, POOLINGS[:3], ["fine-tuned"], range(SEEDS), (STRENGTHS[0], STRENGTHS[-1]))
    return [Planted(model, pool, mode, "rotten_tomatoes", labels, seed, strength)
            for part in (frozen, tuned) for model, pool, mode, seed, strength in part]  # fmt: skip


def _planted(run: Planted, settings: Settings) -> dict[str, np.ndarray]:
    texts, labels, learn, choose = grid.labelled(run, settings)
    texts = doses.plant(texts, labels, WORD, run.strength, run.seed)
    model = grid.fit_on(run, settings, texts, labels, learn, choose)
    if run.mode == "frozen":
        model = classifiers.frozen(grid.encoder_of(run.model), model, settings.lengths[run.dataset])
    tests = grid.texts_of(run.dataset, "test", settings)["text"][:ASKED]
    asked = doses.plant(tests, np.ones(len(tests)), WORD, 1.0, run.seed) + tests
    return {"answers": model.logits(asked).numpy().reshape(2, -1)}  # [2 * n] -> [2, n]: with the word, and without


def _study(runs, ask, arrays: tuple[str, ...], asked, kind: type = Run) -> Study:
    """A study of the grid's classifiers."""
    return Study(kind, runs, ask, arrays, grid.configuration, asked, grid.precision)


STUDIES = {
    "gaps": _study(_of_grid("rotten_tomatoes", baseline="tfidf"), _gaps, ("answers",),
                   lambda run, settings: [one.text for one in sentences()]),
    # Fine-tuning on reviews is slow: there, only the poolings that the claims speak of, and attention.
    "doses": _study(_of_grid("imdb", baseline="tfidf", tuned=POOLINGS), _doses, ("answers",),
                    lambda run, settings: [one.text for one in dosed(run, settings)]),
    "explained": _study(_of_grid("rotten_tomatoes", POOLINGS, SEEDS), _explained, ("scores", "gains", "most"),
                        lambda run, settings: explained_texts(settings)),
    "planted": _study(_planted_runs, _planted, ("answers",), lambda run, settings: [WORD, str(ASKED)], Planted),
}  # fmt: skip
