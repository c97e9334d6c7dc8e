"""What the mini pair reads: the training texts, one tokenizer, and the same batches in the same order for both."""

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from helpers import data

VOCABULARY = 8192
PAD, CLS, SEP, MASK = range(4)
SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[MASK]"]
POSITIONS = 512


def texts(split: str) -> list[str]:
    """Return the embedded texts of one split, both data sets: only those of ``train`` are trained on."""
    return [text for name in data.NAMES for text in data.load(name, split)["text"]]


def train_tokenizer(training_texts: list[str]) -> Tokenizer:
    """Train the byte-level BPE (Sennrich et al. 2016; bytes as in GPT-2) that both models share.

    Lower-cased, as BERT's uncased vocabulary is: so small a vocabulary would otherwise hold many words twice.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)  # a text's first word as any other
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        training_texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY, special_tokens=SPECIAL, show_progress=False,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        ),
    )  # fmt: skip
    return tokenizer


def for_model(tokenizer: Tokenizer, name: str) -> PreTrainedTokenizerFast:
    """Return the shared tokenizer with the special tokens as each family sets them.

    The BERT reads ``[CLS] text [SEP]``. The GPT-2 reads ``[CLS] text``, where ``[CLS]`` is its BOS, and
    ends a text with ``[SEP]``, its EOS: the numbers are the same, so both can train on the same batches.
    """
    own = Tokenizer.from_str(tokenizer.to_str())
    special_tokens = [("[CLS]", CLS), ("[SEP]", SEP)]
    if name.startswith("mini-bert"):
        own.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=special_tokens
        )
        names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    else:
        own.post_processor = processors.TemplateProcessing(single="[CLS] $A", special_tokens=special_tokens)
        names = {"bos_token": "[CLS]", "eos_token": "[SEP]"}
    return PreTrainedTokenizerFast(
        tokenizer_object=own, pad_token="[PAD]", model_max_length=POSITIONS,
        model_input_names=["input_ids", "attention_mask"], clean_up_tokenization_spaces=False, **names,
    )  # fmt: skip


def prepare(seed: int) -> tuple[Tokenizer, Tensor, Tensor]:
    """Return the shared tokenizer, and the training and the validation texts as one line of tokens each."""
    training_texts = texts("train")
    tokenizer = train_tokenizer(training_texts)
    return tokenizer, stream(tokenizer, training_texts, seed), stream(tokenizer, texts("validation"), seed)


def stream(tokenizer: Tokenizer, texts: list[str], seed: int) -> Tensor:
    """Return all texts in a random order as one line of tokens, ``text [SEP] text [SEP] …``, shape ``[tokens]``."""
    encoded = [[*found.ids, SEP] for found in tokenizer.encode_batch(texts, add_special_tokens=False)]
    order = np.random.default_rng(seed).permutation(len(encoded))
    return torch.from_numpy(np.concatenate([encoded[row] for row in order]))


def blocks(line: Tensor, length: int) -> Tensor:
    """Cut a line into blocks that start with [CLS] and need no padding, ``[n, length]``; the rest is left out."""
    n = len(line) // (length - 1)
    body = line[: n * (length - 1)].view(n, length - 1)  # [n * (length - 1)] -> [n, length - 1]
    return torch.cat([torch.full((n, 1), CLS), body], dim=1)


class Batches:
    """The order of the training: which blocks stand in which batch, from the seed and the batch's number alone.

    Each pass over the texts cuts the line in other places and goes through the blocks in another order.

    Parameters
    ----------
    line : Tensor of int, shape [tokens]
    tokens : int
        Places a batch, whatever the length of its blocks.
    """

    def __init__(self, line: Tensor, tokens: int, seed: int):
        self.line, self.tokens, self.seed = line, tokens, seed
        self._pass: tuple[tuple[int, int], Tensor] = ((-1, -1), torch.empty(0))

    def get(self, number: int, length: int) -> Tensor:
        """Return batch `number` of those with blocks of this length, ``[tokens // length, length]``."""
        rows = self.tokens // length
        a_pass, inside = divmod(number, len(self.line) // (length - 1) // rows)
        if self._pass[0] != (a_pass, length):
            generator = torch.Generator().manual_seed(self.seed + 1_000_003 * a_pass + length)
            shift = int(torch.randint(len(self.line), (1,), generator=generator))
            cut = blocks(self.line.roll(shift), length)
            self._pass = ((a_pass, length), cut[torch.randperm(len(cut), generator=generator)])
        return self._pass[1][inside * rows : (inside + 1) * rows]
