"""Wrong answers to the exercises of chapter 1, each a slip that a learner could make."""

WRONG = {
    "ex-1.1": [
        # Python's hash changes with each start
        """
def side(text):
    position = hash(text) % 1000 / 1000
    return "train" if position < 0.7 else "validation" if position < 0.8 else "test"
""",
        # shares taken for bounds: the test part gets what is left
        """
def side(text):
    position = int(data.content_id(text), 16) / 16**16
    return "train" if position < 0.7 else "validation" if position < 0.9 else "test"
""",
        # the digits' own order, another hash of the same text
        """
def side(text):
    position = int(data.content_id(text)[::-1], 16) / 16**16
    return "train" if position < 0.7 else "validation" if position < 0.8 else "test"
""",
        # chance, as a shuffle would do
        """
def side(text):
    return str(np.random.default_rng(0).choice(["train", "validation", "test"], p=[0.7, 0.1, 0.2]))
""",
    ],
    "ex-1.2": [
        # over the union (resemblance) instead of the shorter text (containment)
        """
def overlap(a, b, size):
    x, y = (
        {tuple(t.lower().split()[i : i + size]) for i in range(max(1, len(t.split()) - size + 1))} for t in (a, b)
    )
    return len(x & y) / len(x | y)
""",
        # over the first text
        """
def overlap(a, b, size):
    x, y = (
        {tuple(t.lower().split()[i : i + size]) for i in range(max(1, len(t.split()) - size + 1))} for t in (a, b)
    )
    return len(x & y) / len(x)
""",
        # single words, not runs
        """
def overlap(a, b, size):
    x, y = set(a.lower().split()), set(b.lower().split())
    return len(x & y) / min(len(x), len(y))
""",
        # upper and lower case kept apart
        """
def overlap(a, b, size):
    x, y = ({tuple(t.split()[i : i + size]) for i in range(max(1, len(t.split()) - size + 1))} for t in (a, b))
    return len(x & y) / min(len(x), len(y))
""",
        # a short text has no shingle: division by zero
        """
def overlap(a, b, size):
    x, y = ({tuple(t.lower().split()[i : i + size]) for i in range(len(t.split()) - size + 1)} for t in (a, b))
    return len(x & y) / min(len(x), len(y))
""",
        # lists: a run that comes three times counts three times
        """
def overlap(a, b, size):
    x, y = ([tuple(t.lower().split()[i : i + size]) for i in range(max(1, len(t.split()) - size + 1))] for t in (a, b))
    return sum(run in y for run in x) / min(len(x), len(y))
""",
        # over the text with fewer words, which need not have fewer shingles
        """
def overlap(a, b, size):
    x, y = (
        {tuple(t.lower().split()[i : i + size]) for i in range(max(1, len(t.split()) - size + 1))} for t in (a, b)
    )
    return len(x & y) / (len(x) if len(a.split()) < len(b.split()) else len(y))
""",
    ],
    "ex-1.3": [
        # each training text against each exam text, alone: a copy of a copy gets through
        """
def without_copies(training, exam):
    def near(a, b):
        group = data.near_duplicates([a, b])
        return group[0] == group[1]

    return [row for row, text in enumerate(training) if not any(near(text, question) for question in exam)]
""",
        # exact copies only
        """
def without_copies(training, exam):
    return [row for row, text in enumerate(training) if text not in exam]
""",
        # what leaked instead of what is clean
        """
def without_copies(training, exam):
    group = data.near_duplicates(list(training) + list(exam))
    return np.flatnonzero(np.isin(group[: len(training)], group[len(training) :])).tolist()
""",
        # all copies, also those among the training texts
        """
def without_copies(training, exam):
    group = data.near_duplicates(list(training) + list(exam))
    size = np.bincount(group)
    return [row for row in range(len(training)) if size[group[row]] == 1]
""",
        # groups numbered apart: the two lists of numbers have nothing to do with each other
        """
def without_copies(training, exam):
    return np.flatnonzero(~np.isin(data.near_duplicates(training), data.near_duplicates(exam))).tolist()
""",
        # texts instead of positions
        """
def without_copies(training, exam):
    group = data.near_duplicates(list(training) + list(exam))
    return [text for row, text in enumerate(training) if group[row] not in group[len(training) :]]
""",
    ],
    "ex-1.4": [
        # each word counts once, however often it occurs
        """
def bpe_step(words):
    best = Counter(pair for pieces in words for pair in zip(pieces, pieces[1:])).most_common(1)[0][0]
    merged = {}
    for pieces, count in words.items():
        new, i = [], 0
        while i < len(pieces):
            found = pieces[i : i + 2] == best
            new.append("".join(best) if found else pieces[i])
            i += 2 if found else 1
        merged[tuple(new)] = count
    return merged
""",
        # merges in the text, where the ends of longer pieces match too
        """
def bpe_step(words):
    pairs = Counter()
    for pieces, count in words.items():
        for pair in zip(pieces, pieces[1:]):
            pairs[pair] += count
    a, b = pairs.most_common(1)[0][0]
    return {tuple(" ".join(pieces).replace(f"{a} {b}", a + b).split()): count for pieces, count in words.items()}
""",
        # only the first occurrence in a word
        """
def bpe_step(words):
    pairs = Counter()
    for pieces, count in words.items():
        for pair in zip(pieces, pieces[1:]):
            pairs[pair] += count
    best = pairs.most_common(1)[0][0]
    merged = {}
    for pieces, count in words.items():
        for i in range(len(pieces) - 1):
            if pieces[i : i + 2] == best:
                pieces = pieces[:i] + ("".join(best),) + pieces[i + 2 :]
                break
        merged[pieces] = count
    return merged
""",
        # changes the learner's own dictionary and returns it
        """
def bpe_step(words):
    pairs = Counter()
    for pieces, count in words.items():
        for pair in zip(pieces, pieces[1:]):
            pairs[pair] += count
    best = pairs.most_common(1)[0][0]
    for pieces in list(words):
        new, i = [], 0
        while i < len(pieces):
            found = pieces[i : i + 2] == best
            new.append("".join(best) if found else pieces[i])
            i += 2 if found else 1
        words[tuple(new)] = words.pop(pieces)
    return words
""",
    ],
}
