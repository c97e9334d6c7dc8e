"""Are servers asked as their APIs say, and is what a stranger sends checked before it is believed?"""

import json
import socket
import threading

import numpy as np
import pytest

from helpers import endpoints
from helpers.endpoints import KEY, Endpoint, EndpointError
from tests.serving import Site, serve

TEXTS = ["one", "a second", "the third one"]


def embed(texts) -> np.ndarray:
    """Vectors that say which text they are of."""
    return np.array([[len(text), text.count(" ") + 0.5, -1 / 3] for text in texts], np.float32)


@pytest.mark.parametrize("api", endpoints.PATHS)
def test_each_api_gives_the_vectors_in_the_order_of_the_texts(api):
    with serve(Site(embed)) as url:
        found = Endpoint(url + endpoints.PATHS[api], api, "any").embed(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, embed(TEXTS))


def test_base64_gives_the_same_numbers():
    with serve(Site(embed)) as url:
        found = Endpoint(f"{url}/v1/embeddings", "openai", "any", encoding="base64").embed(TEXTS)
    np.testing.assert_array_equal(found, embed(TEXTS))


@pytest.mark.parametrize("apis,path,api", [
    (("openai", "tei", "ollama"), "", "openai"), (("tei", "ollama"), "/", "tei"), (("ollama",), "", "ollama"),
    (("openai",), "/v1", "openai"), (("tei",), "/embed", "tei"), (("openai",), "/v1/embeddings", "openai"),
])  # fmt: skip
def test_an_address_is_enough(apis, path, api):
    with serve(Site(embed, apis=apis)) as url:
        found = endpoints.find(url + path, "given")
        np.testing.assert_array_equal(found.embed(TEXTS), embed(TEXTS))
    assert found.api == api and found.model == ("the-only-one" if api == "openai" else "given")


def test_an_address_without_any_api_is_said_to_have_none():
    with serve(Site(embed, apis=())) as url, pytest.raises(EndpointError, match="has none of"):
        endpoints.find(url, "any")


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://host/x", "", "http://", "m:secret@host", "htp://m:secret@host",
                                 "http://m:my/secret@host", "http://[secret"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(EndpointError, match="no address") as error:
        endpoints.find(url, "any")
    assert "secret" not in str(error.value)


def test_the_key_is_sent_and_never_shown(monkeypatch, capsys):
    site = Site(embed, key="sesame-1234")
    with serve(site) as url:
        with pytest.raises(EndpointError, match=f"HTTP 401: set the environment variable {KEY}"):
            Endpoint(f"{url}/embed", "tei", "any").embed(TEXTS)
        with pytest.raises(EndpointError) as refused:  # the server repeats what it was given
            Endpoint(f"{url}/embed", "tei", "any", key="wrong-5678").embed(TEXTS)
        assert "wrong-5678" not in str(refused.value) and "no such key" in str(refused.value)
        monkeypatch.setenv(KEY, "sesame-1234")
        found = endpoints.find(url, "any")
        found.embed(TEXTS)
    assert site.seen[-1][2] == "Bearer sesame-1234"
    assert "sesame-1234" not in repr(found) + "".join(capsys.readouterr())


@pytest.mark.parametrize("body", [b" " * 290 + b"key sk-secret/0123456789 is wrong",
                                  b'{"key": "sk-secret\\/0123456789"}'])  # fmt: skip
def test_a_key_that_the_server_repeats_is_not_shown(body):
    with serve(Site(embed, answer=lambda texts: (401, {}, body))) as url, pytest.raises(EndpointError) as error:
        Endpoint(f"{url}/embed", "tei", "any", key="sk-secret/0123456789").embed(TEXTS)
    assert "It says" in str(error.value) and "secret" not in str(error.value)


def test_a_key_that_no_header_can_hold_is_refused(monkeypatch):
    monkeypatch.setenv(KEY, "sesame\u2028open")
    with pytest.raises(EndpointError, match="copy it again") as error:
        endpoints.find("http://127.0.0.1:9", "any")
    assert "sesame" not in str(error.value)


def test_only_the_given_host_is_asked(monkeypatch):
    asked = []
    monkeypatch.setattr(endpoints, "_exchange", lambda method, url, *_: asked.append(url) or EndpointError("no"))
    endpoints.find("https://v1.example.com/v1/embeddings", "any")
    endpoints.find("https://v1.example.com/deep/v1/embeddings", "any")
    assert asked == ["https://v1.example.com/v1/models", "https://v1.example.com/deep/v1/models"]


def test_a_proxy_is_not_used_for_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with serve(Site(embed)) as url:
        np.testing.assert_array_equal(endpoints.find(url, "any").embed(TEXTS), embed(TEXTS))


def test_a_password_in_the_address_is_not_shown():
    with pytest.raises(EndpointError) as refused:
        Endpoint("http://margot:secret@127.0.0.1:9/embed?token=hidden", "tei", "any").embed(TEXTS)
    assert "127.0.0.1:9/embed" in str(refused.value)
    assert not any(word in str(refused.value) for word in ("margot", "secret", "hidden"))


def openai(rows) -> tuple:
    data = [{"index": place, "embedding": row} for place, row in enumerate(rows)]
    return 200, {}, json.dumps({"data": data}).encode()


@pytest.mark.parametrize("answer,said", [
    ((403, {}, b"no"), "HTTP 403: check the key"),
    ((413, {}, b"too large"), "smaller requests only"),
    ((429, {}, b""), "try again later"),
    ((500, {}, b'{"error": "CUDA out of memory"}'), "HTTP 500.*CUDA out of memory"),
    ((307, {"Location": "http://elsewhere.example/v1/embeddings?key=1"}, b""), "sends us on to http://elsewhere.example"),
    ((200, {}, b'{"data": [{"index": 0, "emb'), "no whole JSON"),
    ((200, {}, b"[" * 100_000), "no whole JSON"),
    ((200, {}, b'{"object": "list"}'), "not what the openai API promises"),
    ((200, {}, b"[1, 2]"), "not what the openai API promises"),
    (openai([[1.0, 2.0]] * 2), "not what the openai API promises"),
    (openai([[1.0, 2.0], [1.0, 2.0], [1.0]]), "shapes .1., .2.: one size"),
    (openai([[[1.0, 2.0]]] * 3), "one vector a token"),
    (openai([[]] * 3), "one size each"),
    (openai([[1.0, float("nan")]] * 3), "text 0 holds NaN"),
    (openai([[1.0, 2.0], [1.0, float("inf")], [1.0, 2.0]]), "text 1 holds NaN, infinity"),
    (openai([["a", "b"]] * 3), "no numbers"),
    (openai([[10**400, 1]] * 3), "no numbers"),
    (openai([[1e30, 1.0]] * 3), "above 1e.15"),
    ((200, {"Content-Encoding": "gzip"}, b"x"), "packed answer"),
    ((404, {}, b'{"error": "model \"x\" not found, try pulling it first"}'), "does not know the model.*--served-name"),
    ((500, {}, b"\x1b[2Jboo\r\x00"), "It says: .2Jboo$"),
    (openai(["%%%"] * 3), "no numbers, nor base64"),
    (openai(["AAA="] * 3), "no numbers, nor base64"),
    ((200, {"Content-Length": "5000"}, b'{"data": ['), "broke off its answer"),
])  # fmt: skip
def test_an_answer_that_is_none_is_said_to_be_so_in_one_sentence(answer, said):
    with serve(Site(embed, answer=lambda texts: answer)) as url, pytest.raises(EndpointError, match=said) as error:
        Endpoint(f"{url}/v1/embeddings", "openai", "any").embed(TEXTS)
    assert "\n" not in str(error.value)


def test_no_redirect_is_followed():
    stranger = Site(embed)
    with serve(stranger) as elsewhere:
        site = Site(embed, answer=lambda texts: (307, {"Location": f"{elsewhere}/v1/embeddings"}, b""))
        with serve(site) as url, pytest.raises(EndpointError, match="sends us on"):
            Endpoint(f"{url}/v1/embeddings", "openai", "any", key="sesame").embed(TEXTS)
    assert stranger.seen == []


def test_an_endless_answer_is_stopped(monkeypatch):
    monkeypatch.setattr(endpoints, "MOST_BYTES", 2**16)
    site = Site(embed, answer=lambda texts: (200, {}, b" " * 2**20))
    with serve(site) as url, pytest.raises(EndpointError, match="more than 65,536 bytes"):
        Endpoint(f"{url}/embed", "tei", "any").embed(TEXTS)


def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(endpoints, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(EndpointError, match="did not answer within"):
            Endpoint(f"http://127.0.0.1:{silent.getsockname()[1]}/embed", "tei", "any").embed(TEXTS)


def test_a_server_that_sends_a_drop_at_a_time_is_given_up(monkeypatch):
    monkeypatch.setattr(endpoints, "SECONDS", 0.3)
    enough = threading.Event()

    def drip(server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not enough.wait(0.02):
                try:
                    client.sendall(b" ")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        with pytest.raises(EndpointError, match="did not answer within"):
            Endpoint(f"http://127.0.0.1:{server.getsockname()[1]}/embed", "tei", "any").embed(TEXTS)
        enough.set()
        thread.join()


def test_a_server_that_is_not_there_cannot_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(EndpointError, match="cannot be reached: is the server running"):
        endpoints.find(f"http://127.0.0.1:{port}", "any")
