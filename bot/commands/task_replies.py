"""Pure: tasks and their runs as text that any client shows well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.commands.amounts import ago, duration, money
from bot.commands.facts import Reply, RunFacts, as_data
from bot.tasks.telling import SHORT, TaskFacts, cut, line, state
from nips.own.visible import quoted

MAX_LISTED = 40
MAX_DATA = 100
MAX_GROUP_SHOWN = 25
MAX_PROMPT_LISTED = 200
MAX_PROMPT_SHOWN = 1_500
SIGNS = {"done": "✅", "failed": "❌", "stopped": "🚫", "at work": "👀", "waiting": "⏳"}


def tasks(facts: Sequence[TaskFacts], now_s: int, *, with_group: bool = True) -> Reply:
    """What is planned, the next first. with_group: say in which conversation."""
    if not facts:
        return Reply(True, "Nothing is planned.", [])
    lines = [
        line(task, now_s) + (f" ({cut(task.group, MAX_GROUP_SHOWN)})" if with_group else "")
        for task in facts[:MAX_LISTED]
    ]
    if len(facts) > MAX_LISTED:
        lines.append(f"… and {len(facts) - MAX_LISTED} more")
    lines.append("/task ID shows one.")
    # Fifty prompts at their longest are more than an answer can hold.
    data = [replace(task, prompt=cut(task.prompt, MAX_PROMPT_LISTED)) for task in facts[:MAX_DATA]]
    return Reply(True, "\n".join(["Planned:", *lines]), as_data(data))


def task(facts: TaskFacts, now_s: int) -> Reply:
    """Everything of one."""
    late = "not at all" if facts.late == "no" else f"up to {facts.late} late"
    lines = [
        f"Task {facts.id[:SHORT]} “{cut(facts.title, 120)}” in {facts.group}",
        f"Now: {state(facts, now_s)}",
        f"When: {cut(facts.when, 120)} ({facts.tz})",
        f"A run that was missed: {late}",
    ]
    if facts.until is not None:
        lines.append(f"Not after: {facts.until}")
    if facts.times is not None:
        lines.append(f"Runs left: {facts.left} of {facts.times}")
    if facts.gate:
        lines.append(f"Only if this ends well: {cut(facts.gate, 500)}")
    if facts.followed:
        lines.append("It follows somebody's own calendar event: an edit of that changes it too.")
    prompt = facts.prompt[:MAX_PROMPT_SHOWN]
    lines += ["What is to be done:", *(marked.rstrip() for marked in quoted(prompt).split("\n"))]
    if left_out := len(facts.prompt) - len(prompt):
        lines.append(f"[{left_out:,} characters more]")
    lines += [f"Version: {facts.version}", f"Its id: {facts.id}"]
    return Reply(True, "\n".join(lines), as_data(facts))


def said(done: str, facts: TaskFacts, now_s: int) -> Reply:
    """What was done with a task, and how it is now."""
    return Reply(True, f"{done} {line(facts, now_s)}.", as_data(facts))


def task_runs(title: str, facts: Sequence[RunFacts], now_s: int) -> Reply:
    """The last runs of one task, a line each: the slot, how late it began, how long it took, how
    it ended, what it cost."""
    if not facts:
        return Reply(True, f"“{cut(title, 60)}” has not run yet.", [])
    lines = [f"{SIGNS[run.state]} {run.id[:SHORT]} {of_slot(run, now_s)}" for run in facts]
    head = f"The last runs of “{cut(title, 60)}”:"
    return Reply(True, "\n".join([head, *lines, "/run ID shows one."]), as_data(list(facts)))


def of_slot(run: RunFacts, now_s: int) -> str:
    """A task's run in a few words."""
    parts = [run.slot_at or f"besides its times, {ago(run.asked_at, now_s)}"]
    if run.delay_s is not None:
        parts.append(delay(run.delay_s))
    if run.lasted_s is not None:
        parts.append(f"took {duration(run.lasted_s)}" if run.ended_at else
                     f"at it for {duration(run.lasted_s)}")  # fmt: skip
    if run.cost is not None and (spent := money(run.cost, zero=False)):
        parts.append(spent)
    if run.words:
        parts.append(cut(run.words, 40))
    return ", ".join(parts)


def delay(delay_s: int) -> str:
    """How late something began, in seconds."""
    return "on time" if delay_s < 1 else f"{duration(delay_s)} late"
