"""What keeps a device from its broker, and the command that mends that."""

from __future__ import annotations

import errno
import socket
import ssl
from pathlib import Path

from wire import mends
from wire.finding import Finding, Where
from wire.mqtt import words
from wire.mqtt.url import Address

NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
Mend = tuple[str, Where]


def not_reached(
    address: Address, error: Exception, device: str, file: Path, is_clock_right: bool
) -> Finding:
    """Before the broker could say a word."""
    says = words.no_connection(address, error)
    mend, where = _mend(address, error, device, file, is_clock_right)
    if where == "broker" and address.host in LOOPBACK:
        where = "here"
        mend = mends.listen() if isinstance(error, ConnectionRefusedError) else mend
    about = "TLS" if isinstance(error, ssl.SSLError) else "connection"
    return Finding("broker", "bad", about, says.removeprefix("TLS: "), mend, where)


def _mend(
    address: Address, error: Exception, device: str, file: Path, is_clock_right: bool
) -> Mend:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _mend_of_certificate(error.verify_code, address, device, is_clock_right)
    if isinstance(error, ssl.SSLError):
        said = str(error).upper()
        if "CERTIFICATE" in said or "HANDSHAKE_FAILURE" in said or "UNKNOWN_CA" in said:
            return mends.enroll_again(device), "operator"
        return mends.edit(file), "here"
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        return mends.see_network(), "here"
    if isinstance(error, socket.gaierror | UnicodeError):
        return mends.edit(file), "here"
    if isinstance(error, ConnectionRefusedError):
        return "sudo systemctl enable --now mosquitto", "broker"
    if isinstance(error, TimeoutError):
        return f"sudo ufw allow {address.port}/tcp", "broker"
    if isinstance(error, OSError) and error.errno in NO_WAY:
        return mends.see_network(), "here"
    return mends.edit(file), "here"


def _mend_of_certificate(code: int, address: Address, device: str, is_clock_right: bool) -> Mend:
    if code == words.NOT_YET_VALID or (code == words.EXPIRED and not is_clock_right):
        return mends.set_clock(), "here"
    if code == words.EXPIRED:
        return "vedette fleet broker", "operator"
    if code in words.WRONG_NAME:
        return f"vedette fleet broker --host {address.host}", "operator"
    return mends.enroll_again(device), "operator"


def not_signed_in(why: str, device: str) -> Finding:
    """The broker was reached, and says no, or nothing."""
    if why == words.SHUT_OUT or "client certificate" in why:
        return Finding("broker", "bad", "sign-in", why, mends.enroll_again(device), "operator")
    if "rules" in why:
        acl = "vedette fleet acl, then as it says"
        return Finding("broker", "bad", "rules", why, acl, "operator")
    return Finding("broker", "bad", "sign-in", why, "sudo journalctl -u mosquitto -n 20", "broker")
