"""Ask an embedding server for vectors: the OpenAI-compatible API, text-embeddings-inference's and Ollama's.

A server is a stranger: what it sends is limited in size and time, checked for its shape, and never run.
"""

import base64
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import numpy as np

KEY = "AUDIT_API_KEY"  # the environment variable that holds the key, if one is needed
PATHS = {"openai": "/v1/embeddings", "tei": "/embed", "ollama": "/api/embed"}
SECONDS = 120.0  # for one request, from the first byte sent to the last one received
MOST_BYTES = 64 * 2**20
ABSENT = (404, 405)
ADVICE = {401: f"set the environment variable {KEY} to the key", 403: f"check the key in {KEY}",
          413: "the server takes smaller requests only", 429: "it asks to wait: try again later"}  # fmt: skip


class EndpointError(Exception):
    """A server that could not be asked, or whose answer is none; the message is one sentence."""


@dataclass(frozen=True)
class Endpoint:
    """An address, and what is spoken there.

    Attributes
    ----------
    url : str
    api : {"openai", "tei", "ollama"}
    model : str
        The name that the server knows the model by.
    key : str
        Never shown.
    encoding : {"float", "base64"}
        Of the OpenAI-compatible API.
    """

    url: str
    api: str
    model: str
    key: str = field(default="", repr=False)
    encoding: str = "float"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return the vectors of some texts, ``[n, d]``, in their order.

        Raises
        ------
        EndpointError
            The server cannot be reached, refuses, takes too long, or sends what are no n vectors of one size.
        """
        texts = list(texts)
        asked = {"openai": {"model": self.model, "input": texts, "encoding_format": self.encoding},
                 "tei": {"inputs": texts}, "ollama": {"model": self.model, "input": texts}}[self.api]  # fmt: skip
        return _vectors(self._rows(_post(self.url, asked, self.key), len(texts)), len(texts))

    def _rows(self, answer: object, count: int) -> object:
        """The rows of an answer, in order; each API has an envelope of its own."""
        try:
            if self.api == "tei":
                return answer
            if self.api == "ollama":
                return answer["embeddings"]
            rows = {row["index"]: row["embedding"] for row in answer["data"]}
            return [rows[number] for number in range(count)]
        except (KeyError, TypeError, IndexError) as error:
            raise EndpointError(f"The answer of {_shown(self.url)} is not what the {self.api} API promises for {count} "
                                "texts: is this the address of an embedding model?") from error  # fmt: skip


def find(url: str, model: str) -> Endpoint:
    """Return the endpoint at an address: with a path, the API that has it; without, the first that answers.

    Raises
    ------
    EndpointError
        No address, a path of none of the three, or no API answers.
    """
    split = urlsplit(url)
    if split.scheme not in ("http", "https") or not split.hostname:
        raise EndpointError(f"{url!r} is no address: write it like http://localhost:8080.")
    key, path = os.environ.get(KEY, ""), split.path.rstrip("/")
    if path not in ("", "/v1"):
        for api, ending in [("ollama", PATHS["ollama"]), ("tei", PATHS["tei"]), ("openai", "/embeddings")]:
            if path.endswith(ending):
                return Endpoint(url, api, _served_name(url, model, key) if api == "openai" else model, key)
        raise EndpointError(f"{_shown(url)}: no API is known by this path; known are {', '.join(PATHS.values())}.")
    base = split._replace(path="", query="", fragment="").geturl()
    for api, ending in PATHS.items():
        found = Endpoint(base + ending, api, _served_name(base, model, key) if api == "openai" else model, key)
        try:
            found.embed(["one"])
        except _Absent:
            continue
        return found
    paths = ", ".join(PATHS.values())
    raise EndpointError(f"{_shown(url)} answers, but has none of {paths}: is it an embedding server?")


def _served_name(url: str, model: str, key: str) -> str:
    """The name of the only model that a server lists; else the one given."""
    base = url.split("/v1")[0].removesuffix("/embeddings")
    try:
        listed = _call("GET", f"{base}/v1/models", key)["data"]
        return str(listed[0]["id"]) if len(listed) == 1 else model
    except (EndpointError, KeyError, TypeError, IndexError):
        return model


class _Absent(EndpointError):
    """There is no such path."""


def _post(url: str, asked: dict, key: str) -> object:
    return _call("POST", url, key, asked)


def _call(method: str, url: str, key: str, asked: dict | None = None) -> object:
    """Send one request; return what its JSON says."""
    where, headers = _shown(url), {"Authorization": f"Bearer {key}"} if key else {}
    until, body = time.monotonic() + SECONDS, b""
    try:
        # A redirect could send the texts and the key to another host: none is followed.
        with httpx.Client(timeout=SECONDS, follow_redirects=False) as client, client.stream(
            method, url, json=asked, headers=headers
        ) as answer:
            for part in answer.iter_bytes():
                body += part
                if len(body) > MOST_BYTES:
                    raise EndpointError(f"{where} sends more than {MOST_BYTES >> 20} MB for a few texts: stopped.")
                if time.monotonic() > until:
                    raise EndpointError(f"{where} was still sending after {SECONDS:.0f} seconds: stopped.")
            status, location = answer.status_code, answer.headers.get("location", "")
    except httpx.TimeoutException as error:
        raise EndpointError(f"{where} did not answer within {SECONDS:.0f} seconds.") from error
    except httpx.ConnectError as error:
        raise EndpointError(f"{where} cannot be reached: is the server running, and the port right?") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise EndpointError(f"{where} broke off its answer ({type(error).__name__}): see the server's log.") from error
    if status in ABSENT:
        raise _Absent(f"{where} has no such path (HTTP {status}).")
    if 300 <= status < 400:
        raise EndpointError(f"{where} sends us on to {_shown(location)} (HTTP {status}): give that address instead, "
                            "if you trust it.")  # fmt: skip
    if status != 200:
        advice = ADVICE.get(status, "see the server's log")
        raise EndpointError(f"{where} refuses with HTTP {status}: {advice}.{_reason(body, key)}")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EndpointError(f"{where} answers with what is no whole JSON ({len(body):,} bytes).") from error


def _vectors(rows: object, count: int) -> np.ndarray:
    """Check n rows of numbers, or of base64 text, and return them as float32 ``[n, d]``."""
    if not isinstance(rows, list) or len(rows) != count:
        given = f"{len(rows)} rows" if isinstance(rows, list) else f"a {type(rows).__name__}"
        raise EndpointError(f"The server answered {count} texts with {given}.")
    try:
        made = [np.frombuffer(base64.b64decode(row, validate=True), "<f4") if isinstance(row, str)
                else np.array(row, np.float32) for row in rows]  # fmt: skip
    except (ValueError, TypeError) as error:
        raise EndpointError("The server's vectors are no numbers, nor base64 of float32 numbers.") from error
    if len({one.shape for one in made}) > 1 or made[0].ndim != 1 or not made[0].size:
        shapes = sorted({str(list(one.shape)) for one in made})
        raise EndpointError(f"The server's vectors have the shapes {', '.join(shapes)}: one size each is needed (a "
                            "server that does not pool sends one vector a token).")  # fmt: skip
    found = np.stack(made)
    if not np.isfinite(found).all():
        bad = int((~np.isfinite(found)).any(axis=1).nonzero()[0][0])
        raise EndpointError(f"The server's vector of text {bad} holds NaN or infinity.")
    return found


def _reason(body: bytes, key: str) -> str:
    """The server's own words, short, on one line and without the key."""
    said = " ".join(body[:300].decode(errors="replace").split())
    if key:
        said = said.replace(key, "…")
    return f" It says: {said}" if said else ""


def _shown(url: str) -> str:
    """An address without the user's name, password or query."""
    split = urlsplit(url)
    host = split.hostname or ""
    return f"{split.scheme}://{host}{f':{split.port}' if split.port else ''}{split.path}" if host else "another path"
