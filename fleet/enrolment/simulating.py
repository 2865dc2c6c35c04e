"""How `vedette fleet simulate` comes to a broker with rules: as a name enrolled for that alone."""

from __future__ import annotations

import shlex
from pathlib import Path

from fleet.enrolment.enrolling import Proof, url_for
from fleet.folder import FleetFolder
from wire.mqtt.url import address_of

NAME = "sim"  # in advice


def simulators_proof(fleet: FleetFolder, proof: Proof, name: str, folder: Path) -> str:
    """The options of fleet simulate that name what fleet enroll has put into a folder."""
    if proof == "certificate":
        file = shlex.quote(str(folder / f"{name}.pem"))
        return f"--certificate-file {file} --key-file {file}"
    file = shlex.quote(str(folder / f"{name}.password"))
    url = url_for(fleet, proof)
    broker = "" if url == fleet.broker.url else f"--broker {url} "
    return f"{broker}--username {name} --password-file {file}"


def recipe(fleet: FleetFolder) -> str:
    """What to do where the broker lets us speak as no device."""
    proof: Proof = "certificate" if address_of(fleet.broker.url).encrypted else "password"
    words = simulators_proof(fleet, proof, NAME, Path())
    return (
        "the broker's rules let us speak as none of these devices: vedette fleet enroll "
        f"{NAME} --as simulator, do at the broker what it says, and add {words}"
    )
