"""Sets up the fleet's broker: its authority, its certificate, its files, and who we are there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fleet.enrolment import broker_files, enrolling
from fleet.enrolment.authority import Authority, make_authority
from fleet.enrolment.book import Book
from fleet.enrolment.broker_files import Written
from fleet.enrolment.certificates import Told, belong_together, is_key, new_key, told_by
from fleet.enrolment.enrolling import SERVER, Wish, authority_of, write_proofs
from fleet.enrolment.files import PUBLIC, text_of, update, write_privately, writing
from fleet.enrolment.passwords import is_of
from fleet.folder import (
    PLACE,
    TOML,
    FleetFolder,
    Mosquitto,
    check_is_operators,
    open_fleet,
)
from wire.config import Broker, read
from wire.durable import make_folder_durably
from wire.mqtt.url import Address, address_of
from wire.toml_changes import Change, changed
from wire.troubles import Refused

HALF_OF_BROKERS_S = 365 * 24 * 3600.0
HALF_OF_NAMES_S = 5 * HALF_OF_BROKERS_S
LOCAL = "localhost"
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")


@dataclass(frozen=True)
class BrokerWish:
    """What `fleet broker` was told; what was not told stays as it is. As folder.Mosquitto.
    new_authority: although others were enrolled under one that is gone."""

    url: str | None = None
    hosts: tuple[str, ...] = ()
    place: str | None = None
    bind: str | None = None
    new_authority: bool = False


@dataclass(frozen=True)
class SetUp:
    """fleet: as it is now. made: what is new, in words. hosts: that the certificate is for, none
    without TLS. ends_s: until when the authority counts, Unix; None without one. locked_out: who
    was enrolled under another than the one that was made now."""

    fleet: FleetFolder
    written: Written
    made: tuple[str, ...]
    hosts: tuple[str, ...]
    ends_s: float | None
    locked_out: tuple[str, ...]


def set_up(path: Path, wish: BrokerWish, now_s: float) -> SetUp:
    """Make or renew everything; again: what is there and still good stays. A kill at any moment
    costs nothing: the same command goes on. Raises Refused, Unavailable."""
    check_is_operators(open_fleet(path))
    with writing(path):
        fleet = open_fleet(path)
        before = _texts(fleet)
        address = _address(fleet, wish)
        hosts = _hosts(fleet, wish, address)
        fleet = replace(
            fleet,
            broker=_broker_at(fleet, address),
            mosquitto=_mosquitto(fleet, wish),
        )
        made: list[str] = []
        book, authority = Book(fleet.path), authority_of(fleet)
        _check_authority(fleet, book, wish, address)
        locked_out: tuple[str, ...] = ()
        if address.encrypted:
            if authority is None:
                locked_out = _of_another(book)
                authority = make_authority(fleet.authority, fleet.name, now_s)
                made.append("the authority of the fleet")
            if _certify_broker(fleet, authority, hosts, now_s):
                made.append("the broker's certificate")
        if _identify(fleet, authority, book, now_s):
            made.append(f"the identity {SERVER} of this folder's commands")
        if _write_toml(fleet):
            made.append("fleet.toml")
        fleet = open_fleet(path)
        entries = book.entries()
        broker_files.write_lists(fleet, entries, authority)
        broker_files.write_configuration(fleet, entries)
        after = _texts(fleet)
        different = tuple(name for name, text in after.items() if before.get(name) != text)
    ends_s = None if authority is None else authority.ends_s
    is_for = hosts if address.encrypted else ()
    return SetUp(fleet, Written(different), tuple(made), is_for, ends_s, locked_out)


def _check_authority(fleet: FleetFolder, book: Book, wish: BrokerWish, address: Address) -> None:
    """Never a new authority by chance. Raises Refused, Unavailable."""
    if not wish.new_authority:
        if address.encrypted:
            enrolling.check_not_lost(fleet, book)
    elif not address.encrypted:
        raise Refused(f"--new-authority: {address} has no TLS, so nobody needs one")
    elif fleet.authority.exists():
        raise Refused(
            f"--new-authority: {fleet.authority} is there: move it away first; to go on with it, "
            "leave the option out"
        )


def _of_another(book: Book) -> tuple[str, ...]:
    """Who is enrolled by a certificate, but for our own commands, which get another at once."""
    known = (entry for entry in book.entries() if entry.belongs and entry.serial is not None)
    return tuple(entry.name for entry in known if entry.name != SERVER)


def _texts(fleet: FleetFolder) -> dict[str, str]:
    texts = {name: text_of(fleet.broker_files / name) for name in broker_files.all_names()}
    return {name: text for name, text in texts.items() if text is not None}


def _address(fleet: FleetFolder, wish: BrokerWish) -> Address:
    address = address_of(wish.url or fleet.broker.url)
    if wish.hosts and wish.url is None:
        address = replace(address, host=wish.hosts[0])
    if address.scheme not in ("mqtt", "mqtts"):
        raise Refused(
            f"{address}: this writes configurations for mqtt:// and mqtts:// only: name one by "
            "--url, or configure web sockets yourself: docs/broker.md"
        )
    return replace(address, host=_host(address.host))


def _hosts(fleet: FleetFolder, wish: BrokerWish, address: Address) -> tuple[str, ...]:
    told = wish.hosts or fleet.mosquitto.hosts
    return tuple(dict.fromkeys(_host(host) for host in (address.host, *told, LOCAL)))


def _host(host: str) -> str:
    """As a certificate has it. Raises Refused."""
    if not _is_host(host):
        raise Refused(f"--host {host!r}: no name and no address of a machine")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return len(host) <= 253 and all(_LABEL.match(label) for label in host.split("."))
    return "%" not in host  # of one machine's network card


def _mosquitto(fleet: FleetFolder, wish: BrokerWish) -> Mosquitto:
    old = fleet.mosquitto
    place = wish.place or old.place
    if not re.fullmatch(r"/[A-Za-z0-9._/-]*", place):
        raise Refused(f"--place {place!r}: a folder's whole path, from / on, without blanks")
    if wish.bind is not None and not _is_host(wish.bind):
        raise Refused(f"--bind {wish.bind!r}: no address")
    return Mosquitto(place, wish.hosts or old.hosts, wish.bind or old.bind)


def _broker_at(fleet: FleetFolder, address: Address) -> Broker:
    """How this folder's commands come to the broker."""
    access, keepalive_s = fleet.access, fleet.broker.keepalive_s
    if address.encrypted:
        proof = str(access / f"{SERVER}.pem")
        files = {"ca_file": str(access / "ca.pem"), "certificate_file": proof, "key_file": proof}
        return Broker(str(address), keepalive_s=keepalive_s, **files)
    password = str(access / f"{SERVER}.password")
    return Broker(str(address), SERVER, password, keepalive_s=keepalive_s)


def _certify_broker(
    fleet: FleetFolder, authority: Authority, hosts: Sequence[str], now_s: float
) -> bool:
    """Whether the broker got a new certificate. Its key stays: so the two always fit."""
    folder = fleet.broker_files
    make_folder_durably(folder)
    make_folder_durably(fleet.access)
    for place in (folder / broker_files.CA, fleet.access / "ca.pem"):
        update(place, authority.certificate_pem, PUBLIC)
    key = text_of(folder / broker_files.KEY)
    if key is None or not is_key(key):
        key = new_key()
        write_privately(folder / broker_files.KEY, key)
    certificate = text_of(folder / broker_files.CERTIFICATE) or ""
    if authority.certified(certificate) and belong_together(certificate, key):
        told = told_by(certificate)
        if set(told.hosts) == set(hosts) and _lasts(told, authority, HALF_OF_BROKERS_S, now_s):
            return False
    certificate = authority.certify_broker(key, hosts, now_s)
    write_privately(folder / broker_files.CERTIFICATE, certificate)
    return True


def _lasts(told: Told, authority: Authority, most_s: float, now_s: float) -> bool:
    """Whether a certificate counts for longer than that, or for as long as any of the authority."""
    return told.ends_s > now_s + most_s or authority.ends_s <= told.ends_s > now_s


def _identify(fleet: FleetFolder, authority: Authority | None, book: Book, now_s: float) -> bool:
    """Whether this folder's commands got new credentials at the broker."""
    wish = Wish("server", again=True)
    if _is_good(fleet, authority, book, now_s):
        return False
    enrolling.check(book, SERVER, wish)
    make_folder_durably(fleet.access)
    enrolling.enrol(fleet, book, SERVER, wish, lambda told: write_proofs(told, fleet.access), now_s)
    return True


def _is_good(fleet: FleetFolder, authority: Authority | None, book: Book, now_s: float) -> bool:
    entry = book.find(SERVER)
    if entry is None or not entry.belongs or entry.role != "server":
        return False
    if address_of(fleet.broker.url).encrypted:
        text = text_of(fleet.access / f"{SERVER}.pem")
        if text is None or authority is None or not authority.certified(text):
            return False
        told = told_by(text)
        is_ours = told.serial == entry.serial and belong_together(text, text)
        return is_ours and _lasts(told, authority, HALF_OF_NAMES_S, now_s)
    password = text_of(fleet.access / f"{SERVER}.password")
    hashed = entry.password_hash
    return password is not None and hashed is not None and is_of(password.strip(), hashed)


def _write_toml(fleet: FleetFolder) -> bool:
    """Whether fleet.toml says anything new; as it was it stays beside it. Paths inside the folder
    stay true when that moves."""
    path = fleet.path / TOML
    before = read(path)

    def inside(file: str | None) -> str | None:
        return None if file is None else str(Path(file).relative_to(fleet.path))

    broker, mosquitto = fleet.broker, fleet.mosquitto
    changes = [
        Change(("broker", "url"), broker.url),
        Change(("broker", "username"), broker.username),
        Change(("broker", "password_file"), inside(broker.password_file)),
        Change(("broker", "ca_file"), inside(broker.ca_file)),
        Change(("broker", "certificate_file"), inside(broker.certificate_file)),
        Change(("broker", "key_file"), inside(broker.key_file)),
        Change(("mosquitto", "hosts"), mosquitto.hosts or None),
        Change(("mosquitto", "bind"), mosquitto.bind),
        Change(("mosquitto", "place"), None if mosquitto.place == PLACE else mosquitto.place),
    ]
    after = changed(before, changes, str(path))
    if after != before:
        write_privately(path.with_name(f"{TOML}.before"), before)
    return update(path, after)
