"""Forged and replayed acks: what they cost, and that they cost no more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.delivery import Bench, benches
from wire.messages import Ack


@pytest.fixture
def bench() -> Iterator[Bench]:
    with benches() as make:
        yield make


def test_a_forged_ack_costs_what_was_made_and_nothing_to_come(bench: Bench) -> None:
    """By somebody with the registry's password, while the registry is away. The records go, and
    the registry sees a gap: the next one says which is the oldest that can still come."""
    delivery = bench("registry")
    registry, delivery.far = delivery.far, None
    delivery.append(30)
    delivery.courier.acked(Ack(delivery.spool.id, 10**9))
    assert delivery.spool.waiting == 30, "of records that were never made it is no word"
    delivery.courier.acked(Ack(delivery.spool.id, 20))
    assert delivery.spool.waiting == 10
    delivery.far = registry
    delivery.connect()
    delivery.append(5)
    delivery.run(60.0)
    assert delivery.spool.waiting == 0
    assert registry is not None
    assert {seq for _, seq in registry.keys} == set(range(21, 36))
    assert registry.floors[delivery.spool.id] == 35
    assert min(sent.record.oldest for sent in delivery.wire.sent) == 21


def test_a_forged_ack_of_another_spool_or_where_none_counts(bench: Bench) -> None:
    by_registry, by_broker = bench("registry"), bench("broker")
    for delivery, spool in ((by_registry, "0123456789abcdef-01234567"), (by_broker, None)):
        delivery.append(30)
        delivery.courier.acked(Ack(spool or delivery.spool.id, 30))
        assert delivery.spool.waiting == 30


def test_a_replayed_ack_changes_nothing(bench: Bench) -> None:
    delivery = bench("registry")
    delivery.append(10)
    delivery.connect()
    delivery.run(5.0)
    assert delivery.spool.waiting == 0
    old = Ack(delivery.spool.id, 10)
    delivery.far = None
    delivery.append(5)
    for _ in range(100):
        delivery.courier.acked(old)
    assert delivery.spool.waiting == 5
