"""Heads: planted truths are learned, chance stays chance, and validation only validates."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from helpers import heads, pooling
from helpers.heads import fit_pooling, fit_probe, fit_tfidf

DIM = 8


class Ragged:
    """Token states in memory, with what `TokenStates` has."""

    dim = DIM

    def __init__(self, rows: list[Tensor]):
        self.rows, self.lengths = rows, torch.tensor([len(row) for row in rows])

    def __len__(self) -> int:
        return len(self.rows)

    def padded(self, rows) -> tuple[Tensor, Tensor]:
        lengths = self.lengths[torch.as_tensor(np.asarray(rows))]
        states = pad_sequence([self.rows[row] for row in rows], batch_first=True)
        return states, torch.arange(states.shape[1]) < lengths.unsqueeze(1)

    def batches(self):
        for rows in np.array_split(np.arange(len(self)), -(-len(self) // 50)):
            yield rows.tolist(), *self.padded(rows)


def planted(n: int, signal: float, seed: int = 0, at: int | None = None) -> tuple[Ragged, np.ndarray]:
    """Texts of 3 to 8 tokens of noise; a class moves every token (or only the one `at`) along one direction."""
    generator = torch.Generator().manual_seed(seed)
    labels = np.arange(n) % 2
    rows = []
    for label in labels:
        row = torch.randn(int(torch.randint(3, 9, (1,), generator=generator)), DIM, generator=generator)
        row[slice(None) if at is None else at, 2] += signal * (2 * int(label) - 1)
        rows.append(row)
    return Ragged(rows), labels


def accuracy(probe, states: Ragged, labels: np.ndarray, rows: np.ndarray) -> float:
    return float(((probe.probabilities(states) > 0.5) == labels)[rows].mean())


TRAIN, VALIDATION, TEST = np.arange(200), np.arange(200, 260), np.arange(260, 460)


@pytest.mark.parametrize("name", pooling.NAMES)
def test_what_separates_the_classes_is_learned_under_every_pooling(name):
    # 5 standard deviations on each side: one token alone is enough.
    states, labels = planted(460, signal=5)
    probe = fit_pooling(pooling.make(name, DIM), states, labels, TRAIN, VALIDATION, seed=0)
    assert accuracy(probe, states, labels, TEST) >= 0.97
    one_by_one = [float(probe(*states.padded([row])).sigmoid().detach()) for row in TEST[:5]]
    assert probe.probabilities(states)[TEST[:5]] == pytest.approx(one_by_one, abs=1e-5)


@pytest.mark.parametrize("name", ["mean", "weighted_sum"])
def test_labels_that_were_shuffled_cannot_be_predicted(name):
    states, labels = planted(460, signal=5)
    shuffled = labels.copy()
    np.random.default_rng(0).shuffle(shuffled)
    probe = fit_pooling(pooling.make(name, DIM), states, shuffled, TRAIN, VALIDATION, seed=0)
    # Three standard errors of a fair coin on 200 texts.
    assert accuracy(probe, states, shuffled, TEST) == pytest.approx(0.5, abs=3 * 0.5 / 200**0.5)


def test_weighted_sum_learns_where_the_evidence_stands():
    states, labels = planted(460, signal=5, at=1)
    probe = fit_pooling(pooling.make("weighted_sum", DIM), states, labels, TRAIN, VALIDATION, seed=0)
    scores = probe.pooling.position_score.detach()
    assert int(scores[:8].argmax()) == 1 and scores[1] > 0.05
    assert (scores[8:] == 0).all(), "no text has so many tokens"


def test_the_same_seed_gives_the_same_probe_and_another_seed_another():
    states, labels = planted(260, signal=0.3)
    torch.manual_seed(1)
    first = fit_pooling(pooling.make("attention", DIM), states, labels, TRAIN, VALIDATION, seed=3).state_dict()
    torch.manual_seed(2)  # the seed of the session has no say
    second = fit_pooling(pooling.make("attention", DIM), states, labels, TRAIN, VALIDATION, seed=3).state_dict()
    other = fit_pooling(pooling.make("attention", DIM), states, labels, TRAIN, VALIDATION, seed=4).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["probe.linear.weight"], other["probe.linear.weight"])


def test_the_callers_pooling_stays_as_it_was():
    states, labels = planted(260, signal=1)
    mine = pooling.make("weighted_sum", DIM)
    before = copy.deepcopy(mine.state_dict())
    probe = fit_pooling(mine, states, labels, TRAIN, VALIDATION, seed=0)
    assert all(torch.equal(before[key], value) for key, value in mine.state_dict().items())
    assert not torch.equal(probe.pooling.query, mine.query), "the copy did learn"
    assert not probe.training


@pytest.fixture
def steps(monkeypatch) -> list[list[Tensor]]:
    """All parameters after each step of any optimizer."""
    seen: list[list[Tensor]] = []

    class Recording(torch.optim.AdamW):
        def step(self, *arguments, **named):
            done = super().step(*arguments, **named)
            seen.append([p.detach().clone() for group in self.param_groups for p in group["params"]])
            return done

    monkeypatch.setattr(torch.optim, "AdamW", Recording)
    return seen


@pytest.fixture
def validation_losses(monkeypatch) -> list[float]:
    """The loss of each batch that is not trained on: with up to 64 validation texts, one an epoch."""
    seen: list[float] = []
    real = torch.nn.functional.binary_cross_entropy_with_logits

    def recording(*arguments, **named):
        loss = real(*arguments, **named)
        if not torch.is_grad_enabled():
            seen.append(float(loss))
        return loss

    monkeypatch.setattr(torch.nn.functional, "binary_cross_entropy_with_logits", recording)
    return seen


def test_the_epoch_with_the_lowest_validation_loss_is_kept(validation_losses):
    states, labels = planted(260, signal=0.2)  # weak: it overfits soon
    few = np.arange(30)
    probe = fit_pooling(pooling.make("mean", DIM), states, labels, few, VALIDATION, seed=0)
    epochs, best = len(validation_losses), int(np.argmin(validation_losses))
    assert epochs == best + 1 + heads.PATIENCE < heads.MAX_ROUNDS, "it stopped, and not at once"
    assert best > 0
    target = torch.tensor(labels[VALIDATION], dtype=torch.float64)
    p = torch.tensor(probe.probabilities(states)[VALIDATION], dtype=torch.float64)
    loss = -(target * p.log() + (1 - target) * (1 - p).log()).mean()
    assert float(loss) == pytest.approx(min(validation_losses), abs=1e-5)
    assert float(loss) < validation_losses[-1] - 1e-4, "the last epoch was worse, so the difference shows"


@pytest.mark.parametrize("name", ["mean", "weighted_sum"])
def test_validation_texts_never_reach_a_training_step(name, steps, monkeypatch):
    monkeypatch.setattr(heads, "PATIENCE", 10**6)
    monkeypatch.setattr(heads, "MAX_ROUNDS", 4)
    states, labels = planted(300, signal=0.5)

    def trajectory(states: Ragged, labels: np.ndarray, validation: np.ndarray) -> list[list[Tensor]]:
        steps.clear()
        fit_pooling(pooling.make(name, DIM), states, labels, TRAIN, validation, seed=0)
        return list(steps)

    def equal(one, other) -> bool:
        return all(torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))

    usual = trajectory(states, labels, VALIDATION)
    assert len(usual) == 4 * 24  # rounds x steps: 200 texts make 4 batches, so 6 passes are a round
    flipped = labels.copy()
    flipped[VALIDATION] = 1 - flipped[VALIDATION]
    louder = Ragged([row * (100 if number >= 200 else 1) for number, row in enumerate(states.rows)])
    assert equal(usual, trajectory(states, flipped, VALIDATION)), "other labels"
    assert equal(usual, trajectory(louder, labels, VALIDATION)), "other states"
    assert equal(usual, trajectory(states, labels, np.arange(200, 300))), "other texts, and more of them"
    flipped = labels.copy()
    flipped[:10] = 1 - flipped[:10]
    assert not equal(usual, trajectory(states, flipped, VALIDATION)), "training labels do show"


def test_features_are_standardized_by_the_training_part_alone():
    states, labels = planted(260, signal=1)
    probe = fit_pooling(pooling.make("mean", DIM), states, labels, TRAIN, VALIDATION, seed=0)
    pooled = torch.stack([row.mean(dim=0) for row in states.rows])[TRAIN]
    torch.testing.assert_close(probe.probe.center, pooled.mean(dim=0), atol=1e-5, rtol=0)
    torch.testing.assert_close(probe.probe.spread, pooled.std(dim=0), atol=1e-5, rtol=0)


def test_a_dimension_that_never_changes_does_no_harm():
    states, labels = planted(460, signal=5)
    for row in states.rows:
        row[:, 0] = 3.0
    probe = fit_pooling(pooling.make("max", DIM), states, labels, TRAIN, VALIDATION, seed=0)
    assert accuracy(probe, states, labels, TEST) >= 0.97


def test_a_round_is_one_pass_or_enough_steps():
    def sizes(n: int) -> tuple[int, list[np.ndarray]]:
        batches = list(heads._round(np.arange(100, 100 + n), torch.Generator().manual_seed(0)))
        assert all(len(batch) <= heads.BATCH for batch in batches)
        return len(batches), batches

    steps, batches = sizes(5000)
    assert steps == -(-5000 // heads.BATCH)
    assert sorted(np.concatenate(batches)) == list(range(100, 5100)), "every row once"
    for few in (20, 64, 65, 200, 1500):
        steps, batches = sizes(few)
        assert heads.ROUND_STEPS / 2 < steps <= heads.ROUND_STEPS
        counts = np.unique(np.concatenate(batches), return_counts=True)[1]
        assert len(counts) == few and len(set(counts)) == 1, "every row as often as every other"
    assert not np.array_equal(batches[0], np.arange(100, 100 + len(batches[0]))), "shuffled"


@pytest.mark.parametrize("name", ["first", "mean", "max", "concat"])
def test_a_pooling_without_weights_may_pool_once(name):
    # The same protocol on both ways: on vectors pooled beforehand, and pooling at each step.
    states, labels = planted(460, signal=0.5)
    mine = pooling.make(name, DIM)
    vectors = pooling.pool_all(mine, states)
    once = fit_probe(vectors, labels, TRAIN, VALIDATION, seed=1)
    each = fit_pooling(mine, states, labels, TRAIN, VALIDATION, seed=1)
    # The sums of a padded batch run in another order than those of another batch: float32 rounding, trained upon.
    np.testing.assert_allclose(once.probabilities(vectors), each.probabilities(states), atol=1e-4)


def test_parts_that_cannot_train_or_validate_are_refused():
    states, labels = planted(20, signal=1)
    mean, even, rest = pooling.make("mean", DIM), np.arange(0, 10, 2), np.arange(10, 20)
    vectors = pooling.pool_all(mean, states)
    for fit in (lambda *parts: fit_pooling(mean, states, *parts), lambda *parts: fit_probe(vectors, *parts)):
        with pytest.raises(ValueError, match="training part needs texts of both classes"):
            fit(labels, even, rest, 0)
        with pytest.raises(ValueError, match="validation part needs texts of both classes"):
            fit(labels, rest, even, 0)
        with pytest.raises(ValueError, match="labelled 0 and 1"):
            fit(2 * labels - 1, np.arange(10), rest, 0)
        with pytest.raises(ValueError, match="both the training and the validation part"):
            fit(labels, np.arange(11), rest, 0)
        with pytest.raises(ValueError, match="19 labels do not fit 20 texts"):
            fit(labels[:-1], np.arange(10), rest, 0)
        with pytest.raises(ValueError, match="must be row numbers"):
            fit(labels, np.arange(20) < 10, np.arange(20) >= 10, 0)
        fit(labels.tolist(), list(range(10)), rest.tolist(), 0)


@pytest.mark.parametrize("row, value", [(0, np.nan), (15, np.inf)])
def test_vectors_that_are_not_finite_are_refused(row, value):
    states, labels = planted(20, signal=1)
    states.rows[row][0, 0] = value
    mean, parts = pooling.make("mean", DIM), (labels, np.arange(10), np.arange(10, 20), 0)
    for fit in (lambda: fit_pooling(mean, states, *parts), lambda: fit_probe(pooling.pool_all(mean, states), *parts)):
        with pytest.raises(ValueError, match="infinite or NaN"):
            fit()


# The baseline


def reviews(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    rng, labels = np.random.default_rng(seed), np.arange(n) % 2
    filler = [f"word{number}" for number in range(40)]
    return [" ".join([*rng.choice(filler, 12), "good" if label else "bad"]) for label in labels], labels


def test_the_baseline_learns_the_word_that_tells():
    texts, labels = reviews(200, 0)
    model = fit_tfidf(texts, labels, *reviews(60, 1))
    assert (model.predict_proba(["a good film", "a bad film"])[:, 1] > 0.5).tolist() == [True, False]
    new, truth = reviews(100, 2)
    assert (model.predict(new) == truth).mean() >= 0.97


def test_the_baseline_chooses_on_validation_and_learns_no_word_from_it(monkeypatch):
    texts, labels = reviews(100, 0)
    noisy = labels.copy()
    noisy[:30] = 1 - noisy[:30]  # then weak regularization fits best, and another validates best
    held, truth = reviews(60, 1)
    held = [f"unseen {text}" for text in held]
    chosen = fit_tfidf(texts, noisy, held, truth)
    trained, validated = {}, {}
    for c in heads.TFIDF_C:
        monkeypatch.setattr(heads, "TFIDF_C", (c,))
        model = fit_tfidf(texts, noisy, held, truth)
        trained[c], validated[c] = (model.predict(texts) == noisy).mean(), (model.predict(held) == truth).mean()
    assert validated[chosen[-1].C] == max(validated.values()) > min(validated.values())
    assert trained[chosen[-1].C] < max(trained.values()), "the training part would have chosen another"
    assert "good" in chosen[0].vocabulary_ and "unseen" not in chosen[0].vocabulary_
