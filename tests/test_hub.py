"""The hub path, without the hub: `full`'s own code over a local folder and over an HTTP stand-in."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import huggingface_hub
import pandas as pd
import pytest
import torch

from helpers import data, encoders
from helpers.encoders import encode, load
from tests.conftest import save_bert
from tests.hub import Hub, serve
from tools.project import ROOT

pytestmark = pytest.mark.slow

TEXTS = ["a fine film", "dull , slow and far too long"]
BERT, GPT2 = encoders.REGISTRY["bert-base"], encoders.REGISTRY["gpt2"]
OTHER = "f" * 40  # a revision that nobody pinned

#: `full`'s own path, in a process that knows the stand-in's address from the environment alone.
FULL = """
import json, sys
from helpers import data, encoders
said = {}
for name in ("bert-base", "gpt2"):
    encoder = encoders.load(name)
    states = encoders.encode(encoder, sys.argv[1:], 32)
    said[name] = [encoder.fingerprint, float(states.values.float().abs().sum())]
for name in ("imdb", "rotten_tomatoes"):
    said[name] = [data.load(name, split, "full")["text"][:] for split in ("train", "validation", "test")]
print(json.dumps(said))
"""


@pytest.fixture(autouse=True)
def own_hub_folder(own_cache, monkeypatch):
    monkeypatch.delenv("COURSE_HUB_FOLDER", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)


@pytest.fixture(scope="session")
def contents(tiny_bert, tiny_gpt2, tmp_path_factory) -> dict[tuple[str, str, str], Path]:
    """What a hub holds: the pinned revision of each repository, and another one of the BERT."""
    folder = tmp_path_factory.mktemp("hub")
    changed = save_bert(folder / "changed")
    config = json.loads((changed / "config.json").read_text()) | {"hidden_act": "relu"}
    (changed / "config.json").write_text(json.dumps(config))
    held = {
        ("models", BERT.repo_id, BERT.revision): tiny_bert,
        ("models", BERT.repo_id, OTHER): changed,
        ("models", GPT2.repo_id, GPT2.revision): tiny_gpt2,
    }
    for name, hub in data.HUB.items():
        target = folder / name / "plain_text"
        target.mkdir(parents=True)
        splits = ("train", "test") if name == "imdb" else ("train", "validation", "test")
        for split in splits:
            rows = [{"text": f"{name} {split} text number {row}", "label": row % 2} for row in range(40)]
            pd.DataFrame(rows).to_parquet(target / f"{split}-00000-of-00001.parquet")
        held["datasets", hub.repo_id, hub.revision] = folder / name
    return held


@pytest.fixture
def hub(contents, tmp_path, monkeypatch):
    """The stand-in, at the address where this process looks for the hub, with nothing downloaded yet."""
    hub = Hub(contents)
    with serve(hub) as address:
        constants = huggingface_hub.constants
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "downloads"))
        monkeypatch.setattr(time, "sleep", lambda _: None)  # the library waits before it tries again
        yield hub


def plain_environment(folder: Path) -> dict[str, str]:
    """Nothing of the user's own settings for the hub or for the course."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "COURSE_"))}
    return plain | {"HF_HOME": str(folder / "home"), "COURSE_CACHE": str(folder / "states")}


def run_full(environment: dict[str, str], folder: Path) -> dict:
    run = subprocess.run(
        [sys.executable, "-c", FULL, *TEXTS], cwd=ROOT, env=plain_environment(folder) | environment,
        capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def copy_of(contents: dict[tuple[str, str, str], Path], target: Path) -> Path:
    """Put the pinned revisions where `COURSE_HUB_FOLDER` wants them."""
    for (_, repo_id, revision), folder in contents.items():
        if revision != OTHER:
            shutil.copytree(folder, target / repo_id)
    return target


def test_the_full_scale_over_http_is_what_the_files_hold(contents, tmp_path, tiny_bert, tiny_gpt2):
    hub = Hub(contents)
    with serve(hub) as address:
        over_http = run_full({"HF_ENDPOINT": address}, tmp_path / "http")
        asked = len(hub.asked)
        said_again = run_full({"HF_ENDPOINT": address}, tmp_path / "http")
    for name, folder in (("bert-base", tiny_bert), ("gpt2", tiny_gpt2)):
        own = load(str(folder))
        assert over_http[name][0] == own.fingerprint
        # The other process may compute in bfloat16: 8 bits of states of size 1, over some 1,500 of them.
        assert over_http[name][1] == pytest.approx(float(encode(own, TEXTS, 32).values.float().abs().sum()), rel=2**-7)
    published = [f"rotten_tomatoes validation text number {row}" for row in range(40)]
    assert sorted(over_http["rotten_tomatoes"][1]) == sorted(published)
    assert len(over_http["imdb"][2]) == 40 and over_http["imdb"][1], "published test texts, and a validation part"
    assert said_again == over_http
    assert not any("GET" in line and "/resolve/" in line for line in hub.asked[asked:]), "downloaded twice"


def test_the_full_scale_from_a_local_folder_asks_nobody(contents, tmp_path):
    hub = Hub(contents)
    with serve(hub) as address:
        over_http = run_full({"HF_ENDPOINT": address}, tmp_path / "http")
    local = copy_of(contents, tmp_path / "local")
    # Nothing listens at port 9 (discard): whoever asked would fail.
    from_folder = run_full({"HF_ENDPOINT": "http://127.0.0.1:9", "COURSE_HUB_FOLDER": str(local)}, tmp_path / "folder")
    assert from_folder == over_http


def test_only_the_pinned_revision_is_asked_for(hub, tiny_bert):
    assert load("bert-base").fingerprint == load(str(tiny_bert)).fingerprint
    paths = [line for line in hub.asked if BERT.repo_id in line]
    assert paths and all(BERT.revision in line for line in paths)


def test_another_revision_is_another_model(hub, contents):
    changed = load(BERT.repo_id, revision=OTHER)
    assert changed.fingerprint == load(str(contents["models", BERT.repo_id, OTHER])).fingerprint
    assert changed.fingerprint != load("bert-base").fingerprint


def test_a_download_that_breaks_off_is_taken_up_again(hub, tiny_gpt2):
    hub.cut = {"model.safetensors": 2}
    encoder = load("gpt2")
    assert hub.cut["model.safetensors"] == 0, "it did break off, twice"
    assert torch.equal(encode(encoder, TEXTS, 32).values, encode(load(str(tiny_gpt2)), TEXTS, 32).values)


def test_a_download_that_always_breaks_off_is_one_clear_sentence_and_leaves_nothing_to_believe(hub, tiny_gpt2):
    hub.cut = {"model.safetensors": 1000}
    with pytest.raises(ConnectionError, match="Could not fetch the model openai-community/gpt2.*COURSE_HUB_FOLDER"):
        load("gpt2")
    hub.cut = {}
    assert load("gpt2").fingerprint == load(str(tiny_gpt2)).fingerprint


def test_a_process_killed_in_mid_download_leaves_nothing_half_read(contents, tmp_path, tiny_gpt2):
    hub = Hub(contents)
    with serve(hub) as address:
        hub.stall = "model.safetensors"
        environment = plain_environment(tmp_path) | {"HF_ENDPOINT": address}
        command = [sys.executable, "-c", "from helpers import encoders; print(encoders.load('gpt2').fingerprint)"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        assert hub.stalled.wait(120), "the download never began"
        process.kill()
        process.wait()
        hub.stall = ""
        hub.resume.set()
        run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.stdout.strip() == load(str(tiny_gpt2)).fingerprint, run.stderr


@pytest.mark.parametrize("status", [404, 503])
def test_a_server_that_refuses_is_one_clear_sentence(hub, status):
    hub.status = status
    with pytest.raises(ConnectionError) as caught:
        load("bert-base")
    sentence = str(caught.value)
    assert BERT.repo_id in sentence and BERT.revision in sentence and "\n" not in sentence
    assert "COURSE_HUB_FOLDER=" in sentence and "scale='laptop'" in sentence
    with pytest.raises(ConnectionError, match="dataset stanfordnlp/imdb"):
        data.load("imdb", "train", "full")


def test_a_revision_that_the_hub_does_not_have_is_said(hub):
    with pytest.raises(ConnectionError, match=f"{BERT.repo_id} at revision {'0' * 40}"):
        load(BERT.repo_id, revision="0" * 40)


def test_files_that_the_course_does_not_open_are_not_downloaded(contents, hub, tmp_path, tiny_gpt2):
    folder = Path(shutil.copytree(tiny_gpt2, tmp_path / "more"))
    for name in ("pytorch_model.bin", "tf_model.h5", "modeling_own.py"):
        (folder / name).write_bytes(b"x" * 100)
    hub.repositories = {**contents, ("models", GPT2.repo_id, GPT2.revision): folder}
    load("gpt2")
    fetched = {line.split("/resolve/")[1].split("/", 1)[1] for line in hub.asked if "/resolve/" in line}
    assert "model.safetensors" in fetched and not any(name.endswith((".bin", ".h5", ".py")) for name in fetched)


def test_what_the_hub_gave_is_checked_as_any_folder_is(contents, hub, tmp_path):
    folder = Path(shutil.copytree(contents["models", GPT2.repo_id, GPT2.revision], tmp_path / "bad"))
    (folder / "model.safetensors").write_bytes(b"\x00" * 1000)
    hub.repositories = {**contents, ("models", GPT2.repo_id, GPT2.revision): folder}
    with pytest.raises(ValueError, match="weights of 'gpt2' are damaged"):
        load("gpt2")
