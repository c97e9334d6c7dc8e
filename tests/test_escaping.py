"""What a text holds is shown as text: no page of the course runs a script of it, or asks the network for it."""

import ast
import functools
import re
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import checks, course, evidence, figures, views
from tests import browser
from tests.syntax import TREES, calls
from tools.project import ROOT, SOURCES

ELSEWHERE = "http://outside.example"
ATTACKS = [
    "<script>ran=1</script>", f"<script src={ELSEWHERE}/x.js></script>", "<img src=x onerror=ran=1>",
    f"<img src={ELSEWHERE}/a.png>", "<svg onload=ran=1>", "<svg><script>ran=1</script></svg>",
    "<a href=javascript:ran=1>a</a>", "<iframe srcdoc='<script>top.ran=1</script>'>",
    f"<link rel=stylesheet href={ELSEWHERE}/x>", "<details open ontoggle=ran=1>", "<a href='JaVaScRiPt:ran=1'>a</a>",
]  # fmt: skip
# What only harms inside of an attribute, of a table or of an element that holds plain text.
BREAKOUTS = ['" onmouseover="ran=1" x="', "' onmouseover='ran=1' x='", "</td></table><img src=x onerror=ran=1>",
             "</textarea><script>ran=1</script>", "</pre></style></title><svg onload=ran=1>",
             "--><script>ran=1</script>", "<b>bold</b> &lt;i&gt; &amp;quot;", "[a](javascript:ran=1)"]  # fmt: skip
PAYLOADS = ATTACKS + BREAKOUTS


def coloured(texts: list[str]) -> str:
    return views.bundle({text: (texts, np.linspace(-1, 1, len(texts))) for text in texts}, texts[0])["text/html"]


def table(texts: list[str]) -> str:
    frame = pd.DataFrame({text: texts for text in texts}, index=texts).rename_axis(index=texts[0], columns=texts[1])
    return "".join(figures.table_bundle(frame, text)["text/html"] for text in texts)


def verdict(texts: list[str]) -> str:
    def cases(answer):
        raise ValueError(texts[0])

    raised = checks.exercise("1.1", print, cases)
    return checks.Verdict(texts[0], "failed", texts)._repr_html_() + raised._repr_html_()


def session(texts: list[str]) -> str:
    return "".join(course.Session("smoke", text, "cpu")._repr_mimebundle_()["text/html"] for text in texts)


def functions_of_chapters() -> dict[str, tuple[Path, ast.FunctionDef]]:
    """The functions in the chapters that make HTML by themselves."""
    return {node.name: (path, node) for path in SOURCES.glob("*.py") for node in TREES[path].body
            if isinstance(node, ast.FunctionDef) and calls(node, "HTML")}  # fmt: skip


class Pieces:
    """A tokenizer that gives what it is told to."""

    def __init__(self, texts: list[str]):
        self.tokens = texts

    def tokenize(self, _: str) -> list[str]:
        return self.tokens

    def encode(self, _: str) -> "Pieces":
        return self


def of_chapter(name: str, texts: list[str], escape=escape) -> str:
    path, function = functions_of_chapters()[name]
    shown: list[str] = []
    names = {"escape": escape, "HTML": str, "display": shown.append, "excerpt": str, "wordpiece": Pieces(texts),
             "bpe": Pieces(texts)}  # fmt: skip
    exec(compile(ast.Module([function], []), path.name, "exec"), names)
    names[name]([(text, text) for text in texts] if name == "show_texts" else texts[0])
    return "".join(shown)


VIEWS = {
    "coloured words": coloured, "table": table, "verdict of a check": verdict, "session": session,
    "excerpts": functools.partial(of_chapter, "show_texts"), "pieces": functools.partial(of_chapter, "show_pieces"),
    "a frame as pandas shows it": lambda texts: pd.DataFrame({text: texts for text in texts}, texts)._repr_html_(),
}  # fmt: skip


def test_every_place_that_makes_html_is_tried():
    makers = {path.name for path in (ROOT / "helpers").glob("*.py")
              if re.search(r"""["']text/html["']:|_repr_html_|\bHTML\(|<t[dr]\b""", path.read_text(encoding="utf-8"))}
    assert makers == {"views.py", "figures.py", "checks.py", "course.py"}
    assert set(functions_of_chapters()) == {"show_texts", "show_pieces"}
    for path in SOURCES.glob("*.py"):
        inside = [call for where, node in functions_of_chapters().values() if where == path
                  for call in calls(node, "HTML")]  # fmt: skip
        assert len(calls(TREES[path], "HTML")) == len(inside), f"{path.name} makes HTML outside of a function"


@pytest.fixture(scope="module")
def opened():
    browser.needed()
    with browser.browser() as found:
        yield found


@pytest.fixture
def page(opened):
    context = opened.new_context()
    yield context.new_page()
    context.close()


# Every element is touched as a reader would, and what was started gets its turn.
TOUCH = """async () => {
    for (const one of document.body.querySelectorAll('*')) {
        for (const kind of ['mouseover', 'focus', 'click']) one.dispatchEvent(new Event(kind, {bubbles: true}));
        if (one.matches('a')) one.click?.();  // a link within a drawing has none
    }
    for (let turn = 0; turn < 3; turn++) await new Promise(requestAnimationFrame);
}"""


def harm(page, html: str, folder: Path) -> list[str]:
    """Show some HTML, touch all of it, and return what scripts, dialogs and requests came of it."""
    path, said = folder / "page.html", []
    path.write_text(f"<!doctype html><meta charset=utf-8><title>a</title><body>{html}</body>", encoding="utf-8")
    page.on("request", lambda request: said.append(request.url) if request.url != path.as_uri() else None)
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("framenavigated", lambda frame: said.append(f"frame {frame.url}") if frame.parent_frame else None)
    page.goto(path.as_uri())
    page.evaluate(TOUCH)
    return said + ["a script ran"] * page.evaluate("'ran' in window")


def elements(page) -> list[list]:
    """Every element of a page with the names of its attributes."""
    return page.evaluate("[...document.querySelectorAll('*')].map(one => [one.tagName, one.getAttributeNames()])")


@pytest.mark.slow
@pytest.mark.parametrize("name", VIEWS)
def test_what_a_text_holds_stays_text_in_a_browser(name, page, tmp_path):
    assert harm(page, VIEWS[name](PAYLOADS), tmp_path) == []
    found, shown = elements(page), " ".join(page.evaluate("document.body.textContent").split())
    whole = 40 if name == "coloured words" else 50  # longer words are cut there, and in frames
    assert [text for text in PAYLOADS if text[:whole].rstrip() not in shown and name != "session"] == []
    assert harm(page, VIEWS[name]([f"word{number}" for number in range(len(PAYLOADS))]), tmp_path) == []
    assert found == elements(page), "the same elements and attributes as of harmless words"


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_each_attack_is_one_where_nothing_escapes_it(attack, page, tmp_path):
    assert harm(page, f"<p>{attack}</p>", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name,module", [("coloured words", views), ("table", figures), ("verdict of a check", checks),
                                         ("session", course)])  # fmt: skip
def test_a_view_that_does_not_escape_is_caught(name, module, page, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "escape", str)
    assert harm(page, VIEWS[name](PAYLOADS), tmp_path)


@pytest.mark.slow
def test_a_chapter_that_does_not_escape_is_caught(page, tmp_path):
    for name in functions_of_chapters():
        assert harm(page, of_chapter(name, PAYLOADS, escape=str), tmp_path)


def test_sentences_of_reviews_that_go_into_markdown_hold_no_mark_of_it():
    # Chapter 9 shows such a sentence by `figures.say`; the book's Markdown takes HTML as it comes.
    for attack in [*PAYLOADS, "![a](http://outside.example/a.png)", "A *word*.", "A `word`.", "A _word_.", "A\\b."]:
        assert not re.fullmatch(evidence.PLAIN, attack), attack
    assert re.fullmatch(evidence.PLAIN, "They walk home, and it rains.")
