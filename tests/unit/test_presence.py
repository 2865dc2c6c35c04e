"""Presence: old wills are corrected, and a second device of the same name is noticed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.presence import GAP_S, SUSPICION_S, Doorplate
from wire.link import Received
from wire.messages import Presence, parse, to_json


def plate() -> Doorplate:
    return Doorplate("home", "door-cam", "boot-1", "spool-1")


def said(payload: bytes | None) -> Presence:
    assert payload is not None
    return parse(payload, Presence)


def message(online: bool, session: str, spool: str, retained: bool = False) -> Received:
    word = Presence(online, "boot-1", session, spool)
    return Received("vedette/home/device/door-cam/presence", to_json(word), retained)


def test_the_will_names_the_session_that_it_ends() -> None:
    door = plate()
    will = door.will("s1")
    assert said(will.payload) == Presence(False, "boot-1", "s1", "spool-1")
    assert said(door.connected("s1", 0.0)) == Presence(True, "boot-1", "s1", "spool-1")


def test_an_old_will_is_corrected() -> None:
    door = plate()
    door.connected("s2", 0.0)
    door.heard(message(False, "s1", "spool-1"), 50.0)
    assert said(door.correction(50.0)) == Presence(True, "boot-1", "s2", "spool-1")
    assert door.correction(60.0) is None


def test_a_correction_that_came_too_soon_is_made_later() -> None:
    door = plate()
    door.connected("s2", 50.0)
    door.heard(message(False, "s1", "spool-1"), 50.1)
    assert door.correction(50.1) is None
    assert door.correction(50.0 + GAP_S) is not None


def test_our_own_word_is_right() -> None:
    door = plate()
    door.connected("s1", 0.0)
    door.heard(message(True, "s1", "spool-1"), 5.0)
    assert door.correction(5.0) is None
    assert door.rival(5.0) is None


def test_our_word_of_an_earlier_process_is_corrected_and_no_rival() -> None:
    door = plate()
    door.connected("s2", 0.0)
    door.heard(message(True, "s1", "spool-1", retained=True), 5.0)
    assert door.correction(5.0) is not None
    assert door.rival(5.0) is None


def test_another_device_of_the_same_name_is_noticed_until_it_is_long_gone() -> None:
    door = plate()
    door.connected("s1", 0.0)
    door.heard(message(True, "x", "spool-of-the-other"), 5.0)
    assert "door-cam" in (door.rival(5.0) or "")
    assert door.rival(5.0 + SUSPICION_S + 1) is None


def test_what_the_other_device_left_behind_is_no_rival() -> None:
    door = plate()
    door.connected("s1", 0.0)
    door.heard(message(True, "x", "spool-of-the-other", retained=True), 5.0)
    assert door.rival(5.0) is None


def test_being_thrown_out_is_a_sign_of_a_rival() -> None:
    door = plate()
    door.taken_over(7.0)
    assert door.rival(8.0) is not None


@given(st.binary(max_size=200))
def test_garbage_is_corrected(payload: bytes) -> None:
    door = plate()
    door.connected("s1", 0.0)
    door.heard(Received(door.topic, payload, retained=False), 5.0)
    assert door.correction(5.0) is not None
