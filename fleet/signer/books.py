"""The metadata in the depot's folder: what is in force, what is kept, what is left to sweep."""

from __future__ import annotations

from fleet.roles import online as roles_online
from fleet.roles import roles
from fleet.roles.named import check_named
from fleet.roles.targets import Target, targets_of
from fleet.signer.checks import Held, checked_files
from fleet.signer.place import TIMESTAMP, SignerPlace
from wire.release import DEPLOYMENTS, METADATA, target_file
from wire.troubles import Refused

KEPT = 4  # versions that somebody may still be reading
RESTORE = (
    "put back a backup of this folder, or the same files from a mirror; never make a new one: "
    "devices would not believe it"
)


def metadata_path(version: int, role: str) -> str:
    return f"{METADATA}{version}.{role}.json"


class Books:
    """What lies in a depot's folder, read and verified. Names of older files are remembered."""

    def __init__(self, place: SignerPlace) -> None:
        self._place = place
        self._named: dict[str, tuple[str, ...]] = {}  # metadata path -> target files that it names

    def read(self) -> Held:
        """What timestamp.json names. Raises Refused where the folder is damaged."""
        try:
            timestamp = self._place.read(TIMESTAMP)
            if timestamp is None:
                raise Refused(f"{TIMESTAMP} is gone")
            return self._read(self._root(), timestamp)
        except Refused as refused:
            raise Refused(f"{self._place.folder}: damaged: {refused}: {RESTORE}") from None

    def served(self, held: Held) -> tuple[str, ...]:
        """The paths of all that others may read: what is in force, and the few before it."""
        found = [TIMESTAMP]
        found += [metadata_path(number, "root") for number in self._place.versions("root")]
        newest = {
            "targets": roles.version_of(held.targets),
            DEPLOYMENTS: roles.version_of(held.deployments),
            "snapshot": roles.version_of(held.snapshot),
        }
        for role, version in newest.items():
            kept = [n for n in self._place.versions(role) if version - KEPT < n <= version]
            found += [metadata_path(number, role) for number in kept]
        named = {name for path in found for name in self._names_in(path)}
        self._named = {path: names for path, names in self._named.items() if path in found}
        return (*found, *sorted(named))

    def sweep(self, held: Held) -> None:
        """Take away what is not in force any more, and metadata that never was."""
        keep = set(self.served(held))
        old = [
            metadata_path(number, role)
            for role in ("targets", DEPLOYMENTS, "snapshot")
            for number in self._place.versions(role)
        ]
        self._place.remove(path for path in old if path not in keep)
        self._place.remove([path for path in self._place.targets() if path not in keep])

    def put_strays_back(self, held: Held) -> None:
        """What an unfinished release left, to where the next try finds it."""
        keep = set(self.served(held))
        for path in [path for path in self._place.targets() if path not in keep]:
            self._place.put_back(path)

    def _root(self) -> bytes:
        """The newest root, each verified by the one before."""
        numbers = self._place.versions("root")
        if not numbers:
            raise Refused(f"{METADATA}1.root.json is not there")
        root = self._metadata(numbers[0], "root")
        for number in range(numbers[0] + 1, numbers[-1] + 1):
            new = self._metadata(number, "root")
            roles.verify_root(new, root, 0.0)  # an old one may have expired
            root = new
        return root

    def _read(self, root: bytes, timestamp: bytes) -> Held:
        snapshot = self._metadata(roles_online.snapshot_version(timestamp), "snapshot")
        targets_version, deployments_version = roles_online.versions_of(snapshot)
        targets = self._metadata(targets_version, "targets")
        deployments = self._metadata(deployments_version, DEPLOYMENTS)
        check_named(timestamp, snapshot, targets, deployments)
        files = checked_files(targets)
        for file in (*files.values(), *targets_of(deployments)):
            path = target_file(file.path, file.digest)
            if self._place.size(path) != file.size:
                raise Refused(f"{path} is not there, or not whole")
        return Held(root, targets, deployments, snapshot, timestamp, files)

    def _metadata(self, version: int, role: str) -> bytes:
        path = metadata_path(version, role)
        content = self._place.read(path)
        if content is None:
            raise Refused(f"{path} is not there")
        try:
            if roles.version_of(content) == version:
                return content
        except Refused as refused:
            raise Refused(f"{path}: {refused}") from None
        raise Refused(f"{path} is of another version")

    def _names_in(self, path: str) -> tuple[str, ...]:
        """The target files that kept metadata names."""
        if not path.endswith((".targets.json", f".{DEPLOYMENTS}.json")):
            return ()
        if path not in self._named:
            content = self._place.read(path)
            files: tuple[Target, ...] = () if content is None else targets_of(content)
            self._named[path] = tuple(target_file(file.path, file.digest) for file in files)
        return self._named[path]
