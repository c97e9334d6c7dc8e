"""The command: one line, a verdict, an exit code; and servers and libraries that nobody here wrote."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from transformers import pipeline

from helpers import audit, encoders, served
from tests import conftest
from tests.serving import Server, Site, declare, roomy, serve


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return roomy(conftest.save_bert(tmp_path_factory.mktemp("command") / "bert"), seed=5)


@pytest.fixture
def model(bert, tmp_path):
    """A folder that declares the mean, normalized."""
    return declare(shutil.copytree(bert, tmp_path / "model"), {"pooling_mode": "mean"})


@pytest.mark.parametrize("pooling,code,said", [("mean", 0, "AGREES"), ("cls", 1, "MIS-POOLED")])
def test_one_line_asks_a_server_and_the_exit_code_says_it(pooling, code, said, bert, model, capsys):
    with serve(Site(Server(bert, pooling).embed)) as url:
        assert audit.main([str(model), "--endpoint", url]) == code
    shown = capsys.readouterr().out
    assert shown.startswith(said) and "1_Pooling/config.json" in shown and "holds: alone" in shown


@pytest.mark.parametrize("path", ["/v1/embeddings", "/embed", "/api/embed"])
def test_each_api_is_audited(path, bert, model):
    with serve(Site(Server(bert, "mean").embed)) as url:
        assert audit.main([str(model), "--endpoint", url + path]) == 0


def test_it_is_a_command_of_its_own(bert, model):
    with serve(Site(Server(bert, "cls").embed)) as url:
        done = subprocess.run([sys.executable, "-m", "helpers.audit", str(model), "--endpoint", url, "--json"],
                              capture_output=True, text=True)  # fmt: skip
    found = json.loads(done.stdout)
    assert done.returncode == found["code"] == 1 and "serves first token (cls), normalized" in found["line"]
    assert found["recipes"][0]["cosine"] > 0.9999 and len(found["invariances"]) == 4


def test_vectors_of_a_file_are_audited(bert, model, tmp_path):
    texts = ["a fine film", "a dull film , slow and far too long", "the end", "warm"]
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    files = ["--vectors", str(tmp_path / "v.npy"), "--texts", str(tmp_path / "texts.txt")]
    for mistake, code in (("", 0), ("padding counted", 1)):
        np.save(tmp_path / "v.npy", Server(bert, "mean", mistake=mistake).embed(texts))
        assert audit.main([str(model), *files]) == code


@pytest.mark.parametrize("vectors,said", [
    (np.ones((3, 32), "f4"), "3 rows and texts.txt 4 lines"), (np.ones(4, "f4"), "of shape"),
    (np.ones((4, 32), int), "no array of floating-point"), (np.ones((4, 0), "f4"), "no array of floating-point"),
    (np.full((4, 32), np.nan, "f4"), "NaN"), (np.full((4, 32), 1e20), "above 1e.15"),
    (np.array([["x"] * 32] * 4, object), "v.npy is no array of numbers"),
])  # fmt: skip
def test_files_that_do_not_fit_are_refused_in_one_sentence(vectors, said, model, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("a\nb\nc\nd\n")
    np.save(tmp_path / "v.npy", vectors)
    files = ["--vectors", str(tmp_path / "v.npy"), "--texts", str(tmp_path / "texts.txt")]
    assert audit.main([str(model), *files]) == 2
    assert re.search(said, capsys.readouterr().out)


def test_rows_of_a_long_file_stay_beside_their_texts(bert, model, tmp_path):
    texts = [f"{'a fine film ' * (number % 5)}number {number}" for number in range(50)]
    (tmp_path / "texts.txt").write_text("\n".join(texts), encoding="utf-8-sig")
    np.save(tmp_path / "v.npy", Server(bert, "mean").embed(texts))
    assert audit.main([str(model), "--vectors", str(tmp_path / "v.npy"), "--texts", str(tmp_path / "texts.txt")]) == 0


@pytest.mark.parametrize("content", [b"", b"no array", b"PK"])
def test_a_file_that_is_no_array_is_said_to_be_none(content, model, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("a\n")
    (tmp_path / "v.npy").write_bytes(content)
    assert audit.main([str(model), "--vectors", str(tmp_path / "v.npy"), "--texts", str(tmp_path / "texts.txt")]) == 2
    assert "v.npy is no array of numbers" in capsys.readouterr().out


def test_a_terminal_without_the_characters_changes_no_verdict(bert, model):
    """Python ends with 1 after an error, which would be an accusation."""
    with serve(Site(Server(bert, "mean").embed)) as url:
        done = subprocess.run([sys.executable, "-m", "helpers.audit", str(model), "--endpoint", url],
                              capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"})  # fmt: skip
    assert done.returncode == 0 and done.stdout.startswith(b"AGREES")


def test_a_figure_that_cannot_be_written_is_no_accusation(bert, model, tmp_path, capsys):
    with serve(Site(Server(bert, "mean").embed)) as url:
        assert audit.main([str(model), "--endpoint", url, "--figure", str(tmp_path / "none" / "x.png")]) == 2
    assert "could not be tested" in capsys.readouterr().out


def test_a_transformer_in_a_folder_of_its_own_is_found(bert, tmp_path):
    folder = declare(shutil.copytree(bert, tmp_path / "model"), {"pooling_mode": "cls"})
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "0_Transformer").mkdir()
    for path in bert.iterdir():
        (folder / path.name).rename(folder / "0_Transformer" / path.name)
    (folder / "modules.json").write_text(json.dumps([modules[0] | {"path": "0_Transformer"}, *modules[1:]]))
    with serve(Site(Server(bert, "cls").embed)) as url:
        assert audit.main([str(folder), "--endpoint", url]) == 0


def test_what_the_user_expects_stands_in_for_what_is_not_declared(bert, capsys):
    with serve(Site(Server(bert, "mean").embed)) as url:
        assert audit.main([str(bert), "--endpoint", url]) == 2
        assert "nothing is declared" in capsys.readouterr().out
        assert audit.main([str(bert), "--endpoint", url, "--expect", "mean"]) == 0
        assert audit.main([str(bert), "--endpoint", url, "--expect", "cls"]) == 1


def test_without_a_server_it_says_what_is_declared_and_what_is_likely(bert, model, capsys):
    assert audit.main([str(model)]) == 2
    assert "add --endpoint" in capsys.readouterr().out
    assert audit.main([str(bert)]) == 2
    assert "likely mean" in capsys.readouterr().out


@pytest.mark.parametrize("arguments,said", [
    (["no-such-model", "--endpoint", "http://127.0.0.1:9"], "Unknown encoder 'no-such-model'"),
    (["MODEL", "--endpoint", "127.0.0.1:9"], "no address"),
    (["MODEL", "--endpoint", "http://127.0.0.1:9"], "cannot be reached"),
    (["MODEL", "--vectors", "missing.npy", "--texts", "missing.txt"], "missing.txt"),
])  # fmt: skip
def test_what_could_not_be_tested_is_code_2_and_one_sentence(arguments, said, model, capsys):
    assert audit.main([str(model) if one == "MODEL" else one for one in arguments]) == 2
    assert said in capsys.readouterr().out


def test_a_server_that_dies_midway_is_code_2(bert, model, capsys):
    inner, asked = Server(bert, "mean"), []

    def embed(texts):
        asked.append(texts)
        if len(asked) > 4:
            raise ConnectionResetError
        return inner.embed(texts)

    site = Site(embed)
    with serve(site) as url:
        assert audit.main([str(model), "--endpoint", url]) == 2
    assert "broke off its answer" in capsys.readouterr().out


def test_the_figure_is_drawn(bert, model, tmp_path):
    target = tmp_path / "cosines.png"
    with serve(Site(Server(bert, "cls").embed)) as url:
        audit.main([str(model), "--endpoint", url, "--figure", str(target)])
    assert target.read_bytes().startswith(b"\x89PNG")


# Nobody here wrote these


@pytest.mark.parametrize("mode", ["mean", "cls", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens"])
def test_sentence_transformers_serves_what_it_declares(mode, bert, tmp_path):
    made = SentenceTransformer(modules=[Transformer(str(bert)), Pooling(32, mode), Normalize()])
    made.save_pretrained(str(tmp_path / "saved"))
    assert audit.main([str(tmp_path / "saved"), "--sentence-transformers"]) == 0
    config = tmp_path / "saved" / "1_Pooling" / "config.json"  # a file that declares another one
    other = "cls" if mode != "cls" else "max"
    vectors = made.encode
    config.write_text(json.dumps({"embedding_dimension": 32, "pooling_mode": other}))
    report = audit.audit(audit.load(str(tmp_path / "saved")), *served.ask(vectors))
    assert report.code == 1, report.line


def test_minilm_by_sentence_transformers_is_served_by_its_mean(tmp_path):
    folder = encoders.folder("minilm")
    made = SentenceTransformer(str(folder))
    made.save_pretrained(str(tmp_path))
    assert audit.main([str(tmp_path), "--sentence-transformers"]) == 0


@pytest.mark.parametrize("row,code", [(0, 1), (None, 0)])
def test_the_pipeline_of_transformers_is_audited(row, code, bert, model):
    """It gives token states, from which a user takes the first one or, as is declared, the mean."""
    extract = pipeline("feature-extraction", model=str(bert), tokenizer=str(bert))

    def embed(texts):
        found = [torch.tensor(extract(text))[0] for text in texts]
        vectors = torch.stack([one[row] if row is not None else one.mean(dim=0) for one in found])
        return torch.nn.functional.normalize(vectors, dim=1).numpy()

    report = audit.audit(audit.load(str(model)), *served.ask(embed))
    assert report.code == code, report.line


def test_the_library_takes_the_mean_where_nothing_is_declared(bert, tiny_gpt2):
    """So says `declared.likely`."""
    for folder in (bert, tiny_gpt2):
        assert SentenceTransformer(str(folder))[1].pooling_mode == "mean"
