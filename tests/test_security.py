"""What comes from elsewhere is data: it is compared with its checksum, and nothing of it is run."""

import ast
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers import (
    audit,
    cache,
    checkpoints,
    data,
    declared,
    doses,
    encoders,
    grid,
    records,
    sources,
    tasks,
    trained,
)  # fmt: skip
from tests.serving import declare
from tests.syntax import CODE, TREES, calls
from tools import bundle
from tools.pretrain_mini_pair import read_checkpoint
from tools.project import MODELS, ROOT, SOURCES

pytestmark = pytest.mark.usefixtures("own_cache")

TEXTS = ["a fine film , warm and funny", "a dull film"]


# A pickle that makes a file when it is opened


class Trap:
    """Whoever unpickles it opens a file for writing."""

    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")

    def pickled(self) -> bytes:
        return pickle.dumps(self)

    def saved(self) -> bytes:
        """As torch keeps weights: a zip archive with a pickle in it."""
        kept = io.BytesIO()
        torch.save({"trap": self}, kept)
        return kept.getvalue()


@pytest.fixture
def trap(tmp_path):
    """The pickle; at the end of a test nobody may have opened it."""
    trap = Trap(tmp_path / "opened")
    yield trap
    assert not trap.marker.exists(), "a pickle was opened"


def test_the_trap_is_a_trap(tmp_path):
    one, other = Trap(tmp_path / "one"), Trap(tmp_path / "other")
    pickle.loads(one.pickled()).close()
    torch.load(io.BytesIO(other.saved()), weights_only=False)["trap"].close()
    assert one.marker.exists() and other.marker.exists()


def states(tiny_bert, _) -> object:
    return encoders.encode(encoders.load(str(tiny_bert)), TEXTS, 32).values.tolist()


def groups(*_) -> object:
    return data._cached_groups(pd.Series(["a b"] * 2 + ["c d"]), "three texts").tolist()


def classifier(tiny_bert, _) -> object:
    settings = grid.Settings(
        "smoke", {str(tiny_bert): 1e-3}, (), {"rotten_tomatoes": 16}, labels={"rotten_tomatoes": (16,)},
        validation=16, test=24, seeds=1, poolings=("mean",),
    )  # fmt: skip
    run = grid.Run(str(tiny_bert), "mean", "fine-tuned", "rotten_tomatoes", 16, 0)
    return sorted(trained.classifier(run, settings).state_dict())


def documentation(_, monkeypatch) -> object:
    monkeypatch.setattr(tasks, "LIBRARIES", {"validation": ("seaborn",)})
    return tasks.summaries("validation").to_list()


READERS = {"states": states, "splits": groups, "tuned": classifier, "tasks": documentation}


def test_every_folder_of_the_cache_is_tried():
    assert set(READERS) == set(cache.FOLDERS)


@pytest.mark.parametrize("form", ["pickled", "saved"])
@pytest.mark.parametrize("name", [pytest.param("tuned", marks=pytest.mark.slow), *sorted(READERS.keys() - {"tuned"})])
def test_a_pickle_in_the_cache_is_not_opened_and_what_it_replaced_is_made_again(
    name, form, tiny_bert, own_cache, trap, in_float32, monkeypatch
):
    first = READERS[name](tiny_bert, monkeypatch)
    paths = [path for path in (own_cache / name).rglob("*") if path.is_file()]
    assert paths and first
    for path in paths:
        path.write_bytes(getattr(trap, form)())
    assert READERS[name](tiny_bert, monkeypatch) == first
    now = [path.read_bytes() for path in (own_cache / name).rglob("*") if path.is_file()]
    assert now and getattr(trap, form)() not in now


WEIGHTS = "model.safetensors"


def misled(folder: Path, trap: Trap) -> None:
    """An index of shards that sends the reader to a pickle."""
    (folder / "pytorch_model.bin").write_bytes(trap.saved())
    (folder / WEIGHTS).rename(folder / "model-00001-of-00002.safetensors")
    shards = {"embeddings.word_embeddings.weight": "pytorch_model.bin",
              "pooler.dense.bias": "model-00001-of-00002.safetensors"}  # fmt: skip
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": shards}))


PLANTS = {
    "weights": lambda folder, trap: (folder / WEIGHTS).write_bytes(trap.pickled()),
    "weights as torch keeps them": lambda folder, trap: (folder / WEIGHTS).write_bytes(trap.saved()),
    "only pickled weights": lambda folder, trap: (folder / WEIGHTS).rename(folder / "pytorch_model.bin").write_bytes(
        trap.saved()
    ),
    "an index to a pickle": misled,
    "the tokenizer": lambda folder, trap: (folder / "tokenizer.json").write_bytes(trap.pickled()),
    "the configuration": lambda folder, trap: (folder / "config.json").write_bytes(trap.pickled()),
}


@pytest.mark.parametrize("what", PLANTS)
def test_a_model_folder_with_a_pickle_in_place_of_a_file_is_refused_unread(what, tiny_bert, tmp_path, trap):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "model"))
    PLANTS[what](folder, trap)
    with pytest.raises((ValueError, OSError), match="damaged|holds no model.*safetensors|not a valid JSON file"):
        encoders.load(str(folder))


BESIDE = ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "scheduler.pkl", "adapter_model.bin", "vocab.pkl",
          "tokenizer.bin")  # fmt: skip


def test_pickles_beside_a_whole_model_are_not_opened(tiny_bert, tmp_path, trap):
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "model"))
    for name in BESIDE:
        (folder / name).write_bytes(trap.saved())
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else", "peft_type": "LORA"}')
    found, expected = (encoders.load(str(one)).model.state_dict() for one in (folder, tiny_bert))
    assert all(torch.equal(part, found[name]) for name, part in expected.items())


MEAN = {"pooling_mode": "mean", "embedding_dimension": 32}


def dense_pickle(folder: Path, trap: Trap) -> None:
    (folder / "2_Dense" / WEIGHTS).write_bytes(trap.pickled())


def dense_bin(folder: Path, trap: Trap) -> None:
    (folder / "2_Dense" / WEIGHTS).unlink()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(trap.saved())


def own_module(folder: Path, trap: Trap) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = "own_pooling.Pooling"
    (folder / "modules.json").write_text(json.dumps(modules))
    payload(folder / "own_pooling.py", trap.marker)


def own_activation(folder: Path, trap: Trap) -> None:
    config = json.loads((folder / "2_Dense" / "config.json").read_text())
    (folder / "2_Dense" / "config.json").write_text(json.dumps(config | {"activation_function": "own_module.Tanh"}))
    payload(folder / "own_module.py", trap.marker)


def payload(path: Path, marker: Path) -> None:
    """A Python file that shows that it was run, with all the classes that it may be asked for."""
    path.write_text(
        f"open({str(marker)!r}, 'w')\n"
        "from transformers import BertConfig, BertModel, PreTrainedTokenizerFast\n"
        "from torch.nn import Tanh\nfrom sentence_transformers.sentence_transformer.modules import Pooling\n"
        "class Config(BertConfig):\n    model_type = 'own'\n"
        "class Model(BertModel):\n    config_class = Config\n"
        "class Tokenizer(PreTrainedTokenizerFast):\n    pass\n"
    )


@pytest.fixture
def sentences(tiny_bert, tmp_path, monkeypatch) -> Path:
    """A sentence-transformers folder with a Dense module, and Python could import modules from it."""
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "model"))
    monkeypatch.syspath_prepend(folder)
    return declare(folder, MEAN, dense=[(np.eye(32, dtype=np.float32), None)])


def test_the_folder_that_is_spoiled_below_can_be_audited(sentences):
    assert audit.main([str(sentences), "--sentence-transformers"]) == 0


@pytest.mark.parametrize("plant", [dense_pickle, dense_bin, own_module, own_activation])
def test_what_an_audit_reads_is_never_run(plant, sentences, trap, capsys):
    plant(sentences, trap)
    with pytest.raises(ValueError):
        declared.read(sentences)
    assert audit.main([str(sentences), "--sentence-transformers"]) == audit.CODES[audit.CANNOT_TELL]
    assert "could not be tested" in capsys.readouterr().out


def test_pickled_vectors_are_refused(trap, tmp_path, tiny_bert, capsys):
    np.save(tmp_path / "v.npy", np.array([trap], dtype=object), allow_pickle=True)
    (tmp_path / "t.txt").write_text("a\n")
    asked = [str(tiny_bert), "--vectors", str(tmp_path / "v.npy"), "--texts", str(tmp_path / "t.txt")]
    assert audit.main(asked) == audit.CODES[audit.CANNOT_TELL]
    assert "no array of numbers" in capsys.readouterr().out


def test_a_pickle_in_place_of_results_or_of_a_checkpoint_is_refused(trap, tmp_path):
    for path in (records.RESULTS / "grid_laptop.csv", records.RESULTS / "grid_laptop.safetensors"):
        shutil.copy(path, tmp_path)
    (tmp_path / "grid_laptop.safetensors").write_bytes(trap.pickled())
    with pytest.raises(ValueError, match="missing or damaged"):
        records.Table("laptop", tmp_path)
    (tmp_path / "grid_laptop.csv").write_bytes(trap.pickled())
    with pytest.raises(ValueError, match="is no table"):
        records.Table("laptop", tmp_path)
    (tmp_path / "checkpoint").write_bytes(trap.saved())
    with pytest.raises(ValueError, match="is damaged"):
        read_checkpoint(tmp_path / "checkpoint")


# Code that comes with a model


def mapped(folder: Path, name: str, **more: str) -> None:
    classes = {"AutoConfig": "own.Config", "AutoModel": "own.Model", "AutoTokenizer": ["own.Tokenizer"] * 2}
    config = json.loads((folder / name).read_text()) | {"auto_map": classes} | more
    (folder / name).write_text(json.dumps(config))


@pytest.fixture
def with_code(tiny_bert, tmp_path) -> Path:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "model"))
    payload(folder / "own.py", tmp_path / "opened")
    return folder


def test_a_model_that_is_nothing_without_its_code_is_refused(with_code, trap, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked whether to run it"))
    mapped(with_code, "config.json", model_type="own")
    with pytest.raises(ValueError, match="needs custom code that comes with it, which the course never runs") as caught:
        encoders.load(str(with_code))
    assert "\n" not in str(caught.value) and "trust_remote_code" not in str(caught.value)


def test_a_model_of_a_known_type_is_loaded_without_its_code(with_code, trap, tiny_bert):
    mapped(with_code, "config.json")
    mapped(with_code, "tokenizer_config.json", tokenizer_class="Tokenizer")
    (with_code / "sentence_bert_config.json").write_text('{"model_args": {"trust_remote_code": true}}')
    declare(with_code, MEAN)
    found = encoders.load(str(with_code))
    assert type(found.model).__module__.startswith("transformers.models.")
    assert type(found.tokenizer).__module__.startswith("transformers.")
    assert audit.main([str(with_code), "--sentence-transformers"]) == 0


# What the code itself may not do

PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def dangers(code: str) -> list[str]:
    """Return what could run what it reads, by name."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            found += [name for name in names if name.split(".")[0] in PICKLES]
        if isinstance(node, ast.Dict):  # settings that are given with ** later
            pairs = zip(node.keys, node.values, strict=True)
            found += [key.value for key, value in pairs if _is(key, "trust_remote_code") and not _is(value, False)]
        if not isinstance(node, ast.Call):
            continue
        given = {word.arg: word.value for word in node.keywords}
        found += ["trust_remote_code"] if not _is(given.get("trust_remote_code", ast.Constant(False)), False) else []
        found += ["allow_pickle"] if "allow_pickle" in given and not _is(given["allow_pickle"], False) else []
        found += ["shell"] if "shell" in given and not _is(given["shell"], False) else []
        name = ast.unparse(node.func)
        last = name.split(".")[-1]
        if name in ("eval", "exec", "compile", "__import__", "os.system") or last in ("read_pickle", "load_dataset"):
            found.append(last)
        elif name == "torch.load" and not _is(given.get("weights_only"), True):
            found.append(name)
        elif name == "yaml.load":
            found.append(name)
        elif last == "from_pretrained" and node.args and isinstance(node.args[0], ast.Constant):
            found.append("from_pretrained of a hub id")
    return found


def _is(node: ast.expr | None, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value == value and type(node.value) is type(value)


@pytest.mark.parametrize("code,told", [
    ("import pickle", "pickle"), ("from joblib import load", "joblib"), ("torch.load(path)", "torch.load"),
    ("torch.load(path, weights_only=False)", "torch.load"), ("np.load(path, allow_pickle=True)", "allow_pickle"),
    ("eval(text)", "eval"), ("exec(text)", "exec"), ("pd.read_pickle(path)", "read_pickle"),
    ("AutoModel.from_pretrained(path, trust_remote_code=True)", "trust_remote_code"),
    ("how = {'trust_remote_code': yes}", "trust_remote_code"), ("run(line, shell=True)", "shell"),
    ("AutoModel.from_pretrained('someone/model')", "from_pretrained of a hub id"), ("yaml.load(text)", "yaml.load"),
])  # fmt: skip
def test_a_danger_is_seen_where_there_is_one(code, told):
    assert dangers(code) == [told]


@pytest.mark.parametrize("code", ["torch.load(path, weights_only=True)", "np.load(path, allow_pickle=False)",
                                  "model.eval()", "re.compile(text)", "f(trust_remote_code=False)"])  # fmt: skip
def test_none_is_seen_where_there_is_none(code):
    assert dangers(code) == []


@pytest.mark.parametrize("path", CODE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_code_of_the_course_could_run_what_it_reads(path):
    # A chapter's first cell fetches the course on Colab, by one line for the shell that is written there.
    assert dangers(path.read_text(encoding="utf-8")) == ["shell"] * (path.parent == SOURCES)


def test_everything_of_the_hub_is_pinned_to_a_commit_and_fetched_in_one_place():
    seen = []
    for path, tree in TREES.items():
        for call in calls(tree, "Hub"):
            given = [one.value if isinstance(one, ast.Constant) else ast.unparse(one) for one in call.args]
            if given != ["name", "revision"]:  # a learner's own, whose revision `encoders.folder` asks for
                assert re.fullmatch("[0-9a-f]{40}", given[1]), f"{path.name}: {given}"
                seen.append(given[0])
        fetching = calls(tree, "snapshot_download", "hf_hub_download", "load_dataset", "hf_hub_url", "urlretrieve")
        assert [ast.unparse(one.func) for one in fetching] == ["snapshot_download"] * (path.name == "sources.py")
    known = [*encoders.REGISTRY.values(), *data.HUB.values(), *tasks.HUB.values()]
    assert sorted(seen) == sorted(one.repo_id for one in known if isinstance(one, sources.Hub)) and len(seen) >= 6


# Embedded files: compared with their checksum before anything reads them

PACKAGES = [
    (sources.REVIEWS, lambda: data.load("imdb", "test", "smoke")), (sources.MINILM, lambda: encoders.load("minilm")),
    (sources.SMOLLM2, lambda: encoders.load("smollm2")), (doses.LEXICON, doses.lexicon),
]  # fmt: skip
FILES = [(package, name, read) for package, read in PACKAGES for name in package.sha256]


def test_every_package_of_files_is_tried():
    written = [call.args[0].value for tree in TREES.values() for call in calls(tree, "Package")]
    assert sorted(written) == sorted(package.distribution for package, _ in PACKAGES)


@pytest.fixture
def unread(monkeypatch):
    """Whoever parses a file fails."""
    for where, what in ((pd, "read_csv"), (checkpoints, "read"), (Path, "read_text"), (Path, "read_bytes")):
        monkeypatch.setattr(where, what, lambda *_, what=what, **__: pytest.fail(f"{what} before the checksum"))


def changed(path: Path, target: Path) -> None:
    """Copy a file with one bit of one byte in its middle turned round."""
    shutil.copyfile(path, target)
    with open(target, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("package,name,read", FILES, ids=[f"{one.distribution}-{name}" for one, name, _ in FILES])
def test_one_changed_bit_in_an_embedded_file_is_refused_before_it_is_parsed(
    package, name, read, tmp_path, monkeypatch, request
):
    try:
        real = sources.from_package(package)
    except ModuleNotFoundError:
        pytest.skip(f"{package.distribution} is not installed")
    folder = tmp_path / package.module / package.folder
    folder.mkdir(parents=True)
    (tmp_path / package.module / "__init__.py").touch()
    for other in package.sha256:
        changed(real / other, folder / other) if other == name else os.symlink(real / other, folder / other)
    monkeypatch.delitem(sys.modules, package.module, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    request.getfixturevalue("unread")
    with pytest.raises(ValueError, match=f"{re.escape(name)} of {package.distribution} is damaged"):
        read()


OWN = {name: folder for name, folder in encoders.REGISTRY.items() if isinstance(folder, Path)}


def test_every_file_that_makes_a_model_of_the_course_has_a_checksum():
    assert set(OWN.values()) == {path for path in MODELS.iterdir() if path.is_dir()}
    for name, folder in OWN.items():
        summed = {line.split()[1] for line in (folder / sources.SUMS).read_text(encoding="utf-8").splitlines()}
        read = {path.name for pattern in checkpoints.FILES for path in folder.glob(pattern)}
        assert {WEIGHTS, "config.json", "tokenizer.json"} <= read <= summed, name
        assert encoders.folder(name) == folder


@pytest.mark.parametrize("name", ["config.json", WEIGHTS, "tokenizer.json", "tokenizer_config.json"])
def test_one_changed_bit_in_a_model_of_the_course_is_refused_before_it_is_parsed(name, tmp_path, monkeypatch):
    real, folder = OWN["mini-bert-2x64"], tmp_path / "mini-bert-2x64"
    shutil.copytree(real, folder)
    changed(real / name, folder / name)
    monkeypatch.setitem(encoders.REGISTRY, "mini-bert-2x64", folder)
    monkeypatch.setattr(checkpoints, "read", lambda *_: pytest.fail("parsed before the checksum"))
    with pytest.raises(ValueError, match=f"{name} of mini-bert-2x64 is damaged.*git checkout helpers/models"):
        encoders.load("mini-bert-2x64")


# Archives


def test_the_course_unpacks_in_one_place_and_only_what_stays_in_its_folder():
    for path, tree in TREES.items():
        unpacking = [ast.unparse(call) for call in calls(tree, "extract", "extractall", "unpack_archive")]
        assert unpacking == ["packed.extractall(folder, filter='data')"] * (path.name == "bundle.py"), path.name
        for call in calls(tree, "ZipFile"):
            assert ast.unparse(call.args[1]) == "'w'", f"{path.name} reads a zip archive"


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, target, 4 if kind == tarfile.REGTYPE else 0
    return found


HOSTILE = {
    "upwards": [member("../outside")], "absolute": [member("ABSOLUTE/outside")],
    "a link upwards": [member("link", tarfile.SYMTYPE, ".."), member("link/outside")],
    "an absolute link": [member("link", tarfile.SYMTYPE, "ABSOLUTE"), member("link/outside")],
    "a hard link": [member("link", tarfile.LNKTYPE, "../secret")], "a device": [member("pipe", tarfile.FIFOTYPE)],
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_an_archive_cannot_write_outside_of_its_folder(name, tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("kept")

    def archive(command: list[str], **_: object) -> subprocess.CompletedProcess:
        with tarfile.open(command[command.index("--output") + 1], "w") as packed:
            for one in HOSTILE[name]:
                one = one.replace(name=one.name.replace("ABSOLUTE", str(tmp_path)),
                                  linkname=one.linkname.replace("ABSOLUTE", str(tmp_path)))  # fmt: skip
                packed.addfile(one, io.BytesIO(b"evil") if one.isreg() else None)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(bundle.subprocess, "run", archive)
    try:
        bundle.course(tmp_path, tmp_path / "unpacked")
    except tarfile.FilterError:
        pass
    else:
        assert name == "absolute" and list((tmp_path / "unpacked").rglob("outside")), "kept inside"
    assert {path.name for path in tmp_path.iterdir()} <= {"secret", "unpacked", "unpacked.tar", "progress", "cache"}
    assert (tmp_path / "secret").read_text() == "kept" and os.stat(tmp_path / "secret").st_nlink == 1


# Dependencies


PINS = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")]  # fmt: skip
NAMES = [canonicalize_name(Requirement(line).name) for line in PINS]


def test_the_constraints_are_a_list_that_pip_audit_takes_as_it_is():
    # With --disable-pip it takes exact versions only, and no name twice; no address, no option, no file.
    for line in PINS:
        one = Requirement(line)
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+-]+", line), line
        assert one.url is None and not one.marker and not one.extras
    assert len(NAMES) == len(set(NAMES))


def test_whatever_the_course_needs_and_whatever_that_needs_is_pinned():
    """From the course's own requirements along those of what is installed, here and now."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for name, group in project["optional-dependencies"].items() for line in group]
    left, seen = [Requirement(line) for line in [*project["dependencies"], *extras]], set()
    while left:
        one = left.pop()
        name = canonicalize_name(one.name)
        if (name, frozenset(one.extras)) in seen:
            continue
        seen.add((name, frozenset(one.extras)))
        assert name in NAMES, f"{name} is not pinned"
        try:
            needed = metadata.requires(one.name) or []
        except metadata.PackageNotFoundError:  # an optional one
            continue
        for line in needed:
            then = Requirement(line)
            environments = [{"extra": extra} for extra in (*one.extras, "")]
            if not then.marker or any(then.marker.evaluate(environment) for environment in environments):
                left.append(then)
    assert len(seen) > 100


def test_how_to_audit_and_to_report_is_said_and_linked():
    said = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    repository = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
    assert f"{repository}/security/advisories/new" in said
    assert "pip-audit -r constraints.txt --disable-pip --no-deps" in said
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("damage", [
    lambda sums: "", lambda sums: "\n".join(line for line in sums.splitlines() if "safetensors" not in line),
    lambda sums: "garbage", lambda sums: sums.replace("  ", " *"),
], ids=["empty", "a line is missing", "garbage", "another format"])  # fmt: skip
def test_a_list_of_checksums_that_is_damaged_is_believed_of_nothing(damage, tmp_path):
    folder = Path(shutil.copytree(encoders.REGISTRY["mini-bert-2x64"], tmp_path / "mini-bert-2x64"))
    assert sources.from_repository(folder) == folder
    (folder / sources.SUMS).write_text(damage((folder / sources.SUMS).read_text()))
    with pytest.raises(ValueError, match=f"{sources.SUMS} of mini-bert-2x64 has no line for .* git checkout"):
        sources.from_repository(folder)
