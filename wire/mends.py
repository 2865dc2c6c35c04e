"""Commands that mend a device, as a person types them."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

USER = "vedette"  # whom the units run as
PROGRAMS = ("usr/sbin", "usr/local/sbin", "usr/bin", "usr/local/bin")
TIME_SERVICES = (
    "lib/systemd/systemd-timesyncd", "usr/lib/systemd/systemd-timesyncd", "usr/sbin/chronyd",
    "usr/sbin/ntpd", "usr/sbin/ntpsec",
)  # fmt: skip


def set_clock(root: Path = Path("/")) -> str:
    """Let a time server set it."""
    if any((root / path).exists() for path in TIME_SERVICES):
        return "sudo timedatectl set-ntp true"
    return "sudo apt-get install -y systemd-timesyncd && sudo timedatectl set-ntp true"


def see_network() -> str:
    return "nmcli device status" if shutil.which("nmcli") else "networkctl status"


def edit(config: Path) -> str:
    """Change the configuration, and let the agent read it if it is right."""
    file = shlex.quote(str(config))
    return f"sudoedit {file} && vedette check-config {file} && sudo systemctl reload vedette-agent"


def enroll() -> str:
    """Where there is no configuration at all."""
    return "sudo vedette enroll NAME.vedette   # the operator makes it: vedette fleet enroll NAME"


def listen(root: Path = Path("/")) -> str:
    """Let the broker of this very machine run; a distribution's package starts it."""
    if any((root / path / "mosquitto").exists() for path in PROGRAMS):
        return "sudo systemctl enable --now mosquitto"
    return "sudo apt-get install -y mosquitto"


def enroll_again(device: str) -> str:
    """On the operator's machine."""
    return f"vedette fleet enroll {device} --again, then here: sudo vedette enroll {device}.vedette"


def readable(path: str) -> str:
    """For the service, and for nobody else."""
    file = shlex.quote(path)
    return f"sudo chgrp {USER} {file} && sudo chmod 640 {file}"


def owned(folder: Path, user: str = USER) -> str:
    return f"sudo chown -R {user}:{user} {shlex.quote(str(folder))}"
