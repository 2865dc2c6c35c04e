"""What belongs to the broker's machine, in FLEET/broker: mosquitto's configuration and lists."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.enrolment.authority import Authority
from fleet.enrolment.book import Entry
from fleet.enrolment.certificates import listed
from fleet.enrolment.files import PRIVATE, PUBLIC, text_of, update
from fleet.enrolment.rules import rules
from fleet.folder import FleetFolder
from wire.durable import make_folder_durably
from wire.mqtt.url import Address, address_of
from wire.troubles import Unavailable

CONF, ACL, PASSWORDS, REVOKED = "vedette.conf", "acl", "passwd", "crl.pem"
CA, CERTIFICATE, KEY = "ca.pem", "server.pem", "server.key"
LISTS = (ACL, PASSWORDS, REVOKED)
MOST_PACKET = 131_072  # bytes: of a snapshot, its topic, and room to grow
FOR_PASSWORDS = 1  # so much higher is the port for those without a certificate

HEAD = """\
# Written by vedette fleet broker, for mosquitto 2.0 or newer: into its folder conf.d.
allow_anonymous false
acl_file {place}/{ACL}
"""
TLS = """\
tls_version tlsv1.2
certfile {place}/{CERTIFICATE}
keyfile {place}/{KEY}
"""
CLIENTS = """\
cafile {place}/{CA}
crlfile {place}/{REVOKED}
require_certificate true
use_identity_as_username true
"""


@dataclass(frozen=True)
class Written:
    """changed: the names of the files in FLEET/broker that say something new."""

    changed: tuple[str, ...]

    @property
    def needs_restart(self) -> bool:
        """A reload opens no other listener."""
        return bool({CONF, CA} & set(self.changed))


def write_lists(
    fleet: FleetFolder, entries: Sequence[Entry], authority: Authority | None
) -> Written:
    """Rules, passwords and revocations, by the book. Also the configuration, where it is there:
    who gets the first password needs a listener. Raises OSError, Unavailable."""
    folder = fleet.broker_files
    make_folder_durably(folder)
    wanted = {ACL: rules(fleet.name, entries), PASSWORDS: passwords(entries)}
    if authority is not None:
        before = text_of(folder / REVOKED)
        gone = sorted({serial for entry in entries for serial in entry.gone})
        wanted[REVOKED] = authority.revocations(gone, before)
    if (folder / CONF).exists():
        wanted[CONF] = configuration(fleet, entries)
    return Written(tuple(name for name, text in wanted.items() if _update(folder / name, text)))


def still_let_in(
    fleet: FleetFolder, entries: Sequence[Entry], authority: Authority | None
) -> tuple[str, ...]:
    """Names whose certificates ended, and which the broker lets in all the same: without the
    authority nobody can sign the list of them. Their rules forbid them everything."""
    if authority is not None:
        return ()
    known = listed(text_of(fleet.broker_files / REVOKED) or "")
    return tuple(entry.name for entry in entries if not known.issuperset(entry.gone))


def write_configuration(fleet: FleetFolder, entries: Sequence[Entry]) -> Written:
    """vedette.conf. Raises OSError, Unavailable."""
    make_folder_durably(fleet.broker_files)
    is_new = _update(fleet.broker_files / CONF, configuration(fleet, entries))
    return Written((CONF,) if is_new else ())


def configuration(fleet: FleetFolder, entries: Sequence[Entry]) -> str:
    """The text of vedette.conf: for mqtts:// a listener that asks for certificates, and one for
    passwords where somebody has one; for mqtt:// one for passwords."""
    place = fleet.mosquitto.place
    names = {"ACL": ACL, "CERTIFICATE": CERTIFICATE, "KEY": KEY, "CA": CA, "REVOKED": REVOKED}
    address = address_of(fleet.broker.url)
    text = HEAD.format(place=place, **names)
    has_passwords = any(entry.belongs and entry.password_hash for entry in entries)
    if has_passwords or not address.encrypted:
        text += f"password_file {place}/{PASSWORDS}\n"
    text += f"max_packet_size {MOST_PACKET}\n\n"
    bind = "" if fleet.mosquitto.bind is None else f" {fleet.mosquitto.bind}"
    if not address.encrypted:
        return text + f"listener {address.port}{bind}\n"
    tls = TLS.format(place=place, **names)
    text += f"listener {address.port}{bind}\n{tls}{CLIENTS.format(place=place, **names)}"
    if has_passwords:
        text += "\n# for those who have a password and no certificate\n"
        text += f"listener {address.port + FOR_PASSWORDS}{bind}\n{tls}"
    return text


def passwords(entries: Sequence[Entry]) -> str:
    """The text of a password_file."""
    lines = [
        f"{entry.name}:{entry.password_hash}\n"
        for entry in entries
        if entry.belongs and entry.password_hash is not None
    ]
    return "".join(sorted(lines))


def copy_lists(fleet: FleetFolder, target: Path) -> tuple[Path, ...]:
    """Rules, passwords and revocations into another folder too. Root leaves them to the broker:
    to whom they belong there, or the folder. Those that changed. Raises OSError, Unavailable."""
    if not target.is_dir():
        raise Unavailable(f"{target}: no folder: sudo install -d -m 750 -g mosquitto {target}")
    changed = []
    for name in LISTS:
        text = text_of(fleet.broker_files / name)
        if text is None:
            continue
        if update(target / name, text, 0o640):
            changed.append(target / name)
    return tuple(changed)


def steps(fleet: FleetFolder, names: Sequence[str], verb: str) -> list[str]:
    """The commands that bring files of FLEET/broker to the broker's machine, good wherever one
    stands, and leaving one there. verb: of systemctl."""
    address: Address = address_of(fleet.broker.url)
    folder, place = fleet.broker_files, fleet.mosquitto.place
    is_here = address.host in ("localhost", "127.0.0.1", "::1")
    there = [name for name in names if name != CONF and (folder / name).exists()]

    def path(name: str) -> str:
        return shlex.quote(str(folder / name if is_here else Path(folder.name) / name))

    place = shlex.quote(place)
    lines = [f"sudo install -d -m 750 -g mosquitto {place}"]
    files = " ".join(map(path, there))
    lines.append(f"sudo install -m 640 -o mosquitto -g mosquitto {files} {place}")
    if CONF in names:
        lines.append(f"sudo install -m 644 {path(CONF)} /etc/mosquitto/conf.d/{CONF}")
    lines.append(f"sudo systemctl {verb} mosquitto")
    if is_here:
        return lines
    host = f"[{address.host}]" if ":" in address.host else address.host
    copied = f"scp -r {shlex.quote(str(folder))} {host}:"
    return [copied, f"ssh {address.host}", *lines, "exit"]


def all_names() -> tuple[str, ...]:
    """Of the files in FLEET/broker."""
    return (ACL, PASSWORDS, CA, REVOKED, CERTIFICATE, KEY, CONF)


def _update(path: Path, text: str) -> bool:
    return update(path, text, PUBLIC if path.name in (CONF, CA) else PRIVATE)
