"""`vedette support` as a person runs it: secrets planted everywhere, a full disk, no systemd."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.examined import Place
from tests.laws.sources import ROOT
from tests.unit.test_support import leaks

ALONE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
PASSWORDS = {
    "file": "correct horse/battery+staple",
    "camera": "c4mera&pass w0rd",
    "journal": "Tr0ub4dor&3",
    "environment": 'qu"ote\\d',
    "refused": "sw0rdfish-fish",
}
# a journal says what programs say, and some say too much
JOURNAL = """\
#!/bin/sh
echo "2026-11-21 vedette-agent[12]: connecting as door:{file}"
echo "2026-11-21 vedette-runtime[13]: rtsp://admin:{camera_quoted}@10.0.0.9/x does not answer"
echo "2026-11-21 other[14]: login with password={journal} failed"
echo "2026-11-21 other[14]: again with {environment_hex}"
cat {key}
echo "2026-11-21 vedette-agent[12]: all is well"
"""


@pytest.fixture
def key() -> str:
    made = ec.generate_private_key(ec.SECP256R1())
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()  # fmt: skip


@pytest.fixture
def planted(tmp_path: Path, key: str) -> Place:
    """A device that has a secret everywhere where there can be one."""
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "password").write_text(PASSWORDS["file"] + "\n")
    (etc / "device.key").write_text(key)
    (etc / "vedette.toml.before").write_text(f'password = "{PASSWORDS["refused"]}"\n')
    camera = "rtsp://admin:c4mera%26pass%20w0rd@10.0.0.9/x"
    place = Place(tmp_path).make(
        "mqtts://127.0.0.1:9",
        f'password_file = "{etc}/password"\ncertificate_file = "{etc}/device.pem"\n'
        f'key_file = "{etc}/device.key"',
        f'[pipeline.lane]\ncamera = "{camera}"\nmodel = "digits"\n',
    )
    (place.state / "accepted.toml").write_text(f"# {camera}\n" + place.config.read_text())
    (place.state / f"model-{PASSWORDS['refused']}").touch()
    programs = tmp_path / "bin"
    programs.mkdir()
    said = JOURNAL.format(
        file=PASSWORDS["file"], camera_quoted="c4mera%26pass%20w0rd", journal=PASSWORDS["journal"],
        environment_hex=PASSWORDS["environment"].encode().hex(), key=etc / "device.key",
    )  # fmt: skip
    (programs / "journalctl").write_text(said)
    (programs / "journalctl").chmod(0o755)
    return place


def support(
    place: Place, *words: str, before: Sequence[str] = (), others: str = os.environ["PATH"]
) -> subprocess.CompletedProcess[str]:
    """others: where programs are that the place has not itself."""
    path = f"{place.folder / 'bin'}:{others}"
    return subprocess.run(
        [*before, sys.executable, "-m", "vedette", "support", *place.words, *words],
        cwd=ROOT, capture_output=True, text=True, timeout=110, stdin=subprocess.DEVNULL,
        env=os.environ | {"PATH": path, "CAMERA_PASSWORD": PASSWORDS["environment"]},
    )  # fmt: skip


def parts_of(bundle: Path) -> dict[str, str]:
    with tarfile.open(bundle) as tar:
        return {
            entry.name.removeprefix("vedette-support/"): file.read().decode()
            for entry in tar
            if (file := tar.extractfile(entry)) is not None
        }


def test_no_secret_leaves(planted: Place, key: str) -> None:
    out = planted.folder / "bundle.tar.gz"
    done = support(planted, "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["file"] == str(out) and made["size"] == out.stat().st_size < 2 << 20
    assert out.stat().st_mode & 0o777 == 0o600
    parts = parts_of(out)
    whole = "\n".join((*parts, *parts.values())) + done.stdout
    lines = [line for line in key.splitlines() if len(line) > 8 and not line.startswith("-")]
    for secret in (*PASSWORDS.values(), *lines):
        assert leaks(whole, secret) == []
    assert "c4mera%26pass" not in whole
    journal = parts["journal.txt"]
    assert "connecting as door:[hidden]" in journal and "all is well" in journal
    assert "rtsp://[hidden]@10.0.0.9/x does not answer" in journal
    assert f'password_file = "{planted.folder}/etc/password"' in parts["config/vedette.toml"]


def test_what_is_in_it(planted: Place) -> None:
    done = support(planted, "--out", str(planted.folder))
    assert done.returncode == 0, done.stderr
    (bundle,) = planted.folder.glob("vedette-support-*.tar.gz")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{bundle}: ")
    assert lines[-1] == f"look at it before you send it: tar -xzOf {bundle} | less"
    parts = parts_of(bundle)
    assert {
        "README.txt", "doctor.json", "config/vedette.toml", "config/accepted.toml", "versions.txt",
        "journal.txt", "services/show.txt", "services/status.txt", "models.txt", "state.txt",
        "system/facts.txt", "system/dmesg.txt", "system/disks.txt", "system/processes.txt",
    } <= set(parts)  # fmt: skip
    found = json.loads(parts["doctor.json"])
    assert any(one["section"] == "broker" for one in found["findings"])
    assert "msgspec==" in parts["versions.txt"]
    assert all(name in "\n".join(lines) for name in parts if name != "README.txt")


def test_a_disk_that_is_full(planted: Place) -> None:
    full = planted.folder / "full"
    full.mkdir()
    if subprocess.run([*ALONE, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespaces here")
    setup = (
        f"mount -t tmpfs -o size=64k none {full}; dd if=/dev/zero of={full}/ballast bs=4k "
        '2>/dev/null || true; "$@"; code=$?; ls -A ' + f"{full}; exit $code"
    )
    done = support(planted, "--out", str(full), before=(*ALONE, setup, "sh"))
    assert done.returncode == 1
    assert done.stdout == "ballast\n", "nothing half is left there"
    assert "cannot be written: the disk is full, and " in done.stderr
    assert "--out /dev/shm" in done.stderr


def test_it_needs_neither_systemd_nor_a_configuration(tmp_path: Path) -> None:
    place = Place(tmp_path)
    done = support(place, "--out", str(tmp_path / "x.tar.gz"), others="/nowhere")
    assert done.returncode == 0, done.stderr
    parts = parts_of(tmp_path / "x.tar.gz")
    assert parts["journal.txt"] == "journalctl is not installed here\n"
    assert parts["services/show.txt"] == "systemctl is not installed here\n"
    assert "No such file" in parts["config/vedette.toml"]
