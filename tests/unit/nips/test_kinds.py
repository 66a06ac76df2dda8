"""Every kind has one storage class, and NIP-01's ranges are met at their edges."""

from __future__ import annotations

import pytest

from nips.kinds import Kind, Storage, storage


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (0, Storage.REPLACEABLE),
        (1, Storage.REGULAR),
        (2, Storage.REGULAR),
        (3, Storage.REPLACEABLE),
        (4, Storage.REGULAR),
        (9_999, Storage.REGULAR),
        (10_000, Storage.REPLACEABLE),
        (19_999, Storage.REPLACEABLE),
        (20_000, Storage.EPHEMERAL),
        (29_999, Storage.EPHEMERAL),
        (30_000, Storage.ADDRESSABLE),
        (39_999, Storage.ADDRESSABLE),
        (40_000, Storage.REGULAR),
        (65_535, Storage.REGULAR),
    ],
)
def test_edges(kind: int, expected: Storage) -> None:
    assert storage(kind) is expected


def test_how_many_of_each_there_are() -> None:
    counted = dict.fromkeys(Storage, 0)
    for kind in range(65_536):
        counted[storage(kind)] += 1
    assert counted == {
        Storage.REGULAR: 65_536 - 10_002 - 10_000 - 10_000,
        Storage.REPLACEABLE: 10_002,
        Storage.EPHEMERAL: 10_000,
        Storage.ADDRESSABLE: 10_000,
    }


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.GIFT_WRAP, Storage.REGULAR),
        (Kind.INBOX_RELAYS, Storage.REPLACEABLE),
        (Kind.AUTH, Storage.EPHEMERAL),
        (Kind.REQUEST, Storage.EPHEMERAL),
        (Kind.APP_DATA, Storage.ADDRESSABLE),
        (Kind.JOB_REQUEST, Storage.REGULAR),
    ],
)
def test_ours(kind: Kind, expected: Storage) -> None:
    assert storage(kind) is expected
