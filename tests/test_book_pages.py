"""Every page of the real book in a real browser, light and dark: accessible, whole, and silent on the network."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from tests import browser
from tools import book
from tools.project import NOTEBOOKS, ROOT, SOURCES, TIMINGS

pytestmark = pytest.mark.slow

#: What axe calls these is a fault; "moderate" and "minor" are its advice. Headings in order are tested below.
FAULTS = ("serious", "critical")
#: Of each rule that holds, axe would list every element that keeps it.
FOUND = {"resultTypes": ["violations"]}


@pytest.fixture(scope="module")
def html(tmp_path_factory) -> Path:
    """The book of the committed notebooks."""
    folder = tmp_path_factory.mktemp("the book") / "book"
    shutil.copytree(ROOT / "book", folder, ignore=shutil.ignore_patterns("_build", "chapters", "made"))
    executed = [NOTEBOOKS / f"{path.stem}.ipynb" for path in sorted(SOURCES.glob("*.py"))]
    return book.build(executed, TIMINGS, folder).parent


def pages(html: Path) -> list[Path]:
    return sorted(path for path in html.rglob("*.html") if "_static" not in path.parts)


class Read(HTMLParser):
    """What a page names: its places, its links, its pictures, the headings of its article."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids, self.links, self.pictures, self.headings, self.inside = set(), [], [], [], False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids.add(values.get("id"))
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag == "img":
            self.pictures.append(values)
        self.inside = self.inside or tag == "article"
        if re.fullmatch(r"h[1-6]", tag) and self.inside:
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "article"


def broken(html: Path) -> list[tuple[str, str]]:
    """Return each link inside the book that leads nowhere, with its page."""
    read = {path.resolve(): Read(path) for path in pages(html)}
    found = []
    for path, page in read.items():
        for link in page.links:
            if re.match(r"[a-z][a-z0-9+.-]*:", link):
                continue
            address, place = urldefrag(link)
            target = (path.parent / unquote(address)).resolve() if address else path
            there = target.exists() and (not place or target not in read or unquote(place) in read[target].ids)
            found += [] if there else [(path.name, link)]
    return found


def test_every_link_inside_the_book_leads_somewhere(html):
    assert broken(html) == []


def test_a_broken_link_is_caught(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html">b</a><a href="#c">c</a><a href="#d">d</a><p id="d">')
    assert broken(tmp_path) == [("a.html", "b.html"), ("a.html", "#c")]


def test_outside_links_are_whole_and_safe(html):
    outside = {link for path in pages(html) for link in Read(path).links if re.match(r"[a-z][a-z0-9+.-]*:", link)}
    assert len(outside) > 30 and all(re.fullmatch(r"https://[\w.-]+\.[a-z]+(/\S*)?", link) for link in outside)


def test_every_figure_has_an_alt_text_that_tells_something(html):
    figures = [picture for path in pages(html) for picture in Read(path).pictures if "_images" in picture["src"]]
    assert len(figures) > 50 and all(len(picture.get("alt", "").split()) >= 4 for picture in figures)


def test_headings_stand_in_order(html):
    for path in pages(html):
        if path.name == "search.html":  # its heading is written by the script that searches
            continue
        levels = Read(path).headings
        assert levels.count(1) == 1, path.name
        assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False)), path.name


def test_the_first_page_shows_the_finding_and_leads_everywhere(html):
    text = (html / "index.html").read_text(encoding="utf-8")
    assert "findings.png" in text and "Against mean pooling" in text
    for name in ("glossary", "references", "times", "teaching_guide", "made/ledger", "genindex", "chapters/01_data"):
        assert f"{name}.html" in text


def test_chapters_lead_to_the_glossary_and_fold_what_was_to_be_predicted(html):
    for path in sorted((html / "chapters").glob("*.html")):
        text = path.read_text(encoding="utf-8")
        assert "glossary.html#term-" in text, path.name
        assert "Show code cell output" in text or "hide-output" in text, path.name


def test_widgets_stand_as_pictures_or_tables(html):
    for path in (html / "chapters").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "application/vnd.jupyter.widget" not in text and "A Jupyter Widget" not in text


@pytest.fixture(scope="module")
def opened():
    browser.needed()
    with browser.browser() as found:
        yield found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_fault_or_asks_the_network(html, opened, theme):
    from axe_playwright_python.sync_playwright import Axe

    faults, asked, said = [], [], []
    context = opened.new_context(color_scheme=theme, viewport={"width": 1300, "height": 900})
    # The theme keeps the choice of its button; "auto" follows the system.
    context.add_init_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}');")
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: said.append(str(error)))
    for path in pages(html):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        page.add_style_tag(content="* { animation: none !important; transition: none !important; }")  # else half-seen
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        for violation in Axe().run(page, options=FOUND).response["violations"]:
            if violation["impact"] in FAULTS:
                nodes = [node["html"][:160] for node in violation["nodes"]]
                faults.append((path.name, violation["id"], len(nodes), nodes[:2]))
    context.close()
    assert [address for address in asked if not address.startswith(("file:", "data:"))] == [] and said == []
    assert faults == [], json.dumps(faults, indent=1)


def test_a_page_with_a_fault_is_caught(opened, tmp_path):
    from axe_playwright_python.sync_playwright import Axe

    (tmp_path / "a.html").write_text('<html lang="en"><title>a</title><main><h1>a</h1><img src="x.png"></main></html>')
    page = opened.new_page()
    page.goto((tmp_path / "a.html").as_uri())
    found = Axe().run(page, options=FOUND).response["violations"]
    assert {one["id"] for one in found if one["impact"] in FAULTS} == {"image-alt"}
    page.close()


def test_search_works_from_a_file(html, opened):
    page = opened.new_page()
    page.goto(f"{(html / 'search.html').as_uri()}?q=padding")
    page.locator("#search-results li a").first.wait_for(timeout=browser.LONGEST)
    page.close()


def test_printing_opens_what_is_folded_and_folds_it_again(html, opened):
    page = opened.new_page()
    page.goto((html / "chapters" / "02_poolings_from_scratch.html").as_uri())
    open_ones = "document.querySelectorAll('details:not([open])').length"
    folded = page.evaluate(open_ones)
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert folded > 10 and page.evaluate(open_ones) == 0
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(open_ones) == folded
    page.close()
