"""The grid: the plan holds what it should, a run measures what it says, and nothing damaged is believed."""

import types
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit
from sklearn.metrics import f1_score, log_loss

from helpers import data, evaluation, grid, records
from helpers.grid import Run
from helpers.records import KEY, Table

COLUMNS = [*KEY, "accuracy", "f1", "loss", "calibration_error", "seconds", "peak_memory_mb", "commit", "versions",
           "hardware", "configuration", "date", "precision"]  # fmt: skip


# The plan


def test_no_run_asks_for_more_texts_than_there_are():
    for settings in (grid.SCALES["smoke"], grid.SCALES["laptop"]):
        for dataset, sizes in settings.labels.items():
            assert max(sizes) <= len(grid.texts_of(dataset, "train", settings))
    # The published sets: 25,000 reviews less a tenth for validation, and 8,530 sentences less near duplicates.
    full = grid.SCALES["full"].labels
    assert max(full["imdb"]) <= 22_000 and max(full["rotten_tomatoes"]) <= 8400


@pytest.mark.parametrize("scale", grid.SCALES)
def test_every_run_stands_in_the_plan_once(scale):
    settings = grid.SCALES[scale]
    runs = grid.plan(settings)
    assert len(set(runs)) == len(runs) == len({run.name for run in runs})
    assert {run.seed for run in runs} == set(range(settings.seeds)) and settings.seeds % 2 == 1
    table = pd.DataFrame([vars(run) for run in runs])
    per_cell = table.groupby(KEY[:-1]).size()
    assert (per_cell == settings.seeds).all()
    pairs = {(model, pool, dataset) for model in settings.rates for pool in settings.poolings
             for dataset in settings.labels}  # fmt: skip
    for mode in ("frozen", "fine-tuned"):
        part = table[table["mode"] == mode]
        assert pairs <= set(part[["model", "pooling", "dataset"]].itertuples(index=False, name=None))


def test_the_laptop_grid_is_the_one_that_was_asked_for():
    settings = grid.SCALES["laptop"]
    assert set(settings.rates) == {"mini-bert", "mini-gpt2", "minilm"} and set(settings.lengths) == set(data.NAMES)
    assert set(settings.poolings) >= {"first", "last", "mean", "max", "weighted_mean", "weighted_sum", "attention"}
    models = {(run.model, run.mode) for run in grid.plan(settings)}
    assert {("majority", "baseline"), ("tfidf", "baseline"), ("mini-bert-random", "frozen")} <= models
    assert {("mini-bert-random", "fine-tuned"), ("mini-gpt2-random", "fine-tuned")} <= models


def test_the_optional_decoder_is_probed_on_the_laptops_texts():
    settings, laptop = grid.SCALES["smollm2"], grid.SCALES["laptop"]
    runs = grid.plan(settings)
    assert {run.model for run in runs if run.mode == "frozen"} == {"smollm2"}
    assert {run.mode for run in runs} == {"frozen", "baseline"} and {run.labels for run in runs} == {1000}
    assert (settings.scale, settings.lengths, settings.test) == ("laptop", laptop.lengths, laptop.test)


def test_no_test_review_that_had_a_part_in_the_pairs_recipe_is_in_the_grid():
    seen = set(data.load("imdb", "test")["text"][:1000])
    tests = grid.texts_of("imdb", "test", grid.SCALES["laptop"])["text"]
    assert len(tests) == 2000 and not seen & set(tests)
    assert len(grid.texts_of("rotten_tomatoes", "test", grid.SCALES["laptop"])) > 1600


def test_a_seed_draws_its_own_texts_and_fewer_labels_are_part_of_more():
    runs = [Run("m", "mean", "frozen", "imdb", labels, seed) for seed in (0, 1) for labels in (10, 30)]
    few, many, other_few, other_many = (set(grid.draw(run, 100).tolist()) for run in runs)
    assert len(few) == 10 and len(many) == 30 and few < many and other_few < other_many
    assert many != other_many and max(many) < 100
    with pytest.raises(ValueError, match="asks for 30 labelled texts: imdb has 29"):
        grid.draw(runs[1], 29)


# One run


@pytest.fixture
def tiny(tiny_bert, own_cache, in_float32) -> grid.Settings:
    """Real reviews of the smallest scale, and a tiny random model."""
    return grid.Settings(
        "smoke", {str(tiny_bert): 1e-3}, (str(tiny_bert),), {"imdb": 32, "rotten_tomatoes": 16},
        labels={"imdb": (16, 32), "rotten_tomatoes": (16, 32)}, validation=16, test=24, seeds=3,
        poolings=("mean", "weighted_sum"),
    )  # fmt: skip


@pytest.mark.parametrize("mode, pool", [("frozen", "mean"), ("frozen", "weighted_sum"), ("fine-tuned", "mean")])
def test_a_run_gives_its_row_and_its_predictions(tiny, mode, pool):
    (model,) = tiny.rates
    run = Run(model, pool, mode, "imdb", 32, 1)
    row, found, answers = grid.execute(run, tiny)
    assert list(row) == COLUMNS and [row[key] for key in KEY] == [model, pool, mode, "imdb", 32, 1]
    assert found.shape == (24,) and found.dtype == np.float16 and np.ptp(found) > 0
    labels = np.array(data.load("imdb", "test", "smoke")["label"][-24:])
    assert np.array_equal(answers, labels)
    # The oracle is scikit-learn, on what is kept.
    kept = expit(found.astype(float))
    assert row["accuracy"] == pytest.approx(((kept > 0.5) == labels).mean(), abs=1e-6)
    assert row["loss"] == pytest.approx(log_loss(labels, kept), abs=1e-6)
    assert row["f1"] == pytest.approx(f1_score(labels, kept > 0.5), abs=1e-6)
    assert row["seconds"] > 0 and 50 < row["peak_memory_mb"] < 20_000
    assert "torch" in row["versions"] and "cores" in row["hardware"] and len(row["configuration"]) == 12
    again = grid.execute(run, tiny)
    assert np.array_equal(found, again[1]) and row["configuration"] == again[0]["configuration"]
    assert row["precision"] == grid.precision(run)


def test_a_row_says_what_it_was_computed_in(tiny, monkeypatch):
    (model,) = tiny.rates
    frozen = Run(model, "mean", "frozen", "imdb", 32, 0)
    assert grid.execute(Run("majority", "none", "baseline", "imdb", 32, 0), tiny)[0]["precision"] == "float64"
    assert grid.execute(frozen, tiny)[0]["precision"] == "float32"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert grid.execute(frozen, tiny)[0]["precision"] == "bfloat16"


def test_a_probe_of_the_grid_is_the_one_that_the_chapters_fit(tiny):
    """The oracle is the same, put together by hand."""
    from helpers import encoders, heads, pooling

    (model,) = tiny.rates
    run = Run(model, "mean", "frozen", "rotten_tomatoes", 16, 2)
    train, validation, test = (data.load("rotten_tomatoes", split, "smoke") for split in data.SPLITS)
    own = np.random.default_rng(2).permutation(64)[:16]
    texts = [train["text"][int(row)] for row in own] + validation["text"][-16:]
    labels = np.array([train["label"][int(row)] for row in own] + validation["label"][-16:])
    encoder = encoders.load(model)
    vectors, others = (
        pooling.pool_all(pooling.Mean(), encoders.encode(encoder, part, 16)) for part in (texts, test["text"][-24:])
    )
    expected = heads.fit_probe(vectors, labels, np.arange(16), np.arange(16, 32), 2).probabilities(others)
    assert expit(grid.execute(run, tiny)[1].astype(float)) == pytest.approx(expected, abs=2e-3)  # half precision


def test_the_baselines_know_what_they_should(tiny):
    labels = np.array(data.load("imdb", "train", "smoke")["label"][:])
    run = Run("majority", "none", "baseline", "imdb", 32, 0)
    share = labels[grid.draw(run, 64)].mean()
    assert expit(grid.execute(run, tiny)[1].astype(float)) == pytest.approx(share, abs=1e-3)
    whole, cut = (grid.execute(replace(run, model=name), tiny)[1] for name in ("tfidf", "tfidf-cut"))
    assert np.ptp(whole) > 0 and not np.array_equal(whole, cut), "32 tokens are less than a review"
    sentences = replace(run, dataset="rotten_tomatoes")
    long = replace(tiny, lengths={"rotten_tomatoes": 256})
    found = [grid.execute(replace(sentences, model=name), long)[1] for name in ("tfidf", "tfidf-cut")]
    assert np.array_equal(*found), "256 tokens hold every sentence"


def test_a_run_leaves_the_number_of_threads_as_it_was(tiny, monkeypatch):
    threads = []
    monkeypatch.setattr(grid, "_probabilities", lambda *_: threads.append(torch.get_num_threads()) or np.full(24, 0.5))
    torch.set_num_threads(2)
    try:
        grid.execute(Run("majority", "none", "baseline", "imdb", 32, 0), tiny)
        assert threads == [1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_a_commit_says_whether_the_code_was_changed_since(monkeypatch):
    def fake(code: int):
        def run(command, **_):
            return types.SimpleNamespace(stdout="abc1234\n", returncode=code if "diff" in command else 0)

        return run

    for code, said in ((0, "abc1234"), (1, "abc1234+changes")):
        monkeypatch.setattr(records.subprocess, "run", fake(code))
        assert records._commit.__wrapped__() == said
    monkeypatch.setattr(records.subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError))
    assert records._commit.__wrapped__() == "none"


def test_random_weights_are_the_same_architecture_with_others(tiny):
    (model,) = tiny.rates
    trained, control = grid.encoder_of(model), grid.encoder_of(f"{model}-random")
    assert control.fingerprint != trained.fingerprint and control.name.endswith("-random")
    pairs = [*zip(trained.model.parameters(), control.model.parameters(), strict=True)]
    assert all(a.shape == b.shape for a, b in pairs) and not all(bool((a == b).all()) for a, b in pairs)
    assert not control.model.training and not any(weight.requires_grad for weight in control.model.parameters())


def test_a_configuration_changes_with_what_the_numbers_follow_from_and_with_nothing_else(tiny, monkeypatch):
    (model,) = tiny.rates
    frozen, tuned = (Run(model, "mean", mode, "imdb", 32, 0) for mode in ("frozen", "fine-tuned"))
    own = [grid.configuration(run, tiny) for run in (frozen, tuned)]
    assert own[0] != own[1]
    for change in ({"lengths": {"imdb": 31}}, {"test": 23}, {"validation": 15}, {"scale": "laptop"}):  # other texts
        assert grid.configuration(frozen, replace(tiny, **change)) != own[0]
    for change in ({"epochs": 1}, {"rates": {model: 1e-4}}):
        assert grid.configuration(frozen, replace(tiny, **change)) == own[0]
        assert grid.configuration(tuned, replace(tiny, **change)) != own[1]
    for change in ({"labels": {"imdb": (8,)}}, {"poolings": ("max",)}, {"seeds": 5}):  # more runs: the old ones hold
        assert grid.configuration(tuned, replace(tiny, **change)) == own[1]
    assert grid.configuration(replace(frozen, model=f"{model}-random"), tiny) != own[0], "other weights"
    with monkeypatch.context() as patch:
        patch.setattr(grid.finetuning, "CLIP", 2.0)
        assert grid.configuration(frozen, tiny) == own[0] and grid.configuration(tuned, tiny) != own[1]
    with monkeypatch.context() as patch:
        patch.setattr(grid.heads, "PATIENCE", 4)
        assert grid.configuration(frozen, tiny) != own[0] and grid.configuration(tuned, tiny) == own[1]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert grid.precision(frozen) == "float32"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert [grid.configuration(run, tiny) for run in (frozen, tuned)] == own, "a row counts on every machine"
    assert grid.precision(frozen) == "bfloat16" and grid.precision(replace(frozen, mode="baseline")) == "float64"


def test_the_peak_of_memory_is_seen(monkeypatch):
    with records.Peak() as before:
        pass
    with monkeypatch.context() as patch:
        patch.setattr(records.Peak, "_watch", lambda self: None)  # over before the thread has had its turn
        with records.Peak() as at_the_end:
            block = np.ones(25_000_000)  # 200 MB, written to
    assert at_the_end.mb > before.mb + 150 and block[0] == 1
    del block
    with records.Peak() as on_the_way:
        block = np.ones(25_000_000)
        for _ in range(500):  # until the thread had its turn: on a busy machine that may take a while
            if on_the_way.mb > before.mb + 150:
                break
            on_the_way._done.wait(0.02)
        del block
    assert on_the_way.mb > before.mb + 150


# Measures


def test_calibration_error_by_hand():
    probabilities = np.array([0.05, 0.05, 0.62, 0.68, 0.95, 1.0])
    labels = np.array([0, 1, 1, 0, 1, 1])
    # Bins: 0.05, 0.05 against 1/2; 0.62, 0.68 against 1/2; 0.95 and 1.0 against 1.
    expected = (2 * 0.45 + 2 * 0.15 + 2 * 0.025) / 6
    assert evaluation.calibration_error(labels, probabilities) == pytest.approx(expected)
    assert evaluation.calibration_error(np.array([0, 1]), np.array([0.0, 1.0])) == 0
    with pytest.raises(ValueError, match="Probabilities must lie"):
        evaluation.calibration_error(labels, probabilities + 1)


def test_log_odds_keep_a_probability_to_a_thousandth_and_never_give_infinity():
    probabilities = np.array([0.0, 1e-4, 0.3, 0.5, 0.9, 1.0])
    kept = records.log_odds(probabilities)
    assert kept.dtype == np.float16 and np.isfinite(kept).all()
    assert expit(kept.astype(float)) == pytest.approx(probabilities, abs=1e-3)


# The table


LABELS = np.array([0, 1, 1, 0])


def made_up(seed: int, configuration: str = "abc", seconds: float = 5) -> tuple[dict, np.ndarray, np.ndarray]:
    row = dict(zip(KEY, ["mini-bert", "mean", "frozen", "imdb", 100, seed], strict=True))
    measured = {"accuracy": 0.5, "seconds": seconds, "configuration": configuration}
    return row | measured, np.full(4, seed, np.float16), LABELS


@pytest.fixture
def folder(tmp_path):
    table = Table("laptop", tmp_path)
    for seed in (2, 0, 1):
        table.add(*made_up(seed))
    return tmp_path


def test_rows_are_kept_in_one_order_whatever_came_first(folder):
    table = Table("laptop", folder)
    assert table.rows.seed.tolist() == [0, 1, 2]
    cell = {"model": "mini-bert", "mode": "frozen"}
    assert table.probabilities(**cell) == pytest.approx(np.tile(expit([[0], [1], [2]]), 4), abs=1e-3)
    assert table.configuration("mini-bert", "mean", "frozen", "imdb", 100, 1) == "abc"
    assert table.configuration("mini-bert", "mean", "frozen", "imdb", 300, 1) is None


def test_a_new_run_takes_the_place_of_the_old_one(folder):
    table = Table("laptop", folder)
    row, _, labels = made_up(1, "new", 7)
    table.add(row, np.full(4, 9, np.float16), labels)
    again = Table("laptop", folder)
    assert len(again.rows) == 3 and again.select(seed=1).seconds.item() == 7
    assert again.probabilities(seed=1)[0, 0] == pytest.approx(expit(9), abs=1e-3)
    table.add(*made_up(2))
    kept = records.load_file(folder / "grid_laptop.safetensors")
    assert len(kept) == 3 + 1, "the old predictions are gone, and labels are kept once"


def test_a_kill_between_the_two_files_leaves_the_old_table(folder, monkeypatch):
    table = Table("laptop", folder)
    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_csv", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        for result in (made_up(1, "new", 7), made_up(3)):
            with pytest.raises(KeyboardInterrupt):
                table.add(*result)
    again = Table("laptop", folder)
    assert again.rows.seed.tolist() == [0, 1, 2] and again.select(seed=1).seconds.item() == 5
    assert sorted(path.name for path in folder.iterdir()) == ["grid_laptop.csv", "grid_laptop.safetensors"]
    again.add(made_up(3)[0], np.full(4, 7, np.float16), LABELS)  # the same run gives other digits on another machine
    assert Table("laptop", folder).probabilities(seed=3) == pytest.approx(expit(7), abs=1e-3)


def test_files_that_do_not_belong_together_are_refused(folder):
    side = folder / "grid_laptop.safetensors"
    whole = side.read_bytes()
    # Cut off; other predictions, or other labels, at the end or in the middle; not there.
    swapped = whole.replace(LABELS.astype(np.uint8).tobytes(), b"\x01\x01\x01\x00")
    assert swapped != whole
    for damaged in (whole[:-3], whole[:-2] + b"\x01\x02", swapped, None):
        side.write_bytes(damaged) if damaged else side.unlink()
        with pytest.raises(ValueError, match="fetch both files of grid_laptop again"):
            Table("laptop", folder)


@pytest.mark.parametrize("change, told", [
    (lambda rows: rows.assign(accuracy=[0.5, 0.9, 0.5]), "imdb/100/1 the accuracy 0.9, its predictions have 0.5"),
    (lambda rows: rows.assign(accuracy=[0.5, 0.5, np.nan]), "imdb/100/2 the accuracy nan"),
    (lambda rows: rows.drop(columns="checksum"), "has no column checksum"),
    (lambda rows: rows.drop(columns=["seed", "configuration"]), "has no column seed, configuration"),
    (lambda rows: rows.iloc[[0, 1, 1, 2]], "holds mini-bert/mean/frozen/imdb/100/1 twice"),
    (lambda rows: pd.DataFrame(), "is no table"),
])  # fmt: skip
def test_a_table_that_contradicts_itself_is_refused(change, told, folder):
    path = folder / "grid_laptop.csv"
    change(pd.read_csv(path)).to_csv(path, index=False)
    with pytest.raises(ValueError, match=told):
        Table("laptop", folder)


def test_a_file_that_is_no_text_is_refused(folder):
    (folder / "grid_laptop.csv").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(ValueError, match="grid_laptop.csv is no table: fetch it again"):
        Table("laptop", folder)


def test_the_labels_lie_beside_the_predictions(folder):
    table = Table("laptop", folder)
    assert table.labels(dataset="imdb").tolist() == LABELS.tolist()
    table.add(made_up(1)[0] | {"dataset": "rotten_tomatoes"}, np.ones(2, np.float16), np.array([1, 0]))
    again = Table("laptop", folder)
    assert again.labels(dataset="rotten_tomatoes").tolist() == [1, 0]
    assert again.labels(dataset="imdb").tolist() == LABELS.tolist()
    again.add(*made_up(2)[:2], 1 - LABELS)
    with pytest.raises(ValueError, match="rows about other test texts in {'dataset': 'imdb'}: run the grid to its end"):
        again.labels(dataset="imdb")


def test_what_was_not_run_is_not_shown(folder):
    table = Table("laptop", folder)
    with pytest.raises(ValueError, match="it was not run at this scale"):
        table.select(pooling="max")
    other = made_up(0)[0] | {"pooling": "max"}
    table.add(other, np.zeros(4, np.float16), LABELS)
    with pytest.raises(ValueError, match="more than one cell: say also model, pooling, mode, labels"):
        table.probabilities(dataset="imdb")
    found = table.predictions(["mean", "max"], model="mini-bert", mode="frozen", dataset="imdb", labels=100)
    assert list(found) == ["mean", "max"] and found["mean"].shape == (3, 4) and found["max"].shape == (1, 4)
    assert len(Table("full", folder).rows) == 0
