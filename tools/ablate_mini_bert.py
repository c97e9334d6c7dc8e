"""What the BERT's causal phase, and where its attention starts, bring: five short runs, each measured the same way.

    python -m tools.ablate_mini_bert          # what is missing, then helpers/results/mini_bert_ablation*.csv
"""

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from transformers import BertForMaskedLM

from helpers import data, encoders, evaluation
from helpers.cache import atomic
from tools import corpus
from tools.measure_mini_pair import VALIDATION, labelled, probed
from tools.mini_models import new_model
from tools.pretrain_mini_pair import RECIPES, SEED, Plan, Run, export
from tools.project import BUILD, RESULTS

WORK = BUILD / "ablation"
TOKENS = 2_000_000
JUDGES = 2000  # validation reviews
TABLE, CURVES = (RESULTS / f"mini_bert_ablation{what}.csv" for what in ("", "_curves"))
# Where attention starts, and the share of the tokens seen before the masks.
RUNS = [("near", 0.0), ("near", 0.25), ("near", 0.5), ("near", 0.75), ("uniform", 0.5)]


def uniform_start(name: str, seed: int = SEED) -> BertForMaskedLM:
    """Return the same model as the library starts it: small random positions, query and key matrices."""
    model = new_model(name, seed)
    generator = torch.Generator().manual_seed(seed)
    matrices = [model.bert.embeddings.position_embeddings.weight]
    for layer in model.bert.encoder.layer:
        matrices += [layer.attention.self.query.weight, layer.attention.self.key.weight]
    for matrix in matrices:
        nn.init.normal_(matrix, std=model.config.initializer_range, generator=generator)
    return model


def run_one(start: str, share: float) -> dict[str, object]:
    """Train one BERT, then return its held-out masked loss and the accuracy of a frozen probe on it."""
    torch.set_num_threads(1)
    work = _work(start, share)
    tokenizer, line, heldout = corpus.prepare(SEED)
    model = {"near": new_model, "uniform": uniform_start}[start]("mini-bert")
    recipe = replace(RECIPES["mini-bert"], causal_tokens=share * TOKENS)
    run = Run("mini-bert", model, line, heldout, Plan(TOKENS), recipe, "cpu", work)
    run.train(work / "curve.csv")
    curve = pd.read_csv(work / "curve.csv")
    export(run, tokenizer, work / "model")
    # Validation reviews, none of those that choose the round: the test split is not for choosing a recipe.
    judges = data.load("imdb", "validation").select(range(VALIDATION, VALIDATION + JUDGES))
    encoder = encoders.load(str(work / "model"))
    found = probed(encoder, "mean", *labelled(), judges["text"][:])
    accuracy = evaluation.accuracy(np.array(judges["label"][:]), found)
    return {
        "start": start, "causal_share": share, "tokens": TOKENS, "masked_loss": curve.heldout_loss.iloc[-1],
        "accuracy": accuracy.value, "low": accuracy.low, "high": accuracy.high, "seconds": round(run.seconds),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="runs at a time, one core each")
    chosen = parser.parse_args()
    with ProcessPoolExecutor(chosen.processes, multiprocessing.get_context("spawn")) as workers:
        rows = list(workers.map(run_one, *zip(*RUNS, strict=True)))
    curves = [
        pd.read_csv(_work(start, share) / "curve.csv").assign(start=start, causal_share=share) for start, share in RUNS
    ]
    for path, table in ((TABLE, pd.DataFrame(rows)), (CURVES, pd.concat(curves))):
        with atomic(path) as temporary:
            table.round(4).to_csv(temporary, index=False, lineterminator="\n")


def _work(start: str, share: float) -> Path:
    return WORK / f"{start}-{share:g}"


if __name__ == "__main__":
    main()
