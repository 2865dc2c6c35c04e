"""A certificate authority for tests: makes certificates of every kind that a device may meet."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LONG = timedelta(days=3650)


@dataclass(frozen=True)
class Certified:
    """Two PEM files that belong together."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates into a folder. `file` is its own certificate, in PEM form."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        now = datetime.now(timezone.utc)
        builder = _builder(self._name, self._name, self._key, now - LONG, now + LONG)
        own = builder.add_extension(x509.BasicConstraints(True, None), True).sign(
            self._key, hashes.SHA256()
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        host: str,
        *,
        starts: timedelta = timedelta(days=-1),
        ends: timedelta = timedelta(days=30),
    ) -> Certified:
        """A certificate for a host, name or address, valid from `starts` to `ends` from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(timezone.utc)
        builder = _builder(_name(host), self._name, key, now + starts, now + ends)
        signed = builder.add_extension(
            x509.SubjectAlternativeName([_alternative(host)]), False
        ).sign(self._key, hashes.SHA256())
        stem = f"{host}{starts.days}{ends.days}".replace(":", "-")
        made = Certified(self._folder / f"{stem}.crt", self._folder / f"{stem}.key")
        made.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        made.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return made


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    starts: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(ends)
    )
