"""agent_image/agent/surroundings.py: who is who, from events that anybody may have filled."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent_image.agent.surroundings import MAX_NAME_CHARS, read_people
from nips.kinds import Kind


def profile(scene: Any, content: str) -> Any:
    return scene.sign(scene.person, 0, content=content)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ('{"name":"alice"}', "alice"),
        ('{"name":"alice","display_name":"Alice A."}', "Alice A."),
        ('{"name":"alice","display_name":"  "}', "alice"),
        (json.dumps({"name": "x" * 5_000}), "x" * MAX_NAME_CHARS),
        ('{"name":7}', None),
        ('{"name":""}', None),
        ("[]", None),
        ("no JSON", None),
        ("[" * 100_000, None),
        ("", None),
    ],
)
def test_a_name_is_what_the_profile_says(scene: Any, content: str, name: str | None) -> None:
    people = read_people([profile(scene, content)], scene.group)
    assert people.names.get(scene.person.public) == name


def test_the_groups_name_and_owners_are_its_own(scene: Any) -> None:
    def state(kind: int, group: str, *tags: tuple[str, ...]) -> Any:
        return scene.sign(scene.router, kind, ("d", group), *tags)

    owner, admin = ("p", scene.person.public, "owner"), ("p", scene.bot.public, "admin")
    people = read_people(
        [
            state(Kind.GROUP_METADATA, scene.group, ("name", "Garden")),
            state(Kind.GROUP_ADMINS, scene.group, owner, admin, ("p",)),
            state(Kind.GROUP_METADATA, "another", ("name", "Cellar")),
            state(Kind.GROUP_ADMINS, "another", ("p", scene.bot.public, "owner")),
            scene.message("hello"),
        ],
        scene.group,
    )
    assert people.group == "Garden"
    assert people.owners == {scene.person.public}
    assert people.names == {}
