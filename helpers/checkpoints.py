"""Checkpoints: from the files of a folder to an encoder (a model, its tokenizer), checked before they are believed."""

import hashlib
import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from helpers import arguments
from helpers.sources import sha256_of

# Weights as safetensors (or GGUF) only: a pickle can run code when it is opened.
FILES = ["config.json", "model*.safetensors", "model.safetensors.index.json", "tokenizer*", "vocab*",
         "merges.txt", "special_tokens_map.json", "added_tokens.json"]  # fmt: skip
MOST_POSITIONS = 2**20
TOKENIZERS = ["tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model"]


@dataclass(frozen=True)
class Encoder:
    """A frozen transformer with its tokenizer.

    Attributes
    ----------
    name : str
        What it was loaded by.
    model : PreTrainedModel
        Without any head, in float32, dropout off, no gradients.
    tokenizer : PreTrainedTokenizerBase
        With a pad token: a tokenizer that has none (GPT-2's) gets another one, which the mask hides.
    fingerprint : str
        Hash of weights, configuration and tokenizer: two encoders with the same one give the same states.
    dim : int
        Size of a token state, ``d``.
    layers : int
        Number of its layers, ``L``: layer 0 is what enters the first one, layer L what leaves the last.
    max_length : int
        Most tokens that the model has positions for, special ones counted.
    special_tokens : tuple of str
        What the tokenizer puts around each text by itself.
    pad_token : str
        What fills a batch up; the mask hides it, and no state of it is ever kept.
    """

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    fingerprint: str

    @property
    def dim(self) -> int:
        return self.model.config.hidden_size

    @property
    def layers(self) -> int:
        return self.model.config.num_hidden_layers

    @property
    def max_length(self) -> int:
        found = [getattr(self.model.config, "max_position_embeddings", None) or 0, self.tokenizer.model_max_length]
        for name, module in self.model.named_modules():  # a RoBERTa counts its positions from its padding's number on
            if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
                found[0] -= module.padding_idx + 1
        return min(limit for limit in (*found, MOST_POSITIONS) if limit > 0)  # some models have no limit of their own

    @property
    def special_tokens(self) -> tuple[str, ...]:
        return tuple(self.tokenizer.convert_ids_to_tokens(self.tokenizer("")["input_ids"]))

    @property
    def pad_token(self) -> str:
        return self.tokenizer.pad_token

    def tokens(self, texts: list[str], max_length: int, rows: list[int] | None = None) -> list[list[int]]:
        """Return the token numbers of each text, special ones included, cut off after `max_length`.

        Parameters
        ----------
        rows : list of int, optional
            What to call the texts in an error; else their places in the list.

        Raises
        ------
        ValueError
            The model does not have so many positions, a text without a token (an empty one in GPT-2), or no texts.
        """
        texts, max_length = arguments.texts(texts), self.length(max_length)
        tokens = self.tokenizer(texts, truncation=True, max_length=max_length)["input_ids"]
        for row, text, found in zip(rows or range(len(texts)), texts, tokens, strict=True):
            if not found:
                raise ValueError(f"Row {row}: {self.name} makes no token of the text {text[:60]!r}.")
        return tokens

    def length(self, max_length: int) -> int:
        """Return a `max_length` that the model has positions for, or raise what `tokens` says."""
        whole = isinstance(max_length, Integral) and not isinstance(max_length, bool)
        if not whole or not 1 < max_length <= self.max_length:
            given = arguments.brief(max_length) if not whole else max_length
            raise ValueError(f"max_length is {given}: {self.name} takes 2 to {self.max_length}, a whole number.")
        return int(max_length)

    def pad(self, tokens: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the token numbers ``[n, T]`` and the mask ``[n, T]`` (bool) of some texts, on the model's device.

        Padded on the right, so that a position is a token's place in its text, whatever the model.
        """
        found = self.tokenizer.pad({"input_ids": tokens}, padding_side="right", return_tensors="pt")
        found = found.to(self.model.device)
        return found["input_ids"], found["attention_mask"].bool()

    @property
    def dtype(self) -> torch.dtype:
        """What the matrix products are computed in: bfloat16 where the processor has it (Colab's T4 emulates it)."""
        if self.model.device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
        return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def read(folder: Path, name: str) -> Encoder:
    """Read a model and its tokenizer from a folder in the Hugging Face format, or with one GGUF file.

    Parameters
    ----------
    folder : Path
    name : str
        What to call it in an error.

    Raises
    ------
    ValueError
        Neither safetensors nor one GGUF file, or weights that are damaged or do not fit the configuration.
    ModuleNotFoundError
        A GGUF file, and the package that reads it is not installed.
    """
    if not folder.is_dir():
        raise ValueError(
            f"The folder of {name!r} is not there ({folder.name}): fetch the course again, whole, or make it, as the "
            "README says under Encoders."
        )
    gguf = only_gguf(folder)
    if gguf is None and not any(folder.glob("model*.safetensors")):
        raise ValueError(
            f"The folder of {name!r} holds no model*.safetensors: the course opens no pickled weights, which can "
            "run code. Save the model again with model.save_pretrained(folder)."
        )
    # transformers would make up a tokenizer that knows no word.
    if gguf is None and not any((folder / kind).is_file() for kind in TOKENIZERS):
        raise ValueError(f"The folder of {name!r} holds no tokenizer ({', '.join(TOKENIZERS)}): save or fetch it too.")
    if gguf and importlib.util.find_spec("gguf") is None:
        raise ModuleNotFoundError(f"To read {gguf}, {name} needs the package gguf. Run: pip install gguf accelerate")
    how = {"local_files_only": True, "trust_remote_code": False, "gguf_file": gguf}
    try:
        with _quiet():
            model, report = AutoModel.from_pretrained(
                folder, **how, use_safetensors=True, dtype=torch.float32, output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported below, in one sentence
            )  # fmt: skip
    except SafetensorError as error:
        raise ValueError(f"The weights of {name!r} are damaged ({error}): fetch or save them again.") from error
    except ValueError as error:
        if "trust_remote_code" not in str(error):  # the library's own advice, which is not ours
            raise
        raise ValueError(f"{name!r} needs custom code that comes with it, which the course never runs: choose a model "
                         "of a type that transformers itself knows.") from error  # fmt: skip
    _fits(model, report, name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **how)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"The tokenizer of {name!r} is damaged ({error}): fetch or save it again.") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
    return Encoder(name, model.eval().requires_grad_(False), tokenizer, _fingerprint(folder, gguf))


def _fits(model: PreTrainedModel, report: dict, name: str) -> None:
    """Refuse weights that the configuration has too few, too many or other ones of than there are."""
    own = {child for child, _ in model.named_children()}
    faults = {
        # A missing weight would be random numbers. A BERT's pooler is none of ours: the course pools itself.
        "lack": [key for key in report["missing_keys"] if not key.startswith("pooler.")],
        # What belongs to no part of the encoder is a head, and left out.
        "have, and its config.json does not,": [key for key in report["unexpected_keys"] if key.split(".")[0] in own],
        "have in another size": [found[0] for found in report["mismatched_keys"]],
    }
    for what, keys in faults.items():
        if keys:
            raise ValueError(f"The weights of {name!r} {what} {min(keys)} ({len(keys)} in all): fetch them again.")


def only_gguf(folder: Path) -> str | None:
    """Return the name of a folder's GGUF file, if that is what it holds its weights in."""
    found = [path.name for path in folder.glob("*.gguf")]
    return found[0] if len(found) == 1 and not any(folder.glob("model*.safetensors")) else None


def _fingerprint(folder: Path, gguf: str | None) -> str:
    files = {path for pattern in [*FILES, gguf or ""] if pattern for path in folder.glob(pattern)}
    contents = [f"{path.name} {sha256_of(path)}" for path in sorted(files)]
    return hashlib.sha256("\n".join(contents).encode()).hexdigest()[:16]


@contextmanager
def _quiet() -> Iterator[None]:
    """No table of the weights that do not fit: `read` looks at them itself."""
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
