"""A model hub on this machine: the few addresses that downloads use, over files in memory."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class StubHub:
    """`repos` maps "models/owner/name" or "datasets/owner/name" to path and content of its files."""

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    endpoint: str = ""
    requests: list[str] = field(default_factory=list)
    pause: threading.Event | None = None  # a file is sent by half, the rest when this is set

    def commit(self, repo: str) -> str:
        return hashlib.sha1(repr(sorted(self.repos[repo].items())).encode()).hexdigest()


@contextmanager
def running(hub: StubHub) -> Iterator[StubHub]:
    """Serve until the block ends; `endpoint` is set on entry."""

    class Handler(_Handler):
        stub = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    stub: StubHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        self.stub.requests.append(f"{self.command} {path}")
        listing = re.fullmatch(r"/api/((?:models|datasets)/[^/]+/[^/]+)(/revision/[^/]+|/tree/[^/]+)?", path)
        content = re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/[^/]+/(.+)", path)
        if listing:
            self._list(listing[1], listing[2] or "")
        elif content:
            self._send_file(f"{content[1] or 'models/'}{content[2]}", content[3])
        else:
            self._refuse(404, "RepoNotFound")

    def _list(self, repo: str, what: str) -> None:
        if repo not in self.stub.repos:
            return self._refuse(401, "RepoNotFound")
        files, commit = self.stub.repos[repo], self.stub.commit(repo)
        revision = what.rpartition("/")[2]
        if revision not in ("", "main", commit):
            return self._refuse(404, "RevisionNotFound")
        name = repo.partition("/")[2]
        answer: object = {"_id": "0", "id": name, "sha": commit, "siblings": [{"rfilename": path} for path in files]}
        if what.startswith("/tree"):
            answer = [
                {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for path, data in files.items()
            ]
        self._send(json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _send_file(self, repo: str, path: str) -> None:
        if repo in self.stub.gated:
            return self._refuse(403, "GatedRepo")
        if path not in self.stub.repos.get(repo, {}):
            return self._refuse(404, "EntryNotFound")
        data = self.stub.repos[repo][path]
        headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": self.stub.commit(repo)}
        self._send(data, {**headers, "Content-Type": "application/octet-stream"}, self.stub.pause)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, data: bytes, headers: dict[str, str], pause: threading.Event | None = None) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(data) // 2 if pause else 0
        try:
            self.wfile.write(data[:half])
            self.wfile.flush()
            if pause:
                pause.wait(30)
            self.wfile.write(data[half:])
        except OSError:  # the other side has hung up
            self.close_connection = True
