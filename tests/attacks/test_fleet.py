"""Who wants a device to run something else, and what comes of it. Each attack by its name."""

from __future__ import annotations

import io
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from models import bundle
from tests.brokers import Listener
from tests.device import Device
from tests.yard import FLEET, Yard, digits, digits_folder, heavy
from wire import topics
from wire.block.blocks import Block, BlockRequest, block_bytes, packed
from wire.messages import parse
from wire.troubles import Refused

pytestmark = pytest.mark.slow


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    with Yard(tmp_path) as yard:
        yield yard


@pytest.fixture
def device(yard: Yard, tmp_path: Path) -> Device:
    """A device that runs version 1."""
    device = yard.device()
    device.start("agent")
    device.start("lane")
    yard.until(lambda: yard.state() is not None)
    pushed = yard.push(digits(tmp_path, "1"), trial_s=1)
    assert pushed.code == 0, pushed.err
    return device


def faults(yard: Yard) -> str:
    state = yard.state()
    return " ".join(state.faults) if state is not None else ""


def still_serves(yard: Yard, version: str = "1") -> bool:
    state = yard.state()
    return state is not None and state.pipelines["lane"].phase == "serving" and yard.runs(version)


def stored(yard: Yard, ending: str) -> Path:
    """The newest file of the depot's targets with that ending."""
    found = list((yard.fleet / "depot" / "targets").rglob(f"*{ending}"))
    return max(found, key=lambda path: path.stat().st_mtime_ns)


def test_tampered_bundle(yard: Yard, device: Device, tmp_path: Path) -> None:
    """Somebody with the depot's disk changes the model's bytes after they were signed."""
    device.kill("agent")
    assert yard.push(digits(tmp_path, "2"), trial_s=1, more=("--no-wait",)).code == 0
    path = stored(yard, ".zip")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    yard.kill_depot()
    path.write_bytes(content)
    yard.start_depot()
    device.start("agent")
    yard.until(lambda: "fetching" in yard.phases("2"))
    with pytest.raises(AssertionError):
        yard.until(lambda: "staged" in yard.phases("2"), 5)
    assert still_serves(yard)


def test_malicious_broker_that_answers_first_with_garbage(
    yard: Yard, device: Device, tmp_path: Path
) -> None:
    """Each request is answered at once by somebody else: tampered blocks, and words that there is
    no such file. The right ones come later, and are the ones that count."""
    requests = f"vedette/{FLEET}/device/+/request/#"
    packed_path = heavy(tmp_path, "2", 1_500_000)
    size = packed_path.stat().st_size
    stop = threading.Event()
    told: list[str] = []

    def liar(hears: Listener) -> None:
        answered = 0
        while not stop.wait(0.005):
            heard = hears.heard
            for one in heard[answered:]:
                try:
                    wanted = parse(one.payload, BlockRequest)
                except Refused:
                    continue
                for first, behind in wanted.ranges:
                    for number in range(first, min(behind, first + 64)):
                        length = block_bytes(size, number)
                        wrong = Block(size, b"\0" * length) if length > 0 else Block(None, b"")
                        topic = topics.block(FLEET, wanted.file, number)
                        hears.publish(topic, packed(wrong), qos=0)
                        told.append(topic)
            answered = len(heard)

    with Listener(yard.broker.port, requests) as hears:
        thread = threading.Thread(target=liar, args=(hears,))
        thread.start()
        try:
            pushed = yard.push(packed_path, trial_s=1, more=("--timeout", "100"))
        finally:
            stop.set()
            thread.join()
    assert len(told) > 40, "it was lied to"
    assert pushed.code == 0, pushed.err
    assert yard.runs("2")


def test_rollback_to_older_metadata(yard: Yard, device: Device, tmp_path: Path) -> None:
    """The depot is set back to what it had before: a device that knows better does not follow."""
    kept = tmp_path / "before"
    shutil.copytree(yard.fleet / "depot", kept)
    assert yard.push(digits(tmp_path, "2"), trial_s=1).code == 0
    yard.kill_depot()
    shutil.rmtree(yard.fleet / "depot")
    shutil.copytree(kept, yard.fleet / "depot")
    yard.start_depot()
    yard.until(lambda: "trust" in faults(yard) or "older" in faults(yard))
    assert still_serves(yard, "2")


def test_wrong_key(yard: Yard, device: Device, tmp_path: Path) -> None:
    """Another fleet's keys, under this fleet's name: nothing of theirs is believed."""
    thieves = tmp_path / "thieves"
    made = yard.run(
        "fleet", "init", "--dir", str(thieves), "--name", FLEET, "--broker", yard.broker.url()
    )
    assert made.code == 0, made.err
    yard.kill_depot()
    own = yard.fleet
    yard.fleet = thieves
    yard.start_depot()
    pushed = yard.push(digits(tmp_path, "2"), more=("--no-wait",))
    assert pushed.code == 0, pushed.err
    yard.until(lambda: "trust" in faults(yard) or "sign" in faults(yard))
    assert still_serves(yard)
    assert yard.phases("2") == []
    yard.kill_depot()
    yard.fleet = own
    yard.start_depot()
    yard.until(lambda: "sign" not in faults(yard))


def hostile(folder: Path, entries: dict[str, bytes], compressed: bool = False) -> bytes:
    """A zip as an attacker would write it, around an honest manifest."""
    whole = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(whole, "w", method) as file:
        for path in sorted(folder.iterdir()):
            file.writestr(path.name, path.read_bytes())
        for name, content in entries.items():
            file.writestr(name, content)
    return whole.getvalue()


@pytest.mark.parametrize("attack", ["path traversal", "zip bomb"])
def test_bundle_that_bites(yard: Yard, device: Device, tmp_path: Path, attack: str) -> None:
    """Also one who holds the release key cannot write outside the store, or fill the disk."""
    folder = digits_folder(tmp_path, "2")
    if attack == "path traversal":
        content = hostile(folder, {"../../../../escaped": b"out"})
    else:
        content = hostile(folder, {"zeros.bin": bytes(64 * 1024 * 1024)}, compressed=True)
    packed_path = tmp_path / "hostile.zip"
    packed_path.write_bytes(content)
    refused = yard.push(packed_path)
    assert refused.code == 2 and "Traceback" not in refused.err
    with pytest.raises(Refused):
        bundle.inspect(packed_path)
    assert yard.phases("2") == [] and still_serves(yard)
    assert not list(tmp_path.rglob("escaped"))


def test_garbage_on_the_bell(yard: Yard, device: Device, tmp_path: Path) -> None:
    """Whoever may write to the broker rings with nonsense; the next true bell is heard."""
    bell = topics.bell(FLEET)
    for nonsense in (b"", b"{}", b"\xff" * 1000, msgspec.json.encode({"signed": {"version": 99}})):
        yard.listener.publish(bell, nonsense, retain=True)
    pushed = yard.push(digits(tmp_path, "2"), trial_s=1)
    assert pushed.code == 0, pushed.err
    assert yard.runs("2")
