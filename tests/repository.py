"""The working tree as a git repository of its own, with a commit and the release's tag: what a stranger would clone."""

import shutil
import subprocess
from pathlib import Path

from tools.project import RELEASE_TAG, ROOT

BUILT = shutil.ignore_patterns(".git", ".venv", "build", "_build", "chapters", "made", "my_answers", "__pycache__",
                               "*.egg-info", ".*_cache", ".hypothesis", ".ipynb_checkpoints")  # fmt: skip


def copied(folder: Path) -> Path:
    """Copy what belongs to the repository into a folder."""
    return shutil.copytree(ROOT, folder, ignore=BUILT)


def committed(folder: Path) -> Path:
    """The same, committed and tagged."""
    git = ["git", "-C", str(copied(folder)), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "the course"], ["tag", RELEASE_TAG]):
        subprocess.run([*git, *command], check=True)
    return folder
