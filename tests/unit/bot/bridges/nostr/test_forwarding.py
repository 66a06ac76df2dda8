"""What is in a gift wrap besides words: subjects, expirations, deletions, files. Relays, signer,
bridge and a server of files are real."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from secrets import token_bytes

import pytest

from config.roles import read_key
from nips import nip44
from nips.event import Event, Tag, Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip17 import message_template
from nips.nip29 import remove_user
from nips.own.received import ReceivedFile, received_files
from relay_local.client import connect
from tests.unit.bot.bridges.nostr.conftest import OWNER
from tests.unit.bot.bridges.nostr.conversation import Conversation, reaction, registered, sent
from tests.unit.bot.bridges.nostr.file_stage import (
    JPEG,
    FileServer,
    Parcel,
    a_file_server,
    a_parcel,
)
from tests.unit.bot.bridges.nostr.stage import Person, Stage

SOON_S = 6


@pytest.fixture(scope="module")
async def server(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FileServer]:
    folder = tmp_path_factory.mktemp("served")
    async with a_file_server(folder, port=stage.files_port) as made:
        yield made


def text(author: Person, bot: str, words: str, *tags: Tag) -> Template:
    rumor = message_template(author.public, [bot], words, int(time.time()))
    return replace(rumor, tags=(*rumor.tags, *tags))


def deletion(author: Person, bot: str, *rumor_ids: str) -> Template:
    tags = (("p", bot), *(("e", each) for each in rumor_ids), ("k", "14"))
    return Template(author.public, int(time.time()), Kind.DELETION, tags, "a slip")


async def wrapped_until(author: Person, bot: str, rumor: Template, *tags: Tag) -> Event:
    """A wrap with tags of its own, as disappearing messages have it; the seal has them too."""
    now_s = int(time.time())
    sealing = nip44.conversation_key(author.secret, bot)
    inner = nip44.encrypt(json.dumps(rumor.to_json()), sealing, token_bytes(32))
    seal = Template(author.public, now_s, Kind.SEAL, tags, inner)
    key = SecretKey.generate(token_bytes)
    signed = json.dumps(seal.sign(author.secret, token_bytes(32)).to_json())
    outer = nip44.encrypt(signed, nip44.conversation_key(key, bot), token_bytes(32))
    wrap = Template(key.public, now_s, Kind.GIFT_WRAP, (("p", bot), *tags), outer)
    event = wrap.sign(key, token_bytes(32))
    await author.send(event)
    return event


async def gone(stage: Stage, event: Event, timeout_s: float = 20.0) -> None:
    """Wait until the relay gives an event to nobody any more."""
    async with asyncio.timeout(timeout_s):
        while await stage.link.fetch([Filter(ids=frozenset({event.id}))]):
            await asyncio.sleep(0.05)


async def after(author: Person, stage: Stage, group: Conversation, words: str) -> list[str]:
    """What the group has heard once everything that was sent before has been dealt with."""
    await author.say(stage.roles.bot, words)
    await group.heard(words)
    return await group.texts()


# Subjects


async def test_a_subject_is_carried(stage: Stage, owner: Person, ann: Person) -> None:
    anns = await registered(stage, "subject", ann.public)
    await sent(ann, stage.roles.bot, text(ann, stage.roles.bot, "at five?", ("subject", "tea")))
    assert (await anns.heard("at five?")).tag("subject") == "tea"


# Expirations


async def test_what_disappears_there_disappears_here(
    stage: Stage, owner: Person, ann: Person
) -> None:
    bot = stage.roles.bot
    anns = await registered(stage, "disappear", ann.public)
    at_s = int(time.time()) + SOON_S
    later: Tag = ("expiration", str(at_s + 600))
    soon: Tag = ("expiration", str(at_s))
    await wrapped_until(ann, bot, text(ann, bot, "of the wrap", later), soon)
    await wrapped_until(ann, bot, text(ann, bot, "of the rumor", soon), later)
    stays = await sent(ann, bot, text(ann, bot, "stays", ("expiration", "never")))
    shown = [await anns.heard(words) for words in ("of the wrap", "of the rumor")]
    assert [event.values("expiration") for event in shown] == [[str(at_s)]] * 2
    kept = await anns.heard("stays")
    assert kept.tag("expiration") is None
    sign = reaction(ann, bot, kept.tag("proxy") or "", "⏳")
    await sent(ann, bot, replace(sign, tags=(*sign.tags, later)))
    assert (await anns.heard("⏳", 7)).values("expiration") == [later[1]]
    for event in shown:
        await gone(stage, event)
    assert int(time.time()) >= at_s
    assert "stays" in await anns.texts()
    # And does not come back with its wrap.
    await ann.send(stays, 1)
    await sent(ann, bot, text(ann, bot, "of the rumor", soon))
    assert "of the rumor" not in await after(ann, stage, anns, "after what disappeared")


async def test_what_has_expired_is_dropped_quietly(
    stage: Stage, owner: Person, ann: Person, stranger: Person
) -> None:
    bot = stage.roles.bot
    anns = await registered(stage, "expired", ann.public)
    past: Tag = ("expiration", str(int(time.time()) - 60))
    wrap = await sent(ann, bot, text(ann, bot, "long ago", past))
    assert "it has expired" in await stage.logged(wrap.id)
    assert "long ago" not in await after(ann, stage, anns, "after what expired")


# Deletions


async def test_a_person_takes_back_what_they_said(stage: Stage, owner: Person, ann: Person) -> None:
    bot = stage.roles.bot
    anns = await registered(stage, "take-back", ann.public)
    slip, other = text(ann, bot, "a slip"), text(ann, bot, "no slip")
    wrap = await sent(ann, bot, slip)
    await sent(ann, bot, other)
    said, kept = await anns.heard("a slip"), await anns.heard("no slip")
    await sent(ann, bot, reaction(ann, bot, other.id, "👎"))
    sign = await anns.heard("👎", 7)
    taking = deletion(ann, bot, slip.id, sign.tag("proxy") or "")
    await sent(ann, bot, taking)
    request = await anns.heard("", 5)
    assert request.pubkey == said.pubkey
    assert request.values("e") == [said.id, sign.id] or request.values("e") == [sign.id, said.id]
    assert request.values("h") == [anns.binding.group]
    assert ("-",) in request.tags
    await gone(stage, said)
    await gone(stage, sign)
    # The wrap comes again, from another relay and in another wrap.
    await ann.send(wrap, 1)
    await sent(ann, bot, slip)
    await sent(ann, bot, taking)
    texts = await after(ann, stage, anns, "after the slip")
    assert "a slip" not in texts
    assert kept.content in texts
    await stage.restart("bridge")
    await sent(ann, bot, slip)
    assert "a slip" not in await after(ann, stage, anns, "after a slip and a kill")


async def test_a_deletion_that_is_read_first_still_counts(
    stage: Stage, owner: Person, ann: Person
) -> None:
    """Wraps are dated at random, so relays give them in any order."""
    bot = stage.roles.bot
    anns = await registered(stage, "backwards", ann.public)
    for number, name in enumerate(("at once", "killed")):
        slip = text(ann, bot, f"a slip {name}")
        await sent(ann, bot, deletion(ann, bot, slip.id))
        assert (await asked_to_delete(anns, slip.id)).values("k") == ["14"]
        if number:
            await stage.restart("bridge")
        await sent(ann, bot, slip)
        assert slip.content not in await after(ann, stage, anns, f"after a slip {name}")


async def asked_to_delete(group: Conversation, named: str, but_not_by: str = "") -> Event:
    """Wait for the kind 5 that names an id."""
    async with asyncio.timeout(20):
        while True:
            for event in await group.stage.link.fetch([group._of(5)]):
                if named in event.values("e") and event.pubkey != but_not_by:
                    return event
            await asyncio.sleep(0.05)


async def test_nobody_takes_back_what_another_said(
    stage: Stage, owner: Person, ann: Person, bob: Person
) -> None:
    """Attack: Bob deletes Ann's words, the assistant's, and what he reacted to."""
    bot = stage.roles.bot
    group = await registered(stage, "not-yours", ann.public, bob.public)
    words, later = text(ann, bot, "mine alone"), text(ann, bot, "mine later")
    await sent(ann, bot, words)
    said = await group.heard("mine alone")
    ours = await group.say("the assistant's", said.pubkey)
    await stage.delivery(ours.id)
    carried = await ann.hear()
    named = (words.id, later.id, carried.id, said.id, ours.id)
    await sent(bob, bot, deletion(bob, bot, *named))
    request = await asked_to_delete(group, words.id)
    assert request.pubkey not in (said.pubkey, stage.router.public)
    await sent(ann, bot, deletion(ann, bot, carried.id, ours.id))
    anns = await asked_to_delete(group, carried.id, but_not_by=request.pubkey)
    assert anns.pubkey == said.pubkey
    # Nor does Bob stop what Ann has not said yet.
    await sent(ann, bot, later)
    await group.heard("mine later")
    texts = await after(bob, stage, group, "after the attack")
    assert {"mine alone", "the assistant's", "mine later"} <= set(texts)


async def test_a_deletion_of_nothing_is_set_aside(
    stage: Stage, owner: Person, ann: Person, stranger: Person
) -> None:
    bot = stage.roles.bot
    await registered(stage, "nothing", ann.public)
    wrap = await sent(ann, bot, deletion(ann, bot, "it", "x" * 30_000))
    assert "a deletion of nothing" in await stage.logged(wrap.id)
    wrap = await sent(stranger, bot, deletion(stranger, bot, "00" * 32))
    assert "bound to no group" in await stage.logged(wrap.id)


# Files


def file_message(author: Person, bot: str, parcel: Parcel, url: str, *tags: Tag) -> Template:
    now_s = int(time.time())
    return Template(
        author.public, now_s, Kind.FILE_MESSAGE, (("p", bot), *parcel.tags, *tags), url
    )  # fmt: skip


def folder_of(group: Conversation) -> Path:
    return group.stage.place.data / "groups" / group.binding.folder


async def brought(group: Conversation, rumor: Template) -> Event:
    """The kind 9 that a rumor has become."""
    async with asyncio.timeout(30):
        while True:
            for event in await group.stage.link.fetch([group._of(9)]):
                if event.tag("proxy") == rumor.id:
                    return event
            await asyncio.sleep(0.05)


async def test_a_file_comes_into_the_groups_folder(
    stage: Stage, owner: Person, ann: Person, server: FileServer
) -> None:
    bot = stage.roles.bot
    anns = await registered(stage, "file", ann.public)
    asked = text(ann, bot, "you will get it")
    await sent(ann, bot, asked)
    answered = await anns.heard("you will get it")
    plain = JPEG + bytes(120_000)
    parcel = a_parcel(plain, "image/jpeg", ("name", "Grandma's cat.jpg"), ("dim", "800x600"))
    url = server.url("ok", server.put("cat", parcel.ciphertext))
    rumor = file_message(ann, bot, parcel, url, ("e", asked.id), ("subject", "cats"))
    await sent(ann, bot, rumor)
    event = await brought(anns, rumor)
    digest = sha256(plain).hexdigest()
    assert event.content == "[file: Grandma's cat.jpg, image/jpeg, 120 kB]"
    (file,) = received_files(event)
    name = f"Grandma-s-cat-{digest[:12]}.jpg"
    assert file == ReceivedFile(name, "image/jpeg", digest, len(plain), "800x600")
    assert (folder_of(anns) / file.path).read_bytes() == plain
    assert event.pubkey == answered.pubkey
    assert (event.tag("q"), event.tag("subject")) == (answered.id, "cats")
    # Where it came from and what opened it are in no event of the group, and in no log.
    named = {tag[0]: tag[1] for tag in parcel.tags}
    everything = json.dumps(event.to_json()) + stage.log("bridge")
    for secret in (named["decryption-key"], named["decryption-nonce"], named["x"], "/ok/cat"):
        assert secret not in everything


async def test_what_is_said_about_a_file_comes_after_it_and_nobody_else_waits(
    stage: Stage, owner: Person, ann: Person, bob: Person, server: FileServer
) -> None:
    bot = stage.roles.bot
    anns = await registered(stage, "wait-for-it", ann.public)
    bobs = await registered(stage, "no-need-to-wait", bob.public)
    parcel = a_parcel(JPEG)
    url = server.url("wait", server.put("slow", parcel.ciphertext))
    rumor = file_message(ann, bot, parcel, url)
    await sent(ann, bot, rumor)
    await server.was_asked("/wait/slow")
    await sent(ann, bot, text(ann, bot, "what is on it?", ("e", rumor.id)))
    await sent(ann, bot, reaction(ann, bot, rumor.id, "📷"))
    assert await after(bob, stage, bobs, "meanwhile") == ["meanwhile"]
    assert await anns.texts() == []
    (server.folder / "go").touch()
    try:
        event = await brought(anns, rumor)
        assert (await anns.heard("what is on it?")).tag("q") == event.id
        assert (await anns.heard("📷", 7)).tag("e") == event.id
    finally:
        (server.folder / "go").unlink()


async def test_a_kill_in_the_middle_of_a_file_loses_and_doubles_nothing(
    stage: Stage, owner: Person, ann: Person, server: FileServer
) -> None:
    bot = stage.roles.bot
    anns = await registered(stage, "killed", ann.public)
    parcel = a_parcel(b"%PDF-1.7 a letter", "application/pdf")
    url = server.url("wait", server.put("letter", parcel.ciphertext))
    rumor = file_message(ann, bot, parcel, url)
    await sent(ann, bot, rumor)
    await server.was_asked("/wait/letter")
    await sent(ann, bot, text(ann, bot, "have you read it?"))
    # The place moves on, and says what is not done yet.
    await owner.say(bot, "while a letter is on its way")
    await stage.heard("while a letter is on its way")
    await owner.say(bot, "and one more")
    await stage.heard("and one more")
    async with asyncio.timeout(10):
        while len(await pending(stage)) != 2:
            await asyncio.sleep(0.05)
    await stage.restart("bridge")
    await server.was_asked("/wait/letter", 2)
    await stage.restart("bridge")
    await server.was_asked("/wait/letter", 3)
    assert await anns.texts() == []
    (server.folder / "go").touch()
    try:
        event = await brought(anns, rumor)
        await anns.heard("have you read it?")
        await after(ann, stage, anns, "after the letter")
    finally:
        (server.folder / "go").unlink()
    texts = await anns.texts()
    assert len(texts) == 3
    assert sorted(texts) == sorted([event.content, "have you read it?", "after the letter"])
    assert len(list((folder_of(anns) / "received").iterdir())) == 1
    async with asyncio.timeout(10):
        while await pending(stage):
            await asyncio.sleep(0.05)


async def pending(stage: Stage) -> list[str]:
    key = read_key(stage.place.key("bridge-nostr"))
    wanted = Filter(kinds=frozenset({30078}), tags={"d": frozenset({"place/nostr-inbox"})})
    async with connect(stage.place.relay_address, [key]) as link:
        # While it is replaced it is in no answer.
        while not (found := await link.fetch([wanted])):
            await asyncio.sleep(0.05)
    return list(json.loads(found[0].content).get("pending", []))


@pytest.mark.parametrize(
    ("tags", "url", "words"),
    [
        ((), "{files}/status-403/x", "(image/jpeg) and could not be taken: its server answers 403"),
        ((), "https://127.0.0.1:1/x", "its address is not a public one"),
        ((), "http://93.184.216.34/x", "only https:// addresses are used"),
        ((), "{files}/ok/another", "what the server gave is another file than the one announced"),
        ((("size", "99999999"),), "{files}/ok/another", "it is larger than 25 MiB"),
        ((("encryption-algorithm", "rot13"),), "{files}/ok/another", "not encrypted by aes-gcm"),
        ((("decryption-key", "…"),), "{files}/ok/another", "its decryption-key is none"),
    ],
)
async def test_a_file_that_cannot_be_had_is_told_of_in_words(
    stage: Stage,
    owner: Person,
    ann: Person,
    server: FileServer,
    tags: tuple[Tag, ...],
    url: str,
    words: str,
) -> None:
    bot = stage.roles.bot
    anns = await registered(stage, f"words-{token_bytes(4).hex()}", ann.public)
    server.put("another", b"another file")
    parcel = a_parcel(JPEG)
    changed = {tag[0] for tag in tags}
    parcel = replace(
        parcel, tags=(*tags, *(tag for tag in parcel.tags if tag[0] not in changed))
    )  # fmt: skip
    where = url.format(files=server.url("", "").rstrip("/"))
    rumor = file_message(ann, bot, parcel, where)
    await sent(ann, bot, rumor)
    event = await brought(anns, rumor)
    assert event.content.startswith("[a file was sent")
    assert words in event.content
    assert received_files(event) == ()
    assert "127.0.0.1" not in event.content
    assert not (folder_of(anns) / "received").exists()


async def test_a_planted_link_leads_no_file_out_of_the_folder(
    stage: Stage, owner: Person, ann: Person, server: FileServer, tmp_path: Path
) -> None:
    """Attack: an agent puts a link to a folder of ours where files are laid."""
    bot = stage.roles.bot
    anns = await registered(stage, "planted", ann.public)
    folder_of(anns).mkdir(parents=True)
    (folder_of(anns) / "received").symlink_to(tmp_path)
    parcel = a_parcel(JPEG, "image/jpeg", ("name", "../../../escaped.jpg"))
    url = server.url("ok", server.put("planted", parcel.ciphertext))
    rumor = file_message(ann, bot, parcel, url)
    await sent(ann, bot, rumor)
    assert "there is no folder 'received'" in (await brought(anns, rumor)).content
    assert list(tmp_path.iterdir()) == []
    (folder_of(anns) / "received").unlink()
    again = replace(rumor, created_at=rumor.created_at + 1)
    await sent(ann, bot, again)
    event = await brought(anns, again)
    (file,) = received_files(event)
    assert file.name.startswith("escaped-")
    assert (folder_of(anns) / file.path).read_bytes() == JPEG


async def test_a_strangers_file_is_not_even_fetched(
    stage: Stage, owner: Person, stranger: Person, server: FileServer
) -> None:
    parcel = a_parcel(JPEG)
    url = server.url("ok", server.put("stranger", parcel.ciphertext))
    wrap = await sent(
        stranger, stage.roles.bot, file_message(stranger, stage.roles.bot, parcel, url)
    )
    assert "bound to no group" in await stage.logged(wrap.id)
    assert not [line for line in server.requests() if "/ok/stranger" in line]


async def test_whom_the_owner_removes_lays_no_file_into_the_folder(
    stage: Stage, owner: Person, ann: Person, server: FileServer
) -> None:
    """Removed by a 9001, and still bound: the agent would find what they send all the same."""
    bot = stage.roles.bot
    group = await registered(stage, "removed", ann.public)
    (puppet,) = await group.puppets(1)
    async with connect(stage.place.relay_address, [OWNER]) as link:
        template = remove_user(OWNER.public, group.binding.group, puppet, int(time.time()))
        assert (await link.publish(template.sign(OWNER, token_bytes(32)))).accepted
    await group.puppets(0)
    parcel = a_parcel(JPEG)
    url = server.url("ok", server.put("removed", parcel.ciphertext))
    wrap = await sent(ann, bot, file_message(ann, bot, parcel, url))
    await stage.logged(f'id={wrap.id} reason="its author was removed')
    assert not [line for line in server.requests() if "/ok/removed" in line]
    assert not (folder_of(group) / "received").exists()
