"""Plausible wrong answers to the exercises of chapter 2: each is a bug that somebody has shipped."""

WRONG = {
    "ex-2.1": [
        # counts the padding
        "def masked_mean(states, mask):\n    return states.mean(dim=1)",
        # right numerator, wrong denominator
        "def masked_mean(states, mask):\n    return (states * mask.unsqueeze(-1)).sum(dim=1) / mask.shape[1]",
        # right on zeros and numbers, lost on NaN
        "def masked_mean(states, mask):\n"
        "    return (states * mask.unsqueeze(-1)).sum(dim=1) / mask.sum(dim=1, keepdim=True)",
        # one mean over the whole batch
        "def masked_mean(states, mask):\n    return states[mask].mean(dim=0)",
    ],
    "ex-2.2": [
        "def masked_max(states, mask):\n    return states.max(dim=1).values",
        "def masked_max(states, mask):\n    return states.masked_fill(~mask.unsqueeze(-1), 0).max(dim=1).values",
        # right, and the caller's states are spoiled
        "def masked_max(states, mask):\n    states[~mask] = float('-inf')\n    return states.max(dim=1).values",
        # a number that was thought to be small enough
        "def masked_max(states, mask):\n    return states.masked_fill(~mask.unsqueeze(-1), -1e4).max(dim=1).values",
        "def masked_max(states, mask):\n"
        "    return (states + (~mask.unsqueeze(-1)).float() * -1e9).max(dim=1).values",
    ],
    "ex-2.3": [
        "def last_token(states, mask):\n    return states[:, -1]",
        # counts: right under right padding only
        "def last_token(states, mask):\n    return states[torch.arange(len(states)), mask.sum(dim=1) - 1]",
        # the first padded place minus one: wrong when nothing is padded, and under left padding
        "def last_token(states, mask):\n"
        "    return states[torch.arange(len(states)), (~mask).int().argmax(dim=1) - 1]",
    ],
    "ex-2.4": [
        "def masked_softmax(scores, mask):\n    return scores.softmax(dim=1)",
        # masks afterwards: the weights no longer sum to 1
        "def masked_softmax(scores, mask):\n"
        "    return torch.where(mask, scores.nan_to_num().softmax(dim=1), 0)",
        # right, and the caller's scores are spoiled
        "def masked_softmax(scores, mask):\n    scores[~mask] = float('-inf')\n    return scores.softmax(dim=1)",
        # zero is no low score
        "def masked_softmax(scores, mask):\n    return scores.masked_fill(~mask, 0).softmax(dim=1)",
        # a number that was thought to be low enough
        "def masked_softmax(scores, mask):\n    return scores.masked_fill(~mask, -1e4).softmax(dim=1)",
        # over the wrong axis
        "def masked_softmax(scores, mask):\n    return scores.masked_fill(~mask, float('-inf')).softmax(dim=0)",
    ],
    "ex-2.5": [
        # counts places
        "def position_weights(mask):\n"
        "    weights = torch.arange(1.0, mask.shape[1] + 1) * mask\n"
        "    return weights / weights.sum(dim=1, keepdim=True)",
        # forgets that the count goes on in the padding
        "def position_weights(mask):\n"
        "    weights = mask.cumsum(dim=1)\n"
        "    return weights / weights.sum(dim=1, keepdim=True)",
        # forgets to divide
        "def position_weights(mask):\n    return mask.cumsum(dim=1) * mask",
    ],
    "ex-2.6": [
        # the mask for the pooling, but not for the model
        "def embed(model, ids, mask):\n    return pooling.Mean()(model(input_ids=ids).last_hidden_state, mask)",
        # the mask for the model, but not for the pooling
        "def embed(model, ids, mask):\n"
        "    return model(input_ids=ids, attention_mask=mask.long()).last_hidden_state.mean(dim=1)",
        # no mask at all: padding is cut off, for one text
        "def embed(model, ids, mask):\n"
        "    k = int(mask.sum())\n    return model(ids[:, :k]).last_hidden_state.mean(dim=1)",
        # BERT's own pooled output: the [CLS] state through one more layer
        "def embed(model, ids, mask):\n    return model(input_ids=ids, attention_mask=mask.long()).pooler_output",
    ],
}
