"""What a fleet's signed metadata says now: releases, deployments, candidates, and what expires."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from fleet.offering.desk import Desk, in_order
from fleet.roles.targets import retired_of
from fleet.rollout.draft import empty
from fleet.rollout.report import expiry_warnings
from wire.deployments import Deployment
from wire.messages import Trusted
from wire.offers import Candidate
from wire.trust.trust import Bundle

Digests = dict[tuple[str, str], frozenset[str]]


class VariantLine(Struct, frozen=True):
    """A released bundle. boards: empty for all. path: of its target."""

    format: str
    boards: tuple[str, ...]
    memory_mb: float | None
    size: int
    digest: str
    path: str


class ReleaseLine(Struct, frozen=True):
    """A released version of a model."""

    model: str
    version: str
    variants: tuple[VariantLine, ...]


class Shelf(Struct, frozen=True):
    """releases: by model, the newest version first. retired: no device can get these any more.
    warnings: of what expires. key_is_believed: whether the fleet obeys the server's command key;
    None: it has none, or that is not known. at_s: Unix time of the newest look that succeeded;
    trouble: why the last one did not, since trouble_s."""

    trusted: Trusted | None = None
    releases: tuple[ReleaseLine, ...] = ()
    retired: tuple[tuple[str, str], ...] = ()
    deployments: tuple[Deployment, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    warnings: tuple[str, ...] = ()
    key_is_believed: bool | None = None
    at_s: float | None = None
    trouble: str | None = None
    trouble_s: float | None = None

    def deployment(self, pipeline: str) -> Deployment:
        """Without rules if nothing was deployed there."""
        found = (one for one in self.deployments if one.pipeline == pipeline)
        return next(found, empty(pipeline))

    def digests(self) -> Digests:
        """Of the variants of each version."""
        return {
            (one.model, one.version): frozenset(variant.digest for variant in one.variants)
            for one in self.releases
        }

    def release(self, model: str, version: str) -> ReleaseLine | None:
        found = (one for one in self.releases if (one.model, one.version) == (model, version))
        return next(found, None)


def shelf_of(
    desk: Desk, candidates: tuple[Candidate, ...], public_key: str | None, now_s: float
) -> Shelf:
    """What is believed after a refresh. Raises Refused, Unavailable: a file of it does not come."""
    believed = None if public_key is None else public_key in desk.trust.command_keys()
    return Shelf(
        trusted=desk.trust.trusted,
        releases=_releases(desk.trust.models()),
        retired=tuple(sorted(retired_of(desk.chain.targets))),
        deployments=desk.deployments(),
        candidates=candidates,
        warnings=tuple(expiry_warnings(desk.chain, now_s)),
        key_is_believed=believed,
        at_s=now_s,
    )


def _releases(bundles: Iterable[Bundle]) -> tuple[ReleaseLine, ...]:
    found: dict[str, dict[str, list[VariantLine]]] = {}
    for bundle in bundles:
        of = bundle.variant
        line = VariantLine(
            of.format, of.boards, of.memory_mb, bundle.size, bundle.digest, bundle.path
        )
        found.setdefault(of.model, {}).setdefault(of.version, []).append(line)
    return tuple(
        ReleaseLine(model, version, tuple(sorted(versions[version], key=lambda one: one.path)))
        for model, versions in sorted(found.items())
        for version in reversed(in_order(versions))
    )
