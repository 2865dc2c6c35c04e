"""vedette.toml: what is right is taken, what is wrong is named by file, line, key and a way out."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire import config
from wire.config import Config, Pipeline, PipelineLimits
from wire.troubles import Refused, Trouble, Unavailable

KEY = "a1" * 32
GOOD = f"""\
fleet = "home"
device = "door"
groups = ["entrance", "street"]

[broker]
url = "mqtts://broker:8883"
username = "door"
password_file = "/etc/vedette/password"
ca_file = "/etc/vedette/ca.pem"
certificate_file = "/etc/vedette/device.pem"
key_file = "/etc/vedette/device.key"

[telemetry]
period_s = 30
acknowledged_by = "registry"

[commands]
keys = ["{KEY}"]
snapshot = true

[home_assistant]
discovery = true

[pipeline.door]
camera = "v4l2:///dev/video0?fps=10"
model = "digits"
threads = 2

[pipeline.door.limits]
p95_ms = 50

[pipeline.yard]
camera = "synthetic://64x48"
model = "/opt/models/yard"
"""


def parsed(text: str) -> Config:
    return config.parse(text, "v.toml")


def test_a_good_file_becomes_a_frozen_struct() -> None:
    meant = parsed(GOOD)
    assert (meant.fleet, meant.device, meant.groups) == ("home", "door", ("entrance", "street"))
    assert meant.telemetry.period_s == 30.0 and meant.telemetry.acknowledged_by == "registry"
    assert meant.commands.keys == (KEY,) and meant.commands.snapshot
    assert meant.pipeline["door"] == Pipeline(
        "v4l2:///dev/video0?fps=10", "digits", threads=2, limits=PipelineLimits(p95_ms=50.0)
    )
    assert list(meant.pipeline) == ["door", "yard"]
    with pytest.raises(AttributeError):
        meant.fleet = "x"  # type: ignore[misc]


def test_little_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "attic-pi.lan")
    meant = parsed('[broker]\nurl = "mqtt://localhost"\n')
    assert (meant.device, meant.fleet, meant.pipeline) == ("attic-pi", "home", {})
    assert not meant.commands.snapshot and not meant.home_assistant.discovery


@pytest.mark.parametrize("name", ["", "caf\u00e9", "a" * 65, "two words"])
def test_a_machine_without_a_usable_name_asks_for_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    with pytest.raises(Refused, match=r"^v\.toml: device: missing, and the machine's own name"):
        parsed('[broker]\nurl = "mqtt://localhost"\n')


# what is changed in GOOD, and what is said of it
BAD = {
    "an unknown key": ("groups =", "group =", r":3: group: .*did you mean groups\?"),
    "an unknown table": ("[telemetry]", "[telemetri]", r":13: telemetri: .*did you mean telemetry"),
    "an unknown key in a table": ("ca_file", "ca_fil", r":9: broker.ca_fil: .*mean ca_file\?"),
    "a password itself": (
        'password_file = "/etc/vedette/password"',
        'password = "x"',
        r":8: broker.password: .*did you mean password_file\?",
    ),
    "an unknown key of a pipeline": (
        "threads = 2",
        "thread = 2",
        r":27: pipeline\.door\.thread: there is no such key here; did you mean threads\?",
    ),
    "an unknown key of limits": (
        "p95_ms",
        "p95",
        r":30: pipeline\.door\.limits\.p95: there is no such key here; did you mean p95_ms\?",
    ),
    "an unknown key of the second pipeline": (
        'model = "/opt/models/yard"',
        'modell = "/opt/models/yard"',
        r":34: pipeline\.yard\.modell: there is no such key here; did you mean model\?",
    ),
    "a key of the file in a table": (
        "[broker]",
        "[broker]\nlog_level = 3",
        r":6: broker\.log_.*ab",
    ),
    "a missing key": (
        'camera = "synthetic://64x48"\n',
        "",
        r":32: pipeline\.yard\.camera: missing; it takes a text",
    ),
    "a pipeline mistyped in the header of a table within it": (
        "[pipeline.door.limits]",
        "[pipeline.dor.limits]",
        r":29: pipeline\.dor\.camera: missing; did you mean pipeline\.door\? Else it takes a text",
    ),
    "no broker": ("[broker]", "[pipeline.x]", r"v\.toml:\d+: pipeline\.x\.url: there is no such"),
    "a text for a number": ("threads = 2", 'threads = "2"', r":27: .*threads: expected whole numb"),
    "a number for a text": ('fleet = "home"', "fleet = 3", r":1: fleet: expected text, got whole"),
    "a fraction for a whole number": ("threads = 2", "threads = 2.5", r":27: .*whole number"),
    "a text for a truth": ("snapshot = true", 'snapshot = "yes"', r":19: .*expected true or false"),
    "an empty text": (
        "threads = 2",
        'accelerators = [""]',
        r":27: .*accelerators\[0\]: empty: at least one character is needed",
    ),
    "a text that is too long": (
        "threads = 2",
        f'filter.labels = ["{"e" * 201}"]',
        r":27: .*labels\[0\]: too long: at most 200 characters are possible",
    ),
    "a text for an array": ('["entrance", "street"]', '"street"', r":3: groups: expected array"),
    "a text for a table": (
        "[home_assistant]\ndiscovery = true",
        "[home_assistant.prefix]",
        ":21: ",
    ),
    "too small": (
        "period_s = 30",
        "period_s = 5",
        r":14: .*period_s: .*>= 10.0; possible: from 10 to 3600",
    ),
    "too large": (
        "threads = 2",
        "threads = 999",
        r":27: .*threads: .*<= 256; possible: from 1 to 256",
    ),
    "no number": ("period_s = 30", "period_s = nan", r":14: telemetry\.period_s"),
    "an endless limit": ("p95_ms = 50", "p95_ms = inf", r":30: .*p95_ms: inf is no limit"),
    "an unknown word": (
        '"registry"',
        '"registri"',
        r":15: .*did you mean registry\? possible: bro",
    ),
    "a name with a slash": ('"door"\ngroups', '"a/b"\ngroups', r":2: device: expected 1 to 64"),
    "a pipeline with a blank": (
        "[pipeline.yard]",
        '[pipeline."a b"]',
        r":32: pipeline\.'a b': .*1 ",
    ),
    "a short key": (KEY, "a1", r":18: commands\.keys\[0\]: .*64 hex digits"),
    "a weak key": (KEY, "00" * 32, r":18: commands\.keys\[0\]: anybody can sign"),
    "a key twice": (f'"{KEY}"', f'"{KEY}", "{KEY}"', r":18: commands\.keys\[1\]: .*twice"),
    "pictures for nobody": (f'keys = ["{KEY}"]', "", r":19: commands\.snapshot: .*in keys"),
    "another scheme": ("mqtts://broker:8883", "https://broker", r":6: broker\.url: .*mqtts://HOST"),
    "no scheme": ("mqtts://broker:8883", "broker", r":6: broker\.url: .*write mqtt://HOST"),
    "a port beyond": ("broker:8883", "broker:88883", r":6: broker\.url: .*:PORT"),
    "a file below here": ("/etc/vedette/ca.pem", "ca.pem", r":9: broker\.ca_file: .*whole path"),
    "files without TLS": ("mqtts://", "mqtt://", r":9: broker\.ca_file: .*write mqtts:// in url"),
    "a name without password": (
        'password_file = "/etc/vedette/password"',
        "",
        r":7: broker\.username: .*add password_file",
    ),
    "a key without certificate": (
        'certificate_file = "/etc/vedette/device.pem"',
        "",
        r":11: broker\.key_file: .*add certificate_file",
    ),
    "a certificate without key": (
        'key_file = "/etc/vedette/device.key"',
        "",
        r":10: broker\.certificate_file: .*add key_file",
    ),
    "one camera for two": (
        "synthetic://64x48",
        "v4l2:/dev/video0",
        r":33: pipeline\.yard\.camera: pipeline door uses this camera already",
    ),
    "a bare device": (
        "v4l2:///dev/video0?fps=10",
        "/dev/video0",
        r":25: .*write v4l2:///dev/video0",
    ),
    "two slashes": ("v4l2:///dev", "v4l2://dev", r":25: .*three slashes"),
    "a camera of no kind": ("synthetic://64x48", "front", r":33: .*KIND:ADDRESS"),
    "a recording below here": ("synthetic://64x48", "file://x.mp4", r":33: .*whole path"),
    "a model below here": ("/opt/models/yard", "models/yard", r":34: .*whole path"),
    "an unseen character": ('"digits"', '"dig\\u0007its"', r":26: pipeline\.door\.model: .*shown"),
    "not TOML": ("[broker]", "[broker", r":5: not valid TOML"),
    "a table twice": ("[pipeline.yard]", "[pipeline.door]", r"v\.toml:32: .*twice"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named(case: str) -> None:
    before, after, said = BAD[case]
    assert GOOD.count(before) >= 1
    text = GOOD.replace(before, after, 1)
    with pytest.raises(Refused) as refused:
        parsed(text)
    words = str(refused.value)
    assert words.startswith("v.toml") and "\n" not in words
    assert re.search(said, words), words


@pytest.mark.parametrize("place", ["user:secret@broker", "secret@broker", "us%40er:secret@[::1]"])
def test_a_password_in_the_url_is_refused_and_never_said(place: str) -> None:
    with pytest.raises(Refused, match=r"^v\.toml:6: broker\.url: .*password_file") as refused:
        parsed(GOOD.replace("broker:8883", place))
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("first", ["?bus=usb-1", "/dev/video0", "/dev/../dev/video0/"])
@pytest.mark.parametrize("second", ["?bus=usb-1&fps=3", "/dev/video0?size=64x48", "/dev//video0"])
def test_a_camera_is_the_same_however_it_is_written(first: str, second: str) -> None:
    text = GOOD.replace("v4l2:///dev/video0?fps=10", f"v4l2://{first}")
    text = text.replace("synthetic://64x48", f"v4l2://{second}")
    if ("bus" in first) == ("bus" in second):
        with pytest.raises(Refused, match="uses this camera already"):
            parsed(text)
    else:
        assert len(parsed(text).pipeline) == 2


def test_two_may_show_the_same_synthetic_scene() -> None:
    text = GOOD.replace("v4l2:///dev/video0?fps=10", "synthetic://64x48")
    assert len(parsed(text).pipeline) == 2


def many(pipelines: int) -> str:
    tables = (
        f"[pipeline.p{i}]\ncamera = 'synthetic://64x48'\nmodel = 'm'" for i in range(pipelines)
    )
    return "\n".join(("device = 'door'", "[broker]", "url = 'mqtt://localhost'", *tables))


def test_a_device_is_no_more_than_fits_into_one_message() -> None:
    assert len(parsed(many(64)).pipeline) == 64
    with pytest.raises(Refused, match=r"v\.toml:196: pipeline\.p64: 70 pipelines, 64 are possible"):
        parsed(many(70))


def test_all_keys_that_there_may_be_have_room_on_lines_of_their_own() -> None:
    keys = [f"{number:02x}" * 32 for number in range(16, 32)]
    rows = ",\n  ".join(f'"{key}"' for key in keys)
    assert parsed(GOOD.replace(f'["{KEY}"]', f"[\n  {rows},\n]")).commands.keys == tuple(keys)
    with pytest.raises(Refused, match=r"v\.toml:18: longer than 1000 .*one value a line"):
        parsed(GOOD.replace(f'["{KEY}"]', f"[{rows}]".replace("\n  ", " ")))


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda b: b.decode("latin-1")))
def test_garbage_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parsed(text)
    assert "\n" not in str(refused.value)


@given(
    st.sampled_from(re.findall(r"(?m)^(\w+) = ", GOOD)),
    st.sampled_from(
        ["3", "-1", "1e308", "nan", "true", '"x"', "[]", "[[]]", "{}", "{a=1}", "1979-05-27"]
    ),
)
def test_any_value_anywhere_is_taken_or_refused(key: str, value: str) -> None:
    text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", GOOD)
    try:
        parsed(text)
    except Refused as trouble:
        assert re.match(r"v\.toml:\d+: [\w.\[\]]+: ", str(trouble))


def test_reading_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "vedette.toml"
    with pytest.raises(Unavailable, match=r"vedette\.toml: is not there: write one") as raised:
        config.load(path)
    shown = re.search(r"write one, (\S+) shows how", str(raised.value))
    assert shown is not None and config.load(Path(shown[1])).pipeline
    path.mkdir()
    with pytest.raises(Unavailable, match="cannot be read"):
        config.load(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"fleet = '\xff'", "vedette.toml:1: not UTF-8"),
        (b"#" * 999 + b"\n" * 70_000, "larger than 64 KiB"),
        ("é".encode() * 40_000, "larger than 64 KiB"),
        (b"#" * 2000, "vedette.toml:1: longer than 1000"),
        (b"\xef\xbb\xbf" + GOOD.encode(), "vedette.toml:1: begins with a byte order mark: save"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "vedette.toml"
    path.write_bytes(content)
    with pytest.raises(Trouble, match=said):
        config.load(path)
