"""A stand-in for Hugging Face's hub: data sets, commits, large files, as its clients ask for them.

Regular files come within a commit, those whose names end in `LARGE` by the protocol of git-lfs.
Who has no key is not let in.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote

KEY = "hf_stand_in_key"
LARGE = (".parquet", ".tar", ".jpg", ".png")
COMMIT = "0" * 40


class HubServer:
    """Used as a context manager; `files` are those of the one data set that there may be."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.repository: str | None = None
        self.private: bool | None = None
        self.commits: list[list[str]] = []
        self.cards: list[str] = []
        """READMEs that were asked about."""
        self.large: dict[str, bytes] = {}
        """By sha256, as they arrived."""
        self.damages: set[str] = set()
        """Names that are stored with a byte changed."""
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def entry(self, path: str) -> dict[str, Any]:
        data = self.files[path]
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        told: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": blob}
        if path.endswith(LARGE):
            sha256 = hashlib.sha256(data).hexdigest()
            told["lfs"] = {"oid": sha256, "size": len(data), "pointerSize": 130}
            told["oid"] = "1" * 40
        return told

    def folders(self) -> set[str]:
        return {path[: match.start()] for path in self.files for match in re.finditer("/", path)}


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    def do_HEAD(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = unquote(self.path.partition("?")[0])
        if self.command == "PUT" and path.startswith("/large/"):  # signed, without a key
            self.hub.large[path.removeprefix("/large/")] = body
            self._answer(200, {})
            return
        if self.headers.get("authorization") != f"Bearer {KEY}":
            self._answer(401, {"error": "who are you?"})
            return
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            if self.hub.repository == name:
                self._answer(409, {"url": f"{self.hub.url}/datasets/{name}"})
                return
            self.hub.repository, self.hub.private = (
                name,
                asked.get("visibility") == "private" or asked.get("private"),
            )
            self.hub.files[".gitattributes"] = b"*.jpg filter=lfs\n"
            self._answer(200, {"url": f"{self.hub.url}/datasets/{name}"})
            return
        if path == "/api/validate-yaml":
            self.hub.cards.append(json.loads(body)["content"])
            self._answer(200, {"errors": [], "warnings": []})
            return
        if self.hub.repository is None or f"datasets/{self.hub.repository}" not in path:
            self._answer(404, {"error": "none"}, {"X-Error-Code": "RepoNotFound"})
            return
        place = f"{self.hub.url}/datasets/{self.hub.repository}"
        rest = path.partition(f"datasets/{self.hub.repository}")[2]
        match rest.strip("/").split("/", 2):
            case ["preupload", *_]:
                files = [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                        "shouldIgnore": False,
                    }
                    for file in json.loads(body)["files"]
                ]
                self._answer(200, {"files": files})
            case [".git", "info", "lfs/objects/batch"]:
                self._answer(200, {"transfer": "basic", "objects": self._batch(body)})
            case ["commit", *_]:
                self._commit(body)
                self._answer(
                    200,
                    {"commitOid": COMMIT, "commitUrl": f"{place}/commit/{COMMIT}", "success": True},
                )
            case ["paths-info", *_]:
                asked = json.loads(body)["paths"]
                self._answer(200, self._told(path for path in asked))
            case ["tree", _, *below]:
                self._tree("/".join(below))
            case ["resolve", _, name]:
                self._file(name)
            case _:
                self._answer(200, {"id": self.hub.repository, "sha": COMMIT, "siblings": []})

    def _batch(self, body: bytes) -> list[dict[str, Any]]:
        return [
            {
                "oid": asked["oid"],
                "size": asked["size"],
                "actions": {"upload": {"href": f"{self.hub.url}/large/{asked['oid']}"}},
            }
            for asked in json.loads(body)["objects"]
        ]

    def _commit(self, body: bytes) -> None:
        names: list[str] = []
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                data = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                data = self.hub.large[value["oid"]]
            else:
                continue
            if value["path"] in self.hub.damages:
                data = bytes([data[0] ^ 1]) + data[1:]
            self.hub.files[value["path"]] = data
            names.append(value["path"])
        self.hub.commits.append(names)

    def _told(self, paths: Any) -> list[dict[str, Any]]:
        folders = self.hub.folders()
        return [
            self.hub.entry(path) if path in self.hub.files else {
                "type": "directory", "path": path, "oid": "2" * 40
            }
            for path in paths
            if path in self.hub.files or path in folders
        ]  # fmt: skip

    def _tree(self, below: str) -> None:
        start = f"{below}/" if below else ""
        if below and below not in self.hub.folders():
            return self._answer(404, {"error": "none"}, {"X-Error-Code": "EntryNotFound"})
        recursive = "recursive=true" in self.path.lower() or "recursive=1" in self.path
        paths = [
            path
            for path in sorted([*self.hub.files, *self.hub.folders()])
            if path.startswith(start) and (recursive or "/" not in path[len(start) :])
        ]
        return self._answer(200, self._told(paths))

    def _file(self, name: str) -> None:
        data = self.hub.files.get(name)
        if data is None:
            return self._answer(404, {"error": "none"}, {"X-Error-Code": "EntryNotFound"})
        headers = {"ETag": hashlib.sha256(data).hexdigest(), "X-Repo-Commit": COMMIT}
        status = 200
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range") or ""):
            first, last = int(wanted[1]), int(wanted[2] or len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data, status = data[first : last + 1], 206
        return self._send(status, data, {"Content-Type": "application/octet-stream", **headers})

    def _answer(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        told = {"Content-Type": "application/json", **(headers or {})}
        self._send(status, json.dumps(value).encode(), told)

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
