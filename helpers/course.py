"""A session of the course: its scale, seeds, hardware and versions, shown in one box.

``python -m helpers.course`` is `doctor`: what could keep the course from running here, and what to do about it.
"""

import os
import platform
import random
import sys
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from helpers.doctor import doctor

if __name__ == "__main__":  # before the heavy imports: that one of them fails may be what has to be said
    sys.exit(0 if doctor() else 1)

import numpy as np
import torch
from IPython.display import display
from transformers.utils import logging as transformers_logging

from helpers.packages import HELD, install_missing, installed
from helpers.sources import unknown

SCALES = {
    "smoke": "a few dozen reviews, to see that everything runs",
    "laptop": "thousands of reviews from an installed package, no network",
    "full": "all reviews and the published models, from the hub",
}
SEED = 0
SHOWN = ("torch", "transformers", "datasets", "scikit-learn")
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
    if scale not in list(SCALES):
        raise unknown("scale", scale, list(SCALES))
    if "google.colab" in sys.modules:
        _on_colab()
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    transformers_logging.disable_progress_bar()  # a bar for a model that loads in a blink is noise
    session = Session(scale, SEED, "cuda" if torch.cuda.is_available() else "cpu")
    display(session)
    return session


def _on_colab() -> None:
    """Install what Colab lacks, and say in three lines what was done."""
    new = install_missing()
    print(f"The course: {Path(__file__).parent.parent}")
    print(f"Installed: {', '.join(new) if new else 'nothing, all was there'}")
    print("Left as they were: " + ", ".join(f"{name} {installed(name)}" for name in HELD))
