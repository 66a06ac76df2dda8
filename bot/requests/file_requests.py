"""Shell: `send_file`: what an agent hands over is kept, and announced in its own group."""

from __future__ import annotations

import asyncio
import mimetypes
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path

from bot.author import Author
from bot.groups import Group
from bot.requests.handover import Kept, NotHandedOver, check_name, keep
from bot.requests.methods import Asked
from nips.event import Tag, Template
from nips.kinds import Kind
from nips.refusal import Prefix, refused

MAX_FILES_OF_A_JOB = 20
MAX_BYTES_OF_A_JOB = 100 << 20
JOBS_COUNTED = 1_000


class FileRequests:
    """data: the data folder. group_of: gives a group by its id. One file is copied at a time."""

    def __init__(self, author: Author, data: Path, group_of: Callable[[str], Group | None]) -> None:
        self._author, self._data, self._group_of = author, data, group_of
        self._copying = asyncio.Lock()
        self._jobs: OrderedDict[str, Counter[str]] = OrderedDict()

    async def send_file(self, asked: Asked) -> str:
        """`[name]`: a file of /workspace/ipc/out, by its name there.

        Whose folder that is, the session's key says: no name leads into another's.
        """
        (name,) = asked.take(1, 1, "a file's name")
        group = self._group_of(asked.session.group)
        if group is None or group.binding is None:
            raise refused(Prefix.INVALID, "that conversation is gone")
        folder = group.binding.folder
        async with self._copying:
            used = self._used(asked.session.job.id)
            if used["files"] >= MAX_FILES_OF_A_JOB or used["bytes"] >= MAX_BYTES_OF_A_JOB:
                raise refused(
                    Prefix.RATE_LIMITED,
                    f"a request may hand over {MAX_FILES_OF_A_JOB} files of "
                    f"{MAX_BYTES_OF_A_JOB >> 20} MiB together",
                )
            try:
                check_name(name)
                kept = await asyncio.to_thread(keep, self._data, asked.session.key, folder, name)
            except NotHandedOver as error:
                raise refused(Prefix.INVALID, str(error)) from error
            used["files"] += 1
            used["bytes"] += kept.n_bytes
        await self._author.require(self._announcement(asked, kept))
        return f"{kept.name} ({size(kept.n_bytes)}) was handed over and announced here."

    def _announcement(self, asked: Asked, kept: Kept) -> Template:
        session = asked.session
        # To the owner the whole path; to others not what folders this machine has.
        where = kept.path if session.is_main else kept.path.relative_to(self._data)
        kind, _ = mimetypes.guess_type(kept.name)
        tags: tuple[Tag, ...] = (
            ("h", session.group),
            ("o", asked.once("file")),
            ("job", session.job.id),
            *((("q", session.job.message),) if session.job.message is not None else ()),
            # As NIP-92 has it, but for the url: the file is on this machine only.
            (
                "imeta",
                f"m {kind or 'application/octet-stream'}",
                f"x {kept.sha256}",
                f"size {kept.n_bytes}",
                f"name {kept.name}",
            ),
            ("L", "agent"),
            ("l", "notice", "agent"),
        )
        text = f"📎 {kept.name} ({size(kept.n_bytes)})\nIt is kept on my machine: {where}"
        return Template(self._author.pubkey, self._author.now_s(), Kind.CHAT, tags, text)

    def _used(self, job: str) -> Counter[str]:
        found = self._jobs.setdefault(job, Counter())
        self._jobs.move_to_end(job)
        while len(self._jobs) > JOBS_COUNTED:
            self._jobs.popitem(last=False)
        return found


def size(n_bytes: int) -> str:
    """A size for people, with three digits: `12.3 kB`."""
    value, units = float(n_bytes), ["B", "kB", "MB", "GB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    digits = 0 if units[0] == "B" or value >= 99.5 else 1
    return f"{value:.{digits}f} {units[0]}"
