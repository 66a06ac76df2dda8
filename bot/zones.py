"""Shell: the time zones that this machine knows, by name, and the one that it is in."""

from __future__ import annotations

import os
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from nips.refusal import Malformed

MAX_SHOWN = 3
# They mean another thing on each machine, or nothing.
_NOT_MEANT = frozenset({"localtime", "Factory"})


def zone_of(name: str) -> ZoneInfo:
    """The zone of that name, whose case counts. Raises Malformed with what may have been meant."""
    # Attack: ../../etc/passwd is a file's name to whoever looks a zone up; only known ones are.
    if name not in known_zones():
        near = _near(name)
        meant = f"did you mean {' or '.join(near)}?" if near else "write it as Europe/Berlin or UTC"
        raise Malformed(f"there is no time zone {name[:40]!r}: {meant}")
    return ZoneInfo(name)


@cache
def known_zones() -> frozenset[str]:
    """Every name of the IANA database, those of old too."""
    return frozenset(available_timezones()) - _NOT_MEANT


def machine_zone() -> str:
    """The IANA name of this machine's time zone; UTC where it does not tell."""
    target = os.path.realpath("/etc/localtime")
    _, found, zone = target.partition("/zoneinfo/")
    if not found:
        with_name = Path("/etc/timezone")
        zone = with_name.read_text().strip() if with_name.is_file() else ""
    zone = zone.removeprefix("posix/").removeprefix("right/")
    is_plain_utc = zone in ("Etc/UTC", "Universal", "Zulu")
    return "UTC" if is_plain_utc or zone not in known_zones() else zone


def _near(name: str) -> list[str]:
    """Names that a person may have meant: by another case, by the city alone, by a slip."""
    wanted = name[:80].strip().replace(" ", "_").casefold()
    by_fold = {each.casefold(): each for each in sorted(known_zones())}
    if wanted in by_fold:
        return [by_fold[wanted]]
    cities = [each for each in sorted(known_zones()) if each.casefold().endswith(f"/{wanted}")]
    found = cities or [by_fold[each] for each in get_close_matches(wanted, by_fold, cutoff=0.75)]
    return found[:MAX_SHOWN]
