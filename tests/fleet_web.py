"""A fleet's web for tests: real application, database and sockets, and browsers that ask it."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn

from fleet.accounts.accounts import Accounts, open_accounts
from fleet.actions.actions import Actions
from fleet.actions.place import served
from fleet.alerts.book import open_book
from fleet.folder import FleetFolder
from fleet.live.following import Following
from fleet.live.view import LiveView
from fleet.registry.registry import Registry, open_registry
from fleet.registry.words import Heard
from fleet.serve.app import make_app
from fleet.serve.crew import Crew
from fleet.serve.gate import Gate
from fleet.serve.parts import Parts, WebTerms
from fleet.serve.scope import cookie_name
from wire.config import Broker
from wire.signing import SigningKey

HERE = "127.0.0.1"
PATIENCE_S = 60.0
PASSWORDS = {"olga": "seven green bottles", "vera": "hanging on the wall"}  # by account
OPERATOR, VIEWER = "olga", "vera"


@dataclass
class Web:
    """A server on a thread of its own. home: where it is."""

    gate: Gate
    parts: Parts
    home: str

    @property
    def accounts(self) -> Accounts:
        return self.parts.accounts

    @property
    def registry(self) -> Registry:
        return self.parts.registry

    def hear(self, *heard: Heard, now_s: float) -> None:
        """Devices said something, and the live view knows it."""
        self.registry.write(heard)
        following = Following(self.registry, self.parts.live, lambda: now_s)
        while following.step() == 0.0:
            pass

    @contextmanager
    def browser(self, account: str | None = None) -> Iterator[Browser]:
        """Somebody's, signed in by the form."""
        with httpx.Client(base_url=self.home, timeout=PATIENCE_S, trust_env=False) as client:
            browser = Browser(client, self.home, cookie_name(self.parts.terms.secure))
            if account is not None:
                answer = browser.sign_in(account, PASSWORDS[account])
                assert answer.status_code == 303, answer.text
            yield browser


@dataclass
class Browser:
    """csrf: what the pages of its session carry."""

    client: httpx.Client
    home: str
    cookie: str
    csrf: str = ""

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers=headers)

    def post(self, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
        """As a page of ours does. headers: others than it would send; "" leaves one out."""
        told = {"origin": self.home, "x-csrf-token": self.csrf}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in told.items() if value}
        return self.client.post(path, data=form, headers=sent)

    def sign_in(self, name: str, password: str, following: str = "/") -> httpx.Response:
        form = {"name": name, "password": password, "next": following}
        answer = self.post("/sign-in", form)
        if answer.status_code == 303:
            self.csrf = self.csrf_of_page()
        return answer

    def csrf_of_page(self) -> str:
        page = self.get("/")
        found = re.search(r'name="csrf" content="([0-9a-f]+)"', page.text)
        assert found is not None, page.text[:2000]
        return found.group(1)

    @property
    def secret(self) -> str | None:
        return self.client.cookies.get(self.cookie)


@contextmanager
def web(
    place: Path,
    terms: WebTerms | None = None,
    folder: FleetFolder | None = None,
    key: SigningKey | None = None,
) -> Iterator[Web]:
    """With a viewer and an operator. place: an empty folder. folder: a fleet's, None: of a fleet
    whose broker is not there. key: a command key."""
    with ExitStack() as stack:
        url = f"sqlite:///{place / 'registry.db'}"
        registry = stack.enter_context(closing(open_registry(url)))
        accounts = stack.enter_context(closing(open_accounts(url)))
        accounts.add(OPERATOR, PASSWORDS[OPERATOR], "operator")
        accounts.add(VIEWER, PASSWORDS[VIEWER], "viewer")
        crew = Crew()
        stack.callback(crew.close)
        folder = folder or FleetFolder(place, "yard", Broker("mqtt://127.0.0.1:9"))
        live = LiveView()
        actions = Actions(served(folder), key, live, accounts.audit)
        stack.callback(actions.close)
        book = stack.enter_context(closing(open_book(url)))
        parts = Parts(folder, registry, live, accounts, crew, actions, book, terms or WebTerms())
        gate = make_app(parts)
        port = stack.enter_context(_serving(gate))
        yield Web(gate, parts, f"http://{HERE}:{port}")


@contextmanager
def _serving(gate: Gate) -> Iterator[int]:
    """The port of a real server. Streams that are open at the end are cut."""
    taken = socket.create_server((HERE, 0))
    config = uvicorn.Config(
        gate, loop="asyncio", log_config=None, access_log=False, server_header=False,
        proxy_headers=False, ws="none", timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([taken],), name="web")
    thread.start()
    end_s = time.monotonic() + PATIENCE_S
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < end_s
        time.sleep(0.01)
    try:
        yield int(taken.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        taken.close()
