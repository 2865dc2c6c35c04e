"""What operators may begin: forms, previews, jobs and uploads, without a network."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from fleet.actions import jobs as jobs_module
from fleet.actions import uploading
from fleet.actions.actions import Actions
from fleet.actions.deploying import fleet_of, preview, preview_back
from fleet.actions.jobs import Actor, Ended, Job, Jobs
from fleet.actions.office import MOST_ERRANDS, Office
from fleet.actions.place import load_command_key, served
from fleet.actions.progress import rollout_of
from fleet.actions.shelf import ReleaseLine, Shelf, VariantLine
from fleet.actions.uploading import Uploads
from fleet.asking import Note
from fleet.devices import Device
from fleet.folder import FleetFolder
from fleet.live.view import LiveView
from fleet.serve.acting.asked import form_of, wanted_of
from fleet.serve.acting.deploying import command_words
from tests.laws.sources import ROOT
from tests.telling import DIGEST, NOW_S, presence, state
from wire.config import Broker
from wire.deployments import Deployment, Rule
from wire.messages import Trusted, Update, UpdatePhase
from wire.signing import make_key
from wire.troubles import Refused, Unavailable

OLGA = Actor("olga", "192.0.2.7")
BOTH = (Rule("digits", "2", canaries=("b",), wave=0.0), Rule("digits", "1"))


@pytest.fixture
def folder(tmp_path: Path) -> FleetFolder:
    return FleetFolder(tmp_path, "yard", Broker("mqtt://127.0.0.1:9"))


class Trail:
    """Audits as the accounts do. broken: it cannot be written."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, ...]] = []
        self.broken = False

    def __call__(self, who: str, what: str, subject: str, outcome: str, address: str) -> None:
        if self.broken:
            raise Unavailable("the database does not answer")
        self.entries.append((who, what, subject, outcome, address))


@pytest.fixture
def trail() -> Trail:
    return Trail()


@pytest.fixture
def jobs(trail: Trail) -> Iterator[Jobs]:
    with closing(Jobs(trail)) as made:
        yield made


def ended(job: Job) -> Job:
    end_s = time.monotonic() + 20
    while not job.is_over:
        assert time.monotonic() < end_s
        time.sleep(0.005)
    return job


def doing(words: str) -> Callable[[Note], Ended]:
    return lambda note: Ended(words)


# --- jobs


def test_a_job_is_audited_before_and_after(jobs: Jobs, trail: Trail) -> None:
    def run(note: Note) -> Ended:
        assert trail.entries == [("olga", "begin deploy", "lane", "done", "192.0.2.7")]
        note("half\nway")
        return Ended("deployed", b"\xff\xd8\xff")

    job = ended(jobs.begin(OLGA, "deploy", "lane", "/rollout/lane", run))
    assert (job.status, job.words, job.lines) == ("done", "deployed", ["half way"])
    assert trail.entries[1:] == [("olga", "deploy", "lane: deployed", "done", "192.0.2.7")]
    assert jobs.find(job.id) is job and jobs.newest("/rollout/lane") == [job]
    assert jobs.newest("/models") == []


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (Refused("no such version"), "refused", "no such version"),
        (Unavailable("no depot"), "failed", "no depot"),
        (ZeroDivisionError("secret"), "failed", "a bug: ZeroDivisionError"),
    ],
)
def test_what_goes_wrong_is_said(
    jobs: Jobs, trail: Trail, error: Exception, status: str, words: str
) -> None:
    def run(note: Note) -> Ended:
        raise error

    job = ended(jobs.begin(OLGA, "deploy", "lane", "/", run))
    assert job.status == status and words in job.words and "secret" not in job.words
    assert trail.entries[-1][3] == status


def test_what_cannot_be_audited_is_not_begun(jobs: Jobs, trail: Trail) -> None:
    trail.broken = True
    began: list[bool] = []

    def run(note: Note) -> Ended:
        began.append(True)
        return Ended("")

    with pytest.raises(Unavailable, match="does not answer"):
        jobs.begin(OLGA, "deploy", "lane", "/", run)
    assert not began and jobs.newest("/") == []


def test_jobs_are_forgotten_one_day_and_never_too_many(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "MOST_JOBS", 5)
    monkeypatch.setattr(jobs_module, "MOST_WAITING", 3)
    first = ended(jobs.begin(OLGA, "a", "b", "/", doing("x")))
    for _ in range(7):
        ended(jobs.begin(OLGA, "a", "b", "/", doing("x")))
    assert jobs.find(first.id) is None and len(jobs.newest("/", 100)) <= 6
    go_on = threading.Event()

    def wait(note: Note) -> Ended:
        go_on.wait(20)
        return Ended("")

    waiting = [jobs.begin(OLGA, "a", "b", "/", wait) for _ in range(3)]
    with pytest.raises(Unavailable, match="too much"):
        jobs.begin(OLGA, "a", "b", "/", wait)
    go_on.set()
    for job in waiting:
        ended(job)
    jobs.close()
    with pytest.raises(Unavailable, match="the server ends"):
        jobs.begin(OLGA, "a", "b", "/", wait)


def test_a_process_ends_though_a_job_goes_on() -> None:
    code = (
        "import time, fleet.actions.jobs as j; jobs = j.Jobs(lambda *words: None);"
        "job = jobs.begin(j.Actor('olga', ''), 'a', 'b', '/', lambda note: time.sleep(100));"
        "time.sleep(0.1); assert job.status == 'running'; jobs.close()"
    )
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
    assert time.monotonic() - began_s < 50


def test_an_office_without_a_clerk_takes_no_errands_without_end(folder: FleetFolder) -> None:
    office = Office(served(folder), None)
    waiting = [office.ask(lambda desk: 1, print) for _ in range(MOST_ERRANDS)]
    with pytest.raises(Unavailable, match="too much"):
        office.ask(lambda desk: 1, print)
    office.fail(Unavailable("no broker"), NOW_S)
    for each in waiting:
        with pytest.raises(Unavailable, match="no broker"):
            each.result(0)
    assert (office.shelf.trouble, office.shelf.trouble_s) == ("no broker", NOW_S)
    office.fail(Unavailable("still no broker"), NOW_S + 9)
    assert office.shelf.trouble_s == NOW_S, "since when"


def test_what_is_told_to_have_failed_does_not_happen_later(
    folder: FleetFolder, trail: Trail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.actions.actions.DONE_S", 0.05)
    key = make_key(tmp_path / "command.pem")
    with closing(Actions(served(folder), key, LiveView(), trail)) as actions:
        actions.office.shelf = shelf()
        wanted = wanted_of(form_of([("model", "digits"), ("version", "2"), ("pipeline", "door")]))
        job = ended(actions.deploy(OLGA, wanted))
        assert (job.status, "nothing was changed" in job.words) == ("failed", True)
        errand = actions.office.next(0)
        assert errand is not None and errand.done.cancelled()


# --- forms


def test_a_form_says_what_is_wanted() -> None:
    pairs = [("model", "digits"), ("version", "1.2"), ("pipeline", "lane"), ("who", "share"),
             ("share", "12,5"), ("group", "a"), ("group", "b"), ("group", "a"), ("trial_s", "60"),
             ("p95_ms", "12.5"), ("retry", "1"), ("canaries", "door")]  # fmt: skip
    form = form_of(pairs)
    wanted = wanted_of(form)
    choice = wanted.choice
    assert (wanted.pipeline, wanted.model, wanted.version) == ("lane", "digits", "1.2")
    assert (choice.wave, choice.canaries, choice.groups) == (0.125, (), ("a", "b"))
    assert (choice.gates.trial_s, choice.gates.p95_ms, choice.retry) == (60, 12.5, True)
    assert form_of(form.pairs()) == form, "hidden fields say the same"
    everybody = wanted_of(form_of([("model", "m"), ("version", "1")]))
    assert (everybody.pipeline, everybody.choice.wave) == (None, 1.0)
    some = form_of([("model", "m"), ("version", "1"), ("who", "canaries"), ("canaries", "b, a;b")])
    assert wanted_of(some).choice.canaries == ("b", "a")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "a/b"), ("model", ""), ("version", "../1"), ("version", "\u0661"),
        ("pipeline", "<b>"), ("share", "1e9"), ("share", "NaN"), ("share", "\u0661"),
        ("share", "-1"), ("trial_s", "inf"), ("p95_ms", "1e999"), ("group", "a b"),
    ],
)  # fmt: skip
def test_a_form_that_cannot_be_meant(name: str, value: str) -> None:
    told = {"model": "m", "version": "1", "who": "share", "share": "10"} | {name: value}
    with pytest.raises(Refused):
        wanted_of(form_of(told.items()))


def test_canaries_have_names_and_an_end() -> None:
    for canaries in ("a/b", "door <script>", ",".join(f"d{n}" for n in range(201))):
        told = {"model": "m", "version": "1", "who": "canaries", "canaries": canaries}
        with pytest.raises(Refused, match="canaries"):
            wanted_of(form_of(told.items()))


# --- what would change, and how far it is


def shelf(*rules: Rule, retired: tuple[tuple[str, str], ...] = ()) -> Shelf:
    releases = tuple(
        ReleaseLine("digits", version, (VariantLine("tflite", (), None, 1, DIGEST, "p"),))
        for version in ("3", "2", "1")
        if ("digits", version) not in retired
    )
    deployments = (Deployment("door", rules),) if rules else ()
    trusted = Trusted(1, 2, 3, 4, NOW_S + 9999)
    return Shelf(trusted=trusted, releases=releases, retired=retired, deployments=deployments)


def device(name: str, phase: UpdatePhase | None = None, version: str = "1") -> Device:
    told = state()
    update = None
    if phase is not None:
        update = Update(phase, "digits", "2", DIGEST, 4, NOW_S - 7, reason="it is slow")
    pipelines = {
        each: msgspec.structs.replace(one, update=update, version=version)
        for each, one in told.pipelines.items()
    }
    return Device(
        name, presence=presence(True), state=msgspec.structs.replace(told, pipelines=pipelines)
    )


def test_a_preview_names_those_who_change() -> None:
    fleet = fleet_of("yard", [device("a"), device("b"), device("c")])
    wanted = wanted_of(form_of([("model", "digits"), ("version", "2"), ("pipeline", "door"),
                                ("who", "canaries"), ("canaries", "b")]))  # fmt: skip
    seen = preview(shelf(Rule("digits", "1")), fleet, wanted)
    assert (seen.takers, seen.now, seen.to) == (("b",), "digits 1 to all", "b")
    assert seen.then == "digits 2 to b; then digits 1 to all"
    again = preview(shelf(*BOTH), fleet, wanted)
    assert again.takers == () and again.remarks == ("it is so already: nothing would change",)
    form = form_of([("model", "digits"), ("version", "2"), ("pipeline", "door"),
                    ("who", "canaries"), ("canaries", "b c")])  # fmt: skip
    assert command_words(form, seen) == "vedette fleet deploy door digits 2 --canary b,c"
    copied = form_of([("model", "digits"), ("version", "2"), ("who", "canaries"),
                      ("canaries", "b;reboot"), ("p95_ms", "1,5")])  # fmt: skip
    assert command_words(copied, seen) == (
        "vedette fleet deploy door digits 2 --canary b,reboot --p95-ms 1.5"
    ), "a shell would do what comes after a semicolon"


def test_a_preview_refuses_what_is_retired_or_unknown() -> None:
    fleet = fleet_of("yard", [device("a")])

    def wanted(version: str, pipeline: str = "door") -> Shelf:
        preview(
            shelf(retired=(("digits", "2"),)),
            fleet,
            wanted_of(form_of([("model", "digits"), ("version", version), ("pipeline", pipeline)])),
        )
        return shelf()

    wanted("1")
    with pytest.raises(Refused, match="was retired"):
        wanted("2")
    with pytest.raises(Refused, match="there is no digits 7: released are 1, 3"):
        wanted("7")
    with pytest.raises(Refused, match="no device of fleet yard has a pipeline lane"):
        wanted("1", "lane")


def test_a_preview_of_a_roll_back() -> None:
    fleet = fleet_of("yard", [device("a"), device("b")])
    seen = preview_back(shelf(*BOTH), fleet, "door")
    assert (seen.version, seen.takers) == ("1", ("b",))
    with pytest.raises(Refused, match="nothing is deployed"):
        preview_back(shelf(), fleet, "door")
    with pytest.raises(Refused, match="no version is known from before"):
        preview_back(shelf(Rule("digits", "2"), Rule("digits", "1"), retired=(("digits", "1"),)),
                     fleet, "door")  # fmt: skip


@pytest.mark.parametrize(
    ("phase", "version", "stand"),
    [
        ("trial", "2", "busy"), ("good", "2", "good"), ("rolled_back", "1", "failed"),
        ("rejected", "1", "failed"), (None, "1", "waiting"),
    ],
)  # fmt: skip
def test_progress_is_what_devices_say(phase: UpdatePhase | None, version: str, stand: str) -> None:
    devices = [device("a"), device("b", phase, version)]
    digests = {("digits", each): frozenset((DIGEST,)) for each in "12"}
    rollout = rollout_of(Deployment("door", BOTH), devices, digests, NOW_S)
    first, second = rollout.rules
    assert (first.version, first.whole, first.counts[stand]) == ("2", 1, 1)
    assert first.devices[0].device == "b" and first.devices[0].stand == stand
    assert (second.version, second.counts["good"]) == ("1", 1)
    assert first.is_over == (stand in ("good", "failed"))
    if phase is not None:
        assert first.devices[0].since_s == NOW_S - 7


def test_who_is_offline_is_waited_for_by_nobody() -> None:
    gone = device("b")
    gone.presence, gone.online_s = presence(False), NOW_S - 999
    rollout = rollout_of(Deployment("door", BOTH), [gone], {}, NOW_S)
    assert rollout.rules[0].counts["offline"] == 1 and rollout.rules[0].is_over


# --- uploads and the key


async def pieces(*contents: bytes) -> AsyncIterator[bytes]:
    for content in contents:
        yield content


def receive(folder: FleetFolder, *contents: bytes) -> Path:
    return asyncio.run(Uploads(served(folder)).receive(pieces(*contents)))


def test_an_upload_is_written_for_us_alone(folder: FleetFolder) -> None:
    path = receive(folder, b"P", b"K\x03\x04", b"rest")
    assert path.read_bytes() == b"PK\x03\x04rest"
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent == folder.path / "uploads"
    Uploads(served(folder))
    assert not path.exists(), "what is there at the start is nobody's"


def test_uploads_that_are_refused_leave_nothing(
    folder: FleetFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "LARGEST", 100)
    for contents, words in (
        ((b"#!/bin/sh",), "no bundle"),
        ((), "nothing came"),
        ((b"PK", b"x" * 99), "at most"),
    ):
        with pytest.raises(Refused, match=words):
            receive(folder, *contents)
    with monkeypatch.context() as patch:
        patch.setattr(uploading, "LEAST_FREE", 1 << 62)
        with pytest.raises(Unavailable, match="nearly full"):
            receive(folder, b"PK")
    assert list((folder.path / "uploads").iterdir()) == []


def test_who_goes_away_leaves_nothing_and_blocks_nobody(folder: FleetFolder) -> None:
    uploads = Uploads(served(folder))

    async def breaks() -> AsyncIterator[bytes]:
        yield b"PK"
        raise ConnectionResetError

    async def hangs() -> AsyncIterator[bytes]:
        yield b"PK"
        await asyncio.sleep(60)

    async def all_of_it() -> None:
        for _ in range(5):
            with pytest.raises((ConnectionResetError, Unavailable)):
                await uploads.receive(breaks())
        hanging = [asyncio.create_task(uploads.receive(hangs())) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(Unavailable, match="others are uploading"):
            await uploads.receive(pieces(b"PK"))
        for each in hanging:
            each.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        (await uploads.receive(pieces(b"PK"))).unlink()

    asyncio.run(all_of_it())
    assert list((folder.path / "uploads").iterdir()) == []


def test_the_root_of_a_server_is_the_operators_or_the_depots(folder: FleetFolder) -> None:
    own = served(folder)
    assert own.root == folder.path / "depot" / "metadata" / "1.root.json"
    (folder.path / "root.json").write_text("{}")
    assert own.root == folder.path / "root.json"


def test_the_command_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("VEDETTE_PASSPHRASE", raising=False)
    plain = make_key(tmp_path / "plain.pem")
    assert load_command_key(tmp_path / "plain.pem", None).public == plain.public
    assert not caplog.records
    (tmp_path / "plain.pem").chmod(0o644)
    load_command_key(tmp_path / "plain.pem", None)
    assert "others may read" in caplog.text
    locked = make_key(tmp_path / "locked.pem", b"a long passphrase")
    (tmp_path / "phrase").write_text("a long passphrase\n")
    assert load_command_key(tmp_path / "locked.pem", tmp_path / "phrase").public == locked.public
    with pytest.raises(Refused):
        load_command_key(tmp_path / "locked.pem", None)
    with pytest.raises(Unavailable):
        load_command_key(tmp_path / "none.pem", None)


@pytest.mark.parametrize("name", ["../../escaped", "/etc/passwd", "manifest.toml"])
def test_a_bundle_that_bites_goes_nowhere(folder: FleetFolder, name: str) -> None:
    """Refused before anybody is asked to take it: here no broker is."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as bites:
        bites.writestr(name, b"schema = 1\n" * 1000)
    path = receive(folder, content.getvalue())
    with pytest.raises(Refused, match=r"mine\.zip") as refused:
        uploading.offer(served(folder), path, "mine.zip", print)
    assert str(folder.path) not in str(refused.value)
    assert not path.exists() and not (folder.path.parent / "escaped").exists()
