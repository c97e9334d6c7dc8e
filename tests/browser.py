"""A headless Chromium and a JupyterLab for tests: found or skipped with a reason, and always closed again."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
    pytest.importorskip("playwright", reason="Playwright is not installed: make browser")
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


@contextmanager
def jupyterlab(folder: Path, home: Path) -> Iterator[str]:
    """Serve a folder by JupyterLab with settings of its own; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = home / "lab-settings"
    settings.mkdir(parents=True)
    quiet = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}  # they ask the network
    (settings / "page_config.json").write_text(json.dumps(quiet))
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.port={port}",
         "--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}",
         f"--LabApp.app_settings_dir={settings}"],
        env={**os.environ, "JUPYTER_PREFER_ENV_PATH": "1", "JUPYTER_CONFIG_DIR": str(home / "config"),
             "JUPYTER_DATA_DIR": str(home / "data"), "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
             "JUPYTERLAB_SETTINGS_DIR": str(home / "user"), "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces")},
        stdout=subprocess.DEVNULL, stderr=(home / "lab.log").open("w"),
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)
