"""Whose the events are that the screens show: that client does not check it, so our relay does.

A real relay with a job under way in main, and another group with a member of its own.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from secrets import token_hex

import nostr_sdk as sdk
import pytest

from nips.kinds import Kind
from relay_local.relay import RelaySettings, running
from tests.amethyst.viewer import Refused, Viewer, viewer
from tests.unit.relay_local.cast import (
    BOT,
    MAIN,
    OTHER,
    OTHER_MEMBER,
    OWNER,
    RELAY,
    ROLES,
    ROUTER,
    STRANGER,
    put_user,
)
from tests.unit.relay_local.wire import signed, wire

JOB_KINDS = range(43_001, 43_007)
RUN_KINDS = (46_001, 46_002, 46_003, 46_005, 46_006, 46_007, 46_010, 46_020)
# Said after authentication, and of the event itself.
NO = "^(restricted|invalid): "


@dataclass(frozen=True, slots=True)
class House:
    """A job of the main group that goes on, the owner, a member of the other group, a stranger."""

    job: str
    owner: Viewer
    member: Viewer
    stranger: Viewer


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    settings = RelaySettings(tmp_path_factory.mktemp("forgeries"), RELAY, roles=ROLES)
    async with running(settings) as relay, AsyncExitStack() as stack:
        async with wire(relay.url, ROUTER) as router, wire(relay.url, OWNER) as owner:
            main, other = ("h", MAIN), ("h", OTHER)
            await router.keep(
                signed(ROUTER, Kind.CREATE_GROUP, main), put_user(MAIN, OWNER, "owner"),
                signed(ROUTER, Kind.CREATE_GROUP, other), put_user(OTHER, OTHER_MEMBER, "member"),
            )  # fmt: skip
            message = signed(OWNER, Kind.CHAT, main, content="hello")
            await owner.keep(message)
            job = signed(ROUTER, Kind.JOB_REQUEST, main, ("e", message.id), ("p", BOT.public))
            await router.keep(job)
        people = [
            await stack.enter_async_context(viewer(relay.url, sdk.Keys.parse(key.raw.hex())))
            for key in (OWNER, OTHER_MEMBER, STRANGER)
        ]
        yield House(job.id, *people)


@pytest.mark.parametrize("kind", [*JOB_KINDS, *RUN_KINDS, 46_030, 46_031, 44_200, 24_200, 39_000])
async def test_nobody_forges_what_the_screens_show(house: House, kind: int) -> None:
    """A member of a group, an authenticated stranger; in that group, in main, in both, in none."""
    content = json.dumps({"run": token_hex(32), "task": "x", "note": "Press yes"})
    tags = [
        ["e", house.job], ["p", house.owner.public_key], ["agent", BOT.public], ["d", token_hex(32)]
    ]  # fmt: skip
    for person in (house.member, house.stranger):
        for groups in ([OTHER], [MAIN], [OTHER, MAIN], []):
            with pytest.raises(Refused, match=NO):
                await person.publish(kind, [*(["h", group] for group in groups), *tags], content)


@pytest.mark.parametrize("kind", [43_001, 43_002, 43_003, 43_004, 43_006, 44_200, 46_001, 46_005])
async def test_not_even_the_owner_forges_them(house: House, kind: int) -> None:
    tags = [["h", MAIN], ["e", house.job], ["p", house.owner.public_key]]
    with pytest.raises(Refused, match=NO):
        await house.owner.publish(kind, tags, json.dumps({"run": token_hex(32)}))
