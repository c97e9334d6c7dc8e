"""The classifiers that the grid's runs train, to be asked more questions: texts in, log-odds out."""

import zlib
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from helpers import cache, classifiers, grid
from helpers import pooling as poolings
from helpers.classifiers import Classifier
from helpers.finetuning import FineTuned
from helpers.grid import Run, Settings


def classifier(run: Run, settings: Settings) -> Classifier:
    """Return what a run trains. A fine-tuned one is kept in the cache, about 20 MB for a mini model.

    Parameters
    ----------
    run : Run
        Frozen or fine-tuned.
    settings : Settings
        Of the scale.
    """
    encoder, length = grid.encoder_of(run.model), settings.lengths[run.dataset]
    if run.mode == "frozen":
        return classifiers.frozen(encoder, grid.fit(run, settings), length)
    own, *shared = kept(run, settings)
    weights = next((weights for path in (own, *shared) if (weights := _read(path))), None)
    if weights is None:
        weights = grid.fit(run, settings).state_dict()
        with cache.atomic(own) as temporary:
            save_file({name: part.contiguous() for name, part in weights.items()}, temporary, _checksum(weights))
    found = FineTuned(encoder, poolings.make(run.pooling, encoder.dim), weights["head.center"], length)
    found.load_state_dict(weights)
    return found.eval()


def kept(run: Run, settings: Settings) -> list[Path]:
    """Return where the weights of a fine-tuned run are kept, by what they follow from (the first one is the own)."""
    parts = (run.name.replace("/", "-"), grid.configuration(run, settings), grid.precision(run))
    return cache.places("tuned", f"{'-'.join(parts)}.safetensors")


def _read(path: Path) -> dict[str, Tensor] | None:
    """The weights in a file, or None where there is none or a damaged one."""
    try:
        with safe_open(path, "pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}
            return weights if file.metadata() == _checksum(weights) else None
    except (OSError, SafetensorError):
        return None


def _checksum(weights: dict[str, Tensor]) -> dict[str, str]:
    found = 0
    for name in sorted(weights):
        found = zlib.crc32(name.encode(), found)  # a name may be damaged too
        found = zlib.crc32(weights[name].detach().cpu().contiguous().view(torch.uint8).numpy(), found)
    return {"checksum": str(found)}
