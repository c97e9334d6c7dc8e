"""What a model's folder declares of its pooling, read from its files: nothing of it is run.

A transformer's own files say nothing of a pooling. Two formats do: a sentence-transformers folder (`modules.json` and
a folder for each module), and a GGUF file (the number ``pooling_type`` in its header).
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from helpers.checkpoints import only_gguf

# sentence-transformers' names -> ours, in the order in which its boolean schema (to 5.3) concatenates them.
MODES = {"cls": "first", "max": "max", "mean": "mean", "mean_sqrt_len_tokens": "mean_sqrt_len",
         "weightedmean": "weighted_mean", "lasttoken": "last"}  # fmt: skip
BOOLEANS = {"pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max", "pooling_mode_mean_tokens": "mean",
            "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
            "pooling_mode_weightedmean_tokens": "weightedmean", "pooling_mode_lasttoken": "lasttoken"}  # fmt: skip
GGUF_TYPES = {1: "mean", 2: "first", 3: "last"}  # 0 is "none", 4 a reranker's
ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid")
# Of a hub repository, beside a transformer's files; "0_" is where versions before 2 put the transformer.
FILES = ["modules.json", "config_sentence_transformers.json", "sentence_bert_config.json", "*/config.json",
         "*/model.safetensors", "0_*/*.json", "0_*/vocab.txt", "0_*/merges.txt"]  # fmt: skip


class Dense(nn.Module):
    """A linear layer and its activation, after the pooling: ``[n, d] -> [n, e]``."""

    def __init__(self, weight: Tensor, bias: Tensor | None, activation: nn.Module):
        super().__init__()
        self.weight, self.bias, self.activation = weight, bias, activation

    def forward(self, vectors: Tensor) -> Tensor:
        return self.activation(nn.functional.linear(vectors, self.weight, self.bias))


class Normalize(nn.Module):
    """Each vector divided by its length."""

    def forward(self, vectors: Tensor) -> Tensor:
        return nn.functional.normalize(vectors, dim=-1)


@dataclass(frozen=True)
class Declared:
    """What a folder says.

    Attributes
    ----------
    modes : tuple of str
        Poolings by the course's names, side by side if there are several; none where nothing is declared.
    include_prompt : bool
        Whether a prompt's tokens are pooled with the text's.
    after : tuple of Module
        What follows the pooling, in order: `Dense` and `Normalize`.
    normalized : bool or None
        Whether the vectors end with length 1; None where the format does not say.
    prompts : dict of str to str
        Texts to put before a text, by name.
    prompt : str
        Name of the one that is used when none is asked for; "" for none.
    similarity : str
        "cosine", "dot", …: how vectors are to be compared; "" where it is not said.
    transformer : str
        The transformer's own folder, inside the model's.
    most_tokens : int or None
        Longer texts are cut; None where only the model's own limit holds.
    lower : bool
        Whether a text's letters are made small before the tokenizer sees it.
    told : tuple of str
        The evidence: which file says what.
    """

    modes: tuple[str, ...] = ()
    include_prompt: bool = True
    after: tuple[nn.Module, ...] = ()
    normalized: bool | None = None
    prompts: dict[str, str] = field(default_factory=dict)
    prompt: str = ""
    similarity: str = ""
    transformer: str = ""
    most_tokens: int | None = None
    lower: bool = False
    told: tuple[str, ...] = ()


def read(folder: Path) -> Declared:
    """Read what a model's folder declares.

    Raises
    ------
    ValueError
        A file that is damaged, or says what this version does not know.
    """
    if (folder / "modules.json").is_file():
        return _sentence_transformers(folder)
    if gguf := only_gguf(folder):
        return _gguf(folder / gguf)
    return Declared(told=("no modules.json: nothing is declared",))


def _sentence_transformers(folder: Path) -> Declared:
    modules, told = _json(folder / "modules.json", list), []
    modes, include_prompt, after, transformer = (), True, [], ""
    for number, module in enumerate(modules):
        kind, path = _module(folder, module)
        if kind == "Transformer" and number == 0:
            transformer = path
        elif kind == "Pooling" and not modes and not after:
            modes, include_prompt, schema = pooling_modes(_json(folder / path / "config.json", dict))
            told.append(f"{path}/config.json ({schema}): {' + '.join(modes)}")
        elif kind == "Dense" and modes:
            after.append(dense(folder / path))
            told.append(f"{path}: Dense, {after[-1].weight.shape[1]} to {after[-1].weight.shape[0]}")
        elif kind == "Normalize" and modes:
            after.append(Normalize())
            told.append(f"{path}: Normalize")
        elif kind != "Dropout":  # that one does nothing outside of training
            raise ValueError(f"modules.json has a module {kind!r} in place {number}: this audit knows a Transformer, "
                             "then a Pooling, then Dense and Normalize.")  # fmt: skip
    if not modes:
        told.append("modules.json, but no Pooling in it: nothing is declared")
    sizes = [module.weight.shape for module in after if isinstance(module, Dense)]
    for before, then in zip(sizes, sizes[1:], strict=False):
        if before[0] != then[1]:
            raise ValueError(f"A Dense module gives {before[0]} numbers, and the next takes {then[1]}: is the folder "
                             "whole?")  # fmt: skip
    settings = _optional(folder / "config_sentence_transformers.json")
    prompts = {str(name): text for name, text in _field(settings, "prompts", dict, {}).items()
               if isinstance(text, str) and text}  # fmt: skip
    prompt = _field(settings, "default_prompt_name", str, "")
    told += [f"prompt {name!r}: {text!r}{' (put before every text)' * (name == prompt)}"
             for name, text in prompts.items()]  # fmt: skip
    reads = _optional(folder / transformer / "sentence_bert_config.json")
    most = _field(reads, "max_seq_length", int, None)
    return Declared(
        modes, include_prompt, tuple(after), bool(after) and isinstance(after[-1], Normalize), prompts,
        prompt if prompt in prompts else "", _field(settings, "similarity_fn_name", str, ""), transformer,
        most if most and most > 1 else None, _field(reads, "do_lower_case", bool, False), tuple(told),
    )  # fmt: skip


def _module(folder: Path, module: object) -> tuple[str, str]:
    """The kind of a module and its folder; only the library's own classes, and only inside of the model's folder."""
    if not isinstance(module, dict):
        raise ValueError("modules.json is no list of modules: save the model again with sentence-transformers.")
    path, name = _field(module, "path", str, ""), _field(module, "type", str, "")
    if not name.startswith("sentence_transformers."):
        raise ValueError(f"modules.json names the class {name!r}, which is not the library's: its code is not run.")
    if not (folder / path).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"modules.json names the folder {path!r}, which lies outside of the model's: refused.")
    # The class's own name: "sentence_transformers.models.Pooling" to 5.3, a longer path from 5.4.
    return name.rsplit(".", 1)[-1], path


def pooling_modes(config: dict) -> tuple[tuple[str, ...], bool, str]:
    """Return poolings, whether a prompt is pooled, and the name of the schema, from a Pooling module's configuration.

    Raises
    ------
    ValueError
        Neither schema, or an unknown mode.
    """
    given, schema = config.get("pooling_mode"), "one name, as from sentence-transformers 5.4"
    if given is None:
        given, schema = [mode for key, mode in BOOLEANS.items() if config.get(key)], "booleans, as to 5.3"
    given = [given] if isinstance(given, str) else given
    if not isinstance(given, list) or not given or not all(isinstance(mode, str) and mode in MODES for mode in given):
        raise ValueError(f"The Pooling module's configuration names {given or 'no pooling'}: known are "
                         f"{', '.join(MODES)}.")  # fmt: skip
    return tuple(MODES[mode] for mode in given), bool(config.get("include_prompt", True)), schema


def dense(folder: Path) -> Dense:
    """Read a Dense module from its folder.

    Raises
    ------
    ValueError
        No safetensors, an activation that is not on our list, or sizes that do not fit.
    """
    config, weights = _json(folder / "config.json", dict), folder / "model.safetensors"
    if not weights.is_file():
        raise ValueError(f"{folder.name} has no model.safetensors: no pickled weights are opened, which can run code.")
    name = str(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    name = name.rsplit(".", 1)[-1] if name.startswith("torch.nn.") else name  # a class of the same name is another one
    if name not in ACTIVATIONS or config.get("use_residual"):
        raise ValueError(f"{folder.name} uses {'a residual' if name in ACTIVATIONS else name}, which this audit does "
                         f"not know: it knows {', '.join(ACTIVATIONS)}.")  # fmt: skip
    try:
        found = load_file(weights)
    except SafetensorError as error:
        raise ValueError(f"The weights of {folder.name} are damaged: fetch or save them again.") from error
    weight, bias = found.get("linear.weight"), found.get("linear.bias")
    if weight is None or list(weight.shape) != [config.get("out_features"), config.get("in_features")]:
        raise ValueError(f"{folder.name}: the weights are not those of its config.json. Save the model again.")
    return Dense(weight.float(), None if bias is None else bias.float(), getattr(nn, name)())


def _gguf(path: Path) -> Declared:
    from gguf import GGUFReader  # optional: `checkpoints.read` has asked for it

    fields = GGUFReader(path).fields
    found = [int(one.parts[-1][0]) for name, one in fields.items() if name.endswith(".pooling_type")]
    if not found:
        return Declared(told=("the GGUF header has no pooling_type: nothing is declared",))
    told = (f"the GGUF header's pooling_type is {found[0]}",)
    return Declared((GGUF_TYPES[found[0]],) if found[0] in GGUF_TYPES else (), told=told)


def _json(path: Path, kind: type) -> dict | list:
    """Read a file that has to hold a list, or a dictionary."""
    where = f"{path.parent.name}/{path.name}"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{where} is not there: the folder is not whole.") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is damaged: fetch or save it again.") from error
    if not isinstance(found, kind):
        raise ValueError(f"{where} is no {kind.__name__}: fetch or save it again.")
    return found


def _optional(path: Path) -> dict:
    return _json(path, dict) if path.is_file() else {}


def _field(config: dict, name: str, kind: type, default: object) -> object:
    """A setting of the kind that it has to be; its default where it is missing or null."""
    found = config.get(name)
    if found is not None and (not isinstance(found, kind) or (kind is int and isinstance(found, bool))):
        raise ValueError(f"The setting {name} is {found!r:.60}, and should be a {kind.__name__}: save the model again.")
    return default if found is None else found


def likely(causal: bool) -> str:
    """Return which pooling a server may take where nothing is declared, and why."""
    if causal:
        return ("last: each token sees only what stands before it, so only the last has seen the whole text. But "
                "sentence-transformers takes the mean of any folder that declares nothing")  # fmt: skip
    return ("mean: that is what sentence-transformers takes where a folder declares nothing. But a [CLS] token is "
            "there too, and some servers take that")  # fmt: skip


@torch.no_grad()
def is_causal(model: nn.Module) -> bool:
    """Return whether a model's tokens see only what stands before them: is the first state deaf to a second token?"""
    ids = torch.tensor([[0, 1], [0, 2]], device=next(model.parameters()).device)
    first = model(input_ids=ids).last_hidden_state[:, 0]
    return bool(torch.allclose(first[0], first[1], atol=1e-5))
