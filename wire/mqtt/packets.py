"""The one MQTT packet that comes and goes in thousands, made and taken apart without ceremony."""

from __future__ import annotations

from wire.link import Received

PUBLISH, RETAIN = 0x30, 0x01  # of a packet's first byte; QoS 0
LENGTH_BYTES = 4  # at most, of what tells a packet's length
MOST_LENGTH = 128**LENGTH_BYTES - 1


def is_bulk(first: int) -> bool:
    """Whether the packet that begins with this byte is a PUBLISH of QoS 0."""
    return first & ~RETAIN == PUBLISH


def packet_end(head: memoryview) -> tuple[int, int] | None:
    """Where the body of a packet begins, and how long the whole is; None: more must come first.

    head: the first bytes of a packet, 5 if they came. A length that is none: the head alone.
    """
    length = 0
    for place in range(1, len(head)):
        length |= (head[place] & 127) << 7 * (place - 1)
        if head[place] < 128:
            return place + 1, place + 1 + length
    return None if len(head) <= LENGTH_BYTES else (len(head), len(head))


def plain_publish(
    first: int, rest: bytearray | memoryview, has_properties: bool
) -> Received | None:
    """The message in a PUBLISH of QoS 0 without properties; None: it is not one of these, or is
    malformed, and somebody who knows them all must look.

    first: the byte that begins the packet. rest: what follows its length. has_properties: MQTT 5.
    """
    begin = 2 + int.from_bytes(rest[:2], "big")  # of what follows the topic
    if not is_bulk(first) or len(rest) < begin + has_properties:
        return None
    if has_properties and rest[begin]:
        return None
    try:
        topic = str(rest[2:begin], "utf-8")
    except UnicodeDecodeError:
        return None
    payload = bytes(memoryview(rest)[begin + has_properties :])
    return Received(topic, payload, bool(first & RETAIN)) if topic else None


def publish_head(topic: bytes, size: int, retain: bool, has_properties: bool) -> bytes | None:
    """What goes before a payload of `size` bytes: a PUBLISH of QoS 0; None: it cannot be said so,
    and somebody who knows all the rules must look."""
    if not 0 < len(topic) < 1 << 16 or b"+" in topic or b"#" in topic:
        return None
    left = 2 + len(topic) + has_properties + size
    if left > MOST_LENGTH:
        return None
    head = bytearray((PUBLISH | retain,))
    while left > 127:
        head.append(left & 127 | 128)
        left >>= 7
    head.append(left)
    head += len(topic).to_bytes(2, "big") + topic + bytes(has_properties)
    return bytes(head)
