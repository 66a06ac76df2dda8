"""Shell: a task's gate: a command of the conversation's folder, before the model is woken.

    exit code 0          the task is carried out, and what the command has written is given with it
    anything else        nothing is done, and nobody is told: so a task waits for something
    no end in its time   the same

It runs where an agent's commands run, within the same limits.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agent_image.agent import command
from agent_image.agent.job import Job
from agent_image.agent.occasion import of_gate

LIMIT_S = 60.0
SHARE_OF_RUN = 0.5  # of a run's time that it may take at most


async def passed(job: Job | None, folder: Path, seconds: float) -> tuple[Job | None, str | None]:
    """The job as it is carried out, None where its gate stays shut, and how the gate ended then.
    seconds: what the whole run may take."""
    if job is None or not job.message.gate:
        return job, None
    limit_s = min(LIMIT_S, seconds * SHARE_OF_RUN)
    try:
        finished = await command.run(job.message.gate, folder, limit_s)
    except OSError as error:
        return None, f"it could not be started: {error.strerror}"
    match finished.exit_code:
        case 0:
            message = job.message
            besides = (*message.besides, *of_gate(finished.output))
            return replace(job, message=replace(message, besides=besides)), None
        case None:
            return None, f"no end within {limit_s:g} s"
        case code:
            return None, f"exit code {code}"
