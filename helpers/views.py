"""A text whose words are coloured by a score: the same in JupyterLab, on Colab and in the book, in light and dark.

Whatever stands in a review is shown as text: tags are escaped, and a mark that turns the reading direction round, which
could turn a score's digits round too, is shown as a mark.
"""

import math
import unicodedata
from collections.abc import Sequence
from html import escape

import numpy as np

from helpers import arguments
from helpers.figures import INK, PAPER

MOST_WORDS, LONGEST = 200, 40  # words shown, and characters of a word
TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # marks of direction
UP, DOWN = (1, 115, 178), (222, 143, 5)  # blue and orange of seaborn's colour-blind palette
LINE = "text-align:left;vertical-align:top;line-height:2.4"
STRONGEST = 0.6  # how much of the colour the largest score gets: the ink stays readable on it


def bundle(rows: dict[str, tuple[Sequence[str], np.ndarray]], caption: str) -> dict[str, str]:
    """Return texts with a score for each word, one line a row, as HTML and as plain text (`widgets.read` shows it).

    Colours are relative to the largest score of the row; the score stands above its word as a number.

    Parameters
    ----------
    rows : dict
        What a line is called -> its words, and their scores ``[words]``.
    caption : str

    Raises
    ------
    ValueError
        The words and scores of a line do not fit, or a score is not a number.
    """
    lines, plain = [], [caption]
    for name, (words, scores) in rows.items():
        try:
            scores = np.asarray(scores, float)
        except (TypeError, ValueError, RuntimeError):
            scores = np.array(math.nan)
        if isinstance(words, str) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{name}: the words are {arguments.brief(words)}: give a list, one string a word.")
        if scores.shape != (len(words),) or not np.isfinite(scores).all():
            given = f"{len(words)} words and scores of shape {list(scores.shape)}"
            raise ValueError(f"{name}: {given}: give one finite score a word.")
        shown = [*zip(map(_visible, words[:MOST_WORDS]), scores[:MOST_WORDS], strict=True)]
        largest = max((abs(score) for _, score in shown), default=0.0)
        rest = f" … and {len(words) - MOST_WORDS:,} more words" if len(words) > MOST_WORDS else ""
        marked = " ".join(_marked(word, score, largest) for word, score in shown)
        lines.append(f'<tr><th style="{LINE}">{escape(name)}</th><td style="{LINE}">{marked}{rest}</td></tr>')
        plain.append(f"{name}: " + " ".join(f"{word} ({score:+.2f})" for word, score in shown) + rest)
    paper = f"background:{PAPER};color:{INK}"  # a caption stands outside of its table's background
    html = (f'<table style="{paper};border-collapse:collapse"><caption style="{paper}">{escape(caption)}</caption>'
            f'<tbody>{"".join(lines)}</tbody></table>')  # fmt: skip
    return {"text/html": html, "text/plain": "\n".join(plain)}


def _marked(word: str, score: float, largest: float) -> str:
    share = STRONGEST * abs(score) / largest if largest else 0.0
    paper = (int(PAPER[place : place + 2], 16) for place in (1, 3, 5))
    mixed = "".join(f"{round((1 - share) * one + share * two):02x}"
                    for one, two in zip(paper, UP if score > 0 else DOWN, strict=True))  # fmt: skip
    style = f"background:#{mixed};color:{INK};padding:0 2px"
    # rp stands for readers that know no ruby: word (+0.12). bdi keeps right-to-left text to itself.
    return (f'<ruby style="{style}"><bdi>{escape(word)}</bdi><rp> (</rp>'
            f'<rt style="color:{INK}">{score:+.2f}</rt><rp>)</rp></ruby>')  # fmt: skip


def _visible(word: str) -> str:
    """A control character, or half of one, has no look of its own: a mark takes its place. A long word is cut."""
    word = word if len(word) <= LONGEST else f"{word[:LONGEST]}…"
    return "".join("\ufffd" if unicodedata.category(one) in ("Cc", "Cs") or one in TURNING else one for one in word)
