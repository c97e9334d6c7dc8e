"""The ablation of the BERT's recipe: trials that differ in one thing, compared at the same places."""

import pytest
import torch

from tools import ablate_mini_bert, corpus, mini_models
from tools.ablate_mini_bert import TRIALS, common_loss, uniform_start
from tools.mini_models import choose_masks, new_model
from tools.pretrain_mini_pair import RECIPES

pytestmark = pytest.mark.usefixtures("in_float32")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for key, value in (("LAYERS", 2), ("DIM", 32), ("HEADS", 2)):
        monkeypatch.setattr(mini_models, key, value)


def test_each_trial_differs_from_the_usual_one_in_one_thing_at_most():
    usual = ("near", 0.5, RECIPES["mini-bert"].mask_share)
    assert usual in TRIALS and len(set(TRIALS)) == len(TRIALS) == len({trial.folder for trial in TRIALS})
    assert all(sum(a != b for a, b in zip(trial, usual, strict=True)) <= 1 for trial in TRIALS)


def test_the_uniform_start_differs_in_positions_queries_and_keys_and_makes_attention_uniform():
    near, uniform = new_model("mini-bert"), uniform_start("mini-bert")
    changed = {name for name, weight in near.named_parameters() if not torch.equal(weight, uniform.get_parameter(name))}
    assert changed and all("position_embeddings" in name or ".query.weight" in name or ".key.weight" in name
                           for name in changed)  # fmt: skip
    ids = torch.randint(4, corpus.VOCABULARY, (4, 60), generator=torch.Generator().manual_seed(0))
    widest = []
    for model in (near, uniform):
        model.eval().set_attn_implementation("eager")
        with torch.no_grad():
            weights = torch.stack(model.bert(ids, output_attentions=True).attentions)  # [L, n, h, T, T]
        widest.append(weights.max().item() * 60)
    assert widest[1] < 1.2 < 2 < widest[0], "times an equal share"


def test_all_trials_are_compared_at_the_same_places():
    model = new_model("mini-bert").eval()
    blocks = torch.randint(4, corpus.VOCABULARY, (40, 20), generator=torch.Generator().manual_seed(1))
    chosen = choose_masks(blocks, ablate_mini_bert.COMMON_SHARE, torch.Generator().manual_seed(0))
    expected = model(blocks.masked_fill(chosen, corpus.MASK), labels=blocks.masked_fill(~chosen, -100)).loss.item()
    assert common_loss(model, blocks) == pytest.approx(expected, abs=1e-5)
    assert 0.1 < chosen.float().mean() < 0.2
