"""Why a connection could not be made, or went: a sentence for a person, with the way out.

Things are called by plain names ("the CA file"): who reads this has either vedette.toml or the
options of a command before him.
"""

from __future__ import annotations

import errno
import socket
import ssl
from datetime import datetime, timezone

from wire.mqtt.url import Address

SHUT_OUT = (
    "the broker does not let us in: the user name or the password is wrong, or its rules do not "
    "know us: check the user name and the password file"
)
TAKEN_OVER = (
    "another connection came under the same client id: two devices have the same name, or an old "
    "agent still runs: give every device its own name"
)
FLOOD = (
    "the broker sent too much before it answered our subscriptions: check that it is an MQTT "
    "broker, and what lies retained on it"
)
TOO_LARGE = "a message was larger than the broker takes: raise its max_packet_size"
# of CONNACK and DISCONNECT, MQTT 5; paho gives the codes of 3.1.1 as these
REASONS = {
    0x81: "the broker could not read our packet",
    0x82: "the broker says that we broke the protocol",
    0x84: "the broker speaks neither MQTT 5 nor 3.1.1",
    0x85: "the broker refuses our client id",
    0x86: SHUT_OUT,
    0x87: SHUT_OUT,
    0x88: "the broker is not available now",
    0x89: "the broker is too busy now",
    0x8A: "the broker has banned us",
    0x8B: "the broker is shutting down",
    0x8C: "the broker wants another way to authenticate",
    0x8D: "the broker heard nothing from us for too long: the network or this device stalled",
    0x8E: TAKEN_OVER,
    0x90: "the broker refuses the topic of our will",
    0x93: "the broker got more messages at a time than it takes",
    0x95: TOO_LARGE,
    0x96: "the broker finds that we send too much",
    0x97: "a quota of the broker is used up",
    0x98: "an administrator of the broker ended the connection",
    0x9A: "the broker keeps no retained messages, which we need: allow them",
    0x9B: "the broker does not take QoS 1, which we need: allow it",
    0x9C: "the broker says: use another server: change the broker's URL",
    0x9D: "the broker moved: change the broker's URL",
    0x9F: "the broker finds that we connect too often",
}
REFUSALS = (0x85, 0x86, 0x87, 0x8A, 0x8C)  # of CONNECT: who we are is not enough
SESSION_TAKEN_OVER = 0x8E
WRONG_VERSION = 0x84
NO_RETAIN = 0x9A
NO_QOS = 0x9B

NOT_YET_VALID, EXPIRED = 9, 10  # X509_V_ERR_...
UNKNOWN_ISSUER = (2, 18, 19, 20, 21)
WRONG_NAME = (62, 64)


def broker_said(reason: int) -> str:
    """A reason code of CONNACK or DISCONNECT."""
    return REASONS.get(reason, f"the broker ended the connection with reason 0x{reason:02x}")


def not_subscribed(reason: int) -> str:
    """A reason code of SUBACK. 0x80 is all that 3.1.1 knows."""
    why = "" if reason == 0x80 else f" ({broker_said(reason)})"
    return f"the broker does not let us subscribe{why}: allow this device's topics in its rules"


def not_published(topic: str, reason: int) -> str:
    """A reason code of PUBACK."""
    if reason == 0x87:
        return f"the broker does not let us write to {topic}: allow it in its rules (ACL)"
    return f"the broker did not take a message to {topic}: {broker_said(reason)}"


def no_connection(address: Address, error: Exception) -> str:
    """Why no connection could be made: what went wrong before the broker could speak."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {_certificate(address, error)}"
    if isinstance(error, ssl.SSLError):
        return no_handshake(address, str(error))
    if isinstance(error, socket.gaierror):
        if error.errno == socket.EAI_AGAIN:
            return f"the name {address.host} cannot be looked up now: no network, or no DNS server"
        return f"no host is called {address.host}: check the broker's URL and the network's DNS"
    if isinstance(error, UnicodeError):
        return f"{address.host} is no host name: check the broker's URL"
    if isinstance(error, ConnectionRefusedError):
        return (
            f"nothing listens at {address.host}, port {address.port}: "
            "start the broker, or check the port in the broker's URL"
        )
    if isinstance(error, ConnectionError) and address.encrypted:
        return no_handshake(address, "reset")
    if isinstance(error, ConnectionResetError | ConnectionAbortedError):
        return mute(address)
    if isinstance(error, TimeoutError):
        return (
            f"no answer from {address.host}, port {address.port}: "
            "check the broker's URL, the network, and firewalls"
        )
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return f"no way to {address.host}: check that this device has a network"
    if address.path and "handshake" in str(error):
        return f"no MQTT web socket at {address}: check port and path in the broker's URL"
    return f"no connection to {address}: {error}"


def no_handshake(address: Address, said: str) -> str:
    """What OpenSSL's error means. said: its text, e.g. '[SSL: TLSV1_ALERT_UNKNOWN_CA] ...'."""
    said = said.upper().replace(" ", "_")
    if "WRONG_VERSION_NUMBER" in said or "RECORD_LAYER_FAILURE" in said:
        return f"TLS: {address.host}, port {address.port}, speaks no TLS: check the port, or write {_plain(address)}://"
    if "CERTIFICATE_REQUIRED" in said or "HANDSHAKE_FAILURE" in said:
        return "TLS: the broker wants a client certificate: name its file and its key's file"
    if "ALERT" in said and ("CERTIFICATE" in said or "UNKNOWN_CA" in said):
        return (
            "TLS: the broker rejects our client certificate: check that it is not expired or "
            "revoked, and that the broker knows who signed it"
        )
    if "EOF" in said or "RESET" in said or "BROKEN_PIPE" in said or "ABORTED" in said:
        return (
            f"TLS: {address.host}, port {address.port}, closed in the handshake: check that the "
            "port speaks TLS, whether it wants a client certificate, and that it accepts ours"
        )
    return f"TLS: {said.lower()}"


def mute(address: Address) -> str:
    """The broker closed the connection, or said something else, before CONNACK."""
    hint = "" if address.encrypted else f", perhaps TLS (then write {_encrypted(address)}://)"
    return (
        f"{address.host}, port {address.port}, closed the connection before it answered: "
        f"check that it is an MQTT broker's port{hint}"
    )


def silent(address: Address, waited_s: float) -> str:
    """Connected, but no CONNACK or SUBACK came."""
    return (
        f"{address.host}, port {address.port}, took the connection but did not answer "
        f"in {waited_s:.0f} s: check that it is an MQTT broker and not overloaded"
    )


def broken(address: Address, largest: int) -> str:
    """The connection ended without a word. largest: bytes of the largest packet on its way."""
    hint = f"; a message of {largest} bytes was on its way: perhaps too large for the broker"
    return f"the connection to {address.host} broke{hint if largest > 16_384 else ''}"


def deaf(address: Address, keepalive_s: int) -> str:
    """No sign of life within the keepalive time."""
    return (
        f"nothing came from {address.host} for more than {keepalive_s} s: "
        "the network is gone, or the broker hangs"
    )


def _certificate(address: Address, error: ssl.SSLCertVerificationError) -> str:
    now = datetime.now(timezone.utc)
    if error.verify_code == EXPIRED:
        return (
            f"the broker's certificate has expired: renew it "
            f"(unless this device's clock is wrong: it says {now:%Y-%m-%d})"
        )
    if error.verify_code == NOT_YET_VALID:
        return (
            "the broker's certificate is not valid yet: this device's clock says "
            f"{now:%Y-%m-%d %H:%M} UTC: set the clock (is NTP running?)"
        )
    if error.verify_code in UNKNOWN_ISSUER:
        return (
            "nobody we trust signed the broker's certificate: name as CA file the certificate of "
            "the authority that did"
        )
    if error.verify_code in WRONG_NAME:
        return (
            f"the broker's certificate is not for {address.host}: write the name that it is for "
            "in the broker's URL, or issue it for this name"
        )
    return f"the broker's certificate was not accepted: {error.verify_message}"


def _plain(address: Address) -> str:
    return "ws" if address.path else "mqtt"


def _encrypted(address: Address) -> str:
    return "wss" if address.path else "mqtts"
