"""Shell: tasks that are called: POST /hooks/<task id>, signed with the task's own secret.

    body ≤ 64 KiB ─► signature, of the last five minutes ─► the call's name ─► its run, once
          413               401: one sentence whatever is wrong      └► 202, the job's id; 409, 429

Who cannot sign learns nothing, not even which tasks there are. Who hears a call pass by can bring
the same one again within its five minutes, and gets the same job; under another name it is refused:
the job says by which signature it came. Nothing is remembered here.
Source: PROTOCOL.md "What sets a task off".
"""

from __future__ import annotations

import re
from secrets import token_bytes

import orjson
import structlog

from bot.author import Author
from bot.task_book import TaskBook
from bot.tasks.firing import Firing, Passed
from bot.tasks.hook_http import HookServer, Reply, Request
from bot.tasks.hook_secrets import HookSecrets
from nips.own import hook
from nips.own.cause import MAX_BODY_BYTES, MEDIA_TYPE, PLAIN, Called
from nips.own.hook import HEADER, ONCE_HEADER, SECRET_BYTES, Signed
from nips.own.task import Task
from nips.refusal import Malformed, Refused

UNSIGNED = "the signature does not fit: sign <t>.<body> with the secret of this very task, now"
_PATH = re.compile(r"/hooks/([0-9a-f-]{36})", re.ASCII)

log = structlog.get_logger()


class Hooks:
    """book: the tasks, which have been loaded."""

    def __init__(
        self, author: Author, book: TaskBook, firing: Firing, secrets: HookSecrets
    ) -> None:
        self._author, self._book, self._firing, self._secrets = author, book, firing, secrets
        self._nobodys = token_bytes(SECRET_BYTES)
        self.server = HookServer(self.answer, MAX_BODY_BYTES)

    async def answer(self, request: Request) -> Reply:
        """Answer one request."""
        found = _PATH.fullmatch(request.target)
        if found is None:
            return _no(404, "what is called is /hooks/<task id>")
        if request.method != "POST":
            return _no(405, "a task is called by POST")
        try:
            signed = self._signed(found[1], request)
            slot = hook.slot(signed, request.headers.get(ONCE_HEADER))
            called = _called(request, signed)
        except Malformed as error:
            return _no(400, str(error))
        except _NotSigned as error:
            return _no(401, str(error))
        return await self._fire(found[1], slot, called)

    def _signed(self, task: str, request: Request) -> Signed:
        """The signature of a call, which holds. Raises _NotSigned."""
        try:
            signed = hook.parse(request.headers.get(HEADER, ""))
        except Malformed as error:
            raise _NotSigned(str(error)) from error
        # Attack: who measures how long an answer takes finds out which tasks there are.
        secret = self._secrets.of(task) or self._nobodys
        if not hook.holds(secret, signed, request.body):
            raise _NotSigned(UNSIGNED)
        now_s = self._author.now_s()
        if not hook.is_fresh(signed, now_s):
            raise _NotSigned(f"it was signed at {signed.at_s} and it is {now_s}: sign it anew")
        return signed

    async def _fire(self, task_id: str, slot: str, called: Called) -> Reply:
        task = self._task(task_id)
        if task is None:
            return _no(409, "there is no such task any more")
        try:
            done = await self._firing.fire(task.name, slot, called)
        except Refused as error:
            log.error("task not called", task=task_id[:8], reason=str(error))
            return _no(503, "it cannot be stored now: call again in a while")
        if isinstance(done, Passed):
            log.info("task not called", task=task_id[:8], reason=done.why)
            return _no(429 if done.too_often else 409, f"the task does not run: {done.why}")
        log.info("task called", task=task_id[:8], job=done.job[:12], new=done.is_new)
        return Reply(202, {"job": done.job, "new": done.is_new})

    def _task(self, task_id: str) -> Task | None:
        tasks = (planned.task for planned in self._book.all.values())
        return next((t for t in tasks if t.id == task_id and t.schedule.how == "webhook"), None)


class _NotSigned(Exception):
    """Nobody who may has signed this, now."""


def _called(request: Request, signed: Signed) -> Called:
    """What was posted. Raises Malformed."""
    media_type = request.headers.get("content-type", PLAIN).partition(";")[0].strip().lower()
    if not MEDIA_TYPE.fullmatch(media_type):
        raise Malformed("Content-Type is a media type such as application/json")
    try:
        body = request.body.decode()
        if media_type.endswith(("/json", "+json")):
            orjson.loads(body)
    except UnicodeDecodeError:
        raise Malformed("what is posted is a text, in UTF-8") from None
    except orjson.JSONDecodeError:
        raise Malformed("what is posted is no JSON, as its Content-Type says") from None
    return Called(media_type, body, signed.name)


def _no(status: int, why: str) -> Reply:
    return Reply(status, {"error": why})
