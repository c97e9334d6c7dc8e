"""Token states on disk: written once and whole, checked before they are believed.

A *shelf* is a folder for one encoder at one length. Each call that computes something adds one
*shard* to it (a safetensors file under a name of its own), so two notebooks can write at the same
time without a lock, and a killed one leaves nothing half-written. Every text has a checksum.
"""

import errno
import json
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import platformdirs
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

_OTHER_PLACE = (
    "If this is the course's cache: set COURSE_CACHE to a folder of your own (a read-only one that a class shares goes "
    "into COURSE_SHARED_CACHE)."
)
_FULL = [f"os error {number}" for number in (errno.ENOSPC, errno.EDQUOT, 112)]  # as safetensors says it; 112: Windows
_DAY = 86_400  # seconds, after which a temporary file is nobody's: no write takes nearly so long
FOLDERS = ("states", "splits", "tuned", "tasks")  # what the course keeps below the root


def root() -> Path:
    """Return the cache folder: ``COURSE_CACHE``, or the usual place of this system."""
    return Path(os.environ.get("COURSE_CACHE") or platformdirs.user_cache_dir("pooling-course"))


def places(*parts: str) -> list[Path]:
    """Return where a file or folder of the cache may lie: the own place first, which alone is ever written to.

    The second is the same place below ``COURSE_SHARED_CACHE``, if that is set: a cache that somebody else has filled,
    for instance a teacher for a class. Nothing in it is changed or deleted, so it may be read-only.

    Raises
    ------
    ValueError
        ``COURSE_SHARED_CACHE`` is no folder.
    """
    shared = os.environ.get("COURSE_SHARED_CACHE")
    if shared and not Path(shared).is_dir():
        raise ValueError(f"COURSE_SHARED_CACHE is {shared!r}, which is no folder: correct it, or unset it.")
    return [Path(folder).joinpath(*parts) for folder in (root(), shared) if folder]


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, and move it to `path` only when all went well.

    Raises
    ------
    OSError
        The folder cannot be made or written to, or there is no space left.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"The folder {path.parent} cannot be made ({error.strerror}). {_OTHER_PLACE}") from error
    if not os.access(path.parent, os.W_OK):
        raise OSError(f"The folder {path.parent} cannot be written to. {_OTHER_PLACE}")
    _sweep(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        # safetensors writes for the owner alone; a class that shares a cache has to be able to read it.
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        if getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT) and not any(
            says in str(error) for says in _FULL
        ):
            raise
        raise OSError(
            f"There is no space left in the folder {path.parent} for {path.name}. Make room on that disk, for instance "
            "with encoders.clear_cache(); or, if this is the course's cache, set COURSE_CACHE to a folder on another."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _sweep(folder: Path) -> None:
    """Remove the temporary files of writers that were killed."""
    for path in folder.glob(".*.[0-9]*.????????.tmp"):
        with suppress(OSError):  # another process was faster
            if time.time() - path.stat().st_mtime > _DAY:
                path.unlink()


def _umask() -> int:
    """The rights that new files do not get; a process can only learn them by setting them."""
    found = os.umask(0o022)
    os.umask(found)
    return found


def _files(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder in order, though another notebook may clear it while we look."""
    found: list[Path] = []
    with suppress(FileNotFoundError):
        found.extend(folder.rglob(pattern))
    return sorted(found)


class Place(NamedTuple):
    """Where one text's states lie: a shard, rows ``start:stop`` of its values, their checksum."""

    shard: "Shard"
    start: int
    stop: int
    checksum: int

    def read(self) -> torch.Tensor | None:
        """Return the states ``[T, d]`` (float16), or None when the bytes are not what was written."""
        values = self.shard.rows(self.start, self.stop)
        if values is None or zlib.crc32(values) != self.checksum:
            return None
        return torch.from_numpy(values.reshape(self.stop - self.start, -1))


class Shard:
    """One file of token states, opened without reading its values.

    Raises
    ------
    SafetensorError, ValueError
        The file is cut short, or its index does not have the checksum that it declares.
    """

    def __init__(self, path: Path):
        with safe_open(path, "np") as file:  # "np" copies: a mapped file could not be deleted on Windows
            index = [file.get_tensor(name) for name in ("keys", "offsets", "checksums")]
            if file.metadata()["index"] != _index_checksum(index):
                raise ValueError(f"{path.name}: the index is damaged")
        self.keys, self.offsets, self.checksums = index
        self.path = path
        with open(path, "rb") as file:  # a safetensors file: length of the header, header, values
            length = int.from_bytes(file.read(8), "little")
            values = json.loads(file.read(length))["values"]
        self.begin, self.dim = 8 + length + values["data_offsets"][0], values["shape"][1]

    def rows(self, start: int, stop: int) -> np.ndarray | None:
        """Return rows ``start:stop`` of the values, one after another (fewer if the file was cut short since).

        Read, not mapped: where a mapped file is cut short, the system kills the whole process.
        """
        size = np.dtype(np.float16).itemsize * self.dim
        try:
            return np.fromfile(self.path, np.float16, (stop - start) * self.dim, offset=self.begin + start * size)
        except OSError:  # another notebook cleared the cache just now
            return None

    def places(self, wanted: Set[bytes] | None = None) -> Iterator[tuple[bytes, Place]]:
        """Yield the place of each text that is wanted and here; of every text, where None is given."""
        keys = self.keys.view("V16").ravel().tolist()  # [k, 16] -> k times bytes
        rows = range(len(keys))
        for row in rows if wanted is None else compress(rows, map(wanted.__contains__, keys)):
            start, stop = self.offsets[row : row + 2].tolist()
            yield keys[row], Place(self, start, stop, int(self.checksums[row]))


def _after(folder: Path) -> int:
    """The time, or a later one than any shard's name has: of two copies the newer counts, whatever the clock does."""
    names = [path.name[:20] for path in _files(folder, "*.safetensors")]
    return max([time.time_ns(), *(int(name) + 1 for name in names if name.isdecimal())])


def _index_checksum(index: list[np.ndarray]) -> str:
    return str(zlib.crc32(b"".join(part.tobytes() for part in index)))


class Shelf:
    """The token states of one encoder at one length, found by a text's 16-byte key."""

    def __init__(self, name: str):
        self.folder, *self.shared = places("states", name)

    def find(self, wanted: Set[bytes] | None = None) -> dict[bytes, Place]:
        """Return the place of each text on the shelf; of two copies the own, then the newer one.

        With a set of keys only those: then the time is that of reading the shards' indexes, however many texts they
        hold. Own damaged shards are deleted.
        """
        found: dict[bytes, Place] = {}
        for folder in (*self.shared, self.folder):
            for path in _files(folder, "*.safetensors"):
                try:
                    found.update([*Shard(path).places(wanted)])  # all of a shard or nothing
                except FileNotFoundError:
                    continue  # another notebook cleared the cache just now
                except (SafetensorError, ValueError, KeyError, TypeError, IndexError):
                    if folder == self.folder:
                        with suppress(OSError):  # the cache is read-only, or another notebook was faster
                            path.unlink()
        return found

    def add(self, keys: list[bytes], states: list[torch.Tensor]) -> None:
        """Write the states (each ``[T, d]``, float16) of some texts as one new shard."""
        rows = [state.contiguous().numpy() for state in states]
        index = {
            "keys": np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), 16),  # bytes -> [n, 16]
            "offsets": np.cumsum([0] + [len(row) for row in rows]),
            "checksums": np.array([zlib.crc32(row.tobytes()) for row in rows], np.int64),
        }
        path = self.folder / f"{_after(self.folder):020d}-{secrets.token_hex(4)}.safetensors"
        with atomic(path) as temporary:
            save_file(
                {"values": np.concatenate(rows), **index},
                temporary,
                metadata={"index": _index_checksum(list(index.values()))},
            )


def info() -> dict[str, float]:
    """Return the number of files and the size of the cache in megabytes."""
    sizes = []
    for path in (path for name in FOLDERS for path in _files(root() / name, "*.*")):
        with suppress(FileNotFoundError):  # another notebook's temporary file, renamed just now
            sizes += [path.stat().st_size] if path.is_file() else []
    return {"files": len(sizes), "megabytes": round(sum(sizes) / 1e6, 1)}


def clear() -> None:
    """Delete the whole cache. What is needed again will be computed again."""
    for name in FOLDERS:  # never the root itself: COURSE_CACHE may be somebody's own folder
        shutil.rmtree(root() / name, ignore_errors=True)


def read_array(path: Path, rows: int) -> np.ndarray | None:
    """Return an array that `write_array` wrote, or None when it is not there or damaged."""
    try:
        with safe_open(path, "np") as file:
            values, checksum = file.get_tensor("values"), file.metadata()["checksum"]
    except (OSError, SafetensorError, KeyError, TypeError):
        return None
    return values if len(values) == rows and checksum == str(zlib.crc32(values.tobytes())) else None


def write_array(path: Path, values: np.ndarray) -> None:
    """Write one array, whole or not at all."""
    with atomic(path) as temporary:
        save_file({"values": values}, temporary, metadata={"checksum": str(zlib.crc32(values.tobytes()))})
