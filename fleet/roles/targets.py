"""What the release key signs: bundles, whose commands devices obey, who signs deployments."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from tuf.api.metadata import DelegatedRole, Delegations, TargetFile, Targets

from fleet.roles.roles import LIFETIME_S, key_of, moment, read, unsigned
from wire.block.blocks import block_count
from wire.release import COMMAND_KEYS, DEPLOYMENTS, CommandKeys, Variant, blocks_path
from wire.troubles import Refused

RETIRED = "retired"  # in release metadata: `MODEL/VERSION` each, the newest last
MOST_RETIRED = 500  # an older one could be given again, and only then


@dataclass(frozen=True)
class Target:
    """A file that metadata names. variant: of a bundle."""

    path: str
    digest: str
    size: int
    variant: Variant | None = None


def first_targets(deployments_key: str, now_s: float) -> bytes:
    """Release 1, unsigned: it names no file yet."""
    expires = moment(now_s + LIFETIME_S["targets"])
    targets = Targets(version=1, expires=expires)
    return with_deployments_key(unsigned(targets), deployments_key)


def with_deployments_key(targets: bytes, key: str) -> bytes:
    """Who signs deployments from now on."""
    content = read(targets, Targets).signed
    one = key_of(key)
    role = DelegatedRole(DEPLOYMENTS, [one.keyid], 1, True, paths=[f"{DEPLOYMENTS}/*"])
    content.delegations = Delegations({one.keyid: one}, {DEPLOYMENTS: role})
    return unsigned(content)


def command_keys_file(keys: Iterable[str]) -> bytes:
    """The content of the target that says whose commands devices obey."""
    return msgspec.json.encode(CommandKeys(tuple(keys)))


def with_command_keys(targets: bytes, file: bytes) -> bytes:
    """file: of command_keys_file"""
    return with_target(targets, _target_of(COMMAND_KEYS, file))


def with_bundle(targets: bytes, bundle: Target, block_digests: bytes) -> bytes:
    """A bundle and its list of block digests are named. Refused if another one has its place,
    or had it before."""
    assert bundle.variant is not None
    check_not_retired(targets, bundle.variant.model, bundle.variant.version)
    before = {one.path: one for one in targets_of(targets)}.get(bundle.path)
    if before is not None and before.digest != bundle.digest:
        raise Refused(
            f"{bundle.path} is there already with other bytes: give the model a new version"
        )
    if len(block_digests) != 32 * block_count(bundle.size):
        raise Refused(f"{bundle.path}: its block digests are not those of {bundle.size} bytes")
    named = with_target(targets, bundle)
    return with_target(named, _target_of(blocks_path(bundle.path), block_digests))


def without_version(targets: bytes, model: str, version: str) -> bytes:
    """A version of a model is named no more, and cannot be again. Refused if it was not."""
    content = read(targets, Targets).signed
    prefix = f"models/{model}/{version}/"
    gone = [path for path in content.targets if path.startswith(prefix)]
    if not gone:
        raise Refused(f"there is no {model} {version} among the fleet's releases")
    for path in gone:
        del content.targets[path]
    retired = (*retired_of(targets), (model, version))[-MOST_RETIRED:]
    content.unrecognized_fields[RETIRED] = ["/".join(each) for each in retired]
    return unsigned(content)


def retired_of(targets: bytes) -> tuple[tuple[str, str], ...]:
    """Models and versions that were released, and are not to be again. Raises Refused."""
    found: object = read(targets, Targets).signed.unrecognized_fields.get(RETIRED, [])
    try:
        listed = msgspec.convert(found, tuple[str, ...])
    except msgspec.ValidationError as error:
        raise Refused(f"the release does not say what was retired: {error}") from None
    if len(listed) > MOST_RETIRED or any(each.count("/") != 1 for each in listed):
        raise Refused("the release does not say what was retired in a way we know")
    return tuple((each.partition("/")[0], each.partition("/")[2]) for each in listed)


def check_not_retired(targets: bytes, model: str, version: str) -> None:
    """Raises Refused for a version that is not to be given to devices again."""
    if (model, version) in retired_of(targets):
        raise Refused(f"{model} {version} was retired: give this one another version")


def with_target(metadata: bytes, target: Target) -> bytes:
    """A file is named, in release metadata or in deployments."""
    content = read(metadata, Targets).signed
    more = {} if target.variant is None else {"custom": _custom(target.variant)}
    content.targets[target.path] = TargetFile(
        target.size, {"sha256": target.digest}, target.path, more
    )
    return unsigned(content)


def targets_of(metadata: bytes) -> tuple[Target, ...]:
    """The files that release metadata or deployments name."""
    content = read(metadata, Targets).signed
    try:
        return tuple(_read_target(one) for one in content.targets.values())
    except (KeyError, msgspec.ValidationError) as error:
        raise Refused(f"the metadata names a file in a way we do not know: {error}") from None


def _read_target(file: TargetFile) -> Target:
    custom: object = file.custom
    variant = None if custom is None else msgspec.convert(custom, Variant)
    return Target(file.path, file.hashes["sha256"], file.length, variant)


def _target_of(path: str, content: bytes) -> Target:
    return Target(path, hashlib.sha256(content).hexdigest(), len(content))


def _custom(variant: Variant) -> object:
    """Canonical JSON, which is what is signed, has no fractions."""
    if variant.memory_mb is not None:
        variant = msgspec.structs.replace(variant, memory_mb=math.ceil(variant.memory_mb))
    return msgspec.to_builtins(variant)
