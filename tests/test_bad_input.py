"""Bad input: what a learner may give by mistake gets the right result or one clear sentence, never a wrong number."""

import hashlib
import math
import re
import traceback
import warnings
from functools import partial
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers import (
    attentions,
    audit,
    cache,
    checks,
    classifiers,
    contrasts,
    course,
    data,
    doses,
    encoders,
    evaluation,
    evidence,
    experiments,
    explain,
    fairness,
    faithfulness,
    figures,
    finetuning,
    heads,
    matching,
    pooling,
    served,
    tasks,
    views,
    words,
    yardsticks,
)
from helpers.evaluation import Interval
from tools.project import ROOT

pytestmark = pytest.mark.usefixtures("own_cache", "in_float32")
#: Of each property a few cases in every run, and many in the slow one.
each_size = pytest.mark.parametrize(
    "examples", [10, pytest.param(150, marks=pytest.mark.slow)], ids=["few", "many"]
)  # fmt: skip
#: States are kept in float16, of values below 4.
FLOAT16 = 2**-9
N = 12
LABELS = np.array([0, 1] * (N // 2))
TEXTS = ["a fine film , warm", "a dull film , slow"] * (N // 2)
TRAIN, CHOOSE = np.arange(8), np.arange(8, N)


def clear(error: BaseException, *needles: object) -> None:
    """The error is one for a user: short, says what and what to do, and is raised by the helpers."""
    message = str(error)
    assert isinstance(error, (ValueError, TypeError, OSError, ImportError)), f"{type(error).__name__}: {message}"
    assert 20 < len(message) < 400 and "\n" not in message, message
    for needle in needles:
        assert str(needle) in message, f"{needle!r} is not in: {message}"
    plain = re.sub(r"'[^']*'|\"[^\"]*\"", "x", message)
    assert len(re.findall(r"[.?!](?= [A-Z])", plain)) < 2, f"more than two sentences: {message}"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [Path(frame.filename).is_relative_to(ROOT / "helpers") for frame in frames]
    assert any(ours) and ours[::-1].index(True) <= 2, "".join(traceback.format_tb(error.__traceback__)[-4:])


def refused(call, *needles: object) -> None:
    """The call fails with a clear error that holds all needles, and warns of nothing on the way."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            found = call()
    except Exception as error:
        return clear(error, *needles)
    raise AssertionError(f"not refused ({needles}): {found!r:.200}")


def often(examples: int, *strategies):
    """Run a property now, on so many cases."""
    return lambda property_: settings(max_examples=examples)(given(*strategies)(property_))()


# What learners may give

pieces = st.one_of(
    st.sampled_from([
        "a fine film", "dull", " ", "\t", "\n", "\r\n", "\0", "\x1b[31m", "\x7f", "\u202e", "\u200f", "\u200d",
        "\ufeff",
        "👩‍👩‍👧", "🏳️‍🌈", "e\u0301", "שלום", "العربية", "字", "\u2028", "\U0010ffff", "\ufdd0", "[CLS]", "[PAD]",
        "<|endoftext|>", "<b>", "&amp;", "!!!", "\x85", "\xa0",
    ]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
)  # fmt: skip
weird = st.lists(pieces, max_size=8).map("".join)
no_text = st.one_of(
    st.none(), st.integers(), st.floats(), st.booleans(), st.binary(max_size=5),
    st.lists(st.text(max_size=3), max_size=2),
    st.tuples(st.text(max_size=3)), st.sampled_from([math.nan, np.int64(3), torch.ones(1), object, {"text": "a"}]),
)  # fmt: skip
lone = st.builds(lambda a, half, b: f"{a}{chr(half)}{b}", weird, st.integers(0xD800, 0xDFFF), weird)
no_texts = st.one_of(
    st.none(), st.integers(), st.floats(), st.booleans(), weird, st.binary(max_size=5), st.just([]), st.just(()),
    st.dictionaries(weird, st.just(1), min_size=1), st.sets(weird, min_size=1), st.just(np.array("one text")),
    st.just(np.array([["a", "b"]])), st.just(pd.DataFrame({"text": ["a"]})), st.just(pd.Series([], dtype=object)),
    st.just(len),
    st.just(torch.ones(2, 2)),
)  # fmt: skip
not_whole = st.one_of(
    st.none(), st.booleans(), st.floats(), st.text(max_size=4), st.binary(max_size=3),
    st.lists(st.integers(), max_size=2),
    st.just(torch.tensor(16)), st.just(np.float64(16)),
)  # fmt: skip
no_seed = st.one_of(not_whole, st.integers(max_value=-1), st.integers(min_value=2**63))
no_name = st.one_of(
    st.none(), st.integers(), st.floats(), st.text(max_size=100), st.binary(max_size=3),
    st.lists(st.text(max_size=3), max_size=2),
    st.just({"a": 1}), st.just(pooling.Mean), st.just("x" * 5000),
)  # fmt: skip
no_label = st.one_of(
    st.integers(2), st.integers(max_value=-1), st.floats().filter(lambda x: x not in (0, 1)), st.none(),
    st.sampled_from(["0", "1", "pos", b"1", "", math.nan]),
)  # fmt: skip
CONTAINERS = {
    "list": list, "tuple": tuple, "series": lambda rows: pd.Series(rows, index=range(7, 7 + len(rows)), dtype=object),
    "array": lambda rows: np.array(rows, dtype=object), "iterator": iter,
    "column": lambda rows: datasets.Dataset.from_dict({"text": rows})["text"],
}  # fmt: skip


@pytest.fixture
def model(bert) -> classifiers.Classifier:
    """A classifier whose answers depend on the text."""
    return classifiers.frozen(bert, heads.PooledProbe(pooling.Mean(), probe(bert.dim)), 32)


@pytest.fixture
def no_collecting(monkeypatch) -> None:
    """Statsmodels collects garbage at each correction, which takes most of a second in a large process."""
    monkeypatch.setattr("gc.collect", lambda generation=2: 0)


def probe(dim: int) -> heads.Probe:
    generator = torch.Generator().manual_seed(5)
    made = heads.Probe(torch.randn(6, dim, generator=generator))
    torch.nn.init.normal_(made.linear.weight, generator=generator)
    return made


def tune(bert, **changed):
    how = {"encoder": bert, "pooling": pooling.Mean(), "texts": TEXTS, "labels": LABELS, "train": TRAIN,
           "max_length": 16,
           "validation": CHOOSE, "seed": 0, "epochs": 1, "rate": 1e-3}  # fmt: skip
    return finetuning.fine_tune(**(how | changed)).logits(TEXTS)


def takers(bert, model) -> dict:
    """Every function that takes a list of texts, as texts -> result."""
    return {
        "encode": lambda texts: encoders.encode(bert, texts, 16).values,
        "encode_layers": lambda texts: encoders.encode_layers(bert, texts, 16)[1].values,
        "tokens": lambda texts: bert.tokens(texts, 16),
        "logits": model.logits,
        "probabilities": model.probabilities,
        "mean_vector": partial(explain.mean_vector, model),
        "Eraser": lambda texts: faithfulness.Eraser(model, texts).before,
        "near_duplicates": data.near_duplicates,
        "rouge": lambda texts: yardsticks.rouge("a fine film", texts),
        "fine_tune": lambda texts: tune(bert, texts=texts),
        "fit_tfidf": lambda texts: heads.fit_tfidf(texts, LABELS, TEXTS, LABELS).predict_proba(TEXTS),
        "validation": lambda texts: heads.fit_tfidf(TEXTS, LABELS, texts, LABELS).predict_proba(TEXTS),
        "plant": lambda texts: doses.plant(texts, LABELS, "umbrella", 0.9, 0),
        "audit": lambda texts: audit.audit(recipes_model(bert), [texts], torch.ones(N, bert.dim)).line,
    }


def recipes_model(bert):
    from helpers.recipes import Model

    return Model(bert)


# Texts


@each_size
@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_weird_texts_have_the_states_of_the_model_alone(name, examples, request):
    encoder = request.getfixturevalue(name)

    @often(examples, st.lists(weird, min_size=1, max_size=4), st.sampled_from(list(CONTAINERS)), st.integers(2, 48),
           st.integers(-3, 2))  # fmt: skip
    def holds(texts, container, max_length, layer):
        cache.clear()
        ids = [encoder.tokenizer(text, truncation=True, max_length=max_length)["input_ids"] for text in texts]
        call = partial(encoders.encode, encoder, CONTAINERS[container](texts), max_length, layer)
        if [] in ids:
            return refused(call, f"Row {ids.index([])}", "no token", encoder.name)
        found = call()
        for row, own in enumerate(ids):
            with torch.no_grad():
                alone = encoder.model(input_ids=torch.tensor([own]), output_hidden_states=True).hidden_states[layer][0]
            torch.testing.assert_close(found[row].float(), alone, atol=FLOAT16, rtol=0)


@each_size
def test_the_right_containers_give_what_a_list_gives(bert, model, examples):
    functions = takers(bert, model)
    expected = {name: call(TEXTS) for name, call in functions.items()}

    @often(examples, st.sampled_from(list(functions)), st.sampled_from(list(CONTAINERS)))
    def holds(name, container):
        np.testing.assert_array_equal(functions[name](CONTAINERS[container](TEXTS)), expected[name])


@each_size
def test_a_row_that_is_no_text_is_named_everywhere(bert, model, examples):
    functions = takers(bert, model)

    @often(2 * examples, st.sampled_from(list(functions)), st.one_of(no_text, lone), st.integers(0, N - 1),
           st.booleans())
    def holds(name, bad, row, in_series):
        texts = TEXTS[:row] + [bad] + TEXTS[row + 1 :]
        told = ("half a character",) if isinstance(bad, str) else ("not a text",)
        refused(lambda: functions[name](CONTAINERS["series"](texts) if in_series else texts), f"Row {row} ", *told)


@each_size
def test_what_is_no_list_of_texts_is_refused_everywhere(bert, model, examples):
    functions = takers(bert, model)

    @often(2 * examples, st.sampled_from(list(functions)), no_texts)
    def holds(name, bad):
        refused(lambda: functions[name](bad), "one or more")


@each_size
def test_what_is_no_text_is_refused_where_one_is_taken(bert, examples):
    functions = [partial(words.words_of, bert, max_length=16), fairness.leaning, data.content_id]

    @often(2 * examples, st.sampled_from(functions), st.one_of(no_text, lone))
    def holds(call, bad):
        refused(lambda: call(bad), "text")


@each_size
@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_weird_texts_have_words_ids_and_groups(name, examples, request):
    encoder = request.getfixturevalue(name)

    @often(examples, weird, weird)
    def holds(text, other):
        assert data.content_id(text) == hashlib.sha256(text.encode()).hexdigest()[:16]
        found = words.words_of(encoder, text, 48)
        assert len(found.of_token) == len(encoder.tokenizer(text, truncation=True, max_length=48)["input_ids"])
        assert all(word in text.split() for word in found.words)
        assert set(found.of_token) <= {-1, *range(len(found.words))}
        scores = torch.arange(len(found.of_token)).float()
        kept = [score for score, number in enumerate(found.of_token) if number >= 0]
        assert found.sums(scores).sum() == sum(kept)
        group = data.near_duplicates([text, other, text])
        assert group[0] == group[2] and (group[0] == group[1]) >= (text.lower().split() == other.lower().split())


def test_a_hundred_thousand_words_are_read_to_the_length_and_no_further(bert, model):
    long = "a fine film " * 33_334
    assert torch.equal(encoders.encode(bert, [long], 20).values, encoders.encode(bert, [long[:400]], 20).values)
    assert torch.equal(model.logits([long]), model.logits([long[:400]]))
    assert words.words_of(bert, long, 20).words == words.words_of(bert, long[:400], 20).words
    assert data.near_duplicates([long, "dull", long + "end"]).tolist() == [0, 1, 0]
    assert data.content_id(long) == hashlib.sha256(long.encode()).hexdigest()[:16]


# Lengths, layers, encoders, seeds and names


@each_size
def test_a_length_that_is_none_is_refused_and_numpys_is_taken(bert, model, examples):
    lengths = [
        lambda most: encoders.encode(bert, TEXTS, most).values, lambda most: bert.tokens(TEXTS, most),
        lambda most: encoders.encode_layers(bert, TEXTS, most)[0].values,
        lambda most: words.words_of(bert, TEXTS[0], most).words,
        lambda most: classifiers.frozen(bert, heads.PooledProbe(model.pooling, model.head), most).logits(TEXTS),
        lambda most: tune(bert, max_length=most),
    ]  # fmt: skip

    @often(2 * examples, st.sampled_from(lengths),
           st.one_of(not_whole, st.integers(max_value=1), st.integers(min_value=49)))
    def holds(call, bad):
        refused(lambda: call(bad), "max_length is", "takes 2 to 48")

    for call in lengths:
        np.testing.assert_array_equal(call(np.int64(16)), call(16))


@each_size
def test_a_layer_that_is_none_is_refused(bert, examples):
    @often(examples, st.one_of(not_whole, st.integers(max_value=-4), st.integers(min_value=3)))
    def holds(bad):
        refused(lambda: encoders.encode(bert, TEXTS, 16, bad), "layer is", "has 0 to 2")

    assert torch.equal(encoders.encode(bert, TEXTS, 16, np.int64(1)).values, encoders.encode(bert, TEXTS, 16, 1).values)


def test_a_name_or_a_model_is_no_encoder(bert):
    for bad in (None, "mini-bert", 3, bert.model):
        for call in (lambda bad=bad: encoders.encode(bad, TEXTS), lambda bad=bad: encoders.encode_layers(bad, TEXTS),
                     lambda bad=bad: tune(bad)):  # fmt: skip
            refused(call, "encoder is", "encoders.load")
    refused(lambda: classifiers.frozen(bert, probe(32), 16), "probed is a Probe")


@each_size
def test_a_seed_that_is_none_is_refused(bert, model, examples):
    three, vectors = np.random.default_rng(0).random((3, N)), torch.randn(N, 4)
    eraser, scores = faithfulness.Eraser(model, TEXTS), [np.arange(5.0)] * 10
    given_sets = matching.sets(bert, asked(), 16)
    functions = [
        lambda seed: encoders.untrained(bert, seed), lambda seed: evaluation.accuracy(LABELS, three, seed),
        lambda seed: evaluation.compare(LABELS, three, three[::-1], seed), eraser.chance,
        lambda seed: heads.fit_probe(vectors, LABELS, TRAIN, CHOOSE, seed), lambda seed: tune(bert, seed=seed),
        lambda seed: faithfulness.agreement(scores, scores, seed),
        lambda seed: doses.plant(TEXTS, LABELS, "x", 0.5, seed),
        lambda seed: faithfulness.faithfulness(np.ones(9), np.ones(9), seed),
        lambda seed: matching.fit(matching.Matcher(pooling.Mean(), 32), given_sets, given_sets, seed),
    ]  # fmt: skip

    @often(2 * examples, st.sampled_from(functions), no_seed)
    def holds(call, bad):
        refused(lambda: call(bad), "seed is", "whole number from 0 to")

    for call in functions:
        call(np.int64(3))


@each_size
def test_an_unknown_name_lists_what_there_is(model, examples, monkeypatch):
    monkeypatch.delenv("COURSE_SCALE", raising=False)
    known = {
        "pooling": (lambda name: pooling.make(name, 8), pooling.NAMES),
        "attention": (lambda name: attentions.make(name, 8), (*attentions.NAMES, *pooling.NAMES)),
        "data set": (lambda name: data.load(name, "train"), data.NAMES),
        "split": (lambda name: data.load("imdb", name), data.SPLITS),
        "scale": (lambda name: data.load("imdb", "train", name), course.SCALES),
        "task": (tasks.answer_selection, data.SPLITS),
        "summaries": (lambda name: tasks.summaries("test", name), course.SCALES),
        "words": (evidence.words, data.SPLITS),
        "by": (lambda name: faithfulness.Eraser(model, TEXTS, name), ("deletion", "hiding")),
    }

    @often(2 * examples, st.sampled_from(list(known)), no_name)
    def holds(what, name):
        call, names = known[what]
        assume(not isinstance(name, str) or name not in names)
        refused(lambda: call(name), "choose", *(list(names)[-1:]))

    @often(examples, no_name)
    def scales(name):
        assume(name and (not isinstance(name, str) or name not in course.SCALES))
        refused(lambda: course.start(name), "Unknown scale", "choose one of smoke, laptop, full")


@each_size
def test_what_names_no_encoder_is_refused(examples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    @often(2 * examples, st.one_of(no_name, weird, lone))
    def holds(name):
        refused(lambda: encoders.load(name))

    for bad in (3, b"abc", ["abc"]):
        refused(lambda bad=bad: encoders.load("someone/model", bad), "revision is", "hash of a commit")


def test_a_scale_that_lacks_a_value_is_said_by_python_itself():
    for given_values in ({"smoke": 1}, {"smoke": 1, "laptop": 2, "full": 3, "huge": 4}):
        with pytest.raises(TypeError, match="laptop|huge"):
            course.Session("smoke", 0, "cpu").pick(**given_values)


# Poolings

ALL = (*pooling.NAMES, *attentions.NAMES)


@each_size
def test_nan_in_a_state_shows_and_stays_in_its_text(examples):
    @often(4 * examples, st.sampled_from(ALL), st.integers(0, 2), st.integers(0, 3), st.integers(0, 7),
           st.sampled_from([math.nan, math.inf, -math.inf]))  # fmt: skip
    def holds(name, row, place, dim, value):
        made = attentions.make(name, 8).eval()
        states = torch.randn(3, 4, 8, generator=torch.Generator().manual_seed(1))
        mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1]]).bool()
        hurt = states.clone()
        hurt[row, place, dim] = value
        with torch.no_grad():
            clean, found = made(states, mask), made(hurt, mask)
        others = [one for one in range(3) if one != row]
        torch.testing.assert_close(found[others], clean[others], rtol=0, atol=0)
        real = mask[row].nonzero().flatten().tolist()
        used = {"first": real[:1], "last": real[-1:]}.get(name, real)
        if place not in used:
            torch.testing.assert_close(found[row], clean[row], rtol=0, atol=0)
        elif name == "max" and value == -math.inf:
            torch.testing.assert_close(found[row], hurt[row, real].amax(dim=0), rtol=0, atol=0)
        else:
            assert not math.isfinite(float(found[row, dim])), "a number would hide it"


@each_size
def test_states_and_masks_that_do_not_fit_are_refused(examples):
    states, mask = torch.randn(2, 3, 8), torch.tensor([[1, 1, 0], [1, 1, 1]]).bool()
    bad = {
        "must be bool": [(states, mask.long()), (states, mask.float())],
        "must be [n, T, d] and [n, T]": [(states[0], mask[0]), (states, mask[:, :2]), (states[None], mask),
                                         (states, mask.T)],
        "give two torch tensors": [(None, mask), (states, None), (states.tolist(), mask),
                                   (states.numpy(), mask.numpy()),
                                   ("states", mask), (states, "mask")],
        "must be floating point": [(states.long(), mask), (states > 0, mask)],
        "Row 0 of the mask has no real token": [(states, mask & False), (states[:, :0], mask[:, :0])],
        "Row 1 of the mask has no real token": [(states, mask & torch.tensor([[True], [False]]))],
    }  # fmt: skip
    cases = [(said, *pair) for said, pairs in bad.items() for pair in pairs]

    @often(4 * examples, st.sampled_from(ALL), st.sampled_from(cases), st.booleans())
    def holds(name, case, explained):
        said, states, mask = case
        made = attentions.make(name, 8)
        call = partial(explain.contributions, pooling=made, head=probe(8)) if explained else made
        refused(lambda: call(states, mask), said)

    @often(examples, st.sampled_from(["weighted_sum", "attention", "gated", "latent"]), st.integers(1, 6))
    def dims(name, times):
        assume(times != 2)
        refused(lambda: attentions.make(name, 8)(torch.randn(2, 3, 4 * times), mask), f"have {4 * times} dim",
                "made for 8")


@each_size
def test_a_size_that_is_none_is_refused(examples):
    @often(2 * examples, st.sampled_from(ALL), st.one_of(not_whole, st.integers(max_value=0)))
    def holds(name, bad):
        refused(lambda: attentions.make(name, bad), "dim is")

    @often(examples, st.one_of(not_whole, st.integers(max_value=0)))
    def more(bad):
        refused(lambda: pooling.Attention(8, bad), "heads is")
        refused(lambda: pooling.WeightedSum(8, bad), "positions is")
        refused(lambda: matching.Asked(pooling.Mean(), 8, bad), "heads is")

    for bad in (0, None, "3", math.nan, math.inf, True - 2):
        refused(lambda bad=bad: pooling.GeneralizedMean(bad), "p is", "at least 1")
    for bad in ((), ("mean",), (pooling.Mean,), (pooling.Mean(), None)):
        refused(lambda bad=bad: pooling.Concat(*bad), "one or more poolings")


def test_what_is_no_pooling_or_no_states_is_refused(bert):
    states = encoders.encode(bert, TEXTS, 16)
    for bad in ("mean", pooling.Mean, None, states):
        for call in (pooling.pool_all, lambda bad, own: heads.fit_pooling(bad, own, LABELS, TRAIN, CHOOSE, 0)):
            refused(lambda call=call, bad=bad: call(bad, states), "pooling is", "pooling.Mean()")
        refused(lambda bad=bad: tune(bert, pooling=bad), "pooling is")
    for bad in (torch.randn(N, 8), None, [torch.randn(2, 8)], TEXTS):
        refused(lambda bad=bad: pooling.pool_all(pooling.Mean(), bad), "states is", "encoders.encode")


# Labels, probabilities and parts


def trained(labels) -> torch.Tensor:
    vectors = torch.randn(N, 4, generator=torch.Generator().manual_seed(0))
    return heads.fit_probe(vectors, labels, TRAIN, CHOOSE, 0).linear.weight.detach()


PREDICTED = np.random.default_rng(0).random((3, N))
LABELLED = {
    "correctness": lambda labels: evaluation.correctness(labels, PREDICTED),
    "accuracy": lambda labels: evaluation.accuracy(labels, PREDICTED).value,
    "calibration": lambda labels: evaluation.calibration_error(labels, PREDICTED[0]),
    "compare": lambda labels: evaluation.compare(labels, PREDICTED, PREDICTED[::-1] ** 2).effect.value,
    "compare_all": lambda labels: evaluation.compare_all(labels, {"a": PREDICTED, "b": PREDICTED**2}, "a").accuracy,
    "contrast": lambda labels: contrasts.contrast(labels, [PREDICTED, PREDICTED**2], [1, -1]).effect.value,
    "between": lambda labels: contrasts.between(
        labels, [PREDICTED, PREDICTED**2], [1, -1], (np.arange(N) < 5, np.arange(N) > 6)).effect.value,
    "fit_probe": trained,
    "fit_tfidf": lambda labels: heads.fit_tfidf(TEXTS, labels, TEXTS, labels).predict_proba(TEXTS),
    "plant": lambda labels: doses.plant(TEXTS, labels, "umbrella", 0.9, 0),
}  # fmt: skip


@each_size
def test_a_label_that_is_neither_class_is_refused_and_ways_to_write_one_are_equal(examples, no_collecting, monkeypatch):
    @often(4 * examples, st.sampled_from(list(LABELLED)), no_label, st.integers(0, N - 1), st.booleans())
    def holds(name, bad, row, in_list):
        labels = [*LABELS[:row].tolist(), bad, *LABELS[row + 1 :].tolist()]
        labels = labels if in_list else np.array(labels, dtype=object)
        refused(lambda: LABELLED[name](labels), "abel", "0", "1")

    @often(examples, st.sampled_from(list(LABELLED)), st.sampled_from([
        None, 1, "0101", [], LABELS[:-1], LABELS[None], LABELS * 0.5, LABELS + 1, LABELS.astype(str),
        pd.DataFrame({"a": LABELS}),
    ]))  # fmt: skip
    def whole(name, bad):
        refused(lambda: LABELLED[name](bad), "abel")

    monkeypatch.setattr(evaluation, "RESAMPLES", 99)
    ways = [list, tuple, torch.tensor, lambda x: x.astype(bool), lambda x: x.astype(float),
            lambda x: pd.Series(x, range(5, 17)),
            lambda x: datasets.Dataset.from_dict({"label": x})["label"], lambda x: x.astype(np.uint8)]  # fmt: skip
    for name, call in LABELLED.items():
        for way in ways:
            np.testing.assert_array_equal(call(way(LABELS)), call(LABELS), err_msg=name)


@each_size
def test_predictions_that_are_none_are_refused_and_counted_by_hand_else(examples):
    bad = st.one_of(st.floats().filter(lambda x: not 0 <= x <= 1), st.none(), st.just("a"))

    @often(2 * examples, bad, st.integers(0, 2), st.integers(0, N - 1))
    def holds(value, seed, text):
        found = PREDICTED.astype(object)
        found[seed, text] = value
        for call in (evaluation.accuracy, evaluation.correctness):
            refused(lambda call=call: call(LABELS, found), "robabilities")
        refused(lambda: evaluation.calibration_error(LABELS, found[seed]), "robabilities")

    @often(examples, st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
    def right(rows):
        labels, said = zip(*rows, strict=True)
        hits = sum((p > 0.5) == bool(label) for label, p in rows) / len(rows)
        assert evaluation.accuracy(labels, said).value == pytest.approx(hits)

    for shape in ((3, N - 1), (2, 3, N), (0, N)):
        refused(lambda shape=shape: evaluation.accuracy(LABELS, np.full(shape, 0.5)), f"{N} labels do not fit")
    refused(lambda: evaluation.accuracy([], []), "0 labels do not fit", "one or more")
    refused(lambda: evaluation.calibration_error(LABELS, PREDICTED), "one set of predictions")
    for bins in (0, -1, 1.5, None, "a"):
        refused(lambda bins=bins: evaluation.calibration_error(LABELS, PREDICTED[0], bins), "bins is")
    for predictions in (None, [PREDICTED, PREDICTED]):
        refused(lambda given=predictions: evaluation.compare_all(LABELS, given, "mean"), "predictions is", "dict")


@each_size
def test_parts_are_rows_of_both_classes_without_a_common_one(examples):
    rows = st.lists(st.integers(-3, N + 2), max_size=6)

    @often(10 * examples, rows, rows)
    def holds(train, choose):
        def both(part):
            return all(0 <= row < N for row in part) and {row % 2 for row in part} == {0, 1}

        call = partial(heads.check_parts, N, LABELS, train, choose)
        if both(train) and both(choose) and not set(train) & set(choose):
            assert [part.tolist() for part in call()] == [LABELS.tolist(), train, choose]
        else:
            refused(call, "part")

    for bad in (TRAIN.astype(float), TRAIN[None], None, "train", slice(0, 8), LABELS > 0, 8, [0.5, 1], ["0", "1"]):
        refused(lambda bad=bad: heads.check_parts(N, LABELS, bad, CHOOSE), "training part", "row numbers")
    refused(lambda: heads.check_parts(N, LABELS, [-1, -2], CHOOSE), "rows -2 to -1", "the texts are 0 to 11")
    for one in (0, 1):  # one class only
        refused(lambda one=one: heads.check_parts(N, LABELS * 0 + one, TRAIN, CHOOSE), "both classes", f"has {one}")


def test_vectors_that_are_none_are_refused_and_a_graph_is_left_out():
    vectors = torch.randn(N, 4, generator=torch.Generator().manual_seed(0))
    good = heads.fit_probe(vectors, LABELS, TRAIN, CHOOSE, 0)
    same = heads.fit_probe(vectors.clone().requires_grad_(), LABELS, TRAIN, CHOOSE, 0)
    assert torch.equal(good.linear.weight, same.linear.weight)
    for bad in (vectors.numpy(), vectors.tolist(), None, vectors[:, None], vectors[:, 0], vectors.long(),
                vectors.double()):
        refused(lambda bad=bad: heads.fit_probe(bad, LABELS, TRAIN, CHOOSE, 0), "vectors is", "float32 tensor")
        refused(lambda bad=bad: good.probabilities(bad), "vectors is", "float32 tensor")
    refused(lambda: good.probabilities(vectors[:, :2]), "have 2 dimensions", "trained on 4")
    for value in (math.nan, math.inf):
        for row in (0, 9):  # to learn from, and to choose with
            bad = vectors.clone()
            bad[row, 1] = value
            refused(lambda bad=bad: heads.fit_probe(bad, LABELS, TRAIN, CHOOSE, 0), "infinite or NaN")


def test_texts_that_share_no_word_and_odd_settings_are_refused(bert):
    refused(lambda: heads.fit_tfidf([""] * N, LABELS, TEXTS, LABELS), "No word stands in two")
    for name, values in {"epochs": (0, -1, None, 1.5, "1"), "rate": (-1, None, "a", math.nan, math.inf)}.items():
        for value in values:
            refused(lambda name=name, value=value: tune(bert, **{name: value}), f"{name} is")


# Numbers

ROWS = np.random.default_rng(1).normal(size=(3, 8))
GROUPS = np.arange(8) // 2
NUMBERS = {
    "over": (contrasts.over, ROWS), "over_groups": (lambda x: contrasts.over_groups(x, GROUPS), ROWS),
    "over_crossed": (lambda x: contrasts.over_crossed(x, GROUPS, np.arange(8) % 3), ROWS),
    "holm": (evaluation.holm, np.linspace(0.01, 0.9, 6)), "scores": (lambda x: fairness.scores(x, ROWS), ROWS),
    "ordinary": (lambda x: fairness.scores(ROWS, x), ROWS),
    "gained": (lambda x: faithfulness.faithfulness(x, np.linspace(1, 2, 9)), np.linspace(0, 1, 9)),
    "most": (lambda x: faithfulness.faithfulness(np.ones(9), x), np.linspace(1, 2, 9)),
    "agreement": (lambda x: faithfulness.agreement(list(x), list(x)), np.random.default_rng(2).normal(size=(12, 4))),
    "concentration": (lambda x: faithfulness.concentration(torch.as_tensor(x), torch.ones(3, 8).bool()), ROWS),
    "weights": (lambda x: contrasts.contrast(LABELS, [PREDICTED] * 2, x), np.array([1.0, -1.0])),
    "sums": (lambda x: words.Words(["a"], [0, 0]).sums(torch.as_tensor(x)), np.ones(2)),
    "rank": (lambda x: yardsticks.reciprocal_rank(x, 1), np.arange(4.0)),
    "top_1": (lambda x: yardsticks.top_1(x, 1), np.arange(4.0)),
    "bundle": (lambda x: views.bundle({"a text": (["a", "b"], x)}, "caption"), np.ones(2)),
}  # fmt: skip


@each_size
def test_a_number_that_is_none_is_refused_wherever_it_stands(examples):
    @often(8 * examples, st.sampled_from(list(NUMBERS)), st.sampled_from([math.nan, math.inf, -math.inf]), st.data())
    def holds(name, bad, data):
        call, values = NUMBERS[name]
        place = data.draw(st.tuples(*(st.integers(0, size - 1) for size in values.shape)))
        hurt = values.copy()
        hurt[place] = bad
        refused(lambda: call(hurt))

    for name, (call, values) in NUMBERS.items():
        call(values)
        for bad in (None, "a", values[None]):
            if name not in ("concentration", "sums", "agreement"):  # which have types of their own, below
                refused(lambda call=call, bad=bad: call(bad))


@each_size
def test_corrected_p_values_are_holms_by_hand(examples, no_collecting):
    @often(examples, st.lists(st.floats(0, 1), min_size=1, max_size=8))
    def holds(p):
        order, largest, expected = np.argsort(p, kind="stable"), 0.0, np.zeros(len(p))
        for rank, place in enumerate(order):
            largest = max(largest, min(1.0, (len(p) - rank) * p[place]))
            expected[place] = largest
        np.testing.assert_allclose(evaluation.holm(p), expected)

    for bad in ([0.1, 1.5], [-0.1]):
        refused(lambda bad=bad: evaluation.holm(bad), "from 0 to 1")


@each_size
def test_groups_are_of_truths_about_each_text(examples):
    def between(groups):
        return contrasts.between(LABELS, [PREDICTED, PREDICTED**2], [1, -1], groups)

    @often(2 * examples, st.lists(st.booleans(), min_size=N, max_size=N),
           st.lists(st.booleans(), min_size=N, max_size=N))
    def holds(one, other):
        one, other = np.array(one), np.array(other)
        if min(one.sum(), other.sum()) < 2 or (one & other).any():
            return refused(lambda: between((one, other)), "groups")
        gap = [(evaluation.correctness(LABELS, PREDICTED) - evaluation.correctness(LABELS, PREDICTED**2))[:,
                                                                                                          part].mean()
               for part in (one, other)]  # fmt: skip
        assert between((one, other)).effect.value == pytest.approx(gap[0] - gap[1])

    truths = LABELS > 0
    for bad in (None, (truths,), (truths, ~truths, truths), (LABELS, 1 - LABELS), (np.arange(3), np.arange(3, 6)),
                (truths[:5], ~truths[:5]), (truths, None)):  # fmt: skip
        refused(lambda bad=bad: between(bad), "groups")
    for bad in (GROUPS[:4], None, GROUPS[None], 3):
        for call in (lambda g: contrasts.over_groups(ROWS, g), lambda g: contrasts.over_crossed(ROWS, GROUPS, g)):
            refused(lambda call=call, bad=bad: call(bad), "groups of shape", "do not fit")
    named = contrasts.over_groups(ROWS, list("aabbccdd"))
    assert named == contrasts.over_groups(ROWS, GROUPS), "names are as good as numbers"
    for bad in ([1], [], [1, 2, 3]):
        refused(lambda bad=bad: contrasts.contrast(LABELS, [PREDICTED, PREDICTED], bad), "do not fit 2 methods")
        refused(lambda bad=bad: contrasts.combined([contrasts.over(ROWS)] * 2, bad), "do not fit 2 contrasts")
    for bad in (ROWS[:1], ROWS[:, :1], ROWS[:, :0]):
        refused(lambda bad=bad: contrasts.over(bad), "two seeds and two texts")
    for bad in (0, 1, 2, -1, None, "a", math.nan):
        refused(lambda bad=bad: contrasts.over(ROWS).detectable(bad), "level is")
    for bad in (-1, None, "a", math.nan):
        refused(lambda bad=bad: contrasts.over(ROWS).p_within(bad), "margin is")


def test_a_detectable_difference_of_nothing_is_refused():
    for disagree, n in ((2, 10), (-0.1, 10), (math.nan, 10), (None, 10), ("a", 10), (0.1, 0), (0.1, -5), (0.1, 1.5),
                        (0.1, None)):
        refused(lambda pair=(disagree, n): evaluation.smallest_detectable_difference(*pair), " is ", "give a")
    for bad in ((0.5, 0), (0.5, 1.5), (-1, 8), (2, 8), (None, 8), (0.5, None)):
        refused(lambda bad=bad: data.near_duplicates(TEXTS, *bad), " is ", "give a")
    for bad in (-0.1, 2, None, "a", math.nan):
        refused(lambda bad=bad: doses.plant(TEXTS, LABELS, "umbrella", bad, 0), "strength is")


def test_seeds_and_sentences_that_do_not_fit_are_refused():
    rng = np.random.default_rng(0)
    for one, other in ((ROWS, ROWS[:1]), (ROWS[0], ROWS[0]), (None, ROWS), ("a", ROWS)):
        refused(lambda pair=(one, other): fairness.scores(*pair), "log_odds and ordinary are", "same s seeds")
    assert fairness.scores(ROWS.tolist(), ROWS.tolist()).tolist() == fairness.scores(ROWS, ROWS).tolist()
    from helpers.templates import people

    sentences = people()
    for bad in (rng.normal(size=(2, len(sentences) + 1)), rng.normal(size=(2, 3))):
        refused(lambda bad=bad: fairness.score_gaps(sentences, bad), "one score a sentence")
    refused(lambda: fairness.score_gaps(sentences, np.full((2, len(sentences)), math.nan)), "found holds nan")


# Explanations


def test_scores_of_other_texts_or_without_order_are_refused(bert, model):
    eraser = faithfulness.Eraser(model, TEXTS)
    scores = [torch.arange(len(part)).float() for part in eraser.tokens]
    padded = [torch.cat([one, torch.zeros(3)]) for one in scores]
    np.testing.assert_array_equal(eraser.erase(padded).sufficiency, eraser.erase(scores).sufficiency)
    for bad in (scores[:3], None, [one[:2] for one in scores], [one[None] for one in scores], [0.1] * N, 3,
                [one * math.nan for one in scores], scores[:-1] + [None], ["a"] * N):  # fmt: skip
        for call in (eraser.erase, eraser.toward):
            refused(lambda call=call, bad=bad: call(bad), "score")
    rows = [np.arange(4.0)] * 12
    for one, other in ((rows, rows[:-1]), (rows, [part[:3] for part in rows]), (rows, rows * 2), (rows[:3], rows[:3]),
                       (None, rows), ("a", rows), (["a"] * 12, rows)):  # fmt: skip
        refused(lambda pair=(one, other): faithfulness.agreement(*pair))
    refused(lambda: faithfulness.faithfulness(np.ones(9), np.ones(8)), "gained has 9 texts and most has 8")
    for scores, mask in ((None, torch.ones(2, 3)), ([[1.0]], torch.ones(1, 1)), (torch.ones(2, 3), torch.ones(2, 2)),
                         (torch.ones(2, 3), None)):  # fmt: skip
        refused(lambda pair=(scores, mask): faithfulness.concentration(*pair))


def test_token_numbers_of_another_encoder_are_refused(bert, model):
    ids, mask = bert.pad(bert.tokens(TEXTS, 16))
    for bad in ((None, mask), (ids, None), (ids.float(), mask), (ids, mask[:, :2]), (ids, mask.long()), (TEXTS, mask),
                (ids[0], mask[0]),
                (ids + 1000, mask), (ids - 500, mask), (ids[:0], mask[:0])):  # fmt: skip
        refused(lambda bad=bad: explain.integrated_gradients(model, *bad), "ids")
    own = words.words_of(bert, "a fine film", 16)
    for bad in (None, [1.0] * 5, np.ones(5), torch.ones(1, 5), torch.tensor(1.0)):
        refused(lambda bad=bad: own.sums(bad), "scores is", "one score a token")


# Matching


def asked(**changed) -> datasets.Dataset:
    rows = {"question": ["a film", "b film"], "candidates": [["a", "b c"], ["c", "d"]], "answer": [0, 1],
            "group": ["g", "h"]}
    return datasets.Dataset.from_dict(rows | changed)


@each_size
def test_an_answer_is_one_of_its_candidates(bert, examples):
    @often(2 * examples, st.lists(st.one_of(st.integers(-3, 4)), min_size=2, max_size=2))
    def holds(answers):
        wrong = [row for row, answer in enumerate(answers) if not 0 <= answer < 2]
        if wrong:
            refused(lambda: matching.sets(bert, asked(answer=answers), 16), f"Row {wrong[0]}: answer is", "0 to 1")
        else:
            assert matching.sets(bert, asked(answer=answers), 16).answers.tolist() == answers

    refused(lambda: matching.sets(bert, asked(answer=["0", "1"]), 16), "Row 0: answer is")
    refused(lambda: matching.sets(bert, asked(candidates=[["a", "b"], []]), 16), "Row 1 has no candidate")
    refused(lambda: matching.sets(bert, asked(group=["g", "g"]), 16), "Row 1 has other candidates")
    refused(lambda: matching.sets(bert, asked(question=["a", None]), 16), "Row 1 is None")
    found = matching.sets(bert, asked(), 16)
    refused(lambda: matching.scores(matching.Matcher(pooling.Mean(), 8), found), "have 32 dim", "made for 8")
    refused(lambda: matching.reciprocal_ranks([torch.ones(1, 2)], found), "1 sets of scores", "2 sets")
    refused(lambda: matching.reciprocal_ranks([torch.ones(1, 1)] * 2, found), "answer is 1")
    for bad in (-1, 9, 1.0, None, "a"):
        refused(lambda bad=bad: yardsticks.reciprocal_rank(np.arange(4.0), bad), "answer is", "0 to 3")


# What is shown


@each_size
def test_any_word_is_shown_so_that_a_page_can_hold_it(examples):
    @often(4 * examples, st.lists(st.one_of(weird, lone), max_size=5), st.data())
    def holds(shown, data):
        scores = data.draw(st.lists(st.floats(-9, 9), min_size=len(shown), max_size=len(shown)))
        found = views.bundle({"a text": (shown, np.array(scores))}, "a caption")
        assert found["text/html"].count("<ruby") == len(shown) and "<b>" not in found["text/html"]
        for page in found.values():
            page.encode()
            assert not {"\0", "\x1b", "\u202e", "\u200f"} & set(page)

    for bad in ("ab", [None, "b"], [1, 2], [b"a", b"b"]):
        refused(lambda bad=bad: views.bundle({"line": (bad, np.ones(2))}, "caption"), "line: ", "one string a word")
    for bad in (None, 1.0, [[1.0, 2.0]], ["x", "y"], torch.ones(2, requires_grad=True), [1.0]):
        refused(lambda bad=bad: views.bundle({"line": (["a", "b"], bad)}, "caption"), "line: ",
                "one finite score a word")


def test_figures_and_tables_that_are_none_are_refused():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    for bad in (None, axes, (figure, "text"), "figure"):
        refused(lambda bad=bad: figures.show(bad, "an alt text of some words"), "figure is", "Figure")
    for bad in (None, 3, "", "too short", ["a"]):
        refused(lambda bad=bad: figures.show(figure, bad), "alt text")
    for bad in ((None, "c"), ([1], "c"), (pd.Series([1]), "c"), (pd.DataFrame(), None), (pd.DataFrame(), 3)):
        refused(lambda bad=bad: figures.table(*bad), "frame is", "caption")
    for bad in (None, {}, [Interval(1, 0, 2)], {"a": 1.0}, {"a": None}, {"a": Interval(1, 0, 2), "b": (1, 0, 2)}):
        for call in (figures.intervals, figures.gaps):
            refused(lambda call=call, bad=bad: call(bad, "x"), "effects", "Interval")
    plt.close("all")


# Exercises


class Odd:
    """An answer whose own methods fail, or whose name is endless."""

    def __init__(self, how: str):
        self.how = how

    def __repr__(self) -> str:
        return 1 / 0 if self.how == "repr" else "a\n" * 100_000

    def __eq__(self, other: object) -> bool:
        return 1 / 0 if self.how == "eq" else NotImplemented

    __hash__ = None


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), weird, lone, st.binary(max_size=4),
    st.sampled_from([
        Odd("repr"), Odd("eq"), Odd("long"), torch.full((2,), math.nan), torch.ones(3), torch.ones(0),
        torch.ones(2, 1), torch.nn.ReLU,
        torch.ones(2, dtype=torch.complex64) * (1 + 1j), torch.ones(2).to_sparse(), torch.ones(2, device="meta"),
        np.array(["a"]),
        np.array([1 + 2j, 1]), pd.Series([1.0, 2]), pd.DataFrame({"a": [1.0]}), [[1], [1, 2]], {"a": 1}, {1}, 10**400,
        len, "a" * 10**6,
        [["a"] * 10**5], (1, 2, 3), datasets.Dataset.from_dict({"a": [1]}),
    ]),
)  # fmt: skip
raised = st.sampled_from([
    Silent(), ValueError("a" * 10**5), RuntimeError("a\nb\n\nc"), SystemExit(3), RecursionError(), StopIteration(),
    KeyError(None),
    UnicodeError("\ud800"), AssertionError(), MemoryError(), ExceptionGroup("many", [ValueError("one")]), Warning("x"),
])  # fmt: skip


def shown(verdict: checks.Verdict) -> None:
    """A verdict is a failure, told in one short line that every page can hold."""
    assert verdict.status == "failed" and len(verdict.lines) == 1, verdict
    assert len(repr(verdict)) < 900 and len(repr(verdict).splitlines()) == 2
    (repr(verdict) + verdict._repr_html_()).encode()


@pytest.mark.filterwarnings("ignore")
@each_size
def test_an_odd_answer_gets_a_verdict_of_one_line(examples, monkeypatch):
    expected = torch.tensor([0.123, 0.456])

    @often(6 * examples, odd)
    def holds(answer):
        shown(checks.exercise("1.1", lambda: answer, lambda f: {"the value": (f(), expected)}))
        verdict = checks.exercise("1.1", answer, lambda f: {"the value": (f(torch.ones(2)), expected)})
        assert verdict.status == "failed", "what cannot be called"

    @often(2 * examples, raised)
    def fails(error):
        def answer():
            raise error

        shown(checks.exercise("1.1", answer, lambda f: {"the value": (f(), expected)}))

    for wrong in (torch.tensor(1 + 2j), np.array(1 + 2j), 1 + 2j):
        shown(checks.exercise("1.1", wrong, lambda answer: {"the value": (answer, 1.0)}))


# The audit and the command line


def test_a_server_that_answers_nonsense_is_told_so(bert):
    good = np.ones((N, bert.dim))
    answers = [lambda x: None, lambda x: np.full((len(x), 4), np.nan), lambda x: np.zeros(4), lambda x: ["a"] * len(x),
               lambda x: np.zeros((1, 4)), lambda x: np.zeros((len(x), 0)), lambda x: {"vectors": good}]  # fmt: skip
    for bad in answers:
        refused(lambda bad=bad: served.ask(bad), "The server")
    model = recipes_model(bert)
    for bad in (None, good[:-1], good[0], good * math.nan, "abc", good[:0]):
        refused(lambda bad=bad: audit.audit(model, [TEXTS], bad), "vectors")
    for bad in ([], ["abc"], [[None]], [[]]):
        refused(lambda bad=bad: audit.audit(model, bad, good))


@each_size
def test_the_audit_gives_a_verdict_of_its_own_on_any_name(examples, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    @often(examples, st.one_of(weird, lone).filter(lambda name: not name.startswith("-") and "\0" not in name))
    def holds(name):
        assert audit.main([name]) == 2
        said = capsys.readouterr().out
        assert said.startswith("CANNOT TELL: this could not be tested") and "Traceback" not in said


@each_size
def test_the_grids_command_refuses_what_it_cannot_run(examples, capsys, tmp_path):
    (tmp_path / "file").write_text("a file")

    def said(*arguments: str) -> str:
        with pytest.raises(SystemExit) as stopped:
            experiments.main(["--scale", "smoke", "--dry-run", "--out", str(tmp_path / "grid"), *arguments])
        assert stopped.value.code == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    word = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)

    @often(examples, word.filter(lambda text: not text.startswith("-")))
    def only(condition):
        assert "--only takes key=value" in said("--only", condition) or "grid has no" in said("--only", condition)

    @often(examples, st.one_of(st.integers(max_value=0).map(str), st.sampled_from(["x", "1.5", "", "None"])))
    def processes(number):
        assert "--processes" in said(f"--processes={number}")

    @often(examples, word.filter(lambda text: text not in experiments.grid.SCALES))
    def scale(name):
        assert "--scale" in said(f"--scale={name}")

    assert "cannot be a folder" in said("--out", str(tmp_path / "file"))
