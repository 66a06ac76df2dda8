"""bot/zones.py: zones by name, those that nobody means, and what may have been meant."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from bot.zones import known_zones, machine_zone, zone_of
from nips.own.fields import zone_name
from nips.refusal import Malformed


def test_every_zone_is_one_and_has_a_name_that_events_may_say() -> None:
    assert len(known_zones()) > 400
    for name in known_zones():
        assert zone_name("zone", name) == name
        assert datetime(2026, 1, 1, tzinfo=UTC).astimezone(zone_of(name)).utcoffset() is not None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("europe/berlin", "did you mean Europe/Berlin?"),
        ("Berlin", "did you mean Europe/Berlin?"),
        ("new york", "did you mean America/New_York?"),
        ("Europe/Berln", "did you mean Europe/Berlin"),
        ("utc", "did you mean UTC?"),
        ("Atlantis", "write it as Europe/Berlin or UTC"),
        ("", "write it as Europe/Berlin or UTC"),
        # Attack: names of files.
        ("../../etc/passwd", "there is no time zone"),
        ("/etc/localtime", "there is no time zone"),
        ("Europe/../Europe/Berlin", "there is no time zone"),
        ("Europe/Berlin\0", "there is no time zone"),
        # Clocks that count leap seconds, and one that is another on each machine.
        ("right/Europe/Berlin", "there is no time zone"),
        ("posix/Europe/Berlin", "there is no time zone"),
        ("localtime", "there is no time zone"),
        ("Factory", "there is no time zone"),
        ("x" * 10_000, "there is no time zone"),
    ],
)
def test_what_is_no_zone(name: str, meant: str) -> None:
    with pytest.raises(Malformed, match=re.escape(meant)) as caught:
        zone_of(name)
    assert len(str(caught.value)) < 200


def test_this_machine_is_in_one() -> None:
    assert machine_zone() in known_zones()
