"""bot/requests/methods.py: who may call what."""

from __future__ import annotations

import pytest

from bot.jobs import Job
from bot.requests.callers import Bridge, Caller, Console, ModelProxy, Session
from bot.requests.methods import Asked, Method, allowed, table
from nips.refusal import Prefix, Refused

JOB = Job("1" * 64, "00000000-0000-4000-8000-000000000002", ("2" * 64,), 0)
CALLERS: tuple[Caller, ...] = (
    Session("a" * 64, JOB, False),
    Bridge("b" * 64, "nostr"),
    Console("c" * 64),
    ModelProxy("d" * 64),
)


async def nothing(_: Asked) -> str:
    return ""


@pytest.mark.parametrize("owner", CALLERS, ids=lambda one: type(one).__name__)
def test_a_method_is_of_the_callers_it_names_and_of_nobody_else(owner: Caller) -> None:
    methods = table([Method("mine", (type(owner),), nothing)])
    for caller in CALLERS:
        if caller is owner:
            assert allowed(methods, "mine", caller).name == "mine"
            continue
        with pytest.raises(Refused) as error:
            allowed(methods, "mine", caller)
        assert error.value.refusal.prefix is Prefix.RESTRICTED
        with pytest.raises(Refused) as unknown:
            allowed(methods, "none", caller)
        # Whether there is such a method is told to nobody whose it is not.
        assert str(unknown.value).replace("none", "mine") == str(error.value)


def test_two_methods_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="two methods"):
        table([Method("one", (Bridge,), nothing), Method("one", (Session,), nothing)])


def test_the_once_key_of_an_effect_is_of_the_job() -> None:
    other = Session("a" * 64, Job("9" * 64, JOB.group, JOB.messages, 0), False)
    first = Asked(CALLERS[0], "id", ())
    again = Asked(Session("e" * 64, JOB, False), "id", ())  # the next attempt's key
    assert first.once("file") == again.once("file")
    assert first.once("file") != first.once("message")
    assert first.once("file") != Asked(other, "id", ()).once("file")


def test_parameters_are_counted_and_filled_up() -> None:
    asked = Asked(CALLERS[0], "id", ("a",))
    assert asked.take(1, 3, "A [B] [C]") == ("a", "", "")
    with pytest.raises(Refused, match=r"invalid: it is called with A B"):
        asked.take(2, 2, "A B")
