"""Every form of every command, what is none, and what is told about a wrong one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_image.agent.backends import commands as agents
from bot.commands import asked
from bot.commands.asked import Bad, is_order
from bot.commands.grammar import READERS, is_command, parse
from bot.commands.table import AGENTS, TABLE
from bot.tasks.wanted import Wanted
from nips.key import SecretKey
from nips.nip19 import encode_npub, encode_nsec
from tests.unit.nips.own.test_signal_id import ACI
from tests.unit.nips.own.test_signal_id import GROUP as SIGNAL_GROUP

ANN = SecretKey(bytes([1]) * 32).public
BOB = SecretKey(bytes([2]) * 32).public
NPUB, OTHER = encode_npub(ANN), encode_npub(BOB)

READ: list[tuple[str, asked.Command]] = [
    ("/help", asked.Help()),
    ("/HELP", asked.Help()),
    ("  /help  ", asked.Help()),
    ("/help group", asked.Help("group")),
    ("/help /group", asked.Help("group")),
    ("/status", asked.Status()),
    ("/groups", asked.ListGroups()),
    ("/group", asked.ListGroups()),
    ("/group Family", asked.ShowGroup("Family")),
    ("/group Family chat", asked.ShowGroup("Family chat")),
    ('/group "delete"', asked.ShowGroup("delete")),
    ("/group new Family", asked.NewGroup("Family")),
    ("/group new Our family", asked.NewGroup("Our family")),
    ("/group new “Our family”", asked.NewGroup("Our family")),
    ("/group new „Wir alle“ trigger none", asked.NewGroup("Wir alle", None)),
    ("/group new Ann trigger none", asked.NewGroup("Ann", None)),
    ("/group new Ann trigger claw", asked.NewGroup("Ann", "claw")),
    ("/group new Ann trigger default", asked.NewGroup("Ann", "")),
    (f"/group new Ann with {NPUB}", asked.NewGroup("Ann", "", (f"nostr:{ANN}",))),
    (
        f"/group new Ann trigger none with nostr:{NPUB}, {OTHER}",
        asked.NewGroup("Ann", None, (f"nostr:{ANN}", f"nostr:{BOB}")),
    ),
    (
        f"/group new Ann with {ANN} {ANN} trigger none",
        asked.NewGroup("Ann", None, (f"nostr:{ANN}",)),
    ),
    ("/group Ann rename Anna", asked.RenameGroup("Ann", "Anna")),
    ("/group Ann and I rename Anna  and me", asked.RenameGroup("Ann and I", "Anna and me")),
    ('/group Ann rename "Anna"', asked.RenameGroup("Ann", "Anna")),
    (f"/group Ann bind {NPUB}", asked.BindGroup("Ann", (f"nostr:{ANN}",))),
    (f"/group Ann unbind {NPUB}", asked.BindGroup("Ann", (f"nostr:{ANN}",), on=False)),
    (
        f"/group Ann bind Signal:{ACI.upper()}, signal:{SIGNAL_GROUP}",
        asked.BindGroup("Ann", (f"signal:{ACI}", f"signal:{SIGNAL_GROUP}")),
    ),
    (f"/group new Ann with signal:{ACI}", asked.NewGroup("Ann", "", (f"signal:{ACI}",))),
    ("/group Ann trigger hey you", asked.ChangeGroup("Ann", {"trigger": "hey you"})),
    ("/group Ann trigger none", asked.ChangeGroup("Ann", {"trigger": None})),
    ('/group Ann trigger "none"', asked.ChangeGroup("Ann", {"trigger": "none"})),
    ("/group Ann trigger default", asked.ChangeGroup("Ann", {"trigger": ""})),
    ("/group Ann senders members", asked.ChangeGroup("Ann", {"senders": "members"})),
    ("/group Ann senders trusted", asked.ChangeGroup("Ann", {"senders": "trusted"})),
    ("/group Ann agents on", asked.ChangeGroup("Ann", {"agents": True})),
    ("/group Ann owner_speaks on", asked.ChangeGroup("Ann", {"owner_speaks": True})),
    ("/group Ann Owner_Speaks no", asked.ChangeGroup("Ann", {"owner_speaks": False})),
    ("/group Ann agents off", asked.ChangeGroup("Ann", {"agents": False})),
    (f"/group Ann mute {NPUB} {OTHER}", asked.Mute("Ann", (ANN, BOB))),
    (f"/group Ann unmute {NPUB}", asked.Mute("Ann", (ANN,), on=False)),
    ("/group Ann quiet 22:00-07:00", asked.QuietHours("Ann", "22:00", "07:00")),
    ("/group Ann quiet 22-7", asked.QuietHours("Ann", "22:00", "07:00")),
    ("/group Ann quiet 22.30 to 7", asked.QuietHours("Ann", "22:30", "07:00")),
    ("/group Ann quiet 22:00 – 07:00", asked.QuietHours("Ann", "22:00", "07:00")),
    (
        "/group Ann quiet 22:00-07:00 Europe/Berlin",
        asked.QuietHours("Ann", "22:00", "07:00", "Europe/Berlin"),
    ),
    ("/group Ann quiet 22:00-07:00 utc", asked.QuietHours("Ann", "22:00", "07:00", "UTC")),
    ("/group Ann quiet off", asked.QuietHours("Ann")),
    (
        "/group Ann backend claude:sonnet, openai builtin",
        asked.SetBackends("Ann", ("claude:sonnet", "openai", "builtin")),
    ),
    ("/group Ann backend default", asked.SetBackends("Ann", None)),
    ("/group Ann archive", asked.ArchiveGroup("Ann")),
    ("/group Ann restore", asked.ArchiveGroup("Ann", on=False)),
    ("/group Ann delete", asked.DeleteGroup("Ann")),
    ("/group Ann delete wipe", asked.DeleteGroup("Ann", wipe=True)),
    ("/tasks", asked.ListTasks()),
    ("/tasks Ann", asked.ListTasks("Ann")),
    ("/task", asked.ListTasks()),
    ("/task 3f2a", asked.ShowTask("3f2a")),
    ("/task new @daily Go", asked.NewTask(Wanted(when="@daily", prompt="Go"))),
    ("/task edit 3f2a late no", asked.EditTask("3f2a", Wanted(late="no"))),
    ("/task pause 3f2a", asked.PauseTask("3f2a")),
    ("/task cancel 3f2a", asked.CancelTask("3f2a")),
    ("/task run 3f2a", asked.RunTask("3f2a")),
    ("/task runs 3f2a", asked.TaskRuns("3f2a")),
    ("/runs", asked.ListRuns()),
    ("/runs 20", asked.ListRuns(None, 20)),
    ("/runs Our family 20", asked.ListRuns("Our family", 20)),
    ('/runs "2026"', asked.ListRuns("2026")),
    ("/run 9C01", asked.ShowRun("9c01")),
    (f"/run {'a' * 64}", asked.ShowRun("a" * 64)),
    ("/relays", asked.Relays()),
    ("/signal", asked.Signal()),
    ("/published", asked.ListPublished()),
    ("/published 5", asked.ListPublished(5)),
    ("/logs", asked.Logs()),
    ("/logs 5", asked.Logs(5)),
    ("/allow", asked.ListStrangers()),
    ("/allow kmpqrs", asked.Allow("kmpqrs")),
    ("/Allow KMPQRS Aunt Ann", asked.Allow("kmpqrs", "Aunt Ann")),
    ("/approve", asked.ListQuestions()),
    ("/approve kmpqrs.", asked.Settle("kmpqrs", yes=True)),
    ("/deny kmpqrs", asked.Settle("kmpqrs", yes=False)),
    ("/deny 0123456789abcdef", asked.Settle("0123456789abcdef", yes=False)),
    ("/stop", asked.Stop()),
    ("/stop all", asked.Stop("all")),
    ("/stop Our family", asked.Stop("Our family")),
    ("/budget", asked.ShowBudget()),
    ("/budget Ann", asked.ShowBudget("Ann")),
    ("/budget Ann runs 50", asked.SetBudget("Ann", {"runs": 50})),
    (
        "/budget Our family runs off tokens 200k usd 2,50",
        asked.SetBudget("Our family", {"runs": None, "tokens": 200_000, "microusd": 2_500_000}),
    ),
    ("/budget Ann $ $1", asked.SetBudget("Ann", {"microusd": 1_000_000})),
    ("/budget Ann runs +10", asked.RaiseBudget("Ann", {"runs": 10})),
    ("/budget Ann tokens +1.5M", asked.RaiseBudget("Ann", {"tokens": 1_500_000})),
    ("/model", asked.ShowModels()),
    ("/model Ann", asked.ShowModels("Ann")),
    ("/model Ann qwen3 qwen3, gpt", asked.SetModels("Ann", ("qwen3", "gpt"))),
    ('/model "Our family" qwen3', asked.SetModels("Our family", ("qwen3",))),
    ("/model Ann default", asked.SetModels("Ann", None)),
    ("/model Ann none", asked.SetModels("Ann", ())),
    ("/persona", asked.ShowPersona()),
    ("/persona Ann", asked.ShowPersona("Ann")),
    ("/persona name Claw", asked.SetPersona(None, "name", "Claw")),
    ("/persona name Claw the Second", asked.SetPersona(None, "name", "Claw the Second")),
    ("/persona Ann name Claw", asked.SetPersona("Ann", "name", "Claw")),
    ("/persona name off", asked.SetPersona(None, "name", None)),
    ("/persona picture https://x.example/a.png",
     asked.SetPersona(None, "picture", "https://x.example/a.png")),
    ("/persona text Be brief.\nSay “yes” or no.",
     asked.SetPersona(None, "text", "Be brief.\nSay “yes” or no.")),
    ("/pause", asked.Pause()),
    ("/pause Our family", asked.Pause("Our family")),
    ("/resume Ann", asked.Pause("Ann", on=False)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "command"), READ, ids=[text for text, _ in READ])
def test_every_form_is_read(text: str, command: asked.Command) -> None:
    assert parse(text) == command


def test_every_command_and_every_value_is_in_the_table_of_tests() -> None:
    assert {text.strip().split()[0].lower().removeprefix("/") for text, _ in READ} == set(TABLE)
    every = {*asked.Reading.__args__, *asked.Order.__args__, asked.Stop}
    assert every >= set(asked.OfTasks.__args__)
    assert {type(command) for _, command in READ} == every
    assert set(READERS) == set(TABLE)


def test_what_the_table_shows_can_be_written() -> None:
    for entry in TABLE.values():
        read = parse(entry.example)
        assert read is not None
        assert not isinstance(read, Bad), entry.example


BAD = [
    ("/stauts", "Did you mean /status?", "status"),
    ("/grup x", "Did you mean /group?", "group"),
    ("/stat", "Did you mean /status?", "status"),
    ("/budgets", "Did you mean /budget?", "budget"),
    ("/remembr it", "Did you mean /remember?", None),
    ("/xyzzy", "There is no command /xyzzy. /help lists", None),
    ("/etc is full", "There is no command /etc", None),
    ("/status now", "takes nothing", "status"),
    ("/help grup", "Did you mean /group?", "group"),
    ("/task new Water the plants", "is no time", "task"),
    ("/published all", "takes a number", "published"),
    ("/published 51", "1 to 50 publications", "published"),
    ("/logs many", "takes a number", "logs"),
    ("/logs 999", "1 to 50 lines", "logs"),
    ("/runs 0", "1 to 50 runs", "runs"),
    ("/allow ann", "is no code", "allow"),
    ("/approve yes", "is no code", "approve"),
    ("/approve kmpqrs now", "takes one code", "approve"),
    ("/group new", "Say its name", "group"),
    ("/group new trigger none", "Say its name", "group"),
    ("/group new Ann with", "Say who", "group"),
    ("/group new Ann with Bob", "nobody's address", "group"),
    ("/group new Ann with npub1 with npub1", "nobody's address", "group"),
    (f"/group new Ann with {NPUB} with {NPUB}", "once each", "group"),
    ("/group new Ann trigger", "the word that wakes me", "group"),
    ("/group new Ann trigger ,.", "a letter or a digit", "group"),
    ("/group rename Ann", "name comes before", "group"),
    ("/group Ann renam Anna", "Did you mean rename?", "group"),
    ("/group Ann rename", "Say its name", "group"),
    ("/group Ann bind", "Say who", "group"),
    ("/group Ann senders all", "trusted or members", "group"),
    ("/group Ann bind signal:+4915112345678", "nobody's address", "group"),
    ("/group Ann bind", "say who: one npub or more, or signal:", "group"),
    ("/group Ann agents maybe", "neither on nor off", "group"),
    ("/group Ann owner_speaks", "write one of on or off", "group"),
    ("/group Ann owner_speak on", "Did you mean owner_speaks?", "group"),
    ("/group Ann quiet", "from when to when", "group"),
    ("/group Ann quiet 25-7", "no time of a day", "group"),
    ("/group Ann quiet late", "is no time", "group"),
    ("/group Ann quiet 7-7", "another time", "group"),
    ("/group Ann archive now", "after archive comes nothing", "group"),
    ("/group Ann delete all", "wipe", "group"),
    ('/group "Ann', "is not closed", "group"),
    ("/budget runs 50", "whose budget", "budget"),
    ("/budget Ann runs", "comes an amount", "budget"),
    ("/budget Ann runs ten", "is no amount", "budget"),
    ("/budget Ann runs 1.5", "no whole number", "budget"),
    ("/budget Ann runs -1", "is no amount", "budget"),
    ("/budget Ann runs +0", "changes nothing", "budget"),
    ("/budget Ann runs 5 runs 6", "said twice", "budget"),
    ("/budget Ann runs 5 days 6", "none of runs, tokens, usd", "budget"),
    ("/budget Ann runs +5 usd 6", "two commands", "budget"),
    ("/budget Ann tokens 999999999999999m", "more than can be counted", "budget"),
    ("/model Ann none qwen3", "stand alone", "model"),
    ("/persona name", "Write it after the word", "persona"),
    ("/persona name Claw\nClaw", "one line", "persona"),
    ("/persona picture javascript:alert(1)", "https://", "persona"),
    ("/persona text " + "x" * 12_000, "at most 12,000 characters", "persona"),
    ("/group " + "x " * 100, "more than 64 words", "group"),
]


@pytest.mark.parametrize(("text", "words", "about"), BAD, ids=[text[:40] for text, _, _ in BAD])
def test_a_wrong_command_says_what_is_wrong(text: str, words: str, about: str | None) -> None:
    read = parse(text)
    assert isinstance(read, Bad)
    assert words.casefold() in read.sentence.casefold()
    assert read.sentence.endswith((".", "?", "…"))
    assert read.about == about


def test_a_secret_key_that_was_pasted_is_not_repeated() -> None:
    nsec = encode_nsec(bytes([9]) * 32)
    read = parse(f"/group Ann bind {nsec}")
    assert isinstance(read, Bad)
    assert nsec not in read.sentence
    assert "lost" in read.sentence


NONE = [
    "",
    "/",
    "//",
    "/ status",
    "hello /status",
    "> /allow kmpqrs",
    "/etc/passwd says root",
    "/status/now",
    "/allow,kmpqrs",
    "\u200b/allow kmpqrs",
    "／status",
    "/1",
    "/say /allow kmpqrs",
    "/say\n/allow kmpqrs",
    "/run date",
    "/run",
    "/run ls -l",
    "/run cafe babe",
    "/run abc",
    "/remember /pause",
    "/sign 1 /approve kmpqrs",
    "approve 0123456789abcdef",
]


@pytest.mark.parametrize("text", NONE)
def test_what_only_looks_like_a_command_is_none(text: str) -> None:
    assert parse(text) is None
    assert not is_command(text)


def test_the_agents_own_commands_are_left_to_it() -> None:
    for name in set(agents.USAGE) | {"say", "recall"}:
        assert name in AGENTS, name
        assert not is_command(f"/{name} something to do")
    assert set(AGENTS) & set(TABLE) == {"run"}


CHANGING = {
    "allow", "deny", "approve", "group", "budget", "model", "persona", "pause", "resume", "task",
}  # fmt: skip


def test_which_forms_change_rights() -> None:
    for text, command in READ:
        name = text.strip().split()[0].lower().removeprefix("/")
        if is_order(command):
            assert TABLE[name].orders
            # The signer repeats, as orders, texts that begin with one of these.
            assert name in CHANGING
    assert {name for name, entry in TABLE.items() if entry.orders} == CHANGING


@given(st.text(max_size=200) | st.text(max_size=60).map(lambda text: f"/group {text}"))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    read = parse(text)
    assert is_command(text) is (read is not None)
    if isinstance(read, Bad):
        assert read.sentence
