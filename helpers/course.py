"""A session of the course: its scale, seeds, hardware and versions, shown in one box."""

import os
import platform
import random
import subprocess
import sys
from dataclasses import dataclass
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar

import numpy as np
import torch
from IPython.display import display
from transformers.utils import logging as transformers_logging

from helpers.sources import MINILM, REVIEWS, unknown

SCALES = {
    "smoke": "a few dozen reviews, to see that everything runs",
    "laptop": "thousands of reviews from an installed package, no network",
    "full": "all reviews and the published models, from the hub",
}
SEED = 0
SHOWN = ("torch", "transformers", "datasets", "scikit-learn")
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
T = TypeVar("T")


@dataclass(frozen=True)
class Session:
    """What a chapter runs at.

    Attributes
    ----------
    scale : {"smoke", "laptop", "full"}
    seed : int
    device : {"cpu", "cuda"}
    """

    scale: str
    seed: int
    device: str

    def pick(self, *, smoke: T, laptop: T, full: T) -> T:
        """Return the value for this session's scale."""
        return {"smoke": smoke, "laptop": laptop, "full": full}[self.scale]

    def _lines(self) -> dict[str, str]:
        return {
            "scale": f"{self.scale} ({SCALES[self.scale]})",
            "hardware": f"{hardware()}, {torch.get_num_threads()} threads",
            "versions": ", ".join([f"Python {platform.python_version()}"] + [f"{n} {version(n)}" for n in SHOWN]),
            "seed": str(self.seed),
        }

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        lines = self._lines()
        cells = "".join(
            f'<tr><th scope="row" style="text-align:left;padding:2px 12px 2px 0">{key}</th>'
            f'<td style="text-align:left;padding:2px 0">{escape(value)}</td></tr>'
            for key, value in lines.items()
        )
        box = "border:1px solid currentColor;border-radius:6px;padding:6px 12px;display:inline-block"
        return {
            "text/html": f'<div style="{box}"><table style="border:0;margin:0">{cells}</table></div>',
            "text/plain": "\n".join(f"{key:<9} {value}" for key, value in lines.items()),
        }


def hardware() -> str:
    """Return the processor cores that may be used, and the GPU if there is one, in words."""
    return f"{cores()} CPU cores, {torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'}"


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start(scale: str | None = None) -> Session:
    """Start a chapter: choose the scale, set the seeds, show what it runs on.

    Parameters
    ----------
    scale : {"smoke", "laptop", "full"}, optional
        Else the environment variable ``COURSE_SCALE``, else ``laptop``.

    Raises
    ------
    ValueError
        Unknown scale (the nearest is suggested).
    """
    scale = scale or os.environ.get("COURSE_SCALE") or "laptop"
    if scale not in SCALES:
        raise unknown("scale", scale, list(SCALES))
    if "google.colab" in sys.modules:
        install_missing()
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    transformers_logging.disable_progress_bar()  # a bar for a model that loads in a blink is noise
    session = Session(scale, SEED, "cuda" if torch.cuda.is_available() else "cpu")
    display(session)
    return session


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
    missing = [requirement for name, requirement in NEEDED.items() if not _installed(name)]
    if missing:
        # Pinning what is there makes pip refuse rather than replace it.
        held = [f"{name}=={version(name).split('+')[0]}" for name in ("torch", "numpy")]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", *missing, *held], capture_output=True, text=True
        )
        if done.returncode:
            said = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
            raise RuntimeError(f"pip could not install {', '.join(missing)}: {said}")
    return missing


def _installed(distribution: str) -> bool:
    try:
        return bool(version(distribution))
    except PackageNotFoundError:
        return False
