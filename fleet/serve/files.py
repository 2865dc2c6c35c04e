"""The files that pages need: styles, scripts, icons; held in memory, told apart by content."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from fleet.serve.routes import Route
from fleet.serve.scope import WebRequest

FOLDER = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
FOR_EVER, ASK_FIRST = "public, max-age=31536000, immutable", "no-cache"
WORTH_PACKING = (".css", ".js", ".svg", ".json")


@dataclass(frozen=True)
class StaticFile:
    """packed: by gzip; None where that is not worth it."""

    content: bytes
    kind: str
    digest: str
    packed: bytes | None


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    packed = gzip.compress(content, mtime=0) if path.suffix in WORTH_PACKING else None
    digest = hashlib.sha256(content).hexdigest()[:16]
    return StaticFile(content, KINDS[path.suffix], digest, packed)


class StaticFiles:
    """Those of one folder and below it, by path, as they were when it was read."""

    def __init__(self, folder: Path = FOLDER) -> None:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in KINDS)
        self._files = {path.relative_to(folder).as_posix(): _read(path) for path in paths}

    def address(self, name: str) -> str:
        """Where a browser gets a file, and may keep it for ever. A file that is not there is a bug
        of the page."""
        return f"/static/{name}?v={self._files[name].digest}"

    def find(self, name: str) -> StaticFile | None:
        return self._files.get(name)


FILES = StaticFiles()


@get("/static/{path:path}", sync_to_thread=False)
def static_file(request: WebRequest, path: FromPath[Path]) -> Response[bytes]:
    """One file. Its address with the right `v` never changes what it means."""
    file = FILES.find(path.as_posix().lstrip("/"))
    if file is None:
        raise NotFoundException("there is no such file")
    is_this = request.query_params.get("v") == file.digest
    headers = {"cache-control": FOR_EVER if is_this else ASK_FIRST, "etag": f'"{file.digest}"'}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(b"", status_code=304, headers=headers)
    content = file.content
    if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        content = file.packed
        headers |= {"content-encoding": "gzip", "vary": "accept-encoding"}
    return Response(content, headers=headers, media_type=file.kind)


ROUTES = (Route("anyone", static_file),)
