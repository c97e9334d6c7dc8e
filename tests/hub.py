"""A stand-in for the hub: an HTTP server on this machine that answers as the hub does, or fails in a chosen way."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROUTES = {
    "info": re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)/revision/([^/?]+)"),
    "tree": re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)/tree/([^/?]+)"),
    "file": re.compile(r"/(?:(datasets)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)"),
}


class Hub:
    """What the server holds and what it was asked.

    Parameters
    ----------
    repositories : dict
        (kind, id, revision) -> folder; kind is "models" or "datasets".

    Attributes
    ----------
    asked : list of str
        Method, path and range of each request.
    status : int
        What every request is answered with, when it is not 200.
    cut : dict of str to int
        How many of a file's next answers break off in the middle.
    stall : str
        Name of a file whose answer stops in the middle and stays open, until `resume` is set.
    stalled, resume : threading.Event
    """

    def __init__(self, repositories: dict[tuple[str, str, str], Path]):
        self.repositories = repositories
        self.asked: list[str] = []
        self.status = 200
        self.cut: dict[str, int] = {}
        self.stall = ""
        self.stalled, self.resume = threading.Event(), threading.Event()

    def folder(self, kind: str, repo_id: str, revision: str) -> Path | None:
        return self.repositories.get((kind, repo_id, revision))


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            hub.asked.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
            if hub.status != 200:
                return self.refuse(hub.status)
            for route, pattern in ROUTES.items():
                if found := pattern.fullmatch(self.path.split("?")[0]):
                    kind, repo_id, revision, *rest = found.groups()
                    folder = hub.folder(kind or "models", repo_id, revision)
                    if folder is None:
                        return self.refuse(404, "RevisionNotFound")
                    return getattr(self, route)(folder, repo_id, revision, *rest)
            self.refuse(404)

        do_HEAD = do_GET

        def refuse(self, status: int, code: str = "") -> None:
            self.send_response(status)
            if code:
                self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def reply(self, content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def info(self, folder: Path, repo_id: str, revision: str) -> None:
            files = [{"rfilename": path.relative_to(folder).as_posix()} for path in self.files(folder)]
            self.reply({"_id": "0", "id": repo_id, "sha": revision, "private": False, "siblings": files, "tags": []})

        def tree(self, folder: Path, repo_id: str, revision: str) -> None:
            names = [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in self.files(folder)]
            self.reply([{"type": "file", "path": name, "size": size, "oid": "0" * 40} for name, size in names])

        def files(self, folder: Path) -> list[Path]:
            return sorted(path for path in folder.rglob("*") if path.is_file())

        def file(self, folder: Path, repo_id: str, revision: str, name: str) -> None:
            if not (folder / name).is_file():
                return self.refuse(404, "EntryNotFound")
            content = (folder / name).read_bytes()
            start = int(re.search(r"\d+", self.headers.get("Range", "0"))[0])
            self.send_response(206 if "Range" in self.headers else 200)
            self.send_header("X-Repo-Commit", revision)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content) - start))
            if "Range" in self.headers:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if self.command == "HEAD":
                return
            if name == hub.stall or hub.cut.get(name, 0) > 0:
                hub.cut[name] = hub.cut.get(name, 0) - 1
                self.wfile.write(content[start : start + (len(content) - start) // 2])
                self.close_connection = True
                if name == hub.stall:
                    self.wfile.flush()
                    hub.stalled.set()
                    hub.resume.wait()
                return
            self.wfile.write(content[start:])

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serve(hub: Hub) -> Iterator[str]:
    """Serve the hub while the block runs; give its address."""
    with listening(_handler(hub)) as url:
        try:
            yield url
        finally:
            hub.resume.set()


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answer on this machine while the block runs; give the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
