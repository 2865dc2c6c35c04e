"""What a broker says of itself when it takes us in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What the broker said of itself in CONNACK; None where it said nothing, as in 3.1.1.

    most_bytes: of a packet. window: messages on their way. retains: 0 or 1. qos: the highest.
    """

    most_bytes: int | None
    window: int | None
    retains: int | None
    qos: int | None


def limits_of(properties: object) -> Limits:
    """properties: of CONNACK, None if there are none."""
    names = ("MaximumPacketSize", "ReceiveMaximum", "RetainAvailable", "MaximumQoS")
    return Limits(*(getattr(properties, name, None) for name in names))
