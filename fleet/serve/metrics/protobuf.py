"""Prometheus' protobuf format, with native histograms: every bucket that devices counted in.

The messages are of io.prometheus.client (metrics.proto of prometheus/client_model); few of their
fields are needed, so they are written by hand. Ours are exponential histograms of scale 4, which is
schema 4 there. Seconds instead of microseconds shift the buckets by 318.905: 319 is taken, so that
a percentile is 0.4 % too small at most.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Sequence

from fleet.serve.metrics.families import Family, Labels
from fleet.serve.metrics.grown import Grown

KIND = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)
KINDS = {"counter": 0, "gauge": 1, "histogram": 4}
VALUE_FIELDS = {"counter": 3, "gauge": 2}
SCHEMA = 4
SECOND = 319  # buckets from 1 us to 1 s; the index there is of a bucket's upper bound
VARINT, DOUBLE, BYTES = 0, 1, 2  # wire types


def exposed(families: Iterable[Family]) -> bytes:
    return b"".join(_delimited(_family(family)) for family in families)


def _family(family: Family) -> bytes:
    metrics = [_labelled(labels, _value(family, value)) for labels, value in family.samples]
    metrics += [_labelled(labels, _message(7, _native(one))) for labels, one in family.histograms]
    return b"".join(
        (_text(1, family.name), _text(2, family.what), _number(3, KINDS[family.kind]), *metrics)
    )


def _value(family: Family, value: float) -> bytes:
    """A message of 9 bytes, in which field 1 is a double."""
    return b"%c\x09\x09%b" % (VALUE_FIELDS[family.kind] << 3 | BYTES, struct.pack("<d", value))


def _labelled(labels: Labels, value: bytes) -> bytes:
    """Field 4 of a family."""
    return _message(4, b"".join((*map(_label, labels), value)))


@functools.lru_cache(maxsize=65536)  # the names of devices are in many families
def _label(pair: tuple[str, str]) -> bytes:
    """Field 1 of a metric."""
    return _message(1, _text(1, pair[0]) + _text(2, pair[1]))


def _native(grown: Grown) -> bytes:
    """Histogram: count, sum, schema, no width of zero, and the buckets in spans: where those that
    count begin, and by how much each differs from the one before."""
    used = [place for place, count in enumerate(grown.buckets) if count]
    spans: list[tuple[int, int]] = []  # (buckets left out before, length)
    following = 0
    for place in used:
        index = place + 1 - SECOND
        if spans and index == following:
            spans[-1] = (spans[-1][0], spans[-1][1] + 1)
        else:
            spans.append((index - following, 1))
        following = index + 1
    before = 0
    deltas = []
    for place in used:
        deltas.append(grown.buckets[place] - before)
        before = grown.buckets[place]
    return b"".join(
        (
            _number(1, grown.count),
            _double(2, grown.sum_us / 1e6),
            _number(5, _zigzag(SCHEMA)),
            _double(6, 0.0),
            # a span of no length says that this is a native histogram, though it is empty
            *(_message(12, _span(*span)) for span in spans or [(0, 0)]),
            *_packed(13, deltas),
        )
    )


def _span(offset: int, length: int) -> bytes:
    return _number(1, _zigzag(offset)) + _number(2, length)


def _packed(field: int, numbers: Sequence[int]) -> list[bytes]:
    """Repeated sint64 of proto3, as prometheus.proto has it: unpacked is read as well as packed."""
    content = b"".join(_varint(_zigzag(number)) for number in numbers)
    return [_message(field, content)] if content else []


def _zigzag(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3 | VARINT) + _varint(number)


def _double(field: int, number: float) -> bytes:
    return _varint(field << 3 | DOUBLE) + struct.pack("<d", number)


def _message(field: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return b"%c%c%b" % (field << 3 | BYTES, size, content)
    return _varint(field << 3 | BYTES) + _delimited(content)


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode("utf-8", "replace"))


def _delimited(content: bytes) -> bytes:
    return _varint(len(content)) + content
