"""Readings: the token states of some requests' texts, padded in each way in which a server may pad them."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.checkpoints import Encoder

# n texts, T places, d dimensions of a state, L layers


@dataclass(frozen=True)
class Padding:
    """What was done about the places that fill a batch up.

    Attributes
    ----------
    side : {"right", "left"}
    told : bool
        Whether the model was given the mask.
    pooled : {"real", "all", "zeros", "as right"}
        Which places are pooled: the real ones; all; all, with zeros in the padded ones; as many as are real, but
        counted from the left, as if the padding stood on the right.
    """

    side: str
    told: bool
    pooled: str


class Reading:
    """Some requests' texts as one tokenizer call reads them. States are computed when they are asked for, and once.

    A text's states depend on how far it is filled up, and not on its neighbours: each pair of the two is read once.

    Parameters
    ----------
    encoder : Encoder
    requests : sequence of sequence of str
        Each is padded to its longest text.
    before : str
        What is put before each text.
    special : bool
        Whether the tokenizer adds its special tokens.
    filled : int, optional
        Pad everything to so many places instead.
    most : int, optional
        Cut texts after so many tokens, if that is less than the encoder's own limit.

    Attributes
    ----------
    padded : bool
        Whether anything is padded at all.
    has_special : bool
        Whether each text has both special and other tokens.
    prompt : int
        Number of tokens of `before`.

    Raises
    ------
    ValueError
        A text without a token.
    """

    def __init__(
        self, encoder: Encoder, requests: Sequence[Sequence[str]], before: str, special: bool,
        filled: int | None = None, most: int | None = None,
    ):  # fmt: skip
        self.encoder, tokenizer = encoder, encoder.tokenizer
        texts = [before + text for own in requests for text in own]
        limit = min(filled or encoder.max_length, most or encoder.max_length)
        read = tokenizer(texts, truncation=True, max_length=limit, add_special_tokens=special,
                         return_special_tokens_mask=True)  # fmt: skip
        ids, marks = read["input_ids"], read["special_tokens_mask"]
        for text, found in zip(texts, ids, strict=True):
            if not found:
                raise ValueError(f"{encoder.name} makes no token of the text {text[:60]!r}: leave it out.")
        longest, start = [], 0
        for own in requests:
            longest += [filled or max(map(len, ids[start : start + len(own)]))] * len(own)
            start += len(own)
        self.padded = any(len(own) < to for own, to in zip(ids, longest, strict=True))
        self.has_special = all(any(own) and not all(own) for own in marks)
        self.prompt = 0
        if before:  # without the special token that closes it
            asked = tokenizer(before, add_special_tokens=special, return_special_tokens_mask=True)
            self.prompt = len(asked["input_ids"]) - asked["special_tokens_mask"][-1]
        self._rows: dict[tuple, int] = {}
        self._row_of = [self._rows.setdefault((to, *own), len(self._rows))
                        for own, to in zip(ids, longest, strict=True)]  # fmt: skip
        self._special = {row: marks[place] for place, row in enumerate(self._row_of)}
        self._kept: dict[tuple[str, bool], list[tuple[list[int], Tensor, Tensor]]] = {}

    def states(
        self, padding: Padding, without_special: bool, without_prompt: bool
    ) -> list[tuple[list[int], Tensor, Tensor]]:
        """Return groups of rows that are filled up alike: their numbers, states ``[L + 1, n, T, d]``, places to pool
        ``[n, T]``.
        """
        found = []
        for rows, hidden, real in self._hidden(padding.side, padding.told):
            mask = real.clone()
            if padding.pooled == "all":
                mask = torch.ones_like(real)
            elif padding.pooled == "zeros":
                hidden, mask = hidden * real.unsqueeze(-1), torch.ones_like(real)
            elif padding.pooled == "as right":
                mask = torch.arange(real.shape[1]) < real.sum(dim=1, keepdim=True)
            for number, row in enumerate(rows):
                places = real[number].nonzero().flatten()  # of the text's tokens
                if without_special:
                    mask[number, places] = ~torch.tensor(self._special[row], dtype=torch.bool)
                if without_prompt:
                    mask[number, places[: self.prompt]] = False
            found.append((rows, hidden, mask))
        return found

    def pooled(self, states: list, layers: list[int], pooling: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return one pooling of the average of some layers, ``[N, d]``, in the order of the texts."""
        done = torch.empty(len(self._rows), self.encoder.dim)
        with torch.no_grad():
            for rows, hidden, mask in states:
                done[rows] = pooling(hidden[layers].mean(dim=0), mask)
        return done[self._row_of]

    def _hidden(self, side: str, told: bool) -> list[tuple[list[int], Tensor, Tensor]]:
        if (side, told) not in self._kept:
            by_length = defaultdict(list)
            for (to, *ids), row in self._rows.items():
                by_length[to].append((row, ids))
            self._kept.clear()  # one kind at a time: a decoder of thirty layers fills the memory soon
            self._kept[side, told] = [self._forward(group, to, side, told) for to, group in by_length.items()]
        return self._kept[side, told]

    @torch.no_grad()
    def _forward(
        self, group: list[tuple[int, list[int]]], to: int, side: str, told: bool
    ) -> tuple[list[int], Tensor, Tensor]:
        encoder, (rows, ids) = self.encoder, zip(*group, strict=True)
        padded = encoder.tokenizer.pad({"input_ids": list(ids)}, padding="max_length", max_length=to,
                                       padding_side=side, return_tensors="pt").to(encoder.model.device)  # fmt: skip
        real = padded["attention_mask"].bool()
        given = real if told else torch.ones_like(real)
        hidden = encoder.model(input_ids=padded["input_ids"], attention_mask=given.long(), output_hidden_states=True)
        states = torch.stack(hidden.hidden_states).float().cpu()  # (L + 1) x [n, T, d] -> [L + 1, n, T, d]
        return list(rows), states, real.cpu()
