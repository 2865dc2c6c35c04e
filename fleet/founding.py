"""A new fleet: its keys and its first signed metadata, made whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fleet.folder import FIRST_ROOT, TOML, FleetFolder, depot_key
from fleet.roles import online as roles_online
from fleet.roles import root as roles_root
from fleet.roles import targets as roles_targets
from fleet.roles.roles import Role, signed
from wire.config import Broker
from wire.durable import rename_durably, sync_folder, write_durably
from wire.release import COMMAND_KEYS, DEPLOYMENTS, METADATA, target_file
from wire.signing import SigningKey, make_key
from wire.troubles import Refused, Unavailable
from wire.version import RELEASED_S

MOST_KEYS = 16


@dataclass(frozen=True)
class Founding:
    """What is to be made. Thresholds: so many of the keys must sign."""

    name: str
    broker_url: str
    root_keys: int = 1
    root_threshold: int = 1
    release_keys: int = 1
    release_threshold: int = 1


@dataclass(frozen=True)
class _Keys:
    root: list[SigningKey]
    release: list[SigningKey]
    snapshot: SigningKey
    timestamp: SigningKey
    deployments: SigningKey
    command: SigningKey


def check(path: Path, wish: Founding, now_s: float) -> None:
    """Raises Refused if the fleet cannot be made here or so."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise Refused(f"{path}: something is there already, and a fleet is never overwritten")
    for what, keys, threshold in (
        ("root", wish.root_keys, wish.root_threshold),
        ("release", wish.release_keys, wish.release_threshold),
    ):
        if not 1 <= threshold <= keys <= MOST_KEYS:
            raise Refused(
                f"{threshold} of {keys} {what} keys: 1 to {MOST_KEYS} keys, and a threshold of 1 "
                "to that many"
            )
    check_clock(now_s)


def check_clock(now_s: float) -> None:
    """Raises Refused if what is signed now would have expired for everybody else."""
    if now_s < RELEASED_S:
        raise Refused("this machine's clock is wrong: set it first, as what is signed says when")


def found(path: Path, wish: Founding, passphrase: bytes, now_s: float) -> FleetFolder:
    """Make the fleet in a folder beside `path`, then name it `path`: a crash leaves nothing there.

    Raises Refused, Unavailable.
    """
    check(path, wish, now_s)
    path = path.absolute()
    with _unfinished(path) as folder:
        keys = _make_keys(folder, wish, passphrase)
        _write_metadata(folder, wish, keys, now_s)
        write_durably(folder / TOML, _toml(wish).encode())
        for each in (folder, *(one for one in folder.rglob("*") if one.is_dir())):
            sync_folder(each)
        _rename(folder, path)
    return FleetFolder(path, wish.name, Broker(wish.broker_url))


def _make_keys(folder: Path, wish: Founding, passphrase: bytes) -> _Keys:
    offline, depot = folder / "keys", folder / "depot"
    for new in (offline, depot, depot / "keys"):
        new.mkdir(mode=0o700)
    return _Keys(
        [make_key(offline / f"root-{n + 1}.pem", passphrase) for n in range(wish.root_keys)],
        [make_key(offline / f"release-{n + 1}.pem", passphrase) for n in range(wish.release_keys)],
        make_key(depot_key(depot, "snapshot")),
        make_key(depot_key(depot, "timestamp")),
        make_key(depot_key(depot, DEPLOYMENTS)),
        make_key(offline / "command.pem"),
    )


def _write_metadata(folder: Path, wish: Founding, keys: _Keys, now_s: float) -> None:
    def public(signers: list[SigningKey]) -> tuple[str, ...]:
        return tuple(key.public for key in signers)

    root = roles_root.first_root(
        {
            "root": Role(public(keys.root), wish.root_threshold),
            "targets": Role(public(keys.release), wish.release_threshold),
            "snapshot": Role((keys.snapshot.public,)),
            "timestamp": Role((keys.timestamp.public,)),
        },
        now_s,
    )
    commands = roles_targets.command_keys_file([keys.command.public])
    targets = roles_targets.first_targets(keys.deployments.public, now_s)
    targets = signed(roles_targets.with_command_keys(targets, commands), keys.release)
    deployments = signed(roles_online.first_deployments(now_s), [keys.deployments])
    snapshot = roles_online.snapshot_of(None, targets, deployments, now_s)
    snapshot = signed(snapshot, [keys.snapshot])
    timestamp = roles_online.timestamp_of(None, snapshot, now_s)
    root = signed(root, keys.root)
    files = {
        FIRST_ROOT: root,
        f"depot/{METADATA}1.root.json": root,
        f"depot/{METADATA}1.targets.json": targets,
        f"depot/{METADATA}1.{DEPLOYMENTS}.json": deployments,
        f"depot/{METADATA}1.snapshot.json": snapshot,
        f"depot/{METADATA}timestamp.json": signed(timestamp, [keys.timestamp]),
        f"depot/{target_file(COMMAND_KEYS, hashlib.sha256(commands).hexdigest())}": commands,
    }
    (folder / "depot" / "candidates").mkdir()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_durably(folder / name, content)


def _toml(wish: Founding) -> str:
    return (
        "# What the vedette fleet commands know without being told.\n"
        f'name = "{wish.name}"\n\n'
        "# As in vedette.toml: username, password_file, ca_file, certificate_file, key_file\n"
        f'[broker]\nurl = "{wish.broker_url}"\n'
    )


@contextlib.contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """A folder beside `path` that only we may read; it goes away if it is not renamed.

    What a crash left of an earlier one goes away now. Raises Unavailable.
    """
    folder = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(path.parent):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise Unavailable(f"{path}: cannot be written: {error.strerror}") from None


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Unavailable(f"{folder}: another fleet is being made here: try again") from None
    finally:
        os.close(descriptor)


def _rename(folder: Path, path: Path) -> None:
    try:
        rename_durably(folder, path)  # over an empty folder at most
    except OSError:
        raise Refused(f"{path}: something came there meanwhile: nothing was made") from None
