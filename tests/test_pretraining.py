"""The mini pair's pretraining: the same batches for both, the right losses, and a run that can be killed."""

import math
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer, BertLMHeadModel

from tests.conftest import TRAINING_TEXTS
from tools import corpus, mini_models, ngram, pretrain_mini_pair
from tools.corpus import CLS, MASK, PAD, SEP, Batches, blocks
from tools.mini_models import causal_loss, choose_masks, masked_loss, new_model
from tools.pretrain_mini_pair import Plan, Recipe, Run, export

pytestmark = pytest.mark.slow

#: float32 sums in another order, over losses of about 9.
FLOAT32 = 1e-4
BATCH = 256


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Models of 2 layers x 32 and short blocks; everything else as in the real run."""
    monkeypatch.setattr(mini_models, "LAYERS", 2)
    monkeypatch.setattr(mini_models, "DIM", 32)
    monkeypatch.setattr(mini_models, "HEADS", 2)
    monkeypatch.setattr(pretrain_mini_pair, "SHORT", 16)
    monkeypatch.setattr(pretrain_mini_pair, "LONG", 32)
    monkeypatch.setattr(pretrain_mini_pair, "WARMUP_TOKENS", 2 * BATCH)
    monkeypatch.setattr(pretrain_mini_pair, "SAVE_STEPS", 5)


@pytest.fixture(scope="module")
def line() -> torch.Tensor:
    return torch.randint(4, 200, (3000,), generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def heldout() -> torch.Tensor:
    """Other tokens than those of the training line: a loss on the wrong one is another number."""
    return torch.randint(300, 500, (480,), generator=torch.Generator().manual_seed(4))


# How they start


def test_attention_starts_near_in_both_and_with_the_same_numbers():
    bert, gpt2 = (new_model(name) for name in mini_models.NAMES)
    places = bert.bert.embeddings.position_embeddings.weight
    assert torch.equal(places, gpt2.transformer.wpe.weight)
    words = bert.bert.embeddings.word_embeddings.weight
    assert places.pow(2).mean().sqrt().item() == pytest.approx(0.06, abs=1e-4) and words.std() < 0.03
    for layer, block in zip(bert.bert.encoder.layer, gpt2.transformer.h, strict=True):
        query, key, value = block.attn.c_attn.weight.T.split(32)
        attention = layer.attention.self
        for own, other in ((query, attention.query), (key, attention.key)):
            assert torch.equal(own, other.weight)
        assert torch.equal(query, key) and not torch.equal(key, value)
    # The size that matters: 4 layers of 256, as shipped.
    ids = random_ids(4, 64)
    model = wide_enough("mini-bert")
    with torch.no_grad():
        first = model.bert(ids, output_attentions=True).attentions[0].mean(dim=(0, 1))  # [T, T]
    near, far = first.diagonal(1).mean(), first.diagonal(32).mean()
    assert near > 2 * far, "uniform attention has the same everywhere"


def wide_enough(name: str) -> nn.Module:
    with pytest.MonkeyPatch.context() as patch:
        for key, value in (("LAYERS", 4), ("DIM", 256), ("HEADS", 4)):
            patch.setattr(mini_models, key, value)
        model = new_model(name)
    model.set_attn_implementation("eager")  # the only one that gives the weights
    return model.eval()


@pytest.mark.parametrize("name, family, shape", [
    ("mini-bert-2x64", "mini-bert", (2, 64, 1)), ("mini-gpt2-2x64", "mini-gpt2", (2, 64, 1)),
    ("mini-bert-2x128", "mini-bert", (2, 128, 2)), ("mini-gpt2-2x128", "mini-gpt2", (2, 128, 2)),
])  # fmt: skip
def test_a_smaller_size_differs_in_size_alone(name, family, shape):
    small, own = new_model(name).config, new_model(family).config
    assert (small.num_hidden_layers, small.hidden_size, small.num_attention_heads) == shape and name in mini_models.ALL
    sizes = {"hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"}
    one, other = small.to_dict(), own.to_dict()
    assert {key for key in one if one[key] != other[key]} <= sizes | {"n_embd", "n_layer", "n_head"}
    assert mini_models.family(name) == family and mini_models.shape(family) == (2, 32, 2), "the tests' own size"
    with pytest.raises(KeyError):
        new_model(f"{family}-9x9")



def test_sinusoids_by_hand():
    found = mini_models.sinusoids(3, 4)
    expected = [[math.sin(place * rate) for rate in (1, 0.01)] + [math.cos(place * rate) for rate in (1, 0.01)]
                for place in range(3)]  # fmt: skip
    torch.testing.assert_close(found, torch.tensor(expected))


# Batches


def test_blocks_by_hand():
    assert blocks(torch.tensor([10, 11, 12, 13, 14, 15, 16]), 4).tolist() == [[CLS, 10, 11, 12], [CLS, 13, 14, 15]]


@given(st.integers(20, 300), st.integers(3, 20), st.integers(1, 4), st.integers(0, 5))
def test_a_pass_shows_each_token_at_most_once_and_the_next_pass_another_order(tokens, length, rows, seed):
    line = torch.arange(10, 10 + tokens)  # every token another number
    batches = Batches(line, rows * length, seed)
    a_pass = tokens // (length - 1) // rows
    if a_pass == 0:
        return
    first = torch.stack([batches.get(number, length) for number in range(a_pass)])
    assert (first[..., 0] == CLS).all() and first.shape == (a_pass, rows, length)
    inside = first[..., 1:].flatten().tolist()
    assert len(set(inside)) == len(inside) and set(inside) <= set(line.tolist())
    assert len(inside) > tokens - rows * (length - 1), "less than a batch is left out"
    if a_pass * rows > 3:
        second = torch.stack([batches.get(a_pass + number, length) for number in range(a_pass)])
        assert not torch.equal(first, second)


def test_both_models_see_the_same_batches_whenever_they_ask(line):
    bert, gpt2 = Batches(line, 64, seed=0), Batches(line, 64, seed=0)
    forward = [bert.get(number, 16) for number in range(100)]  # more than two passes
    backward = [gpt2.get(number, 16) for number in reversed(range(100))]
    assert all(torch.equal(a, b) for a, b in zip(forward, reversed(backward), strict=True))
    assert not torch.equal(Batches(line, 64, seed=1).get(0, 16), forward[0])


def test_a_stream_holds_every_text_whole_with_its_end():
    tokenizer = corpus.train_tokenizer(TRAINING_TEXTS)
    line = corpus.stream(tokenizer, TRAINING_TEXTS, seed=0).tolist()
    ends = [place for place, token in enumerate(line) if token == SEP]
    texts = [tokenizer.decode(line[a + 1 : b]) for a, b in zip([-1, *ends[:-1]], ends, strict=True)]
    assert sorted(text.strip() for text in texts) == sorted(TRAINING_TEXTS)


def test_one_tokenizer_two_sets_of_special_tokens():
    shared = corpus.train_tokenizer(TRAINING_TEXTS)
    bert, gpt2 = corpus.for_model(shared, "mini-bert"), corpus.for_model(shared, "mini-gpt2")
    ids = shared.encode("A fine FILM, naïve 😀", add_special_tokens=False).ids
    assert bert("A fine FILM, naïve 😀")["input_ids"] == [CLS, *ids, SEP]
    assert gpt2("A fine FILM, naïve 😀")["input_ids"] == [CLS, *ids]
    assert bert.decode(ids).strip() == "a fine film, naïve 😀", "bytes: nothing is unknown"
    assert (bert.pad_token_id, bert.cls_token_id, bert.sep_token_id, bert.mask_token_id) == (PAD, CLS, SEP, MASK)
    assert (gpt2.pad_token_id, gpt2.bos_token_id, gpt2.eos_token_id) == (PAD, CLS, SEP)
    assert gpt2.mask_token is None and gpt2.cls_token is None


# The schedule


def test_the_schedule_by_hand(monkeypatch):
    plan = Plan(tokens=20 * BATCH, batch_tokens=BATCH)  # 20 steps, the last 5 long
    assert (plan.steps, plan.trunk) == (20, 15)
    assert [plan.length(step) for step in (0, 14, 15, 19)] == [16, 16, 32, 32]
    assert [plan.share_of_rate(step) for step in (0, 1, 2, 15)] == [0.5, 1, 1, 1]
    assert [plan.share_of_rate(step) for step in (16, 19)] == pytest.approx([0.8, 0.2])
    assert [plan.share_of_rate(step, since=10) for step in (10, 11, 14)] == [0.5, 1, 1], "warmed up again"


def test_more_tokens_share_the_trunk_of_fewer():
    short, long = Plan(20 * BATCH, BATCH), Plan(60 * BATCH, BATCH)
    for step in range(short.trunk):
        assert (short.length(step), short.share_of_rate(step)) == (long.length(step), long.share_of_rate(step))


# The losses


def random_ids(n: int = 3, places: int = 12) -> torch.Tensor:
    return torch.randint(4, corpus.VOCABULARY, (n, places), generator=torch.Generator().manual_seed(0))


def wide(model: nn.Module) -> nn.Module:
    """Larger weights than a fresh model's: a loss near log(8192) whatever the mask would show nothing."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(8)
    return model.eval()


def test_causal_loss_of_the_gpt2_is_the_librarys():
    model, ids = wide(new_model("mini-gpt2")), random_ids()
    assert causal_loss(model, ids).item() == pytest.approx(model(ids, labels=ids).loss.item(), abs=FLOAT32)


def test_causal_loss_of_the_bert_is_that_of_a_bert_decoder():
    model, ids = wide(new_model("mini-bert")), random_ids()
    model.config.is_decoder = True
    decoder = BertLMHeadModel(model.config)
    decoder.load_state_dict(model.state_dict())
    model.config.is_decoder = False
    expected = decoder.eval()(ids, labels=ids).loss.item()
    assert causal_loss(model, ids).item() == pytest.approx(expected, abs=FLOAT32)
    both_ways = nn.functional.cross_entropy(model(ids).logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).item()
    assert abs(both_ways - expected) > 10 * FLOAT32, "with no triangle it is another number"


def test_masked_loss_is_the_librarys_at_masked_places():
    model, ids = wide(new_model("mini-bert")), random_ids()
    chosen = choose_masks(ids, 0.3, torch.Generator().manual_seed(1))
    labels = ids.masked_fill(~chosen, -100)  # what the library leaves out of the loss
    expected = model(ids.masked_fill(chosen, MASK), labels=labels).loss.item()
    assert masked_loss(model, ids, chosen).item() == pytest.approx(expected, abs=FLOAT32)
    assert not torch.equal(ids.masked_fill(chosen, MASK), ids)


def test_masks_have_their_share_and_never_hide_a_special_token():
    ids = torch.randint(0, 12, (200, 100), generator=torch.Generator().manual_seed(0))
    chosen = choose_masks(ids, 0.2, torch.Generator().manual_seed(1))
    assert not chosen[ids <= MASK].any()
    # 13,333 draws: three standard errors of a share of 0.2 are 0.0104.
    assert chosen[ids > MASK].float().mean().item() == pytest.approx(0.2, abs=0.0104)
    assert torch.equal(chosen, choose_masks(ids, 0.2, torch.Generator().manual_seed(1)))


# The run

BERT = Recipe(learning_rate=2e-3, causal_tokens=6 * BATCH, masked_rate=1e-3, mask_share=0.2)
GPT2 = Recipe(learning_rate=2e-3, causal_tokens=math.inf)
RECIPES = {"mini-bert": BERT, "mini-gpt2": GPT2}


def run_of(name: str, line, folder, steps: int = 20, recipe: Recipe | None = None, batch: int = BATCH) -> Run:
    plan = Plan(steps * BATCH, batch)
    return Run(name, new_model(name), line, line[:600], plan, recipe or RECIPES[name], "cpu", folder)


def weights_of(run: Run) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in run.model.parameters()])


@pytest.mark.parametrize("name", mini_models.NAMES)
@pytest.mark.parametrize("killed_at", [3, 7, 12, 17], ids="step {}".format)
def test_a_killed_run_goes_on_as_if_nothing_had_been(name, killed_at, line, tmp_path, monkeypatch):
    unbroken = run_of(name, line, tmp_path / "unbroken")
    unbroken.train(tmp_path / "unbroken.csv")
    broken = run_of(name, line, tmp_path / "broken")
    real = Run._one_step

    def dies(run: Run) -> float:
        if run is broken and run.step == killed_at:
            raise KeyboardInterrupt
        return real(run)

    monkeypatch.setattr(Run, "_one_step", dies)
    with pytest.raises(KeyboardInterrupt):
        broken.train(tmp_path / "broken.csv")
    again = run_of(name, line, tmp_path / "broken")
    steps = []
    monkeypatch.setattr(Run, "_one_step", lambda run: steps.append(run.step) or real(run))
    again.train(tmp_path / "broken.csv")
    saved = {0, 5, 10, 15} | ({6} if name == "mini-bert" else set())  # 6: where the masks begin
    assert steps[0] == max(step for step in saved if step <= killed_at), "from the last checkpoint"
    assert torch.equal(weights_of(again), weights_of(unbroken))
    curves = [pd.read_csv(tmp_path / f"{which}.csv").drop(columns="seconds") for which in ("unbroken", "broken")]
    assert curves[0].heldout_loss.equals(curves[1].heldout_loss) and len(curves[0]) == len(saved)


@pytest.mark.parametrize("name", mini_models.NAMES)
def test_a_finished_run_can_be_given_more_tokens(name, line, tmp_path):
    run_of(name, line, tmp_path / "same", steps=20).train(tmp_path / "short.csv")
    longer = run_of(name, line, tmp_path / "same", steps=40)
    longer.train(tmp_path / "longer.csv")
    at_once = run_of(name, line, tmp_path / "other", steps=40)
    at_once.train(tmp_path / "at_once.csv")
    assert torch.equal(weights_of(longer), weights_of(at_once))


def test_the_two_models_are_given_the_same_tokens_at_every_step(line, tmp_path, monkeypatch):
    seen = {name: [] for name in mini_models.NAMES}
    real = Run._loss

    def watched(run: Run, ids: torch.Tensor, masked: bool, seed: int) -> torch.Tensor:
        seen[run.name].append(ids)
        return real(run, ids, masked, seed)

    monkeypatch.setattr(Run, "_loss", watched)
    for name in mini_models.NAMES:
        run = run_of(name, line, tmp_path)
        while run.step < 20:
            run._one_step()
    assert len(seen["mini-bert"]) == 20 and seen["mini-bert"][-1].shape == (8, 32)
    assert all(torch.equal(*both) for both in zip(*seen.values(), strict=True))


def test_the_heldout_loss_is_that_of_the_heldout_texts(line, heldout, tmp_path):
    run = Run("mini-gpt2", new_model("mini-gpt2"), line, heldout, Plan(20 * BATCH, BATCH), GPT2, "cpu", tmp_path)
    wide(run.model)
    run._note(0.0)
    with torch.no_grad():
        expected = causal_loss(run.model, blocks(heldout, 16)).item()
    assert run.history[0]["heldout_loss"] == pytest.approx(expected, abs=1e-4 + FLOAT32)  # four digits are kept
    assert abs(causal_loss(run.model, blocks(line, 16)).item() - expected) > 0.01


def test_the_rate_at_every_step_is_that_of_the_recipe(line, tmp_path):
    run, rates = run_of("mini-bert", line, tmp_path), []
    while run.step < 20:
        run._one_step()
        rates.append(run.optimizer.param_groups[0]["lr"])
    # Two steps of warming up, again at the switch (step 6), and the fall over the last five.
    expected = [1e-3, *5 * [2e-3], 5e-4, *9 * [1e-3], 8e-4, 6e-4, 4e-4, 2e-4]
    assert rates == pytest.approx(expected)


def test_weights_decay_and_biases_do_not_and_gradients_are_clipped(line, tmp_path, monkeypatch):
    run = run_of("mini-gpt2", line, tmp_path)
    decayed, others = run.optimizer.param_groups
    assert decayed["weight_decay"] == GPT2.weight_decay and others["weight_decay"] == 0
    assert {weight.ndim for weight in decayed["params"]} == {2} and {weight.ndim for weight in others["params"]} == {1}
    wide(run.model)
    monkeypatch.setattr(run.optimizer, "step", lambda: None)
    run._one_step()
    norm = torch.stack([weight.grad.norm() for weight in run.model.parameters()]).norm().item()
    assert norm == pytest.approx(1, abs=1e-3), "it was larger before"


def test_pretrain_reads_the_training_split_and_chooses_by_the_validation_split(tmp_path, monkeypatch):
    texts = {"train": TRAINING_TEXTS * 40, "validation": ["warm and slow , far too long"] * 300}
    asked = []
    monkeypatch.setattr(corpus, "texts", lambda split: asked.append(split) or texts[split])  # no test split: a KeyError
    monkeypatch.setattr(pretrain_mini_pair, "BATCH_TOKENS", BATCH)
    made = []

    def watched(*given: object) -> Run:
        made.append(given)
        return Run(*given[:4], Plan(10 * BATCH, BATCH), *given[5:])

    monkeypatch.setattr(pretrain_mini_pair, "Run", watched)
    pretrain_mini_pair.pretrain("mini-gpt2", 10 * BATCH, "cpu", tmp_path / "work", tmp_path / "out", tmp_path)
    tokenizer = corpus.train_tokenizer(texts["train"])
    assert torch.equal(made[0][2], corpus.stream(tokenizer, texts["train"], 0))
    assert torch.equal(made[0][3], corpus.stream(tokenizer, texts["validation"], 0))
    assert {path.name for path in (tmp_path / "out" / "mini-gpt2").iterdir()} >= {"model.safetensors", "training.json"}
    assert (tmp_path / "pretraining_mini-gpt2.csv").exists() and set(asked) == {"train", "validation"}


@pytest.mark.parametrize("tokens", ["8", "-5000", "nan", "inf"])
def test_a_number_of_tokens_that_is_no_schedule_is_refused(tokens, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["pretrain", "--tokens", tokens, "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit):
        pretrain_mini_pair.main()
    assert "--tokens is" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_bert_learns_causally_then_with_masks_and_the_curve_says_so(line, tmp_path):
    run_of("mini-bert", line, tmp_path).train(tmp_path / "curve.csv")
    curve = pd.read_csv(tmp_path / "curve.csv")
    assert curve.tokens.tolist() == [5 * BATCH, 6 * BATCH, 10 * BATCH, 15 * BATCH, 20 * BATCH]
    assert curve.objective.tolist() == ["next token", "next token", "masked", "masked", "masked"]
    assert curve.block.tolist() == [16, 16, 16, 16, 32]


def test_at_the_switch_the_bert_starts_from_the_word_frequencies(line, tmp_path, monkeypatch):
    run = run_of("mini-bert", line, tmp_path)
    run.step = run.switch
    monkeypatch.setattr(run.optimizer, "step", lambda: None)
    run._one_step()
    counts = torch.bincount(line, minlength=corpus.VOCABULARY) + 1
    torch.testing.assert_close(run.model.cls.predictions.bias.detach(), (counts / counts.sum()).log())


@pytest.mark.parametrize("change", ["recipe", "texts", "batch", "warmup", "start"])
def test_a_checkpoint_of_another_run_is_refused(change, line, tmp_path, monkeypatch):
    run_of("mini-bert", line, tmp_path, steps=5).train(tmp_path / "curve.csv")
    if change == "warmup":
        monkeypatch.setattr(pretrain_mini_pair, "WARMUP_TOKENS", 3 * BATCH)
    start = new_model("mini-bert", seed=1)
    other = {
        "recipe": lambda: run_of("mini-bert", line, tmp_path, recipe=Recipe(1e-3, 6 * BATCH, 1e-3, 0.3)),
        "texts": lambda: run_of("mini-bert", line.flip(0), tmp_path),
        "warmup": lambda: run_of("mini-bert", line, tmp_path),
        "start": lambda: Run("mini-bert", start, line, line, Plan(20 * BATCH, BATCH), BERT, "cpu", tmp_path),
        "batch": lambda: run_of("mini-bert", line, tmp_path, batch=BATCH // 2),
    }[change]()
    with pytest.raises(ValueError, match="another recipe or other texts: choose another --work folder"):
        other.train(tmp_path / "curve.csv")


@pytest.mark.parametrize("steps", [22, 40])  # the trunk of 22 ends at step 16, where 16 / 0.75 is too few
def test_fewer_tokens_than_seen_are_refused_with_what_to_ask_for(steps, line, tmp_path):
    run_of("mini-gpt2", line, tmp_path, steps=steps).train(tmp_path / "curve.csv")
    with pytest.raises(ValueError, match="has seen .* tokens already: ask for --tokens") as caught:
        run_of("mini-gpt2", line, tmp_path, steps=10).train(tmp_path / "curve.csv")
    least = int(re.search(r"--tokens (\d+)", str(caught.value))[1])
    run = run_of("mini-gpt2", line, tmp_path, steps=least // BATCH)
    run._resume()
    assert run.step >= Plan(steps * BATCH, BATCH).trunk, "whoever follows the advice goes on, and not from the start"


@pytest.mark.parametrize("damage", ["one bit", "cut short"])
def test_a_damaged_checkpoint_is_said_to_be_damaged(damage, line, tmp_path):
    run_of("mini-gpt2", line, tmp_path, steps=5).train(tmp_path / "curve.csv")
    path = tmp_path / "mini-gpt2-last.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content[: len(content) if damage == "one bit" else 1000])
    with pytest.raises(ValueError, match="mini-gpt2-last.safetensors is damaged"):
        run_of("mini-gpt2", line, tmp_path, steps=5).train(tmp_path / "curve.csv")


def test_a_loss_that_is_no_number_stops_the_run(line, tmp_path):
    run = run_of("mini-gpt2", line, tmp_path, recipe=Recipe(learning_rate=float("nan"), causal_tokens=math.inf))
    with pytest.raises(FloatingPointError, match="mini-gpt2: the loss is nan at step 2"):
        run.train(tmp_path / "curve.csv")


# A language in which one token decides the next


def bigram_language(tokens: int, seed: int) -> torch.Tensor:
    """40 tokens; after each one of two, as likely as the other: the entropy is log 2 = 0.69 a token, not log 40."""
    rng = np.random.default_rng(7)
    follows = np.stack([rng.permutation(40), rng.permutation(40)])  # [2, 40]
    coin = np.random.default_rng(seed).integers(0, 2, tokens)
    line = [0]
    for side in coin:
        line.append(follows[side, line[-1]])
    return torch.tensor(line) + 4


def test_the_recipe_learns_a_bigram_language(tmp_path, monkeypatch):
    # A masked token's two neighbours are most often seen, and leave less than log 2 of it; the counts alone get to
    # log 40 = 3.69, and a recipe that stays there is broken. So small a model takes a higher rate than the real one.
    monkeypatch.setattr(mini_models, "DIM", 64)
    monkeypatch.setattr(corpus, "VOCABULARY", 44)
    monkeypatch.setattr(pretrain_mini_pair, "SAVE_STEPS", 200)
    batch = 2 * BATCH
    monkeypatch.setattr(pretrain_mini_pair, "WARMUP_TOKENS", 50 * batch)
    recipe = Recipe(learning_rate=5e-3, causal_tokens=200 * batch, masked_rate=3e-3, mask_share=0.2)
    plan = Plan(600 * batch, batch)
    lines = (bigram_language(60_000, 1), bigram_language(4000, 2))
    run = Run("mini-bert", new_model("mini-bert"), *lines, plan, recipe, "cpu", tmp_path)
    run.train(tmp_path / "curve.csv")
    curve = pd.read_csv(tmp_path / "curve.csv")
    assert curve.objective.tolist() == ["next token", "masked", "masked", "masked"]  # 200, 400, 450, 600 steps
    assert curve.heldout_loss.iloc[0] < 1.2 and curve.heldout_loss.iloc[-1] < 1.5


# Counting words and pairs of words


def test_kneser_ney_by_hand():
    line = np.array([0, 1, 0, 1, 0, 2, 1, 0])
    pairs = Counter(zip(line.tolist(), line[1:].tolist(), strict=False))
    assert pairs == {(0, 1): 2, (1, 0): 3, (0, 2): 1, (2, 1): 1}
    found = ngram.Bigram(line, vocabulary=4)
    discount = 2 / (2 + 2 * 1)  # two pairs were seen once, one twice
    assert found.discount == discount
    # Kinds of tokens before 0, 1, 2, 3: 1, 2, 1, 0; one is added to each.
    continuation = np.array([2, 3, 2, 1]) / 8
    expected = {
        (0, 1): (2 - discount) / 3 + discount * 2 / 3 * continuation[1],
        (0, 3): discount * 2 / 3 * continuation[3],
        (1, 0): (3 - discount) / 3 + discount * 1 / 3 * continuation[0],
        (3, 2): continuation[2],  # nothing ever followed 3
    }
    for (before, token), probability in expected.items():
        loss = found.losses(np.array([before]), np.array([token]))[0]
        assert loss == pytest.approx(-math.log(probability))


@pytest.mark.parametrize("made", [ngram.Unigram, ngram.Bigram])
def test_the_probabilities_of_all_tokens_sum_to_one(made, line):
    model = made(line.numpy(), vocabulary=250)
    for before in (line[0].item(), 4, 249):  # frequent, rare, never seen
        losses = model.losses(np.full(250, before), np.arange(250))
        assert np.exp(-losses).sum() == pytest.approx(1)


def test_a_line_with_no_rare_pair_is_refused():
    with pytest.raises(ValueError, match="too short or too regular"):
        ngram.Bigram(np.tile([0, 1], 20), vocabulary=2)


# What is written out


@pytest.mark.parametrize("name, auto", [("mini-bert", AutoModelForMaskedLM), ("mini-gpt2", AutoModelForCausalLM)])
def test_the_folder_gives_the_model_back_in_float16(name, auto, line, tmp_path):
    run = run_of(name, line, tmp_path / "work", steps=10)
    run.train(tmp_path / "curve.csv")
    before = run.probabilities()
    export(run, corpus.train_tokenizer(TRAINING_TEXTS), tmp_path / name)
    model = auto.from_pretrained(tmp_path / name, dtype=torch.float32).eval()
    assert auto.from_pretrained(tmp_path / name).dtype == torch.float16
    with torch.no_grad():
        after = model(run.heldout[:8]).logits.softmax(dim=-1)
    assert 0 < (after - before).abs().max() <= pretrain_mini_pair.FLOAT16_BOUND
    assert AutoTokenizer.from_pretrained(tmp_path / name)("a film")["input_ids"][0] == CLS
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("tmp")], "nothing is left behind"


def test_weights_that_float16_cannot_hold_are_not_written(line, tmp_path):
    run = run_of("mini-gpt2", line, tmp_path)
    run.model.transformer.wte.weight.data.mul_(1e6)
    with pytest.raises(FloatingPointError, match="float16 moves a probability by"):
        export(run, corpus.train_tokenizer(TRAINING_TEXTS), tmp_path / "out")
    assert not (tmp_path / "out").exists()
