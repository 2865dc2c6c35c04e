"""One run of python-tuf's update client in a folder, over our sources and by our clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    ExpiredMetadataError,
    RepositoryError,
)
from tuf.api.exceptions import DownloadLengthMismatchError as TooLong
from tuf.api.metadata import Metadata, Root, Targets, Timestamp
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from wire.block.blocks import NoSuchFile
from wire.release import DEPLOYMENTS, ISSUED, METADATA
from wire.troubles import Refused, Unavailable
from wire.trust.kept import Issued
from wire.trust.words import Reference, moment, named, trouble_of

LIMITS = UpdaterConfig(
    max_root_rotations=256,
    max_delegations=1,
    root_max_length=64 * 1024,
    timestamp_max_length=16 * 1024,
    snapshot_max_length=64 * 1024,
    targets_max_length=8 * 1024 * 1024,  # some ten thousand bundles
)
# Signed by a key that is online: a thief must not fill a small device's memory, where a byte of
# JSON may become a hundred. A thousand pipelines need less.
LARGEST_DEPLOYMENTS = 512 * 1024
# what hostile bytes make python-tuf raise beside its own errors
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)


T = TypeVar("T")


class Source(Protocol):
    """Where the files of wire/release.py come from."""

    def read(self, path: str, most_bytes: int) -> bytes:
        """A whole small file. Raises NoSuchFile, Unavailable, Refused if it is larger."""
        ...


class Expired(Refused):
    """Metadata was valid once."""


class _Fetcher(FetcherInterface):
    """Hands our source to python-tuf, and remembers what came last."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.path = ""
        self.seen: dict[str, bytes] = {}  # the newest content, by role

    def _fetch(self, url: str) -> Iterator[bytes]:
        return iter([self.download_bytes(url, LIMITS.targets_max_length)])

    def download_bytes(self, url: str, max_length: int) -> bytes:
        self.path = url
        if named(url) == DEPLOYMENTS:
            max_length = min(max_length, LARGEST_DEPLOYMENTS)
        try:
            content = self._source.read(url, max_length)
        except NoSuchFile as error:
            raise DownloadHTTPError(str(error), 404) from None
        if len(content) > max_length:
            raise TooLong(f"{len(content)} bytes, at most {max_length}")
        self.seen[named(url)] = content
        return content


def updated(
    work: Path,
    root: bytes,
    source: Source,
    reference: Reference,
    deed: Callable[[Updater], T],
    limits: UpdaterConfig,
) -> T:
    """What the deed gives, which brings the metadata in `work` up to date.

    Raises Expired, Refused, Unavailable; what was verified until then is in `work`. `root.json`
    there is the newest root.
    """
    fetcher = _Fetcher(source)
    try:
        updater = Updater(str(work), METADATA, fetcher=fetcher, config=limits, bootstrap=root)
        # python-tuf knows no other way to say what time it is
        updater._trusted_set.reference_time = moment(reference.at_s)
        return deed(updater)
    except (RepositoryError, DownloadError, *_MALFORMED) as error:

        def seen(role: str) -> bytes:
            known = None if role == "root" else fetcher.seen.get(role)
            return _content(work / f"{role}.json") if known is None else known

        trouble = trouble_of(error, fetcher.path, seen, reference)
        if isinstance(error, ExpiredMetadataError):
            raise Expired(str(trouble)) from None
        raise trouble from None
    except OSError as error:
        raise Unavailable(f"{work}: cannot be written: {error.strerror}") from None


def refresh_fleet(updater: Updater, work: Path) -> None:
    """All five roles of a fleet."""
    updater.refresh()
    _check_delegations(work)
    updater.get_targetinfo(f"{DEPLOYMENTS}/")  # there is none; this fetches the role


def check_first(root: bytes) -> None:
    """Raises Refused if these bytes are no root that vouches for itself."""
    try:
        whole = Metadata[Root].from_bytes(root)
        if not isinstance(whole.signed, Root):
            raise Refused(f"the first root is {whole.signed.type} metadata: name root.json")
        whole.signed.verify_delegate("root", whole.signed_bytes, whole.signatures)
    except (RepositoryError, *_MALFORMED):
        raise Refused(
            "the first root is no root metadata, or damaged: copy root.json of the fleet's folder"
        ) from None


def issued_in(work: Path) -> Issued:
    """When the timestamp there was signed, and the keys of its role; 0 if it is not verified."""
    keys = timestamp_keys(work)
    try:
        whole = Metadata[Timestamp].from_bytes((work / "timestamp.json").read_bytes())
        root = Metadata[Root].from_bytes((work / "root.json").read_bytes()).signed
        root.verify_delegate("timestamp", whole.signed_bytes, whole.signatures)
        at_s = whole.signed.unrecognized_fields.get(ISSUED)
        expires_s = whole.signed.expires.timestamp()
    except (OSError, RepositoryError, *_MALFORMED):
        return Issued()
    is_sane = isinstance(at_s, int) and 0 < at_s <= expires_s
    return Issued(int(at_s), keys) if is_sane and at_s else Issued()


def timestamp_keys(work: Path) -> tuple[str, ...]:
    """The keys that the newest root names for timestamps."""
    try:
        root = Metadata[Root].from_bytes((work / "root.json").read_bytes()).signed
    except (OSError, RepositoryError, *_MALFORMED):
        return ()
    return tuple(root.roles["timestamp"].keyids)


def _check_delegations(work: Path) -> None:
    targets = Metadata[Targets].from_bytes((work / "targets.json").read_bytes()).signed
    roles = targets.delegations.roles if targets.delegations else None
    if list(roles or ()) != [DEPLOYMENTS]:
        raise Refused("the fleet's targets must delegate deployments, and nothing else")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
