"""Certificates and keys as PEM: what they say, and whether they belong together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wire.troubles import Refused, Unavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate


@dataclass(frozen=True)
class Told:
    """What a certificate says. hosts: names and addresses. times: Unix."""

    name: str
    serial: str
    hosts: tuple[str, ...]
    starts_s: float
    ends_s: float


def new_key() -> str:
    """A private key, in PEM."""
    with loading():
        from cryptography.hazmat.primitives.asymmetric import ec
    return key_pem_of(ec.generate_private_key(ec.SECP256R1()))


def told_by(certificate_pem: str) -> Told:
    """What a certificate says. Raises Refused if it is none."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    one = certificate_of(certificate_pem)
    hosts: list[str] = []
    with contextlib.suppress(x509.ExtensionNotFound):
        found = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts += found.get_values_for_type(x509.DNSName)
        hosts += [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    names = one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Told(
        str(names[0].value) if names else "",
        serial_of(one),
        tuple(hosts),
        one.not_valid_before_utc.timestamp(),
        one.not_valid_after_utc.timestamp(),
    )


def belong_together(certificate_pem: str, key_pem: str) -> bool:
    """Whether a certificate is of this key."""
    try:
        return certificate_of(certificate_pem).public_key() == key_of(key_pem).public_key()
    except Refused:
        return False


def is_key(text: str) -> bool:
    """Whether a PEM text holds a private key of ours."""
    try:
        key_of(text)
    except Refused:
        return False
    return True


def certificate_of(text: str) -> Certificate:
    """The first certificate of a PEM text. Raises Refused."""
    with loading():
        from cryptography import x509
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError:
        raise Refused("no certificate in PEM form") from None


def key_of(text: str) -> EllipticCurvePrivateKey:
    """The private key of a PEM text, which may hold certificates too. Raises Refused."""
    with loading():
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    begin = text.find("-----BEGIN PRIVATE KEY-----")
    try:
        key = load_pem_private_key(text[max(begin, 0) :].encode(), None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey):
        raise Refused("no private key in PEM form")
    return key


def listed(revocations_pem: str) -> frozenset[str]:
    """The serials on a list of those that count no more, whoever signed it; none where it is no
    list."""
    with loading():
        from cryptography import x509
    try:
        found = x509.load_pem_x509_crl(revocations_pem.encode())
    except ValueError:
        return frozenset()
    return frozenset(serial_text(one.serial_number) for one in found)


def pem_of(certificate: Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def key_pem_of(key: EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def serial_of(certificate: Certificate) -> str:
    return serial_text(certificate.serial_number)


def serial_text(serial: int) -> str:
    return f"{serial:040x}"


@contextlib.contextmanager
def loading() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise Unavailable(f"cannot load cryptography: {error}: pip install vedette") from None
