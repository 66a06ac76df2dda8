"""Pure: which run of which task a job is: `["a", task]`, `["slot", …]`. Source: PROTOCOL.md "Jobs".

A slot is claimed before its job exists, so the job can be made again after a crash: its once-key is
(task, slot). The prompt is not in it: that is read where it stands when the run begins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nips.event import Event, Tags, Template
from nips.kinds import Kind
from nips.own import cause as causes
from nips.own.cause import Cause
from nips.own.fields import only_tag
from nips.own.once import once_key
from nips.refusal import Malformed

_ADDRESS = re.compile(
    rf"{int(Kind.CALENDAR_EVENT)}:[0-9a-f]{{64}}:([0-9a-f-]{{36}})/[0-9a-f-]{{36}}"
)
_SLOT = re.compile(r"[0-9a-z]{1,64}")


@dataclass(frozen=True, slots=True)
class TaskRun:
    """task: the address of its event, `31923:<key>:<group>/<task>`. slot: what it is made for: the
    unix second, for a task with a clock; of others the event's id, or a call's name."""

    task: str
    slot: str

    @property
    def name(self) -> str:
        """The task's `d`."""
        return self.task.split(":", 2)[2]

    @property
    def short_id(self) -> str:
        """The beginning of the task's id, by which people name it."""
        return self.name.partition("/")[2][:8]

    def tags(self) -> Tags:
        """The two tags."""
        return (("a", self.task), ("slot", self.slot))

    def once(self) -> str:
        """The once-key of its job."""
        return once_key("task", self.task, self.slot)


def request(
    router: str, group: str, run: TaskRun, bot: str, created_at: int, cause: Cause | None = None
) -> Template:
    """43001 for a task's run. Made again, it is the same job. cause: what has set it off, None for
    a moment."""
    tags: Tags = (
        ("h", group),
        *run.tags(),
        *causes.tags(cause),
        ("p", bot),
        ("o", run.once()),
        ("alt", "A scheduled task of the assistant's is to be done"),
    )
    return Template(router, created_at, Kind.JOB_REQUEST, tags, causes.content(cause))


def parse(what: str, event: Event | Template, group: str) -> TaskRun | None:
    """Read the two tags; None where there is neither. group: the one that the job is of. Raises
    Malformed."""
    if not event.values("a") and not event.values("slot"):
        return None
    task, slot = only_tag(what, event, "a"), only_tag(what, event, "slot")
    found = _ADDRESS.fullmatch(task)
    if found is None or not _SLOT.fullmatch(slot):
        raise Malformed(f"{what}: a must be a task's address, and slot a word for one of its runs")
    # Attack: a job in one group that does another group's task.
    if found[1] != group:
        raise Malformed(f"{what}: its task is another group's")
    return TaskRun(task, slot)
