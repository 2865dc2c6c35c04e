"""What the depot signs: deployments, which files belong together, and that it is awake."""

from __future__ import annotations

import hashlib

from tuf.api.metadata import MetaFile, Snapshot, Targets, Timestamp

from fleet.roles.roles import LIFETIME_S, moment, read, renewed, unsigned, version_of
from fleet.roles.targets import Target, with_target
from wire.release import DEPLOYMENTS, ISSUED, deployment_path


def first_deployments(now_s: float) -> bytes:
    """Deployments 1, unsigned: nothing is deployed."""
    return unsigned(Targets(version=1, expires=moment(now_s + LIFETIME_S["deployments"])))


def next_deployments(before: bytes, files: dict[str, bytes], now_s: float) -> bytes:
    """The deployments that follow, unsigned. files: what changed, by pipeline."""
    after = renewed(before, "deployments", now_s)
    for pipeline, content in files.items():
        digest = hashlib.sha256(content).hexdigest()
        after = with_target(after, Target(deployment_path(pipeline), digest, len(content)))
    return after


def snapshot_of(before: bytes | None, targets: bytes, deployments: bytes, now_s: float) -> bytes:
    """The snapshot that follows `before`, unsigned: these two belong together."""
    meta = {"targets.json": _file(targets), f"{DEPLOYMENTS}.json": _file(deployments)}
    expires = moment(now_s + LIFETIME_S["snapshot"])
    return unsigned(Snapshot(version=_next(before), expires=expires, meta=meta))


def timestamp_of(before: bytes | None, snapshot: bytes, now_s: float) -> bytes:
    """The timestamp that follows `before`, unsigned: this is the newest snapshot, and it is now."""
    after = Timestamp(
        version=_next(before),
        expires=moment(now_s + LIFETIME_S["timestamp"]),
        snapshot_meta=_file(snapshot),
        unrecognized_fields={ISSUED: int(now_s)},
    )
    return unsigned(after)


def snapshot_version(timestamp: bytes) -> int:
    """The snapshot that a timestamp names."""
    return read(timestamp, Timestamp).signed.snapshot_meta.version


def versions_of(snapshot: bytes) -> tuple[int, int]:
    """The targets and the deployments that a snapshot names."""
    meta = read(snapshot, Snapshot).signed.meta
    return meta["targets.json"].version, meta[f"{DEPLOYMENTS}.json"].version


def _file(metadata: bytes) -> MetaFile:
    digest = hashlib.sha256(metadata).hexdigest()
    return MetaFile(version_of(metadata), len(metadata), {"sha256": digest})


def _next(before: bytes | None) -> int:
    return 1 if before is None else version_of(before) + 1
