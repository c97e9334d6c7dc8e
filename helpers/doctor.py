"""What could keep the course from running on this machine, and what to do about each.

Each check imports what it needs by itself: a library that cannot be loaded is one of the things it has to say.
"""

import importlib.util
import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable
from importlib.metadata import requires
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
MODELS = Path(__file__).parent / "models"
PAIR = ("mini-bert", "mini-gpt2")
# Measured at `laptop` (README, "What it needs"), with some room.
MEMORY, DISK = 3.0, 2.5  # gigabytes free

AGAIN = "Fetch the course again, whole; in a clone: git checkout helpers/models"

AGAIN_ALL = (
    "Install the course again, in its folder and with the Python named above: "
    'python -m pip install --force-reinstall -c constraints.txt -e ".[dev,book]"'
)


class Ailment(Exception):
    """What is wrong; the second argument says what to do."""


def doctor() -> bool:
    """Check this machine, say what to do about each failing line, and return whether all is well.

    Versions, torch, memory, disk, folders, models, data and widgets: one line each. Nothing is changed or fetched.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a console that has no ✔
    well = True
    for name, check in CHECKS.items():
        try:
            print(f"✔ {name}: {check()}")
        except Ailment as ailment:
            well = False
            print(f"✘ {name}: {ailment.args[0]}\n  → {ailment.args[1]}")
        except Exception as error:  # whatever a broken installation raises is what has to be said
            well = False
            print(f"✘ {name}: {type(error).__name__}: {error}\n  → {AGAIN_ALL}")
    print("All is well." if well else "Mend the lines marked ✘, restart the kernel, and run this again.")
    return well


def _project() -> dict:
    """What pyproject.toml says, where the course is a copy of the repository."""
    path = REPOSITORY / "pyproject.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))["project"] if path.exists() else {}


def _requirements() -> list:
    from packaging.requirements import Requirement

    lines = _project().get("dependencies") or [one for one in requires("pooling-course") or [] if ";" not in one]
    return [Requirement(line) for line in lines]


def _python() -> str:
    needed = re.search(r"3\.(\d+)", _project().get("requires-python", "3.11"))
    here = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, int(needed[1])):
        raise Ailment(f"Python {here} is too old", f"Install {needed[0]} or newer, and make the environment anew.")
    return f"{here}, {sys.executable}"


def _packages() -> str:
    from helpers import packages

    colab = "google.colab" in sys.modules  # Colab keeps its own versions: there a package only has to be there
    wrong = []
    for one in _requirements():
        there = packages.installed(one.name)
        if there is None and (not colab or one.name in packages.NEEDED):
            wrong.append(f"{one.name} is missing")
        elif there and not colab and not one.specifier.contains(there, prereleases=True):
            wrong.append(f"{one.name} is {there}, needed is {one.specifier}")
    if wrong:
        here = (
            f"Is the Python named above the one of the course's environment ({REPOSITORY / '.venv'})? If it is: "
            'python -m pip install -c constraints.txt -e ".[dev,book]", in the course\'s folder.'
        )
        raise Ailment("; ".join(wrong), "Run the first cell again." if colab else here)
    return f"{len(_requirements())} as asked for"


def _torch() -> str:
    try:
        import torch

        one = torch.ones(2, 2)
        if (one @ one).sum() != 8:
            raise ArithmeticError("a small product of matrices came out wrong")
    except Exception as error:  # a broken library can raise anything when it is loaded
        raise Ailment(f"{type(error).__name__}: {error}", "Install it again: python -m pip install --force-reinstall "
                      "-c constraints.txt torch numpy") from error  # fmt: skip
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU, none is needed"
    return f"{torch.__version__}, {torch.get_num_threads()} threads, {gpu}"


def _memory() -> str:
    import psutil

    free = psutil.virtual_memory().available / 1e9
    if free < MEMORY:
        raise Ailment(f"{free:.1f} GB are free, a chapter may need {MEMORY}",
                      "Close other notebooks (their kernels too) and programs, or run at scale='smoke'.")  # fmt: skip
    return f"{free:.1f} GB free"


def _disk() -> str:
    from helpers import cache

    folder = _existing(cache.root())
    free = shutil.disk_usage(folder).free / 1e9
    if free < DISK:
        raise Ailment(f"{free:.1f} GB are free at {folder}, the cache may need {DISK}",
                      "Free some, or set COURSE_CACHE to a folder on a larger disk.")  # fmt: skip
    return f"{free:.1f} GB free at {folder}"


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))  # False where we may not look


def _writable(folder: Path, variable: str) -> str:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return str(folder)
    except OSError as error:
        raise Ailment(f"{folder} cannot be written to ({error.strerror})",
                      f"Set {variable} to a folder of your own.") from error  # fmt: skip


def _cache() -> str:
    from helpers import cache

    shared = os.environ.get("COURSE_SHARED_CACHE")
    if shared and not Path(shared).is_dir():
        raise Ailment(f"COURSE_SHARED_CACHE is {shared!r}, which is no folder", "Correct it, or unset it.")
    for path in Path(shared).rglob("*.safetensors") if shared else ():
        if not os.access(path, os.R_OK):
            raise Ailment(f"{path} of the shared cache may not be read", "Its owner can: chmod -R a+rX FOLDER")
    where = _writable(cache.root(), "COURSE_CACHE")
    return f"{where}, {cache.info()['megabytes']:,.0f} MB" + (f"; shared, only read: {shared}" if shared else "")


def _progress() -> str:
    from helpers import progress

    return _writable(progress.root(), "COURSE_PROGRESS")


def _models() -> str:
    from safetensors import SafetensorError, safe_open

    from helpers import sources

    found = [_package("MINILM")]
    for folder in (MODELS / name for name in PAIR):
        try:
            with safe_open(folder / "model.safetensors", "np"), open(folder / "tokenizer.json", "rb"):
                found.append(sources.from_repository(folder).name)
        except (OSError, SafetensorError, ValueError) as error:
            raise Ailment(f"{folder.name} cannot be read ({error})", AGAIN) from error
    return ", ".join(found)


def _package(name: str) -> str:
    from helpers import sources

    package = getattr(sources, name)
    try:
        sources.from_package(package)
    except (ModuleNotFoundError, ValueError) as error:
        raise Ailment(str(error), "Run the command above.") from error
    return f"{package.distribution} {package.version}"


def _widgets() -> str:
    if importlib.util.find_spec("ipywidgets") is None:
        raise Ailment("ipywidgets is missing", "python -m pip install -c constraints.txt ipywidgets")
    from helpers import packages

    if "google.colab" not in sys.modules and not packages.installed("jupyterlab_widgets"):
        raise Ailment("JupyterLab's part of ipywidgets (jupyterlab_widgets) is missing, so no slider would move",
                      "python -m pip install -c constraints.txt jupyterlab_widgets; restart JupyterLab")  # fmt: skip
    return f"ipywidgets {packages.installed('ipywidgets')}"


CHECKS: dict[str, Callable[[], str]] = {
    "Python": _python,
    "packages": _packages,
    "torch": _torch,
    "memory": _memory,
    "disk": _disk,
    "cache": _cache,
    "progress": _progress,
    "models": _models,
    "reviews": lambda: _package("REVIEWS"),
    "widgets": _widgets,
}
