"""Key files and roles.toml: whole, private, and named when they are wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.roles import RolesError, ensure_key, load, read_key, save
from nips.own.roles import Roles


def test_a_key_is_made_once_and_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "router"
    key = ensure_key(path)
    assert ensure_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert key.raw.hex() not in repr(key)


def test_a_key_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ensure_key(tmp_path / "key")
    finally:
        os.umask(before)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "zz", "00" * 32, "ab" * 31])
def test_a_file_that_holds_no_key_is_named_and_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "router"
    path.write_text(text)
    with pytest.raises(RolesError, match="router") as error:
        read_key(path)
    assert text == "" or text not in str(error.value)


def test_roles_come_back_as_they_were_written(tmp_path: Path) -> None:
    keys = [ensure_key(tmp_path / str(n)).public for n in range(6)]
    roles = Roles(
        relay=keys[0],
        signer=keys[1],
        router=keys[2],
        bot=keys[3],
        main="5b1b6a2e-6c2f-4f3e-9d9d-0e4c7c2f7a10",
        owner=None,
        chat=keys[4],
        bridges={"nostr": keys[5]},
    )
    save(tmp_path / "roles.toml", roles)
    assert load(tmp_path / "roles.toml") == roles


def test_roles_with_a_wrong_key_are_refused(tmp_path: Path) -> None:
    (tmp_path / "roles.toml").write_text('relay = "no"\n')
    with pytest.raises(RolesError, match=r"roles\.toml"):
        load(tmp_path / "roles.toml")
