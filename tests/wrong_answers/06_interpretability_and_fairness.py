"""Wrong answers to the exercises of chapter 6: each check has to catch them."""

WRONG = {
    "ex-6.1": [
        # divided by the number of places, padding counted
        "def parts_of_mean(states, mask, w):\n    return torch.where(mask, states @ w, 0) / mask.shape[1]",
        # a product: zero times NaN is NaN
        "def parts_of_mean(states, mask, w):\n    return (states @ w) * mask / mask.sum(dim=1, keepdim=True)",
        # not divided at all
        "def parts_of_mean(states, mask, w):\n    return torch.where(mask, states @ w, 0)",
        # divided by all real tokens of the batch
        "def parts_of_mean(states, mask, w):\n    return torch.where(mask, states @ w, 0) / mask.sum()",
    ],
    "ex-6.2": [
        # zeros in padding: they win where all values are negative
        "def parts_of_max(states, mask, w):\n"
        "    values, places = torch.where(mask[:, :, None], states, 0).max(dim=1)\n"
        "    return torch.zeros(mask.shape).scatter_add_(1, places, values * w)",
        # padding wins
        "def parts_of_max(states, mask, w):\n"
        "    values, places = states.max(dim=1)\n"
        "    return torch.zeros(mask.shape).scatter_add_(1, places, values * w)",
        # the last dimension at a place wins over the others
        "def parts_of_max(states, mask, w):\n"
        "    values, places = states.masked_fill(~mask.unsqueeze(-1), float('-inf')).max(dim=1)\n"
        "    return torch.zeros(mask.shape).scatter_(1, places, values * w)",
        # the token with the largest product, not the largest value
        "def parts_of_max(states, mask, w):\n"
        "    parts = (states * w).masked_fill(~mask.unsqueeze(-1), float('-inf'))\n"
        "    values, places = parts.max(dim=1)\n"
        "    return torch.zeros(mask.shape).scatter_add_(1, places, values)",
        # the values, without the weights
        "def parts_of_max(states, mask, w):\n"
        "    values, places = states.masked_fill(~mask.unsqueeze(-1), float('-inf')).max(dim=1)\n"
        "    return torch.zeros(mask.shape).scatter_add_(1, places, values)",
    ],
    "ex-6.3": [
        # the lowest scores go
        "def comprehensiveness(ask, words, scores, count):\n"
        "    gone = set(np.argsort(scores)[:count].tolist())\n"
        "    return ask(words) - ask([word for place, word in enumerate(words) if place not in gone])",
        # the largest sizes go
        "def comprehensiveness(ask, words, scores, count):\n"
        "    gone = set(np.argsort(np.abs(scores))[::-1][:count].tolist())\n"
        "    return ask(words) - ask([word for place, word in enumerate(words) if place not in gone])",
        # sufficiency
        "def comprehensiveness(ask, words, scores, count):\n"
        "    kept = set(np.argsort(scores)[::-1][:count].tolist())\n"
        "    return ask(words) - ask([word for place, word in enumerate(words) if place in kept])",
        # all words that are like one of them go
        "def comprehensiveness(ask, words, scores, count):\n"
        "    gone = {words[place] for place in np.argsort(scores)[::-1][:count]}\n"
        "    return ask(words) - ask([word for word in words if word not in gone]) + 0 * count",
        # the rest in the order of the scores
        "def comprehensiveness(ask, words, scores, count):\n"
        "    order = np.argsort(scores)[::-1][count:]\n"
        "    return ask(words) - ask([words[place] for place in order])",
    ],
    "ex-6.4": [
        # male − female
        "def gap_by_template(scores):\n    return (scores[:, :, 1] - scores[:, :, 0]).mean(axis=(1, 2))",
        # one number for all
        "def gap_by_template(scores):\n    return (scores[:, :, 0] - scores[:, :, 1]).mean()",
        # the wordings stay apart
        "def gap_by_template(scores):\n    return (scores[:, :, 0] - scores[:, :, 1]).mean(axis=2)",
        # one gap a pair
        "def gap_by_template(scores):\n    return (scores[:, :, 0] - scores[:, :, 1]).mean(axis=(0, 1))",
        # the sizes of the gaps
        "def gap_by_template(scores):\n    return np.abs(scores[:, :, 0] - scores[:, :, 1]).mean(axis=(1, 2))",
    ],
}
