"""A transformer that reads no context: each token's state is its word vector. So the truth about it is known."""

from dataclasses import replace
from types import SimpleNamespace

import torch
from torch import nn

from helpers.classifiers import Classifier
from helpers.encoders import Encoder
from helpers.heads import Probe
from helpers.pooling import Pooling

DIM = 8


class Bag(nn.Module):
    def __init__(self, words: int):
        super().__init__()
        self.table = nn.Embedding(words, DIM)
        nn.init.zeros_(self.table.weight)
        self.config = SimpleNamespace(model_type="bert", hidden_size=DIM, max_position_embeddings=48)
        self.device = torch.device("cpu")

    def get_input_embeddings(self) -> nn.Embedding:
        return self.table

    def forward(self, input_ids=None, attention_mask=None, inputs_embeds=None):
        return SimpleNamespace(last_hidden_state=self.table(input_ids) if inputs_embeds is None else inputs_embeds)


def classifier(bert: Encoder, pooling: Pooling, values: dict[str, float], width: int = DIM) -> Classifier:
    """A classifier whose log-odds are the pooled values of the words; all other words have the value 0."""
    bag = Bag(len(bert.tokenizer))
    with torch.no_grad():
        for word, value in values.items():
            (number,) = bert.tokenizer(word, add_special_tokens=False)["input_ids"]
            bag.table.weight[number, 0] = value
    head = Probe(torch.zeros(2, width))
    head.spread.fill_(1.0)
    with torch.no_grad():
        head.linear.weight[0, 0] = 1.0
    return Classifier(replace(bert, model=bag), bag, pooling, head, 32)
