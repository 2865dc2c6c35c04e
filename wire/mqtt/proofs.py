"""What proves to each other who device and broker are: password and certificates, from files.

They are read anew for every attempt to connect: a secret that was rotated works without a restart.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from wire.config import Broker
from wire.mqtt.url import Address
from wire.troubles import Refused, Unavailable

LARGEST = 65_535  # bytes: the longest password that MQTT can carry
# said so, because some name them in vedette.toml and some by options of a command
PASSWORD, CA = "the password file", "the CA file"
CERTIFICATE, KEY = "the certificate file", "the key file"


@dataclass(frozen=True)
class Proofs:
    """tls: None on a connection that is not encrypted."""

    username: str | None
    password: str | None
    tls: ssl.SSLContext | None


def check(broker: Broker, address: Address) -> None:
    """Whether the files fit together. Raises Refused, naming the file. Reads none."""
    files = ((CA, broker.ca_file), (CERTIFICATE, broker.certificate_file), (KEY, broker.key_file))
    for what, path in files:
        if path and not address.encrypted:
            raise Refused(
                f"{what} {path} would not be used, because {address.scheme}:// is not encrypted: "
                f"write {'wss' if address.path else 'mqtts'}:// in the broker's URL, or do without"
            )
    if broker.key_file and not broker.certificate_file:
        raise Refused(f"{KEY} {broker.key_file} has no certificate file: name that too")


def proofs_of(broker: Broker, address: Address, client_id: str) -> Proofs:
    """Read what the config names. Raises Refused and Unavailable, naming the file."""
    password = _password(broker.password_file) if broker.password_file else None
    username = broker.username or (client_id if password is not None else None)
    return Proofs(username, password, _context(broker) if address.encrypted else None)


def _password(path: str) -> str:
    try:
        password = _content(PASSWORD, path).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise Refused(f"{PASSWORD} {path}: not UTF-8 text") from None
    if not password or len(password.encode()) > LARGEST:
        raise Refused(f"{PASSWORD} {path}: empty or too long: one line, the password")
    return password


def _context(broker: Broker) -> ssl.SSLContext:
    # not create_default_context: from Python 3.13 on it refuses many home-made authorities
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if broker.ca_file is None:
        context.load_default_certs()
    else:
        _trust(context, broker.ca_file)
    if broker.certificate_file is not None:
        _show(context, broker.certificate_file, broker.key_file)
    return context


def _trust(context: ssl.SSLContext, path: str) -> None:
    content = _content(CA, path)
    try:
        context.load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError):
        raise Refused(f"{CA} {path}: holds no certificate in PEM form") from None


def _show(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    content = _content(CERTIFICATE, certificate)
    if key is not None:
        _content(KEY, key)
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise Refused(f"{CERTIFICATE} {certificate}: holds no certificate in PEM form")
    try:
        context.load_cert_chain(certificate, key, password="")  # never ask on a terminal
    except ssl.SSLError as error:
        named = f"{KEY} {key}" if key else f"{CERTIFICATE} {certificate}"
        if "MISMATCH" in (error.reason or ""):
            why = "the key is not the certificate's key: name the two that belong together"
        else:
            why = "holds no private key in PEM form, or one with a passphrase: write it without"
        raise Refused(f"{named}: {why}") from None


def _content(what: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise Unavailable(
            f"{what} {path} cannot be read: {error.strerror}: "
            "check that it is there and that this user may read it"
        ) from None
