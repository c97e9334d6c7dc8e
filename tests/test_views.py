"""Coloured texts: nothing in a review is believed to be HTML, and the numbers are there without any colour."""

import html
import re

import numpy as np
import pytest
import torch

from helpers import explain, pooling, views
from helpers.classifiers import frozen
from helpers.heads import PooledProbe, Probe
from helpers.views import bundle
from helpers.words import words_of

ALLOWED = ("table", "caption", "tbody", "tr", "th", "td", "ruby", "bdi", "rp", "rt")

NASTY = ["<script>alert(1)</script>", '<img src=x onerror="alert(1)">', "\u202eedisrevo", "👩‍👩‍👧", "it's", "a\x00b",
         "&amp;"]  # fmt: skip


def contrast(one: str, other: str) -> float:
    """Ratio of luminances of two colours (WCAG 2.2)."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_what_a_review_holds_stays_text():
    made = bundle({"mean & <b>max</b>": (NASTY, np.linspace(-1, 1, len(NASTY)))}, "A <i>caption</i>")["text/html"]
    tags = set(re.findall(r"<\s*/?\s*([a-zA-Z]+)", made))
    assert tags == {*ALLOWED}
    assert "onerror" not in re.sub(r">[^<]*<", "><", made), "not as an attribute"
    shown = [html.unescape(word) for word in re.findall(r"<bdi>(.*?)</bdi>", made)]
    assert shown == [*NASTY[:2], "\ufffdedisrevo", *NASTY[3:5], "a\ufffdb", "&amp;"], "each word is there"
    assert not set(views.TURNING) & set(made), "no mark can turn the digits of a score round"


def test_the_scores_stand_beside_the_words_without_any_colour():
    made = bundle({"mean": (["warm", "dull"], np.array([0.5, -0.25]))}, "One sentence")
    assert made["text/plain"] == "One sentence\nmean: warm (+0.50) dull (-0.25)"
    assert re.sub(r"<[^>]+>", "", made["text/html"]) == "One sentencemeanwarm (+0.50) dull (-0.25)"


def test_the_larger_the_score_the_stronger_the_colour_and_the_ink_stays_readable():
    made = bundle({"mean": (list("abcd"), np.array([1.0, 0.1, -1.0, 0.0]))}, "Four")["text/html"]
    colours = re.findall(r"ruby style=\"background:(#[0-9a-f]{6})", made)
    assert colours[3] == views.PAPER and len(set(colours)) == 4
    assert all(contrast(views.INK, colour) >= 4.5 for colour in colours), "WCAG AA"
    away = [contrast(views.PAPER, colour) for colour in colours]
    assert away[0] > away[1] > away[3] == 1.0


def test_a_very_long_text_is_cut_and_says_so():
    made = bundle({"max": (["word"] * 5000, np.ones(5000))}, "Long")
    assert made["text/html"].count("<ruby") == 200 and "4,800 more words" in made["text/html"]
    assert len(made["text/html"]) < 50_000
    made = bundle({"max": (["a" * 200_000], np.ones(1))}, "One long word")
    assert len(made["text/html"]) < 1_000 and "aaa…" in made["text/plain"]


def test_nothing_to_colour_and_nothing_that_fits():
    assert "<ruby" not in bundle({"mean": ([], np.zeros(0))}, "Empty")["text/html"]
    assert bundle({"mean": (["a"], np.zeros(1))}, "Zero")["text/html"].count("<ruby") == 1
    for scores in (np.zeros(3), np.array([np.nan, 0.0])):
        with pytest.raises(ValueError, match="one finite score a word"):
            bundle({"mean": (["a", "b"], scores)}, "Wrong")


@pytest.mark.parametrize("review", [
    'A <script>alert("x")</script> film', "Warm <img src=x onerror=alert(1)> and <b>funny",
    "dull \u202e\u2067 film \u202d end", "A funny 👩‍👩‍👧 film 🎬🎬", "a warm and funny film " * 1000, "",
])  # fmt: skip
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_review_goes_the_whole_way(review, family, request):
    """Text, tokens, exact parts, words, view: nothing is believed, nothing breaks, nothing grows without bound."""
    encoder = request.getfixturevalue(family)
    model = frozen(encoder, PooledProbe(pooling.Max(), Probe(torch.randn(9, encoder.dim))), 32)
    ids, mask = encoder.pad(encoder.tokens([review or " "], 32))
    with torch.no_grad():
        parts = explain.contributions(model.states(ids, mask), mask, model.pooling, model.head)
    words = words_of(encoder, review or " ", 32)
    made = bundle({"max": (words.words, words.sums(parts[0]))}, "A review")["text/html"]
    assert set(re.findall(r"<\s*/?\s*([a-zA-Z]+)", made)) <= {*ALLOWED}
    shown = [html.unescape(word) for word in re.findall(r"<bdi>(.*?)</bdi>", made)]
    rest = iter(re.sub(f"[{views.TURNING}]", "\ufffd", review).split())
    assert all(word in rest for word in shown) and len(shown) <= 32, "in order; a mark that no token holds has no score"
    assert len(made) < 10_000
