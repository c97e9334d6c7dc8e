"""Interactive views that leave a picture or a table where nothing can be moved: on GitHub, in the book, in print."""

from collections.abc import Callable

import ipywidgets
import matplotlib.pyplot as plt
import pandas as pd
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
    frame = figures.frame(first)
    plt.close(first)

    def redraw(**values: object) -> None:
        figures.show(*draw(**values), frame=frame)

    _show(redraw, controls, still, {"image/png": {"alt": alt}})


def browse(select: Callable[..., tuple[pd.DataFrame, str]], **controls: ipywidgets.Widget) -> None:
    """Show a table that follows some controls; every reader without widgets sees it at their first values.

    Parameters
    ----------
    select : callable
        From the controls' values (by keyword) to a table and its caption.
    **controls : ipywidgets.Widget
        Each with a ``value``.
    """

    def redraw(**values: object) -> None:
        figures.table(*select(**values))

    first = {name: control.value for name, control in controls.items()}
    _show(redraw, controls, figures.table_bundle(*select(**first)), {})


def read(show: Callable[..., dict[str, str]], still: dict[str, str], **controls: ipywidgets.Widget) -> None:
    """Show what follows some controls as HTML; every reader without widgets sees something chosen to stand still.

    Parameters
    ----------
    show : callable
        From the controls' values (by keyword) to a bundle: HTML and plain text, as `views.bundle` makes it.
    still : dict
        Such a bundle, for readers without widgets.
    **controls : ipywidgets.Widget
        Each with a ``value``.
    """

    def redraw(**values: object) -> None:
        display(show(**values), raw=True)

    _show(redraw, controls, still, {})


def _show(redraw: Callable[..., None], controls: dict[str, ipywidgets.Widget], still: dict, metadata: dict) -> None:
    live = ipywidgets.VBox([*controls.values(), ipywidgets.interactive_output(redraw, controls)])
    # The richest form that a reader's page knows wins: widget, then what stands still.
    display({**live._repr_mimebundle_(), **still}, metadata=metadata, raw=True)
