"""What the BERT's causal phase, its share of masks, and where its attention starts bring: short runs, measured alike.

    python -m tools.ablate_mini_bert          # what is missing, then helpers/results/mini_bert_ablation*.csv
"""

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm.auto import tqdm
from transformers import BertForMaskedLM

from helpers import course, data, encoders, evaluation
from helpers.cache import atomic
from tools import corpus
from tools.measure_mini_pair import VALIDATION, labelled, probed
from tools.mini_models import choose_masks, masked_loss, new_model
from tools.pretrain_mini_pair import RECIPES, SEED, Plan, Run, export
from tools.project import BUILD, RESULTS

WORK = BUILD / "ablation"
TOKENS = 2_000_000
JUDGES = 2000  # validation reviews
COMMON_SHARE = 0.15  # of masks, at which all are compared: with more of a text hidden the same gap is harder
TABLE, CURVES = (RESULTS / f"mini_bert_ablation{what}.csv" for what in ("", "_curves"))


class Trial(NamedTuple):
    start: str  # of attention: "near" as in `new_model`, "uniform" as the library has it
    causal_share: float  # of the tokens, before the masks
    mask_share: float

    @property
    def folder(self) -> Path:
        return WORK / "-".join(map(str, self))


TRIALS = [Trial("near", share, 0.3) for share in (0.0, 0.25, 0.5, 0.75)]
TRIALS += [Trial("uniform", 0.5, 0.3), Trial("near", 0.5, 0.15), Trial("near", 0.5, 0.2)]


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


def run_one(trial: Trial) -> dict[str, object]:
    """Train one BERT, then return its held-out masked losses and the accuracy of a frozen probe on it."""
    torch.set_num_threads(1)
    tokenizer, line, heldout = corpus.prepare(SEED)
    model = {"near": new_model, "uniform": uniform_start}[trial.start]("mini-bert")
    own = {"causal_tokens": trial.causal_share * TOKENS, "mask_share": trial.mask_share}
    recipe = replace(RECIPES["mini-bert"], **own)
    run = Run("mini-bert", model, line, heldout, Plan(TOKENS), recipe, "cpu", trial.folder)
    run.train(trial.folder / "curve.csv")
    losses = {"masked_loss": run.history[-1]["heldout_loss"], "common_loss": common_loss(run.model, run.heldout)}
    export(run, tokenizer, trial.folder / "model")
    # Validation reviews, none of those that choose the round: the test split is not for choosing a recipe.
    judges = data.load("imdb", "validation").select(range(VALIDATION, VALIDATION + JUDGES))
    found = probed(encoders.load(str(trial.folder / "model")), "mean", *labelled(), judges["text"][:])
    accuracy = evaluation.accuracy(np.array(judges["label"][:]), found)
    probe = {"accuracy": accuracy.value, "low": accuracy.low, "high": accuracy.high}
    return trial._asdict() | {"tokens": TOKENS} | losses | probe | {"seconds": round(run.seconds)}


@torch.no_grad()
def common_loss(model: BertForMaskedLM, blocks: torch.Tensor) -> float:
    """Loss at [MASK] with the same share of masks, at the same places, for every model."""
    chosen = choose_masks(blocks, COMMON_SHARE, torch.Generator().manual_seed(SEED))
    pairs = zip(blocks.split(16), chosen.split(16), strict=True)
    parts = [(masked_loss(model, ids, here).item(), int(here.sum())) for ids, here in pairs]
    return sum(loss * places for loss, places in parts) / sum(places for _, places in parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=course.cores(), help="runs at a time, one core each")
    chosen = parser.parse_args()
    with ProcessPoolExecutor(chosen.processes, multiprocessing.get_context("spawn")) as workers:
        rows = list(tqdm(workers.map(run_one, TRIALS), total=len(TRIALS), desc="trials"))
    curves = [pd.read_csv(trial.folder / "curve.csv").assign(**trial._asdict()) for trial in TRIALS]
    for path, table in ((TABLE, pd.DataFrame(rows)), (CURVES, pd.concat(curves))):
        with atomic(path) as temporary:
            table.round(4).to_csv(temporary, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
