"""Shell: the tools that ask the router for work at a later time, and again and again.

The docstrings and hints below are what a model is told (schema.py), so they speak to it. Which
tasks it sees and what is too much the router judges, by the session's own group.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated

from agent_image.agent.asking import Asking, NotDone
from agent_image.agent.job import Job

Named = Annotated[str, "its id, or its title"]


class TaskTools:
    """call_key: names the call that is being carried out."""

    def __init__(self, job: Job, asking: Asking, call_key: Callable[[], str]) -> None:
        self._job, self._asking, self._call_key = job, asking, call_key

    async def schedule_task(
        self,
        when: Annotated[
            str,
            "cron fields (0 16 * * 1-5) or @daily; every 15m; in 20m; 2026-12-24T18:00; "
            "or on mention, on reaction, on article, on call, on and a Nostr filter in JSON",
        ],
        prompt: Annotated[
            str, "what you are to do then, clear by itself: nobody will have said anything before"
        ],
        title: Annotated[str, "what people call it; the prompt's first line if empty"] = "",
        tz: Annotated[str, "whose clock, as Europe/Berlin; this conversation's if empty"] = "",
        late: Annotated[
            str, "how late a missed run is made up for: 2h, or no; a day if empty"
        ] = "",
        until: Annotated[str, "no run later: 2026-12-24T18:00 or in 30d; no end if empty"] = "",
        times: Annotated[int, "how many runs, 0 for any number"] = 0,
        gate: Annotated[str, "a command here: you are started only if it exits with 0"] = "",
        conversation: Annotated[str, "another one's name or folder; this one if empty"] = "",
    ) -> str:
        """Plan work for later, once or repeatedly. At its time you are started with its prompt."""
        given = _said(
            when=when, prompt=prompt, title=title, tz=tz, late=late, until=until, gate=gate
        )
        if times:
            given["times"] = times
        return await self._ask("schedule_task", conversation, _json(given))

    async def list_tasks(
        self,
        task: Annotated[str, "id or title of one, to see all of it; every task if empty"] = "",
        conversation: Annotated[str, "only that one's, by its name or folder"] = "",
    ) -> str:
        """List what is planned, or show one task with its prompt and its version."""
        return await self._ask("list_tasks", task, conversation)

    async def update_task(
        self,
        task: Named,
        when: Annotated[str, "as for a new one; unchanged if empty, as all that follows"] = "",
        prompt: Annotated[str, "the whole new prompt"] = "",
        title: Annotated[str, "the new title"] = "",
        tz: Annotated[str, "the new time zone"] = "",
        late: Annotated[str, "2h, or no"] = "",
        until: Annotated[str, "the new end; none takes it away"] = "",
        times: Annotated[int, "runs from now on; 0: unchanged, -1: any number"] = 0,
        gate: Annotated[str, "the new command before it; none takes it away"] = "",
        version: Annotated[
            str, "the version that you have seen; refused if somebody was quicker"
        ] = "",
    ) -> str:
        """Change a task."""
        given = _said(
            when=when, prompt=prompt, title=title, tz=tz, late=late, until=until, gate=gate
        )
        if times:
            given["times"] = "none" if times < 0 else times
        if not given:
            raise NotDone("nothing was to change")
        return await self._ask("update_task", task, _json(given), version)

    async def pause_task(self, task: Named) -> str:
        """Have a task run no more until it is resumed."""
        return await self._ask("pause_task", task)

    async def resume_task(self, task: Named) -> str:
        """Have a paused task go on."""
        return await self._ask("resume_task", task)

    async def cancel_task(self, task: Named) -> str:
        """Take a task away for good."""
        return await self._ask("cancel_task", task)

    async def run_task(self, task: Named) -> str:
        """Run a task now, besides its times."""
        return await self._ask("run_task", task)

    async def _ask(self, method: str, *params: str) -> str:
        return await self._asking.ask(self._job, self._call_key(), method, *params)


def _said(**given: str) -> dict[str, str | int]:
    return {name: value for name, value in given.items() if value}


def _json(given: dict[str, str | int]) -> str:
    return json.dumps(given, ensure_ascii=False)
