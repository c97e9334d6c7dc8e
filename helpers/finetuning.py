"""Fine-tuning: encoder, pooling and head trained together, by one protocol for every pooling."""

import copy

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from tqdm.auto import tqdm

from helpers import arguments, memory
from helpers.classifiers import Classifier, Normed
from helpers.encoders import Encoder, encode, loaded
from helpers.heads import LEARNING_RATE, WEIGHT_DECAY, check_parts
from helpers.pooling import Pooling, pool_all

# The protocol. The head and the pooling's own weights keep a probe's rate, and the encoder gets a lower one.
BATCH = 16  # texts
WARMUP = 0.1  # share of the steps in which the rates rise; then they fall to zero in a straight line
CLIP = 1.0  # largest norm of the gradient
CHECKS = 2  # an epoch: how often the validation loss is taken
PATIENCE = 2  # checks without a lower validation loss


class FineTuned(Classifier):
    """An encoder, a pooling and a head that were trained together.

    Attributes
    ----------
    history : list of dict
        For each check: step, training loss since the last one, validation loss.
    """

    def __init__(self, encoder: Encoder, pooling: Pooling, center: Tensor, max_length: int):
        transformer = copy.deepcopy(encoder.model).requires_grad_(True)
        transformer.config.use_cache = False  # a decoder would keep keys and values for a next token
        super().__init__(encoder, transformer, copy.deepcopy(pooling), Normed(center), max_length)
        self.history = []


def fine_tune(
    encoder: Encoder,
    pooling: Pooling,
    texts: list[str],
    labels: np.ndarray,
    train: np.ndarray,
    validation: np.ndarray,
    seed: int,
    rate: float = 3e-4,
    epochs: int = 2,
    max_length: int = 256,
) -> FineTuned:
    """Train encoder, pooling and head together; the check with the lowest validation loss is kept.

    The head is one linear unit that starts at zero, on pooled vectors that are centered and brought to one scale (layer
    norm without weights). Batches hold texts of like length. Under ``accelerate launch`` each process takes its share
    of every batch.

    Parameters
    ----------
    encoder : Encoder
    pooling : Pooling
        Both are copied: the caller's stay as they were.
    texts : list of str, length n
    labels, train, validation
        As in `fit_probe`.
    seed : int
        Order of the batches, and dropout where the encoder has it. On a processor a run repeats itself, for the
        same number of threads; a GPU adds in another order each time.
    rate : float
        The encoder's highest learning rate.
    epochs : int
        Passes over the training texts, at most.
    max_length : int
        As in `encode`.

    Raises
    ------
    ValueError
        As in `fit_probe` and `encode`; or a validation loss that is not a number.
    MemoryError
        A batch does not fit in memory.
    """
    texts, seed, epochs = arguments.texts(texts), arguments.seed(seed), arguments.whole("epochs", epochs, 1)
    rate, max_length = arguments.number("rate", rate, 0), loaded(encoder).length(max_length)
    labels, train, validation = check_parts(len(texts), labels, train, validation)
    accelerator = Accelerator(  # under `accelerate launch` it also says which GPU is this process's own
        cpu=encoder.model.device.type == "cpu",
        mixed_precision="bf16" if encoder.dtype == torch.bfloat16 else "no",
        # A model may have weights that its last layer does not depend on, as a BERT's own pooler.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    if accelerator.num_processes > BATCH // 2:  # the smallest batch has half as many texts
        raise ValueError(f"A batch of {BATCH} texts is for {BATCH // 2} processes or fewer: start fewer.")
    own = slice(accelerator.process_index, None, accelerator.num_processes)  # this process's part of a batch
    tokens, target = encoder.tokens(texts, max_length), torch.as_tensor(labels, dtype=torch.float32)
    center = pool_all(pooling, encode(encoder, [texts[row] for row in train], max_length)).mean(dim=0)
    tuned = FineTuned(encoder, pooling, center, max_length)
    batches = _like_length(list(map(len, tokens)), train, epochs, seed)
    optimizer, schedule = _rates(tuned, rate, len(batches))
    model, optimizer = accelerator.prepare(tuned, optimizer)
    checks = np.linspace(0, len(batches), CHECKS * epochs + 1).round()[1:]
    best, best_loss, waited, losses = None, float("inf"), 0, []
    bar = tqdm(total=len(batches), desc=f"{encoder.name}: fine-tuning", unit="batch", leave=False,
               disable=not accelerator.is_main_process)  # fmt: skip
    # Half a batch would be another experiment, so nothing is halved here.
    too_large = (f"Fine-tuning {encoder.name} on {BATCH} texts of up to {max_length} tokens at once does not fit in "
                 "memory: give a smaller max_length or a smaller model, or close what else is open.")  # fmt: skip
    with memory.said(too_large), torch.random.fork_rng():
        torch.manual_seed(seed + accelerator.process_index)  # dropout
        for step, rows in enumerate(batches, start=1):
            model.train()
            logits = model(*encoder.pad([tokens[row] for row in rows[own]])).cpu()
            loss = nn.functional.binary_cross_entropy_with_logits(logits, target[rows[own]], reduction="sum")
            optimizer.zero_grad()
            accelerator.backward(loss * accelerator.num_processes / len(rows))  # the processes' gradients are averaged
            accelerator.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            schedule.step()
            losses.append(loss.item() / len(rows[own]))
            bar.update()
            if step in checks:
                found = tuned.logits([texts[row] for row in validation])
                loss = nn.functional.binary_cross_entropy_with_logits(found, target[validation])
                # One number for all processes: they must stop at the same step.
                loss = accelerator.reduce(loss.to(accelerator.device), reduction="mean").item()
                tuned.history.append({"step": step, "training": float(np.mean(losses)), "validation": loss})
                bar.set_postfix(validation=f"{loss:.3f}")
                losses.clear()
                if loss < best_loss:
                    best, best_loss, waited = copy.deepcopy(tuned.state_dict()), loss, 0
                elif (waited := waited + 1) == PATIENCE:
                    break
    bar.close()
    if best is None:
        raise ValueError(f"The validation loss is not a number: try a rate below {rate:g}.")
    tuned = accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    vars(tuned).pop("forward", None)  # what accelerate leaves there refers to the model, which would outlive its use
    tuned.load_state_dict(best)
    tuned.zero_grad(set_to_none=True)
    return tuned.eval()


def _rates(tuned: FineTuned, rate: float, steps: int) -> tuple[AdamW, LambdaLR]:
    """Rates that rise for a tenth of the steps and then fall to zero: one for the encoder, one for what is new."""
    new = [*tuned.pooling.parameters(), *tuned.head.linear.parameters()]
    groups = [{"params": tuned.transformer.parameters(), "lr": rate}, {"params": new, "lr": LEARNING_RATE}]
    # Fused: one pass over the weights. Else MiniLM's table of words costs a quarter of a step on short texts.
    optimizer = AdamW(groups, weight_decay=WEIGHT_DECAY, fused=True)
    rise, fall = WARMUP * steps, (1 - WARMUP) * steps
    return optimizer, LambdaLR(optimizer, lambda step: min((step + 1) / rise, (steps - step) / fall, 1.0))


def _like_length(lengths: list[int], train: np.ndarray, epochs: int, seed: int) -> list[np.ndarray]:
    """Batches for some epochs, in random order; texts of like length stand together, so little of them is padding."""
    rng = np.random.default_rng(seed)
    batches: list[np.ndarray] = []
    for _ in range(epochs):
        noisy = np.array(lengths)[train] + rng.uniform(-20, 20, len(train))
        epoch = np.array_split(train[np.argsort(noisy)], -(-len(train) // BATCH))
        batches += [epoch[number] for number in rng.permutation(len(epoch))]
    return batches
