"""Sources: what comes in is checked, and what cannot come in is said in one sentence."""

import hashlib
import os
import subprocess
import sys

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from helpers import checkpoints, sources
from helpers.sources import Hub, Package, from_hub, from_package, sha256_of, unknown

REPO = Hub("someone/model", "0123456789abcdef0123456789abcdef01234567")


@pytest.fixture(autouse=True)
def no_local_hub(monkeypatch):
    monkeypatch.delenv("COURSE_HUB_FOLDER", raising=False)


@pytest.fixture
def package(tmp_path, monkeypatch) -> Package:
    folder = tmp_path / "a_tiny_package"
    (folder / "files").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('the package was imported')")
    (folder / "files" / "a.txt").write_text("contents of a")
    monkeypatch.syspath_prepend(tmp_path)
    checksum = hashlib.sha256(b"contents of a").hexdigest()
    return Package("a-tiny-package", "1.2", "a_tiny_package", "files", {"a.txt": checksum})


def test_sha256_by_hand(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # the example of FIPS 180
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_whole_package_gives_its_folder_and_is_not_imported(package, tmp_path):
    assert from_package(package) == tmp_path / "a_tiny_package" / "files"
    assert "a_tiny_package" not in sys.modules


@pytest.mark.parametrize("content", [b"", b"contents of b", b"contents of a\n", None])
def test_any_other_content_is_refused(package, tmp_path, content):
    file = tmp_path / "a_tiny_package" / "files" / "a.txt"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(ValueError, match=r"a.txt of a-tiny-package is damaged.*Run: pip install .*a-tiny-package==1.2"):
        from_package(package)


def test_a_missing_package_is_said_with_its_command():
    missing = Package("no-such-package", "1.0", "no_such_module_anywhere", "files", {})
    with pytest.raises(ModuleNotFoundError, match="no-such-package 1.0 is not installed. Run: pip install"):
        from_package(missing)


@pytest.mark.parametrize("package", [sources.MINILM, sources.REVIEWS], ids=lambda package: package.distribution)
def test_the_pinned_checksums_are_those_of_the_installed_files(package):
    folder = from_package(package)
    assert max((folder / name).stat().st_size for name in package.sha256) > 10_000_000, "the main file"


def test_every_file_that_makes_the_encoder_is_pinned():
    # One word in config.json, gelu or relu, gives other token states from the same weights.
    folder = from_package(sources.MINILM)
    read = {path.name for pattern in checkpoints.FILES for path in folder.glob(pattern)}
    assert read == set(sources.MINILM.sha256)


def test_the_nearest_name_is_suggested_only_when_one_is_near():
    assert str(unknown("pooling", "men", ["mean", "max"])).endswith("choose one of mean, max. Did you mean 'mean'?")
    assert str(unknown("pooling", "qqq", ["mean", "max"])) == "Unknown pooling 'qqq': choose one of mean, max."
    assert "Unknown pooling None" in str(unknown("pooling", None, ["mean"]))


# The hub


def test_a_local_folder_stands_in_for_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HUB_FOLDER", str(tmp_path))
    monkeypatch.setattr(sources, "snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    (tmp_path / "someone" / "model").mkdir(parents=True)
    assert from_hub(REPO, ["*"]) == tmp_path / "someone" / "model"


def test_the_hub_is_asked_for_the_pinned_revision_and_no_more_files_than_needed(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setenv("COURSE_HUB_FOLDER", str(tmp_path))  # it holds other repositories only
    monkeypatch.setattr(
        sources, "snapshot_download", lambda name, **how: asked.append((name, how)) or str(tmp_path / "snapshot")
    )
    assert from_hub(Hub("someone/texts", REPO.revision, "dataset"), ["*.parquet"]) == tmp_path / "snapshot"
    how = {"repo_type": "dataset", "revision": REPO.revision, "allow_patterns": ["*.parquet"]}
    assert asked == [("someone/texts", how)]


def said_of(error: ConnectionError) -> None:
    sentence = str(error)
    assert "someone/model" in sentence and REPO.revision in sentence and "\n" not in sentence
    assert "COURSE_HUB_FOLDER=" in sentence and "scale='laptop'" in sentence


def test_an_offline_machine_gets_one_clear_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConnectionError) as caught:
        from_hub(REPO, ["*"])
    said_of(caught.value)


@pytest.mark.parametrize("raised", [OSError("no route"), LocalEntryNotFoundError("nothing kept"), TimeoutError()])
def test_whatever_the_network_does_it_is_one_clear_sentence(raised, monkeypatch):
    def fails(*_, **__):
        raise raised

    monkeypatch.setattr(sources, "snapshot_download", fails)
    with pytest.raises(ConnectionError) as caught:
        from_hub(REPO, ["*"])
    said_of(caught.value)
    assert type(raised).__name__ in str(caught.value) and caught.value.__cause__ is raised


# Importing


IMPORTS = """
import os, sys
# What the helpers lean on may read what it likes: its imports come first.
import datasets, ipywidgets, IPython, matplotlib.pyplot, pandas.io.formats.style, seaborn, torch, transformers
import sklearn.feature_extraction.text, sklearn.linear_model, sklearn.pipeline
import statsmodels.stats.contingency_tables, statsmodels.stats.multitest
from transformers import AutoModel, AutoTokenizer, PreTrainedModel

def watch(event, details):
    if event in ("os.mkdir", "os.rename", "os.remove", "socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        print("REFUSED", event, details)
    if event == "open":
        path = str(details[0])
        # Code, and the version of a library that is loaded only now.
        if not path.endswith((".py", ".pyc", ".so", ".zip", "METADATA")) and "__pycache__" not in path:
            print("REFUSED", event, path)

sys.dont_write_bytecode = True
sys.addaudithook(watch)
for name in sys.argv[1:]:
    __import__(f"helpers.{name}")
open(os.devnull)
"""
MODULES = ["checks", "course", "data", "encoders", "evaluation", "figures", "heads", "pooling", "widgets"]


def test_importing_the_helpers_opens_no_file_makes_no_folder_and_asks_no_network(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", IMPORTS, *MODULES], capture_output=True, text=True,
        env={**os.environ, "COURSE_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    # The last line is the watcher's own: it does see a file that is opened.
    assert run.stdout.splitlines() == [f"REFUSED open {os.devnull}"]
    assert list(tmp_path.iterdir()) == []


def test_a_local_hub_that_is_no_folder_is_not_passed_over(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_HUB_FOLDER", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="COURSE_HUB_FOLDER is .*nowhere.*, which is no folder"):
        sources.from_hub(sources.Hub("owner/name", "a" * 40), ["*.json"])
