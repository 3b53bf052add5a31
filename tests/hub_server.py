"""A stand-in of the Hugging Face Hub on 127.0.0.1: what huggingface_hub asks for, no more.

Repositories are kept in memory, a dictionary of files for each commit.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_" + "QzSecretTokenOfTheTests"
LARGE = (".safetensors", ".onnx")


@dataclass
class Hub:
    """What is on the hub, and how it misbehaves.

    Attributes:
        commits: Files by repository and commit; the last commit of a repository is its `main`.
        private: Repositories that were made private.
        sent: Other bytes to send in place of a file's, by its path.
        unhashed: Paths of files of which no hash is stated.
        requests: Methods and paths asked for.
    """

    address: str = ""
    commits: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    sent: dict[str, bytes] = field(default_factory=dict)
    unhashed: set[str] = field(default_factory=set)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def commit(
        self, repository: str, files: dict[str, bytes], deleted: Collection[str] = ()
    ) -> str:
        """Add files to a repository and delete others, and return the commit."""
        commits = self.commits.setdefault(repository, {})
        whole = {**(list(commits.values())[-1] if commits else {}), **files}
        for path in deleted:
            del whole[path]
        stamp = json.dumps([len(commits), sorted(whole)]) + repository
        name = hashlib.sha1(stamp.encode(), usedforsecurity=False).hexdigest()
        commits[name] = whole
        return name

    def newest(self, repository: str) -> str:
        """Return the newest commit."""
        return list(self.commits[repository])[-1]


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Yield a hub that answers on a port of the system's choice."""
    hub = Hub()

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._resolve(body=False)

    def do_GET(self) -> None:
        self._resolve(body=True)

    def _resolve(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        repository = "/".join(parts[:2])
        commits = self.hub.commits.get(repository)
        hidden = repository in self.hub.private and not self._may()
        if parts[:2] == ["api", "models"]:
            self._model("/".join(parts[2:]))
            return
        if commits is None or hidden or len(parts) < 5 or parts[2] != "resolve":
            self._answer(401 if not self._may() else 404, {"X-Error-Code": "RepoNotFound"})
            return
        commit = self.hub.newest(repository) if parts[3] == "main" else parts[3]
        if commit not in commits:
            self._answer(404, {"X-Error-Code": "RevisionNotFound"})
            return
        name = "/".join(parts[4:])
        data = commits[commit].get(name)
        if data is None:
            self._answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
            return
        sent = self.hub.sent.get(name, data)
        digest = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        headers = {"X-Repo-Commit": commit, "ETag": f'"{digest}"'}
        if name.endswith(LARGE):
            headers["X-Linked-Etag"] = f'"{hashlib.sha256(data).hexdigest()}"'
            headers["X-Linked-Size"] = str(len(data))
        if name in self.hub.unhashed:
            headers["ETag"] = headers["X-Linked-Etag"] = '"5f3a-62"'
        self._answer(200, headers, sent, body=body)

    def _model(self, repository: str) -> None:
        private = repository in self.hub.private
        if repository not in self.hub.commits or (private and not self._may()):
            self._answer(401 if not self._may() else 404, {"X-Error-Code": "RepoNotFound"})
            return
        files = self.hub.commits[repository][self.hub.newest(repository)]
        siblings = [{"rfilename": path} for path in files]
        self._json({"id": repository, "private": private, "siblings": siblings})

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"POST {path}")
        text = self._body()
        if not self._may():
            self._json({"error": "Unauthorized"}, 401)
        elif path == "/api/repos/create":
            asked = json.loads(text)
            repository = f"{asked['organization']}/{asked['name']}"
            if repository in self.hub.commits:
                self._json({"error": "exists", "url": f"{self.hub.address}/{repository}"}, 409)
                return
            self.hub.commit(repository, {".gitattributes": b""})
            if asked.get("private") or asked.get("visibility") == "private":
                self.hub.private.add(repository)
            self._json({"url": f"{self.hub.address}/{repository}"})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = json.loads(text)["files"]
            modes = {f["path"]: "lfs" if f["path"].endswith(LARGE) else "regular" for f in files}
            told = [
                {"path": name, "uploadMode": m, "shouldIgnore": False} for name, m in modes.items()
            ]
            self._json({"files": told})
        elif path.endswith("/info/lfs/objects/batch"):
            put = {"href": f"{self.hub.address}/upload", "header": {}}
            objects = [
                {**each, "actions": {"upload": {**put, "href": f"{put['href']}/{each['oid']}"}}}
                for each in json.loads(text)["objects"]
            ]
            self._json({"transfer": "basic", "objects": objects})
        elif "/commit/" in path:
            self._commit(path, text)
        else:
            self._json({"error": f"not made: {path}"}, 501)

    def do_PUT(self) -> None:
        digest = self.path.rpartition("/")[2]
        data = self._body()
        assert hashlib.sha256(data).hexdigest() == digest
        self.hub.uploaded[digest] = data
        self._json({})

    def _commit(self, path: str, text: bytes) -> None:
        repository = "/".join(path.split("/")[3:5])
        files, deleted = {}, []
        for line in text.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.hub.uploaded[value["oid"]]
            elif operation["key"] == "deletedFile":
                deleted.append(value["path"])
        commit = self.hub.commit(repository, files, deleted)
        where = f"{self.hub.address}/{repository}/commit/{commit}"
        self._json({"commitUrl": where, "commitOid": commit, "success": True})

    def _may(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length")
        if length is not None:
            return self.rfile.read(int(length))
        data = b""
        while size := int(self.rfile.readline(), 16):  # chunked
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _json(self, value: object, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self._answer(status, {"Content-Type": "application/json"}, data)

    def _answer(
        self, status: int, headers: dict[str, str], data: bytes = b"", *, body: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)
