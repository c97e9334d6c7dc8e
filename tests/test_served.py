"""Is the recipe found that made some vectors? A server that shares no code with the audit makes them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, RobertaConfig, RobertaModel

from helpers import audit, encoders, making, recipes, served
from tests import conftest
from tests.serving import POSITIONS, Server, declare, roomy, write_dense

pytestmark = pytest.mark.slow

MODES = {"mean": "mean", "cls": "cls", "last": "lasttoken", "max": "max", "weighted": "weightedmean",
         "sqrt": "mean_sqrt_len_tokens"}  # fmt: skip
RNG = np.random.default_rng(0)
DENSE = [(RNG.normal(size=(16, 32)).astype("f4") / 5, RNG.normal(size=16).astype("f4") / 5)]

# What a server does -> what its model declares, and what the verdict has to say. The cases of `REFERENCES.md`, by name.
MISTAKES = {
    "padding counted": ("mean", "serves mean, padding counted, normalized"),  # sentence-transformers 2569
    "padding counted as zeros": ("max", "serves max, padding counted as zeros,"),  # InferSent 51
    "left padding counted": ("cls", "serves first token (cls), left padding counted,"),  # sentence-transformers 3208
    "left padding read as right": ("last", "serves last token, left padding read as right,"),  # transformers 46782
    "no mask": ("mean", "serves mean, no mask at all,"),  # ReProver 34
    "padding counted, filled": ("mean", f"serves mean, padding counted, filled up to {POSITIONS} places,"),  # m2 43
    "the one before the last": ("last", "serves the token before the last,"),
    "another layer": ("mean", "serves mean, layer 1 of 2,"),
    "dense skipped": ("mean", "serves mean, Dense skipped,"),  # plur 270
    "not normalized": ("mean", "serves mean, not normalized; normalized ones are declared"),
    "dropout left on": ("mean", "asked for again has another vector"),
    "read in pieces": ("mean", "in a batch a text has another vector than alone: there only the last tokens"),
}
ONLY_BERT = {
    "mask kept from the model": ("mean", "serves mean, the model not given the mask,"),
    "special tokens not added": ("mean", "serves mean, special tokens not added,"),
    "special tokens left out": ("mean", "serves mean, special tokens left out of the pooling,"),
    "pooler_output": ("cls", "serves BERT's pooler_output,"),
}


@pytest.fixture(scope="module")
def transformers(tmp_path_factory) -> dict[str, Path]:
    """A BERT and a GPT-2 with random weights and 256 positions."""
    folder = tmp_path_factory.mktemp("audited")
    return {"bert": roomy(conftest.save_bert(folder / "bert"), seed=3),
            "gpt2": roomy(conftest.save_gpt2(folder / "gpt2"), seed=4)}  # fmt: skip


@pytest.fixture
def declaring(transformers, tmp_path):
    """From a transformer's name and a pooling to the folder of a model that declares it."""

    def made(name: str, pooling: str, **more) -> Path:
        folder = shutil.copytree(transformers[name], tmp_path / f"{name}-{len(list(tmp_path.iterdir()))}")
        modes = [MODES[one] for one in pooling.split("+")]
        return declare(folder, {"pooling_mode": modes[0] if len(modes) == 1 else modes}, **more)

    return made


def audited(folder: Path, server: Server) -> audit.Report:
    return audit.audit(audit.load(str(folder)), *served.ask(server.embed))


@pytest.mark.parametrize("name", ["bert", "gpt2"])
@pytest.mark.parametrize("pooling", [*MODES, "cls+mean"])
def test_a_right_server_agrees(name, pooling, transformers, declaring):
    report = audited(declaring(name, pooling), Server(transformers[name], pooling))
    assert report.code == 0, report.line
    assert report.scores.loss[0] < served.EXACT and report.invariances.holds.all()


@pytest.mark.parametrize("name,mistake", [(name, one) for name in ("bert", "gpt2") for one in MISTAKES]
                         + [("bert", one) for one in ONLY_BERT])  # fmt: skip
def test_every_mistake_is_named(name, mistake, transformers, declaring):
    declares, said = (MISTAKES | ONLY_BERT)[mistake]
    dense = DENSE if mistake == "dense skipped" else ()
    report = audited(declaring(name, declares, dense=dense), Server(transformers[name], declares, True, dense,
                                                                   mistake=mistake))  # fmt: skip
    assert report.code == 1 and said in report.line, report.line


@pytest.mark.parametrize("mistake", MISTAKES | ONLY_BERT)
def test_every_mistake_is_named_over_a_real_encoder(mistake, tmp_path):
    declares, said = (MISTAKES | ONLY_BERT)[mistake]
    said = said.replace("layer 1 of 2", "layer 5 of 6").replace(f"up to {POSITIONS}", "up to 512")
    dense = [(RNG.normal(size=(16, 384)).astype("f4") / 20, None)] if mistake == "dense skipped" else ()
    folder = shutil.copytree(encoders.folder("minilm"), tmp_path / "minilm")
    declare(folder, {"pooling_mode": MODES[declares]}, dense=dense)
    server = Server(folder, declares, True, dense, mistake=mistake)
    report = audit.audit(audit.load(str(folder)), *served.ask(server.embed, served.PROBES[:4]))
    assert report.code == 1 and said in report.line, report.line


@pytest.mark.parametrize("name", ["bert", "gpt2"])
@pytest.mark.parametrize("declares", MODES)
@pytest.mark.parametrize("serves", MODES)
def test_one_pooling_served_for_another_is_named(name, declares, serves, transformers, declaring):
    report = audited(declaring(name, declares), Server(transformers[name], serves))
    once_normalized_the_same = {declares, serves} <= {"mean", "sqrt"}
    assert report.code == (0 if declares == serves or once_normalized_the_same else 1), report.line
    shown = {"cls": "first token (cls)", "last": "last token", "weighted": "weighted_mean",
             "sqrt": "mean"}.get(serves, serves)  # fmt: skip
    assert once_normalized_the_same or f"serves {shown}, normalized" in report.line


def test_the_mask_kept_from_a_gpt2_padded_on_the_right_changes_nothing(transformers, declaring):
    """No token of a causal model sees the padding behind it."""
    server = Server(transformers["gpt2"], "mean", mistake="mask kept from the model")
    assert audited(declaring("gpt2", "mean"), server).code == 0


def test_what_stands_after_the_pooling_is_applied(transformers, declaring):
    report = audited(declaring("bert", "mean", dense=DENSE), Server(transformers["bert"], "mean", True, DENSE))
    assert report.code == 0 and report.scores.loss[0] < served.EXACT


def test_a_prompt_that_is_declared_and_left_out_is_named(transformers, declaring):
    folder = declaring("bert", "mean", prompts={"query": "a fine film "}, default="query")
    with_it = audited(folder, Server(transformers["bert"], "mean", prompt="a fine film "))
    assert with_it.code == 0 and "with the prompt 'query'" in with_it.line
    without = audited(folder, Server(transformers["bert"], "mean"))
    assert without.code == 1 and without.line.endswith("serves mean, normalized")


def test_a_prompt_that_nobody_declares_as_usual_is_named(transformers, declaring):
    folder = declaring("bert", "mean", prompts={"query": "a fine film "})
    report = audited(folder, Server(transformers["bert"], "mean", prompt="a fine film "))
    assert report.code == 1 and "serves mean, with the prompt 'query'" in report.line


def test_what_the_tokenizer_is_to_be_given_is_read(transformers, declaring):
    folder = declaring("gpt2", "last")
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 12, "do_lower_case": true}')
    inner = Server(transformers["gpt2"], "last")
    inner.model.config.max_position_embeddings = 12
    embed = lambda texts: inner.embed([text.lower() for text in texts])  # noqa: E731
    report = audit.audit(audit.load(str(folder)), *served.ask(embed))
    assert report.code == 0 and report.scores.loss[0] < served.EXACT, report.line


def test_lengths_matter_where_the_model_is_made_for_dot_products(transformers, declaring):
    server = Server(transformers["bert"], "cls", normalize=True)
    assert audited(declaring("bert", "cls", normalize=False), server).code == 0
    report = audited(declaring("bert", "cls", normalize=False, dot=True), server)
    assert report.code == 1 and "dot products" in report.line


def test_vectors_cut_to_fewer_dimensions_agree_and_it_is_said(transformers, declaring):
    for normalize in (True, False):
        report = audited(declaring("bert", "mean", normalize=normalize),
                         Server(transformers["bert"], "mean", normalize, mistake="cut"))  # fmt: skip
        assert "cut to 16 dimensions" in report.line
        assert report.code == int(normalize)  # cut after its length was made 1, it is shorter than is declared


def test_one_of_two_declared_poolings_is_not_both(transformers, declaring):
    report = audited(declaring("bert", "cls+mean"), Server(transformers["bert"], "cls"))
    assert report.code == 1 and "serves first token (cls), normalized" in report.line


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_an_average_of_layers_is_named(name, transformers, declaring):
    inner = Server(transformers[name], "mean", normalize=False)
    before = Server(transformers[name], "mean", normalize=False, mistake="another layer")
    model = audit.load(str(declaring(name, "mean")))
    report = audit.audit(model, *served.ask(lambda texts: (inner.embed(texts) + before.embed(texts)) / 2))
    assert report.code == 1 and "of the average of the last two layers, not normalized" in report.line


def test_a_roberta_is_not_asked_for_positions_that_it_has_not(transformers, tmp_path):
    """It counts its positions from its padding's number on."""
    folder = shutil.copytree(transformers["bert"], tmp_path / "roberta")
    vocabulary = AutoModel.from_pretrained(folder).config.vocab_size
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = RobertaConfig(vocab_size=vocabulary, max_position_embeddings=66, pad_token_id=1, **size)
    RobertaModel(config).save_pretrained(folder)
    encoder = audit.load(str(folder)).encoder
    assert encoder.max_length == 64
    ids, mask = encoder.pad(encoder.tokens(["film " * 100], 64))
    assert encoder.model(input_ids=ids.clamp(min=2), attention_mask=mask.long()).last_hidden_state.shape[1] == 64


def test_what_is_nearly_the_declared_one_is_not_proof_unless_weights_have_few_bits(transformers, declaring):
    inner, model = Server(transformers["bert"], "mean"), audit.load(str(declaring("bert", "mean")))

    def embed(texts):
        """Every vector turned a little, always the same way for the same text."""
        vectors = inner.embed(texts)
        turn = np.stack([np.random.default_rng(len(text)).normal(size=32) for text in texts])
        return vectors + 0.15 * turn / np.linalg.norm(turn, axis=1, keepdims=True)

    asked = served.ask(embed)
    report = audit.audit(model, *asked)
    assert report.code == 2 and "(nearly: cosine 0.9" in report.line and "--quantized" in report.line
    assert 0.002 < 1 - report.scores.cosine.max() < served.CLOSE


def test_numbers_of_few_bits_may_be_rounded_by_their_neighbours(transformers, declaring):
    inner, model = Server(transformers["gpt2"], "mean"), audit.load(str(declaring("gpt2", "mean")))

    def embed(texts):
        """Every vector turned a little, otherwise in a batch of another size."""
        vectors = inner.embed(texts)
        turn = np.stack([np.random.default_rng(len(text) + 1000 * len(texts)).normal(size=32) for text in texts])
        return vectors + 0.15 * turn / np.linalg.norm(turn, axis=1, keepdims=True)

    asked = served.ask(embed)
    assert not asked[2].holds.all()
    assert audit.audit(model, *asked).code == 2 and audit.audit(model, *asked, quantized=True).code == 0


@pytest.mark.parametrize("mistake,said", [("dropout left on", "asked for again"), ("read in pieces", "last tokens")])
@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_few_bits_are_no_excuse_for_other_mistakes(name, mistake, said, transformers, declaring):
    for count in (4, 8):
        asked = served.ask(Server(transformers[name], "mean", mistake=mistake).embed, served.PROBES[:count])
        report = audit.audit(audit.load(str(declaring(name, "mean"))), *asked, quantized=True)
        assert report.code == 1 and said in report.line, report.line


def test_a_text_that_moves_is_said_to_where_nothing_is_declared(transformers):
    report = audited(transformers["bert"], Server(transformers["bert"], "mean", mistake="padding counted"))
    assert report.code == 2 and "padding counted" in report.line and "a text has another vector alone" in report.line


def test_vectors_of_another_length_do_not_hide_that_one_token_tells_nothing(transformers, declaring):
    model = audit.load(str(declaring("gpt2", "mean", normalize=False)))
    for times in (1, 10):
        vectors = torch.tensor(Server(transformers["gpt2"], "last", False).embed(["a"]) * times)
        assert audit.audit(model, [["a"]], vectors).code == 2


def test_a_text_that_moves_with_the_batch_is_a_mistake_of_its_own(transformers, declaring):
    inner = Server(transformers["gpt2"], "mean")

    def embed(texts):
        """Right, but the first of a batch of eight is turned: too little, over all texts, for another recipe."""
        found = inner.embed(texts)
        if len(texts) == 8:
            found[0] += 0.14 * np.eye(32)[0]
        return found

    report = audited(declaring("gpt2", "mean"), type("", (), {"embed": staticmethod(embed)}))
    assert report.code == 1
    assert report.line == ("in a batch a text has another vector than alone; alone: declares mean, serves mean, "
                           "normalized")  # fmt: skip


def test_padding_counted_is_found_where_all_states_are_alike(transformers, declaring, tmp_path):
    """A large common part makes every recipe's vectors nearly the same: that must not pass for rounding."""
    folder = shutil.copytree(declaring("bert", "mean"), tmp_path / "alike")
    bert = AutoModel.from_pretrained(folder)
    with torch.no_grad():
        bert.encoder.layer[-1].output.LayerNorm.bias += 20
    bert.save_pretrained(folder)
    right, wrong = (audited(folder, Server(folder, "mean", mistake=one)) for one in ("", "padding counted, filled"))
    assert right.code == 0 and wrong.code == 1 and "filled up to 256 places" in wrong.line


def test_vectors_whose_length_is_1_by_themselves_are_not_accused(transformers, declaring, tmp_path):
    for normalize, dot in ((True, False), (False, True)):
        folder = declaring("bert", "cls", normalize=normalize, dot=dot)
        bert = AutoModel.from_pretrained(folder)
        with torch.no_grad():
            bert.encoder.layer[-1].output.LayerNorm.weight.fill_(32**-0.5)
            bert.encoder.layer[-1].output.LayerNorm.bias.zero_()
        bert.save_pretrained(folder)
        report = audited(folder, Server(folder, "cls", normalize, dtype=torch.bfloat16))
        assert report.code == 0, report.line


def test_a_prompt_kept_out_of_the_pooling_is_told_from_one_that_is_pooled(transformers, declaring):
    folder = declaring("gpt2", "mean", prompts={"query": "a fine film "}, default="query")
    config = folder / "1_Pooling" / "config.json"
    report = audited(folder, Server(transformers["gpt2"], "mean", prompt="a fine film "))
    assert report.code == 0
    config.write_text('{"pooling_mode": "mean", "include_prompt": false}')
    report = audited(folder, Server(transformers["gpt2"], "mean", prompt="a fine film "))
    assert report.code == 1 and report.line.startswith("declares mean, with the prompt 'query', prompt left out")


def test_a_length_of_1_between_two_dense_layers_is_kept(transformers, declaring):
    folder = declaring("bert", "mean", dense=DENSE)
    modules = json.loads((folder / "modules.json").read_text())
    weight, bias = RNG.normal(size=(16, 16)).astype("f4"), RNG.normal(size=16).astype("f4")
    for number, kind in ((4, "Dense"), (5, "Normalize")):
        path = f"{number}_{kind}"
        (folder / path).mkdir()
        modules.append({"idx": number, "path": path, "type": f"sentence_transformers.models.{kind}"})
    write_dense(folder / "4_Dense", weight, bias)
    (folder / "modules.json").write_text(json.dumps(modules))
    first = Server(transformers["bert"], "mean", True, DENSE)

    def embed(texts):
        found = np.tanh(first.embed(texts) @ weight.T + bias)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    report = audit.audit(audit.load(str(folder)), *served.ask(embed))
    assert report.code == 0 and report.scores.loss[0] < served.EXACT, report.line


def test_what_no_recipe_made_is_none_of_these(transformers, declaring):
    inner = Server(transformers["bert"], "mean")
    turn = np.linalg.qr(RNG.normal(size=(32, 32)))[0].astype("f4")  # the same geometry, other coordinates
    folder = declaring("bert", "mean")
    report = audit.audit(audit.load(str(folder)), *served.ask(lambda texts: inner.embed(texts) @ turn))
    assert report.code == 1 and "serves none of the" in report.line


def test_vectors_of_a_size_that_no_recipe_gives_are_said_to_be_so(transformers, declaring):
    inner = Server(transformers["bert"], "mean")
    folder = declaring("bert", "mean")
    report = audit.audit(audit.load(str(folder)), *served.ask(lambda texts: np.tile(inner.embed(texts), 5)))
    assert report.code == 1 and "160 numbers" in report.line


def test_nothing_declared_is_no_agreement(transformers):
    report = audited(transformers["bert"], Server(transformers["bert"], "cls"))
    assert report.code == 2 and "serves first token (cls), normalized" in report.line


def test_texts_that_cannot_tell_two_recipes_apart_are_not_taken_for_proof(transformers, declaring):
    """One text alone is never padded, so it says nothing of padding."""
    folder = declaring("bert", "mean")
    vectors = torch.tensor(Server(transformers["bert"], "mean").embed(["a warm film"]))
    model = audit.load(str(folder))
    report = audit.audit(model, [["a warm film"]], vectors)
    assert report.code == 0  # nothing was padded, so no padded recipe is in question
    # One token, bare: cls, mean, max and last are one and the same.
    bare = Server(transformers["gpt2"], "mean").embed(["the"])
    report = audit.audit(audit.load(str(declaring("gpt2", "mean"))), [["the"]], torch.tensor(bare))
    assert report.code == 2 and "cannot tell mean" in report.line and "such texts would" in report.line


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_half_precision_is_no_mistake(name, dtype, transformers, declaring):
    for pooling in ("mean", "last", "max"):
        report = audited(declaring(name, pooling), Server(transformers[name], pooling, dtype=dtype))
        assert report.code == 0 and report.invariances.holds.all(), report.line
        assert report.scores.loss[0] > 1e-12  # it was another precision indeed


def test_one_recipe_gives_what_all_recipes_give(transformers, declaring):
    model = audit.load(str(declaring("bert", "mean", dense=DENSE, prompts={"query": "a dull film "})))
    requests = [["the end", "a warm film , funny and slow"], ["the best of it"]]
    for recipe, made in list(making.candidates(model, requests, 16))[::97]:
        assert torch.equal(making.vectors(model, recipe, requests), made), recipe


def test_words_name_only_what_departs_from_the_usual(transformers, declaring):
    model = audit.load(str(declaring("bert", "mean")))
    assert recipes.words(model.as_declared, model) == "mean, normalized"
