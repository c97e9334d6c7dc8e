"""Each chapter's widgets, moved by keyboard in a real JupyterLab: the picture follows, and the console stays silent."""

from pathlib import Path

import nbformat
import pytest

from tests import browser, slices
from tools.editions import course_edition, read_source, tags
from tools.project import SOURCES

pytestmark = pytest.mark.slow

CHAPTERS = sorted(path.stem for path in SOURCES.glob("*.py"))


def excerpt(name: str, folder: Path) -> tuple[str, int]:
    """Write a chapter's widgets with the cells that they need; return the notebook's name and how many widgets."""
    chapter = course_edition(read_source(SOURCES / f"{name}.py"), name)
    shown = [cell for cell in chapter.cells if "widget" in tags(cell)]
    kept = {cell.id for one in shown for cell in slices.needed(chapter, one)}
    cells = [cell for cell in chapter.cells if cell.id in kept]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=chapter.metadata), folder / f"{name}.ipynb")
    return f"{name}.ipynb", len(shown)


def test_every_chapter_has_a_widget():
    for name in CHAPTERS:
        assert any("widget" in tags(cell) for cell in read_source(SOURCES / f"{name}.py").cells), name


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab over the excerpts, and a browser."""
    browser.needed()
    home = tmp_path_factory.mktemp("lab")
    (home / "notebooks").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_SCALE", "smoke")
        patch.setenv("COURSE_PROGRESS", str(home / "progress"))
        with browser.jupyterlab(home / "notebooks", home) as address, browser.browser() as opened:
            yield home / "notebooks", address, opened


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_widget_follows_the_keyboard_without_an_error(name, lab):
    folder, address, opened = lab
    page, said = browser.listened(opened)
    notebook, widgets = excerpt(name, folder)
    browser.run_all(page, f"{address}/doc/tree/{notebook}", widgets)
    views = page.locator(browser.VIEW)
    assert views.count() == widgets
    for number in range(views.count()):
        view = views.nth(number)
        unlabelled = view.locator("label.widget-label").evaluate_all("all => all.filter(one => !one.innerText.trim())")
        assert unlabelled == [] and view.locator("label.widget-label").count() == browser.controls(view).count()
        before = browser.shown(view)
        browser.move(page, browser.controls(view).first)
        followed = lambda view=view, before=before: browser.shown(view) != before  # noqa: E731
        browser.wait_until(page, followed, f"{name}: widget {number + 1} does not follow its first control")
    assert said == []
    page.close()
