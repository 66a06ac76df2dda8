"""Shell: before the first message: who owns the assistant, and the main group made theirs."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from bot.author import Author, of_kinds
from bot.directory import Directory
from bot.groups import missing_of_main
from bot.notice import notice
from nips.filter import Filter
from nips.kinds import Kind
from nips.own import pairing
from nips.own.roles import Roles
from nips.refusal import Malformed
from relay_local.client import Caught, Delivery

WELCOME = (
    "You are my owner now. Write to me here and I answer, from a container made for each message. "
    "/help lists what I understand."
)

log = structlog.get_logger()


async def owner_of(author: Author, roles: Roles, waiting: Callable[[], None]) -> str:
    """Who the owner is, in hex, by roles.toml or by the pairing, which is waited for; `waiting` is
    called when it has to be."""
    if roles.owner is not None:
        return roles.owner
    named = Filter(
        authors=frozenset({roles.signer}),
        kinds=of_kinds(Kind.APP_DATA),
        tags={"d": frozenset({pairing.D})},
    )
    async with author.link.subscribe([named]) as stream:
        async for item in stream:
            match item:
                case Delivery(event, _):
                    try:
                        return pairing.parse(event, roles.signer)
                    except Malformed as error:
                        log.error("owner not named", reason=str(error))
                case Caught():
                    log.info("waiting for the owner to pair")
                    waiting()
    raise AssertionError("a subscription ends by an exception only")


async def make_main(author: Author, roles: Roles, owner: str, directory: Directory) -> None:
    """Know every group and binding, and publish what `main` still lacks. Raises Refused."""
    await directory.load()
    now_s = author.now_s()
    for template in missing_of_main(directory.groups, roles, owner, now_s):
        directory.learn(await author.require(template))
    # Its once-key makes every later welcome a duplicate.
    await author.publish(notice(roles, ("welcome", owner), WELCOME, now_s=author.now_s()))
