"""A stand-in for the hub on loopback: what its real clients ask of it, answered from local folders.

The status codes, error codes and headers are those of the hub as it answers somebody who is not logged in.
"""

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

REPOSITORY = r"(?P<owner>[^/]+)/(?P<name>[^/]+)"
API = re.compile(
    rf"/api/(?P<kind>models|datasets)/{REPOSITORY}"
    r"(?:/(?P<action>revision|tree|auth-check)(?:/(?P<revision>[^/]+)(?:/(?P<path>.+))?)?)?"
)
RESOLVE = re.compile(rf"/(?:(?P<kind>datasets)/)?{REPOSITORY}/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True)
class Commit:
    """The files of a folder, by path, and the digest of them all that names the commit."""

    files: dict[str, bytes]
    sha: str

    @classmethod
    def of(cls, folder: Path) -> Self:
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        sha = hashlib.sha1("".join(f"{path} {oid(content)}\n" for path, content in files.items()).encode())
        return cls(files, sha.hexdigest())

    def tree(self) -> list[dict[str, Any]]:
        """Every file and folder, as the hub lists them."""
        folders = {str(parent) for path in self.files for parent in PurePosixPath(path).parents} - {"."}
        return [
            *({"type": "directory", "path": path, "size": 0, "oid": oid(path.encode())} for path in sorted(folders)),
            *({"type": "file", "path": path, "size": len(f), "oid": oid(f)} for path, f in self.files.items()),
        ]


def oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def environment(endpoint: str, home: Path, **more: str) -> dict[str, str]:
    """The environment of a process that knows no hub but the one at ``endpoint``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return {
        **inherited,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",  # counting asks another server than the hub
        "HF_HUB_ETAG_TIMEOUT": "120",  # a busy machine is no trouble of the hub
        "HF_HUB_DOWNLOAD_TIMEOUT": "120",
        "NO_PROXY": "127.0.0.1",
        **more,
    }


class HubStandIn(ThreadingHTTPServer):
    """Serves repositories from the moment it is entered as a context until it is left.

    Args:
        repositories: ``models/owner/name`` or ``datasets/owner/name`` to its revisions, each a folder; the one
            called ``main`` is the default.
        gated: those of which a stranger sees the listing and not the files.
        refusing: a status and an error code that answer every request.
        instead: regular expressions of method and path, each with what answers the requests that match.
    """

    def __init__(
        self,
        repositories: Mapping[str, Mapping[str, Path]],
        gated: Collection[str] = (),
        refusing: tuple[int, str] | None = None,
        instead: Mapping[str, Callable[["Handler"], None]] | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []  # method and path, in order of arrival
        self.ranges: list[tuple[str, int, int]] = []  # path of a file, and which bytes of it were sent
        self.authorizations: set[str] = set()  # what clients said to prove who they are
        self.refusing = refusing
        self.instead = instead or {}
        self.gated = gated
        self.repositories: dict[str, dict[str, Commit]] = {}
        for name, revisions in repositories.items():
            commits = {revision: Commit.of(folder) for revision, folder in revisions.items()}
            self.repositories[name] = commits | {commit.sha: commit for commit in commits.values()}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def commit(self, repository: str, revision: str = "main") -> str:
        return self.repositories[repository][revision].sha

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: HubStandIn

    def do_GET(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        self.server.authorizations.add(self.headers.get("Authorization", ""))
        if self.server.refusing:
            return self.refuse(*self.server.refusing)
        for pattern, answer in self.server.instead.items():
            if re.search(pattern, f"{self.command} {self.path}"):
                return answer(self)
        url = urlsplit(self.path)
        match = API.fullmatch(url.path) or RESOLVE.fullmatch(url.path)
        if not match:
            return self.refuse(404, "EntryNotFound")
        part = {key: unquote(value) for key, value in match.groupdict(default="").items()}
        repository = f"{part['kind'] or 'models'}/{part['owner']}/{part['name']}"
        if repository not in self.server.repositories:
            return self.refuse(401, "RepoNotFound")
        commit = self.server.repositories[repository].get(part["revision"] or "main")
        if commit is None:
            return self.refuse(404, "RevisionNotFound")
        action = part.get("action", "resolve")
        if action in ("resolve", "auth-check") and repository in self.server.gated:
            return self.refuse(403, "GatedRepo")
        if action == "resolve":
            return self.send_file(commit, part["path"])
        return self.send(200, json.dumps(self.api(commit, repository, action, part["path"], parse_qs(url.query))))

    do_HEAD = do_CONNECT = do_GET  # CONNECT: as the proxy of a client, what it would ask elsewhere

    def api(self, commit: Commit, repository: str, action: str, path: str, query: dict[str, list[str]]) -> Any:
        if action == "tree":
            below = [entry for entry in commit.tree() if entry["path"].startswith(f"{path}/" if path else "")]
            if query.get("recursive", ["false"])[0].lower() == "true":
                return below
            return [entry for entry in below if str(PurePosixPath(entry["path"]).parent) == (path or ".")]
        gated = "manual" if repository in self.server.gated else False
        files = [{"rfilename": path} for path in commit.files]
        return {"id": repository.partition("/")[2], "sha": commit.sha, "gated": gated, "siblings": files}

    def send_file(self, commit: Commit, path: str) -> None:
        if path not in commit.files:
            return self.refuse(404, "EntryNotFound")
        content = commit.files[path]
        headers = {"X-Repo-Commit": commit.sha, "ETag": f'"{oid(content)}"', "Accept-Ranges": "bytes"}
        if asked := RANGE.fullmatch(self.headers.get("Range", "")):
            start, stop = int(asked[1]), min(int(asked[2] or len(content)) + 1, len(content))
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
            self.server.ranges.append((path, start, stop))
            return self.send(206, content[start:stop], headers)
        return self.send(200, content, headers)

    def refuse(self, status: int, code: str) -> None:
        self.send(status, json.dumps({"error": code}), {"X-Error-Code": code})

    def send(self, status: int, body: str | bytes, headers: Mapping[str, str] | None = None) -> None:
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def drip(self, content: bytes, at_once: int = 1) -> None:
        """Send an answer, headers included, as fast as 50 times ``at_once`` bytes a second."""
        answer = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content
        with suppress(ConnectionError):  # the client may have had enough
            for start in range(0, len(answer), at_once):
                self.wfile.write(answer[start : start + at_once])
                time.sleep(0.02)

    def log_message(self, *_: object) -> None:
        """Silent: the requests are recorded."""
