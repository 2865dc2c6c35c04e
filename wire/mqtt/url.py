"""Where the broker is: mqtt://, mqtts://, ws:// or wss://HOST[:PORT][/PATH], taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from wire.complaints import shortened
from wire.troubles import Refused

PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
HINT = "write mqtt://HOST, mqtts://HOST, ws://HOST/PATH or wss://HOST/PATH, :PORT after the host"


@dataclass(frozen=True)
class Address:
    """scheme: as in PORTS. path: of the web socket, None without one."""

    scheme: str
    host: str
    port: int
    path: str | None

    @property
    def encrypted(self) -> bool:
        return self.scheme in ("mqtts", "wss")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path or ''}"


def address_of(url: str) -> Address:
    """Take a broker's url apart. Raises Refused with what to write."""
    before, at, after = url.rpartition("@")
    if at:  # first, because other complaints repeat the url, and this may hold a password
        scheme = before.partition("://")[0] if "://" in before else ""
        shown = shortened(repr(f"{scheme}://...@{after}"))
        raise Refused(
            f"the broker's URL {shown} holds a user name: name user and password file beside it"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError as error:  # a port that is no number or too large, a host that is none
        raise _refusal(url, str(error)) from None
    if parts.scheme not in PORTS and "://" not in url:
        raise _refusal(url, "mqtt:// is missing in front")
    if parts.scheme not in PORTS:
        raise _refusal(url, f"{parts.scheme or 'no'}:// is not known")
    if not host or port == 0 or not url.isprintable() or " " in url:
        raise _refusal(url, "the host or the port is missing or cannot be")
    if parts.query or parts.fragment:
        raise _refusal(url, "what follows '?' or '#' has no meaning here")
    path = parts.path if parts.path not in ("", "/") else None
    if parts.scheme in ("ws", "wss"):
        path = path or "/mqtt"
    elif path is not None:
        raise _refusal(url, "only ws:// and wss:// have a path")
    return Address(parts.scheme, host, port or PORTS[parts.scheme], path)


def _refusal(url: str, why: str) -> Refused:
    return Refused(f"the broker's URL {shortened(repr(url))}: {shortened(why)}: {HINT}")
