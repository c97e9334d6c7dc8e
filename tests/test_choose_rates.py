"""Choosing the rates: every candidate is tried once, under its own name, and nothing stale is believed."""

import pandas as pd
import pytest

from helpers import grid
from tests.inline import Inline
from tools import choose_rates

TABLE = choose_rates.TABLE  # the committed one


@pytest.fixture
def tried(tmp_path, monkeypatch) -> list[tuple]:
    """What is tried, with losses that have their lowest at 1e-4 for both poolings together."""
    seen = []

    def loss(model, pool, rate):
        seen.append((model, pool, rate))
        return {("mean", 1e-4): 0.50, ("mean", 3e-4): 0.49, ("max", 1e-4): 0.52, ("max", 3e-4): 0.60}[pool, rate]

    monkeypatch.setattr(choose_rates, "TABLE", tmp_path / "rates.csv")
    monkeypatch.setattr(choose_rates, "RATES", {"minilm": (1e-4, 3e-4)})
    monkeypatch.setattr(choose_rates, "ProcessPoolExecutor", Inline)
    monkeypatch.setattr(choose_rates, "lowest_loss", loss)
    monkeypatch.setattr("sys.argv", ["choose_rates"])
    return seen


def test_each_candidate_is_tried_once_and_the_lowest_mean_loss_wins(tried, capsys):
    for _ in range(2):
        choose_rates.main()
    assert len(tried) == len(set(tried)) == 4
    table = pd.read_csv(choose_rates.TABLE).set_index(["pooling", "rate"]).validation_loss
    assert table.to_dict() == {("mean", 1e-4): 0.5, ("max", 1e-4): 0.52, ("mean", 3e-4): 0.49, ("max", 3e-4): 0.6}
    assert capsys.readouterr().out.splitlines()[-1] == "minilm: 0.0001"


def test_another_protocol_is_tried_again(tried, monkeypatch):
    choose_rates.main()
    monkeypatch.setattr(grid.finetuning, "CLIP", 2.0)
    choose_rates.main()
    assert len(tried) == 8 and len(pd.read_csv(choose_rates.TABLE)) == 4


def test_the_grids_rates_are_those_that_won():
    losses = pd.read_csv(TABLE).groupby(["model", "rate"]).validation_loss.mean()
    assert dict(iter(losses.groupby("model").idxmin())) == choose_rates.SETTINGS.rates | grid.SCALES["sizes"].rates
    tried = {model: tuple(part.index.get_level_values("rate")) for model, part in losses.groupby("model")}
    assert tried == choose_rates.RATES, "the table has every candidate"
    for row in pd.read_csv(TABLE).itertuples():
        assert row.configuration == choose_rates.configuration(row.model, row.pooling, row.rate), "of today's protocol"


def test_the_draw_is_none_of_the_grids():
    assert choose_rates.SEED not in range(choose_rates.SETTINGS.seeds)
