"""What became of a version before, and what it must show: as pages say it, from a real registry."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleet.actions.jobs import Actor, Ended
from fleet.actions.shelf import ReleaseLine, Shelf, VariantLine
from fleet.actions.tried import LOOK_S, Tried, Tries, tried_of
from fleet.registry.words import Heard, PhaseStep, UpdateLife, UpdateQuery
from fleet.serve.acting.terms import ELSEWHERE, terms_of
from models import manifest
from models.manifest import Floors, Limits
from tests.fleet_web import OPERATOR, Browser, Web, web
from tests.laws.sources import ROOT
from tests.telling import DIGEST, event, presence, state
from wire.deployments import Gates
from wire.messages import Trusted, Update, UpdatePhase, to_json
from wire.troubles import Unavailable

ASK = {"model": "digits", "version": "3", "pipeline": "lane"}


def life(device: str, phase: UpdatePhase, reason: str | None = None) -> UpdateLife:
    steps = (PhaseStep("checking", 1.0), PhaseStep(phase, 2.0, reason=reason))
    return UpdateLife(device, "lane", "digits", "3", DIGEST, 4, phase, 1.0, 2.0, steps)


def test_a_device_counts_once_by_its_newest_end() -> None:
    assert tried_of([]) is None and tried_of([life("a", "trial")]) is None
    good = tried_of([life("a", "good"), life("a", "rolled_back", "it was slow")])
    assert good == Tried(1), "it tried again, and it went well"
    some = tried_of(
        [
            life("a", "fetching"),
            life("a", "rejected", "wrong\nanswer"),
            life("b", "rolled_back", "slow"),
            life("c", "good"),
        ]
    )
    assert some == Tried(3, 1, 1, "wrong answer") and some is not None
    assert some.words == "tried on 3 devices, rejected on 1 and rolled back on 1: wrong answer"
    all_of_them = tried_of([life("a", "rolled_back"), life("b", "rolled_back")])
    assert all_of_them is not None
    assert all_of_them.words == "tried on 2 devices, rolled back: it does not say why"


def test_many_pages_ask_the_registry_once() -> None:
    asked: list[UpdateQuery] = []
    now_s = 1000.0

    def ask(query: UpdateQuery) -> tuple[UpdateLife, ...]:
        asked.append(query)
        if len(asked) == 2:
            raise Unavailable("the database does not answer")
        return (life("a", "rejected", "slow"),) * len(asked)

    tries = Tries(lambda: now_s)
    for _ in range(3):
        found = tries.of("digits", "3", ask)
        assert found is not None and found.failed == 1
    assert len(asked) == 1
    now_s += LOOK_S
    assert tries.of("digits", "3", ask) == found, "what was known before"
    assert len(asked) == 2


def test_what_is_asked_of_it_is_the_stricter() -> None:
    zoo = manifest.load(ROOT / "models" / "zoo" / "digits" / "tflite")
    card = replace(zoo, floors=Floors(trial_s=60, score_drop=0.2), limits=Limits(p95_ms=20.0))
    told = dict(terms_of(Gates(trial_s=600, p95_ms=30), [card]))
    assert told == {
        "On trial for": "10 min at least",
        "p95 of inference": "20 ms at most",
        "Memory": "no limit",
        "Mean score": "at most 0.2 lower",
    }
    other = replace(card, floors=Floors(), limits=Limits(p95_ms=7.5, memory_mb=64))
    both = dict(terms_of(Gates(), [card, other, None]))
    assert both["On trial for"] == "60 s at least, or 5 min at least"
    assert both["Memory"] == "no limit, or 64 MB at most"
    assert both["Mean score"] == "at most 0.2 lower, or no limit"
    assert both["Beside that"] == ELSEWHERE
    assert dict(terms_of(Gates(), []))["On trial for"] == "5 min at least"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Web]:
    """With digits 3 and 4 released, and two devices of which each gave 3 up."""
    with web(tmp_path) as made:
        variant = VariantLine("tflite", (), None, 1, DIGEST, "p")
        other = VariantLine("tflite", (), None, 1, "1" * 64, "q")
        made.parts.actions.office.shelf = Shelf(
            trusted=Trusted(1, 2, 3, 4, time.time() + 9999),
            releases=(
                ReleaseLine("digits", "4", (other,)),
                ReleaseLine("digits", "3", (variant,)),
            ),
            at_s=time.time(),
        )
        for device, phase in (("a", "rejected"), ("b", "rolled_back")):
            made.hear(*said(device, phase), now_s=time.time())
        yield made


def said(device: str, phase: UpdatePhase) -> list[Heard]:
    at_s = time.time()
    told = state(pipelines=("lane",))
    update = Update(phase, "digits", "3", DIGEST, 4, at_s, reason="<b>slow</b>")
    now = replace(told.pipelines["lane"], update=update, version="1", digest="0" * 64)
    told = replace(told, pipelines={"lane": now})
    ended = replace(event(0, "tried", "update", at_s), pipeline="lane", update=update)
    return [
        Heard(device, "event", to_json(ended), at_s),
        Heard(device, "presence", to_json(presence(True)), at_s),
        Heard(device, "state", to_json(told), at_s),
    ]


@pytest.fixture
def operator(served: Web) -> Iterator[Browser]:
    with served.browser(OPERATOR) as browser:
        yield browser


def test_pages_say_what_failed_before(operator: Browser) -> None:
    page = operator.get("/models").text
    assert "tried on 2 devices, rejected on 1 and rolled back on 1: &lt;b&gt;slow" in page
    assert page.count("no device yet") == 1, "of digits 4"
    assert "it was tried on 2 devices" in operator.get("/models/digits/3").text
    check = operator.client.get("/deploy/check", params=ASK).text
    assert "digits 3 was tried on 2 devices" in check
    assert "do not try it again, unless" in check
    again = operator.client.get("/deploy/check", params=ASK | {"retry": "1"}).text
    assert "devices where it failed try it again" in again
    fresh = operator.client.get("/deploy/check", params=ASK | {"version": "4"}).text
    assert "was tried" not in fresh


def test_a_preview_says_what_it_must_show(operator: Browser) -> None:
    told = operator.client.get("/deploy/check", params=ASK | {"trial_s": "900", "p95_ms": "12.5"})
    for words in ("On trial for</dt><dd>15 min at least", "12.5 ms at most", ELSEWHERE):
        assert words in told.text


def test_what_waited_for_a_signature_goes_when_it_is_signed(served: Web, operator: Browser) -> None:
    jobs = served.parts.actions.jobs
    for digest in (DIGEST, "2" * 64):
        words = f"vedette fleet sign {digest[:12]}"
        job = jobs.begin(
            Actor("olga", ""), "hand over", "x.zip", "/models",
            lambda note, words=words, digest=digest: Ended(words, awaits=digest),
        )  # fmt: skip
        end_s = time.monotonic() + 20
        while not job.is_over:
            assert time.monotonic() < end_s
            time.sleep(0.01)
    for path in ("/models", "/jobs?link=/models"):
        page = operator.get(path).text
        assert "fleet sign 222222222222" in page, "it waits still"
        assert f"fleet sign {DIGEST[:12]}" not in page
