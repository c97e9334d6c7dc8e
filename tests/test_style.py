"""Style and the direction of imports hold in the whole repository."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.project import ROOT

LINT_IMPORTS = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"


def python(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True)


def test_ruff_has_nothing_to_say():
    run = python("-m", "ruff", "check", ".")
    assert run.returncode == 0, run.stdout


def test_no_import_runs_backwards():
    run = python("-c", LINT_IMPORTS)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("module, backwards", [("pooling", "from helpers import heads"), ("course", "import tools")])
def test_an_import_that_runs_backwards_is_caught(tmp_path, module, backwards):
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    for package in ("helpers", "tools", "tests"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    for name in ("course", "pooling", "heads"):
        (tmp_path / "helpers" / f"{name}.py").touch()
    assert python("-c", LINT_IMPORTS, folder=tmp_path).returncode == 0
    (tmp_path / "helpers" / f"{module}.py").write_text(backwards)
    run = python("-c", LINT_IMPORTS, folder=tmp_path)
    assert run.returncode == 1 and "BROKEN" in run.stdout


def test_a_comparison_that_nobody_asserts_is_an_error(tmp_path):
    (tmp_path / "test_idle.py").write_text("def test_idle():\n    1 == 2\n")
    run = python("-m", "ruff", "check", "--no-cache", "--config", str(ROOT / "pyproject.toml"), str(tmp_path))
    assert run.returncode == 1 and "B015" in run.stdout
