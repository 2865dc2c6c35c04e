"""What may follow the release that is in force, verified from its bytes.

Nothing here writes, and all of it may run beside the depot's thread.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fleet.roles import roles
from fleet.roles.targets import MOST_RETIRED, Target, retired_of, targets_of
from fleet.signer.place import LARGEST_METADATA
from models import bundle
from models.plain import open_plain
from wire.block.blocks import BLOCK
from wire.names import NAME_PATTERN, VERSION_PATTERN
from wire.release import COMMAND_KEYS, CommandKeys, blocks_path
from wire.troubles import Refused, Unavailable, one_line
from wire.unreadable import UNREADABLE, why

MOST_TARGETS = 10_000
# in bytes. Devices take no larger ones: what they would not take must not come into force
LARGEST_KEYS = 16 * 1024  # the list of command keys
LARGEST_ROOT = 64 * 1024
_NAME = NAME_PATTERN.removeprefix("^").removesuffix(r"\Z")
_VERSION = VERSION_PATTERN.removeprefix("^").removesuffix(r"\Z")
_MODEL = re.compile(
    rf"models/({_NAME})/({_VERSION})/[A-Za-z0-9][A-Za-z0-9._-]{{0,99}}\.(zip|blocks)\Z"
)


@dataclass(frozen=True)
class Held:
    """The metadata that is in force, and the files that the release names, by path."""

    root: bytes
    targets: bytes
    deployments: bytes
    snapshot: bytes
    timestamp: bytes
    files: Mapping[str, Target]


@dataclass(frozen=True)
class Release:
    """A release that may follow. roots: new ones, in order. targets: None: those in force stay.
    lacking: files that the release in force does not have."""

    roots: tuple[bytes, ...]
    targets: bytes | None
    lacking: tuple[Target, ...]


def judged(
    held: Held, roots: Sequence[bytes], targets: bytes | None, now_s: float
) -> Release | None:
    """A release whose signatures hold and that may follow, or None if it is in force already.

    Raises Refused with what is wrong.
    """
    new_roots = _new_roots(held.root, roots, now_s)
    root = new_roots[-1] if new_roots else held.root
    if targets is None or targets == held.targets:
        if not new_roots:
            return None
        if roles.lacking(held.targets, root, "targets").count:
            raise Refused("the new root has other release keys: offer the release metadata, too")
        return Release(new_roots, None, ())
    _check_version(held.targets, targets)
    _check_size("release", targets, LARGEST_METADATA)
    roles.verify_targets(targets, root, held.targets, now_s)
    files = checked_files(targets)
    _check_retired(held.targets, targets, files)
    for path, file in files.items():
        before = held.files.get(path)
        if path != COMMAND_KEYS and before is not None and before.digest != file.digest:
            raise Refused(f"{path} is there already with other bytes: give the model a new version")
    lacking = tuple(file for path, file in files.items() if held.files.get(path) != file)
    return Release(new_roots, targets, lacking)


def checked_files(targets: bytes) -> dict[str, Target]:
    """What release metadata names, by path. Raises Refused for names that lead elsewhere."""
    files = {file.path: file for file in targets_of(targets)}
    if len(files) > MOST_TARGETS:
        raise Refused(f"the release names {len(files)} files: {MOST_TARGETS} are possible")
    owners: dict[str, str] = {}
    for path, file in files.items():
        _check_name(path, file)
        if path.endswith(".zip") and blocks_path(path) not in files:
            raise Refused(f"{path}: the release has no list of its blocks beside it")
        if owners.setdefault(file.digest, path) != path:
            raise Refused(f"{path} and {owners[file.digest]} are the same file: name it once")
    return files


def check_arrived(release: Release, arrived: Mapping[str, Path]) -> None:
    """Whether each file that lacked is there as the release has it. arrived: by digest.

    Raises Refused. Reads every byte.
    """
    files = {file.path: file for file in release.lacking}
    for path, file in files.items():
        if file.digest not in arrived:
            raise Refused(f"{path}: is not there")
    for path, file in files.items():
        place = arrived[file.digest]
        if path == COMMAND_KEYS:
            command_keys(contents(place, file))
        elif path.endswith(".blocks"):
            contents(place, file)
        else:
            blocks = files.get(blocks_path(path))
            if blocks is None:
                raise Refused(f"{path}: its list of blocks is an older one")
            check_bundle(place, file, contents(arrived[blocks.digest], blocks))


def check_bundle(place: Path, file: Target, digests: bytes) -> None:
    """Whether a bundle is the one that is named, in its blocks too. Raises Refused."""
    check_blocks(place, file.path, digests)
    try:
        found = bundle.inspect(place)
    except Refused as refused:
        raise Refused(_with_path(refused, place, file.path)) from None
    if (found.digest, found.size) != (file.digest, file.size):
        raise Refused(f"{file.path}: its bytes are not those that were signed: push it again")
    variant, manifest = file.variant, found.manifest
    if variant is None or (variant.model, variant.version, variant.format) != (
        manifest.name,
        manifest.version,
        manifest.format,
    ):
        raise Refused(f"{file.path}: the release describes it otherwise than its own manifest")


def check_blocks(place: Path, path: str, digests: bytes) -> None:
    """Whether a file has these block digests. path: what it is called to people. Raises Refused."""
    told = hashlib.sha256()
    try:
        with open_plain(place) as file:
            while block := file.read(BLOCK):
                told.update(hashlib.sha256(block).digest())
    except OSError as error:
        raise Unavailable(f"{place}: cannot be read: {error.strerror}") from None
    if told.digest() != hashlib.sha256(digests).digest():
        raise Refused(f"{path}: the list of its blocks does not fit it: pack and push it again")


def contents(place: Path, file: Target) -> bytes:
    """A small file whose bytes are those that were signed. Raises Refused, Unavailable."""
    try:
        with open_plain(place) as opened:
            content = opened.read(file.size + 1)
    except OSError as error:
        raise Unavailable(f"{place}: cannot be read: {error.strerror}") from None
    if not is_of(file, content):
        raise Refused(f"{file.path}: its bytes are not those that were signed: push it again")
    return content


def is_of(file: Target, content: bytes) -> bool:
    """Whether this is the content that is named."""
    return len(content) == file.size and hashlib.sha256(content).hexdigest() == file.digest


def command_keys(content: bytes) -> tuple[str, ...]:
    """The public keys in a list of command keys. Raises Refused."""
    try:
        return msgspec.json.decode(content, type=CommandKeys).keys
    except UNREADABLE as error:
        raise Refused(f"{COMMAND_KEYS}: not a list of keys: {why(error)}") from None


def _new_roots(root: bytes, offered: Sequence[bytes], now_s: float) -> tuple[bytes, ...]:
    """Those of the roots that follow the one in force, each verified by the one before."""
    found: list[bytes] = []
    for new in sorted(offered, key=roles.version_of):
        if roles.version_of(new) < roles.version_of(root):
            continue
        if roles.version_of(new) == roles.version_of(root):
            if new != root:
                raise Refused(f"another root {roles.version_of(root)} is in force")
            continue
        _check_size("root", new, LARGEST_ROOT)
        roles.verify_root(new, root, 0.0)  # the last one counts; those on the way may have expired
        found.append(new)
        root = new
    if found:
        roles.check_lasts(root, "root", now_s)
    return tuple(found)


def _check_size(what: str, metadata: bytes, most_bytes: int) -> None:
    if len(metadata) > most_bytes:
        raise Refused(f"{what}: {len(metadata)} bytes are too many: {most_bytes} are possible")


def _check_version(held: bytes, new: bytes) -> None:
    have, got = roles.version_of(held), roles.version_of(new)
    if got < have:
        raise Refused(f"release {got} is older than release {have}, which is in force: push again")
    if got == have:
        raise Refused(f"another release {have} is in force: somebody else pushed: push again")


def _check_retired(held: bytes, new: bytes, files: Mapping[str, Target]) -> None:
    """What was retired stays so: a device could have other bytes of the same name."""
    before, after = retired_of(held), retired_of(new)
    if not set(before) <= set(after) and len(after) < MOST_RETIRED:
        raise Refused("the release forgets what was retired: push again")
    gone = {*before, *after}
    for file in files.values():
        if file.variant and (file.variant.model, file.variant.version) in gone:
            raise Refused(
                f"{file.variant.model} {file.variant.version} was retired: give this one another "
                "version"
            )


def _check_name(path: str, file: Target) -> None:
    if path == COMMAND_KEYS:
        if file.size > LARGEST_KEYS:
            raise Refused(f"{path}: {file.size} bytes are too many")
        return
    found = _MODEL.match(path)
    if found is None:
        raise Refused(f"the release names {one_line(path[:200])!r}: no such file may be in it")
    is_bundle = found[3] == "zip"
    if is_bundle != (file.variant is not None):
        raise Refused(f"{path}: the release does not say for whom it is")
    if file.variant and (file.variant.model, file.variant.version) != (found[1], found[2]):
        raise Refused(
            f"{path}: the release says that it is {file.variant.model} {file.variant.version}"
        )


def _with_path(refused: Refused, place: Path, path: str) -> str:
    """A complaint about a file, called as people know it."""
    return str(refused).replace(str(place), path)
