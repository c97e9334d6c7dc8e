"""A book of one chapter: it builds, its figures speak, and no page asks the network for anything."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest

from helpers import claims
from tests.test_editions import SAMPLE, SOURCE
from tools import book, ledger
from tools.editions import course_edition, tags
from tools.execute import execute, record
from tools.project import ROOT, SOURCES

pytestmark = pytest.mark.slow

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
# Of a <link>, these fetch nothing: they only name another page.
NAMES_A_PAGE = {"canonical", "index", "search", "next", "prev", "author"}
STYLE_ADDRESS = re.compile(r"(?:url\(|@import)\s*['\"]?\s*((?:https?:)?//[^'\")\s]+)")


class Loaded(HTMLParser):
    """Collects what a page loads."""

    def __init__(self):
        super().__init__()
        self.addresses: list[str] = []
        self.images: list[dict] = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "img":
            self.images.append(values)
        if values.get("rel") not in NAMES_A_PAGE and values.get(LOADED.get(tag)):
            self.addresses.append(values[LOADED[tag]])


def page(path: Path) -> Loaded:
    loaded = Loaded()
    loaded.feed(path.read_text(encoding="utf-8"))
    return loaded


def pages(html: Path) -> list[Path]:
    """Return the pages of a built book, without the theme's templates that lie in _static."""
    return [path for path in html.rglob("*.html") if "_static" not in path.parts]


def fetched(html: Path) -> list[tuple[str, str]]:
    """Return each address of the network that a built book would load, with the file that names it."""
    found = [
        (path.name, address)
        for path in pages(html)
        for address in page(path).addresses
        if re.match(r"(https?:)?//", address)
    ]
    styles = [*html.rglob("*.css"), *pages(html)]
    return found + [
        (path.name, address) for path in styles for address in STYLE_ADDRESS.findall(path.read_text(encoding="utf-8"))
    ]


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """The book, with the sample as its only chapter."""
    folder = tmp_path_factory.mktemp("a book")
    shutil.copytree(ROOT / "book", folder / "book", ignore=shutil.ignore_patterns("_build", "chapters"))
    timing = execute(course_edition(SOURCE, SAMPLE.stem), folder / "01_sample.ipynb", folder, "smoke")
    record([timing], folder / "timings.csv")
    return book.build([folder / "01_sample.ipynb"], folder / "timings.csv", folder / "book").parent


def test_no_page_asks_the_network_for_anything(html):
    assert fetched(html) == []


def test_a_page_that_asks_the_network_is_caught(tmp_path):
    (tmp_path / "a.html").write_text('<a href="https://a.example"></a><script src="https://b.example/x.js"></script>')
    (tmp_path / "a.css").write_text("@import '//c.example/font.css';")
    assert fetched(tmp_path) == [("a.html", "https://b.example/x.js"), ("a.css", "//c.example/font.css")]


def test_everything_that_a_page_loads_is_there(html):
    for path in pages(html):
        for address in page(path).addresses:
            if not address.startswith("data:"):
                assert (path.parent / re.sub(r"[?#].*", "", address)).exists(), (path.name, address)


def test_mathematics_is_drawn_by_a_file_of_the_book(html):
    chapter = html / "chapters" / "01_sample.html"
    assert r"\bar h = \frac{1}{n}" in chapter.read_text(encoding="utf-8")
    assert any(address.split("?")[0].endswith("_static/tex-svg.js") for address in page(chapter).addresses)


def test_a_figure_keeps_its_alt_text(html):
    (figure,) = [image for image in page(html / "chapters" / "01_sample.html").images if "_images" in image["src"]]
    assert figure["alt"] == "A small coloured square."


def test_the_solution_is_there_and_folded(html):
    text = (html / "chapters" / "01_sample.html").read_text(encoding="utf-8")
    assert text.count("<details>") == 4 and text.count("</details>") == 5, "the fifth folds what was to be predicted"
    assert "<summary>Solution</summary>" in text and "highlight-python" in text


def test_the_measured_times_are_a_page(html):
    assert "01_sample" in (html / "times.html").read_text(encoding="utf-8")


# What a chapter becomes


def chapter(*cells: tuple) -> nbformat.NotebookNode:
    """A small executed chapter: pairs of a tag and a text; code cells have an output unless they say no."""
    made = []
    for tag, text in cells:
        metadata = {"tags": [tag]} if tag else {}
        if text.startswith("code"):
            outputs = [] if "no output" in text else [nbformat.v4.new_output("stream", text="1")]
            made.append(nbformat.v4.new_code_cell(text, outputs=outputs, metadata=metadata))
        else:
            made.append(nbformat.v4.new_markdown_cell(text, metadata=metadata))
    return nbformat.v4.new_notebook(cells=made)


def test_the_answer_to_a_prediction_is_folded_and_nothing_else():
    made = book.for_the_book(chapter(("", "code a"), ("predict", "What?"), ("", "code, no output"), ("", "prose"),
                                     ("ex-1.1", "code b"), ("", "code c")), [])  # fmt: skip
    folded = [cell.source for cell in made.cells if "hide-output" in tags(cell)]
    assert folded == ["code b"] and tags(made.cells[4]) == ["ex-1.1", "hide-output"]


def test_the_first_use_of_a_word_leads_to_the_glossary():
    made = book.for_the_book(chapter(("", "A *mask,* and **mask** and *no term*."), ("", "*Mask* again; *mean*."),
                                     ("quiz", "*mean*")), ["mask", "mean"])  # fmt: skip
    assert [cell.source for cell in made.cells] == [
        "A {term}`mask <mask>`, and **mask** and *no term*.", "*Mask* again; {term}`mean <mean>`.", "*mean*",
    ]  # fmt: skip


def test_the_glossary_is_in_order_and_every_word_is_there_once():
    terms = book.terms_of(book.GLOSSARY)
    assert len(terms) > 40 and terms == sorted(set(terms), key=str.lower)


def test_every_paper_that_is_linked_to_is_in_the_references():
    texts = [path.read_text(encoding="utf-8") for folder in (SOURCES, ROOT / "book", ROOT)
             for path in folder.glob("*.py" if folder == SOURCES else "*.md")]  # fmt: skip
    linked = {found for text in texts for found in re.findall(r"arxiv\.org/abs/([\w./-]+?)(?:v\d+)?[)>\s]", text)}
    entries = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    kept = re.findall(r"eprint = \{(.+?)\}", entries)
    assert len(linked) > 20 and linked <= set(kept) and len(kept) == len(set(kept))
    for entry in re.split(r"\n@", entries)[1:]:
        assert all(f"{field} = {{" in entry for field in ("author", "title", "year")), entry


def test_the_ledger_page_has_every_claim_with_test_rule_and_evidence():
    text = ledger.page()
    for claim in claims.CLAIMS:
        assert f"## {claim.id}: {claim.sentence}" in text and claim.test in text and claim.rule in text
    written = claims.ledger(ledger.SCALE)
    assert all(f"**Verdict: {verdict}.**" in text for verdict in written.verdict)
