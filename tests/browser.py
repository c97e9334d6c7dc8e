"""A headless Chromium and a JupyterLab for tests: found or skipped with a reason, and always closed again."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

# Without these flags Chromium asks the network for things of its own.
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-quic"]  # fmt: skip
#: Milliseconds that something may take to appear on a busy machine: a limit for what hangs, not a measurement.
LONGEST = 180_000


def chromium() -> str | None:
    """Return the browser: ``CHROMIUM``, or what is on the path."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def needed() -> None:
    """Skip where there is no browser, or nothing to drive it with."""
    pytest.importorskip("playwright", reason="Playwright is not installed: make test installs it")
    if not chromium():
        pytest.skip("no Chromium on the path, and CHROMIUM does not name one (Debian: apt install chromium)")


@contextmanager
def browser() -> Iterator:
    """Give a Playwright browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield opened
        opened.close()


def listened(opened) -> tuple:
    """Open a page; return it, and the list that errors of its console and scripts are put into."""
    page, said = opened.new_page(viewport={"width": 1400, "height": 1600}), []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    return page, said


# A widget of the course: its controls, and the output that follows them.
VIEW = ".widget-vbox:has(> .widget-output)"
# No lists (select) among them: JupyterLab takes the keys that would choose from one for commands of its own.
CONTROL = ".widget-inline-hbox [role=slider], .widget-inline-hbox input[type=text]"


def run_all(page, address: str, widgets: int) -> None:
    """Open a notebook in JupyterLab, run all of its cells, and wait until its widgets are there and show something."""
    page.goto(address)
    page.get_by_text("| Idle").wait_for(timeout=LONGEST)  # before that, JupyterLab takes the command and does nothing
    page.wait_for_timeout(1000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.locator(f"{VIEW} .jp-OutputArea-output").nth(widgets - 1).wait_for(timeout=LONGEST)
    page.get_by_text("| Idle").wait_for(timeout=LONGEST)


def controls(view):
    return view.locator(CONTROL)


def move(page, control) -> None:
    """Change a control by the keyboard alone."""
    control.focus()
    kind = control.evaluate("one => one.tagName")
    if kind == "INPUT":
        page.keyboard.press("End")
        page.keyboard.type(" dull")
        page.keyboard.press("Enter")
    else:
        highest = control.get_attribute("aria-valuenow") == control.get_attribute("aria-valuemax")
        page.keyboard.press("ArrowLeft" if highest else "ArrowRight")


def shown(view) -> str:
    """Return what a widget's output shows: its picture, table or words."""
    return view.locator("> .widget-output").evaluate("one => one.querySelector('img')?.src || one.innerText")


def wait_until(page, holds, what: str) -> None:
    """Wait for something to become true."""
    for _ in range(LONGEST // 100):
        if holds():
            return
        page.wait_for_timeout(100)
    raise AssertionError(what)


@contextmanager
def jupyterlab(folder: Path, home: Path, *flags: str) -> Iterator[str]:
    """Serve a folder by JupyterLab with settings of its own, and with more flags; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = home / "lab-settings"
    settings.mkdir(parents=True)
    quiet = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}  # they ask the network
    (settings / "page_config.json").write_text(json.dumps(quiet))
    # All cells stay in the page, also those that are out of sight.
    whole = {"@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"}}
    (settings / "overrides.json").write_text(json.dumps(whole))
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.port={port}",
         "--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}",
         f"--LabApp.app_settings_dir={settings}", *flags],
        env={**os.environ, "JUPYTER_PREFER_ENV_PATH": "1", "JUPYTER_CONFIG_DIR": str(home / "config"),
             "JUPYTER_DATA_DIR": str(home / "data"), "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
             "JUPYTERLAB_SETTINGS_DIR": str(home / "user"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")},
        stdout=subprocess.DEVNULL, stderr=(home / "lab.log").open("w"),
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(LONGEST // 100):
            with suppress(OSError):
                urllib.request.urlopen(f"{address}/api")
                break
            time.sleep(0.1)  # a server that starts gives no other sign
        yield address
    finally:
        process.terminate()
        process.wait(30)
