"""The release keys that sign, and what is written down while signatures are missing."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable
from pathlib import Path

from fleet.folder import FleetFolder
from fleet.offering.files import OfferFile
from fleet.passphrase import Passphrases, add_passphrase_option
from fleet.roles import roles
from fleet.roles.roles import Lacking
from wire.durable import make_folder_durably, write_durably
from wire.signing import SigningKey
from wire.troubles import Refused, Unavailable

PENDING = "pending"  # in the fleet's folder
KEY_DIGITS = 12  # of a key, where people read it


def add_key_options(parser: argparse.ArgumentParser) -> None:
    """--key, --passphrase-file"""
    keys = parser.add_argument_group("signing")
    keys.add_argument(
        "--key", type=Path, nargs="+", action="extend", default=[], metavar="FILE",
        help="release keys (default: keys/release-*.pem in the fleet's folder)",
    )  # fmt: skip
    add_passphrase_option(parser)


def release_keys(words: argparse.Namespace, folder: FleetFolder, root: bytes) -> list[SigningKey]:
    """As many release keys as must sign, or all that there are. root: says which count.

    Raises Refused: none is there, one is not a release key, a wrong passphrase. Unavailable.
    """
    role = roles.role_of(root, "targets")
    phrases = Passphrases(words.passphrase_file)
    named: list[Path] = words.key
    files = named or list(reversed(folder.key_files("release")))
    found: dict[str, SigningKey] = {}
    for file in files:
        key = phrases.load(file)
        if key.public in role.keys:
            found[key.public] = key
        elif named:
            raise Refused(f"{file}: is not a release key of this fleet, or not any more")
        if len(found) >= role.threshold:
            break
    if not found:
        why = "none of them is a release key now" if files else "there is none"
        raise Refused(
            f"{folder.keys}/release-*.pem: {why}: name one by --key FILE, or hand the bundle over "
            "unsigned by vedette fleet push --candidate"
        )
    return list(found.values())


def missing_words(lack: Lacking) -> str:
    """Whose signatures are missing, to people."""
    keys = ", ".join(key[:KEY_DIGITS] for key in lack.keys)
    return f"{lack.count} more of the release keys must sign: {keys}"


def ask_words(lack: Lacking, path: Path, folder: FleetFolder) -> str:
    """Whose signatures are missing, what they need for that, and what they do. path: what they are
    to sign."""
    place = folder.path
    needed = f"{place / 'fleet.toml'}, {folder.root} and all of {path.parent}"
    return (
        f"{missing_words(lack)}: send {needed} to who has one: with these in a folder D, as they "
        "lie here, the key in D/keys, and the broker in reach: vedette fleet sign "
        f"D/{PENDING}/{path.name} --dir D --key D/keys/FILE"
    )


def keep_pending(
    folder: FleetFolder, targets: bytes, files: Iterable[OfferFile], path: Path | None = None
) -> Path:
    """Write down release metadata that lacks signatures, and beside it the files that it names
    and the depot lacks. path: where it lay before. Where it lies. Raises Unavailable."""
    path = path or folder.path / PENDING / f"{roles.version_of(targets)}.targets.json"
    place = path.parent
    try:
        make_folder_durably(place)
        for file in files:
            target = place / file.path.rpartition("/")[2]
            if isinstance(file.source, bytes):
                write_durably(target, file.source)
            elif file.source != target:
                shutil.copyfile(file.source, target)
        write_durably(path, targets)
    except OSError as error:
        raise Unavailable(f"{place}: cannot be written: {error.strerror}") from None
    return path


def drop_pending(path: Path, files: Iterable[OfferFile]) -> None:
    """It came into force: what was written down for it goes."""
    for each in (path, *(path.parent / file.path.rpartition("/")[2] for file in files)):
        each.unlink(missing_ok=True)
