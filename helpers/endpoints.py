"""Ask an embedding server for vectors: the OpenAI-compatible API, text-embeddings-inference's and Ollama's.

A server is a stranger: what it sends is limited in size and time, checked for its shape, and never run.
"""

import base64
import ipaddress
import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import httpx
import numpy as np

KEY = "AUDIT_API_KEY"  # the environment variable that holds the key, if one is needed
PATHS = {"openai": "/v1/embeddings", "tei": "/embed", "ollama": "/api/embed"}
SECONDS = 120.0  # for one request, from the first byte sent to the last one received
SHOWN = 300  # characters of what a server says
MOST_BYTES = 16 * 2**20  # a few vectors of 10,000 numbers need a third of it
LARGEST = 1e15  # of a vector's numbers: the square of a larger one could not be counted with
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
        return _vectors(self._rows(_call("POST", self.url, self.key, asked), len(texts)), len(texts))

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
        No address, a path of none of the three, no API answers, or a key that no header can hold.
    """
    split, key = _split(url), os.environ.get(KEY, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise EndpointError(f"The key in {KEY} holds characters that no key has: copy it again.")
    path, base = split.path.rstrip("/"), split._replace(query="", fragment="")
    if path not in ("", "/v1"):
        for api, ending in [("ollama", PATHS["ollama"]), ("tei", PATHS["tei"]), ("openai", "/embeddings")]:
            if path.endswith(ending):
                listed = base._replace(path=path.removesuffix("/embeddings") + "/models")
                return Endpoint(url, api, _served_name(listed, model, key) if api == "openai" else model, key)
        raise EndpointError(f"{_shown(url)}: no API is known by this path; known are {', '.join(PATHS.values())}.")
    for api, ending in PATHS.items():
        name = _served_name(base._replace(path="/v1/models"), model, key) if api == "openai" else model
        found = Endpoint(base._replace(path=ending).geturl(), api, name, key)
        try:
            found.embed(["one"])
        except _Absent:
            continue
        return found
    paths = ", ".join(PATHS.values())
    raise EndpointError(f"{_shown(url)} answers, but has none of {paths}: is it an embedding server?")


def _split(url: str) -> SplitResult:
    """Take an address apart. One that is none is not repeated: it could hold a password."""
    try:
        split = urlsplit(url)
        if split.scheme in ("http", "https") and split.hostname and split.port != 0:
            return split
    except ValueError:
        pass
    raise EndpointError("--endpoint is no address: write it like http://localhost:8080.")


def _served_name(listed: SplitResult, model: str, key: str) -> str:
    """The name of the only model that a server lists; else the one given."""
    try:
        models = _call("GET", listed.geturl(), key)["data"]
        return str(models[0]["id"]) if len(models) == 1 else model
    except (EndpointError, KeyError, TypeError, IndexError):
        return model


class _Absent(EndpointError):
    """There is no such path."""


def _call(method: str, url: str, key: str, asked: dict | None = None) -> object:
    """Send one request; return what its JSON says."""
    where, answers = _shown(url), []
    # In a thread of its own: a server may send a drop at a time, and no time limit of the transport sees the whole.
    thread = threading.Thread(target=lambda: answers.append(_exchange(method, url, key, asked)), daemon=True)
    thread.start()
    thread.join(SECONDS)
    if not answers:
        raise EndpointError(f"{where} did not answer within {SECONDS:.0f} seconds.")
    if isinstance(answers[0], EndpointError):
        raise answers[0]
    status, location, body = answers[0]
    reason = _reason(body, key)
    if status in ABSENT and "model" in reason.lower():
        raise EndpointError(f"{where} does not know the model: give its name there with --served-name.{reason}")
    if status in ABSENT:
        raise _Absent(f"{where} has no such path (HTTP {status}).")
    if 300 <= status < 400:
        raise EndpointError(f"{where} sends us on to {_shown(location)} (HTTP {status}): give that address instead, "
                            "if you trust it.")  # fmt: skip
    if status != 200:
        raise EndpointError(f"{where} refuses with HTTP {status}: {ADVICE.get(status, 'see its log')}.{reason}")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EndpointError(f"{where} answers with what is no whole JSON ({len(body):,} bytes).") from error


def _exchange(method: str, url: str, key: str, asked: dict | None) -> tuple[int, str, bytes] | EndpointError:
    """One request: status, the address that it sends us on to, and the body; or what went wrong."""
    where, parts = _shown(url), []
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        # A redirect could send texts and key to another host, and so could a proxy, if the server is on this machine.
        client = httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=not _is_here(url))
        with client, client.stream(method, url, json=asked, headers=headers) as answer:
            if answer.headers.get("content-encoding", "identity") != "identity":
                return EndpointError(f"{where} sends a packed answer that was not asked for: refused unread.")
            for part in answer.iter_raw():
                parts.append(part)
                if sum(map(len, parts)) > MOST_BYTES:
                    return EndpointError(f"{where} sends more than {MOST_BYTES:,} bytes for a few texts: stopped.")
            return answer.status_code, answer.headers.get("location", ""), b"".join(parts)
    except httpx.TimeoutException:
        return EndpointError(f"{where} did not answer within {SECONDS:.0f} seconds.")
    except httpx.ConnectError:
        return EndpointError(f"{where} cannot be reached: is the server running, and the port right?")
    except Exception as error:  # whatever the transport raises
        return EndpointError(f"{where} broke off its answer ({type(error).__name__}): see the server's log.")


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _vectors(rows: object, count: int) -> np.ndarray:
    """Check n rows of numbers, or of base64 text, and return them as float32 ``[n, d]``."""
    if not isinstance(rows, list) or len(rows) != count:
        given = f"{len(rows)} rows" if isinstance(rows, list) else f"a {type(rows).__name__}"
        raise EndpointError(f"The server answered {count} texts with {given}.")
    try:
        made = [np.frombuffer(base64.b64decode(row, validate=True), "<f4") if isinstance(row, str)
                else np.array(row, np.float32) for row in rows]  # fmt: skip
    except (ValueError, TypeError, OverflowError) as error:
        raise EndpointError("The server's vectors are no numbers, nor base64 of float32 numbers.") from error
    if len({one.shape for one in made}) > 1 or made[0].ndim != 1 or not made[0].size:
        shapes = sorted({str(list(one.shape)) for one in made})
        raise EndpointError(f"The server's vectors have the shapes {', '.join(shapes)}: one size each is needed (a "
                            "server that does not pool sends one vector a token).")  # fmt: skip
    found = np.stack(made)
    odd = ~(np.abs(found) < LARGEST)  # NaN as well
    if odd.any():
        row = int(odd.any(axis=1).argmax())
        raise EndpointError(f"The server's vector of text {row} holds NaN, infinity or a number above {LARGEST:.0e}.")
    return found


def _reason(body: bytes, key: str) -> str:
    """The server's own words: without the key, short, on one line, and nothing that a terminal would obey."""
    said = body[:MOST_BYTES].decode(errors="replace")
    for secret in {key, json.dumps(key)[1:-1], key.replace("/", "\\/")} - {""}:
        said = said.replace(secret, "…")
    said = "".join(one if one.isprintable() else " " for one in said[:2000])
    return f" It says: {' '.join(said.split())[:SHOWN]}" if said.strip() else ""


def _shown(url: str) -> str:
    """An address without the user's name, password or query."""
    try:
        split = urlsplit(url)
        port = f":{split.port}" if split.port else ""
    except ValueError:
        return "another address"
    path = "".join(one for one in split.path if one.isprintable())
    return f"{split.scheme}://{split.hostname}{port}{path}" if split.hostname else "another path"
