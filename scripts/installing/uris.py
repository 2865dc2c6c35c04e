"""Whether what the options name can be meant, as far as that is seen before anything is made.

The release has the last word: this is only what saves a person minutes after a typing mistake. What
was written is never repeated, because it may hold a password.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from installing.troubles import Wrong


@dataclass(frozen=True)
class Form:
    """How one kind of address is written. begins: what must follow `://` at least."""

    begins: str
    example: str


ON_THE_NETWORK = r"[^/?#]"
ON_A_BROKER = r"[^/?#]+/[^?#]"
CAMERAS = {
    "synthetic": Form(r"\d+x\d", "synthetic://640x480@30"),
    "file": Form(r"[^?]", "file:///PATH"),
    "v4l2": Form(r"/|\?", "v4l2:///dev/video0"),
    "csi": Form(r"\d", "csi://0"),
    "rtsp": Form(ON_THE_NETWORK, "rtsp://USER@HOST/PATH"),
    "rtsps": Form(ON_THE_NETWORK, "rtsps://USER@HOST/PATH"),
    "http": Form(ON_THE_NETWORK, "http://HOST/PATH"),
    "https": Form(ON_THE_NETWORK, "https://HOST/PATH"),
    "pipeline": Form(ON_THE_NETWORK, "pipeline://NAME"),
    "rows": Form(r"[^?]", "rows:///PATH.csv"),
    "rows+synthetic": Form(r"\d", "rows+synthetic://4@30"),
    "rows+mqtt": Form(ON_A_BROKER, "rows+mqtt://HOST/TOPIC"),
    "rows+mqtts": Form(ON_A_BROKER, "rows+mqtts://HOST/TOPIC"),
}
BROKERS = {
    "mqtt": Form(ON_THE_NETWORK, "mqtt://HOST"),
    "mqtts": Form(ON_THE_NETWORK, "mqtts://HOST"),
    "ws": Form(ON_THE_NETWORK, "ws://HOST/PATH"),
    "wss": Form(ON_THE_NETWORK, "wss://HOST/PATH"),
}
LARGEST = 256 << 10  # bytes of an enrolment


def check_camera(uri: str) -> None:
    """Raises Wrong if no camera can be meant."""
    _check("--camera", "camera", uri, CAMERAS)


def check_broker(url: str) -> None:
    """Raises Wrong if no broker can be meant."""
    _check("--broker", "broker", url.lower(), BROKERS)


def check_enrolment(file: Path) -> None:
    """Raises Wrong if it is another file: what is in it is for the release to judge."""
    mend = "`vedette fleet enroll NAME` makes it"
    if not file.is_file():
        raise Wrong(f"{file} is no file: {mend}")
    try:
        with open(file, "rb") as opened:
            told = json.loads(opened.read(LARGEST))
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or "device" not in told:
        raise Wrong(f"{file} is no enrolment, or cut off: {mend}")


def _check(option: str, what: str, text: str, forms: dict[str, Form]) -> None:
    kind, _, rest = text.partition("://")
    form = forms.get(kind)
    if form is None:
        examples = ", ".join(one.example for one in forms.values())
        raise Wrong(f"{option} names no {what}: use one of {examples}")
    if re.match(form.begins, rest) is None:
        raise Wrong(f"{option}: a {what} of this kind is written as {form.example}")
