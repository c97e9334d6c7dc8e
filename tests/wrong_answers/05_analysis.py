"""Plausible wrong answers to the exercises of chapter 5."""

WRONG = {
    "ex-5.1": [
        # the texts only: luck of the runs does not count
        "def wins(right, times, rng):\n"
        "    won = np.zeros(len(right))\n"
        "    for _ in range(times):\n"
        "        texts = rng.integers(right.shape[2], size=right.shape[2])\n"
        "        accuracy = right[:, :, texts].mean(axis=(1, 2))\n"
        "        best = accuracy == accuracy.max()\n"
        "        won += best / best.sum()\n"
        "    return won / times",
        # the seeds only
        "def wins(right, times, rng):\n"
        "    won = np.zeros(len(right))\n"
        "    for _ in range(times):\n"
        "        seeds = rng.integers(right.shape[1], size=right.shape[1])\n"
        "        accuracy = right[:, seeds].mean(axis=(1, 2))\n"
        "        best = accuracy == accuracy.max()\n"
        "        won += best / best.sum()\n"
        "    return won / times",
        # every pooling meets other texts
        "def wins(right, times, rng):\n"
        "    won = np.zeros(len(right))\n"
        "    for _ in range(times):\n"
        "        draw = lambda n: rng.integers(n, size=n)\n"
        "        size = right.shape[1:]\n"
        "        accuracy = np.array([one[draw(size[0])][:, draw(size[1])].mean() for one in right])\n"
        "        best = accuracy == accuracy.max()\n"
        "        won += best / best.sum()\n"
        "    return won / times",
        # each run meets other texts
        "def wins(right, times, rng):\n"
        "    won = np.zeros(len(right))\n"
        "    for _ in range(times):\n"
        "        seeds = rng.integers(right.shape[1], size=right.shape[1])\n"
        "        runs = [right[:, seed][:, rng.integers(right.shape[2], size=right.shape[2])] for seed in seeds]\n"
        "        accuracy = np.stack(runs, axis=1).mean(axis=(1, 2))\n"
        "        best = accuracy == accuracy.max()\n"
        "        won += best / best.sum()\n"
        "    return won / times",
        # a tie goes to the first
        "def wins(right, times, rng):\n"
        "    won = np.zeros(len(right))\n"
        "    for _ in range(times):\n"
        "        seeds, texts = (rng.integers(size, size=size) for size in right.shape[1:])\n"
        "        won[right[:, seeds][:, :, texts].mean(axis=(1, 2)).argmax()] += 1\n"
        "    return won / times",
    ],
    "ex-5.2": [
        # inside a word
        "def has_contrast(text):\n    return any(word in text.lower() for word in CONTRAST)",
        # capitals
        "def has_contrast(text):\n    return bool(re.search(rf\"\\b({'|'.join(CONTRAST)})\\b\", text))",
        # a full stop belongs to the word
        "def has_contrast(text):\n    return any(word in CONTRAST for word in text.lower().split())",
        # the edge holds for the first and the last word only
        "def has_contrast(text):\n    return bool(re.search(rf\"\\b{'|'.join(CONTRAST)}\\b\", text, re.IGNORECASE))",
        # a match is no bool
        "def has_contrast(text):\n    return re.search(rf\"\\b({'|'.join(CONTRAST)})\\b\", text, re.IGNORECASE)",
    ],
    "ex-5.3": [
        # errors cancel
        "def calibration_error(labels, probabilities, bins=10):\n    return abs(probabilities.mean() - labels.mean())",
        # every group counts alike
        "def calibration_error(labels, probabilities, bins=10):\n"
        "    group = np.minimum((probabilities * bins).astype(int), bins - 1)\n"
        "    gaps = [abs(probabilities[group == g].mean() - labels[group == g].mean()) for g in np.unique(group)]\n"
        "    return float(np.mean(gaps))",
        # 1.0 falls into a group of its own
        "def calibration_error(labels, probabilities, bins=10):\n"
        "    total = 0.0\n"
        "    for g in range(bins):\n"
        "        chosen = (probabilities * bins).astype(int) == g\n"
        "        if chosen.any():\n"
        "            total += chosen.mean() * abs(probabilities[chosen].mean() - labels[chosen].mean())\n"
        "    return total",
        # how sure it is against how often it is right
        "def calibration_error(labels, probabilities, bins=10):\n"
        "    sure, right = np.maximum(probabilities, 1 - probabilities), (probabilities > 0.5) == labels\n"
        "    group = np.minimum((sure * bins).astype(int), bins - 1)\n"
        "    found = ((group == g, g) for g in np.unique(group))\n"
        "    return sum(own.mean() * abs(sure[own].mean() - right[own].mean()) for own, _ in found)",
        # ten groups, whatever was asked for
        "def calibration_error(labels, probabilities, bins=10):\n"
        "    group = np.minimum((probabilities * 10).astype(int), 9)\n"
        "    found = [group == g for g in np.unique(group)]\n"
        "    return sum(own.mean() * abs(probabilities[own].mean() - labels[own].mean()) for own in found)",
        # the middle of the group instead of its mean
        "def calibration_error(labels, probabilities, bins=10):\n"
        "    group = np.minimum((probabilities * bins).astype(int), bins - 1)\n"
        "    gaps = {g: abs((g + 0.5) / bins - labels[group == g].mean()) for g in np.unique(group)}\n"
        "    return sum((group == g).mean() * gap for g, gap in gaps.items())",
    ],
}
