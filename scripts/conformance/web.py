"""A TUF repository on a web server, as a Source: metadata and files below two addresses."""

from __future__ import annotations

from contextlib import ExitStack

from scripts.conformance.client import FILES
from wire.block.blocks import NoSuchFile
from wire.https import HttpsSource
from wire.release import METADATA

SCHEMES = ("http", "https")


class Web:
    """Each read is one GET, of this file and no other. Use it in a `with`."""

    def __init__(self, metadata_url: str, files_url: str | None) -> None:
        self._stack = ExitStack()
        self._places = {METADATA: HttpsSource(metadata_url, schemes=SCHEMES)}
        if files_url is not None:
            self._places[FILES] = HttpsSource(files_url, schemes=SCHEMES)
        for source in self._places.values():
            self._stack.callback(source.close)

    def read(self, path: str, most_bytes: int) -> bytes:
        """Raises NoSuchFile, Unavailable, Refused if it is larger."""
        for prefix, source in self._places.items():
            if path.startswith(prefix):
                return source.read(path.removeprefix(prefix), most_bytes)
        raise NoSuchFile(f"{path}: no address was given for it")

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
