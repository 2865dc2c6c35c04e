"""NAME.vedette: one file with all that a device, or a person, needs to be part of a fleet."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from wire.complaints import KEY_PATTERN, shortened
from wire.mqtt.url import address_of
from wire.names import Name
from wire.signing import is_weak
from wire.troubles import Refused, Unavailable
from wire.unreadable import UNREADABLE

SUFFIX = ".vedette"
LARGEST = 256 * 1024  # bytes
LARGEST_ROOT = 64 * 1024  # characters, as devices take it
MAKE_ONE = "make one with vedette fleet enroll NAME"
CERTIFICATE, KEY = "CERTIFICATE", "PRIVATE KEY"

# device: says and hears what is its own. operator: watches, commands, pushes models. server: is
# depot and registry in one. depot, registry: one of these alone. simulator: speaks as any device,
# to try a fleet out.
Role = Literal["device", "operator", "server", "depot", "registry", "simulator"]
ROLES: tuple[Role, ...] = ("device", "operator", "server", "depot", "registry", "simulator")

Secret = Annotated[str, Meta(min_length=1, max_length=1000)]
Pem = Annotated[str, Meta(min_length=1, max_length=32 * 1024)]
PublicKey = Annotated[str, Meta(pattern=KEY_PATTERN)]

_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----\n([A-Za-z0-9+/=\n]+)-----END \1-----\n?")


class Enrolment(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The content of the file. form: of this file, grows when it changes.

    url: of the broker. Either username and password, or certificate_pem and key_pem, or nothing
    where the broker takes everybody. ca_pem: whose word counts for the broker, None: the usual
    authorities. root: the fleet's first root metadata, as it is signed. command_keys: public.
    """

    form: Literal[1] = 1
    role: Role = "device"
    fleet: Name
    device: Name
    groups: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    url: Annotated[str, Meta(min_length=1, max_length=1000)]
    username: Secret | None = None
    password: Secret | None = None
    ca_pem: Pem | None = None
    certificate_pem: Pem | None = None
    key_pem: Pem | None = None
    root: Annotated[str, Meta(min_length=2, max_length=LARGEST_ROOT)] | None = None
    command_keys: Annotated[tuple[PublicKey, ...], Meta(max_length=16)] = ()
    acknowledged_by: Literal["broker", "registry"] = "broker"
    snapshot: bool = False


def to_file(enrolment: Enrolment) -> bytes:
    """The content of the file: JSON that a person can read."""
    return msgspec.json.format(msgspec.json.encode(enrolment), indent=2) + b"\n"


def read(path: Path) -> Enrolment:
    """Raises Unavailable if it cannot be read, Refused if it is no such file."""
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise Unavailable(f"{path}: cannot be read: {error.strerror}") from None
    return parse(content, str(path))


def parse(content: bytes, where: str) -> Enrolment:
    """Take the file apart. where: its name, for people. Raises Refused with what to do."""
    if len(content) > LARGEST:
        raise _refusal(where, f"larger than {LARGEST // 1024} KiB, so it is no such file")
    try:
        json.loads(content, object_pairs_hook=_no_key_twice)
        enrolment = msgspec.json.decode(content, type=Enrolment)
    except msgspec.ValidationError as error:
        raise _refusal(where, shortened(str(error))) from None
    except _Twice as twice:
        raise _refusal(where, f"{shortened(str(twice))} is there twice") from None
    except (*UNREADABLE, ValueError):
        raise _refusal(where, "not JSON, or cut off") from None
    _check(enrolment, where)
    return enrolment


def _check(enrolment: Enrolment, where: str) -> None:
    try:
        address = address_of(enrolment.url)
    except Refused as refused:
        raise _refusal(where, str(refused)) from None
    _check_pem(enrolment.ca_pem, "ca_pem", CERTIFICATE, where)
    _check_pem(enrolment.certificate_pem, "certificate_pem", CERTIFICATE, where)
    _check_pem(enrolment.key_pem, "key_pem", KEY, where)
    for name, text in (("username", enrolment.username), ("password", enrolment.password)):
        if text is not None and not text.isprintable():
            raise _refusal(where, f"{name} holds a character that cannot be shown")
    if (enrolment.certificate_pem is None) != (enrolment.key_pem is None):
        raise _refusal(where, "certificate_pem and key_pem are only of use together")
    if (enrolment.username is None) != (enrolment.password is None):
        raise _refusal(where, "username and password are only of use together")
    if not address.encrypted and (enrolment.ca_pem or enrolment.certificate_pem):
        raise _refusal(where, f"certificates, but {address.scheme}:// uses none")
    if any(is_weak(bytes.fromhex(key)) for key in enrolment.command_keys):
        raise _refusal(where, "a command key for which anybody can sign")
    if len(set(enrolment.command_keys)) < len(enrolment.command_keys):
        raise _refusal(where, "a command key is there twice")
    if enrolment.root is not None:
        _check_root(enrolment.root, where)


def _check_pem(text: str | None, name: str, kind: str, where: str) -> None:
    """Blocks of that kind and nothing else: what a parser of certificates makes of them comes
    later, where there is one."""
    if text is None:
        return
    at = 0
    while at < len(text):
        found = _BLOCK.match(text, at)
        if found is None or not found[1].endswith(kind) or not _is_der(found[2]):
            raise _refusal(where, f"{name} is no {kind.lower()} in PEM form")
        at = found.end()


def _is_der(text: str) -> bool:
    try:
        return base64.b64decode(text.replace("\n", ""), validate=True)[:1] == b"\x30"
    except binascii.Error:
        return False


def _check_root(text: str, where: str) -> None:
    """Only its form: whether it is believed, and signed, is for those who use it."""
    try:
        tables = json.loads(text)
    except (ValueError, RecursionError):
        tables = None
    is_root = (
        isinstance(tables, dict)
        and isinstance(tables.get("signed"), dict)
        and tables["signed"].get("_type") == "root"
    )
    if not is_root:
        raise _refusal(where, "root is no root metadata")


class _Twice(Exception):
    """A key that is there twice: two readers could see two files."""


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise _Twice(next(name for name in counts if counts[name] > 1))
    return found


def _refusal(where: str, why: str) -> Refused:
    return Refused(f"{where}: {why}: {MAKE_ONE}")
