import pytest

from bot.bridges.signal.inward.visitors import MAX_NAMES, Visitors
from bot.bridges.signal.received.envelope import Conversation, Person

ALICE = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa"
GROUP = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@pytest.mark.parametrize(
    ("person", "group", "where", "name"),
    [
        ("Alice", None, ALICE, "Alice (Signal)"),
        (None, None, ALICE, ""),
        ("+4915100000011", None, ALICE, ""),  # whoever reads of them is not told their number
        ("Alice", "Friends", GROUP, "Friends (Signal)"),
        ("Alice", None, GROUP, ""),
        # Attack: a name that hides who they are, in the owner's conversation.
        ("Owner\u202e\n", None, ALICE, "Owner (Signal)"),
        ("\u200b", None, ALICE, ""),
        ("Alice", "x" * 500, GROUP, "x" * 60 + " (Signal)"),
    ],
)
async def test_who_is_at_the_door(
    person: str | None, group: str | None, where: str, name: str
) -> None:
    visitors = Visitors()
    visitors.learn(
        Person(ALICE, "+4915100000011", person), Conversation(where, where == GROUP, group)
    )
    assert await visitors.names(frozenset({where})) == {where: name}


async def test_a_crowd_leaves_little() -> None:
    """Attack: a name for each of ten thousand."""
    visitors = Visitors()
    for number in range(10_000):
        id_ = f"{number:08d}-0000-4000-8000-000000000000"
        visitors.learn(Person(id_, None, "x"), Conversation(id_, False, None))
    assert len(visitors._names) == MAX_NAMES
    assert await visitors.names(frozenset({ALICE})) == {ALICE: ""}
