"""The rules of chapter 6: made-up answers of known truth get the right verdict, and none without an effect."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from helpers import claims, classifier_studies, grid, records, studies, study_rules
from helpers.contrasts import Contrast
from helpers.evaluation import Interval
from helpers.records import NotRun

pytestmark = pytest.mark.slow

SETTINGS = grid.SCALES["smoke"]
UNIT = 2.0  # spread of the made-up classifiers' answers to ordinary texts
MADE = {"seconds": 1.0, "commit": "made up", "date": "today", "hardware": "none", "precision": "float32"}


def tables(folder, faithful=0.0, gap=0.0, slope=0.0, models=SETTINGS.pair, runs=lambda run: True, noise=0.3, seed=0):
    """Answers of fine-tuned classifiers: under max the parts are less faithful, gaps and slopes larger, by so much."""
    rng, texts = np.random.default_rng(seed), 40
    given = classifier_studies.dosed(study_rules._runs("doses", SETTINGS, "mini-bert", "mean")[0], SETTINGS)
    own_text, own_word = rng.normal(0, 0.1, texts), rng.normal(0, noise, 30)
    words = list(dict.fromkeys(one.word for one in given))
    kept = {name: studies.table(name, "smoke", folder) for name in ("explained", "gaps", "doses")}
    ordinary = records.Table("smoke", folder)
    for name, table in kept.items():
        for run in studies.STUDIES[name].runs(SETTINGS):
            if run.mode != "fine-tuned" or run.pooling not in ("mean", "max") or not runs(run):
                continue
            effect = (run.pooling == "max") * (run.model in models)
            row = asdict(run) | MADE | {"configuration": "made up"}
            if name == "explained":
                gains = 0.2 + own_text + rng.normal(0, 0.1, (2, 3, 2, texts))
                gains[0, 0] -= effect * faithful  # the other ways and methods say nothing of the claim
                parts = {"scores": np.zeros((3, 9)), "gains": gains, "most": np.repeat([[0.4], [0.9]], texts, axis=1)}
            elif name == "gaps":
                said = classifier_studies.sentences()
                side = np.array([one.group == "female" for one in said])
                kin = np.array([one.template + 20 * one.wording + 100 * one.filler for one in said])
                sign = np.where(kin % 2, 1, -1)  # in both directions, so that only the size is larger
                parts = {"answers": sign * side * (1 + effect * gap) + rng.normal(0, noise / 3, len(side))}
            else:
                strength = np.array([one.strength for one in given])
                own = own_word[[words.index(one.word) % 30 for one in given]]
                moved = (0.3 + effect * slope) * strength + own + rng.normal(0, noise, len(given))
                parts = {"answers": np.stack([moved, np.zeros(len(given))])}
            if name != "explained":
                parts["answers"] = UNIT * parts["answers"]
            table.put(row, {what: part.astype(np.float32) for what, part in parts.items()})
            if ordinary.configuration(*asdict(run).values()) is None:
                found = rng.normal(0, 1, 500)
                found = (UNIT * (found - found.mean()) / found.std()).astype(np.float16)
                labels = np.arange(500) % 2
                ordinary.add(row | records.measures(labels, found), found, labels)
    return folder


def test_what_is_planted_is_found_in_its_units(tmp_path):
    tables(tmp_path, faithful=0.08, gap=0.5, slope=0.3)
    found = study_rules.explained("smoke", tmp_path)
    assert found.verdict == "supported"
    assert [one.value for one in found.evidence.effect] == pytest.approx([0.2, 0.2], abs=0.07), "0.08 of 0.4"
    assert found.evidence.n.tolist() == [40, 40], "texts"
    found = study_rules.reactions("smoke", tmp_path)
    assert found.verdict == "supported"
    assert [one.value for one in found.evidence.effect] == pytest.approx([0.5, 0.3], abs=0.06)
    kin = {one.template for one in classifier_studies.sentences() if one.slot == "kin"}
    (first, *_) = study_rules._runs("doses", SETTINGS, "mini-bert", "mean")
    words = {one.word for one in classifier_studies.dosed(first, SETTINGS)}
    assert found.evidence.n.tolist() == [len(kin), len(words)], "templates, and words"


def test_the_opposite_refutes(tmp_path):
    tables(tmp_path, faithful=-0.08, gap=-0.5, slope=-0.25)
    assert study_rules.explained("smoke", tmp_path).verdict == "refuted: the parts under max are the more faithful"
    assert study_rules.reactions("smoke", tmp_path).verdict == "refuted: max reacts less"


def test_one_of_two_is_a_dependence(tmp_path):
    tables(tmp_path, faithful=0.1, gap=0.5, models=SETTINGS.pair[:1])
    found = study_rules.explained("smoke", tmp_path)
    assert found.verdict.startswith("depends: shown only mean − max, mini-bert +0.2")
    assert study_rules.reactions("smoke", tmp_path).verdict.startswith("depends: shown only max − mean, size of a gap")


def test_without_an_effect_nothing_is_claimed(tmp_path):
    """8 made-up worlds x 2 rules, each at 2.5%: none is expected, and three or more happen in 1 of 150."""
    wrong = 0
    for seed in range(8):
        folder = tables(tmp_path / str(seed), seed=seed) if (tmp_path / str(seed)).mkdir() is None else None
        for rule in (study_rules.explained, study_rules.reactions):
            wrong += rule("smoke", folder).verdict != "no detectable difference"
    assert wrong < 3


def test_what_is_not_complete_decides_nothing(tmp_path):
    with pytest.raises(NotRun):
        study_rules.explained("smoke", tmp_path)
    tables(tmp_path, runs=lambda run: run.seed != 2)
    for rule in (study_rules.explained, study_rules.reactions):
        with pytest.raises(NotRun, match="are missing"):
            rule("smoke", tmp_path)
    assert set(claims.ledger("smoke", tmp_path).verdict) == {claims.NOT_RUN}


def test_the_ledger_holds_the_verdicts_with_their_provenance(tmp_path):
    found = claims.ledger("smoke", tables(tmp_path, faithful=0.1))
    assert found.verdict.C4 == "supported" and found.verdict.C5 == "no detectable difference"
    assert found.unit.C4 == "part" and found.provenance.C4 == "made up; today; none; float32"
    assert found.verdict.C1a == claims.NOT_RUN and pd.isna(found.effect.C6)


def test_what_was_not_made_alike_decides_nothing(tmp_path):
    tables(tmp_path)
    for name, rule in (("explained", study_rules.explained), ("gaps", study_rules.reactions)):
        path = tmp_path / f"{name}_smoke.csv"
        frame = pd.read_csv(path)
        frame.assign(precision=["bfloat16" if seed else "float32" for seed in frame.seed]).to_csv(path, index=False)
        with pytest.raises(ValueError, match=f"{name}: the runs of .* were computed in bfloat16 and float32"):
            rule("smoke", tmp_path)
        frame.to_csv(path, index=False)
    ordinary = pd.read_csv(tmp_path / "grid_smoke.csv")
    ordinary[ordinary.seed == 0].to_csv(tmp_path / "grid_smoke.csv", index=False)
    with pytest.raises(NotRun, match="grid: some runs of mini-bert with max"):
        study_rules.reactions("smoke", tmp_path)


def test_two_effects_in_opposite_directions_are_both_told(tmp_path):
    tables(tmp_path, gap=0.5, slope=-0.25)
    verdict = study_rules.reactions("smoke", tmp_path).verdict
    assert verdict.startswith("depends: shown only max − mean, size of a gap +0.")
    assert "; shown against the claim max − mean, slope over the rating -0." in verdict


def test_p_values_are_corrected_for_both_tests_and_both_rules():
    """By hand: Holm makes 0.02 and 0.03 to 0.04 each, and two rules make it 0.08."""
    found = {name: Contrast(Interval(0.5, 0.1, 0.9), p, 0.2, 30.0) for name, p in (("one", 0.02), ("two", 0.03))}
    verdict = study_rules.all_point(found, [12, 30], "against", "spread", rules=2)
    assert verdict.evidence.p.tolist() == pytest.approx([0.08, 0.08]) and verdict.verdict == "no detectable difference"
    assert verdict.evidence.detectable[0] == pytest.approx(found["one"].detectable(0.05 / 2 / 2))
