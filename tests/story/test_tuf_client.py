"""scripts/tuf-client, as the public suite drives it: over HTTP, and by a real broker."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType

import pytest
from securesystemslib.signer import CryptoSigner

from tests.brokers import Mosquitto
from tests.laws.sources import ROOT
from tests.tuf_repository import TufRepository

SCRIPT = ROOT / "scripts" / "tuf-client"
FIRST = ["metadata/2.root.json", "metadata/timestamp.json", "metadata/1.snapshot.json",
         "metadata/1.targets.json"]  # fmt: skip
KIB = 1024


def loaded() -> ModuleType:
    """The script in this process: starting it each time would take most of the time."""
    loader = importlib.machinery.SourceFileLoader("tuf_client", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tuf_client", loader))  # type: ignore[arg-type]
    loader.exec_module(module)
    return module


@dataclass
class Driven:
    """What the suite sees of a client: its exit code, and two folders."""

    module: ModuleType
    repository: TufRepository
    folder: Path
    way: list[str]

    @property
    def files(self) -> list[bytes]:
        found = sorted((self.folder / "files").iterdir(), key=lambda path: path.name)
        return [path.read_bytes() for path in found]

    def init(self, root: bytes | None = None) -> int:
        first = self.folder / "first.json"
        first.write_bytes(self.repository.first_root if root is None else root)
        return self._run("init", str(first))

    def refresh(self) -> int:
        self.repository.asked.clear()
        return self._run(*self._url(), *self.way, "refresh")

    def download(self, path: str) -> int:
        self.repository.asked.clear()
        folders = ["--target-dir", str(self.folder / "files")]
        url = ["--target-base-url", f"{self.repository.url}files/"]
        return self._run(*self._url(), *self.way, "--target-name", path, *url, *folders, "download")

    def version(self, role: str) -> int | None:
        path = self.folder / "metadata" / f"{role}.json"
        return json.loads(path.read_bytes())["signed"]["version"] if path.exists() else None

    def versions(self) -> list[int | None]:
        return [self.version(role) for role in ("root", "timestamp", "snapshot", "targets")]

    def _url(self) -> list[str]:
        return ["--metadata-url", f"{self.repository.url}metadata/"]

    def _run(self, *words: str) -> int:
        code = self.module.main(["--metadata-dir", str(self.folder / "metadata"), *words])
        assert isinstance(code, int)
        return code


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return loaded()


@pytest.fixture(scope="module")
def broker() -> Iterator[Mosquitto]:
    with Mosquitto() as broker:
        yield broker


@pytest.fixture
def repository() -> Iterator[TufRepository]:
    with TufRepository() as repository:
        yield repository


@pytest.fixture(params=["http", "mqtt"])
def client(
    request: pytest.FixtureRequest, module: ModuleType, repository: TufRepository, tmp_path: Path
) -> Driven:
    way = []
    if request.param == "mqtt":
        broker = request.getfixturevalue("broker")
        way = ["--via", "mqtt", "--broker", broker.url()]
    (tmp_path / "metadata").mkdir()
    (tmp_path / "files").mkdir()
    driven = Driven(module, repository, tmp_path, way)
    assert driven.init() == 0
    assert repository.asked == []  # init asks nobody
    return driven


def test_first_refresh_asks_for_each_file_once(client: Driven) -> None:
    assert client.refresh() == 0
    assert client.repository.asked == FIRST
    assert client.versions() == [1, 1, 1, 1]
    assert client.refresh() == 0  # and nothing that was got before is got from a cache
    assert client.repository.asked == FIRST[:2]


def test_several_roots_at_once(client: Driven) -> None:
    for role in ("root", "root", "timestamp", "root", "snapshot"):
        client.repository.rotate(role)
    client.repository.renew()
    assert client.refresh() == 0
    assert client.versions() == [6, 2, 2, 2]


def test_root_that_the_one_before_did_not_sign(client: Driven) -> None:
    assert client.refresh() == 0
    thief = CryptoSigner.generate_ed25519()
    client.repository.signers["root"] = [thief]
    client.repository.root.add_key(thief.public_key, "root")
    client.repository.publish_root()
    assert client.refresh() == 1
    assert client.versions() == [1, 1, 1, 1]


def test_too_few_signatures(client: Driven) -> None:
    assert client.refresh() == 0
    client.repository.root.roles["snapshot"].threshold = 2
    client.repository.publish_root()
    client.repository.renew()
    assert client.refresh() == 1
    assert client.versions() == [2, 2, 1, 1]


def test_rollback(client: Driven) -> None:
    client.repository.renew()
    assert client.refresh() == 0
    client.repository.timestamp.version = 1
    client.repository.publish_timestamp()
    assert client.refresh() == 1
    client.repository.timestamp.version = 3
    client.repository.snapshot.version = 1
    client.repository.publish_snapshot()
    assert client.refresh() == 1
    assert client.versions() == [1, 2, 2, 2]


def test_snapshot_of_another_version_than_was_named(client: Driven) -> None:
    client.repository.snapshot.version = 2
    client.repository.publish_snapshot()
    client.repository.files["metadata/2.snapshot.json"] = client.repository.files[
        "metadata/1.snapshot.json"
    ]
    assert client.refresh() == 1
    assert client.versions() == [1, 1, None, None]


@pytest.mark.parametrize(
    ("role", "known"),
    [("timestamp", [1, 1, 1, 1]), ("snapshot", [1, 2, 1, 1]), ("targets", [1, 2, 2, 1])],
)
def test_expired(client: Driven, role: str, known: list[int]) -> None:
    assert client.refresh() == 0
    gone = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=1)
    getattr(client.repository, role).expires = gone
    client.repository.renew()
    assert client.refresh() == 1
    assert client.versions() == known


def test_expired_root_is_kept_and_nothing_else_taken(client: Driven) -> None:
    assert client.refresh() == 0
    gone = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=1)
    client.repository.root.expires = gone
    client.repository.publish_root()
    client.repository.renew()
    assert client.refresh() == 1
    assert client.versions() == [2, 1, 1, 1]


def test_without_consistent_snapshots(client: Driven) -> None:
    repository = client.repository
    repository.root.consistent_snapshot = False
    repository.publish_root()
    repository.files = {path: repository.files[path] for path in ("metadata/2.root.json",)}
    repository.add("deep/file", b"content")
    repository.publish_all()
    assert client.download("deep/file") == 0
    assert client.files == [b"content"]
    assert repository.asked == [
        "metadata/2.root.json", "metadata/3.root.json", "metadata/timestamp.json",
        "metadata/snapshot.json", "metadata/targets.json", "files/deep/file",
    ]  # fmt: skip


@pytest.mark.parametrize("hashed", [False, True])
def test_metadata_with_and_without_hashes(client: Driven, hashed: bool) -> None:
    client.repository.hashed = hashed
    client.repository.renew()
    assert client.refresh() == 0
    client.repository.renew()
    assert client.refresh() == 0
    if hashed:  # another file of the same size was meant
        client.repository.snapshot.version = 4
        meant = client.repository.snapshot.meta["targets.json"]
        meant.version, meant.hashes = 4, {"sha256": "0" * 64}
        client.repository.files["metadata/4.targets.json"] = client.repository.files[
            "metadata/3.targets.json"
        ]
        client.repository.publish_snapshot()
        client.repository.timestamp.version = 4
        client.repository.publish_timestamp()
        assert client.refresh() == 1
        assert client.versions() == [1, 4, 4, 3]


@pytest.mark.parametrize("size", [0, 1, 32 * KIB, 32 * KIB + 1, 300 * KIB])
def test_files_of_any_size(client: Driven, size: int) -> None:
    content = bytes(n % 251 for n in range(size))
    client.repository.add("a file?#é", content)
    path = next(path for path in client.repository.files if path.startswith("files/"))
    client.repository.files[path.replace("a file?#é", "a%20file%3F%23%C3%A9")] = content
    client.repository.renew()
    assert client.download("a file?#é") == 0
    assert client.files == [content]
    assert client.download("a file?#é") == 0
    assert client.repository.asked == FIRST[:2]  # what is there is not asked for again


def test_other_bytes_than_were_signed(client: Driven) -> None:
    client.repository.add("file", b"signed")
    client.repository.renew()
    assert client.download("file") == 0
    path = next(path for path in client.repository.files if path.startswith("files/"))
    client.repository.files[path] = b"stolen"
    client.repository.add("more", b"more")
    more = next(path for path in client.repository.files if path.endswith("more"))
    client.repository.files[more] = b"less"
    client.repository.renew()
    assert client.download("file") == 0  # it is there
    assert client.download("more") == 1
    assert client.files == [b"signed"]


def test_file_that_nobody_signed(client: Driven) -> None:
    client.repository.files["files/file"] = b"unsigned"
    assert client.download("file") == 1
    assert client.repository.asked == FIRST
    assert client.files == []


@pytest.mark.parametrize("name", ["someone", "?", "#", "/deep", "../above"])
def test_delegated_targets(client: Driven, name: str) -> None:
    client.repository.delegate("empty", ["*/*"])
    client.repository.delegate(name, ["theirs/*"])
    client.repository.add("theirs/file", b"delegated", name)
    client.repository.renew()
    assert client.download("theirs/file") == 0
    assert client.files == [b"delegated"]
    assert len(list((client.folder / "metadata").glob("*.json"))) == 6
    quoted = {"someone": "someone", "?": "%3F", "#": "%23", "/deep": "%2Fdeep"}
    asked = f"metadata/2.{quoted.get(name, '..%2Fabove')}.json"
    assert client.repository.asked.count(asked) == 1
    client.repository.add("ours/file", b"not theirs", name)
    client.repository.renew()
    assert client.download("ours/file") == 1


def test_role_that_one_trusts_is_not_trusted_for_another(client: Driven) -> None:
    """What is kept of it was right by one delegator, and is not by the other."""
    for owner in ("one", "other"):
        client.repository.delegate(owner, [f"{owner}/*"])
        client.repository.delegate("shared", ["*/*"], by=owner)
        client.repository.add(f"{owner}/file", owner.encode(), "shared")
    client.repository.renew()
    assert client.download("one/file") == 0
    assert client.download("other/file") == 1
    assert client.files == [b"one"]


@pytest.mark.parametrize("damage", ["version", "signature", "all"])
def test_first_root_that_is_none(client: Driven, damage: str) -> None:
    root = json.loads(client.repository.first_root)
    if damage == "version":
        del root["signed"]["version"]
    else:
        root["signatures"][0]["sig"] = "00" * 64
    content = b"" if damage == "all" else json.dumps(root).encode()
    client.init(content)
    assert client.refresh() == 1
    assert client.repository.asked == []


@pytest.mark.parametrize("way", [[], ["--via", "mqtt"]], ids=["http", "mqtt"])
@pytest.mark.usefixtures("broker")  # where there is none it is skipped
def test_as_a_process(repository: TufRepository, tmp_path: Path, way: list[str]) -> None:
    """With a broker of its own."""
    repository.add("file", b"content")
    repository.renew()
    (tmp_path / "root.json").write_bytes(repository.first_root)
    state = ["--metadata-dir", str(tmp_path / "state")]
    urls = ["--metadata-url", f"{repository.url}metadata", "--target-base-url",
            f"{repository.url}files", "--target-dir", str(tmp_path)]  # fmt: skip
    ask = [*state, *urls, *way, "--target-name"]
    assert run(*state, "init", str(tmp_path / "root.json"))[0] == 0
    assert run(*ask, "file", "download")[0] == 0
    assert (tmp_path / "file").read_bytes() == b"content"
    assert run(*ask, "other", "download") == (1, "tuf-client: other: nobody signed such a file\n")
    assert repository.asked.count("metadata/timestamp.json") == 2
    if shutil.which("faketime"):
        code, said = run(*ask, "file", "download", before=["faketime", "+31 days"])
        assert code == 1
        assert "expired on" in said


def run(*words: str, before: Sequence[str] = ()) -> tuple[int, str]:
    """The exit code of the client, and what it said is wrong."""
    command = [*before, sys.executable, str(SCRIPT), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def test_folders_that_cannot_be_written_are_told(
    client: Driven, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client.repository.add("some.txt", b"some")
    client.repository.renew()
    shutil.rmtree(tmp_path / "files")
    (tmp_path / "files").write_bytes(b"")
    assert client.download("some.txt") == 1
    shutil.rmtree(tmp_path / "metadata")
    (tmp_path / "metadata").write_bytes(b"")
    assert client.init() == 1
    told = capsys.readouterr().err.splitlines()
    assert [line.partition(str(tmp_path))[0] for line in told] == ["tuf-client: "] * 2
