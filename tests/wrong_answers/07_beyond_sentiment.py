"""Wrong answers to the exercises of chapter 7: each check has to catch them."""

WRONG = {
    "ex-7.1": [
        # the first of equals wins
        "def reciprocal_rank(scores, answer):\n"
        "    return 1 / (1 + int(np.argsort(-scores, kind='stable').tolist().index(answer)))",
        # equals are all better
        "def reciprocal_rank(scores, answer):\n    return 1 / int((scores >= scores[answer]).sum())",
        # equals are all worse
        "def reciprocal_rank(scores, answer):\n    return 1 / (1 + int((scores > scores[answer]).sum()))",
        # one over the mean rank is not the mean of one over the rank
        "def reciprocal_rank(scores, answer):\n"
        "    first, k = 1 + int((scores > scores[answer]).sum()), int((scores == scores[answer]).sum())\n"
        "    return 1 / (first + (k - 1) / 2)",
        # the lowest score comes first
        "def reciprocal_rank(scores, answer):\n"
        "    first, k = 1 + int((scores < scores[answer]).sum()), int((scores == scores[answer]).sum())\n"
        "    return float((1 / np.arange(first, first + k)).mean())",
        # by size, whatever the sign
        "def reciprocal_rank(scores, answer):\n"
        "    scores = np.abs(scores)\n"
        "    first, k = 1 + int((scores > scores[answer]).sum()), int((scores == scores[answer]).sum())\n"
        "    return float((1 / np.arange(first, first + k)).mean())",
    ],
    "ex-7.2": [
        # the dot product
        "def cosines(questions, candidates):\n    return questions @ candidates.T",
        # only one side is divided
        "def cosines(questions, candidates):\n    return questions @ nn.functional.normalize(candidates, dim=-1).T",
        # columns are normalized
        "def cosines(questions, candidates):\n"
        "    return nn.functional.normalize(questions, dim=0) @ nn.functional.normalize(candidates, dim=0).T",
        # turned round
        "def cosines(questions, candidates):\n"
        "    return nn.functional.normalize(candidates, dim=-1) @ nn.functional.normalize(questions, dim=-1).T",
    ],
    "ex-7.3": [
        # as if each value stood alone
        "def error_of_groups(values, groups):\n    return float(values.std(ddof=1) / len(values) ** 0.5)",
        # the mean of the groups' means
        "def error_of_groups(values, groups):\n"
        "    means = pd.Series(values).groupby(groups).mean()\n"
        "    return float(means.std(ddof=1) / len(means) ** 0.5)",
        # without the correction for few groups
        "def error_of_groups(values, groups):\n"
        "    sums = np.bincount(groups, weights=values - values.mean())\n"
        "    return float(np.sqrt((sums**2).sum()) / len(values))",
        # empty numbers are groups too
        "def error_of_groups(values, groups):\n"
        "    sums = np.bincount(groups, weights=values - values.mean())\n"
        "    return float(np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / len(values))",
        # the variance
        "def error_of_groups(values, groups):\n"
        "    sums, count = np.bincount(groups, weights=values - values.mean()), len(np.unique(groups))\n"
        "    return float(count / (count - 1) * (sums**2).sum() / len(values) ** 2)",
    ],
    "ex-7.4": [
        # padding takes part
        "def asked_weights(questions, states, mask):\n"
        "    return torch.einsum('qd,ctd->qct', questions, states).softmax(dim=-1)",
        # a product after the softmax: the weights do not sum to one
        "def asked_weights(questions, states, mask):\n"
        "    return torch.einsum('qd,ctd->qct', questions, states.nan_to_num()).softmax(dim=-1) * mask",
        # a softmax over candidates
        "def asked_weights(questions, states, mask):\n"
        "    scores = torch.einsum('qd,ctd->qct', questions, states)\n"
        "    return scores.masked_fill(~mask, float('-inf')).softmax(dim=1)",
        # a softmax over questions
        "def asked_weights(questions, states, mask):\n"
        "    scores = torch.einsum('qd,ctd->qct', questions, states)\n"
        "    return scores.masked_fill(~mask, float('-inf')).softmax(dim=0)",
        # each question with its own text only
        "def asked_weights(questions, states, mask):\n"
        "    scores = torch.einsum('cd,ctd->ct', questions, states)\n"
        "    return scores.masked_fill(~mask, float('-inf')).softmax(dim=-1)",
    ],
    "ex-7.5": [
        # recall
        "def rouge_1(summary, sentence):\n"
        "    one, other = (Counter(text.split()) for text in (summary, sentence))\n"
        "    return (one & other).total() / one.total()",
        # precision
        "def rouge_1(summary, sentence):\n"
        "    one, other = (Counter(text.split()) for text in (summary, sentence))\n"
        "    return (one & other).total() / other.total()",
        # sets: a word that stands twice counts once
        "def rouge_1(summary, sentence):\n"
        "    one, other = set(summary.split()), set(sentence.split())\n"
        "    return 2 * len(one & other) / (len(one) + len(other))",
        # every occurrence is shared
        "def rouge_1(summary, sentence):\n"
        "    one, other = summary.split(), sentence.split()\n"
        "    return 2 * sum(word in one for word in other) / (len(one) + len(other))",
        # letters
        "def rouge_1(summary, sentence):\n"
        "    one, other = Counter(summary), Counter(sentence)\n"
        "    return 2 * (one & other).total() / (one.total() + other.total())",
    ],
}
