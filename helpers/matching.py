"""Which of some candidates answers a question? Two pooled vectors and their cosine, generic or trained for the task.

A *set* is what belongs together: some candidates, and the questions whose answers are among them. Token states come
from a frozen encoder.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import datasets
import numpy as np
import torch
from torch import Tensor, nn

from helpers import arguments, yardsticks
from helpers.encoders import Encoder, TokenStates, encode
from helpers.masked import fits
from helpers.pooling import Pooling

# The budget, the same for each pooling.
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-2
BATCH = 16  # sets
ROUNDS, PATIENCE = 12, 3
TEMPERATURE = 0.05  # cosines are small numbers: divided by it they can say "this one, surely"


@dataclass(frozen=True)
class Sets:
    """Questions and candidates of one split, with their token states.

    Attributes
    ----------
    questions, candidates : TokenStates
        Of all questions, n, and of all candidates.
    rows : list of (list of int, list of int)
        Of each set the rows of its questions, and of its candidates.
    answers : ndarray of int, shape [n]
        Of each question the place of the answer among its set's candidates.
    """

    questions: TokenStates
    candidates: TokenStates
    rows: list[tuple[list[int], list[int]]]
    answers: np.ndarray


def sets(encoder: Encoder, found: datasets.Dataset, max_length: int) -> Sets:
    """Encode a split of `tasks.answer_selection`, each candidate once."""
    rows, candidates = {}, []
    for row, (group, own) in enumerate(zip(found["group"], found["candidates"], strict=True)):
        if not own:
            raise ValueError(f"Row {row} has no candidate: give one or more.")
        if group not in rows:
            rows[group] = ([], list(range(len(candidates), len(candidates) + len(own))))
            candidates += own
        if own != candidates[rows[group][1][0] : rows[group][1][-1] + 1]:
            raise ValueError(f"Row {row} has other candidates than the first row of group {group!r}: give the same.")
        arguments.whole(f"Row {row}: answer", found["answer"][row], 0, len(own) - 1)
        rows[group][0].append(row)
    return Sets(encode(encoder, found["question"][:], max_length), encode(encoder, candidates, max_length),
                list(rows.values()), np.array(found["answer"][:]))  # fmt: skip


class Matcher(nn.Module):
    """The cosine of a question's and a candidate's pooled vectors, after one linear map for both.

    The map begins as "change nothing": untrained, a matcher is the generic pooling.

    Parameters
    ----------
    pooling : Pooling
    dim : int
        Of the pooled vectors.
    """

    def __init__(self, pooling: Pooling, dim: int):
        super().__init__()
        self.pooling, self.map = pooling, nn.Linear(arguments.whole("dim", dim, 1), dim, bias=False)
        nn.init.eye_(self.map.weight)

    def forward(self, questions: tuple[Tensor, Tensor], candidates: tuple[Tensor, Tensor]) -> Tensor:
        """Return the cosine of each question and candidate: states and masks of q and c texts -> ``[q, c]``."""
        asked = self.pooling(*questions)  # [q, d]
        fits(self, asked, self.map.in_features)
        return nn.functional.cosine_similarity(
            self.map(asked).unsqueeze(1), self.map(self.candidates(asked, *candidates)), dim=-1
        )

    def candidates(self, asked: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Return the candidates' vectors, ``[1, c, d]``; or ``[q, c, d]`` where they depend on the question."""
        return self.pooling(states, mask).unsqueeze(0)


class Asked(Matcher):
    """A matcher that reads a candidate with the question in mind: its tokens' weights depend on the question.

    The weights are a softmax of (A · question) · state, in several parts of the vector (heads), each with weights of
    its own. A begins at zero, so untrained it is the mean.

    Parameters
    ----------
    pooling : Pooling
        Of the question.
    dim : int
    heads : int
        1: a weighted sum. More: attention.
    """

    def __init__(self, pooling: Pooling, dim: int, heads: int = 1):
        super().__init__(pooling, dim)
        if dim % arguments.whole("heads", heads, 1):
            raise ValueError(f"{heads} heads do not divide {dim} dimensions.")
        self.heads, self.query = heads, nn.Linear(dim, dim, bias=False)
        nn.init.zeros_(self.query.weight)

    def weights(self, asked: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Return the weights of each candidate's tokens for each question, ``[q, c, T, h]``."""
        query = self.query(asked).unflatten(-1, (self.heads, -1))  # [q, d] -> [q, h, d / h]
        keys = states.unflatten(-1, (self.heads, -1))  # [c, T, d] -> [c, T, h, d / h]
        scores = torch.einsum("qhe,cthe->qcth", query, keys) / query.shape[-1] ** 0.5
        return scores.masked_fill(~mask[None, :, :, None], float("-inf")).softmax(dim=2)

    def candidates(self, asked: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        clean = torch.where(mask.unsqueeze(-1), states, 0)  # a weight of 0 times NaN would be NaN
        parts = clean.unflatten(-1, (self.heads, -1))  # [c, T, d] -> [c, T, h, d / h]
        return torch.einsum("qcth,cthe->qche", self.weights(asked, states, mask), parts).flatten(2)  # -> [q, c, d]


@torch.no_grad()
def scores(model: Matcher, given: Sets) -> list[Tensor]:
    """Return the scores of each set's candidates for each of its questions: one ``[q, c]`` a set."""
    model.eval()
    return [model(given.questions.padded(asked), given.candidates.padded(own)) for asked, own in given.rows]


def reciprocal_ranks(found: Sequence[Tensor], given: Sets) -> np.ndarray:
    """Return 1 over the rank of each question's answer, set by set (`yardsticks.reciprocal_rank`)."""
    if len(found) != len(given.rows):
        raise ValueError(f"found has {len(found)} sets of scores: give one for each of the {len(given.rows)} sets.")
    return np.array([yardsticks.reciprocal_rank(score, given.answers[row])
                     for part, (asked, _) in zip(found, given.rows, strict=True)
                     for score, row in zip(part.numpy(), asked, strict=True)])  # fmt: skip


def fit(model: Matcher, train: Sets, validation: Sets, seed: int) -> Matcher:
    """Train a copy of a matcher to give each answer the highest score of its set; the best round is kept.

    Returns
    -------
    Matcher
        Of the round with the highest mean reciprocal rank on the validation sets.
    """
    model, generator = copy.deepcopy(model), torch.Generator().manual_seed(arguments.seed(seed))
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    best, highest, waited = copy.deepcopy(model.state_dict()), _quality(model, validation), 0
    for _ in range(ROUNDS):
        model.train()
        for batch in torch.randperm(len(train.rows), generator=generator).split(BATCH):
            optimizer.zero_grad()
            torch.stack([_loss(model, train, number) for number in batch.tolist()]).mean().backward()
            optimizer.step()
        if (found := _quality(model, validation)) > highest:
            best, highest, waited = copy.deepcopy(model.state_dict()), found, 0
        elif (waited := waited + 1) == PATIENCE:
            break
    model.load_state_dict(best)
    return model.eval()


def _loss(model: Matcher, given: Sets, number: int) -> Tensor:
    asked, own = given.rows[number]
    found = model(given.questions.padded(asked), given.candidates.padded(own))  # [q, c]
    return nn.functional.cross_entropy(found / TEMPERATURE, torch.as_tensor(given.answers[asked]))


def _quality(model: Matcher, given: Sets) -> float:
    return float(reciprocal_ranks(scores(model, given), given).mean())
