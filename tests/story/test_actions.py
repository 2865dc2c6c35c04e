"""What operators do on the page reaches real brokers, depots and devices; viewers do nothing."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from msgspec.structs import replace

from models import bundle, manifest
from models.manifest import Card, Measured
from tests.acting_yard import ActingYard, acting_yard
from tests.fleet_web import OPERATOR, VIEWER, Browser
from tests.yard import digits, digits_folder

pytestmark = pytest.mark.slow
SCRIPT = {"x_requested_by": "script"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActingYard]:
    with acting_yard(tmp_path_factory.mktemp("acting")) as made:
        made.simulate(2)
        door = made.yard.device(tables="[commands]\nsnapshot = true\n")
        door.start("agent")
        door.start("lane")
        made.until(lambda: len(made.web.parts.live.sight.lines) == 3)
        for version in ("1", "2"):
            bundle_of = str(digits(made.yard.folder, version))
            done = made.yard.run("fleet", "push", bundle_of, "--no-deploy")
            assert done.code == 0, done.err
        made.until(lambda: made.web.parts.actions.shelf.release("digits", "2"))
        yield made


@pytest.fixture(scope="module")
def operator(scene: ActingYard) -> Iterator[Browser]:
    with scene.web.browser(OPERATOR) as browser:
        yield browser


@pytest.fixture(scope="module")
def viewer(scene: ActingYard) -> Iterator[Browser]:
    with scene.web.browser(VIEWER) as browser:
        yield browser


def audit(scene: ActingYard) -> list[tuple[str, str, str]]:
    """The newest first."""
    return [(one.who, one.what, one.outcome) for one in scene.web.accounts.entries(20)]


def until_over(scene: ActingYard, link: str) -> None:
    jobs = scene.web.parts.actions.jobs
    scene.until(lambda: jobs.newest(link) and all(job.is_over for job in jobs.newest(link)))


def deployed(scene: ActingYard, operator: Browser, *versions: str) -> None:
    """These are deployed, one after the other, unless a test before this one has deployed any."""
    if scene.web.parts.actions.rollouts("lane"):
        return
    for version in versions:
        form = {"model": "digits", "version": version, "pipeline": "lane", "who": "all"}
        assert operator.post("/deploy", form | {"trial_s": "2"}).status_code == 303
        until_over(scene, "/rollout/lane")
    scene.until(lambda: scene.web.parts.actions.rollouts("lane"))


def upload(browser: Browser, content: bytes, named: str = "digits.zip") -> httpx.Response:
    headers = {"origin": browser.home, "x-csrf-token": browser.csrf, "x-file-name": named,
               "content-type": "application/octet-stream"}  # fmt: skip
    return browser.client.post("/models/candidates", content=content, headers=headers)


def test_a_version_is_deployed_and_devices_become_good(
    scene: ActingYard, operator: Browser
) -> None:
    assert "digits" in operator.get("/models").text
    form = {"model": "digits", "version": "1", "pipeline": "lane", "who": "all", "trial_s": "2"}
    check = operator.client.get("/deploy/check", params=form)
    assert check.status_code == 200
    assert "3 of 3 devices: door, simulated-1, simulated-2" in check.text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', check.text))
    assert hidden.pop("csrf") == operator.csrf
    answer = operator.post("/deploy", hidden)
    assert (answer.status_code, answer.headers["location"]) == (303, "/rollout/lane")
    until_over(scene, "/rollout/lane")
    (job,) = scene.web.parts.actions.jobs.newest("/rollout/lane")
    assert (job.status, job.who) == ("done", OPERATOR), job.words

    def counts() -> dict[str, int]:
        (rollout,) = scene.web.parts.actions.rollouts("lane")
        return rollout.rules[0].counts

    scene.until(lambda: scene.web.parts.actions.rollouts("lane"))
    scene.until(lambda: counts()["good"] == 3)
    page = operator.get("/rollout/lane").text
    assert "digits 1" in page and page.count('data-stand="good"') == 3
    assert "deployed" in operator.get("/jobs?link=/rollout/lane").text
    assert audit(scene)[:2] == [(OPERATOR, "deploy", "done"), (OPERATOR, "begin deploy", "done")]


def test_a_wave_and_a_roll_back(scene: ActingYard, operator: Browser) -> None:
    deployed(scene, operator, "1")
    form = {"model": "digits", "version": "2", "pipeline": "lane", "who": "canaries",
            "canaries": "simulated-2", "trial_s": "2"}  # fmt: skip
    assert operator.post("/deploy", form).status_code == 303
    until_over(scene, "/rollout/lane")

    def rollouts() -> list[tuple[str, dict[str, int]]]:
        found = scene.web.parts.actions.rollouts("lane")
        return [(rule.version, rule.counts) for rule in found[0].rules] if found else []

    scene.until(lambda: [(v, c["good"]) for v, c in rollouts()] == [("2", 1), ("1", 2)])
    back = operator.get("/rollout/lane/back").text
    assert "1 of 3 devices: simulated-2" in back and "to digits 1" in back
    assert operator.post("/rollout/lane/back", {}).status_code == 303
    until_over(scene, "/rollout/lane")
    scene.until(lambda: [(v, c["good"]) for v, c in rollouts()] == [("1", 3)])
    again = operator.get("/rollout/lane/back")
    assert again.status_code == 400 and "no version is known from before" in again.text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"version": "77"}, "there is no digits 77"),
        ({"model": "a b"}, "model:"),
        ({"pipeline": "nowhere"}, "no device of fleet yard has a pipeline nowhere"),
        ({"who": "canaries", "canaries": "ghost"}, "ghost"),
        ({"who": "canaries", "canaries": ""}, "name one device"),
        ({"who": "share", "share": "0"}, "share:"),
        ({"who": "share", "share": "101"}, "share:"),
        ({"trial_s": "-5"}, "trial:"),
        ({"p95_ms": "<script>"}, "p95:"),
    ],
)
def test_what_cannot_be_meant_is_said_at_the_form(
    scene: ActingYard, operator: Browser, changed: dict[str, str], words: str
) -> None:
    form = {"model": "digits", "version": "1", "pipeline": "lane", "who": "all"} | changed
    answer = operator.client.get("/deploy/check", params=form)
    assert answer.status_code == 400
    assert words in answer.text and "<script>alert" not in answer.text
    before = len(audit(scene))
    posted = operator.post("/deploy", form)
    assert posted.status_code == 400
    assert len(audit(scene)) == before, "nothing was begun"


def test_a_device_is_commanded_and_its_answer_shown(scene: ActingYard, operator: Browser) -> None:
    """A real one, by the key that the fleet's signed metadata names."""
    link = "/device/door"
    watch = {"verb": "watch", "minutes": "5"}
    answer = operator.post(f"{link}/command", watch, **SCRIPT)
    assert answer.status_code == 202 and "command" in answer.text
    until_over(scene, link)
    shown = operator.get(f"/jobs?link={link}").text
    assert "door: watch 5" in shown and "telemetry every 10 s for 5 minutes" in shown
    by_form = operator.post(f"{link}/command", {"verb": "status"})
    assert by_form.status_code == 303
    page = by_form.headers["location"]
    assert operator.get(page).status_code == 200
    until_over(scene, link)
    assert "door: vedette" in operator.get(page).text
    assert audit(scene)[0] == (OPERATOR, "command", "done")


def test_a_picture_is_taken(scene: ActingYard, operator: Browser, viewer: Browser) -> None:
    posted = operator.post("/device/door/command", {"verb": "snapshot"})
    until_over(scene, "/device/door")
    (job, *_) = scene.web.parts.actions.jobs.newest("/device/door")
    assert job.status == "done", job.words
    path = f"{posted.headers['location']}/picture"
    picture = operator.get(path)
    assert picture.content.startswith(b"\xff\xd8\xff")
    assert picture.headers["content-type"] == "image/jpeg"
    assert "no-store" in picture.headers["cache-control"]
    assert viewer.get(path).status_code == 403


def test_commands_that_cannot_be_meant(scene: ActingYard, operator: Browser) -> None:
    before = audit(scene)
    for form in ({"verb": "set"}, {"verb": "watch", "minutes": "5000"}, {}):
        assert operator.post("/device/door/command", form).status_code == 400
    assert operator.post("/device/ghost/command", {"verb": "status"}).status_code == 404
    assert audit(scene) == before
    nowhere = {"verb": "restart", "pipeline": "nowhere"}
    assert operator.post("/device/door/command", nowhere).status_code == 303
    until_over(scene, "/device/door")
    (job, *_) = scene.web.parts.actions.jobs.newest("/device/door")
    assert job.status == "refused" and "there is no pipeline nowhere" in job.words
    assert audit(scene)[0] == (OPERATOR, "command", "refused")


def test_a_bundle_is_dropped_and_waits_for_a_signature(
    scene: ActingYard, operator: Browser
) -> None:
    folder = digits_folder(scene.yard.folder, "9")
    card = Card(accuracy=(Measured("top1", 0.9883, "<b>yard</b>"),))
    manifest.write(folder, replace(manifest.load(folder), card=card))
    packed = folder.with_suffix(".zip")
    bundle.pack(folder, packed)
    answer = upload(operator, packed.read_bytes())
    assert answer.status_code == 202, answer.text
    until_over(scene, "/models")
    (job, *_) = scene.web.parts.actions.jobs.newest("/models")
    assert job.status == "done" and "vedette fleet sign" in job.words, job.words
    scene.until(lambda: [one.version for one in scene.web.parts.actions.shelf.candidates] == ["9"])
    page = operator.get("/models").text
    assert "vedette fleet sign" in page
    assert scene.web.parts.actions.shelf.release("digits", "9") is None, "nobody can deploy it"
    digest = scene.web.parts.actions.shelf.candidates[0].digest
    assert scene.yard.run("fleet", "sign", "--yes", digest).code == 0
    scene.until(lambda: scene.web.parts.actions.shelf.release("digits", "9"))
    scene.until(lambda: not scene.web.parts.actions.shelf.candidates)
    release = operator.get("/models/digits/9").text
    assert "Golden answers" in release and digest in release
    assert "98.83 % on &lt;b&gt;yard&lt;/b&gt;" in release, "as its card has it, and not as HTML"
    assert "golden-4.png" in release and "97.3 %" in release and "no device has told" in release
    place = f"/models/digits/9/golden/{digest}"
    picture = operator.get(f"{place}/1")
    assert picture.content == (folder / "golden-1.png").read_bytes()
    assert picture.headers["content-type"] == "image/png"
    assert picture.headers["x-content-type-options"] == "nosniff"
    for other in (f"{place}/0", f"{place}/5", f"/models/digits/9/golden/{'0' * 64}/1"):
        assert operator.get(other).status_code == 404
    assert list(scene.web.parts.actions.folder.uploads.iterdir()) == []


def test_what_is_no_bundle_is_refused(scene: ActingYard, operator: Browser) -> None:
    assert upload(operator, b"").status_code == 400
    assert upload(operator, b"#!/bin/sh\nrm -rf /").status_code == 400
    torn = digits(scene.yard.folder, "10").read_bytes()
    assert upload(operator, torn[: len(torn) // 2], "../../torn<b>.zip").status_code == 202
    until_over(scene, "/models")
    (job, *_) = scene.web.parts.actions.jobs.newest("/models")
    assert job.status == "refused" and "uploads/" not in job.words, job.words
    assert "<b>" not in operator.get("/jobs?link=/models").text
    assert list(scene.web.parts.actions.folder.uploads.iterdir()) == []


def test_a_rollout_that_stands_still_says_nothing_new(scene: ActingYard, operator: Browser) -> None:
    """Though it shows how long ago each job was."""
    said: list[str] = []
    with operator.client.stream("GET", "/rollout/lane/live") as stream:
        for line in stream.iter_lines():
            said += [line.removeprefix("event: ")] if line.startswith("event:") else []
            if len(said) >= 5:
                break
    assert said == ["rollout", "beat", "beat", "beat", "beat"]


def test_viewers_see_and_do_nothing(scene: ActingYard, viewer: Browser) -> None:
    for path in ("/models", "/models/digits/1", "/rollout/lane"):
        page = viewer.get(path)
        assert page.status_code == 200
        assert "Deploy" not in page.text and "drop" not in page.text, path
    for path in ("/deploy", "/deploy/check", "/rollout/lane/back", "/jobs", "/job/x"):
        assert viewer.get(path).status_code == 403, path
    form = {"model": "digits", "version": "1", "pipeline": "lane", "verb": "status"}
    for path in ("/deploy", "/rollout/lane/back", "/device/door/command"):
        assert viewer.post(path, form).status_code == 403, path
    assert upload(viewer, b"PK").status_code == 403
    done = [what for who, what, outcome in audit(scene) if who == VIEWER and outcome == "done"]
    assert done in ([], ["sign in"])


def test_without_a_csrf_token_nothing_happens(scene: ActingYard, operator: Browser) -> None:
    form = {"model": "digits", "version": "2", "pipeline": "lane"}
    for path in ("/deploy", "/rollout/lane/back", "/device/door/command"):
        assert operator.post(path, form, x_csrf_token="").status_code == 403, path
        assert operator.post(path, form, origin="https://evil.example").status_code == 403, path


def test_two_operators_deploy_one_after_the_other(scene: ActingYard, operator: Browser) -> None:
    """Neither overtakes the other, and nobody gets an error that he cannot mend."""
    form = {"model": "digits", "pipeline": "lane", "who": "all", "trial_s": "2"}
    answers: list[int] = []

    def deploy(version: str) -> None:
        answers.append(operator.post("/deploy", form | {"version": version}).status_code)

    threads = [threading.Thread(target=deploy, args=(version,)) for version in ("1", "2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [303, 303]
    until_over(scene, "/rollout/lane")
    jobs = scene.web.parts.actions.jobs.newest("/rollout/lane", 2)
    assert [job.status for job in jobs] == ["done", "done"], [job.words for job in jobs]


def test_a_depot_that_is_away_is_said_and_comes_back(scene: ActingYard, operator: Browser) -> None:
    """Last: it ends the depot."""
    deployed(scene, operator, "1", "2")
    scene.yard.kill_depot()
    began_s = time.monotonic()
    answer = operator.post("/rollout/lane/back", {})
    assert answer.status_code == 303, answer.text
    until_over(scene, "/rollout/lane")
    (job, *_) = scene.web.parts.actions.jobs.newest("/rollout/lane")
    assert job.status in ("failed", "refused"), (job.status, job.words)
    assert time.monotonic() - began_s < 60
    scene.until(lambda: scene.web.parts.actions.shelf.trouble is not None)
    assert "cannot be read now" in operator.get("/models").text
    scene.yard.start_depot()
    scene.until(lambda: scene.web.parts.actions.shelf.trouble is None)
    assert "cannot be read now" not in operator.get("/models").text
