"""Chapter 9's runs: evidence is learned from training texts only, chunks are whole, and what is planted is found."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers import evidence_studies, grid, heads, pooling, studies
from helpers.evidence_studies import ChunksRun, EvidenceRun, Stacked, chunks
from tests.inline import Inline

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("own_cache", "in_float32")]
FLOAT16 = 2**-9  # the cache of states keeps numbers of a few units in half precision


@pytest.fixture
def tiny(tiny_bert, monkeypatch) -> grid.Settings:
    """A tiny random model and a few short texts."""
    settings = replace(grid.SCALES["smoke"], rates={str(tiny_bert): 1e-3}, pair=(str(tiny_bert),), seeds=2,
                       poolings=("mean", "attention"))  # fmt: skip
    monkeypatch.setitem(grid.SCALES, "smoke", settings)
    monkeypatch.setattr(studies, "ProcessPoolExecutor", Inline)
    for name, value in (("LENGTHS", (47, 48)), ("LONGER", (150,)), ("POOL", 40), ("LEARN", 24), ("VALIDATION", 10),
                        ("TEST", 16)):  # fmt: skip
        monkeypatch.setattr(evidence_studies, name, value)
    for function in (evidence_studies.texts, grid.encoder_of):  # a process-wide memory of other sizes
        function.cache_clear()
    yield settings
    evidence_studies.texts.cache_clear()


def test_each_run_is_made_once_and_kept(tiny, tmp_path, monkeypatch):
    made, answer = [], studies.answer
    monkeypatch.setattr(studies, "answer", lambda *given: made.append(given[:2]) or answer(*given))
    for _ in range(2):
        studies.main(["--scale", "smoke", "--out", str(tmp_path), "--only", "evidence", "chunks"])
    assert made == [(name, run) for name in ("evidence", "chunks") for run in studies.STUDIES[name].runs(tiny)]
    assert len(made) == 2 * 2 * 2 + 1
    table, (model,) = studies.table("evidence", "smoke", tmp_path), tiny.pair
    right = table.stack("right", model=model, pooling="mean", tokens=48)
    assert right.shape == (2, 16) and right.dtype == bool
    words = {tuple(table.array(row, "words")) for row in table.rows.to_dict("records")}
    assert len(words) == 1, "a text has the same evidence at every length"
    tests = evidence_studies.texts(model, 47)["test"]
    places = table.array(table.select(tokens=47).iloc[0], "places")
    assert places == pytest.approx([one.place for one in tests], abs=1e-3)
    cut = studies.table("chunks", "smoke", tmp_path)
    assert cut.stack("right", model=model, tokens=150).shape == (1, 2, 3, 2, 16)


def test_no_test_text_is_learned_from_and_seeds_draw(tiny):
    (model,) = tiny.pair
    labels, one, choose = evidence_studies._parts(model, 48, 0)
    _, other, _ = evidence_studies._parts(model, 48, 1)
    assert len(labels) == 40 + 10 + 16 and set(choose) == set(range(40, 50))
    assert len(one) == len(set(one)) == 24 and max(one) < 40 and sorted(one) != sorted(other)
    given = evidence_studies._asked(EvidenceRun(model, "mean", "frozen", 48, 0), tiny)
    splits = evidence_studies.texts(model, 48)
    assert given == [text.text for split in ("train", "validation", "test") for text in splits[split]]
    assert labels.tolist() == [text.label for split in ("train", "validation", "test") for text in splits[split]]


def test_another_size_is_another_configuration(tiny, monkeypatch):
    (model,) = tiny.pair
    run, cut = EvidenceRun(model, "mean", "frozen", 48, 0), ChunksRun(model, 150, 0)
    before = [studies.STUDIES[name].configuration(one, tiny) for name, one in (("evidence", run), ("chunks", cut))]
    monkeypatch.setattr(evidence_studies, "LEARN", 20)
    after = [studies.STUDIES[name].configuration(one, tiny) for name, one in (("evidence", run), ("chunks", cut))]
    assert before[0] != after[0] and before[1] != after[1]
    assert studies.STUDIES["evidence"].configuration(replace(run, tokens=47), tiny) != after[0], "other texts"


def test_chunks_are_read_whole_each_with_special_tokens_of_its_own(tiny):
    (model,) = tiny.pair
    encoder, text = grid.encoder_of(model), "a warm film with a dull end and it is fine " * 5
    found = chunks(encoder, ["a dull film", text], ("mean", "max"), longest=16)
    plain = encoder.tokenizer(text, add_special_tokens=False)["input_ids"]
    first, last = encoder.tokenizer("")["input_ids"]
    cut = [[first, *plain[start : start + 14], last] for start in range(0, len(plain), 14)]
    assert found["mean"].mask.sum(dim=1).tolist() == [1, len(cut)]
    for number in (0, len(cut) - 1):
        with torch.no_grad():
            states = encoder.model(input_ids=torch.tensor([cut[number]])).last_hidden_state
        mask = torch.ones(1, len(cut[number]), dtype=torch.bool)
        for name, own in found.items():
            expected = pooling.make(name, encoder.dim)(states, mask)[0]
            torch.testing.assert_close(own.vectors[1, number], expected, atol=FLOAT16, rtol=FLOAT16)


def test_a_chunk_result_is_that_of_its_own_pair_of_poolings(tiny):
    """One cell made again, step by step, in another order of doing things."""
    (model,) = tiny.pair
    found = evidence_studies._chunks(ChunksRun(model, 150, 0), tiny)["right"]
    encoder, parts = grid.encoder_of(model), evidence_studies.texts(model, 150)
    given, labels = ([getattr(one, what) for part in parts.values() for one in part] for what in ("text", "label"))
    outside = enumerate(("mean", "max", "attention"))
    for (i, inner), (o, outer) in itertools.product(enumerate(("mean", "max")), outside):
        own = chunks(encoder, given, (inner,), 48)[inner]
        drawn = np.random.default_rng(1).permutation(40)[:24]
        train = Stacked(own.vectors[:50].clone(), own.mask[:50])
        fitted = heads.fit_pooling(pooling.make(outer, encoder.dim), train, np.array(labels[:50]), drawn,
                                   np.arange(40, 50), 1)  # fmt: skip
        said = fitted.probabilities(Stacked(own.vectors[50:].clone(), own.mask[50:])) > 0.5
        assert (found[i, o, 1] == (said == (np.array(labels[50:]) == 1))).all(), (inner, outer)


def test_stacked_vectors_are_pooled_like_states():
    vectors = torch.randn(4, 3, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[True, True, True], [True, False, False], [True, True, False], [True, True, True]])
    stacked = Stacked(vectors, mask)
    found = pooling.pool_all(pooling.Mean(), stacked)
    assert torch.equal(found, pooling.Mean()(vectors, mask)) and len(stacked) == 4
    assert all(torch.equal(a, b) for a, b in zip(stacked.padded([2, 0]), (vectors[[2, 0]], mask[[2, 0]]), strict=True))


def test_the_pair_finds_the_evidence_in_short_texts():
    """A frozen mini BERT with the mean, 400 texts of 32 tokens, 200 other texts with other adjectives."""
    settings = grid.SCALES["laptop"]
    found = evidence_studies._evidence(EvidenceRun("mini-bert", "mean", "frozen", 32, 0), settings)["right"]
    assert np.mean(found) > 0.75
