"""Wrong answers to the exercises of chapter 9: each check has to catch them."""

WRONG = {
    "ex-9.1": [
        # the first text's mask for all
        "def gated_weights(states, mask, V, U, w):\n"
        "    scores = (torch.tanh(states @ V.T) * torch.sigmoid(states @ U.T)) @ w\n"
        "    return scores.masked_fill(~mask[0], float('-inf')).softmax(dim=1)",
        # exponentials that overflow, and a mask by product that lets NaN through
        "def gated_weights(states, mask, V, U, w):\n"
        "    scores = ((torch.tanh(states @ V.T) * torch.sigmoid(states @ U.T)) @ w).exp() * mask\n"
        "    return scores / scores.sum(dim=1, keepdim=True)",
        # padding takes part
        "def gated_weights(states, mask, V, U, w):\n"
        "    return ((torch.tanh(states @ V.T) * torch.sigmoid(states @ U.T)) @ w).softmax(dim=1)",
        # no gate
        "def gated_weights(states, mask, V, U, w):\n"
        "    return (torch.tanh(states @ V.T) @ w).masked_fill(~mask, float('-inf')).softmax(dim=1)",
        # gate and content exchanged
        "def gated_weights(states, mask, V, U, w):\n"
        "    scores = (torch.sigmoid(states @ V.T) * torch.tanh(states @ U.T)) @ w\n"
        "    return scores.masked_fill(~mask, float('-inf')).softmax(dim=1)",
        # a sum in place of the product
        "def gated_weights(states, mask, V, U, w):\n"
        "    scores = (torch.tanh(states @ V.T) + torch.sigmoid(states @ U.T)) @ w\n"
        "    return scores.masked_fill(~mask, float('-inf')).softmax(dim=1)",
        # a softmax over the texts
        "def gated_weights(states, mask, V, U, w):\n"
        "    scores = (torch.tanh(states @ V.T) * torch.sigmoid(states @ U.T)) @ w\n"
        "    return scores.masked_fill(~mask, float('-inf')).softmax(dim=0)",
    ],
    "ex-9.2": [
        # the signal alone is divided
        "def accuracy_of_mean(length, strength):\n    return norm.cdf(strength / length)",
        # the noise alone is divided
        "def accuracy_of_mean(length, strength):\n    return norm.cdf(strength * np.sqrt(length))",
        # by the variance, not by its root
        "def accuracy_of_mean(length, strength):\n    return norm.cdf((strength / length) / (1 / length))",
        # the density
        "def accuracy_of_mean(length, strength):\n    return norm.pdf(strength / np.sqrt(length))",
    ],
    "ex-9.3": [
        # T others
        "def margin_for(length, weight):\n    return np.log(weight * length / (1 - weight))",
        # upside down
        "def margin_for(length, weight):\n    return np.log((1 - weight) * (length - 1) / weight)",
        # without the logarithm
        "def margin_for(length, weight):\n    return weight * (length - 1) / (1 - weight)",
        # the weight beside all, not beside the rest
        "def margin_for(length, weight):\n    return np.log(weight * (length - 1))",
        # another base
        "def margin_for(length, weight):\n    return np.log2(weight * (length - 1) / (1 - weight))",
    ],
    "ex-9.4": [
        # scores are no weights
        "def mix(vectors, scores):\n    return torch.einsum('nld,l->nd', vectors, scores)",
        # over the dimensions
        "def mix(vectors, scores):\n    return vectors.mean(dim=1)",
        # over the texts
        "def mix(vectors, scores):\n"
        "    return torch.einsum('nld,l->nd', vectors, scores.softmax(dim=0)) / len(vectors)",
        # the layer with the highest score
        "def mix(vectors, scores):\n    return vectors[:, scores.argmax()]",
        # a sum of equal parts
        "def mix(vectors, scores):\n    return torch.einsum('nld,l->nd', vectors, torch.sigmoid(scores))",
    ],
}
