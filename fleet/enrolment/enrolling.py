"""Enrols names: makes what they prove themselves with, hands it out, and notes it in the book."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fleet.enrolment.authority import Authority, open_authority
from fleet.enrolment.book import Book, Entry
from fleet.enrolment.broker_files import CA, FOR_PASSWORDS
from fleet.enrolment.files import PRIVATE, PUBLIC, text_of, write_privately
from fleet.enrolment.passwords import hash_of, new_password
from fleet.folder import FleetFolder
from wire.config import read
from wire.durable import make_folder_durably
from wire.enrolment import SUFFIX, Enrolment, Role, to_file
from wire.mqtt.url import Address, address_of
from wire.signing import load_key
from wire.troubles import Refused, Unavailable

Proof = Literal["certificate", "password"]
MOST_NAMED = 8  # in one sentence
SERVER = "server"  # what the commands of the fleet's folder are called at the broker
_CERTIFICATES = re.compile(
    r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----"
)

Give = Callable[[Enrolment], tuple[Path, ...]]


@dataclass(frozen=True)
class Wish:
    """What kind of enrolment. proof None: a certificate where the broker's address is mqtts://,
    else a password. again: take the place of one that counts."""

    role: Role = "device"
    groups: tuple[str, ...] = ()
    proof: Proof | None = None
    acknowledged_by: Literal["broker", "registry"] = "broker"
    snapshot: bool = False
    again: bool = False


@dataclass(frozen=True)
class Enrolled:
    """files: what was written for it. replaced: whether the name was at the broker before."""

    name: str
    proof: Proof
    files: tuple[Path, ...]
    replaced: bool


def authority_of(fleet: FleetFolder) -> Authority | None:
    """The fleet's authority, None if it has none. Raises Refused."""
    return open_authority(fleet.authority) if fleet.authority.exists() else None


def check_not_lost(fleet: FleetFolder, book: Book) -> None:
    """Raises Unavailable where the fleet had an authority whose file is gone: a new one would lock
    out all who were enrolled under it."""
    if fleet.authority.exists():
        return
    entries = book.entries()
    names = [entry.name for entry in entries if entry.belongs and entry.serial is not None]
    was_there = not entries and (fleet.broker_files / CA).exists()  # the book is gone, too
    if not names and not was_there:
        return
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    who = ", ".join(names[:MOST_NAMED]) + more or "nobody knows any more who"
    raise Unavailable(
        f"{fleet.authority} is gone, and enrolled under it: {who}: restore it from the backup; "
        "else vedette fleet broker --new-authority, which locks them out until each is enrolled "
        "--again"
    )


def proof_of(fleet: FleetFolder, wish: Wish) -> Proof:
    """Raises Refused where the broker could not take it, Unavailable without an authority."""
    address = address_of(fleet.broker.url)
    proof = wish.proof or ("certificate" if address.scheme == "mqtts" else "password")
    if proof == "certificate":
        if not address.encrypted:
            raise Refused(
                f"--certificate: the broker's address is {fleet.broker.url}, without TLS: run "
                "vedette fleet broker --url mqtts://HOST, or use --password"
            )
        check_not_lost(fleet, Book(fleet.path))
        open_authority(fleet.authority)
    return proof


def check(book: Book, name: str, wish: Wish) -> None:
    """Raises Refused if the name counts already, and is not to be replaced."""
    if name == SERVER and wish.role != "server":
        raise Refused(f"{name}: so are the commands of this folder called: take another name")
    entry = book.find(name)
    if entry is None:
        return
    if entry.belongs and not wish.again:
        raise Refused(
            f"{name} is enrolled already, as {entry.role}: --again makes new credentials, and "
            "ends those of before"
        )
    if entry.belongs and entry.role != wish.role:
        raise Refused(f"{name} is enrolled as {entry.role}: revoke it first, or say --as")


def enrol(
    fleet: FleetFolder, book: Book, name: str, wish: Wish, give: Give, now_s: float
) -> Enrolled:
    """Enrol one name. give: writes it down for who is to have it, for good. A kill at any moment
    leaves the name as it was, or enrolled; a certificate that nobody got is refused from then on.

    Raises Refused, Unavailable, OSError.
    """
    proof = proof_of(fleet, wish)
    entry = Entry(name, wish.role, wish.groups, enrolled_s=int(now_s))
    before = book.find(name)
    certificate = key = password = None
    if proof == "certificate":
        issued = open_authority(fleet.authority).issue(name, now_s)
        certificate, key = issued.certificate_pem, issued.key_pem
        entry = Entry(name, wish.role, wish.groups, issued.serial, enrolled_s=int(now_s))
        book.begin(name, wish.role, issued.serial)
    else:
        password = new_password()
        entry = Entry(
            name, wish.role, wish.groups, password_hash=hash_of(password), enrolled_s=int(now_s)
        )
    enrolment = Enrolment(
        role=wish.role,
        fleet=fleet.name,
        device=name,
        groups=wish.groups,
        url=url_for(fleet, proof),
        username=None if password is None else name,
        password=password,
        ca_pem=_ca_of(fleet),
        certificate_pem=certificate,
        key_pem=key,
        root=_root_of(fleet) if wish.role == "device" else None,
        command_keys=_command_keys_of(fleet) if wish.role == "device" else (),
        acknowledged_by=wish.acknowledged_by,
        snapshot=wish.snapshot,
    )
    files = give(enrolment)
    book.finish(entry)
    was_there = before is not None and (before.belongs or bool(before.gone))
    return Enrolled(name, proof, files, was_there)


def hand_out(enrolment: Enrolment, out: Path) -> tuple[Path, ...]:
    """Write NAME.vedette. Into a folder: for a person also what other programs take, PEM and
    password. Raises OSError."""
    name = enrolment.device
    file = out / f"{name}{SUFFIX}" if out.is_dir() else out
    files = [file]
    if out.is_dir() and enrolment.role != "device":
        files = [*write_proofs(enrolment, out), file]
    write_privately(file, to_file(enrolment).decode())
    return tuple(files)


def write_proofs(enrolment: Enrolment, folder: Path) -> tuple[Path, ...]:
    """ca.pem, NAME.pem (certificate and key) and NAME.password, as far as there are such."""
    texts = {"ca.pem": enrolment.ca_pem}
    if enrolment.certificate_pem is not None and enrolment.key_pem is not None:
        texts[f"{enrolment.device}.pem"] = enrolment.certificate_pem + enrolment.key_pem
    if enrolment.password is not None:
        texts[f"{enrolment.device}.password"] = f"{enrolment.password}\n"
    make_folder_durably(folder)
    written = []
    for name, text in texts.items():
        if text is not None:
            write_privately(folder / name, text, PUBLIC if name == "ca.pem" else PRIVATE)
            written.append(folder / name)
    return tuple(written)


def url_for(fleet: FleetFolder, proof: Proof) -> str:
    """Where a name comes to the broker: passwords have a port of their own where the fleet's own
    authority is asked for certificates."""
    address = address_of(fleet.broker.url)
    if proof == "password" and address.scheme == "mqtts" and fleet.authority.exists():
        port = address.port + FOR_PASSWORDS
        return str(Address(address.scheme, address.host, port, address.path))
    return fleet.broker.url


def _ca_of(fleet: FleetFolder) -> str | None:
    if not address_of(fleet.broker.url).encrypted or fleet.broker.ca_file is None:
        return None
    text = text_of(Path(fleet.broker.ca_file))
    found = [] if text is None else _CERTIFICATES.findall(text)
    if not found:
        raise Unavailable(f"{fleet.broker.ca_file}: is not there, or holds no certificate in PEM")
    return "".join(f"{one}\n" for one in found)


def _root_of(fleet: FleetFolder) -> str:
    return read(fleet.root)


def _command_keys_of(fleet: FleetFolder) -> tuple[str, ...]:
    return (load_key(fleet.command_key).public,) if fleet.command_key.exists() else ()
