"""The cache: whole files or none, damage noticed, two writers at once."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from helpers import cache, encoders

pytestmark = pytest.mark.usefixtures("own_cache")

KEYS = [bytes([number]) * 16 for number in range(3)]
STATES = [torch.randn(length, 4, generator=torch.Generator().manual_seed(length)).half() for length in (2, 5, 1)]


def filled(name: str = "shelf") -> cache.Shelf:
    shelf = cache.Shelf(name)
    shelf.add(KEYS, STATES)
    return shelf


def only_file(shelf: cache.Shelf):
    (path,) = shelf.folder.iterdir()
    return path


def read_all(shelf: cache.Shelf) -> dict[bytes, torch.Tensor | None]:
    return {key: place.read() for key, place in shelf.find().items()}


def test_what_is_added_is_found():
    shelf = filled()
    found = read_all(shelf)
    assert list(found) == KEYS
    for key, state in zip(KEYS, STATES, strict=True):
        assert found[key].dtype == torch.float16 and torch.equal(found[key], state)
    assert cache.Shelf("another").find() == {}


def test_a_shard_is_an_ordinary_safetensors_file():
    with safe_open(only_file(filled()), "pt") as file:
        assert torch.equal(file.get_tensor("values"), torch.cat(STATES))
        assert file.get_tensor("offsets").tolist() == [0, 2, 7, 8]


def test_of_two_copies_the_newer_is_found():
    shelf = filled()
    shelf.add(KEYS[1:2], [torch.zeros(7, 4).half()])
    found = read_all(shelf)
    assert torch.equal(found[KEYS[1]], torch.zeros(7, 4).half()) and torch.equal(found[KEYS[0]], STATES[0])


def test_what_was_read_belongs_to_the_reader():
    shelf = filled()
    shelf.find()[KEYS[0]].read().zero_()
    assert torch.equal(shelf.find()[KEYS[0]].read(), STATES[0])


def damages(path) -> dict[str, bytes]:
    whole = path.read_bytes()
    return {
        "cut to nothing": b"",
        "cut in the header": whole[:40],
        "cut in the values": whole[:-30],
        "garbage": b"\xff" * len(whole),
        "text": b"not a file of tensors",
        "longer": whole + b"more",
        "another tensor file": b"\x02\0\0\0\0\0\0\0{}",
    }


DAMAGES = ["cut to nothing", "cut in the header", "cut in the values", "garbage", "text", "longer",
           "another tensor file"]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard_is_deleted_and_the_others_stay(damage):
    shelf = filled()
    path = only_file(shelf)
    assert set(damages(path)) == set(DAMAGES)
    shelf.add([b"x" * 16], [STATES[0]])
    path.write_bytes(damages(path)[damage])
    assert list(shelf.find()) == [b"x" * 16]
    assert not path.exists()


@pytest.mark.parametrize("damage", ["cut to nothing", "cut in the header", "cut in the values", "garbage", "text"])
def test_damage_after_opening_is_noticed_when_a_text_is_read(damage):
    shelf = filled()
    places = shelf.find()
    path = only_file(shelf)
    # In place, so that whoever holds the file open sees the damage too.
    with open(path, "r+b") as file:
        content = damages(path)[damage]
        file.truncate(len(content))
        file.write(content)
    last = places[KEYS[2]].read()
    assert last is None or (damage == "cut in the values" and torch.equal(last, STATES[2]))
    if damage != "cut in the values":
        assert places[KEYS[0]].read() is None


@settings(max_examples=150)
@given(st.data())
def test_no_flipped_bit_anywhere_gives_a_wrong_value(data):
    shelf = filled(f"shelf-{os.urandom(8).hex()}")
    path = only_file(shelf)
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(content)
    for key, value in read_all(shelf).items():
        assert value is None or torch.equal(value, STATES[KEYS.index(key)])


def test_a_flipped_bit_in_one_text_spares_the_others():
    shelf = filled()
    path = only_file(shelf)
    content = bytearray(path.read_bytes())
    at = bytes(content).index(STATES[1].numpy().tobytes())
    content[at + 3] ^= 1
    path.write_bytes(content)
    found = read_all(shelf)
    assert found[KEYS[1]] is None
    assert torch.equal(found[KEYS[0]], STATES[0]) and torch.equal(found[KEYS[2]], STATES[2])


def test_a_writer_that_fails_leaves_nothing(own_cache):
    target = own_cache / "folder" / "file"
    with pytest.raises(RuntimeError, match="on the way"), cache.atomic(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("on the way")
    assert list(target.parent.iterdir()) == []


def test_a_writer_that_fails_leaves_the_old_file(own_cache):
    target = own_cache / "file"
    with cache.atomic(target) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError, match="on the way"), cache.atomic(target) as temporary:
        temporary.write_text("new, but half")
        raise RuntimeError("on the way")
    assert target.read_text() == "old"


def test_a_killed_writer_leaves_nothing_readable():
    shelf = cache.Shelf("shelf")
    killed = (
        "import os, torch; from helpers import cache\n"
        "os.replace = lambda *_: os._exit(9)  # gone after the last byte, before the move\n"
        "cache.Shelf('shelf').add([b'k' * 16], [torch.zeros(2, 4).half()])"
    )
    assert subprocess.run([sys.executable, "-c", killed]).returncode == 9
    (left,) = shelf.folder.iterdir()
    assert left.name.startswith(".") and left.suffix == ".tmp"
    assert shelf.find() == {}
    shelf.add(KEYS, STATES)
    assert list(shelf.find()) == KEYS


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux lists the files that are mapped")
def test_what_was_found_keeps_no_file_open():
    # Windows deletes no file that a process has mapped: clear() would leave it, and say nothing.
    found = filled().find()
    assert len(found) == 3 and str(cache.root()) not in Path("/proc/self/maps").read_text()


def test_a_cache_cleared_while_it_is_read_is_an_absence_and_no_crash():
    places = filled().find()
    cache.clear()
    assert places[KEYS[0]].read() is None


def test_info_counts_and_clear_removes_only_what_the_course_wrote(own_cache):
    assert cache.info() == {"files": 0, "megabytes": 0.0}
    own_cache.mkdir()
    (own_cache / "thesis.txt").write_text("not ours" * 100_000)
    (own_cache / "other").mkdir()
    filled()
    filled("second").add([b"x" * 16], [torch.zeros(100_000, 4).half()])  # 0.8 MB
    cache.write_array(own_cache / "splits" / "a.safetensors", np.zeros(3))
    assert cache.info() == {"files": 4, "megabytes": 0.8}
    cache.clear()
    assert sorted(path.name for path in own_cache.iterdir()) == ["other", "thesis.txt"]
    assert cache.info() == {"files": 0, "megabytes": 0.0}
    cache.clear()


def test_info_does_not_mind_a_file_that_goes_while_it_looks(monkeypatch):
    filled()

    def there_a_moment_ago(path: cache.Path) -> bool:
        path.unlink()
        return True

    monkeypatch.setattr(cache.Path, "is_file", there_a_moment_ago)
    assert cache.info()["files"] == 0


def test_the_cache_stands_where_the_system_keeps_caches_unless_told(own_cache, monkeypatch):
    assert cache.root() == own_cache
    for unset in ("", None):
        monkeypatch.setenv("COURSE_CACHE", "") if unset == "" else monkeypatch.delenv("COURSE_CACHE")
        assert cache.root().name == "pooling-course" and cache.root().is_absolute()


def test_an_array_comes_back_only_when_it_is_whole(own_cache):
    path, values = own_cache / "a.safetensors", np.arange(5)
    assert cache.read_array(path, 5) is None
    cache.write_array(path, values)
    assert np.array_equal(cache.read_array(path, 5), values)
    assert cache.read_array(path, 4) is None, "made from other texts"
    whole = path.read_bytes()
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    for damaged in (b"", whole[:20], whole[:-1], flipped, b"\xff" * 90, b"\x02\0\0\0\0\0\0\0{}"):
        path.write_bytes(damaged)
        assert cache.read_array(path, 5) is None


# A class: one cache that all read, and one of each learner's own


def contents(folder) -> dict:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def shared(tmp_path, own_cache, monkeypatch):
    """A cache that a teacher has filled, and the empty one of a learner."""
    teachers = tmp_path / "teacher"
    monkeypatch.setenv("COURSE_CACHE", str(teachers))
    filled()
    cache.write_array(teachers / "splits" / "a.safetensors", np.arange(5))
    monkeypatch.setenv("COURSE_CACHE", str(own_cache))
    monkeypatch.setenv("COURSE_SHARED_CACHE", str(teachers))
    return teachers


def test_what_is_shared_is_read_and_what_is_new_goes_to_the_own_cache(shared, own_cache):
    before, shelf = contents(shared), cache.Shelf("shelf")
    there = shelf.find()
    assert there and not own_cache.exists()
    new = b"n" * 16
    shelf.add([new], [torch.ones(2, 4).half()])
    assert set(cache.Shelf("shelf").find()) == {*there, new}
    assert contents(shared) == before
    assert cache.info()["files"] == 1, "the size of the own cache alone"
    cache.clear()
    assert contents(shared) == before and set(cache.Shelf("shelf").find()) == set(there)


def test_a_shared_cache_that_is_not_there_is_said(own_cache, monkeypatch):
    monkeypatch.setenv("COURSE_SHARED_CACHE", str(own_cache / "nowhere"))
    with pytest.raises(ValueError, match="nowhere', which is no folder: correct it, or unset it"):
        cache.Shelf("shelf")


def test_of_two_copies_the_own_one_counts(shared):
    key, place = next(iter(cache.Shelf("shelf").find().items()))
    own = torch.full(place.read().shape, 7.0).half()
    cache.Shelf("shelf").add([key], [own])
    assert torch.equal(cache.Shelf("shelf").find()[key].read(), own)


def test_a_damaged_shard_of_the_shared_cache_is_passed_over_and_left_alone(shared):
    (path,) = (shared / "states" / "shelf").glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:50])
    before = contents(shared)
    assert cache.Shelf("shelf").find() == {} and contents(shared) == before


def test_an_encoder_reads_a_shared_cache_without_writing(shared, own_cache, bert, monkeypatch):
    texts = ["a fine film", "a dull film", "slow"]
    monkeypatch.setenv("COURSE_CACHE", str(shared))
    first = [states.clone() for states in encoders.encode(bert, texts, 16)]
    monkeypatch.setenv("COURSE_CACHE", str(own_cache))
    before = contents(shared)
    assert all(torch.equal(one, two) for one, two in zip(first, encoders.encode(bert, texts, 16), strict=True))
    assert not own_cache.exists() and contents(shared) == before
    # What is damaged there is computed again, for this learner alone.
    for path in shared.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-3] + b"\0\0\0")
    before = contents(shared)
    assert all(torch.equal(one, two) for one, two in zip(first, encoders.encode(bert, texts, 16), strict=True))
    assert contents(shared) == before and cache.info()["files"] >= 1


def test_two_learners_cannot_harm_each_other(shared, tmp_path, monkeypatch):
    there = cache.Shelf("shelf").find()
    for name in ("ann", "ben"):
        monkeypatch.setenv("COURSE_CACHE", str(tmp_path / name))
        cache.Shelf("shelf").add([name[0].encode() * 16], [torch.ones(1, 4).half()])
        cache.clear() if name == "ben" else None
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "ann"))
    assert set(cache.Shelf("shelf").find()) == {*there, b"a" * 16}


@pytest.mark.parametrize("harm", ["a file in its place", "no rights"])
def test_a_cache_that_cannot_be_written_is_said_in_one_sentence(own_cache, monkeypatch, harm):
    if harm == "no rights":  # root may write everywhere, so the answer of the system is made up
        monkeypatch.setattr(cache.os, "access", lambda path, mode: False)
    else:
        own_cache.write_text("a file")
    with pytest.raises(OSError, match="set COURSE_CACHE to a folder of your own.*COURSE_SHARED_CACHE"):
        cache.Shelf("shelf").add([b"x" * 16], [torch.ones(1, 4).half()])


def test_a_class_may_read_what_its_teacher_computed():
    before = os.umask(0o022)
    try:
        filled()
        (path,) = cache.Shelf("shelf").folder.glob("*.safetensors")
        assert path.stat().st_mode & 0o777 == 0o644
        os.umask(0o077)
        cache.write_array(cache.root() / "own.safetensors", np.zeros(2))
        assert (cache.root() / "own.safetensors").stat().st_mode & 0o777 == 0o600, "whoever wants to share nothing"
        assert os.umask(0o077) == 0o077, "the process's own setting is as it was"
    finally:
        os.umask(before)


def test_a_folder_that_is_cleared_while_we_look_is_empty(monkeypatch):
    filled()

    def cleared(folder, pattern):
        yield from ()
        raise FileNotFoundError

    monkeypatch.setattr(cache.Path, "rglob", cleared)
    assert cache.info()["files"] == 0 and cache.Shelf("shelf").find() == {}
