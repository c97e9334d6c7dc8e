"""Figures that print well, read well for the colour-blind, and carry their own description."""

import base64
import hashlib
import io
import math
from collections.abc import Sequence
from html import escape
from itertools import cycle

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from IPython.display import Markdown, display
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from pandas.io.formats.style import Styler

from helpers import evaluation
from helpers.arguments import brief
from helpers.cells import Cell
from helpers.claims import Claim
from helpers.evaluation import Interval
from helpers.grid import SCALES
from helpers.rules import NO_DIFFERENCE, Verdict

INK = "#1b1b1b"
# What a verdict's effects are given in.
UNITS = {"share": "in points", "ratio": "as ratios", "part": "as parts of what there is to lose",
         "spread": "in spreads of ordinary scores"}  # fmt: skip
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


def show(figure: Figure, alt: str, frame: Bbox | None = None) -> None:
    """Display a figure once, with its alt text inside the output.

    Parameters
    ----------
    figure : Figure
    alt : str
        What the figure shows, for somebody who cannot see it: at least a short sentence.
    frame : Bbox, optional
        What to cut out, in inches; else all that is drawn.

    Raises
    ------
    ValueError
        The alt text is empty or a few words only.
    """
    if not isinstance(figure, Figure):
        raise ValueError(f"figure is {brief(figure)}: give the Figure, as plt.subplots returns it before the axes.")
    bundle = {"image/png": png(figure, frame), "text/plain": alt}
    display(bundle, metadata={"image/png": {"alt": described(alt)}}, raw=True)
    plt.close(figure)  # else Jupyter would show it a second time, without the description


def png(figure: Figure, frame: Bbox | None = None) -> str:
    """Return the figure as PNG in base64, cut to a frame or to what is drawn."""
    buffer = io.BytesIO()
    # With a frame somebody is waiting: no second drawing to find the edges, and quick compression.
    quick = {"bbox_inches": frame, "pil_kwargs": {"compress_level": 1}} if frame else {"bbox_inches": "tight"}
    figure.savefig(buffer, format="png", **quick)
    return base64.b64encode(buffer.getvalue()).decode()


def frame(figure: Figure, margin: float = 0.3) -> Bbox:
    """Return what a figure takes up, with a margin, in inches: pictures cut by it do not jump while a slider moves."""
    return figure.get_tightbbox().padded(margin)


def table(frame: pd.DataFrame, caption: str, formats: dict[str, str] | None = None) -> None:
    """Display a table with its caption; in plain text too, for readers without HTML.

    Parameters
    ----------
    frame : DataFrame
    caption : str
        What the table shows, and at which scale.
    formats : dict, optional
        A format for each column by name; else numbers have three digits after the point.
    """
    display(table_bundle(frame, caption, formats), raw=True)


def table_bundle(frame: pd.DataFrame, caption: str, formats: dict[str, str] | None = None) -> dict[str, str]:
    """Return what `table` displays: the table as HTML and as plain text."""
    if not isinstance(frame, pd.DataFrame) or not isinstance(caption, str):
        raise ValueError(f"frame is {brief(frame)} and caption {brief(caption)}: give a DataFrame and a text.")
    # The id comes from the caption: a random one, pandas' default, would make each run differ.
    identity = hashlib.sha256(caption.encode(errors="replace")).hexdigest()[:8]
    # Pandas escapes cells and labels, but not the names above them.
    named = frame.rename_axis(index=_escaped, columns=_escaped)
    styler = Styler(named, uuid=identity, cell_ids=False, caption=escape(caption))
    styler.format(formats, precision=3, na_rep="–", escape="html")
    styler.format_index(escape="html").format_index(escape="html", axis="columns")
    return {"text/html": styler.to_html(), "text/plain": f"{caption}\n{frame.to_string()}"}


def comparisons(frame: pd.DataFrame, caption: str) -> None:
    """Display what `compare_all` or `Cell.comparisons` found, in the columns that a reader needs; effects in points."""
    effects = [Interval(*row) for row in frame[["difference", "difference_low", "difference_high"]].values]
    shown = pd.DataFrame(
        {
            "accuracy [95%]": [str(Interval(row.accuracy, row.low, row.high)) for row in frame.itertuples()],
            "seed SD": frame.seed_sd,
            "difference [95%]": [None if pd.isna(effect.value) else points(effect) for effect in effects],
            "corrected p": frame.p_holm.map(p_number, na_action="ignore"),
            "detectable": 100 * frame.detectable,
        },
        index=frame.index,
    )
    table(shown, caption, {"seed SD": "{:.3f}", "detectable": "{:.1f}"})


def cell(one: Cell) -> None:
    """Display every method of a cell of the grid against the mean, the most accurate on top, and what is shown."""
    found = one.comparisons()
    tokens, seeds = SCALES[one.scale].lengths[one.dataset], len(one.poolings["mean"])
    comparisons(
        found.sort_values("accuracy", ascending=False, kind="stable"),
        f"{one.mode.capitalize()} {one.model}; {one.dataset}, first {tokens} tokens; {one.labels:,} labels; "
        f"{len(one.answers):,} test texts; {seeds} seeds; {one.precision} ({one.scale})",
    )
    told = found[(found.p_holm < evaluation.ALPHA) & found.index.isin(list(one.poolings))].difference
    better, worse = (", ".join(told.index[part]) or "none" for part in (told > 0, told < 0))
    say(f"Poolings shown to be better than the mean: **{better}**; worse: {worse}.")


def intervals(effects: dict[str, Interval], xlabel: str, zero: float | None = None) -> tuple[Figure, str]:
    """Draw estimates with their intervals, one line each, the first on top.

    Parameters
    ----------
    effects : dict
        What each line is called -> its estimate.
    xlabel : str
    zero : float, optional
        Where a line says "no effect".

    Returns
    -------
    Figure, str
        And the alt text that tells its numbers.
    """
    _estimates(effects)
    figure, axes = plt.subplots(figsize=(7.5, 1 + 0.36 * len(effects)))
    for row, effect in enumerate(reversed(effects.values())):
        axes.plot([effect.low, effect.high], [row, row], color="C0", linewidth=3)
        axes.scatter(effect.value, row, color="C0", s=50, zorder=3)
    if zero is not None:
        axes.axvline(zero, color=INK, linewidth=1)
    axes.set(xlabel=xlabel, yticks=range(len(effects)), yticklabels=list(reversed(effects)))
    return figure, f"{xlabel}: " + "; ".join(f"{name} {effect}" for name, effect in effects.items()) + "."


def gaps(effects: dict[str, Interval], xlabel: str) -> tuple[Figure, str]:
    """Draw differences in accuracy as `intervals` does, in points as the tables give them, beside a line at zero."""
    _estimates(effects)
    shown = {name: Interval(100 * gap.value, 100 * gap.low, 100 * gap.high) for name, gap in effects.items()}
    figure, _ = intervals(shown, f"{xlabel}, in points", zero=0)
    return figure, f"{xlabel}, in points: " + "; ".join(f"{name} {points(gap)}" for name, gap in effects.items()) + "."


def lines(series: dict[str, list[Interval]], x: Sequence[float], xlabel: str, ylabel: str) -> tuple[Figure, str]:
    """Draw estimates along an axis, one line a series, with their 95% intervals.

    Returns
    -------
    Figure, str
        And the alt text that tells where each line begins and ends.
    """
    figure, axes = plt.subplots()
    for (name, found), marker in zip(series.items(), cycle("os^DvX"), strict=False):
        reach = [[one.value - one.low for one in found], [one.high - one.value for one in found]]
        axes.errorbar(x, [one.value for one in found], reach, marker=marker, capsize=3, label=name)
    axes.set(xlabel=xlabel, ylabel=f"{ylabel}, with 95% interval", xticks=x, xticklabels=x)
    axes.legend(frameon=False)
    ends = "; ".join(f"{name} from {found[0].value:.2f} to {found[-1].value:.2f}" for name, found in series.items())
    return figure, f"{ylabel} by {xlabel}: {ends}."


def learning_curve(history: list[dict[str, float]]) -> tuple[Figure, str]:
    """Draw what `finetuning.fine_tune` noted of a run: its losses by step; return the figure with its alt text."""
    table = pd.DataFrame(history).set_index("step")
    figure, axes = plt.subplots()
    table.plot(ax=axes, marker="o", xticks=table.index)
    guessing = math.log(2)
    axes.axhline(guessing, color=INK, linestyle=":", linewidth=1)
    axes.text(1.01, guessing, "guessing", va="center", transform=axes.get_yaxis_transform())
    axes.set(xlabel="training step", ylabel="loss (nats a text)")
    ends = ", ".join(f"{name} {value:.2f}" for name, value in table.iloc[-1].items())
    return figure, f"Training and validation loss by step; guessing has {guessing:.2f}, and at the end it is {ends}."


def claim(one: Claim) -> None:
    """Display a claim with its test and its rule, as they were written before the run."""
    say(f"**{one.id}. {one.sentence}**\n\n- *Test.* {one.test}\n- *Rule.* {one.rule} All else: {NO_DIFFERENCE}.")


def verdict(one: Claim, found: Verdict, scale: str) -> None:
    """Display the evidence on a claim, and the verdict that its rule gives."""
    shown = found.evidence.set_index("test")
    for column in shown.columns.drop(["p", "p_equal", "n"], errors="ignore"):
        shown[column] = [_effect(value, found.unit) for value in shown[column]]
    if "p_equal" in shown:
        shown["p_equal"] = shown.p_equal.map(p_number, na_action="ignore")
    unit = UNITS[found.unit]
    caption = f"Evidence on {one.id} ({scale}); effects {unit}, 95% intervals not corrected, p corrected for all tests"
    table(shown.assign(p=shown.p.map(p_number, na_action="ignore")), caption)
    say(f"**{one.id}: {found.verdict}** ({scale}).")


def ledger(frame: pd.DataFrame, caption: str) -> None:
    """Display the claims ledger, as `claims.ledger` gives it."""
    table(written(frame), caption)


def written(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the claims ledger with its numbers written for reading."""
    shown = frame.drop(columns=["scale", "provenance"]).astype(object)
    for column in ("effect", "detectable"):
        shown[column] = [_effect(*pair) for pair in zip(frame[column], frame.unit, strict=True)]
    unit = frame.unit.map(lambda unit: None if pd.isna(unit) else UNITS[unit])
    return shown.assign(p=frame.p.map(p_number, na_action="ignore"), unit=unit)


def points(effect: Interval) -> str:
    """Write a difference of accuracies in points (hundredths), with its interval."""
    return f"{100 * effect.value:+.1f} [{100 * effect.low:+.1f}, {100 * effect.high:+.1f}]"


def p_value(p: float) -> str:
    """Write a p value for a sentence: "p 0.031", "p <0.001"."""
    return f"p {p_number(p)}"


def p_number(p: float) -> str:
    """Write a p value for a column that says what it is: "0.031", "<0.001"."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def say(text: str) -> None:
    """Display a sentence (Markdown) whose numbers come from results: prose never carries them by hand."""
    display(Markdown(text))


def described(alt: str) -> str:
    """Return an alt text that says something; refuse one that does not."""
    if not isinstance(alt, str) or len(alt.split()) < 4:
        raise ValueError(f"The alt text {alt!r} is too short: say in a sentence what the figure shows.")
    return alt


def _estimates(effects: dict[str, Interval]) -> None:
    if not isinstance(effects, dict) or not effects:
        raise ValueError(f"effects is {brief(effects)}: give a dict, from a name to its Interval.")
    if wrong := [name for name, one in effects.items() if not isinstance(one, Interval)]:
        raise ValueError(f"effects[{wrong[0]!r}] is {brief(effects[wrong[0]])}: give an evaluation.Interval.")


def _escaped(name: object) -> str | None:
    return None if name is None else escape(str(name))


def _effect(value: Interval | float, unit: str) -> str | None:
    """An effect, or the size of one: a share of texts in points, a ratio as it is; nothing where there is none."""
    if pd.isna(unit) or (isinstance(value, float) and pd.isna(value)):
        return None
    if isinstance(value, Interval):
        return points(value) if unit == "share" else f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"
    return f"{100 * value:.1f}" if unit == "share" else f"{value:.2f}"
