"""The one MQTT packet that comes in thousands, taken apart without ceremony."""

from __future__ import annotations

from wire.link import Received

QOS, RETAIN = 0b0110, 0b0001  # bits of a packet's first byte


def plain_publish(first: int, rest: bytearray, has_properties: bool) -> Received | None:
    """The message in a PUBLISH of QoS 0 without properties; None: it is not one of these, or is
    malformed, and somebody who knows them all must look.

    first: the byte that begins the packet. rest: what follows its length. has_properties: MQTT 5.
    """
    begin = 2 + int.from_bytes(rest[:2], "big")  # of what follows the topic
    if first & QOS or len(rest) < begin + has_properties or (has_properties and rest[begin]):
        return None
    try:
        topic = rest[2:begin].decode()
    except UnicodeDecodeError:
        return None
    payload = bytes(memoryview(rest)[begin + has_properties :])
    return Received(topic, payload, bool(first & RETAIN)) if topic else None
