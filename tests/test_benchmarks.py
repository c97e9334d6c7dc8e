"""The benchmarks count what they say, and the kept table says of each goal what its number says."""

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, BertModel

from benchmarks import encoding, measure, scale
from helpers import cache
from tools import measured
from tools.project import ROOT

MEGABYTE = 2**20
ROWS = measured.rows()


def test_the_operations_of_an_encoder_are_those_that_pytorch_counts():
    config = BertConfig(vocab_size=50, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96,
                        attn_implementation="eager")  # fmt: skip
    model = BertModel(config, add_pooling_layer=False).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(input_ids=torch.ones(2, 11, dtype=torch.long))
    assert encoding.flop(model, [11, 11]) == counter.get_total_flops() > 0


def test_the_peak_of_memory_is_that_of_one_moment():
    states = torch.zeros(MEGABYTE // 4)  # a megabyte, there before
    assert measure.peak_bytes(lambda: (states + 1).sum()) == pytest.approx(MEGABYTE, abs=4096)
    assert measure.peak_bytes(lambda: [(states + 1).sum() for _ in range(3)]) == pytest.approx(MEGABYTE, abs=4096)
    assert measure.peak_bytes(lambda: [states + 1 for _ in range(3)]) == pytest.approx(3 * MEGABYTE, abs=4096)


def test_calls_that_are_compared_take_turns():
    calls = []
    times = measure.side_by_side({name: lambda name=name: calls.append(name) for name in "ab"}, 3)
    assert calls == list("ababab") and times.keys() == {"a", "b"}


def test_a_row_of_the_same_name_is_replaced_and_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(measured, "RESULTS", tmp_path / "results.json")
    for value in (1.0, 2.0):
        measure.keep([measure.result("speed", ">= 1", value, "x", True)])
        measure.keep([measure.result("other", "-", 12345.678, "s", None)])
    assert [(row["name"], row["measured"]) for row in measured.rows()] == [("speed", 2.0), ("other", 12350.0)]


def test_an_empty_cache_is_left_as_it_was_found(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("COURSE_SHARED_CACHE", str(tmp_path))
    with measure.empty_cache() as folder:
        assert cache.places("states") == [Path(folder) / "states"], "nothing shared is read"
    assert cache.places("states") == [tmp_path / "own" / "states", tmp_path / "states"] and not Path(folder).exists()


def test_what_is_timed_is_finding_texts(monkeypatch, own_cache):
    assert scale.opens(3000) > 0
    monkeypatch.setattr(cache.Shelf, "find", lambda shelf, wanted=None: {})
    with pytest.raises(RuntimeError, match="does not find"):
        scale.opens(3000)


def test_a_larger_size_holds_the_smaller_one():
    assert scale.reviews(200) == scale.reviews(500)[:200] and len(set(scale.reviews(500))) == 500


@pytest.mark.parametrize("goal, value, holds", [
    (">= 1", 1, True), (">= 1", 0.99994, False), (">= 1", 0.99996, True), ("< 0.2", 0.2, False), ("<= 0", 0, True),
    ("> 0.999", 0.9995, True), ("-", 7, None), (">= 1.6", None, None),
])  # fmt: skip
def test_a_goal_is_judged_by_the_number_that_is_shown(goal, value, holds):
    row = measure.result("what", goal, value, "x")
    assert row["holds"] is holds and row["hardware"] and {"Python", "torch"} <= row["versions"].keys()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_the_kept_table_judges_as_the_benchmark_does(row):
    again = measure.result(*(row[key] for key in ("name", "goal", "measured", "unit", "note")))
    assert again.keys() | {"part"} == row.keys() and again["holds"] == row["holds"]
    assert row["measured"] is not None or row["note"], "why it was not measured"


def test_the_table_has_a_row_for_every_part():
    assert len({row["name"] for row in ROWS}) == len(ROWS)
    assert {row["part"] for row in ROWS} == measured.TITLES.keys()


def test_what_falls_short_stands_first_on_the_page(monkeypatch):
    page = measured.page()
    for row in ROWS:
        assert f"| {row['name']} |" in page
    short = [row["name"] for row in ROWS if row["holds"] is False]
    first = page.split("## Encoding")[0]
    assert [name for name in (row["name"] for row in ROWS) if f"| {name} |" in first] == short
    assert f"{len(short)} are not met" in first


def test_the_plan_follows_the_measured_slopes():
    found, plan = {row["name"]: row["measured"] for row in ROWS}, measured.plan()
    for model in ("mini-bert", "minilm"):
        disk, hours = (found[f"{measured.PLAN}{model}, {what}"] for what in ("disk", "time"))
        assert f"| `{model}` | {disk:,.0f} GB | {hours:,.1f} | {0.1 * hours:,.2f} US dollars |" in plan


def test_the_readme_says_what_was_measured():
    found = {row["name"]: row["measured"] for row in ROWS}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for said in (
        f"{found['the environment, with what the tests need']:.1f} GB for the environment",
        f"{found['cache after all chapters']:.1f} GB for the cache",
        f"{found['memory of a kernel, at most']:.1f} GB at most",
        f"{found['all chapters, cold cache']:.0f} to run all chapters with an empty cache",
        f"{found['all chapters, warm cache']:.0f} with a full one",
        f"`make test` | {found['make test']:.0f} minutes",
    ):
        assert said in readme
