"""How checks of a model went, by what devices said of their updates."""

from __future__ import annotations

from fleet.registry.words import PhaseStep, UpdateLife
from fleet.serve.acting.checks import Failure, checks_of, verdict_of
from wire.messages import UpdatePhase

DIGEST, OTHER = "a" * 64, "b" * 64
WRONG = "/var/lib/vedette/models/aa: golden sample golden-2.png: expected 3, found 8 (0.71)"


def life(
    device: str, *phases: UpdatePhase, reason: str | None = None, digest: str | None = DIGEST
) -> UpdateLife:
    """reason: of the last phase."""
    last = len(phases) - 1
    steps = tuple(
        PhaseStep(phase, 100.0 + place, None, reason if place == last else None)
        for place, phase in enumerate(phases)
    )
    return UpdateLife(
        device, "lane", "digits", "3", digest, 4, phases[-1], 100.0, 100.0 + last, steps
    )


def test_a_trial_follows_a_check_that_passed() -> None:
    assert verdict_of(life("door", "fetching", "staged", "checking", "trial")) == "passed"
    assert verdict_of(life("door", "checking", "trial", "good")) == "passed"
    assert verdict_of(life("door", "checking", "trial", "rolled_back", reason="slow")) == "passed"


def test_what_was_not_checked_is_no_verdict() -> None:
    assert verdict_of(life("door", "fetching")) is None
    assert verdict_of(life("door", "good")) is None, "it was good before: no check is needed"
    assert verdict_of(life("door", "fetching", "rejected", reason="too large")) is None
    assert verdict_of(life("door", "checking", "staged")) is None, "put off"


def test_a_golden_sample_that_came_out_wrong_is_named() -> None:
    found = verdict_of(life("door", "staged", "checking", "rejected", reason=WRONG))
    assert found == Failure("door", 102.0, "golden-2.png", "expected 3, found 8 (0.71)")
    other = verdict_of(life("door", "checking", "rejected", reason="it takes 900 MB, 512 may be"))
    assert isinstance(other, Failure) and other.picture == "" and "900 MB" in other.why


def test_a_device_counts_once_by_its_newest_check() -> None:
    lives = [
        life("door", "checking", "trial", "good"),
        life("door", "checking", "rejected", reason=WRONG),
        life("gate", "checking", "rejected", reason=WRONG),
        life("gate", "checking", "rejected", reason="it ran out of memory", digest=OTHER),
        life("yard", "staged", "checking"),
        life("hall", "rejected", digest=None),
    ]
    found = checks_of(lives)
    assert set(found) == {DIGEST, OTHER}
    one = found[DIGEST]
    assert (one.passed, one.failed, one.checking) == (1, 1, 1)
    assert [each.device for each in one.wrong("golden-2.png")] == ["gate"]
    assert one.wrong("golden-1.png") == () and one.others == () and one.golden == 1
    assert [each.why for each in found[OTHER].others] == ["it ran out of memory"]


def test_words_of_a_device_are_one_printable_line() -> None:
    told = "golden sample \x1b[31m.png: " + "x\n" * 900
    found = verdict_of(life("door", "checking", "rejected", reason=told))
    assert isinstance(found, Failure) and len(found.why) <= 300 and "\n" not in found.why
