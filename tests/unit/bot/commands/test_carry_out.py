"""Every command, carried out by a real router on a real relay, while no container can start."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from secrets import token_hex

import pytest

from bot.commands import asked
from bot.commands.grammar import parse
from nips.event import Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip19 import encode_npub
from nips.own import binding as bindings
from nips.own.binding import Binding, Budget, Quiet
from relay_local.client import connect
from tests.unit.bot.commands.stage import Stage

ANN = SecretKey(bytes([1]) * 32).public
NPUB = encode_npub(ANN)
HEALTH = (
    '{"relays":{"wss://one.example":{"state":"down","healthy_s":null,"last_event_s":null}},'
    '"wraps":{"forwarded":0,"strangers":0,"set_aside":0,"kept":0}}'
)


async def binding(stage: Stage, folder: str) -> Binding:
    """The newest binding of a group, as the owner's client reads it."""
    found = {}
    for event in await stage.find(Kind.APP_DATA):
        if event.pubkey == stage.roles.router and (event.tag("d") or "").startswith("group/"):
            read = bindings.parse(event, stage.roles.router)
            found[read.folder] = read
    return found[folder]


async def group(stage: Stage, words: str = "") -> str:
    """A group of its own for a test; returns its folder."""
    name = f"g{token_hex(4)}"
    answer = await stage.ask(f"/group new {name} {words}")
    assert answer.startswith(f"✅ Made {name}."), answer
    return name


async def test_help_and_one_commands_forms(stage: Stage) -> None:
    answer = await stage.ask("/help")
    assert answer.startswith("✅ Your commands.")
    assert "/budget – " in answer
    assert "/group NAME quiet" in await stage.ask("/help group")


async def test_a_bad_command_is_told_the_nearest_one_and_its_forms(stage: Stage) -> None:
    answer = await stage.ask("/stauts")
    assert answer.splitlines() == [
        "❌ There is no command /stauts. Did you mean /status?", "/status", "For example: /status",
    ]  # fmt: skip


async def test_status_says_that_no_container_can_start_and_the_signer_is_away(stage: Stage) -> None:
    answer = await stage.ask("/status")
    assert "No containers: The container engine does not answer." in answer
    assert "Groups: " in answer
    assert "Models: 2" in answer


async def test_a_group_is_made_shown_changed_and_deleted(stage: Stage) -> None:
    name = await group(stage, f"trigger none with {NPUB}")
    made = await binding(stage, name)
    assert (made.counterparts, made.trigger) == ((f"nostr:{ANN}",), None)
    shown = await stage.ask(f"/group {name}")
    assert NPUB in shown
    assert "Wakes me: every message" in shown
    assert name in await stage.ask("/groups")

    assert "claw" in await stage.ask(f"/group {name} trigger claw")
    assert "Every member" in await stage.ask(f"/group {name} senders members")
    assert "may wake" in await stage.ask(f"/group {name} agents on")
    assert "It has none yet." in await stage.ask(f"/group {name} owner_speaks on")
    assert "goes out to Signal" in await stage.ask(f"/group {name}")
    assert (await binding(stage, name)).owner_speaks
    assert "stays here" in await stage.ask(f"/group {name} owner_speaks off")
    assert "22:00 to 07:00" in await stage.ask(f"/group {name} quiet 22:00-07:00 Europe/Berlin")
    assert "never wakes" in await stage.ask(f"/group {name} mute {NPUB}")
    changed = await binding(stage, name)
    assert (changed.trigger, changed.senders, changed.agents) == ("claw", "members", True)
    assert changed.quiet == Quiet("22:00", "07:00", "Europe/Berlin")
    assert changed.muted == (ANN,)
    assert "no quiet hours" in await stage.ask(f"/group {name} quiet off")
    assert "may wake me" in await stage.ask(f"/group {name} unmute {NPUB}")

    assert "no more" in await stage.ask(f"/group {name} unbind {NPUB}")
    assert (await binding(stage, name)).counterparts == ()
    assert "bound to npub1" in await stage.ask(f"/group {name} bind nostr:{NPUB}")
    assert (await binding(stage, name)).counterparts == (f"nostr:{ANN}",)

    assert "archived" in await stage.ask(f"/group {name} archive")
    assert (await binding(stage, name)).archived
    assert f"Archived: {name}" in await stage.ask("/groups")
    assert "taken up again" in await stage.ask(f"/group {name} restore")
    renamed = await stage.ask(f"/group {name} rename Our whole family")
    assert "It is called Our whole family now." in renamed
    assert name in renamed
    assert await stage.ask("/group our whole family") == await stage.ask(f"/group {name}")

    assert f"Deleted {name}." in await stage.ask(f"/group {name} delete")
    assert (await stage.ask(f"/group {name}")).startswith("❌")


async def test_deleting_with_wipe_removes_the_files(stage: Stage) -> None:
    name = await group(stage)
    folder = stage.place.data / "groups" / name
    folder.mkdir(parents=True)
    (folder / "MEMORY.md").write_text("something")
    assert "files are gone" in await stage.ask(f"/group {name} delete wipe")
    assert not folder.exists()


async def test_what_cannot_be_is_told_in_a_sentence(stage: Stage) -> None:
    name = await group(stage)
    for text, words in (
        ("/group nobody-has-this", "There is no one group called"),
        ("/group main delete", "Main is your conversation with me and is not deleted."),
        ("/group main rename Mine", "not renamed"),
        (f"/group {name} quiet 22-7 Europe/Atlantis", "There is no time zone Europe/Atlantis."),
        (f"/group {name} trigger @{'x' * 300}", "at most 200 characters"),
        (f"/model {name} gpt-9", "Not configured: gpt-9. There are: qwen3, claude."),
        ("/allow kmpqrs", "Nobody waits under the code kmpqrs."),
        ("/approve kmpqrs", "kmpqrs"),
        ("/approve 0123456789abcdef", "a question of the signer's"),
        ("/run 0123", "There is no run that begins with 0123."),
        ("/task 0123", "There is no task '0123'."),
        ("/persona name @boss", "cannot be"),
        ("/budget all runs 5", "nostrclaw.toml"),
        ("/stop nobody-has-this", "There is no one group called"),
    ):
        answer = await stage.ask(text)
        assert answer.startswith("❌ "), text
        assert words in answer, answer


async def test_budgets(stage: Stage) -> None:
    name = await group(stage)
    assert "50 runs" in await stage.ask(f"/budget {name} runs 50 usd 2.50")
    assert (await binding(stage, name)).budget == Budget(50, None, 2_500_000)
    assert "usd off" in await stage.ask(f"/budget {name} usd off")
    assert (await binding(stage, name)).budget == Budget(50, None, None)
    assert "10 runs more for today" in await stage.ask(f"/budget {name} runs +10")
    assert f"{name}: nothing of 60 runs" in await stage.ask(f"/budget {name}")
    assert name in await stage.ask("/budget")


async def test_models(stage: Stage) -> None:
    name = await group(stage)
    assert "may use qwen3." in await stage.ask(f"/model {name} qwen3")
    assert (await binding(stage, name)).models == ("qwen3",)
    assert "may use: qwen3" in await stage.ask(f"/model {name}")
    assert f"{name}: qwen3" in await stage.ask("/model")
    assert "may use no model" in await stage.ask(f"/model {name} none")
    assert "as configured" in await stage.ask(f"/model {name} default")
    assert (await binding(stage, name)).models is None


async def test_persona(stage: Stage) -> None:
    name = await group(stage)
    assert "I am Klaue." in await stage.ask(f"/persona {name} name Klaue")
    assert "Name: Klaue" in await stage.ask(f"/persona {name}")
    assert "Klaue" not in await stage.ask("/persona")
    assert "Wakes me: “@Klaue”" in await stage.ask(f"/group {name}")
    assert "is set" in await stage.ask(f"/persona {name} text Be brief.\nBe kind.")
    assert "Be brief. Be kind." in await stage.ask(f"/persona {name}")
    assert "of its own any more" in await stage.ask(f"/persona {name} name off")


async def test_pause_here_and_everywhere_and_resume(stage: Stage) -> None:
    name = await group(stage)
    assert "paused" in await stage.ask(f"/pause {name}")
    assert (await binding(stage, name)).paused
    assert "at work again" in await stage.ask(f"/resume {name}")
    assert (await stage.ask("/pause")).startswith("✅ Paused everywhere.")
    assert (await binding(stage, "main")).paused
    left_alone = await stage.say("words while everything is paused")
    # Commands go past it, or nobody could take it back.
    assert "paused" in await stage.ask("/status")
    assert (await stage.ask("/resume")).startswith("✅ At work again everywhere.")
    assert await stage.jobs(left_alone) == []
    assert not (await binding(stage, "main")).paused


async def test_runs_are_listed_shown_and_stopped(stage: Stage) -> None:
    message = await stage.say("please do what cannot be done now")
    job = await stage.job(message)
    shown = await stage.ask("/runs")
    assert f"{job.id[:8]} main for you, " in shown
    one = await stage.ask(f"/run {job.id[:8]}")
    assert "What: “please do what cannot be done now”" in one
    assert f"Its id: {job.id}" in one
    assert await stage.ask(f"/run {job.id}") == await stage.ask(f"/run {job.id.upper()}")
    assert await stage.ask(f"/stop {job.id[:8]}") == "✅ Stopped."
    assert "🚫" in await stage.ask(f"/run {job.id[:8]}")
    assert await stage.ask("/stop") == "✅ Nothing was being worked on."
    assert await stage.ask("/stop all") == "✅ Nothing was being worked on."


async def test_another_conversations_words_are_not_repeated_in_main(stage: Stage) -> None:
    name = await group(stage, "trigger none")
    there = (await binding(stage, name)).group
    job = await stage.job(await stage.say("a secret of ours", group=there))
    assert "secret" not in await stage.ask(f"/run {job.id[:12]}")
    assert "secret" not in await stage.ask("/runs")
    assert await stage.ask(f"/stop {name}") == "✅ Stopped."


async def test_relays_and_logs(stage: Stage) -> None:
    assert "ask again in a minute" in await stage.ask("/relays")
    (stage.place.logs / "bot.log").write_text(
        'timestamp=2026-11-22T21:00:03Z level=warning event="it failed" reason=no\n'
    )
    assert "11-22 21:00:03 bot: it failed, reason no" in await stage.ask("/logs")


async def test_a_command_that_fails_by_a_fault_of_ours_does_not_end_the_router(
    stage: Stage,
) -> None:
    bridge = stage.role("bridge-nostr")
    for content, words in (("not JSON", "went wrong here"), (HEALTH, "wss://one.example: down")):
        made = Template(bridge.public, int(time.time()) + len(words), Kind.APP_DATA,
                        (("d", "health"),), content).sign(bridge, bytes(32))  # fmt: skip
        async with stage.bridge() as link:
            ok = await link.publish(made, deadline_s=10)
            assert ok.accepted, ok.message
        assert words in await stage.ask("/relays")
    assert (await stage.ask("/status"))[0] == "✅"


async def test_another_networks_bridge_says_nothing_of_the_public_relays(stage: Stage) -> None:
    """Both bridges keep a record called `health`."""
    before, bridge = await stage.ask("/relays"), stage.role("bridge-signal")
    content = HEALTH.replace("one.example", "evil.example")
    made = Template(
        bridge.public, int(time.time()) + 600, Kind.APP_DATA, (("d", "health"),), content
    )
    async with connect(stage.place.relay_address, [bridge]) as link:
        ok = await link.publish(made.sign(bridge, bytes(32)), deadline_s=10)
        assert ok.accepted, ok.message
    assert "evil.example" not in before + await stage.ask("/relays")
    assert "Signal: not known" in await stage.ask("/status")
    content = '{"service":{"state":"listening","mode":"normal","version":"0.98"}}'
    made = replace(made, created_at=made.created_at + 1, content=content)
    async with connect(stage.place.relay_address, [bridge]) as link:
        assert (await link.publish(made.sign(bridge, bytes(32)), deadline_s=10)).accepted
    assert "Signal: listening (normal 0.98)" in await stage.ask("/status")
    told = json.loads(await stage.console("/status"))["data"]["signal"]
    assert (told["state"], told["mode"]) == ("listening", "normal")


async def test_nobody_waits(stage: Stage) -> None:
    assert await stage.ask("/allow") == "✅ Nobody is at the door."
    assert await stage.ask("/approve") == "✅ Nothing waits for your yes or no."


async def test_every_command_answers_within_a_second(stage: Stage) -> None:
    for text in ("/status", "/groups", "/runs", "/help", "/budget", "/model", "/persona", "/tasks",
                 "/relays", "/signal", "/logs", "/allow", "/approve", "/stop"):  # fmt: skip
        began = time.monotonic()
        await stage.ask(text)
        assert time.monotonic() - began < 1, text


async def test_everything_that_is_under_way_is_stopped_at_once(stage: Stage) -> None:
    names = [await group(stage, "trigger none") for _ in range(6)]
    for name in names:
        await stage.job(await stage.say("work", group=(await binding(stage, name)).group))
    assert re.search(r"Runs: \d+ at work, \d+ waiting", await stage.ask("/status"))
    assert await stage.ask("/stop all") == "✅ Stopped 6 runs."


async def test_what_its_author_deletes_is_worked_on_no_more(stage: Stage) -> None:
    made = await binding(stage, await group(stage, "trigger none"))
    message = await stage.say("work", group=made.group)
    job = await stage.job(message)
    tags = (("h", made.group), ("e", message.id), ("k", "9"))
    gone = Template(stage.owner.public, int(time.time()), Kind.DELETION, tags, "")
    ok = await stage.client.publish(gone.sign(stage.owner, bytes(32)), deadline_s=10)
    assert ok.accepted, ok.message
    assert await stage.ask("/status")  # which comes after it
    calls = await stage.find(Kind.JOB_CANCEL, e=job.id)
    assert [event.pubkey for event in calls] == [stage.roles.router] * len(calls)
    assert calls


@pytest.mark.parametrize("text", ["/group Ann delete wipe", "/stop", "/status"])
async def test_a_command_is_no_work(stage: Stage, text: str) -> None:
    assert not isinstance(parse(text), asked.Bad)
    message = await stage.say(text)
    await stage.answer(message)
    assert await stage.jobs(message) == []
    signs = await stage.find(Kind.REACTION, e=message.id)
    assert [event.content for event in signs] == ["❌" if "Ann" in text else "✅"]
