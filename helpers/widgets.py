"""Interactive views that leave a static picture where nothing can be moved: on GitHub, in the book, in print."""

from collections.abc import Callable

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

from helpers import figures


def explore(draw: Callable[..., tuple[Figure, str]], **controls: ipywidgets.Widget) -> None:
    """Show a figure that follows some controls.

    One output holds both the widget and its picture at the controls' first values: a live notebook shows
    the widget, every other reader the picture.

    Parameters
    ----------
    draw : callable
        From the controls' values (by keyword) to a figure and the alt text that describes it.
    **controls : ipywidgets.Widget
        Each with a ``value``.

    Raises
    ------
    ValueError
        The alt text is empty or a few words only.
    """
    first, alt = draw(**{name: control.value for name, control in controls.items()})
    still = {"image/png": figures.png(first), "text/plain": figures.described(alt)}
    plt.close(first)

    def redraw(**values: object) -> None:
        figures.show(*draw(**values))

    live = ipywidgets.VBox([*controls.values(), ipywidgets.interactive_output(redraw, controls)])
    # The richest form that a reader's page knows wins: widget, then picture, then words.
    display({**live._repr_mimebundle_(), **still}, metadata={"image/png": {"alt": alt}}, raw=True)
