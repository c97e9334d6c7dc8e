"""Is what a folder declares read rightly? sentence-transformers itself is the oracle."""

import json
import pickle

import pytest
import torch
from sentence_transformers.base.modules import Dense
from sentence_transformers.sentence_transformer.modules import Pooling

from helpers import declared, pooling
from helpers.declared import BOOLEANS, MODES
from tests.serving import declare

RNG = torch.Generator().manual_seed(0)


def test_both_schemas_say_the_same_as_the_library_reads(tmp_path):
    """Vectors of the library's own Pooling module, loaded from each file, equal those of the poolings that we read."""
    states, mask = torch.randn(3, 5, 4, generator=RNG), torch.arange(5) < torch.tensor([[5], [2], [3]])
    written = [{"pooling_mode": mode} for mode in MODES]
    written += [{key: key == chosen for key in BOOLEANS} for chosen in BOOLEANS]
    written += [{"pooling_mode": ["max", "cls"]}, {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}]
    for number, config in enumerate(written):
        config = {"embedding_dimension" if "pooling_mode" in config else "word_embedding_dimension": 4} | config
        (folder := tmp_path / str(number)).mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        theirs = Pooling.load(str(folder))({"token_embeddings": states, "attention_mask": mask.long()})
        ours = [pooling.make(name, 4)(states, mask) for name in declared.pooling_modes(config)[0]]
        torch.testing.assert_close(torch.cat(ours, dim=1), theirs["sentence_embedding"], msg=str(config))


@pytest.mark.parametrize("old", [True, False])
def test_modules_are_known_by_their_old_and_their_new_paths(old, tmp_path):
    dense = [(torch.ones(2, 4).numpy(), None)]
    says = declared.read(declare(tmp_path, {"pooling_mode_cls_token": True}, dense=dense, old=old))
    assert says.modes == ("first",) and [type(one).__name__ for one in says.after] == ["Dense", "Normalize"]
    assert says.normalized is True and any("booleans" in line for line in says.told)


def test_a_prompt_left_out_of_the_pooling_is_read(tmp_path):
    config = {"pooling_mode": "mean", "include_prompt": False}
    says = declared.read(declare(tmp_path, config, prompts={"query": "find: ", "none": ""}, default="query"))
    assert not says.include_prompt and says.prompts == {"query": "find: "} and says.prompt == "query"


def test_a_dense_module_gives_what_the_librarys_gives(tmp_path):
    theirs = Dense(6, 3, activation_function=torch.nn.GELU())
    theirs.save(str(tmp_path))
    vectors = torch.randn(5, 6, generator=RNG)
    expected = theirs({"sentence_embedding": vectors})["sentence_embedding"]
    torch.testing.assert_close(declared.dense(tmp_path)(vectors), expected)


def test_no_pickle_is_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "opened"), "w"))

    folder = declare(tmp_path, {"pooling_mode": "mean"}, dense=[(torch.ones(2, 4).numpy(), None)])
    (folder / "2_Dense" / "model.safetensors").unlink()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="no model.safetensors.*run code"):
        declared.read(folder)
    assert not (tmp_path / "opened").exists()


LEAVES = '[{"type": "sentence_transformers.Pooling", "path": "../.."}]'


def swap(folder, one, other) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[one], modules[other] = modules[other], modules[one]
    (folder / "modules.json").write_text(json.dumps(modules))


def residual(folder) -> None:
    config = json.loads((folder / "2_Dense" / "config.json").read_text())
    (folder / "2_Dense" / "config.json").write_text(json.dumps(config | {"use_residual": True}))


@pytest.mark.parametrize("spoil,said", [
    (lambda folder: (folder / "modules.json").write_text("[{"), "modules.json is damaged"),
    (lambda folder: (folder / "modules.json").write_text("{}"), "modules.json is no list"),
    (lambda folder: (folder / "modules.json").write_text("[1]"), "no list of modules"),
    (lambda folder: (folder / "modules.json").write_text("[" * 200_000), "modules.json is damaged"),
    (lambda folder: (folder / "1_Pooling/config.json").unlink(), "1_Pooling/config.json is not there"),
    (lambda folder: (folder / "1_Pooling/config.json").write_text('{"pooling_mode": "median"}'), "names .'median'"),
    (lambda folder: (folder / "1_Pooling/config.json").write_text("{}"), "names no pooling"),
    (lambda folder: (folder / "1_Pooling/config.json").write_text('{"pooling_mode": 5}'), "names 5"),
    (lambda folder: (folder / "1_Pooling/config.json").write_text("[]"), "is no dict"),
    (lambda folder: (folder / "modules.json").write_text('[{"type": "sentence_transformers.LSTM"}]'), "'LSTM' in"),
    (lambda folder: (folder / "modules.json").write_text('[{"type": "own.Pooling"}]'), "own.Pooling"),
    (lambda folder: swap(folder, 1, 2), "'Dense' in place 1"),
    (lambda folder: (folder / "config_sentence_transformers.json").write_text('{"prompts": []}'), "prompts"),
    (lambda folder: (folder / "sentence_bert_config.json").write_text('{"max_seq_length": "9"}'), "is '9'"),
    (lambda folder: (folder / "2_Dense/model.safetensors").write_bytes(b"x" * 99), "2_Dense are damaged"),
    (lambda folder: residual(folder), "uses a residual"),
    (lambda folder: (folder / "modules.json").write_text(LEAVES), "outside"),
    (lambda folder: (folder / "2_Dense/config.json").write_text('{"activation_function": "os.system"}'), "os.system"),
    (lambda folder: (folder / "2_Dense/config.json").write_text('{"in_features": 9, "out_features": 2}'), "not those"),
])  # fmt: skip
def test_what_is_wrong_with_a_folder_is_said_in_one_sentence(spoil, said, tmp_path):
    folder = declare(tmp_path, {"pooling_mode": "mean"}, dense=[(torch.ones(2, 4).numpy(), None)])
    spoil(folder)
    with pytest.raises(ValueError, match=said):
        declared.read(folder)


def test_a_folder_that_says_nothing_declares_nothing(tmp_path):
    says = declared.read(tmp_path)
    assert says.modes == () and says.normalized is None and "nothing is declared" in says.told[0]


@pytest.mark.parametrize("number,modes", [(0, ()), (1, ("mean",)), (2, ("first",)), (3, ("last",)), (4, ()),
                                          (None, ())])  # fmt: skip
def test_a_gguf_header_is_read(number, modes, tmp_path):
    gguf = pytest.importorskip("gguf", reason="reads GGUF files: pip install gguf (.ci/run does)")
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "bert")
    if number is not None:
        writer.add_pooling_type(gguf.PoolingType(number))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert declared.read(tmp_path).modes == modes


def test_which_way_a_model_looks_is_tried_out(bert, gpt2):
    assert not declared.is_causal(bert.model) and declared.is_causal(gpt2.model)
    assert declared.likely(True).startswith("last") and declared.likely(False).startswith("mean")
