"""Figures that print well, read well for the colour-blind, and carry their own description."""

import base64
import io

import matplotlib.pyplot as plt
import seaborn as sns
from IPython.display import Markdown, display
from matplotlib.figure import Figure

INK = "#1b1b1b"
PAPER = "#fdfdfb"  # opaque: the figure stays readable on a dark page


def theme() -> None:
    """Set the course's look for all figures that follow (seaborn's colour-blind palette)."""
    sns.set_theme(
        context="notebook",
        style="whitegrid",
        palette="colorblind",
        rc={
            "figure.figsize": (7.5, 4),
            "figure.facecolor": PAPER,
            "axes.facecolor": PAPER,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "savefig.dpi": 110,
        },
    )


def show(figure: Figure, alt: str) -> None:
    """Display a figure once, with its alt text inside the output.

    Parameters
    ----------
    figure : Figure
    alt : str
        What the figure shows, for somebody who cannot see it: at least a short sentence.

    Raises
    ------
    ValueError
        The alt text is empty or a single word.
    """
    display({"image/png": png(figure), "text/plain": alt}, metadata={"image/png": {"alt": _described(alt)}}, raw=True)
    plt.close(figure)  # else Jupyter would show it a second time, without the description


def png(figure: Figure) -> str:
    """Return the figure as PNG in base64."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    return base64.b64encode(buffer.getvalue()).decode()


def say(text: str) -> None:
    """Display a sentence (Markdown) whose numbers come from results: prose never carries them by hand."""
    display(Markdown(text))


def _described(alt: str) -> str:
    if len(alt.split()) < 4:
        raise ValueError(f"The alt text {alt!r} is too short: say in a sentence what the figure shows.")
    return alt
