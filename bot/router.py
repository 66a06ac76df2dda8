"""Shell: the router: reads the groups' messages, decides, and sees every job to its end.

Crash-only: what it must remember is on the relay. A message becomes a job (43001) under a
once-key before the reader's place moves past it; a job's attempts, its `done` and what it has
said are events. So a start after a kill is the same as any start: leftover containers removed,
grants that still live revoked, every open job resolved by `bot.jobs.next_step`, then on from the
place. It is stopped by cancelling `serve`: running containers are ended, their jobs resolved at
the next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from bot import grants
from bot.attempt import LAST_WORD_S, Runner
from bot.author import is_duplicate, of_kinds
from bot.dispatch import Dispatch, open_jobs
from bot.groups import MEMBERSHIP_KINDS, Group, Groups, missing_of_main
from bot.jobs import JOB_KINDS, Job
from bot.notice import notice
from bot.place import Place, follow
from bot.routing import MESSAGE_KINDS, Ignored, Work, route
from nips.event import Event
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import binding as bindings
from nips.own import grant as grant_events
from nips.own import job as job_events
from nips.own import pairing
from nips.own.grant import Grant
from nips.own.roles import Roles
from nips.refusal import Malformed, Refused
from relay_local.client import Caught, Delivery, Link

MAX_GRANTS = 5_000
WELCOME = (
    "You are my owner now. Write to me here and I answer, from a container made for each message. "
    "/help lists what I understand."
)

log = structlog.get_logger()


class Router:
    """`serve` until cancelled; `ready` is set when messages are being read, or, where nobody
    owns the assistant yet, when the pairing is awaited.

    link: authenticated with `key`, the router's. runner: makes the attempts. places: jobs that
    run at once. pauses_s: before a job's second attempt, its third.
    """

    def __init__(
        self,
        link: Link,
        key: SecretKey,
        roles: Roles,
        runner: Runner,
        *,
        places: int = 4,
        pauses_s: Sequence[float] = (2.0, 15.0),
    ) -> None:
        self.ready = asyncio.Event()
        self._link, self._roles, self._runner = link, roles, runner
        self._author = runner.author
        self._places, self._pauses_s = places, pauses_s
        self._groups = Groups()
        self._place = Place(link, key, "router")
        self._all_ended = Place(link, key, "router-jobs")  # no job open that began before it

    async def serve(self) -> None:
        """Work until cancelled.

        Raises SandboxUnavailable where the engine cannot hold agents, Refused where the relay
        denies the router what it needs.
        """
        await self._runner.sandbox.check()
        await self._runner.sandbox.remove_leftovers()
        await asyncio.to_thread(self._runner.layout.clear_all)
        try:
            async with asyncio.TaskGroup() as tasks:
                for bridge in self._roles.bridges.values():
                    tasks.create_task(self._renew(await self._grant_bridge(bridge)))
                await self._make_main(await self._owner())
                dispatch = Dispatch(
                    self._runner,
                    self._roles,
                    self._group,
                    places=self._places,
                    pauses_s=self._pauses_s,
                    tasks=tasks,
                )
                await self._revoke_leftovers()
                await self._resolve(dispatch)
                await self._read(dispatch)
        finally:
            # Losing the last second of a place is harmless; a relay that is gone must not hold us.
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORD_S):
                    await asyncio.gather(self._place.save(), self._all_ended.save())
            await self._runner.sandbox.close()

    def _group(self, group_id: str) -> Group | None:
        return self._groups.by_id.get(group_id)

    # Before the first message

    async def _owner(self) -> str:
        """Who the owner is, by roles.toml or by the pairing, which is waited for."""
        if self._roles.owner is not None:
            return self._roles.owner
        named = Filter(
            authors=frozenset({self._roles.signer}),
            kinds=of_kinds(Kind.APP_DATA),
            tags={"d": frozenset({pairing.D})},
        )
        async with self._link.subscribe([named]) as stream:
            async for item in stream:
                match item:
                    case Delivery(event, _):
                        try:
                            return pairing.parse(event, self._roles.signer)
                        except Malformed as error:
                            log.error("owner not named", reason=str(error))
                    case Caught() if not self.ready.is_set():
                        log.info("waiting for the owner to pair")
                        self.ready.set()
        raise AssertionError("a subscription ends by an exception only")

    async def _make_main(self, owner: str) -> None:
        """Know every group and binding, and publish what `main` still lacks."""
        moderation = await self._author.stored([Filter(kinds=of_kinds(*MEMBERSHIP_KINDS))])
        for event in moderation:
            self._learn(event)
        kept = Filter(
            authors=frozenset({self._roles.router}),
            kinds=of_kinds(Kind.APP_DATA),
            tags={"d": frozenset(bindings.D_PREFIX + group for group in self._groups.by_id)},
        )
        for event in await self._link.fetch([kept]):
            self._learn(event)
        now_s = self._author.now_s()
        for template in missing_of_main(self._groups, self._roles, owner, now_s):
            self._learn(await self._author.require(template))
        # Its once-key makes every later welcome a duplicate.
        await self._author.publish(
            notice(self._roles, ("welcome", owner), WELCOME, now_s=self._author.now_s())
        )

    def _learn(self, event: Event) -> None:
        try:
            if event.kind == Kind.APP_DATA:
                binding = bindings.parse(event, self._roles.router)
                self._groups = self._groups.bound(binding, event.created_at)
            else:
                self._groups = self._groups.after(event)
        except Malformed as error:
            log.warning("not understood", event=event.id[:12], reason=str(error))

    async def _grant_bridge(self, bridge: str) -> Grant:
        for event in await self._link.fetch([self._grants_of(p=bridge)]):
            self._author.continue_from(event)
        grant = grants.of_bridge(bridge, now_s=self._author.now_s())
        if refusal := (await self._author.grant(grant)).refusal:
            raise Refused(refusal)
        return grant

    async def _renew(self, grant: Grant) -> None:
        while True:
            await asyncio.sleep(grants.renewal_due_s(grant))
            ok = await self._author.grant(grants.renewed(grant, self._author.now_s()))
            if not ok.accepted:
                log.error("bridge's grant not renewed", reason=ok.message)

    async def _revoke_leftovers(self) -> None:
        """Revoke the session grants of a killed predecessor.

        Their keys died with it, and a container that could still use one was removed.
        """
        longest_s = int(self._runner.limits.wall_clock_s) + grants.GRACE_S + grants.SESSION_TTL_S
        since = max(0, self._author.now_s() - longest_s)
        for event in await self._link.fetch([self._grants_of(since=since)]):
            try:
                grant = grant_events.parse(event, self._roles.router)
            except Malformed:
                continue
            if grant.role == "session" and not grant.revoked:
                self._author.continue_from(event)
                await self._author.grant(grants.revoked(grant))
                self._author.forget(grant.client)

    def _grants_of(self, *, p: str | None = None, since: int | None = None) -> Filter:
        return Filter(
            authors=frozenset({self._roles.router}),
            kinds=of_kinds(Kind.APP_DATA),
            tags={} if p is None else {"p": frozenset({p})},
            since=since,
            limit=MAX_GRANTS,
        )

    async def _resolve(self, dispatch: Dispatch) -> None:
        """Go on with the jobs that are open, in the order in which they came."""
        epoch, seq = await self._all_ended.load() or (None, 0)
        events = await self._author.stored(
            [Filter(kinds=of_kinds(*JOB_KINDS))], after_seq=seq, epoch=epoch
        )
        for job in open_jobs(events, self._roles.router):
            await dispatch.resolve(job)

    # Messages

    async def _read(self, dispatch: Dispatch) -> None:
        wanted = [
            Filter(kinds=of_kinds(*MESSAGE_KINDS)),
            Filter(kinds=of_kinds(*MEMBERSHIP_KINDS)),
        ]
        epoch: str | None = None
        async for item in follow(self._link, wanted, self._place):
            match item:
                case Caught(str(now_epoch), _):
                    epoch = now_epoch
                    self.ready.set()
                case Delivery(event, seq):
                    # Every job of a message before this one has its end: what is open from now
                    # on comes after it.
                    if epoch is not None and seq is not None and dispatch.is_idle:
                        self._all_ended.advance(epoch, seq - 1)
                    await self._receive(event, dispatch)

    async def _receive(self, event: Event, dispatch: Dispatch) -> None:
        if event.kind in MEMBERSHIP_KINDS:
            self._learn(event)
            return
        match route(event, self._group(event.tag("h") or ""), self._roles):
            case Ignored(reason):
                log.debug("message left alone", message=event.id[:12], reason=reason)
            case Work(group, message):
                await self._begin(group, message, dispatch)

    async def _begin(self, group: str, message: str, dispatch: Dispatch) -> None:
        request = self._author.sign(
            job_events.request(
                self._roles.router, group, message, self._roles.bot, self._author.now_s()
            )
        )
        ok = await self._link.publish(request)
        if is_duplicate(ok):
            # A message read again; or this very event, sent again after its OK was lost.
            await self._look_again(message, dispatch)
        elif ok.accepted:
            log.info("job begins", job=request.id[:12], message=message[:12])
            dispatch.take(Job(request.id, group, message, request.created_at))
        else:
            log.error("job refused", message=message[:12], reason=ok.message)

    async def _look_again(self, message: str, dispatch: Dispatch) -> None:
        requests = await self._link.fetch(
            [
                Filter(
                    authors=frozenset({self._roles.router}),
                    kinds=of_kinds(Kind.JOB_REQUEST),
                    tags={"e": frozenset({message})},
                )
            ]
        )
        for job in open_jobs(requests, self._roles.router):
            await dispatch.resolve(job)
