"""The rules of chapter 9: made-up results of known truth get the right verdict, and none without an effect."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from helpers import claims, contrasts, evidence_studies, future_rules, grid, records, studies
from helpers.records import NotRun

pytestmark = pytest.mark.slow

SETTINGS = grid.SCALES["laptop"]
MADE = {"seconds": 1.0, "commit": "made up", "date": "today", "hardware": "none", "precision": "float32"}
WORDS, TEXTS = 24, 240
POOLINGS = ("mean", "max", "attention")


def evidence(folder, losses, seed=0, keep=lambda run: True):
    """Accuracy begins at 0.9 and falls by so much with each doubling, the hard words lower for all."""
    rng, words = np.random.default_rng(seed), np.arange(TEXTS) % WORDS
    table, hard = studies.table("evidence", "laptop", folder), rng.normal(0, 0.05, WORDS)[words]
    for run in filter(keep, studies.STUDIES["evidence"].runs(SETTINGS)):
        if run.pooling in POOLINGS:
            chance = 0.9 + hard - losses.get(run.pooling, 0.05) * np.log2(run.tokens / 32)
            table.put(asdict(run) | MADE | {"configuration": "made up"}, {
                "right": rng.random(TEXTS) < chance, "places": np.zeros(TEXTS), "words": words})  # fmt: skip
    return folder


@pytest.fixture(autouse=True)
def three_seeds(monkeypatch):
    """Fewer rows to write."""
    monkeypatch.setattr(evidence_studies, "LENGTHS", (32, 64, 256))
    settings = grid.replace(SETTINGS, seeds=3, poolings=POOLINGS)
    monkeypatch.setitem(grid.SCALES, "laptop", settings)
    monkeypatch.setattr("tests.test_future_rules.SETTINGS", settings)


def test_a_flatter_slope_is_found_in_points_by_doubling(tmp_path):
    found = future_rules.longer("laptop", evidence(tmp_path, {"mean": 0.13, "max": 0.11, "attention": 0.02}))
    assert found.verdict == "supported" and found.evidence.n.tolist() == [WORDS] * 2
    assert [one.value for one in found.evidence.effect] == pytest.approx([0.11, 0.09], abs=0.025)


def test_the_opposite_refutes_and_one_of_two_is_a_dependence(tmp_path):
    for name, losses, verdict in (
        ("a", {"mean": 0.02, "max": 0.02, "attention": 0.12}, "refuted: attention loses more"),
        ("b", {"mean": 0.13, "max": 0.02, "attention": 0.02}, "depends: shown only attention − mean, slope"),
    ):
        (tmp_path / name).mkdir()
        assert future_rules.longer("laptop", evidence(tmp_path / name, losses)).verdict.startswith(verdict)


def test_a_level_is_no_slope(tmp_path):
    """Attention far above at every length loses no less."""
    table = studies.table("evidence", "laptop", evidence(tmp_path, {}))
    for row in table.rows[table.rows.pooling == "attention"].to_dict("records"):
        parts = {what: table.array(row, what) for what in ("right", "places", "words")}
        table.put(row, parts | {"right": np.minimum(1, parts["right"] + 0.1 * (parts["right"] == 0))})
    assert future_rules.longer("laptop", tmp_path).verdict == "no detectable difference"


def test_texts_with_one_word_share_its_fate(tmp_path):
    """Copies of each text under its word bring nothing new."""
    found = []
    for times in (1, 10):
        (tmp_path / str(times)).mkdir()
        table, rng = studies.table("evidence", "laptop", tmp_path / str(times)), np.random.default_rng(0)
        for run in studies.STUDIES["evidence"].runs(SETTINGS):
            right = (rng.random(WORDS) < 0.7).repeat(times)
            table.put(asdict(run) | MADE | {"configuration": "made up"}, {
                "right": right, "places": np.zeros(len(right)), "words": np.arange(WORDS).repeat(times)})  # fmt: skip
        found.append(future_rules.longer("laptop", tmp_path / str(times)).evidence)
    assert [str(one) for one in found[0].effect] == [str(one) for one in found[1].effect]
    assert found[0].p.tolist() == pytest.approx(found[1].p.tolist())


def test_what_is_at_chance_already_cannot_lose_and_does_not_refute(tmp_path):
    """Mean and max guess at every length; attention falls from above, and ends above."""
    table, rng = studies.table("evidence", "laptop", tmp_path), np.random.default_rng(0)
    words = np.arange(TEXTS) % WORDS
    for run in studies.STUDIES["evidence"].runs(SETTINGS):
        chance = 0.95 - 0.06 * np.log2(run.tokens / 32) if run.pooling == "attention" else 0.52
        table.put(asdict(run) | MADE | {"configuration": "made up"}, {
            "right": rng.random(TEXTS) < chance, "places": np.zeros(TEXTS), "words": words})  # fmt: skip
    assert future_rules.longer("laptop", tmp_path).verdict.startswith("depends: attention falls faster, but from above")


def test_the_slope_is_that_of_a_least_squares_line(tmp_path):
    evidence(tmp_path, {"mean": 0.1})
    table = studies.table("evidence", "laptop", tmp_path)
    right = [future_rules.right(table, SETTINGS, "mean", tokens).mean() for tokens in evidence_studies.LENGTHS]
    expected = np.polyfit(np.log2(evidence_studies.LENGTHS), right, 1)[0]
    assert future_rules.slope(table, SETTINGS, "mean").mean() == pytest.approx(expected)


def sizes(folder, spreads, seed=0, noise=0.002, models=None):
    """Fine-tuned runs whose three poolings differ by so much (standard deviation) on each model."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(1000) % 2).astype(np.uint8)
    for scale, names in (("laptop", SETTINGS.pair), ("sizes", grid.SCALES["sizes"].rates)):
        table = records.Table(scale, folder)
        for model in names:
            if models and model not in models:
                continue
            for step, pool in enumerate(("mean", "max", "weighted_sum")):
                for number in range(5):
                    accuracy = 0.7 + (step - 1) * spreads[model] + rng.normal(0, noise)
                    wrong = rng.permutation(1000) < round(1000 * (1 - accuracy))
                    found = np.where(wrong, 1 - 2.0 * labels, 2.0 * labels - 1).astype(np.float16)
                    run = grid.Run(model, pool, "fine-tuned", "rotten_tomatoes", 1000, number)
                    row = asdict(run) | MADE | {"configuration": "made up"} | records.measures(labels, found)
                    table.add(row, found, labels)
    return folder


def spread_by_size(step):
    """The smallest models have the spread 0.01, each size more by so much."""
    order = {"2x64": 0, "2x128": 1}
    names = [*SETTINGS.pair, *grid.SCALES["sizes"].rates]
    return {name: 0.01 + step * order.get(name.rsplit("-", 1)[-1], 2) for name in names}


@pytest.fixture
def five_seeds(monkeypatch):
    monkeypatch.setitem(grid.SCALES, "laptop", grid.replace(grid.SCALES["laptop"], seeds=5))
    counts = {"2x64": 0.6e6, "2x128": 1.5e6}

    class Model:
        def __init__(self, name):
            self.model = self
            self.num_parameters = lambda: counts.get(name.rsplit("-", 1)[-1], 5.3e6)

    monkeypatch.setattr(grid, "encoder_of", Model)


def test_a_spread_that_grows_with_the_model_is_found(tmp_path, five_seeds):
    found = future_rules.larger("laptop", sizes(tmp_path, spread_by_size(0.02)))
    assert found.verdict == "supported" and found.evidence.n.tolist() == [6] and "6 models" in found.evidence.test[0]
    table = future_rules.spreads(tmp_path)
    assert table.spread.to_dict() == pytest.approx(spread_by_size(0.02), abs=0.003)
    # By hand: the slope of a line through three sizes, both families alike.
    by_hand = np.polyfit(np.log2([0.6e6, 1.5e6, 5.3e6]), [0.01, 0.03, 0.05], 1)[0]
    assert found.evidence.effect[0].value == pytest.approx(by_hand, abs=0.002)


def test_without_growth_nothing_is_claimed_and_shrinking_refutes(tmp_path, five_seeds):
    for name, step, verdict in (("a", 0.0, "no detectable difference"), ("b", -0.0045, "refuted: it shrinks")):
        (tmp_path / name).mkdir()
        found = future_rules.larger("laptop", sizes(tmp_path / name, spread_by_size(step), noise=0.0004))
        assert found.verdict == verdict


def test_what_luck_adds_is_taken_off(tmp_path, five_seeds):
    """Equal poolings, and noisier small models: their raw spreads are larger, and that is no effect of size."""
    found = future_rules.spreads(sizes(tmp_path, dict.fromkeys(spread_by_size(0), 0.01)))
    noisy = found.assign(spread=[(0.0001 + one) ** 0.5 for one in (0, 0, 4e-4, 4e-4, 1e-4, 1e-4)],
                         seeds=[one**0.5 for one in (0, 0, 4e-4, 4e-4, 1e-4, 1e-4)])  # fmt: skip
    assert future_rules.over_sizes(noisy).effect.value == pytest.approx(0, abs=1e-9)


def test_runs_that_were_not_made_alike_are_no_size(tmp_path, five_seeds):
    sizes(tmp_path, spread_by_size(0.0))
    path = tmp_path / "grid_sizes.csv"
    for column, value in (("configuration", "older"), ("precision", "bfloat16")):
        frame = pd.read_csv(path)
        frame.loc[(frame.model == "mini-bert-2x64") & (frame.pooling == "max"), column] = value
        frame.to_csv(path, index=False)
        assert "mini-bert-2x64" not in future_rules.spreads(tmp_path).index
        frame.assign(configuration="made up", precision="float32").to_csv(path, index=False)
    assert "mini-bert-2x64" in future_rules.spreads(tmp_path).index


def test_six_models_leave_three_degrees_of_freedom(tmp_path, five_seeds):
    found = future_rules.spreads(sizes(tmp_path, spread_by_size(0.02)))
    slope = future_rules.over_sizes(found)
    assert slope.freedom == 3 and isinstance(slope, contrasts.Contrast)


def test_what_is_not_complete_decides_nothing(tmp_path, five_seeds):
    for rule in (future_rules.longer, future_rules.larger):
        with pytest.raises(NotRun):
            rule("laptop", tmp_path)
    with pytest.raises(NotRun, match="one size"):
        future_rules.larger("full", tmp_path)
    sizes(tmp_path, spread_by_size(0.0), models=[*SETTINGS.pair, "mini-bert-2x64"])
    with pytest.raises(NotRun, match="some runs of mini-gpt2-2x64, mini-bert-2x128, mini-gpt2-2x128 are missing"):
        future_rules.larger("laptop", tmp_path)
    assert list(future_rules.spreads(tmp_path).index) == [*SETTINGS.pair, "mini-bert-2x64"], "those that are complete"
    assert (claims.ledger("laptop", tmp_path).verdict[["C8", "C10"]] == claims.NOT_RUN).all()
