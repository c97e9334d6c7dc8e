"""Wrong answers to the exercises of chapter 4: each check has to catch them."""

WRONG = {
    "ex-4.1": [
        # The future is allowed and the past is not.
        "def may_look(mask):\n"
        "    triangle = torch.ones(mask.shape[1], mask.shape[1], dtype=torch.bool).triu()\n"
        "    return triangle & mask.unsqueeze(1)",
        # The mask of those who look, not of those looked at.
        "def may_look(mask):\n"
        "    triangle = torch.ones(mask.shape[1], mask.shape[1], dtype=torch.bool).tril()\n"
        "    return triangle & mask.unsqueeze(2)",
        # Padding is forgotten.
        "def may_look(mask):\n"
        "    triangle = torch.ones(mask.shape[1], mask.shape[1], dtype=torch.bool).tril()\n"
        "    return triangle.expand(len(mask), -1, -1)",
        # A token may not see itself.
        "def may_look(mask):\n"
        "    triangle = torch.ones(mask.shape[1], mask.shape[1], dtype=torch.bool).tril(-1)\n"
        "    return triangle & mask.unsqueeze(1)",
    ],
    "ex-4.2": [
        # Places in the box.
        "def real_positions(mask):\n    return torch.arange(mask.shape[1]).expand(len(mask), -1)",
        # Counts from 1.
        "def real_positions(mask):\n    return mask.cumsum(dim=1)",
        # A position that the model does not have.
        "def real_positions(mask):\n    return (mask.cumsum(dim=1) - 1).masked_fill(~mask, 100_000)",
        # Negative before the first real token.
        "def real_positions(mask):\n    return mask.cumsum(dim=1) - 1",
    ],
    "ex-4.3": [
        # Counts places.
        "def power_weights(mask, p):\n"
        "    weights = torch.arange(1.0, mask.shape[1] + 1) ** p * mask\n"
        "    return weights / weights.sum(dim=1, keepdim=True)",
        # Not divided by the sum.
        "def power_weights(mask, p):\n    return mask.cumsum(dim=1).float() ** p * mask",
        # Too large for a float.
        "def power_weights(mask, p):\n"
        "    weights = mask.cumsum(dim=1).float() ** p * mask\n"
        "    return weights / weights.sum(dim=1, keepdim=True)",
        # The count goes on in the padding.
        "def power_weights(mask, p):\n"
        "    weights = mask.cumsum(dim=1).float() ** p\n"
        "    return weights / weights.sum(dim=1, keepdim=True)",
    ],
    "ex-4.4": [
        # The gaps are added.
        "def interaction_of_texts(max_bert, mean_bert, max_gpt2, mean_gpt2):\n"
        "    return (max_bert - mean_bert + max_gpt2 - mean_gpt2).mean(axis=0)",
        # A bracket is missing.
        "def interaction_of_texts(max_bert, mean_bert, max_gpt2, mean_gpt2):\n"
        "    return (max_bert - mean_bert - max_gpt2 - mean_gpt2).mean(axis=0)",
        # Averaged over the texts.
        "def interaction_of_texts(max_bert, mean_bert, max_gpt2, mean_gpt2):\n"
        "    return (max_bert - mean_bert - max_gpt2 + mean_gpt2).mean(axis=1)",
    ],
}
