"""Any TUF repository, on a web server of loopback: not a fleet's, and with any fault in it."""

from __future__ import annotations

import hashlib
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

TOP = ("root", "targets", "snapshot", "timestamp")
Signers = dict[str, list[CryptoSigner]]


class TufRepository:
    """Change what stands in it, then `publish`. Use it in a `with`.

    files: what is served, by its quoted path. asked: the paths of all requests so far.
    signers: who signs which role at the next publish. hashed: whether metadata names the digests
    and sizes of other metadata.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.hashed = False
        late = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=30)
        self.root = Root(expires=late)
        self.targets = Targets(expires=late)
        self.snapshot = Snapshot(expires=late)
        self.timestamp = Timestamp(expires=late)
        self.delegated: dict[str, Targets] = {}
        self.signers: Signers = {role: [CryptoSigner.generate_ed25519()] for role in TOP}
        for role in TOP:
            self.root.add_key(self.signers[role][0].public_key, role)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._sign("root", self.root)
        self.first_root = self.files["metadata/1.root.json"]
        self.publish_all()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> TufRepository:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def publish_all(self) -> None:
        """All but the root, as it is."""
        for name, role in self.delegated.items():
            self.snapshot.meta[f"{name}.json"] = self._sign(name, role)
        self.snapshot.meta["targets.json"] = self._sign("targets", self.targets)
        self.publish_snapshot()

    def publish_snapshot(self) -> None:
        self.timestamp.snapshot_meta = self._sign("snapshot", self.snapshot)
        self.publish_timestamp()

    def publish_timestamp(self) -> None:
        self._sign("timestamp", self.timestamp)

    def publish_root(self) -> None:
        self.root.version += 1
        self._sign("root", self.root)

    def renew(self) -> None:
        """The next version of all but the root."""
        for role in (self.targets, self.snapshot, self.timestamp, *self.delegated.values()):
            role.version += 1
        self.publish_all()

    def rotate(self, role: str) -> None:
        """Another key for a role. A new root key signs beside the old one, once."""
        new, old = CryptoSigner.generate_ed25519(), self.signers[role]
        for signer in old:
            self.root.revoke_key(signer.public_key.keyid, role)
        self.root.add_key(new.public_key, role)
        self.signers[role] = [*old, new] if role == "root" else [new]
        self.publish_root()
        self.signers[role] = [new]

    def delegate(self, name: str, paths: list[str], by: str = "targets") -> None:
        """A role with a key of its own. by: who trusts it; another one than the first time names
        another key, with which nothing is signed."""
        signer = CryptoSigner.generate_ed25519()
        role = DelegatedRole(name, [signer.public_key.keyid], 1, False, paths)
        owner = self.targets if by == "targets" else self.delegated[by]
        if owner.delegations is None:
            owner.delegations = Delegations({}, {})
        assert owner.delegations.roles is not None
        owner.delegations.roles[name] = role
        owner.delegations.keys[signer.public_key.keyid] = signer.public_key
        self.signers.setdefault(name, [signer])
        self.delegated.setdefault(name, Targets(expires=self.targets.expires))

    def add(self, path: str, content: bytes, role: str = "targets") -> None:
        """A file, served and named; to be published."""
        owner = self.targets if role == "targets" else self.delegated[role]
        owner.targets[path] = TargetFile.from_data(path, content, ["sha256"])
        before, slash, name = path.rpartition("/")
        prefix = f"{hashlib.sha256(content).hexdigest()}." if self.root.consistent_snapshot else ""
        self.files[f"files/{before}{slash}{prefix}{name}"] = content

    def _sign(self, name: str, role: Root | Targets | Snapshot | Timestamp) -> MetaFile:
        whole = Metadata(role)  # type: ignore[type-var]
        whole.signatures.clear()
        for signer in self.signers[name]:
            whole.sign(signer, append=True)
        content = whole.to_bytes()
        is_versioned = name == "root" or (self.root.consistent_snapshot and name != "timestamp")
        version = f"{role.version}." if is_versioned else ""
        self.files[f"metadata/{version}{quote(name, safe='')}.json"] = content
        if not self.hashed:
            return MetaFile(role.version)
        digests = {"sha256": hashlib.sha256(content).hexdigest()}
        return MetaFile(role.version, len(content), digests)


def _handler(repository: TufRepository) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            repository.asked.append(path)
            content = repository.files.get(path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: tests look at `asked`."""

    return Handler
