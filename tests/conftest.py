"""What several tests of the helpers share: a cache of their own, and tiny real checkpoints."""

from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from hypothesis import HealthCheck, settings

from helpers import encoders

# Tiny tensors: a second thread costs more than it brings, and on shared cores thirty times as much.
torch.set_num_threads(1)

# The same examples on every machine and in every run, and no folder of examples left behind.
settings.register_profile(
    "course", deadline=None, derandomize=True, database=None, max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
settings.load_profile("course")

TRAINING_TEXTS = ["a fine film , warm and funny", "a dull film , slow and far too long", "the end is the best of it"]


@pytest.fixture
def own_cache(tmp_path, monkeypatch) -> Path:
    """An empty cache folder for one test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("COURSE_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch) -> Path:
    """Nobody's progress is changed by a test, and no shared cache is read."""
    monkeypatch.setenv("COURSE_PROGRESS", str(tmp_path / "progress"))
    monkeypatch.delenv("COURSE_SHARED_CACHE", raising=False)
    return tmp_path / "progress"


@pytest.fixture(autouse=True)
def own_accelerator():
    """Let each test choose its precision: accelerate keeps the first one of a process."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def in_float32(monkeypatch):
    """Compute in float32 on the processor, also where there is bfloat16 or a GPU."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> Path:
    """A random BERT of 2 layers x 32, with a WordPiece tokenizer."""
    return save_bert(tmp_path_factory.mktemp("tiny") / "bert")


@pytest.fixture(scope="session")
def tiny_gpt2(tmp_path_factory) -> Path:
    """A random GPT-2 of 2 layers x 32, with a byte-level BPE tokenizer that has no pad token."""
    return save_gpt2(tmp_path_factory.mktemp("tiny") / "gpt2")


@pytest.fixture
def bert(tiny_bert) -> encoders.Encoder:
    return encoders.load(str(tiny_bert))


@pytest.fixture
def gpt2(tiny_gpt2) -> encoders.Encoder:
    return encoders.load(str(tiny_gpt2))


def save_bert(folder: Path) -> Path:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(TRAINING_TEXTS, trainers.WordPieceTrainer(vocab_size=120, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=48,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


def save_gpt2(folder: Path) -> Path:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2Model, GPT2TokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(TRAINING_TEXTS, vocab_size=300, special_tokens=["<|endoftext|>"])
    tokenizer.save_model(str(folder))  # vocab.json, merges.txt
    GPT2TokenizerFast.from_pretrained(folder).save_pretrained(folder)
    torch.manual_seed(2)
    end = tokenizer.token_to_id("<|endoftext|>")
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(), n_embd=32, n_layer=2, n_head=2, n_positions=48,
        bos_token_id=end, eos_token_id=end,
    )  # fmt: skip
    GPT2Model(config).save_pretrained(folder)
    return folder
