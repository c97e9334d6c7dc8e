"""Wrong answers to the exercises of chapter 8: each check has to catch them."""

WRONG = {
    "ex-8.1": [
        # the neighbour's own vector
        "def moves(embed, text, neighbour):\n"
        "    alone, beside = embed([text])[0], embed([neighbour, text])[0]\n"
        "    return float(1 - alone @ beside / np.linalg.norm(alone) / np.linalg.norm(beside))",
        # the cosine itself
        "def moves(embed, text, neighbour):\n"
        "    alone, beside = embed([text])[0], embed([neighbour, text])[1]\n"
        "    return float(alone @ beside / np.linalg.norm(alone) / np.linalg.norm(beside))",
        # a dot product: a change of length looks like a turn
        "def moves(embed, text, neighbour):\n"
        "    return float(1 - embed([text])[0] @ embed([neighbour, text])[1])",
        # asked for alone twice
        "def moves(embed, text, neighbour):\n"
        "    alone, beside = embed([text])[0], embed([text])[0]\n"
        "    return float(1 - alone @ beside / np.linalg.norm(alone) / np.linalg.norm(beside))",
    ],
    "ex-8.2": [
        # the largest one, which is a text's with itself
        "def least_alike(embed, texts):\n"
        "    vectors = np.array(embed(texts))\n"
        "    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)\n"
        "    return float((vectors @ vectors.T).max())",
        # without dividing by the lengths
        "def least_alike(embed, texts):\n"
        "    vectors = np.array(embed(texts))\n"
        "    return float((vectors @ vectors.T).min())",
        # with the first text only
        "def least_alike(embed, texts):\n"
        "    vectors = np.array(embed(texts))\n"
        "    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)\n"
        "    return float((vectors[:1] @ vectors.T).min())",
        # neighbours in the list only
        "def least_alike(embed, texts):\n"
        "    vectors = np.array(embed(texts))\n"
        "    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)\n"
        "    return float((vectors[:-1] * vectors[1:]).sum(axis=1).min())",
        # lengths of the columns
        "def least_alike(embed, texts):\n"
        "    vectors = np.array(embed(texts))\n"
        "    vectors = vectors / np.linalg.norm(vectors, axis=0, keepdims=True)\n"
        "    return float((vectors @ vectors.T).min())",
    ],
    "ex-8.3": [
        # the farthest
        "def nearest(vectors, states, mask, poolings):\n"
        "    return min(poolings, key=lambda name: nn.functional.cosine_similarity("
        "poolings[name](states, mask), vectors, dim=1).mean())",
        # by the dot product: long vectors win
        "def nearest(vectors, states, mask, poolings):\n"
        "    return max(poolings, key=lambda name: (poolings[name](states, mask) * vectors).sum())",
        # by distance: a server that normalizes is not recognized
        "def nearest(vectors, states, mask, poolings):\n"
        "    return min(poolings, key=lambda name: (poolings[name](states, mask) - vectors).norm())",
        # the first text alone
        "def nearest(vectors, states, mask, poolings):\n"
        "    return max(poolings, key=lambda name: nn.functional.cosine_similarity("
        "poolings[name](states, mask)[:1], vectors[:1], dim=1).mean())",
        # one cosine of the whole batch: the longest text decides
        "def nearest(vectors, states, mask, poolings):\n"
        "    return max(poolings, key=lambda name: nn.functional.cosine_similarity("
        "poolings[name](states, mask).flatten(), vectors.flatten(), dim=0))",
        # padding is pooled
        "def nearest(vectors, states, mask, poolings):\n"
        "    return max(poolings, key=lambda name: nn.functional.cosine_similarity("
        "poolings[name](states, torch.ones_like(mask)), vectors, dim=1).mean())",
    ],
    "ex-8.4": [
        # the first config.json there is
        "def declare(folder, mode):\n"
        "    path = sorted(folder.rglob('config.json'))[0]\n"
        "    config = json.loads(path.read_text())\n"
        "    config = {key: value for key, value in config.items() if not key.startswith('pooling_mode_')}\n"
        "    path.write_text(json.dumps(config | {'pooling_mode': mode}))",
        # the other settings are lost
        "def declare(folder, mode):\n"
        "    (folder / '1_Pooling' / 'config.json').write_text(json.dumps({'pooling_mode': mode}))",
        # the old schema stays, and contradicts the new one
        "def declare(folder, mode):\n"
        "    path = folder / '1_Pooling' / 'config.json'\n"
        "    path.write_text(json.dumps(json.loads(path.read_text()) | {'pooling_mode': mode}))",
        # a folder of another name is missed
        "def declare(folder, mode):\n"
        "    path = folder / '1_Pooling' / 'config.json'\n"
        "    config = {key: value for key, value in json.loads(path.read_text()).items()"
        " if not key.startswith('pooling_mode_')}\n"
        "    path.write_text(json.dumps(config | {'pooling_mode': mode}))",
        # the second module, whatever it is
        "def declare(folder, mode):\n"
        "    path = json.loads((folder / 'modules.json').read_text())[1]['path']\n"
        "    path = folder / path / 'config.json'\n"
        "    config = {key: value for key, value in json.loads(path.read_text()).items()"
        " if not key.startswith('pooling_mode_')}\n"
        "    path.write_text(json.dumps(config | {'pooling_mode': mode}))",
        # one old key of several
        "def declare(folder, mode):\n"
        "    modules = json.loads((folder / 'modules.json').read_text())\n"
        "    path = folder / modules[-1]['path'] / 'config.json'\n"
        "    config = json.loads(path.read_text())\n"
        "    config.pop('pooling_mode_mean_tokens', None)\n"
        "    path.write_text(json.dumps(config | {'pooling_mode': mode}))",
        # nothing is written
        "def declare(folder, mode):\n"
        "    config = json.loads((folder / '1_Pooling' / 'config.json').read_text()) | {'pooling_mode': mode}",
    ],
}
