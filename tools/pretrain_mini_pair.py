"""Pretrain the mini pair, a BERT and a GPT-2 that differ in little more than the direction of attention.

    python -m tools.pretrain_mini_pair                     # both, one process each
    python -m tools.pretrain_mini_pair mini-gpt2 --tokens 20e6 --device cuda
    python -m tools.pretrain_mini_pair mini-bert-2x64 mini-gpt2-2x64

A run that was killed goes on from its last checkpoint and, on a processor, gives what an unbroken run gives
(a GPU adds in another order each time). A finished run goes on when more tokens are asked for: the rate
stays constant up to the last quarter, and the checkpoint from before it falls is kept.
"""

import argparse
import hashlib
import json
import math
import multiprocessing
import os
import tempfile
import time
import zlib
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from helpers.cache import atomic
from helpers.sources import write_sums
from tools import corpus
from tools.execute import hardware
from tools.mini_models import ALL, NAMES, causal_loss, choose_masks, family, masked_loss, new_model
from tools.project import BUILD, MODELS, RESULTS

TOKENS = 12e6
SEED = 0
BATCH_TOKENS = 2048
SHORT, LONG = 128, corpus.POSITIONS
LONG_SHARE = 0.25  # of all tokens, at the end: blocks of 512 places, while the rate falls to zero
WARMUP_TOKENS = 200_000
SAVE_STEPS = 125
FLOAT16_BOUND = 0.01  # the most that storing in float16 may move a probability
HELDOUT_BLOCKS = 128  # of 128 places, from the validation split


@dataclass(frozen=True)
class Recipe:
    """How one model is trained.

    Rates and the start were chosen on held-out loss (`helpers/results/pretraining_search.csv`; the BERT, which did not
    start, took most of that search). The BERT's share of causal tokens and of masks were chosen by probes of a first
    pair of 7 million tokens, and `tools.ablate_mini_bert` tests them.
    """

    learning_rate: float
    causal_tokens: float  # tokens seen with next-token prediction before the masks; infinite for a GPT-2
    masked_rate: float = 0.0  # learning rate once the masks are on
    mask_share: float = 0.0  # share of the tokens that become [MASK]
    weight_decay: float = 0.1
    beta2: float = 0.98


RECIPES = {
    "mini-bert": Recipe(learning_rate=7e-4, causal_tokens=6e6, masked_rate=7e-4, mask_share=0.3),
    "mini-gpt2": Recipe(learning_rate=1.5e-3, causal_tokens=math.inf),
}


@dataclass(frozen=True)
class Plan:
    """The schedule: which block length and what part of the rate at each step (one batch a step)."""

    tokens: int
    batch_tokens: int = BATCH_TOKENS

    @property
    def steps(self) -> int:
        return self.tokens // self.batch_tokens

    @property
    def trunk(self) -> int:
        """Steps before the rate falls: up to here a run with more tokens is the same."""
        return self.steps - round(LONG_SHARE * self.steps)

    def length(self, step: int) -> int:
        return SHORT if step < self.trunk else LONG

    def share_of_rate(self, step: int, since: int = 0) -> float:
        """Warm up from step `since`, stay, then fall to zero (Hu et al. 2024, "warmup-stable-decay")."""
        warm = (step - since + 1) * self.batch_tokens / WARMUP_TOKENS
        fall = (self.steps - step) / max(1, self.steps - self.trunk)
        return min(1.0, warm, fall)


class Run:
    """One model's training: everything that happens at a step follows from the seed and the step's number."""

    def __init__(
        self, name: str, model: PreTrainedModel, line: Tensor, heldout: Tensor, plan: Plan, recipe: Recipe,
        device: str, folder: Path,
    ):  # fmt: skip
        self.name, self.plan, self.recipe, self.device, self.folder = name, plan, recipe, device, folder
        self.batches = corpus.Batches(line, plan.batch_tokens, SEED)
        self.heldout = corpus.blocks(heldout, SHORT)[:HELDOUT_BLOCKS]
        self.switch = math.ceil(min(recipe.causal_tokens, 1e15) / plan.batch_tokens)  # the first step with masks
        counts = torch.bincount(line, minlength=corpus.VOCABULARY) + 1
        self.log_frequencies = (counts / counts.sum()).log().to(device)
        self.model = model.to(device)
        self.start = hash_of(torch.cat([weight.detach().flatten() for weight in self.model.parameters()]).cpu())
        matrices = [weight for weight in self.model.parameters() if weight.ndim > 1]
        others = [weight for weight in self.model.parameters() if weight.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            betas=(0.9, recipe.beta2), fused=True,
        )  # fmt: skip
        self.step, self.seconds, self.history = 0, 0.0, []

    def train(self, curve: Path) -> None:
        """Go on to the end of the plan, from the last checkpoint that fits it; `curve` is the CSV of the losses."""
        self._resume()
        self._write(curve)  # a kill may have come between the last checkpoint and its curve
        bar = tqdm(total=self.plan.tokens, initial=self.step * self.plan.batch_tokens, unit="token", unit_scale=True,
                   desc=self.name, position=ALL.index(self.name))  # fmt: skip
        losses: list[float] = []
        clock = time.perf_counter()
        while self.step < self.plan.steps:
            losses.append(self._one_step())
            bar.update(self.plan.batch_tokens)
            if self.step % SAVE_STEPS == 0 or self.step in (self.switch, self.plan.trunk, self.plan.steps):
                self.seconds += time.perf_counter() - clock
                self._note(sum(losses) / len(losses))
                bar.set_postfix(heldout=f"{self.history[-1]['heldout_loss']:.3f}")
                self._save("last")
                self._write(curve)
                if self.step <= self.plan.trunk:
                    self._save("trunk")
                losses, clock = [], time.perf_counter()
        bar.close()

    def _one_step(self) -> float:
        if self.step == self.switch:
            self.model.cls.predictions.bias.data.copy_(self.log_frequencies)
        masked = self.step >= self.switch
        peak, since = (self.recipe.masked_rate, self.switch) if masked else (self.recipe.learning_rate, 0)
        for group in self.optimizer.param_groups:
            group["lr"] = peak * self.plan.share_of_rate(self.step, since)
        first = 0 if self.step < self.plan.trunk else self.plan.trunk
        ids = self.batches.get(self.step - first, self.plan.length(self.step))
        self.optimizer.zero_grad()
        with self._autocast():
            loss = self._loss(ids, masked, seed=self.step)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        if not math.isfinite(value := loss.item()):
            raise FloatingPointError(f"{self.name}: the loss is {value} at step {self.step}. Try a lower rate.")
        return value

    def _autocast(self) -> torch.autocast:
        has = torch.cuda.is_bf16_supported(False) if self.device == "cuda" else torch.cpu._is_avx512_bf16_supported()
        return torch.autocast(self.device, torch.bfloat16, enabled=has)

    def _loss(self, ids: Tensor, masked: bool, seed: int) -> Tensor:
        if not masked:
            return causal_loss(self.model, ids.to(self.device))
        chosen = choose_masks(ids, self.recipe.mask_share, torch.Generator().manual_seed(SEED + 7 * seed))
        return masked_loss(self.model, ids.to(self.device), chosen.to(self.device))

    @torch.no_grad()
    def _note(self, train_loss: float) -> None:
        masked = self.step > self.switch  # what the last step learned from
        parts = [self._loss(ids, masked, seed=-1 - row).item() for row, ids in enumerate(self.heldout.split(16))]
        self.history.append({
            "model": self.name, "tokens": self.step * self.plan.batch_tokens,
            "objective": "masked" if masked else "next token", "block": self.plan.length(self.step - 1),
            "train_loss": round(train_loss, 4), "heldout_loss": round(sum(parts) / len(parts), 4),
            "seconds": round(self.seconds, 1),
        })  # fmt: skip

    @torch.no_grad()
    def probabilities(self) -> Tensor:
        """Return what the model predicts on some held-out blocks, ``[n, T, vocabulary]``."""
        return self.model(self.heldout[:8].to(self.device)).logits.float().softmax(dim=-1)

    def _save(self, kind: str) -> None:
        """Write weights, optimizer and history as one safetensors file, whole or not at all."""
        tensors = {f"model.{key}": value for key, value in self._weights().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{key}": value for key, value in state.items()}
        about = {"step": self.step, "seconds": self.seconds, "history": self.history, "plan_tokens": self.plan.tokens}
        about |= self.identity() | {"checksum": checksum(tensors)}
        with atomic(self.folder / f"{self.name}-{kind}.safetensors") as temporary:
            save_file(tensors, temporary, metadata={"run": json.dumps(about)})

    def _write(self, curve: Path) -> None:
        if self.history:
            with atomic(curve) as temporary:
                pd.DataFrame(self.history).to_csv(temporary, index=False, lineterminator="\n")

    def _weights(self) -> dict[str, Tensor]:
        """Every weight once: the output matrix is the input matrix in both models."""
        return {key: value.contiguous() for key, value in self.model.named_parameters()}

    def identity(self) -> dict[str, object]:
        """What a checkpoint must agree with to be gone on from."""
        schedule = {"warmup_tokens": WARMUP_TOKENS, "blocks": [SHORT, LONG], "long_share": LONG_SHARE}
        return {"recipe": asdict(self.recipe), "batch_tokens": self.plan.batch_tokens, "seed": SEED, **schedule,
                "corpus": hash_of(self.batches.line), "start": self.start}  # fmt: skip

    def _resume(self) -> None:
        found = 0
        for kind in ("last", "trunk"):
            path = self.folder / f"{self.name}-{kind}.safetensors"
            if not path.exists():
                continue
            tensors, about = read_checkpoint(path)
            found = about["step"]
            if any(about[key] != value for key, value in json.loads(json.dumps(self.identity())).items()):
                raise ValueError(
                    f"{path.name} was made with another recipe or other texts: choose another --work folder, "
                    "or delete it to start again."
                )
            made_for = Plan(about["plan_tokens"], self.plan.batch_tokens)
            # Two plans are the same up to where the rate of the shorter one begins to fall.
            if made_for == self.plan or found <= min(made_for.trunk, self.plan.trunk):
                return self._read(tensors, about)
        if found:  # the rate has begun to fall for another end, and the checkpoint before that is too late as well
            seen, least = found * self.plan.batch_tokens, self.plan
            while least.trunk < found:
                least = Plan(least.tokens + self.plan.batch_tokens, self.plan.batch_tokens)
            raise ValueError(f"{self.name} has seen {seen:,} tokens already: ask for --tokens {least.tokens} or more.")

    def _read(self, tensors: dict[str, Tensor], about: dict) -> None:
        with torch.no_grad():
            for key, weight in self.model.named_parameters():
                weight.copy_(tensors[f"model.{key}"])
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, number, what = key.split(".")
                state.setdefault(int(number), {})[what] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        self.step, self.seconds, self.history = about["step"], about["seconds"], about["history"]


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Read a checkpoint's tensors, and what is said of them, after comparing their checksum."""
    try:
        with safe_open(path, "pt") as file:
            # Copies: a mapped file could not be replaced on Windows.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118 (not a dict)
            about = json.loads(file.metadata()["run"])
        whole = checksum(tensors) == about["checksum"]
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError):
        whole = False
    if not whole:
        raise ValueError(f"{path.name} is damaged: delete it, and the same command goes on from what is left.")
    return tensors, about


def checksum(tensors: dict[str, Tensor]) -> int:
    """Return one number for some tensors, whatever their order."""
    found = 0
    for key in sorted(tensors):
        found = zlib.crc32(tensors[key].detach().cpu().numpy().tobytes(), zlib.crc32(key.encode(), found))
    return found


def hash_of(numbers: Tensor) -> str:
    """Return a short hash of some numbers: a line of tokens, or the weights that a training starts from."""
    return hashlib.sha256(numbers.contiguous().numpy().tobytes()).hexdigest()[:16]


def pretrain(name: str, tokens: int, device: str, work: Path, out: Path, results: Path) -> None:
    """Train one model to the end of its plan and write it, in the Hugging Face format, to ``out/name``."""
    if device == "cpu":
        torch.set_num_threads(1)  # one core a model: two threads on so small matrices bring little
    tokenizer, line, heldout = corpus.prepare(SEED)
    run = Run(name, new_model(name), line, heldout, Plan(tokens), RECIPES[family(name)], device, work)
    run.train(results / f"pretraining_{name}.csv")
    export(run, tokenizer, out / name)


def export(run: Run, tokenizer: Tokenizer, target: Path) -> None:
    """Write weights (float16), configuration, tokenizer and provenance to a folder.

    Raises
    ------
    FloatingPointError
        Float16 would move a probability by more than `FLOAT16_BOUND`.
    """
    before = run.probabilities()
    run.model.half().float()
    shift = float((run.probabilities() - before).abs().max())
    if not shift <= FLOAT16_BOUND:
        raise FloatingPointError(f"{run.name}: float16 moves a probability by {shift:.3g}, more than {FLOAT16_BOUND}.")
    recipe = asdict(run.recipe)
    tokens = run.step * run.plan.batch_tokens
    provenance = run.identity() | {
        "recipe": recipe | {"causal_tokens": min(recipe["causal_tokens"], tokens)},
        "tokens": tokens, "corpus_tokens": len(run.batches.line), "seconds": round(run.seconds),
        "hardware": hardware(), "device": run.device, "date": time.strftime("%Y-%m-%d"), "float16_shift": shift,
        "versions": {package: version(package) for package in ("torch", "transformers", "tokenizers")},
    }  # fmt: skip
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        run.model.half().save_pretrained(folder)
        corpus.for_model(tokenizer, run.name).save_pretrained(folder)
        (Path(folder) / "training.json").write_text(json.dumps(provenance, indent=1) + "\n", encoding="utf-8")
        write_sums(Path(folder))
        target.mkdir(exist_ok=True)
        for path in Path(folder).iterdir():  # the old file or the new one, never a half
            os.replace(path, target / path.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="model", default=list(NAMES),
                        help=f"of {', '.join(ALL)}; the first two when none is given")  # fmt: skip
    parser.add_argument("--tokens", type=float, default=TOKENS, help="seen by each model (default %(default).3g)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=MODELS, help="where the finished models go")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the loss curves go, as CSV")
    parser.add_argument("--work", type=Path, default=BUILD / "pretraining", help="where the checkpoints lie")
    chosen = parser.parse_args()
    least = 10 * WARMUP_TOKENS
    if unknown := set(chosen.names) - set(ALL):
        parser.error(f"unknown model {', '.join(sorted(unknown))}: choose of {', '.join(ALL)}")
    if not least <= chosen.tokens < math.inf:
        parser.error(f"--tokens is {chosen.tokens:g}: the schedule needs {least:,} or more")
    corpus.texts("train")  # splits are made once here, and read by both processes
    chosen.out.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    common = (int(chosen.tokens), chosen.device, chosen.work, chosen.out, chosen.results)
    started = [context.Process(target=pretrain, args=(name, *common)) for name in chosen.names]
    for process in started:
        process.start()
    for process in started:
        process.join()
    if any(process.exitcode for process in started):
        raise SystemExit("A model did not get to the end: see above. After a kill the same command goes on.")


if __name__ == "__main__":
    main()
