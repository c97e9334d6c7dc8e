"""Run a notebook by nbconvert, in an environment that has nothing of ours but the course."""

import subprocess
from collections.abc import Callable

#: Rarely a kernel and nbclient wait for each other at a widget (nbclient's issue 312): then a cell "takes" this long.
EXECUTE = ["-m", "nbconvert", "--to", "notebook", "--execute", "--ExecutePreprocessor.timeout=180"]


def patiently(run: Callable[[], subprocess.CompletedProcess]) -> subprocess.CompletedProcess:
    """Run; and once more where a cell timed out."""
    first = run()
    return run() if "CellTimeoutError" in first.stderr else first
