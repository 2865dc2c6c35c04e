"""Passphrases from files, from the environment, from a terminal; and encrypted keys."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.pack import runtime as pack_runtime
from fleet.passphrase import VARIABLE, Passphrases
from tests.laws.sources import ROOT
from wire.signing import WrongPassphrase, load_key, make_key
from wire.troubles import Refused, Unavailable

GOOD = b"correct horse"


@pytest.fixture(autouse=True)
def nobody_types(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(VARIABLE, raising=False)
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield


def test_an_encrypted_key_opens_with_its_passphrase_alone(tmp_path: Path) -> None:
    path = tmp_path / "root-1.pem"
    made = make_key(path, GOOD)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(path, GOOD).public == made.public
    with pytest.raises(WrongPassphrase, match=r"root-1\.pem: this is not its passphrase"):
        load_key(path, b"wrong horse")
    for nothing in (None, b""):
        with pytest.raises(WrongPassphrase, match=r"root-1\.pem: it is encrypted"):
            load_key(path, nothing)


def test_openssl_reads_it_and_a_guess_is_dear(tmp_path: Path) -> None:
    """2048 rounds of PBKDF2, which are common, would let a thief try millions a second."""
    path = tmp_path / "root-1.pem"
    made = make_key(path, GOOD)
    told = subprocess.run(
        ["openssl", "pkey", "-in", path, "-passin", "pass:correct horse", "-pubout", "-outform",
         "DER"],
        check=True, capture_output=True,
    )  # fmt: skip
    assert told.stdout[-32:].hex() == made.public
    parts = subprocess.run(
        ["openssl", "asn1parse", "-in", path], check=True, capture_output=True, text=True
    ).stdout
    assert "scrypt" in parts or "1.3.6.1.4.1.11591.4.11" in parts
    assert "INTEGER           :4000" in parts and ":aes-256-cbc" in parts


def test_a_passphrase_that_is_not_needed_does_no_harm(tmp_path: Path) -> None:
    made = make_key(tmp_path / "command.pem")
    assert load_key(tmp_path / "command.pem", GOOD).public == made.public


def test_a_foreign_key_under_a_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "rsa.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-aes256", "-pass", "pass:correct horse", "-out", path],
        check=True, capture_output=True,
    )  # fmt: skip
    with pytest.raises(Refused, match="not an Ed25519 key"):
        load_key(path, GOOD)


def test_each_key_takes_the_line_that_fits_it(tmp_path: Path) -> None:
    one, two = tmp_path / "a.pem", tmp_path / "b.pem"
    keys = [make_key(one, b"first phrase"), make_key(two, b"second phrase")]
    file = tmp_path / "phrases"
    file.write_bytes(b"first phrase\r\n\nsecond phrase\n")
    phrases = Passphrases(file)
    assert [phrases.load(path).public for path in (one, two)] == [key.public for key in keys]
    assert phrases.for_new_keys() == b"first phrase"
    file.write_bytes(b"neither of them\n")
    with pytest.raises(WrongPassphrase, match=r"a\.pem: this is not its passphrase"):
        Passphrases(file).load(one)


def test_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "grüße aus der ferne")
    phrase = Passphrases(None).for_new_keys()
    made = make_key(tmp_path / "a.pem", phrase)
    assert Passphrases(None).load(tmp_path / "a.pem").public == made.public


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "holds no passphrase"), (b"short\n", "at least 8 characters")]
)
def test_a_file_that_will_not_do(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "phrases").write_bytes(content)
    with pytest.raises(Refused, match=words):
        Passphrases(tmp_path / "phrases").for_new_keys()


def test_nobody_is_asked_where_nobody_types(tmp_path: Path) -> None:
    make_key(tmp_path / "a.pem", GOOD)
    with pytest.raises(Refused, match=f"need a passphrase: --passphrase-file FILE or {VARIABLE}"):
        Passphrases(None).for_new_keys()
    with pytest.raises(WrongPassphrase, match=r"a\.pem: it is encrypted: give its passphrase by"):
        Passphrases(None).load(tmp_path / "a.pem")
    with pytest.raises(Unavailable, match="cannot be read"):
        Passphrases(tmp_path / "nowhere")


CHILD = """\
import sys
from pathlib import Path
from fleet.passphrase import Passphrases
from wire import troubles
def main(words):
    phrases = Passphrases(None)
    new = words[0] == "new"
    print(repr(phrases.for_new_keys() if new else phrases.load(Path(words[0])).public))
    return 0
sys.exit(troubles.exit_code(main, sys.argv[1:]))
"""


def typed(words: str, *lines: str) -> tuple[int, str]:
    """A process on a terminal where somebody types these lines."""
    terminal, its_end = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != VARIABLE}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, words], cwd=ROOT, env=environment, start_new_session=True,
        stdin=its_end, stdout=its_end, stderr=its_end,
    )  # fmt: skip
    os.close(its_end)
    said = b""
    waiting = list(lines)
    while True:
        try:
            piece = os.read(terminal, 1000)
        except OSError:
            break
        said += piece
        if said.endswith(b": ") and waiting:
            os.write(terminal, waiting.pop(0).encode() + b"\n")
            said += b"\n"
    os.close(terminal)
    return child.wait(60), said.decode()


def test_typed_twice_and_not_shown() -> None:
    code, said = typed("new", "correct horse", "correct horse")
    assert code == 0
    assert said.count("correct horse") == 1 and "b'correct horse'" in said
    code, said = typed("new", "correct horse", "correct house")
    assert code == 2 and "these were two passphrases" in said


def test_typed_again_when_it_was_wrong(tmp_path: Path) -> None:
    made = make_key(tmp_path / "a.pem", GOOD)
    code, said = typed(str(tmp_path / "a.pem"), "wrong horse", "correct horse")
    assert code == 0 and made.public in said and "this is not its passphrase" in said
    code, said = typed(str(tmp_path / "a.pem"), "wrong 1", "wrong 2", "wrong 3")
    assert code == 2 and said.count("passphrase of a.pem: ") == 3


def test_who_opens_a_model_that_nobody_signed_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fleet pack` gives the model to an engine, in a child that inherits our environment."""
    told: list[dict[str, str]] = []

    def child(*_: object, env: dict[str, str], **__: object) -> None:
        told.append(env)
        raise Unavailable("far enough")

    monkeypatch.setenv(VARIABLE, GOOD.decode())
    monkeypatch.setattr(pack_runtime.subprocess, "Popen", child)
    with pytest.raises(Unavailable, match="far enough"):
        pack_runtime.ask(["check"], tmp_path, 1, pack_runtime.Report)
    assert GOOD.decode() not in told[0].values() and "PATH" in told[0]
