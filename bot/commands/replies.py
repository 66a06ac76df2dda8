"""Pure: facts as text that any client shows well: short lines, plain words, nothing that needs a
fixed width or a markup."""

from __future__ import annotations

from collections.abc import Sequence

from bot.commands.amounts import ago, duration, money
from bot.commands.facts import (
    GroupFacts,
    LogLine,
    RelayFacts,
    RelaysFacts,
    Reply,
    RunFacts,
    SignalFacts,
    StatusFacts,
    Waiting,
    as_data,
)
from bot.commands.signal_facts import is_wrong
from bot.commands.signal_facts import lines as signal_lines
from bot.commands.table import AGENTS, TABLE
from bot.commands.task_replies import SIGNS, delay, of_slot

MAX_LISTED = 40
SHORT = 8  # digits of an id that people are shown
MAX_SET_ASIDE = 3


def bad(sentence: str, about: str | None) -> Reply:
    """What was wrong, the command's forms, a line that works."""
    if about is None:
        return Reply(False, sentence)
    entry = TABLE[about]
    lines = [sentence, *(["Its forms:", *entry.usage] if len(entry.usage) > 1 else entry.usage)]
    return Reply(False, "\n".join([*lines, f"For example: {entry.example}"]), {"about": about})


def help_of(about: str | None) -> Reply:
    """Every command, or the forms of one."""
    if about is not None:
        entry = TABLE[about]
        text = "\n".join(
            [f"/{about} – {entry.does}", *entry.usage, f"For example: {entry.example}"]
        )
        return Reply(True, text, {"forms": list(entry.usage), "example": entry.example})
    lines = [f"/{entry.name} – {entry.does}" for entry in TABLE.values()]
    head, how = "Your commands. No model is asked for them:", "/help COMMAND shows its forms."
    text = "\n".join([head, *lines, how, "Your agent is told:", *AGENTS.values()])
    return Reply(True, text, {entry.name: list(entry.usage) for entry in TABLE.values()})


def status(facts: StatusFacts, now_s: int) -> Reply:
    """How the assistant is: what is wrong first."""
    signal = signal_lines(facts.signal, now_s) if facts.signal else []
    wrong = []
    if not facts.signer:
        wrong.append("The signer does not answer: nothing is signed until it does.")
    if facts.engine:
        wrong.append(f"No containers: {facts.engine}")
    if facts.relays is not None and facts.relays[0] == 0:
        wrong.append("No public relay is listened to: see /relays.")
    if facts.signal is not None and is_wrong(facts.signal, now_s):
        wrong.append(signal.pop(0))
    lines = wrong or [f"{facts.name} is well, up for {duration(facts.up_s)}."]
    if facts.relays is not None:
        lines.append(f"Public relays: {facts.relays[0]} of {facts.relays[1]}")
    lines += signal
    more = [
        f"{n} {word}" for n, word in ((facts.paused, "paused"), (facts.archived, "archived")) if n
    ]
    lines.append(f"Groups: {facts.groups}" + (f" ({', '.join(more)})" if more else ""))
    lines.append(f"Runs: {facts.working} at work, {facts.waiting} waiting")
    if facts.today is not None:
        lines.append(f"Today: {money(facts.today, zero=False) or 'nothing used'}")
    lines.append(f"Models: {facts.models or 'none configured'}")
    if facts.questions:
        lines.append(f"{facts.questions} waiting for your yes or no: /approve")
    if facts.set_aside:
        lines.append(f"{facts.set_aside} messages could not be opened: /relays")
    if facts.strangers:
        lines.append(f"{facts.strangers} at the door: /allow")
    return Reply(True, "\n".join(lines), as_data(facts) | {"well": not wrong})


def groups(facts: Sequence[GroupFacts]) -> Reply:
    """A line for each."""
    shown = [group for group in facts if not group.archived]
    gone = [group for group in facts if group.archived]
    lines = [_in_short(group) for group in shown[:MAX_LISTED]]
    if len(shown) > MAX_LISTED:
        lines.append(f"… and {len(shown) - MAX_LISTED} more")
    if gone:
        names = ", ".join(group.folder for group in gone[:MAX_LISTED])
        lines.append(f"Archived: {names}" + (" …" if len(gone) > MAX_LISTED else ""))
    head = "1 conversation:" if len(shown) == 1 else f"{len(shown)} conversations:"
    return Reply(True, "\n".join([head, *lines]), as_data(list(facts)))


def _in_short(group: GroupFacts) -> str:
    notes = [
        "paused" if group.paused else "",
        "at work" if group.working else "",
        f"{group.waiting} waiting" if group.waiting else "",
        f"with {', '.join(group.people)}" if group.people and not group.own else "",
    ]
    said = ", ".join(note for note in notes if note)
    return f"{title(group)}{': ' if said else ''}{said}"


def group(facts: GroupFacts) -> Reply:
    """Everything of one."""
    state = [
        "archived" if facts.archived else "",
        "paused" if facts.paused else "",
        "at work" if facts.working else "",
        f"{facts.waiting} waiting" if facts.waiting else "",
    ]
    if facts.trigger is None:
        wakes = "every message"
    else:
        wakes = f"“{facts.trigger}”, a reply to me, a mention of me"
    room = " (one room)" if facts.room else ""
    models = "as configured" if facts.models is None else ", ".join(facts.models) or "none"
    as_configured = " (as configured)" if facts.backends is None else ""
    lines = [
        title(facts),
        f"State: {', '.join(word for word in state if word) or 'quiet'}",
        f"People elsewhere: {', '.join(facts.people) or 'none'}{room}",
        f"Members here: {facts.members}",
        f"Wakes me: {wakes}",
        f"Who may: {'whoever I trust' if facts.senders == 'trusted' else 'every member'}",
        f"Other agents may: {'yes' if facts.agents else 'no'}",
        *(["What you write there goes out to Signal."] if facts.owner_speaks else []),
        f"Quiet hours: {facts.quiet or 'none'}",
        f"Models: {models}",
        f"Works with: {', then '.join(facts.works_with)}{as_configured}",
        f"A day's limits: {money(facts.budget) or 'none of its own'}",
        f"I am called: {facts.persona}",
        f"Its id: {facts.id}",
    ]  # fmt: skip
    if facts.spent is not None:
        lines.insert(-2, f"Used today: {money(facts.spent, zero=False) or 'nothing'}")
    if facts.muted:
        lines.insert(6, f"Muted: {', '.join(facts.muted)}")
    return Reply(True, "\n".join(lines), as_data(facts))


def runs(facts: Sequence[RunFacts], now_s: int) -> Reply:
    """The last ones, a line for each."""
    if not facts:
        return Reply(True, "Nothing was worked on yet.", [])
    lines = []
    for run in facts:
        if run.task is not None:
            head = f"{SIGNS[run.state]} {run.id[:SHORT]} {run.group}, task {run.task[:SHORT]}"
            lines.append(f"{head}: {of_slot(run, now_s)}")
            continue
        took = f", {duration(run.lasted_s)}" if run.lasted_s is not None else ""
        who = f" for {run.asked_by}" if run.asked_by else ""
        lines.append(
            f"{SIGNS[run.state]} {run.id[:SHORT]} {run.group}{who}, "
            f"{ago(run.asked_at, now_s)}{took}"
        )
    lines.append("/run ID shows one.")
    return Reply(True, "\n".join(["The last runs:", *lines]), as_data(list(facts)))


def run(facts: RunFacts, now_s: int) -> Reply:
    """Everything of one."""
    lines = [
        f"Run {facts.id[:SHORT]} in {facts.group}: {facts.state} {SIGNS[facts.state]}",
        f"Asked {ago(facts.asked_at, now_s)}" + (f" by {facts.asked_by}" if facts.asked_by else ""),
    ]
    if facts.what:
        lines.append(f"What: {facts.what}")
    if facts.slot_at is not None:
        late = "" if facts.delay_s is None else f", begun {delay(facts.delay_s)}"
        lines.append(f"Its time: {facts.slot_at}{late}")
    if facts.messages > 1:
        lines.append(f"Messages joined: {facts.messages}")
    if facts.not_before is not None and facts.not_before > now_s:
        lines.append(f"It waits for {duration(facts.not_before - now_s)} more.")
    lines.append(f"Attempts: {len(facts.begun)}")
    if facts.lasted_s is not None:
        lines.append(f"It took {duration(facts.lasted_s)}." if facts.ended_at else
                     f"It is at it for {duration(facts.lasted_s)}.")  # fmt: skip
    if facts.words:
        lines.append(f"Why: {facts.words}")
    if facts.cost is not None:
        lines.append(f"Cost: {money(facts.cost, zero=False) or 'nothing'}")
    lines.append(f"Its id: {facts.id}")
    return Reply(True, "\n".join(lines), as_data(facts))


def relays(facts: RelaysFacts, now_s: int) -> Reply:
    """A line for each, what is on its way, and how old this is."""
    if facts.as_of is None:
        return Reply(True, "Nothing is known of the public relays yet; ask again in a minute.", [])
    lines = [_relay(relay, now_s) for relay in facts.relays]
    counts = facts.messages
    lines.append(
        f"Messages since the start: {counts.get('forwarded', 0)} taken, "
        f"{counts.get('strangers', 0)} of strangers, {counts.get('set_aside', 0)} set aside"
    )
    lines += [
        f"Set aside {ago(one.at, now_s)}: {one.wrap[:SHORT]}, {one.reason[:80]}"
        for one in facts.set_aside[-MAX_SET_ASIDE:]
    ]
    if facts.pending:
        lines.append(f"On their way to relays that did not take them yet: {facts.pending}")
    if facts.no_list:
        lines.append(f"Waiting for people who tell no inbox relays (10050): {facts.no_list}")
    lines.append(f"As of {ago(facts.as_of, now_s)}.")
    return Reply(True, "\n".join(["Public relays:", *lines]), as_data(facts))


def signal(facts: SignalFacts | None, now_s: int) -> Reply:
    """How its bridge is, what came and went, and how old this is."""
    if facts is None:
        return Reply(True, "There is no Signal account. On the machine: nostrclaw signal link")
    lines = [*signal_lines(facts, now_s), f"As of {ago(facts.as_of, now_s)}."]
    well = facts.state == "listening" and not is_wrong(facts, now_s)
    return Reply(True, "\n".join(lines), as_data(facts) | {"well": well})


def _relay(relay: RelayFacts, now_s: int) -> str:
    more = []
    if relay.answer_ms is not None and relay.is_well:
        more.append(f"answers in {relay.answer_ms} ms")
    if relay.reconnects:
        more.append(f"{relay.reconnects} reconnects")
    if relay.accepted or relay.refused:
        more.append(f"took {relay.accepted}, refused {relay.refused}")
    if relay.own:
        more.append("from my inbox list")
    if relay.is_well:
        return f"✅ {relay.url}{': ' if more else ''}{', '.join(more)}"
    since = f" {ago(relay.since_at, now_s)}" if relay.since_at else ""
    why = f", {relay.reason[:80]}" if relay.reason else ""
    return f"❌ {relay.url}: {relay.state}{since}{why}"


def logs(lines: Sequence[LogLine]) -> Reply:
    """The last warnings, the newest last."""
    if not lines:
        return Reply(True, "No warnings.", [])
    shown = [f"{line.at[5:19].replace('T', ' ')} {line.part}: {line.words}" for line in lines]
    return Reply(True, "\n".join(["The last warnings (UTC):", *shown]), as_data(list(lines)))


def waiting(facts: Sequence[Waiting], now_s: int, *, head: str, none: str, how: str) -> Reply:
    """Strangers or questions."""
    if not facts:
        return Reply(True, none, [])
    lines = [
        f"{one.code}: {one.words}" + (f", {ago(one.at, now_s)}" if one.at is not None else "")
        for one in facts[:MAX_LISTED]
    ]
    return Reply(True, "\n".join([head, *lines, how]), as_data(list(facts)))


def title(group: GroupFacts) -> str:
    """A group as people are shown it: its name, and its folder where that is another word."""
    if not group.name or group.name.casefold() == group.folder.casefold():
        return group.name or group.folder
    return f"{group.name} ({group.folder})"
