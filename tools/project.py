"""Where things stand in the repository, and what pyproject.toml says about it."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "notebooks" / "source"
NOTEBOOKS = ROOT / "notebooks"
BUILD = ROOT / "build"
ANSWERS = ROOT / "my_answers"  # copies of notebooks that somebody has worked in
MODELS = ROOT / "helpers" / "models"  # the mini pair
RESULTS = ROOT / "helpers" / "results"
TIMINGS = RESULTS / "timings.csv"

_project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY_URL: str = _project["urls"]["Repository"]
RELEASE_TAG = f"v{_project['version']}"


def colab_url(name: str) -> str:
    """Return the address that opens one chapter of this release on Colab."""
    repository = REPOSITORY_URL.removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{repository}/blob/{RELEASE_TAG}/notebooks/{name}.ipynb"
