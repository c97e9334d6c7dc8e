"""A stand-in for embedding servers that makes known mistakes on purpose, over HTTP or called directly.

It shares no line with the audit: tokens, padding and poolings are written out here, one text and one place at a time.
"""

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

from helpers import encoders
from tests.hub import listening

POSITIONS = 256


class Server:
    """Embeds texts with one model, rightly or not.

    Parameters
    ----------
    folder : Path
        Of the transformer.
    pooling : str
        "mean", "max", "cls", "last", "weighted", "sqrt", or several with a plus.
    normalize : bool
    dense : list of (weight, bias or None)
        With tanh, after the pooling.
    dtype : torch.dtype
    mistake : str
        Of those named in the code below.
    """

    def __init__(self, folder, pooling="mean", normalize=True, dense=(), dtype=torch.float32, mistake="", prompt=""):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModel.from_pretrained(folder, dtype=dtype)
        self.model.train(mistake == "dropout left on")
        self.pooling, self.normalize, self.dense, self.mistake, self.prompt = pooling, normalize, dense, mistake, prompt

    @torch.no_grad()
    def embed(self, texts: list[str]) -> np.ndarray:
        special = self.mistake != "special tokens not added"
        limit = self.model.config.max_position_embeddings
        how = {"add_special_tokens": special, "truncation": True, "max_length": limit}
        ids = [self.tokenizer(self.prompt + text, **how)["input_ids"] for text in texts]
        fill = limit if "filled" in self.mistake else max(map(len, ids))
        left = self.mistake.startswith("left")
        pad = self.tokenizer.pad_token_id or 0
        rows = [[pad] * (fill - len(own)) + own if left else own + [pad] * (fill - len(own)) for own in ids]
        real = [[0] * (fill - len(own)) + [1] * len(own) if left else [1] * len(own) + [0] * (fill - len(own))
                for own in ids]  # fmt: skip
        given = torch.tensor(real) if self.mistake not in ("mask kept from the model", "no mask") else None
        answer = self.model(input_ids=torch.tensor(rows), attention_mask=given, output_hidden_states=True)
        hidden = answer.hidden_states[-2 if self.mistake == "another layer" else -1].float().numpy()
        found = [self._vector(hidden[row], real[row], ids[row], answer, row) for row in range(len(texts))]
        return np.stack(found)

    def _vector(self, states, real, ids, answer, row) -> np.ndarray:
        mistake, count = self.mistake, sum(real)
        if mistake == "pooler_output":
            vector = answer.pooler_output[row].float().numpy()
        else:
            if mistake in ("padding counted", "padding counted, filled", "no mask", "left padding counted"):
                kept = list(states)
            elif mistake == "padding counted as zeros":
                kept = [state if one else 0 * state for state, one in zip(states, real, strict=True)]
            elif mistake == "left padding read as right":
                kept = list(states[:count])
            else:
                kept = [state for state, one in zip(states, real, strict=True) if one]
            if mistake == "special tokens left out":
                special = {self.tokenizer.cls_token_id, self.tokenizer.sep_token_id}
                kept = [state for state, one in zip(kept, ids, strict=True) if one not in special]
            if mistake == "read in pieces" and answer.last_hidden_state.shape[0] > 1:  # only the last one is pooled
                kept = kept[len(kept) // 2 :]
            if mistake == "the one before the last":
                kept = kept[:-1] or kept
            vector = np.concatenate([self._pool(name, kept) for name in self.pooling.split("+")])
        for weight, bias in self.dense if mistake != "dense skipped" else ():
            vector = np.tanh(weight @ vector + (0 if bias is None else bias))
        if self.normalize and mistake != "not normalized":
            vector = vector / np.sqrt((vector * vector).sum())
        if mistake == "cut":
            vector = vector[: len(vector) // 2]
        return vector.astype(np.float32)

    def _pool(self, name: str, kept: list[np.ndarray]) -> np.ndarray:
        if name == "cls":
            return kept[0]
        if name == "last":
            return kept[-1]
        if name == "max":
            return np.max(kept, axis=0)
        if name == "sqrt":
            return np.sum(kept, axis=0) / len(kept) ** 0.5
        if name == "weighted":
            weights = range(1, len(kept) + 1)
            return sum(weight * state for weight, state in zip(weights, kept, strict=True)) / sum(weights)
        return np.sum(kept, axis=0) / len(kept)


class Site:
    """What an HTTP stand-in answers with.

    Attributes
    ----------
    embed : callable
    key : str
        Asked for, if not empty.
    answer : callable or None
        From the texts to (status, headers, body): instead of vectors.
    seen : list
        (path, what was asked, Authorization header) of each request.
    """

    def __init__(self, embed, key: str = "", apis=("openai", "tei", "ollama"), answer=None):
        self.embed, self.key, self.apis, self.answer, self.seen = embed, key, apis, answer, []


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            site.seen.append((self.path, asked, self.headers.get("Authorization", "")))
            api = {"/v1/embeddings": "openai", "/embed": "tei", "/api/embed": "ollama"}.get(self.path)
            if api not in site.apis:
                return self.reply(404, {"error": "not found"})
            if site.key and self.headers.get("Authorization") != f"Bearer {site.key}":
                return self.reply(401, {"error": f"no such key: {self.headers.get('Authorization')}"})
            texts = asked["inputs"] if api == "tei" else asked["input"]
            if site.answer:
                return self.send(*site.answer(texts))
            vectors = site.embed(texts)
            if api == "tei":
                return self.reply(200, vectors.tolist())
            if api == "ollama":
                return self.reply(200, {"embeddings": vectors.tolist()})
            rows = [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors]
            rows = rows if asked.get("encoding_format") == "base64" else vectors.tolist()
            data = [{"index": number, "embedding": row} for number, row in enumerate(rows)]
            self.reply(200, {"data": data[::-1]})  # in any order: the index says which

        def do_GET(self) -> None:
            if self.path == "/v1/models" and "openai" in site.apis:
                return self.reply(200, {"data": [{"id": "the-only-one"}]})
            self.reply(404, {})

        def reply(self, status: int, content: object) -> None:
            self.send(status, {}, json.dumps(content).encode())

        def send(self, status: int, headers: dict, body: bytes) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serve(site: Site) -> Iterator[str]:
    """Serve while the block runs; give the address."""
    with listening(_handler(site)) as url:
        yield url


LLAMA_SERVER = """
import sys, xllamacpp
path, pooling, slots = sys.argv[1:]
params = xllamacpp.CommonParams()
params.model.path, params.embedding, params.n_parallel = path, True, int(slots)
params.pooling_type = getattr(xllamacpp.llama_pooling_type, "LLAMA_POOLING_TYPE_" + pooling)
params.n_ctx, params.n_batch, params.n_ubatch = 512 * int(slots), 512, 512
server = xllamacpp.Server(params)  # on the loopback address, any free port
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def llama_server(pooling: str, slots: int) -> Iterator[str]:
    """Serve while the block runs, in a process of its own; give the address."""
    (path,) = encoders.folder("smollm2").glob("*.gguf")
    process = subprocess.Popen([sys.executable, "-c", LLAMA_SERVER, str(path), pooling, str(slots)], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(timeout=60)


def roomy(folder: Path, seed: int, spread: float = 0.2) -> Path:
    """Give a tiny checkpoint positions for longer texts, and weights large enough that its tokens differ."""
    config = AutoConfig.from_pretrained(folder)
    setattr(config, "n_positions" if config.model_type == "gpt2" else "max_position_embeddings", POSITIONS)
    config.initializer_range = spread
    torch.manual_seed(seed)
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


def declare(folder: Path, pooling: dict, *, normalize=True, dense=(), prompts=None, default=None, old=False, dot=False):
    """Write beside a transformer what sentence-transformers would: `pooling` is its module's configuration."""
    names = {"Transformer": "base.modules.transformer", "Pooling": "sentence_transformer.modules.pooling",
             "Dense": "base.modules.dense", "Normalize": "base.modules.normalize"}  # fmt: skip
    kinds = ["Transformer", "Pooling", *["Dense"] * len(dense), *["Normalize"] * normalize]
    modules = []
    for number, kind in enumerate(kinds):
        path = f"{number}_{kind}" if number else ""
        long = f"sentence_transformers.models.{kind}" if old else f"sentence_transformers.{names[kind]}.{kind}"
        modules.append({"idx": number, "name": str(number), "path": path, "type": long})
        (folder / path).mkdir(exist_ok=True)
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    for number, (weight, bias) in enumerate(dense, start=2):
        write_dense(folder / f"{number}_Dense", weight, bias)
    settings = {"prompts": prompts or {}, "default_prompt_name": default,
                "similarity_fn_name": "dot" if dot else "cosine"}  # fmt: skip
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return folder


def write_dense(folder: Path, weight: np.ndarray, bias: np.ndarray | None) -> None:
    from safetensors.numpy import save_file

    config = {"in_features": weight.shape[1], "out_features": weight.shape[0], "bias": bias is not None,
              "activation_function": "torch.nn.modules.activation.Tanh"}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {"linear.weight": weight} | ({} if bias is None else {"linear.bias": bias})
    save_file(tensors, folder / "model.safetensors")
