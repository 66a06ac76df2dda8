"""The token bucket."""

from __future__ import annotations

from relay_local.pacing import Bucket, Meter


def test_a_burst_then_a_rate() -> None:
    bucket: Bucket | None = Bucket(3, 0.5, 3, 100)
    for _ in range(3):
        assert bucket is not None
        bucket = bucket.take(100)
    assert bucket is not None
    assert bucket.take(101) is None
    assert bucket.take(102) is not None


def test_it_never_holds_more_than_its_capacity() -> None:
    taken = Bucket(3, 1, 0, 0).take(1_000_000)
    assert taken is not None
    assert taken.level == 2


def test_a_clock_set_back_refills_nothing() -> None:
    taken = Bucket(3, 1, 1, 1_000).take(10)
    assert taken is not None
    assert taken.level == 0
    assert taken.take(1_000) is None
    assert taken.take(1_001) is not None


def test_a_meter_is_one_for_all_its_holders() -> None:
    meter = Meter(2, 0.5)
    assert [meter.take(100), meter.take(100), meter.take(100)] == [True, True, False]
    assert [meter.take(102), meter.take(102)] == [True, False]
