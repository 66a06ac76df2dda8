"""agent_image/agent/house_tools.py and asking.py, with a real reception on a real relay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent_image.agent.asking import Asking
from agent_image.agent.backends import Call
from agent_image.agent.speech import Speaker
from agent_image.agent.tools import Toolbox
from bot.requests.callers import Session
from bot.requests.methods import Asked, Method, table
from nips.refusal import Prefix, refused
from relay_local.client import Caller, Link
from tests.unit.bot.requests.stage import House, a_house

GROUP = "00000000-0000-4000-8000-000000000002"


class Answering:
    """The router's side: notes what is asked, and answers as it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, tuple[str, ...]]] = []

    def method(self, name: str) -> Method:
        async def handle(asked: Asked) -> str:
            self.asked.append((name, asked.id, asked.params))
            match name:
                case "set_group":
                    raise refused(Prefix.PENDING, "the owner was asked")
                case "list_groups":
                    raise refused(Prefix.RESTRICTED, "only in main")
                case _:
                    return f"<{name}>"

        return Method(name, (Session,), handle)


NAMES = (
    "send_file", "set_persona", "set_group", "list_groups", "register_group", "send_to_group",
    "ask_owner",
)  # fmt: skip


@pytest.fixture(scope="module")
async def house() -> AsyncIterator[House]:
    async with a_house() as made:
        yield made


async def calls(
    house: House, scene: Any, folder: Path, *calls: Call
) -> tuple[Answering, list[Any]]:
    """Carry out calls; what was asked of the router, and the answers."""
    answering = Answering()
    key = house.session(GROUP)
    speaker = Speaker(Caller(Link("unix:/nowhere", [], None), key, house.roles.signer), float, 60)
    async with (
        house.reception(table([answering.method(name) for name in NAMES])),
        house.asking(key) as caller,
    ):
        job = scene.job(scene.message("hello"))
        toolbox = Toolbox(job, speaker, Asking(caller), folder)
        return answering, [await toolbox.execute(call) for call in calls]


async def test_each_tool_asks_for_what_it_says(house: House, scene: Any, tmp_path: Path) -> None:
    answering, answers = await calls(
        house, scene, tmp_path,
        Call("send_file", {"name": "a"}),
        Call("set_persona", {"name": "Ada", "picture": "-", "everywhere": True}),
        Call("register_group", {"name": "Ann", "people": "npub1x", "trigger": "none"}),
        Call("send_message", {"conversation": "ann", "text": "hi"}),
        Call("ask_owner", {"question": "May I?"}),
    )  # fmt: skip
    assert [(name, params) for name, _, params in answering.asked] == [
        ("send_file", ("a",)),
        ("set_persona", ("everywhere", '{"name": "Ada", "picture": null}')),
        ("register_group", ("Ann", "npub1x", "none")),
        ("send_to_group", ("ann", "hi")),
        ("ask_owner", ("May I?",)),
    ]
    assert all(answer.ok for answer in answers)


async def test_that_the_owner_was_asked_is_an_answer(
    house: House, scene: Any, tmp_path: Path
) -> None:
    _, (asked, denied, nothing) = await calls(
        house, scene, tmp_path,
        Call("set_group", {"changes": "{}"}),
        Call("list_groups", {}),
        Call("set_persona", {}),
    )  # fmt: skip
    assert (asked.ok, asked.text) == (
        True, "The owner was asked. Asking again changes nothing.",
    )  # fmt: skip
    assert (denied.ok, denied.text) == (False, "That did not work: only in main.")
    assert (nothing.ok, nothing.text) == (False, "That did not work: nothing was to change.")


async def test_another_attempt_asks_under_the_same_id(
    house: House, scene: Any, tmp_path: Path
) -> None:
    twice = (Call("send_file", {"name": "a"}), Call("send_file", {"name": "a"}))
    first, _ = await calls(house, scene, tmp_path, *twice)
    second, _ = await calls(house, scene, tmp_path, *twice)
    assert [one[1] for one in first.asked] == [one[1] for one in second.asked]
    assert len({one[1] for one in first.asked}) == 2


async def test_a_file_of_the_folder_is_put_where_the_router_takes_it(
    house: House, scene: Any, tmp_path: Path
) -> None:
    group, out = tmp_path / "group", tmp_path / "ipc" / "out"
    group.mkdir()
    out.mkdir(parents=True)
    (group / "a.txt").write_text("words")
    await calls(house, scene, group, Call("send_file", {"name": "a.txt"}))
    assert (out / "a.txt").read_text() == "words"
    (out / "a.txt").write_text("later")  # put there by itself, it is what is meant
    await calls(house, scene, group, Call("send_file", {"name": "a.txt"}))
    assert (out / "a.txt").read_text() == "later"
    (group / "a.txt").write_text("latest")
    await calls(house, scene, group, Call("send_file", {"name": "a.txt"}))
    assert (out / "a.txt").read_text() == "latest"
