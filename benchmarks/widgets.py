"""How long a reader waits for a widget: from a key to the new picture on the screen, in JupyterLab and Chromium.

    python -m benchmarks.widgets [NAME …]

Every chapter's widgets at `laptop`, eight moves of the first control each, one after the other, on an otherwise idle
machine. Goal: under 200 ms. Writes benchmarks/widgets.csv; with names, those chapters' rows anew.
"""

import os
import sys
import tempfile
from pathlib import Path

import pandas as pd

from tests import browser
from tests.test_widgets_live import CHAPTERS, excerpt
from tools.execute import hardware

TABLE = Path(__file__).with_name("widgets.csv")
GOAL, MOVES = 200, 8

#: Notes when a key goes down, and when the first frame with a new picture has been drawn.
WATCH = """view => {
  const area = view.querySelector(':scope > .widget-output');
  window.waits = []; let begun = 0;
  const done = () => requestAnimationFrame(() => {
    if (begun) { window.waits.push(performance.now() - begun); begun = 0; }
  });
  document.addEventListener('keydown', event => { begun = performance.now(); }, true);
  new MutationObserver(() => {
    const picture = area.querySelector('img');
    if (picture) { picture.complete ? done() : (picture.onload = done); } else if (area.querySelector('table')) done();
  }).observe(area, {subtree: true, childList: true, attributes: true});
}"""


def waits(page, view) -> list[float]:
    """Move a widget's first control to and fro; return the milliseconds of each move."""
    view.evaluate(WATCH)
    for move in range(MOVES):
        control = browser.controls(view).first
        if control.get_attribute("role") == "slider":
            control.focus()
            page.keyboard.press("ArrowRight" if move % 4 < 2 else "ArrowLeft")
        else:
            browser.move(page, control)
        page.wait_for_timeout(1500)
    return page.evaluate("window.waits")


def main() -> None:
    os.environ["COURSE_SCALE"], rows = "laptop", []
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ["COURSE_PROGRESS"] = str(home / "progress")
        (home / "notebooks").mkdir()
        with browser.jupyterlab(home / "notebooks", home) as address, browser.browser() as opened:
            for name in sys.argv[1:] or CHAPTERS:
                page, _ = browser.listened(opened)
                notebook, widgets = excerpt(name, home / "notebooks")
                browser.run_all(page, f"{address}/doc/tree/{notebook}", widgets)
                for number in range(widgets):
                    found = pd.Series(waits(page, page.locator(browser.VIEW).nth(number)))
                    measured = {"moves": len(found), "median": found.median(), "longest": found.max()}
                    holds = {"holds": bool(found.median() < GOAL), "hardware": hardware()}
                    rows.append({"chapter": name, "widget": number + 1, **measured, **holds})
                    print(rows[-1], flush=True)
                page.close()
    made, kept = pd.DataFrame(rows).round(0), pd.read_csv(TABLE) if TABLE.exists() else pd.DataFrame()
    kept = kept[~kept.chapter.isin(made.chapter)] if len(kept) else kept
    table = pd.concat([kept, made]).sort_values(["chapter", "widget"])
    table.to_csv(TABLE, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
