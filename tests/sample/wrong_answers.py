"""Wrong answers to the sample chapter's exercise."""

WRONG = {
    "ex-1.1": [
        "def mean(values):\n    return sum(values)",
        "def mean(values):\n    return sum(values) / (len(values) + 1)",
    ]
}
