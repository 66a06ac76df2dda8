"""Shell: `python -m bench.tasks_peer`: APScheduler alone, its jobs in memory: the peer of tasks.

It has as many jobs as there are tasks, and some that are due soon; what it tells is how late those
are, how much memory the jobs take, and how much processor time while none is due. It keeps nothing
over a restart, claims nothing, and starts nothing.

python -m bench.tasks_peer JOBS DUE A_SECOND IDLE_S
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bench.cpu import cpu_s
from bench.pss import pss_mib

LEAD_S = 3
FAR_S = 30 * 86_400


async def main(jobs: int, due: int, a_second: int, idle_s: float) -> None:
    """Print a JSON object: late_ms, mib, idle_cpu_s."""
    scheduler = AsyncIOScheduler(timezone=UTC)
    scheduler.start()
    before = pss_mib(os.getpid())
    now_s = int(time.time())
    for number in range(jobs):
        scheduler.add_job(print, "cron", args=[number], **_cron(number))
    mib = pss_mib(os.getpid()) - before
    begun = cpu_s(os.getpid())
    await asyncio.sleep(idle_s)
    idle_cpu_s = cpu_s(os.getpid()) - begun
    late_ms: list[float] = []
    ended = asyncio.Event()

    async def run(at_s: int) -> None:
        late_ms.append((time.time() - at_s) * 1000)
        if len(late_ms) == due:
            ended.set()

    now_s = int(time.time()) + LEAD_S
    for number in range(due):
        at_s = now_s + number // a_second
        when = datetime.fromtimestamp(at_s, UTC)
        scheduler.add_job(run, "date", args=[at_s], run_date=when, misfire_grace_time=None)
    await ended.wait()
    print(json.dumps({"late_ms": late_ms, "mib": mib, "idle_cpu_s": idle_cpu_s}))


def _cron(number: int) -> dict[str, int]:
    far = datetime.fromtimestamp(time.time() + FAR_S, UTC)  # none is due while this runs
    return {"month": far.month, "day": far.day, "hour": number % 24, "minute": number % 60}


if __name__ == "__main__":
    n_jobs, n_due, each_s = map(int, sys.argv[1:4])
    asyncio.run(main(n_jobs, n_due, each_s, float(sys.argv[4])))
