"""How often does the audit accuse a server that is right? And what does quantization do to its margin?

    make smollm2 llama-server
    python -m benchmarks.audits            # then three tables in helpers/results

Right servers: random BERTs and GPT-2s of random sizes, weights, texts, declared poolings and precisions, some with
Dense layers. They are served by `tests.serving`, which shares no code with the audit. Quantized ones: MiniLM and the
mini pair with int8 activations and weights (PyTorch's dynamic quantization), and with weights of 8, 6, 5 and 4 bits in
blocks of 32, as GGUF files have. And a server that nobody here wrote: llama.cpp's.
"""

import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model
from transformers.utils import logging

from helpers import audit, course, data, encoders, endpoints, served
from helpers.declared import MODES
from helpers.records import RESULTS
from tests import conftest
from tests.serving import Server, declare, llama_server

SERVERS = 600
NAMES = {"mean": "mean", "cls": "cls", "last": "lasttoken", "max": "max", "weighted": "weightedmean",
         "sqrt": "mean_sqrt_len_tokens"}  # fmt: skip
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
BLOCK = 32  # weights that share a scale
BITS = (8, 6, 5, 4)


def right_server(seed: int) -> dict[str, object]:
    """One random server that does what its model declares."""
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    rng = np.random.default_rng(seed)
    kind, dtype = ("bert", "gpt2")[seed % 2], DTYPES[rng.integers(len(DTYPES))]
    width, layers = 8 * int(rng.integers(2, 9)), int(rng.integers(1, 5))
    pooling = str(rng.choice([*NAMES, "cls+mean", "mean+max"]))
    texts = [str(text)[:300] for text in rng.choice(data.load("rotten_tomatoes", "test")["text"], 6, replace=False)]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "model"
        (conftest.save_bert if kind == "bert" else conftest.save_gpt2)(target)
        torch.manual_seed(seed)
        size = {"vocab_size": 400, "initializer_range": float(rng.choice([0.02, 0.1, 0.3]))}
        if kind == "bert":
            model = BertModel(BertConfig(hidden_size=width, num_hidden_layers=layers, num_attention_heads=2,
                                         intermediate_size=2 * width, max_position_embeddings=512, **size))  # fmt: skip
        else:
            model = GPT2Model(GPT2Config(n_embd=width, n_layer=layers, n_head=2, n_positions=512, **size))
        model.save_pretrained(target)
        count, normalize = pooling.count("+") + 1, bool(rng.integers(2))
        dense = [(rng.normal(size=(12, width * count)).astype("f4") / width**0.5, None)] * int(rng.integers(2))
        modes = [NAMES[one] for one in pooling.split("+")]
        declare(target, {"pooling_mode": modes}, normalize=normalize, dense=dense)
        server = Server(target, pooling, normalize, dense, dtype)
        report = audit.audit(audit.load(str(target)), *served.ask(server.embed, texts))
    return {"kind": kind, "dtype": str(dtype).removeprefix("torch."), "pooling": pooling, "dense": bool(dense),
            "width": width, "layers": layers, "spread": size["initializer_range"], "verdict": report.status,
            "line": report.line if report.code else "", "loss": report.scores.loss[0]}  # fmt: skip


def blockwise(weight: torch.Tensor, bits: int) -> torch.Tensor:
    """Round a matrix to so many bits, with one scale for each block of 32 numbers of a row."""
    blocks = weight.reshape(-1, BLOCK)  # [rows, columns] -> [blocks, 32]
    scale = blocks.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / (2 ** (bits - 1) - 1)
    return ((blocks / scale).round() * scale).reshape(weight.shape)


def quantized(name: str, how: str, pooling: str) -> Server:
    """A server of one of the course's encoders with quantized weights."""
    server = Server(encoders.folder(name), pooling)
    if how == "int8":
        server.model = torch.ao.quantization.quantize_dynamic(server.model, {torch.nn.Linear}, torch.qint8)
    elif how != "float32":
        for key, weight in server.model.named_parameters():
            if weight.ndim == 2 and "position" not in key and "wpe" not in key:
                weight.data = blockwise(weight.data, int(how.split()[0]))
    return server


def margin(name: str, how: str) -> dict[str, object]:
    """What the audit makes of the mean, when the model declares it; and of the weighted mean, a near one."""
    with tempfile.TemporaryDirectory() as folder:
        target = declare(shutil.copytree(encoders.folder(name), Path(folder) / name), {"pooling_mode": "mean"})
        model, asked = audit.load(str(target)), served.ask(quantized(name, how, "mean").embed)
    report, told = audit.audit(model, *asked), audit.audit(model, *asked, quantized=True)
    wrong = audit.audit(model, *served.ask(quantized(name, how, "weighted").embed), quantized=True)
    other = report.scores.iloc[1]
    return {"model": name, "weights": how, "cosine": report.scores.cosine[0], "loss": report.scores.loss[0],
            "runner-up": other.recipe, "its cosine": other.cosine, "its loss": other.loss, "verdict": report.status,
            "with --quantized": told.status, "weighted mean served": wrong.status, "line": report.line}  # fmt: skip


def llama_cpp(pooling: str, slots: int) -> dict[str, object]:
    """What the audit makes of llama.cpp's server of SmolLM2, when the mean is expected."""
    model = audit.load("smollm2")
    expected = replace(model, declared=replace(model.declared, modes=("mean",)))
    with llama_server(pooling, slots) as url:
        report = audit.audit(expected, *served.ask(endpoints.find(url, "any").embed))
    return {"started with": pooling.lower(), "slots": slots, "version": version("xllamacpp"), "verdict": report.status,
            "line": report.line, "cosine": report.scores.cosine[0], "moves": report.invariances["largest change"].max()}


def main() -> None:
    assert set(NAMES.values()) == set(MODES)
    with ProcessPoolExecutor(course.cores(), get_context("spawn")) as workers:
        rows = list(tqdm(workers.map(right_server, range(SERVERS)), total=SERVERS, unit="server"))
    pd.DataFrame(rows).to_csv(RESULTS / "audit_right_servers.csv", index=False, lineterminator="\n")
    ways = ["float32", "int8", *(f"{bits} bits" for bits in BITS)]
    rows = [margin(name, how) for name in ("minilm", "mini-bert", "mini-gpt2") for how in tqdm(ways)
            if (name, how) != ("mini-gpt2", "int8")]  # PyTorch's int8 is for Linear; a GPT-2 has none
    pd.DataFrame(rows).to_csv(RESULTS / "audit_margins.csv", index=False, lineterminator="\n")
    rows = [llama_cpp(pooling, slots) for slots in (1, 4) for pooling in tqdm(("MEAN", "CLS", "LAST"))]
    pd.DataFrame(rows).to_csv(RESULTS / "audit_llama_cpp.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
