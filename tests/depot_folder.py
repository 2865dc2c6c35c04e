"""A small fleet for tests: keys, the first signed metadata, and releases that follow it."""

from __future__ import annotations

import atexit
import functools
import hashlib
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from fleet.folder import FleetFolder, open_fleet
from fleet.founding import Founding, found
from fleet.roles import roles
from fleet.roles import targets as roles_targets
from fleet.roles.targets import Target
from models import bundle
from tests.model_folder import MANIFEST, make_folder
from wire import offers
from wire.block.blocks import BLOCK
from wire.deployments import Deployment, Rule
from wire.envelope import sealed
from wire.offers import Wish
from wire.release import Variant, blocks_path, bundle_path, target_file
from wire.signing import SigningKey, load_key

FLEET = "yard"
PASSPHRASE = b"correct horse"
PORTS = '[broker]\nurl = "mqtt://127.0.0.1:{port}"\n'


@dataclass
class Yard:
    """The operator's side of a fleet. targets: release metadata as last signed. place: of keys;
    depot: the depot's folder. files: content of each target of the last release, by path."""

    place: Path
    depot: Path
    root_key: SigningKey
    release_key: SigningKey
    command_key: SigningKey
    root: bytes
    targets: bytes
    files: dict[str, bytes] = field(default_factory=dict)
    roots: list[bytes] = field(default_factory=list)

    def with_model(
        self,
        version: str,
        content: bytes = b"TFL3",
        name: str = "digits",
        keys: Sequence[SigningKey] | None = None,
    ) -> bytes:
        """The next release metadata, signed, with one more bundle."""
        bundle_bytes, variant = pack(self.place, version, content, name)
        path = bundle_path(variant.model, version, "tflite")
        digests = block_digests(bundle_bytes)
        digest = hashlib.sha256(bundle_bytes).hexdigest()
        named = Target(path, digest, len(bundle_bytes), variant)
        self.files |= {path: bundle_bytes, blocks_path(path): digests}
        return self.signed(roles_targets.with_bundle(self.targets, named, digests), keys)

    def signed(self, targets: bytes, keys: Sequence[SigningKey] | None = None) -> bytes:
        """Release metadata as the next version, signed."""
        after = roles.renewed(targets, "targets", time.time())
        return roles.signed(after, [self.release_key] if keys is None else keys)

    def staged(self, targets: bytes, place: Path) -> dict[str, Path]:
        """The files of a release, each in a file of its own, by digest."""
        place.mkdir(parents=True, exist_ok=True)
        found = {}
        for file in roles_targets.targets_of(targets):
            if file.path in self.files:
                found[file.digest] = place / file.digest
                found[file.digest].write_bytes(self.files[file.path])
        return found

    def offered(self, targets: bytes) -> dict[str, bytes]:
        """Paths in wire.release's layout, and contents: all of a release."""
        found = {f"metadata/{roles.version_of(targets)}.targets.json": targets}
        for file in roles_targets.targets_of(targets):
            if file.path in self.files:
                found[target_file(file.path, file.digest)] = self.files[file.path]
        return found

    def wish(
        self,
        version: str,
        after: int,
        *,
        identity: str = "w1",
        pipeline: str = "lane",
        key: SigningKey | None = None,
        issued_s: float | None = None,
        lifetime_s: float = 300.0,
        fleet: str = FLEET,
        model: str = "digits",
    ) -> bytes:
        """A signed wish to run a version everywhere."""
        issued = int(time.time() if issued_s is None else issued_s)
        deployment = Deployment(pipeline, (Rule(model, version),))
        wish = Wish(fleet, identity, issued, int(issued + lifetime_s), after, deployment)
        return sealed(offers.DOMAIN, msgspec.json.encode(wish), key or self.command_key)


def make_yard(place: Path, now_s: float | None = None) -> Yard:
    """A new fleet in the folder `place`/yard. Its keys are those of every other one that this
    process makes so, as each is dear to make; now_s, its birth, makes keys of its own."""
    path = place / "yard"
    if now_s is not None:
        return _yard(path, _found(path, now_s))
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_pattern().place, path)
    return replace(_pattern(), place=path, depot=path / "depot", files={}, roots=[])


def opened_yard(place: Path) -> Yard:
    """A fleet that lies in the folder `place`/yard already."""
    return _yard(place / "yard", open_fleet(place / "yard"))


@functools.cache
def _pattern() -> Yard:
    """The fleet that others are copies of."""
    folder = tempfile.mkdtemp(prefix="yard-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "yard"
    return _yard(path, _found(path, time.time()))


def _found(path: Path, now_s: float) -> FleetFolder:
    return found(path, Founding(FLEET, "mqtt://127.0.0.1:1883"), PASSPHRASE, now_s)


def _yard(path: Path, fleet: FleetFolder) -> Yard:
    root_key = load_key(fleet.key_files("root")[0], PASSPHRASE)
    release_key = load_key(fleet.key_files("release")[0], PASSPHRASE)
    command_key = load_key(fleet.command_key)
    root = fleet.root.read_bytes()
    targets = max(
        (path.read_bytes() for path in (fleet.depot / "metadata").glob("*.targets.json")),
        key=roles.version_of,
    )
    return Yard(path, fleet.depot, root_key, release_key, command_key, root, targets)


def pack(place: Path, version: str, content: bytes, name: str = "digits") -> tuple[bytes, Variant]:
    """A bundle of a small model folder, and for whom it is."""
    folder = place / "models" / f"{name}-{version}-{hashlib.sha256(content).hexdigest()[:8]}"
    if not folder.exists():
        make_folder(folder, content)
        text = MANIFEST.replace('version = "7"', f'version = "{version}"')
        (folder / "manifest.toml").write_text(text.replace('name = "digits"', f'name = "{name}"'))
    bundle.pack(folder, folder.with_suffix(".zip"))
    return folder.with_suffix(".zip").read_bytes(), Variant(name, version, "tflite")


def without_a_trace(targets: bytes, version: str) -> bytes:
    """Release metadata as if a version of digits had never been released, unsigned."""
    whole = roles.parsed(roles_targets.without_version(targets, "digits", version))
    del whole.signed.unrecognized_fields[roles_targets.RETIRED]
    return whole.to_bytes()


def block_digests(content: bytes) -> bytes:
    """The list of the digests of its blocks."""
    blocks = [content[at : at + BLOCK] for at in range(0, len(content), BLOCK)] or [b""]
    return b"".join(hashlib.sha256(block).digest() for block in blocks)


def write_fleet_toml(yard: Yard, port: int) -> Path:
    """What a command needs to know of the fleet."""
    text = f'name = "{FLEET}"\n' + PORTS.format(port=port)
    (yard.place / "fleet.toml").write_text(text)
    return yard.place
