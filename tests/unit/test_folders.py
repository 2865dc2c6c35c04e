"""Where a device's processes find each other: options, what systemd says, and neither."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from wire.folders import CONFIG, RUN, STATE, Folders, add_folder_options, folders_of


def folders(*words: str) -> Folders:
    parser = argparse.ArgumentParser()
    add_folder_options(parser)
    return folders_of(parser.parse_args(words))


@pytest.fixture(autouse=True)
def no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(variable, raising=False)


def test_options_go_before_systemd_and_systemd_before_the_usual(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert folders() == Folders(CONFIG, STATE, RUN)
    monkeypatch.setenv("STATE_DIRECTORY", "/s")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/r")
    assert folders() == Folders(CONFIG, Path("/s"), Path("/r"))
    assert folders("--state", "x", "--run", "/y", "--config", "/z") == Folders(
        Path("/z"), Path.cwd() / "x", Path("/y")
    )


@pytest.mark.parametrize(
    ("said", "state"), [("/s:/t", Path("/s")), (":/t", Path("/t")), ("", STATE), (":", STATE)]
)
def test_systemd_may_name_several_folders_or_none(
    said: str, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", said)
    monkeypatch.setenv("RUNTIME_DIRECTORY", said)
    assert folders().state == state
    assert folders().run == (RUN if state == STATE else state)


@pytest.mark.parametrize("option", ["--config", "--state", "--run"])
@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_path_is_refused(
    option: str, empty: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        folders(option, empty)
    assert f"argument {option}: it is empty: name a path" in capsys.readouterr().err
