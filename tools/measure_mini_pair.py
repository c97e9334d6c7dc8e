"""Measure the mini pair against what it has to beat, and write the model cards from what was found.

    python -m tools.measure_mini_pair          # what is missing, then the tables and the cards

Three questions: is its held-out loss lower than that of word and word-pair counts; is a frozen probe on it better
than on the same model with random weights; is fine-tuning better than the frozen probe. The test split answers.
"""

import argparse
import hashlib
import itertools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer, PreTrainedModel

from helpers import cache, course, data, encoders, evaluation, finetuning, grid, heads, pooling, sources
from helpers.checkpoints import Encoder
from tools import corpus, model_card, ngram
from tools.mini_models import NAMES, choose_masks
from tools.pretrain_mini_pair import RECIPES, SEED
from tools.project import BUILD, MODELS, RESULTS

WORK = BUILD / "mini_pair"
LABELS, VALIDATION, TEST, LENGTH = 2000, 250, 2000, 256  # imdb reviews, imdb reviews, imdb reviews, tokens
SEEN = 1000  # the first test reviews: probes on them had a part in choosing the recipe, so they judge nothing here
SEEDS = range(5)
POOLINGS = ("mean", "max", "last", "first")  # frozen; fine-tuning is measured with the mean
HELDOUT_TOKENS = 100_000
RATE, EPOCHS = 3e-4, 2  # of fine-tuning, for both models and for random weights; not chosen by looking at test texts


def heldout_losses(name: str, folder: Path, length: int, line: np.ndarray, test: Tensor) -> dict[str, object]:
    """Loss (nats a token) of the model and of both counts, at the same places of the test split.

    For the BERT these are the places that carry [MASK]; the counts are even told the true token before each.

    Parameters
    ----------
    line, test : shape [tokens]
        The training texts, which the counts are made of, and the test texts (see `corpus.stream`).
    """
    blocks = corpus.blocks(test, length)[: HELDOUT_TOKENS // length]  # [n, length]
    auto = AutoModelForMaskedLM if name == "mini-bert" else AutoModelForCausalLM
    model = auto.from_pretrained(folder, dtype=torch.float32).eval()
    if name == "mini-bert":
        chosen = choose_masks(blocks, RECIPES[name].mask_share, torch.Generator().manual_seed(SEED))
    else:
        chosen = torch.ones_like(blocks, dtype=torch.bool)
        chosen[:, 0] = False  # nothing stands before the first place
    losses = torch.cat([_losses(model, *both) for both in zip(blocks.split(16), chosen.split(16), strict=True)])
    row, place = chosen.nonzero(as_tuple=True)
    before, tokens = blocks[row, place - 1].numpy(), blocks[row, place].numpy()
    counts = {"unigram": ngram.Unigram, "bigram": ngram.Bigram}
    return {
        "model": name, "block": length, "places": len(tokens), "loss": losses.mean().item(),
        **{key: made(line, corpus.VOCABULARY).losses(before, tokens).mean() for key, made in counts.items()},
    }  # fmt: skip


@torch.inference_mode()
def _losses(model: PreTrainedModel, ids: Tensor, chosen: Tensor) -> Tensor:
    """Loss of each chosen token: ``[n, T]``, bool ``[n, T]`` -> ``[chosen]``."""
    if model.config.model_type == "bert":
        logits = model(ids.masked_fill(chosen, corpus.MASK)).logits[chosen]  # [chosen, vocabulary]
    else:
        logits = model(ids).logits[:, :-1][chosen[:, 1:]]
    return nn.functional.cross_entropy(logits, ids[chosen], reduction="none")


def reviews() -> tuple[list[str], np.ndarray, list[str], np.ndarray]:
    """Labelled texts (training, then validation) with labels, and test texts with labels."""
    texts, labels = labelled()
    test = data.load("imdb", "test").select(range(SEEN, SEEN + TEST))
    return texts, labels, test["text"][:], np.array(test["label"][:])


def labelled() -> tuple[list[str], np.ndarray]:
    """Texts to train on, then texts to choose the round with, and their labels."""
    train, validation = (
        data.load("imdb", split).select(range(size)) for split, size in (("train", LABELS), ("validation", VALIDATION))
    )
    return train["text"][:] + validation["text"][:], np.array(train["label"][:] + validation["label"][:])


def encoder_of(name: str, weights: str) -> Encoder:
    """Return the pretrained encoder, or the same architecture with random weights."""
    trained = encoders.load(str(MODELS / name))
    return {"pretrained": trained, "random": encoders.untrained(trained)}[weights]


def frozen(name: str, weights: str, pool: str) -> np.ndarray:
    """Test probabilities of a probe on the frozen encoder, ``[seeds, n]``."""
    texts, labels, test_texts, _ = reviews()
    return probed(encoder_of(name, weights), pool, texts, labels, test_texts)


def probed(encoder: Encoder, pool: str, texts: list[str], labels: np.ndarray, others: list[str]) -> np.ndarray:
    """Probabilities of other texts by a probe on a frozen encoder, ``[seeds, n]``: a seed is an order of batches."""
    module = pooling.make(pool, encoder.dim)
    vectors, other_vectors = (
        pooling.pool_all(module, encoders.encode(encoder, part, LENGTH)) for part in (texts, others)
    )
    rows = np.arange(len(labels))
    probes = [heads.fit_probe(vectors, labels, rows[:LABELS], rows[LABELS:], seed) for seed in SEEDS]
    return np.stack([probe.probabilities(other_vectors) for probe in probes])


def fine_tuned(name: str, weights: str, seed: int) -> np.ndarray:
    """Test probabilities after fine-tuning with the mean, ``[n]``; the seed is the order of the batches."""
    texts, labels, test_texts, _ = reviews()
    rows, encoder, how = np.arange(len(labels)), encoder_of(name, weights), (seed, RATE, EPOCHS, LENGTH)
    tuned = finetuning.fine_tune(encoder, pooling.Mean(), texts, labels, rows[:LABELS], rows[LABELS:], *how)
    return tuned.probabilities(test_texts)


def _keep(job: tuple) -> None:
    """Do one job in a process of its own on one core, and keep its predictions."""
    torch.set_num_threads(1)
    mode, *arguments = job
    made = {"frozen": frozen, "fine-tuned": fine_tuned}[mode](*arguments)
    cache.write_array(_path(job), np.atleast_2d(made))


def _path(job: tuple) -> Path:
    """Where a job's predictions lie: other weights or another protocol have another place."""
    weights = sources.sha256_of(MODELS / job[1] / "model.safetensors")
    protocol = (LABELS, VALIDATION, SEEN, TEST, LENGTH, RATE, EPOCHS, len(SEEDS), *grid.protocol(job[0]))
    digest = hashlib.sha256(f"{weights} {protocol}".encode()).hexdigest()[:8]
    return WORK / f"{'_'.join(map(str, job))}-{digest}.safetensors"


def _kept(job: tuple) -> np.ndarray | None:
    return cache.read_array(_path(job), {"frozen": len(SEEDS), "fine-tuned": 1}[job[0]])


def jobs_of(name: str) -> list[tuple]:
    """Every run of one model: probes first, then the slow fine-tuning."""
    both = ("pretrained", "random")
    frozen_jobs = [("frozen", name, weights, pool) for weights in both for pool in POOLINGS]
    return frozen_jobs + [("fine-tuned", name, weights, seed) for weights in both for seed in SEEDS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=course.cores(), help="runs at a time, one core each")
    chosen = parser.parse_args()
    missing = [job for name in NAMES for job in jobs_of(name) if _kept(job) is None]
    with ProcessPoolExecutor(chosen.processes, multiprocessing.get_context("spawn")) as workers:
        list(tqdm(workers.map(_keep, missing), total=len(missing), desc="runs"))
    write_tables()


def write_tables() -> None:
    """Write the tables from the runs, and the cards from the tables."""
    predictions = {}
    for name, weights in itertools.product(NAMES, ("pretrained", "random")):
        for pool in POOLINGS:
            predictions[name, weights, "frozen", pool] = _kept(("frozen", name, weights, pool))
        runs = [_kept(("fine-tuned", name, weights, seed)) for seed in SEEDS]
        predictions[name, weights, "fine-tuned", "mean"] = np.concatenate(runs)
    labels = reviews()[3]
    shared = AutoTokenizer.from_pretrained(MODELS / NAMES[0]).backend_tokenizer
    line, test = (corpus.stream(shared, corpus.texts(split), SEED) for split in ("train", "test"))
    losses = [
        heldout_losses(name, MODELS / name, length, line.numpy(), test) for name in NAMES for length in (128, 512)
    ]
    tables = {
        "accuracy": accuracies(labels, predictions),
        "comparisons": comparisons(labels, predictions),
        "heldout": pd.DataFrame(losses),
    }
    for what, table in tables.items():
        with cache.atomic(RESULTS / f"mini_pair_{what}.csv") as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n", float_format="%.4g")  # no p of zero
    for name in NAMES:
        model_card.write(name)


def accuracies(labels: np.ndarray, predictions: dict[tuple, np.ndarray]) -> pd.DataFrame:
    """One row for each model, weights, mode and pooling: accuracy with its interval, and its spread over the seeds."""
    rows = []
    for key, probabilities in predictions.items():
        own = evaluation.accuracy(labels, probabilities)
        spread = evaluation.correctness(labels, probabilities).mean(axis=1).std(ddof=1)
        rows.append([*key, LABELS, TEST, len(probabilities), own.value, own.low, own.high, spread])
    run = ["model", "weights", "mode", "pooling", "labels", "test_texts", "seeds"]
    return pd.DataFrame(rows, columns=[*run, "accuracy", "low", "high", "seed_sd"])


def comparisons(labels: np.ndarray, predictions: dict[tuple, np.ndarray]) -> pd.DataFrame:
    """The two comparisons that were decided on before the run, for each model; the four p values corrected together."""
    rows = []
    for name in NAMES:
        own, tuned = ((name, "pretrained", mode, "mean") for mode in ("frozen", "fine-tuned"))
        random = (name, "random", "frozen", "mean")
        for what, a, b in (("pretrained − random, frozen", own, random), ("fine-tuned − frozen", tuned, own)):
            found = evaluation.compare(labels, predictions[a], predictions[b])
            effect = found.effect
            rows.append([name, what, effect.value, effect.low, effect.high, found.p, found.detectable])
    table = pd.DataFrame(rows, columns=["model", "comparison", "difference", "low", "high", "p_holm", "detectable"])
    return table.assign(p_holm=evaluation.holm(table.p_holm))


if __name__ == "__main__":
    main()
