"""The numbers that a reader of the committed tables relies on: whoever changes one has to run the chapters again."""

import inspect

from helpers import data, encoders, evaluation, finetuning, heads, pooling


def default(function, name: str) -> object:
    return inspect.signature(function).parameters[name].default


def test_the_protocol_behind_the_committed_tables_is_this_one():
    assert (heads.LEARNING_RATE, heads.WEIGHT_DECAY, heads.BATCH) == (3e-3, 1e-2, 64)
    assert (heads.ROUND_STEPS, heads.MAX_ROUNDS, heads.PATIENCE) == (24, 40, 3)
    assert heads.TFIDF_C == (0.1, 1, 10, 100)
    assert (finetuning.BATCH, finetuning.WARMUP, finetuning.CLIP) == (16, 0.1, 1.0)
    assert (finetuning.CHECKS, finetuning.PATIENCE) == (2, 2)
    assert (default(finetuning.fine_tune, "rate"), default(finetuning.fine_tune, "epochs")) == (3e-4, 2)
    assert (evaluation.CONFIDENCE, evaluation.POWER, evaluation.RESAMPLES) == (0.95, 0.80, 4999)
    assert (data.NEAR, data.SHINGLE) == (0.5, 8)
    assert data.SHARES == {"train": 0.7, "validation": 0.1, "test": 0.2}
    assert default(encoders.encode, "max_length") == 256
    made = {name: pooling.make(name, 8) for name in pooling.NAMES}
    assert made["generalized_mean"].p == 3
    assert made["attention"].queries.shape == (4, 8) and made["weighted_sum"].position_score.shape == (512,)
