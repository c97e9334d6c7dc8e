"""A book of one chapter: it builds, its figures speak, and no page asks the network for anything."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.test_editions import SAMPLE, SOURCE
from tools import book
from tools.editions import course_edition
from tools.execute import execute, record
from tools.project import ROOT

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
    assert text.count("<details>") == text.count("</details>") == 4
    assert "<summary>Solution</summary>" in text and "highlight-python" in text


def test_the_measured_times_are_a_page(html):
    assert "01_sample" in (html / "times.html").read_text(encoding="utf-8")
