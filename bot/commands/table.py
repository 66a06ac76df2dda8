"""Pure: the owner's commands: their names, forms, one line about each, and an example."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One command. usage: its forms, a line each. does: what a person gets. example: a line that
    works. orders: whether a form of it changes what others may do."""

    name: str
    usage: tuple[str, ...]
    does: str
    example: str
    orders: bool = False


TABLE: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("help", ("/help [COMMAND]",), "this list, or one command's forms", "/help group"),
        Entry("status", ("/status",), "how the assistant is", "/status"),
        Entry("groups", ("/groups",), "every conversation", "/groups"),
        Entry(
            "group",
            (
                "/group NAME",
                "/group new NAME [trigger WORD|none] [with npub…]",
                "/group NAME rename NEW NAME",
                "/group NAME bind|unbind npub…|signal:…",
                "/group NAME trigger WORD|default|none",
                "/group NAME senders trusted|members",
                "/group NAME mute|unmute npub…",
                "/group NAME agents on|off",
                "/group NAME owner_speaks on|off",
                "/group NAME backend claude|claude:MODEL|openai|builtin …|default",
                "/group NAME quiet 22:00-07:00 [Europe/Berlin]|off",
                "/group NAME archive|restore",
                "/group NAME delete [wipe]",
            ),
            "shows, makes and changes a conversation",
            "/group new Family trigger none",
            orders=True,
        ),
        Entry("tasks", ("/tasks [GROUP]",), "what is planned", "/tasks"),
        Entry(
            "task",
            (
                "/task ID",
                "/task new [for GROUP] [title “T”] [tz ZONE] [late 2h|no] [until TIME] [times N] "
                "[gate COMMAND] WHEN PROMPT",
                "/task edit ID when|title|tz|late|until|times|gate VALUE … prompt TEXT",
                "/task pause|resume|cancel|run ID",
                "/task runs ID [N]",
                "WHEN: 0 16 * * 1-5, @daily, every 15m, in 20m or 2026-12-24T18:00",
                "or on mention, on reaction, on article, on call",
            ),
            "shows, makes and changes what is planned",
            "/task new tz Europe/Berlin 0 16 * * 1-5 Remind me to water the plants",
            orders=True,
        ),
        Entry("runs", ("/runs [GROUP] [N]",), "what was worked on last", "/runs 20"),
        Entry("run", ("/run ID",), "one run, from its message to its end", "/run 9c01"),
        Entry("relays", ("/relays",), "the public relays", "/relays"),
        Entry("signal", ("/signal",), "how Signal is doing", "/signal"),
        Entry("published", ("/published [N]",), "what is out in public, and where", "/published"),
        Entry("allow", ("/allow", "/allow CODE [NAME]"), "lets somebody in", "/allow kmpqrs Ann",
              orders=True),
        Entry("deny", ("/deny", "/deny CODE"), "no to a stranger or a question", "/deny kmpqrs",
              orders=True),
        Entry("approve", ("/approve", "/approve CODE"), "yes to a question", "/approve kmpqrs",
              orders=True),
        Entry("stop", ("/stop", "/stop NAME|RUN|all"), "ends what is being worked on", "/stop"),
        Entry(
            "budget",
            ("/budget [GROUP]", "/budget GROUP runs|tokens|usd N|+N|off …"),
            "a day's limits; +N is for today alone",
            "/budget Family runs 50 usd 2.50",
            orders=True,
        ),
        Entry("model", ("/model [GROUP]", "/model GROUP NAME…|default|none"),
              "the language models", "/model Family default", orders=True),
        Entry(
            "persona",
            ("/persona [GROUP]", "/persona [GROUP] name|picture|text VALUE|off"),
            "what I am called, look like, am like",
            "/persona name Claw",
            orders=True,
        ),
        Entry("pause", ("/pause [GROUP]",), "no work, everywhere or there; words are kept",
              "/pause Family", orders=True),
        Entry("resume", ("/resume [GROUP]",), "work again", "/resume Family", orders=True),
        Entry("logs", ("/logs [N]",), "the parts' last warnings", "/logs 20"),
    )
}  # fmt: skip

# What the agent of the main conversation is told in this form: left to it, unless it is ours too.
AGENTS = {
    "say": "/say TEXT",
    "note": "/note TEXT",
    "article": "/article TITLE, and its text",
    "draft": "/draft TITLE, and its text",
    "publish": "/publish NAME, of a draft",
    "reply": "/reply NOTE TEXT",
    "comment": "/comment EVENT TEXT",
    "like": "/like EVENT 👍",
    "retract": "/retract EVENT",
    "react": "/react 👍",
    "remember": "/remember TEXT",
    "recall": "/recall [WORDS]",
    "search": "/search WORDS",
    "query": "/query WORDS",
    "run": "/run COMMAND",
    "sign": "/sign KIND CONTENT",
    "sendfile": "/sendfile NAME",
    "askowner": "/askowner QUESTION",
    "propose": "/propose TITLE, and a patch",
    "myname": "/myname NAME",
    "rules": "/rules [CONVERSATION] JSON",
    "conversations": "/conversations",
    "newconversation": "/newconversation NAME",
    "tell": "/tell CONVERSATION TEXT",
    "schedule": "/schedule “WHEN” TEXT",
    "untask": "/untask ID",
}
# "/run" is ours with what can only be a run's id. No program's name is made of these alone.
RUN_ID = re.compile(r"[0-9a-f]{4,64}", re.IGNORECASE)


def nearest(given: str, names: Iterable[str]) -> str | None:
    """The name that somebody meant who wrote `given`; None where nothing is near."""
    given, known = given.casefold(), list(names)
    begun = [name for name in known if name.startswith(given)]
    if len(begun) == 1:
        return begun[0]
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.6)
    return close[0] if close else (begun[0] if begun else None)
