"""Figures, tables and widgets: each described, each readable where nothing moves."""

import base64
import io
import re

import ipywidgets
import matplotlib.image
import matplotlib.pyplot as plt
import pandas as pd
import pytest
import seaborn as sns
from matplotlib.colors import to_rgb

from helpers import claims, figures, widgets
from helpers.evaluation import Interval
from helpers.rules import Verdict

ALT = "A line that rises from nought to one."
VIEW = "application/vnd.jupyter.widget-view+json"


class Shown(list):
    """Each displayed bundle with its metadata."""

    def __call__(self, bundle: object, metadata: dict | None = None, raw: bool = False) -> None:
        self.append((bundle, metadata, raw))


@pytest.fixture
def shown(monkeypatch) -> Shown:
    seen = Shown()
    monkeypatch.setattr(figures, "display", seen)
    monkeypatch.setattr(widgets, "display", seen)
    yield seen
    plt.close("all")


def line(height: float = 1) -> plt.Figure:
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([0, height])
    return figure


def picture(bundle: dict):
    return matplotlib.image.imread(io.BytesIO(base64.b64decode(bundle["image/png"])), format="png")


def test_a_figure_is_shown_once_with_its_description_inside(shown):
    figure = line()
    figures.show(figure, ALT)
    ((bundle, metadata, raw),) = shown
    assert raw and metadata == {"image/png": {"alt": ALT}} and bundle["text/plain"] == ALT
    assert picture(bundle).std() > 0, "a picture with something on it"
    assert not plt.fignum_exists(figure.number), "else Jupyter shows it a second time"


@pytest.mark.parametrize("alt", ["", " ", "figure", "a nice figure"])
def test_a_figure_without_a_description_is_refused(alt, shown):
    with pytest.raises(ValueError, match="too short: say in a sentence"):
        figures.show(line(), alt)
    with pytest.raises(ValueError, match="too short: say in a sentence"):
        widgets.explore(lambda height: (line(height), alt), height=ipywidgets.FloatSlider(1))
    assert shown == []


def test_the_theme_is_opaque_and_fit_for_the_colour_blind(shown):
    with plt.rc_context(), sns.plotting_context():
        figures.theme()
        assert [to_rgb(color) for color in sns.color_palette()] == [
            to_rgb(color) for color in sns.color_palette("colorblind")
        ]
        figures.show(line(), ALT)
    corner = picture(shown[0][0])[0, 0]
    assert corner[-1] == 1 and corner[:3] == pytest.approx(to_rgb(figures.PAPER), abs=1 / 255)


def test_a_table_shows_its_caption_in_both_forms_and_escapes_everything(shown):
    frame = pd.DataFrame({"<i>share": [0.12345, None], "n": [3, 4]}, index=["<b>a</b>", "c & d"])
    figures.table(frame, "Shares <at> smoke", {"<i>share": "{:.1%}"})
    ((bundle, _, _),) = shown
    html, plain = bundle["text/html"], bundle["text/plain"]
    assert "Shares &lt;at&gt; smoke" in html and "Shares <at> smoke" in plain
    assert "12.3%" in html and "–" in html
    for raw, escaped in [("<i>", "&lt;i&gt;share"), ("<b>", "&lt;b&gt;a"), ("c & d", "c &amp; d")]:
        assert raw not in html and escaped in html
    figures.table(frame.rename_axis(index="<u>row", columns="<u>column"), "Names")
    assert "<u>" not in shown.pop()[0]["text/html"]
    figures.table(frame, "Shares <at> smoke", {"<i>share": "{:.1%}"})
    assert shown[0] == shown[1], "no random id: the same table, the same output"


def test_numbers_of_a_table_have_three_digits_unless_told(shown):
    figures.table(pd.DataFrame({"value": [0.12345]}), "One value")
    assert ">0.123<" in shown[0][0]["text/html"]


def test_a_sentence_is_markdown(shown):
    figures.say("The mean reaches **0.78**.")
    assert shown[0][0]._repr_markdown_() == "The mean reaches **0.78**."


def test_a_widget_leaves_its_picture_at_the_first_values(shown):
    drawn = []

    def draw(height: float) -> tuple[plt.Figure, str]:
        drawn.append(height)
        return line(height), f"A line that rises from nought to {height}."

    slider = ipywidgets.FloatSlider(0.25, min=0, max=1)
    widgets.explore(draw, height=slider)
    bundle, metadata, raw = shown[-1]
    alt = "A line that rises from nought to 0.25."
    assert raw and metadata == {"image/png": {"alt": alt}}
    assert bundle["text/plain"] == alt and picture(bundle).std() > 0
    assert len(bundle[VIEW]["model_id"]) == 32, "a live notebook finds the widget by it"
    assert set(drawn) == {0.25}
    slider.value = 0.75
    assert drawn[-1] == 0.75, "the figure follows its control"
    assert shown[-1][0]["text/plain"].endswith("to 0.75."), "and so do its words"
    assert plt.get_fignums() == []


def test_a_table_to_browse_leaves_its_first_rows(shown):
    def select(longest):
        return pd.DataFrame({"text": [text for text in ("short", "<b>longer</b>") if len(text) <= longest]}), "Texts"

    slider = ipywidgets.IntSlider(value=5, max=20)
    widgets.browse(select, longest=slider)
    bundle, _, raw = shown[-1]
    assert raw and VIEW in bundle and "short" in bundle["text/html"] and "longer" not in bundle["text/html"]
    assert bundle["text/plain"].startswith("Texts\n")
    slider.value = 20
    assert "&lt;b&gt;longer" in shown[-1][0]["text/html"], "the live table follows, and escapes what reviews contain"


def test_a_text_to_read_leaves_what_was_chosen_to_stand_still(shown):
    field, still = ipywidgets.Text("dull"), {"text/html": "<p>six sentences</p>", "text/plain": "six sentences"}
    widgets.read(lambda sentence: {"text/html": sentence, "text/plain": sentence}, still, sentence=field)
    bundle, metadata, raw = shown[-1]
    assert raw and metadata == {} and VIEW in bundle
    assert {kind: bundle[kind] for kind in still} == still, "not the first value: what was chosen"
    field.value = "warm"
    assert shown[-1][0] == {"text/html": "warm", "text/plain": "warm"} and shown[-1][2], "the live view follows"


def test_comparisons_show_effects_in_points_and_small_p_values_as_such(shown):
    found = pd.DataFrame(
        {
            "accuracy": [0.8, 0.75], "low": [0.78, 0.72], "high": [0.82, 0.79], "seed_sd": [0.01, float("nan")],
            "difference": [float("nan"), -0.05], "difference_low": [float("nan"), -0.0812],
            "difference_high": [float("nan"), -0.0203], "p_holm": [float("nan"), 4e-5],
            "detectable": [float("nan"), 0.0345],
        },
        index=["mean", "max"],
    )  # fmt: skip
    figures.comparisons(found, "Two poolings")
    ((bundle, _, _),) = shown
    html, plain = bundle["text/html"], bundle["text/plain"]
    for text in ("0.800 [0.780, 0.820]", "-5.0 [-8.1, -2.0]", "&lt;0.001", "3.5", "0.010"):
        assert text in html
    assert "nan" not in html.lower() and "–" in html, "a missing value is a dash"
    assert "-5.0 [-8.1, -2.0]" in plain


def test_intervals_are_drawn_from_the_top_and_told_in_words(shown):
    effects = {"mean": Interval(0.02, 0.01, 0.03), "max": Interval(-0.04, -0.06, -0.02)}
    figure, alt = figures.intervals(effects, "gain", zero=0)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["max", "mean"], "the first stands on top"
    lines = [list(line.get_xdata()) for line in axes.lines]
    assert lines == [[-0.06, -0.02], [0.01, 0.03], [0, 0]]
    assert alt == "gain: mean 0.020 [0.010, 0.030]; max -0.040 [-0.060, -0.020]."
    assert len(figures.intervals(effects, "gain")[0].axes[0].lines) == 2


def test_gaps_are_drawn_and_told_in_points(shown):
    figure, alt = figures.gaps({"max − mean": Interval(-0.04, -0.06, -0.02)}, "gap")
    (axes,) = figure.axes
    assert [list(line.get_xdata()) for line in axes.lines] == [[-6, -2], [0, 0]]
    assert axes.get_xlabel() == "gap, in points"
    assert alt == "gap, in points: max − mean -4.0 [-6.0, -2.0]."


def test_lines_carry_their_intervals_and_tell_where_they_begin_and_end(shown):
    found = [Interval(0.6, 0.57, 0.61), Interval(0.65, 0.6, 0.7), Interval(0.7, 0.68, 0.75)]
    figure, alt = figures.lines({"mean": found, "max": found[::-1]}, [100, 300, 1000], "labels", "accuracy")
    for container, expected in zip(figure.axes[0].containers, (found, found[::-1]), strict=True):
        line, _, (bars,) = container.lines
        assert list(line.get_xdata()) == [100, 300, 1000]
        assert list(line.get_ydata()) == [one.value for one in expected]
        ends = [end for bar in bars.get_segments() for end in bar[:, 1]]
        assert ends == pytest.approx([end for one in expected for end in (one.low, one.high)])
    assert alt == "accuracy by labels: mean from 0.60 to 0.70; max from 0.70 to 0.60."


def test_a_p_value_is_no_string_of_zeros():
    assert [figures.p_value(p) for p in (1e-17, 0.00099, 0.001, 0.0312, 1.0)] == [
        "p <0.001", "p <0.001", "p 0.001", "p 0.031", "p 1.000"]  # fmt: skip


def test_a_learning_curve_shows_both_losses_beside_guessing(shown):
    history = [{"step": 4, "training": 0.7, "validation": 0.69}, {"step": 8, "training": 0.5, "validation": 0.61}]
    figure, alt = figures.learning_curve(history)
    (axes,) = figure.axes
    assert [list(line.get_ydata()) for line in axes.lines[:2]] == [[0.7, 0.5], [0.69, 0.61]]
    assert list(axes.lines[0].get_xdata()) == [4, 8]
    assert axes.lines[2].get_ydata()[0] == pytest.approx(0.6931, abs=1e-4)
    assert alt.endswith("guessing has 0.69, and at the end it is training 0.50, validation 0.61.")


EVIDENCE = pd.DataFrame({
    "test": ["max − mean"], "effect": [Interval(0.012, -0.004, 0.028)], "p": [0.00004], "detectable": [0.031],
    "p_equal": [0.3], "n": [4000], "bert": [Interval(0.02, 0.01, 0.03)],
})  # fmt: skip


def test_a_claim_is_shown_with_its_rule_and_later_with_its_evidence(shown):
    one = claims.claim("C1b")
    figures.claim(one)
    assert all(part in shown[0][0].data for part in (one.id, one.sentence, one.test, one.rule))
    figures.verdict(one, Verdict("supported", EVIDENCE, 0), "laptop")
    told = ["Evidence on C1b (laptop); effects in points", "+1.2 [-0.4, +2.8]", "&lt;0.001", "3.1", "0.300", "4000",
            "+2.0 [+1.0, +3.0]"]  # fmt: skip
    assert [part for part in told if part not in shown[1][0]["text/html"]] == []
    assert shown[2][0].data == "**C1b: supported** (laptop)."


def test_ratios_are_not_shown_as_points(shown):
    found = Verdict("supported", EVIDENCE.drop(columns=["bert", "p_equal"]), 0, "ratio")
    figures.verdict(claims.claim("C2b"), found, "laptop")
    assert "0.01 [-0.00, 0.03]" in shown[0][0]["text/html"] and "as ratios" in shown[0][0]["text/html"]


def test_what_could_be_seen_is_no_number_where_nothing_varies(shown):
    found = Verdict("no detectable difference", EVIDENCE.assign(detectable=float("nan")), 0)
    figures.verdict(claims.claim("C1a"), found, "laptop")
    assert "nan" not in shown[0][0]["text/html"]


def test_the_ledger_shows_what_was_run_and_what_was_not(shown, tmp_path):
    frame = claims.ledger("laptop", tmp_path)
    row = {"test": "max − mean", "effect": EVIDENCE.effect[0], "unit": "share", "p": 0.02, "detectable": 0.031,
           "n": 4000, "verdict": "supported"}  # fmt: skip
    for name, value in row.items():
        frame[name] = frame[name].astype("Int64" if name == "n" else object)
        frame.at["C1a", name] = value
    figures.ledger(frame, "The ledger at laptop")
    first, second = re.findall("<tr>.*?</tr>", shown[0][0]["text/html"], re.S)[2:4]
    assert all(part in first for part in ("max − mean", "+1.2 [-0.4, +2.8]", "0.020", "3.1", ">4000<", "supported"))
    assert "not run at this scale" in second and "nan" not in second.lower() and "–" in second


def test_the_ledger_writes_a_ratio_as_a_ratio(shown, tmp_path):
    frame = claims.ledger("laptop", tmp_path).astype({name: object for name in ("effect", "unit", "detectable")})
    row = {"unit": "ratio", "effect": Interval(1.22, 0.95, 1.57), "detectable": 1.6}
    for name, value in row.items():
        frame.at["C2b", name] = value
    figures.ledger(frame, "The ledger at laptop")
    html = shown[0][0]["text/html"]
    assert "1.22 [0.95, 1.57]" in html and ">1.60<" in html and "122.0" not in html and "160.0" not in html


def test_pictures_cut_by_one_frame_are_equally_large_and_lose_nothing():
    def titled(title: str) -> plt.Figure:
        figure = line()
        figure.axes[0].set_title(title)
        return figure

    short, long = titled("a"), titled("a title\nof two lines")
    frame = figures.frame(long)
    tight, framed = ([picture({"image/png": figures.png(one, cut)}) for one in (short, long)] for cut in (None, frame))
    assert tight[0].shape != tight[1].shape and framed[0].shape == framed[1].shape
    ink = [(one[..., :3].sum(axis=-1) < 1.5).sum() for one in (tight[1], framed[1])]
    assert ink[0] == pytest.approx(ink[1], rel=0.02), "all that is drawn is inside the frame"
    plt.close("all")
