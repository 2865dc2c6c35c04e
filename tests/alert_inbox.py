"""A web server that takes what alerts post, as people would read it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer


class Inbox:
    """status: what it answers. taken: messages, the newest last. before, after: what happens when
    one begins to come, and when it was taken and is not answered yet."""

    def __init__(self) -> None:
        self.status = 200
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None
        self.taken: list[dict[str, str]] = []
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status = inbox.status  # of when it came, whatever is wanted of the next one
                inbox.before()
                content = self.rfile.read(int(self.headers["content-length"]))
                if status == 200:
                    inbox.taken.append(json.loads(content))
                inbox.after()
                with suppress(OSError):  # who sent it is no more
                    self.send_response(status)
                    self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://user:secret@127.0.0.1:{self._server.server_port}/here"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def titles(self) -> list[str]:
        return [one["title"] for one in self.taken]
