"""Reads a network camera's URI: `rtsp://USER:PASSWORD@HOST:PORT/PATH?QUERY#key=value&key=value`.

What follows `#` is for us and never sent: the query belongs to the camera.
"""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from runtime.cameras.options import Address, parse
from wire.masking import HIDDEN, masked, parted
from wire.troubles import Refused, Unavailable

PORTS = {
    "rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rows+mqtt": 1883, "rows+mqtts": 8883,
}  # fmt: skip
ENCRYPTED = ("rtsps", "https", "rows+mqtts")
TIMEOUT_S = 5.0
DEBIANS = "/etc/ssl/certs/ca-certificates.crt"
LONGEST = 4096  # bytes of a password, more than any camera takes
FILES = ("password_file", "ca_file")
KEYS = ("timeout", *FILES)
NO_MACHINE = (
    "names no machine: write {kind}://USER@HOST:PORT/PATH, %3A %2F %23 %40 for : / # @ in a name "
    "or password, and options at the end as #key=value&key=value"
)
NO_PORT = "has a port that is none: write one from 1 to 65535"


@dataclass(frozen=True)
class Target:
    """Where a network camera is. shown: its URI without secrets and options, for messages.

    path: what is asked for, percent-encoded, query included. timeout_s: the longest wait for an
    answer and the longest silence. address: the options.
    """

    scheme: str
    host: str
    port: int
    path: str
    user: str | None
    password: str | None
    timeout_s: float
    shown: str
    address: Address

    @property
    def authority(self) -> str:
        """HOST or HOST:PORT, as a request names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def bare(self) -> str:
        """The URI of a request: no name, no password."""
        return f"{self.scheme}://{self.authority}{self.path}"

    def login(self) -> tuple[str, str] | None:
        """Name and password, read anew. Raises Unavailable for a file without one."""
        if self.user is None:
            return None
        file = self.address.given.get("password_file")
        if file is None:
            return self.user, self.password or ""
        return self.user, _password(self.shown, file)

    def tls(self) -> ssl.SSLContext | None:
        """Who vouches for the camera, if it is spoken to in secret."""
        if self.scheme not in ENCRYPTED:
            return None
        ca_file = self.address.given.get("ca_file")
        # not create_default_context: from Python 3.13 on it refuses many home-made authorities
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if ca_file is None:
                context.load_default_certs()
            else:
                context.load_verify_locations(ca_file)
            return context
        except (OSError, ValueError) as error:  # of what is in it, or of its name
            why = getattr(error, "strerror", None) or "is no name of a file"
            told = f"{self.shown}: ca_file {ca_file}: {why}"
            raise Unavailable(f"{told}: a file with certificates in PEM is needed") from None

    def authorities(self) -> str | None:
        """The file of who vouches for the camera, for who cannot use tls()."""
        system = ssl.get_default_verify_paths().cafile
        files = (self.address.given.get("ca_file"), system, DEBIANS)
        return next((file for file in files if file and Path(file).is_file()), None)


def _password(shown: str, file: str) -> str:
    """The first line of the file. Raises Unavailable: that may be mended at any time."""
    line, mend = "", "write the password into it, as its first line"
    try:
        why = "is no file"  # a pipe may wait for ever
        if stat.S_ISREG(os.stat(file).st_mode):
            with open(file, "rb") as opened:
                line = opened.read(LONGEST).partition(b"\n")[0].decode("utf-8-sig").rstrip("\r")
            why = "is empty"
    except FileNotFoundError:
        why = "there is no such file"
    except UnicodeDecodeError:
        why = "is no text in UTF-8"
    except (OSError, ValueError) as error:
        why, mend = f"{getattr(error, 'strerror', error)}", "let this user read it"
    if not line:
        raise Unavailable(f"{shown}: password_file {file}: {why}: {mend}")
    return line


def read(uri: str, keys: Sequence[str]) -> Target:
    """Take a URI apart. keys: the options of this kind beside KEYS. Raises Refused, never with a
    password in it."""
    where, options = parted(uri)
    shown = masked(uri).removesuffix(options)
    fault = _fault(where)
    if fault is not None:  # what is wrong with a part of a password is not told
        told = NO_MACHINE if HIDDEN in shown else fault
        raise Refused(f"{shown}: {told.format(kind=uri.partition(':')[0])}")
    found = urlsplit(where)
    for key in FILES:
        if key in options_of(found.query):
            told = f"{key} stands behind ?, and what does is the camera's own"
            raise Refused(f"{shown}: {told}: write #{key}=PATH at the end")
    address = parse(shown + options, (*keys, *KEYS), mark="#")
    user = None if found.username is None else unquote(found.username)
    password = None if found.password is None else unquote(found.password)
    if "password_file" in address.given and (user is None or password is not None):
        raise Refused(f"{shown}: password_file needs a name and no password before it: USER@HOST")
    timeout_s = address.number("timeout", 1, 15)
    path = (found.path or "/") + (f"?{found.query}" if found.query else "")
    return Target(
        found.scheme, found.hostname or "", found.port or PORTS[found.scheme], path, user, password,
        TIMEOUT_S if timeout_s is None else timeout_s, shown, address,
    )  # fmt: skip


def _fault(where: str) -> str | None:
    """What is wrong with an address without its options; None: nothing."""
    if "#" in where:
        return NO_MACHINE
    if any(ord(one) <= 32 or ord(one) == 127 for one in where):
        return "has a blank in it, or a character that cannot be seen: write %20 for a blank"
    try:
        found = urlsplit(where)
        host = found.hostname
    except ValueError:  # its text may quote a password
        return "has a [ without its ]: write an address of IPv6 as [::1]"
    try:
        if found.port == 0:
            return NO_PORT
    except ValueError:
        return NO_PORT
    try:
        return None if host and host.encode("idna") else NO_MACHINE
    except UnicodeError:
        return NO_MACHINE


def options_of(query: str) -> set[str]:
    """The names of what a camera is asked for."""
    return {word.partition("=")[0] for word in query.split("&")}
