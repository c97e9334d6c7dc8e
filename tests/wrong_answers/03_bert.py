"""Wrong answers to the exercises of chapter 3: each check has to catch them."""

WRONG = {
    "ex-3.1": [
        # Not divided by the square root of d.
        "def attend(query, key, value, allowed):\n"
        "    scores = (query @ key.T).masked_fill(~allowed, float('-inf'))\n"
        "    return scores.softmax(dim=1) @ value",
        # Masked after the softmax: the weights no longer sum to 1.
        "def attend(query, key, value, allowed):\n"
        "    weights = (query @ key.T / query.shape[1] ** 0.5).softmax(dim=1)\n"
        "    return (weights * allowed) @ value",
        # Softmax over the queries.
        "def attend(query, key, value, allowed):\n"
        "    scores = (query @ key.T / query.shape[1] ** 0.5).masked_fill(~allowed, float('-inf'))\n"
        "    return scores.softmax(dim=0).nan_to_num() @ value",
        # The mask is forgotten.
        "def attend(query, key, value, allowed):\n"
        "    return (query @ key.T / query.shape[1] ** 0.5).softmax(dim=1) @ value",
    ],
    "ex-3.2": [
        # Each row with itself is counted.
        "def average_cosine(vectors):\n"
        "    rows = nn.functional.normalize(vectors, dim=1)\n"
        "    return float((rows @ rows.T).mean())",
        # Products, not cosines.
        "def average_cosine(vectors):\n"
        "    n, found = len(vectors), vectors @ vectors.T\n"
        "    return float((found.sum() - found.trace()) / (n * (n - 1)))",
        # Neighbours only.
        "def average_cosine(vectors):\n"
        "    rows = nn.functional.normalize(vectors, dim=1)\n"
        "    return float((rows[1:] * rows[:-1]).sum(dim=1).mean())",
    ],
    "ex-3.3": [
        # Gradients pile up.
        "def training_step(model, optimizer, inputs, labels, clip=1.0):\n"
        "    loss = nn.functional.binary_cross_entropy_with_logits(model(*inputs), labels)\n"
        "    loss.backward()\n"
        "    nn.utils.clip_grad_norm_(model.parameters(), clip)\n"
        "    optimizer.step()\n"
        "    return loss.item()",
        # Clipped after the step.
        "def training_step(model, optimizer, inputs, labels, clip=1.0):\n"
        "    optimizer.zero_grad()\n"
        "    loss = nn.functional.binary_cross_entropy_with_logits(model(*inputs), labels)\n"
        "    loss.backward()\n"
        "    optimizer.step()\n"
        "    nn.utils.clip_grad_norm_(model.parameters(), clip)\n"
        "    return loss.item()",
        # Log-odds taken for probabilities.
        "def training_step(model, optimizer, inputs, labels, clip=1.0):\n"
        "    optimizer.zero_grad()\n"
        "    loss = (model(*inputs).clamp(0.01, 0.99) - labels).square().mean()\n"
        "    loss.backward()\n"
        "    nn.utils.clip_grad_norm_(model.parameters(), clip)\n"
        "    optimizer.step()\n"
        "    return loss.item()",
        # Each number is clipped by itself.
        "def training_step(model, optimizer, inputs, labels, clip=1.0):\n"
        "    optimizer.zero_grad()\n"
        "    loss = nn.functional.binary_cross_entropy_with_logits(model(*inputs), labels)\n"
        "    loss.backward()\n"
        "    nn.utils.clip_grad_value_(model.parameters(), clip)\n"
        "    optimizer.step()\n"
        "    return loss.item()",
        # Each weight is clipped by itself.
        "def training_step(model, optimizer, inputs, labels, clip=1.0):\n"
        "    optimizer.zero_grad()\n"
        "    loss = nn.functional.binary_cross_entropy_with_logits(model(*inputs), labels)\n"
        "    loss.backward()\n"
        "    for parameter in model.parameters():\n"
        "        nn.utils.clip_grad_norm_([parameter], clip)\n"
        "    optimizer.step()\n"
        "    return loss.item()",
        # The sum over the batch.
        "def training_step(model, optimizer, inputs, labels, clip=1.0):\n"
        "    optimizer.zero_grad()\n"
        "    loss = nn.functional.binary_cross_entropy_with_logits(model(*inputs), labels, reduction='sum')\n"
        "    loss.backward()\n"
        "    nn.utils.clip_grad_norm_(model.parameters(), clip)\n"
        "    optimizer.step()\n"
        "    return loss.item()",
        # A tensor, with the whole graph behind it.
        "def training_step(model, optimizer, inputs, labels, clip=1.0):\n"
        "    optimizer.zero_grad()\n"
        "    loss = nn.functional.binary_cross_entropy_with_logits(model(*inputs), labels)\n"
        "    loss.backward()\n"
        "    nn.utils.clip_grad_norm_(model.parameters(), clip)\n"
        "    optimizer.step()\n"
        "    return loss",
        # No step.
        "def training_step(model, optimizer, inputs, labels, clip=1.0):\n"
        "    optimizer.zero_grad()\n"
        "    loss = nn.functional.binary_cross_entropy_with_logits(model(*inputs), labels)\n"
        "    loss.backward()\n"
        "    return loss.item()",
    ],
    "ex-3.4": [
        # Not inverted.
        "def effective_number(weights):\n    return weights.square().sum(dim=1)",
        # Counts what is not zero.
        "def effective_number(weights):\n    return (weights > 0).sum(dim=1).float()",
        # One over the largest weight.
        "def effective_number(weights):\n    return 1 / weights.max(dim=1).values",
    ],
}
