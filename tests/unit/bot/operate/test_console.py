"""The role keys that came later: made with the others, and added to an installation of before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from bot.operate import assembly
from config import settings
from config.roles import load, read_key, save


def test_an_installation_of_before_gets_the_console(tmp_path: Path) -> None:
    place = assembly.installation(tmp_path / "data")
    chosen = settings.load(place.data)
    first = assembly.prepare(place, chosen, None)
    assert first.console == read_key(place.key("console")).public
    assert first.role_of(first.console) == "console"
    assert place.key("console").stat().st_mode & 0o777 == 0o600

    # As it was before: no such key, and a bridge that this version does not start.
    other = MappingProxyType({**first.bridges, "email": read_key(place.key("console")).public})
    save(place.roles_file, replace(first, console=None, bridges=other))
    place.key("console").unlink()
    again = assembly.prepare(place, chosen, None)
    assert again.console == read_key(place.key("console")).public
    assert again == replace(first, console=again.console, bridges=other)
    assert load(place.roles_file) == again


def test_an_installation_of_before_gets_the_signal_bridge(tmp_path: Path) -> None:
    place = assembly.installation(tmp_path / "data")
    chosen = settings.load(place.data)
    first = assembly.prepare(place, chosen, None)
    assert set(first.bridges) == {"nostr", "signal"}
    assert first.bridge_of(read_key(place.key("bridge-signal")).public) == "signal"
    assert first.mail_bridge == read_key(place.key("bridge-nostr")).public

    save(place.roles_file, replace(first, bridges={"nostr": first.bridges["nostr"]}))
    place.key("bridge-signal").unlink()
    again = assembly.prepare(place, chosen, None)
    added = read_key(place.key("bridge-signal")).public
    assert again == replace(first, bridges=MappingProxyType({**first.bridges, "signal": added}))
    assert load(place.roles_file) == again
