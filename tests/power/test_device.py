"""A device after a power cut at any moment of its updates: nothing is unsaid, and it goes on."""

from __future__ import annotations

import hashlib
import heapq
import json
import random
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleet.roles.targets import targets_of
from fleet.signer.signer import Signer
from models import bundle
from models.store import Store
from tests.power.calls import Marked, Tree
from tests.power.cuts import Cut, check_complete, cuts, laid, scratch, some_cuts, told
from tests.power.device_life import UPDATES, config_of
from tests.power.real_agents import RealAgents
from tests.power.recorder import STRACE, Recording, record
from tests.power.survivor import DepotFolder, Survivor
from tests.rounds import rounds
from tests.small_fleet import rule
from wire.block.blocks import BLOCK
from wire.block.part import Part
from wire.config import Config
from wire.deployments import Gates
from wire.release import target_file
from wire.trust.trust import Trust

pytestmark = [
    pytest.mark.skipif(STRACE is None, reason="needs strace: run scripts/setup"),
    pytest.mark.slow,
    pytest.mark.timeout(rounds(120)),
]
LAST, SEED = "4", 5
ENDS = (" trial", " good", " rolled_back", " rejected")  # of marks


@dataclass(frozen=True)
class Life:
    """depot: as the life has left it. root: that the device trusts first. fleet: its folder."""

    recording: Recording
    fleet: Path
    depot: DepotFolder
    config: Config
    root: bytes
    digests: dict[str, str]  # of versions
    bundles: dict[str, bytes]  # by digest


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    with scratch() as place:
        fleet, device = place / "fleet", place / "device"
        (device / "state").mkdir(parents=True)
        argv = [sys.executable, "-m", "tests.power.device_life", str(fleet), str(device)]
        recording = record(argv, device / "state", place)
        check_complete(recording, device / "state")
        depot = fleet / "yard" / "depot"
        signer = Signer(depot)
        signer.close()
        named = [f for f in targets_of(signer.held.targets) if f.path.endswith(".zip")]
        versions = {f.path.split("/")[2]: f.digest for f in named}
        contents = {f.digest: (depot / target_file(f.path, f.digest)).read_bytes() for f in named}
        root = fleet / "yard" / "root.json"
        yield Life(
            recording, fleet, DepotFolder(depot), config_of(root), root.read_bytes(), versions,
            contents,
        )  # fmt: skip


def newest(marks: tuple[str, ...], word: str) -> list[list[str]]:
    """What was said with this word, the newest last."""
    return [mark.split()[1:] for mark in marks if mark.startswith(f"{word} ")]


def check_trust(trust: Trust, marks: tuple[str, ...]) -> None:
    """What the fleet was told to be believed is believed still."""
    told = newest(marks, "trusted")
    if told:
        believed = trust.trusted
        assert believed is not None
        now = (believed.root, believed.timestamp, believed.targets, believed.deployments)
        assert all(n >= int(t) for n, t in zip(now, told[-1], strict=True)), (now, told[-1])


def check_floor(folder: Path, marks: tuple[str, ...]) -> None:
    """Nothing older than what was told is taken from anybody."""
    for said in newest(marks, "trusted")[-1:]:
        for role, version in zip(("timestamp", "targets", "deployments"), said[1:], strict=True):
            kept = json.loads((folder / f"{role}.json").read_bytes())["signed"]["version"]
            assert kept >= int(version), (role, kept, version)
        assert (folder / "root_history" / f"{said[0]}.root.json").exists()


def test_what_is_believed(life: Life) -> None:
    count = 0
    every = list(cuts(life.recording, "updates/trust", rounds(1) - 1, blind="work/"))
    for cut in every[:: max(1, 3 // rounds(1))]:
        count += 1
        with told(cut), laid(cut.tree) as folder:
            check_trust(Trust(folder, life.root, life.depot, time.time), cut.marks)
            check_floor(folder, cut.marks)
            again = Trust(folder, life.root, life.depot, time.time)
            trusted = again.refresh()
            assert (trusted.root, trusted.targets) == (2, 6)
            assert again.deployment("lane") is not None
            check_trust(Trust(folder, life.root, life.depot, time.time), cut.marks)
            check_no_strays(folder)
    assert count > 60


def check_no_strays(folder: Path) -> None:
    """At most one small file is half written; it goes with the next news."""
    assert not (folder / "work").exists()
    assert len([path for path in folder.rglob("*") if path.name.endswith(".new")]) <= 1


def test_what_has_come(life: Life) -> None:
    count = 0
    for cut in cuts(life.recording, "updates/coming", rounds(2)):
        with told(cut), laid(cut.tree) as folder:
            for name in {name[:64] for name in cut.tree if name}:
                check_part(folder, name.strip("."), life)
                count += 1
    assert count > 20


def check_part(folder: Path, digest: str, life: Life) -> None:
    """What is claimed to be there is there, and the rest can come."""
    if digest not in life.bundles:  # the rest of a stray's name
        return
    content = life.bundles[digest]
    if (folder / f"{digest}.zip").exists():
        assert (folder / f"{digest}.zip").read_bytes() == content
        return
    blocks = [content[at : at + BLOCK] for at in range(0, len(content), BLOCK)]
    digests = b"".join(hashlib.sha256(block).digest() for block in blocks)
    part = Part(folder / f"{digest}.zip", len(content), digest, digests)
    lying = folder / f"{digest}.zip.part"
    for number, block in enumerate(blocks):
        if part.has(number):
            assert lying.read_bytes()[number * BLOCK : (number + 1) * BLOCK] == block
        else:
            assert part.write(number, block)
    assert part.finish().read_bytes() == content


def test_which_models_there_are(life: Life) -> None:
    for cut in cuts(life.recording, "models", rounds(1)):
        with told(cut), laid(cut.tree) as root:
            check_store(Store(root), cut.marks, life)


def check_store(store: Store, marks: tuple[str, ...], life: Life) -> None:
    state = store.pipeline("lane")
    assert not state.problems
    for digest in store.installed():
        assert bundle.folder_digest(store.folder(digest)) == digest
    assert {state.active, state.good} <= {None, *store.installed()}
    assert (state.trial is None) == (state.active == state.good)
    ended = {told[0]: told[1] for told in newest(marks, "phase")}
    good = [version for version, phase in ended.items() if phase == "good"]
    if good:
        assert state.good in {life.digests[good[-1]], life.digests[LAST]}
    for version, phase in ended.items():
        if phase in ("rejected", "rolled_back"):
            assert state.rejection(life.digests[version]) is not None
            assert state.active != life.digests[version]


def sample(recording: Recording, mixes: int, size: int) -> list[Cut]:
    """So many of the cuts; which ones has nothing to do with where they are."""
    every = cuts(recording, "", mixes, blind="updates/trust/work/")
    return heapq.nsmallest(size, every, key=lambda cut: hash_of(cut.tree))


def hash_of(tree: Tree) -> int:
    """The same for the same tree in every process."""
    words = "\0".join(f"{name} {content!r}" for name, content in tree.items())
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "big")


def test_whole_device(life: Life) -> None:
    sampled = sample(life.recording, 1, rounds(48))
    assert len(sampled) >= 48
    for cut in sampled:
        with told(cut), laid(cut.tree) as state:
            check_survivor(state, cut, life)


def check_survivor(state: Path, cut: Cut, life: Life) -> None:
    with Survivor(state, life.depot, life.config, life.root) as device:
        assert device.keeping.fault is None
        assert device.settings.damage is None
        assert device.commander.damage is None
        check_store(device.store, cut.marks, life)
        check_trust(device.trust, cut.marks)
        check_numbers(device, cut.marks)
        device.live(40)
        update = device.update
        assert update is not None
        assert (update.version, update.phase) == (LAST, "good"), device.told
        lane = device.store.pipeline("lane")
        assert lane.active == lane.good == life.digests[LAST]
        assert device.runtime.digest == lane.good
        device.sweep()
        assert device.store.installed() == (lane.good,)
    check_tidy(state)


def of_each_phase(recording: Recording) -> Iterator[Cut]:
    """One cut, by chance, after each thing of weight that the fleet was told; and before all."""
    found: dict[tuple[str, ...], list[int]] = {}
    weighty: tuple[str, ...] = ()
    for number, call in enumerate(recording.calls):
        if isinstance(call, Marked) and call.text.endswith(ENDS):
            weighty += (call.text,)
        found.setdefault(weighty, []).append(number)
    return some_cuts(recording, [random.Random(SEED).choice(some) for some in found.values()], SEED)


def test_a_real_agent_goes_on(life: Life, tmp_path: Path) -> None:
    """New processes of `vedette agent`, by real sockets and on the real clock."""
    chosen = list(of_each_phase(life.recording))
    assert len(chosen) == 8, [cut.marks for cut in chosen]
    shutil.copytree(life.fleet, tmp_path / "fleet")
    trees = [cut.tree for cut in chosen]
    with RealAgents(tmp_path, tmp_path / "fleet", trees, UPDATES) as agents:
        agents.fleet.deploy(rule(LAST, Gates(trial_s=1.0, first_result_s=20.0)))
        late = agents.until_good(life.digests[LAST], 90.0)
        assert not late, [(chosen[n].words, agents.devices[n].log("agent")) for n in late]
        for number, (device, cut) in enumerate(zip(agents.devices, chosen, strict=True)):
            with told(cut):
                device.stop("agent")
                assert device.starts("agent") == 1 and "Traceback" not in device.log("agent")
                check_store(agents.store(number), cut.marks, life)
                check_tidy(device.folder / "state")


def check_numbers(device: Survivor, marks: tuple[str, ...]) -> None:
    """No number of a record is given twice."""
    given = {(spool, int(seq)) for spool, seq in newest(marks, "record")}
    (fresh,) = device.keeping.append([("event", b"{}")], {})
    assert (fresh.spool, fresh.seq) not in given


def check_tidy(state: Path) -> None:
    """Nothing is left of what was under way, but for one small file that was half written."""
    left = [path for path in state.rglob("*") if not path.is_dir()]
    assert not [path.name for path in left if path.name.endswith((".part", ".have", ".zip"))]
    half = [path for path in left if path.name.endswith(".new")]
    assert len(half) <= 1
    assert not list((state / "updates" / "coming").glob("*"))
    assert not (state / "updates" / "trust" / "work").exists()
    assert {path.name for path in (state / "models" / "digests").iterdir()} == {
        Store(state / "models").pipeline("lane").good
    }
