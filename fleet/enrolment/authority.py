"""The fleet's own certificate authority: certificates of devices and of the broker, and which of
them count no more. X.509 with EC P-256."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.enrolment.certificates import (
    certificate_of,
    key_of,
    key_pem_of,
    loading,
    pem_of,
    serial_of,
    serial_text,
)
from fleet.enrolment.files import write_privately
from wire.troubles import Refused, Unavailable
from wire.version import RELEASED_S

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import (
        Certificate,
        CertificateBuilder,
        CertificateRevocationList,
        ExtensionType,
        GeneralName,
        Name,
        ObjectIdentifier,
    )

YEAR = timedelta(days=365)
AUTHORITY_LASTS, NAME_LASTS, BROKER_LASTS = 20 * YEAR, 10 * YEAR, 2 * YEAR
SOON_S = (2 * YEAR).total_seconds()  # time to enroll everybody again
EARLIER = timedelta(days=1)  # clocks of devices may be late
ORGANISATION = "Vedette fleet"
LARGEST = 64 * 1024  # bytes of a file
NEW_ONE = (
    "move keys/authority.pem out of the fleet's folder, run vedette fleet broker --new-authority, "
    "and enroll everybody --again"
)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, in PEM. serial: in hex."""

    certificate_pem: str
    key_pem: str
    serial: str


@dataclass(frozen=True)
class Authority:
    """Signs. Its private key is in memory."""

    certificate_pem: str
    _certificate: Certificate
    _key: EllipticCurvePrivateKey

    @property
    def ends_s(self) -> float:
        """Until when it, and all that it signed, counts: Unix."""
        return self._certificate.not_valid_after_utc.timestamp()

    def issue(self, name: str, now_s: float) -> Issued:
        """A new key and a certificate by which its owner is called `name` at the broker. Raises
        Refused if our time is over, Unavailable if the clock is far behind."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID

        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(name, key, NAME_LASTS, now_s)
        certificate = self._signed(builder, ExtendedKeyUsageOID.CLIENT_AUTH)
        return Issued(pem_of(certificate), key_pem_of(key), serial_of(certificate))

    def certify_broker(self, key_pem: str, hosts: Sequence[str], now_s: float) -> str:
        """A certificate (PEM) for the broker's key, good for these names and addresses. Raises
        Refused if our time is over, Unavailable if the clock is far behind."""
        from cryptography import x509
        from cryptography.x509.oid import ExtendedKeyUsageOID

        builder = self._builder(hosts[0][:64], key_of(key_pem), BROKER_LASTS, now_s)
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
        return pem_of(self._signed(builder, ExtendedKeyUsageOID.SERVER_AUTH))

    def certified(self, certificate_pem: str) -> bool:
        """Whether a certificate is of this authority."""
        from cryptography.exceptions import InvalidSignature

        try:
            certificate_of(certificate_pem).verify_directly_issued_by(self._certificate)
        except (InvalidSignature, ValueError, TypeError, Refused):
            return False
        return True

    def revocations(self, serials: Sequence[str], before_pem: str | None) -> str:
        """The list (PEM) of the certificates that count no more: it outlasts the authority, since
        brokers lock everybody out when a list has expired. Newer than the one before, and never of
        the future: of lists, the newest counts. before_pem itself, where it says the same.
        """
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.serialization import Encoding

        starts = self._certificate.not_valid_before_utc
        before = None if before_pem is None else self._list_of(before_pem)
        if before is not None and before_pem is not None:
            if {serial_text(one.serial_number) for one in before} == set(serials):
                return before_pem
            starts = before.last_update_utc + timedelta(seconds=1)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(starts)
            .next_update(self._certificate.not_valid_after_utc)
        )
        for serial in serials:
            one = x509.RevokedCertificateBuilder().serial_number(int(serial, 16))
            builder = builder.add_revoked_certificate(one.revocation_date(starts).build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    def _list_of(self, text: str) -> CertificateRevocationList | None:
        """The list in a file, if it is one of ours."""
        from cryptography import x509

        with contextlib.suppress(ValueError):
            found = x509.load_pem_x509_crl(text.encode())
            if found.is_signature_valid(self._key.public_key()):
                return found
        return None

    def _builder(
        self, name: str, key: EllipticCurvePrivateKey, lasts: timedelta, now_s: float
    ) -> CertificateBuilder:
        now = datetime.fromtimestamp(now_s, timezone.utc)
        ends = min(now + lasts, self._certificate.not_valid_after_utc)
        if now_s < RELEASED_S:
            raise _wrong_clock(now)
        if ends <= now:
            raise Refused(f"the fleet's authority counted until {ends:%Y-%m-%d}: {NEW_ONE}")
        return _builder(name, key, now - EARLIER, ends).issuer_name(self._certificate.subject)

    def _signed(self, builder: CertificateBuilder, use: ObjectIdentifier) -> Certificate:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes

        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(ours, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def make_authority(path: Path, fleet: str, now_s: float) -> Authority:
    """A new authority, in a file that only we may read: certificate and key, not encrypted.

    Raises OSError if it cannot be written, Unavailable if the clock is behind this version."""
    with loading():
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.fromtimestamp(now_s, timezone.utc)
    if now_s < RELEASED_S:
        raise _wrong_clock(now)
    builder = _builder(fleet, key, now - EARLIER, now + AUTHORITY_LASTS, ORGANISATION)
    certificate = (
        builder.issuer_name(_name(fleet, ORGANISATION))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_signs_certificates(), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_privately(path, pem_of(certificate) + key_pem_of(key))
    return Authority(pem_of(certificate), certificate, key)


def _wrong_clock(now: datetime) -> Unavailable:
    """What is signed by it would have expired by all others."""
    return Unavailable(f"this machine's clock says {now:%Y-%m-%d}: set it first: timedatectl")


def open_authority(path: Path) -> Authority:
    """Raises Unavailable if the fleet has none, Refused if the file is no such."""
    try:
        text = path.read_bytes()[:LARGEST].decode("ascii", "replace")
    except FileNotFoundError:
        raise Unavailable(
            f"{path}: the fleet has no authority yet: run vedette fleet broker, which makes it"
        ) from None
    except OSError as error:
        raise Unavailable(f"{path}: cannot be read: {error.strerror}") from None
    try:
        certificate, key = certificate_of(text), key_of(text)
    except Refused as refused:
        raise Refused(f"{path}: {refused}: restore it from a backup") from None
    return Authority(pem_of(certificate), certificate, key)


def warning_of_end(ends_s: float, now_s: float) -> str | None:
    """For people, where an authority is at its end soon: nobody comes to the broker after it."""
    if ends_s - now_s > SOON_S:
        return None
    day = datetime.fromtimestamp(ends_s, timezone.utc)
    says = f"the fleet's authority counts until {day:%Y-%m-%d}, and nobody after it"
    return f"warning: {says}: {NEW_ONE}"


def _builder(
    name: str,
    key: EllipticCurvePrivateKey,
    starts: datetime,
    ends: datetime,
    organisation: str | None = None,
) -> CertificateBuilder:
    from cryptography import x509

    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name, organisation))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(name: str, organisation: str | None) -> Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    words = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if organisation is not None:
        words.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(words)


def _signs_certificates() -> ExtensionType:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _host(host: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
