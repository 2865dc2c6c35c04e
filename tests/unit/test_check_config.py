"""`vedette check-config`: what is refused, what is warned about, and what a device would do."""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import foresight
from runtime.commands.check_config import main
from runtime.readers import obstacle
from runtime.secret_files import complaint_about
from tests.laws.sources import ROOT
from wire import config
from wire.troubles import Refused, Unavailable

EXAMPLE = ROOT / "systemd" / "vedette.toml"
BROKER = '[broker]\nurl = "mqtt://localhost"\n'
CAMERA = 'camera = "synthetic://64x48@5"\n'
MODEL = 'model = "digits"\n'
NOBODY = "nobody-of-this-name"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "vedette.toml"


def said(file: Path, text: str, capsys: pytest.CaptureFixture[str]) -> str:
    file.write_text(text)
    assert main([str(file)]) == 0
    return capsys.readouterr().out


def pipeline(camera: str = CAMERA, model: str = MODEL, more: str = "") -> str:
    return f"device = 'door'\n{BROKER}[pipeline.a]\n{camera}{model}{more}"


def test_the_example_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(config.load(EXAMPLE).pipeline) == ["door"]
    assert main([str(EXAMPLE)]) == 0
    assert "digits on v4l2:///dev/video0" in capsys.readouterr().out


def test_the_example_without_its_comment_signs_is_good() -> None:
    lines = EXAMPLE.read_text().splitlines()
    text = "\n".join(line.removeprefix("# ") if " = " in line else line for line in lines)
    meant = config.parse(
        text.replace("mqtt://", "mqtts://").replace("64 hex digits", "a1" * 32), "x"
    )
    assert meant.groups == ("entrance",) and meant.pipeline["door"].limits.p95_ms == 100


def test_the_example_shows_the_defaults() -> None:
    text = EXAMPLE.read_text()
    tables = (
        config.Broker, config.TelemetryTable, config.Commands, config.HomeAssistant, config.Updates,
    )  # fmt: skip
    for table in tables:
        for field, default in zip(
            table.__struct_fields__[::-1], table.__struct_defaults__[::-1], strict=False
        ):
            if default is not None and default != ():
                assert f"# {field} = {written(default)}" in text, field
    for field in ("results", "results_per_s"):
        default = getattr(config.Pipeline("x:y", "m"), field)
        assert f"# {field} = {written(default)}" in text, field


def written(value: object) -> str:
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)


def test_says_what_a_device_would_do(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = said(file, pipeline(more="results = 'every'\nlimits.p95_ms = 40\n"), capsys)
    assert words.splitlines() == [
        f"{file}: accepted",
        "  device     door of fleet home; log level info",
        "  broker     mqtt://localhost",
        "  telemetry  every 60 s; kept for at most 30 days and 64 MiB, until the broker has it",
        "  pipeline   a: digits on synthetic://64x48@5; results of every frame, at most 1/s; "
        "fault above 40 ms (p95)",
        "  commands   refused: no key may sign them",
    ]


def test_answers_in_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(pipeline())
    assert main([str(file), "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["refused"], verdict["warnings"]) == (None, [])
    assert verdict["config"]["pipeline"]["a"]["model"] == "digits"


def test_a_refusal_is_an_answer_in_json_too(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("fleet = 3\n")
    with pytest.raises(Refused):
        main([str(file), "--json"])
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["config"] is None and f"{file}:1: fleet: " in verdict["refused"]


def test_a_file_that_is_not_there_is_said(file: Path) -> None:
    with pytest.raises(Unavailable, match="is not there"):
        main([str(file)])


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (pipeline(camera='camera = "usb://0"\n'), r":5: pipeline\.a\.camera: .*use one of"),
        (pipeline(camera='camera = "synthetic://1x1"\n'), r":5: pipeline\.a\.camera: "),
        (pipeline(camera='camera = "v4l2:///dev/video0?speed=9"\n'), r":5: .*no option 'speed'"),
        (pipeline(more='engine = "tflite"\n'), r":7: pipeline\.a\.engine: .*use one of litert"),
        (BROKER + "keepalive = 3\n", r":3: broker\.keepalive: .*did you mean keepalive_s"),
    ],
)
def test_what_no_runtime_runs_is_refused(file: Path, text: str, where: str) -> None:
    file.write_text(text)
    with pytest.raises(Refused, match=where):
        main([str(file)])


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (BROKER, "pipeline: there is none"),
        (
            pipeline(camera='camera = "v4l2:///dev/video987"\n'),
            "a.camera: there is no /dev/video987",
        ),
        (
            pipeline(camera='camera = "v4l2://?bus=usb-9"\n'),
            "a.camera: there is no camera at usb-9",
        ),
        (pipeline(camera='camera = "file:///tmp/x.mp4"\n'), "does not see /tmp/x.mp4"),
        (pipeline(camera='camera = "file:///var/tmp/x.mp4"\n'), "does not see /var/tmp/x.mp4"),
        (pipeline(camera='camera = "file:///srv/../tmp/x"\n'), "does not see /srv/../tmp/x"),
        (pipeline(camera='camera = "file:///no/a%20b.mp4"\n'), "a.camera: there is no /no/a b.mp4"),
        (
            pipeline(camera='camera = "file:///no/x.mp4"\n'),
            "a.camera: it ends with its last picture, and the service is started again and again: "
            "write ?loop=yes at its end",
        ),
        (pipeline(camera='camera = "file:///no/x?pace=3"\n'), "write &loop=yes at its end"),
        (pipeline(camera='camera = "file:///no/x?loop=no"\n'), "loop=yes in place of loop=no"),
        (pipeline(model='model = "/no/such/model"\n'), "a.model: there is no model at /no/such"),
        (pipeline(model='model = "digit"\n'), "there is no model at digit; did you mean digits? ("),
        (pipeline(model='model = "/tmp/m"\n'), "a.model: the service does not see /tmp/m: put"),
        (BROKER + 'password_file = "/no/such"\n', "broker.password_file: /no/such: there is no"),
        (BROKER + 'password_file = "/home/x"\n', "does not see /home/x: put it under /etc/vedette"),
        (
            BROKER + '[updates]\nroot = "/no/root.json"\n',
            "updates.root: /no/root.json: there is no",
        ),
        (
            BROKER + '[updates]\nroot = "/home/x"\n',
            "updates.root: the service does not see /home/x",
        ),
        (
            BROKER + '[updates]\nroot = "/x"\nmirror = "https:///path"\n',
            "updates.mirror: https:///path names no machine",
        ),
        (
            BROKER + '[updates]\nroot = "/x"\nmirror = "https://h"\nmirror_ca_file = "/no"\n',
            "updates.mirror_ca_file: /no: there is no such file",
        ),
        (
            BROKER.replace("mqtt:", "mqtts:") + 'ca_file = "/no/such"\n',
            "broker.ca_file: /no/such: there is no",
        ),
        (
            BROKER.replace("localhost", "far") + 'password_file = "/x"\n',
            "broker.url: the password travels in the clear: use mqtts://",
        ),
        (
            pipeline(more='accelerators = ["cudda?device=0"]\n'),
            "pipeline.a.accelerators: accelerator 'cudda?device=0': LiteRT finds no library",
        ),
        (
            pipeline(more='engine = "onnxruntime"\naccelerators = ["cudda"]\n'),
            "ONNX Runtime knows no provider of that name: did you mean cuda?",
        ),
        (
            pipeline(more='accelerators = ["CUDAExecutionProvider"]\n'),
            "accelerator 'CUDAExecutionProvider': is a provider of ONNX Runtime, for .onnx models",
        ),
        (
            pipeline(more='engine = "onnxruntime"\naccelerators = ["edgetpu", "openvino"]\n'),
            "accelerator 'edgetpu': is a delegate of LiteRT, for .tflite models",
        ),
        (
            pipeline(more='engine = "onnxruntime"\naccelerators = ["edgetpu", "openvino"]\n'),
            "accelerator 'openvino': ONNX Runtime has no provider 'openvino' here: ",
        ),
        (
            pipeline(more='engine = "tensorrt"\naccelerators = ["cdua"]\n'),
            "pipeline.a.accelerators: engine tensorrt has none of its own: leave them out",
        ),
    ],
)
def test_what_is_amiss_here_is_warned_about(
    file: Path, text: str, warning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = said(file, text, capsys)
    assert any(line.startswith("  warning: ") and warning in line for line in words.splitlines())
    assert words.count("  warning: ") == int(words.partition("accepted, ")[2].split(" ")[0])


def test_accelerators_that_are_there_are_no_warning(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A provider that every build of ONNX Runtime has; a library whatever it does."""
    (tmp_path / "delegate.so").touch()
    for more in (
        'engine = "onnxruntime"\naccelerators = ["cpu", "CPUExecutionProvider"]\n',
        f'accelerators = ["{tmp_path}/delegate.so"]\n',
    ):
        assert "accelerator" not in said(file, pipeline(more=more), capsys).partition("warning")[2]


ROOT_FILE = """{"signatures": [{"keyid": "k", "sig": "ab"}],
    "signed": {"_type": "root", "version": 3, "expires": "2028-01-31T00:00:00Z"}}"""


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (ROOT_FILE, None),
        ("{}", "is no root metadata (Object missing required field `signed`)"),
        ("-----BEGIN", "is no root metadata"),
        (ROOT_FILE.replace('"root"', '"targets"'), "is no root metadata (Invalid value 'targets'"),
        (ROOT_FILE.replace('{"keyid": "k", "sig": "ab"}', ""), "nobody has signed it"),
        ("\0" * 600_000, "far too large"),
    ],
)
def test_where_trust_begins_is_looked_at(
    content: str,
    why: str | None,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(foresight, "UNSEEN", ())
    # pytest's folder is closed to the services' user, where there is one
    monkeypatch.setattr(foresight, "obstacle", lambda path: None)
    root = tmp_path / "root.json"
    root.write_text(content)
    words = said(file, pipeline(model="") + f'[updates]\nroot = "{root}"\n', capsys)
    assert "  pipeline   a: what the fleet deploys on synthetic://64x48@5" in words
    if why is None:
        assert "warning" not in words
        whole = f"  updates    what follows from root 3 ({root}, until 2028-01-31)"
        assert f"{whole}; the newest 2 stay, at most 1024 MiB" in words.splitlines()
    else:
        assert f"  warning: updates.root: {root}: " in words and why in words


def test_a_recording_that_plays_for_ever_is_good(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = said(file, pipeline(camera=f'camera = "file://{tmp_path}?pace=5&loop=yes"\n'), capsys)
    assert "last picture" not in words and "there is no" not in words


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A model that LiteRT takes, without a manifest."""
    return Path(
        shutil.copy(ROOT / "models" / "zoo" / "digits" / "tflite" / "digits.tflite", tmp_path)
    )


def of_model(path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What is warned about with this model, but for the place where the test has it."""
    lines = said(file, pipeline(model=f'model = "{path}"\n'), capsys).splitlines()
    found = [line.removeprefix("  warning: ") for line in lines if "warning: " in line]
    return [line for line in found if "the service does not see" not in line]


def test_a_model_that_nothing_can_load_is_noticed(
    bare: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert of_model(bare, file, capsys) == []
    bare.write_bytes(bare.read_bytes()[:16])  # the root is not there any more
    damaged = "it is no TFLite model, or a damaged one: copy or export it again"
    assert of_model(bare, file, capsys) == [f"pipeline.a.model: {bare}: {damaged}"]
    bare.write_bytes(b"\x04\x00\x00\x00text" * 9)
    assert damaged in of_model(bare, file, capsys)[0]
    onnx = bare.with_suffix(".onnx")
    onnx.write_bytes(b"garbage" * 99)
    assert "no ONNX model, or a damaged one" in of_model(onnx, file, capsys)[0]


def test_a_folder_without_what_it_needs_is_noticed(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    assert "no manifest.toml in this folder" in of_model(folder, file, capsys)[0]
    shutil.copytree(ROOT / "models" / "zoo" / "digits" / "tflite", folder, dirs_exist_ok=True)
    assert of_model(folder, file, capsys) == []
    (folder / "labels.txt").write_bytes(b"\xff")
    assert "labels are not UTF-8 text" in of_model(folder, file, capsys)[0]
    (folder / "manifest.toml").write_text("schema = ")
    assert "manifest.toml: not valid TOML" in of_model(folder, file, capsys)[0]


@pytest.mark.parametrize("more", ['engine = "onnxruntime"\n', ""])
def test_an_engine_that_is_not_installed_is_noticed(
    more: str, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = f'model = "{ROOT}/models/zoo/digits/onnx"\n'
    assert "warning" not in said(file, pipeline(model=model, more=more), capsys)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    words = said(file, pipeline(model=model, more=more), capsys)
    assert "  warning: pipeline.a.engine: ONNX Runtime is missing: pip install" in words


def test_one_camera_under_two_names_is_noticed(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node, link = tmp_path / "video", tmp_path / "by-id"
    node.touch()
    link.symlink_to(node)
    text = pipeline(camera=f'camera = "v4l2://{node}"\n')
    text += f'[pipeline.b]\ncamera = "v4l2://{link}"\n{MODEL}'
    assert "pipeline.b.camera: this is the camera of pipeline a under" in said(file, text, capsys)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text("secret\n")
    path.chmod(0o600)
    return path


def test_a_secret_that_only_its_reader_sees_is_good(secret: Path) -> None:
    assert complaint_about(str(secret), pwd.getpwuid(os.geteuid()).pw_name) is None
    assert complaint_about(str(secret), NOBODY) is None  # nobody to judge for


def test_a_secret_that_all_may_read_is_not(secret: Path) -> None:
    secret.chmod(0o604)
    said = complaint_about(str(secret), "me")
    assert said == f"everybody on this machine can read it: chmod 640 {secret}; chgrp me {secret}"


def test_an_empty_one_a_folder_and_none_are_said(secret: Path, tmp_path: Path) -> None:
    secret.write_text("")
    assert complaint_about(str(secret)) == "is empty"
    assert complaint_about(str(tmp_path)) == "is no file"
    assert complaint_about(str(tmp_path / "none")) == "there is no such file"
    assert "cannot be looked at" in str(complaint_about(f"{secret}/below"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_services_user_must_be_able_to_read(secret: Path) -> None:
    user = pwd.getpwnam("daemon")
    assert "the user daemon cannot read it" in str(complaint_about(str(secret), "daemon"))
    os.chown(secret, 0, user.pw_gid)
    assert "cannot read it" in str(complaint_about(str(secret), "daemon"))
    secret.chmod(0o640)
    assert complaint_about(str(secret), "daemon") is None
    os.chown(secret, user.pw_uid, grp.getgrnam("root").gr_gid)
    assert complaint_about(str(secret), "daemon") is None
    secret.chmod(0o040)
    assert "cannot read it" in str(complaint_about(str(secret), "daemon"))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter; those that pytest gives are their owner's alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.skipif(os.geteuid() != 0, reason="root's files are what another user may not read")
def test_the_services_user_must_reach_what_it_reads(open_folder: Path) -> None:
    model = open_folder / "in" / "m.tflite"
    model.parent.mkdir(mode=0o700)
    model.touch()
    model.chmod(0o600)
    folder = model.parent
    enter = f"the user daemon may not enter {folder}: chgrp daemon {folder}; chmod g+x {folder}"
    assert obstacle(str(model), "daemon") == enter, "what is closed to all is opened to one"
    model.parent.chmod(0o711)
    may_not = f"the user daemon may not read {model}"
    assert obstacle(str(model), "daemon") == f"{may_not}: chgrp daemon {model}; chmod g+r {model}"
    assert str(obstacle(str(model.parent), "daemon")).endswith(f"chmod o+rx {model.parent}")
    model.chmod(0o644)
    link = open_folder / "link"
    link.symlink_to(model)
    assert obstacle(str(link), "daemon") is None
    os.chown(model, pwd.getpwnam("daemon").pw_uid, 0)
    model.chmod(0o044)  # the owner's part is what counts for the owner
    assert "may not read" in str(obstacle(str(link), "daemon"))


@pytest.mark.skipif(os.geteuid() != 0, reason="root's files are what another user may not read")
def test_a_model_file_that_the_service_may_not_read_is_noticed(
    open_folder: Path,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(foresight, "UNSEEN", ())
    monkeypatch.setattr(foresight, "obstacle", lambda path: obstacle(path, "daemon"))
    shutil.copytree(ROOT / "models" / "zoo" / "digits" / "tflite", open_folder, dirs_exist_ok=True)
    open_folder.chmod(0o755)
    model = open_folder / "digits.tflite"
    model.chmod(0o600)
    assert of_model(open_folder, file, capsys) == [
        f"pipeline.a.model: the user daemon may not read {model}: "
        f"chgrp daemon {model}; chmod g+r {model}"
    ]
    model.chmod(0o644)
    assert of_model(open_folder, file, capsys) == []


def test_nobody_is_judged_who_is_not_there(secret: Path) -> None:
    assert obstacle(str(secret), NOBODY) is None
    assert obstacle(str(secret), "root") is None


def test_two_pipelines_on_one_ribbon_cable(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = f"[pipeline.b]\ncamera = 'csi://{{}}?fps=5'\n{MODEL}"
    for number, is_same in ((0, True), (1, False)):
        text = pipeline("camera = 'csi://0'\n") + second.format(number)
        told = said(file, text, capsys)
        assert ("pipeline.b.camera: this is the camera of pipeline a" in told) == is_same
