"""PROTOCOL.md held against the code: every example is verified, folded, judged and opened."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from bot import grants, jobs, routing, trouble
from bot import groups as router_groups
from bot.bridges.file_names import stored_name
from bot.bridges.nostr.outgoing import rumors
from bot.bridges.signal import people
from bot.bridges.signal.inward import record
from bot.bridges.signal.inward import said as from_signal
from bot.bridges.signal.received import envelope
from bot.codes import code_of
from bot.schedule import misfire, planning
from bot.schedule.slots import Once
from bot.tasks import occasions
from bot.zones import zone_of
from nips import nip17, nip42, nip44, nip46, nip59
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from nips.nip17 import DirectMessage
from nips.nip17_files import TAG_BYTES, EncryptedFile
from nips.own import (
    audit_head,
    binding,
    cause,
    cost,
    day_budget,
    delivery,
    frame,
    grant,
    hook,
    job,
    order,
    pairing,
    persona,
    place,
    question,
    stranger,
    task,
    watch,
    wish,
)
from nips.own import bound as who_was_bound
from nips.own.once import once_key
from nips.own.received import received_files
from nips.own.task_run import TaskRun
from nips.refusal import Malformed
from relay_local import groups as relay_groups
from relay_local import retention
from relay_local.access import may_read, may_write
from relay_local.viewer import Standing, Viewer
from relay_local.world import World
from relay_local.write_rules import REPERTOIRE
from signer import ceiling, policy
from tests.examples import (
    ALICE,
    CHESS,
    EXAMPLES,
    IDS,
    KEYS,
    PROTOCOL,
    SIGNED,
    Example,
    of_kind,
    roles,
    secret_key,
    the,
)

(ASKED,) = (event for event in of_kind(Kind.JOB_REQUEST) if event.values("e"))
(SET_OFF,) = (event for event in of_kind(Kind.JOB_REQUEST) if event.values("slot"))


@pytest.mark.parametrize("role", KEYS)
def test_the_keys_are_made_as_documented(role: str) -> None:
    assert secret_key(role).public == KEYS[role]


@pytest.mark.parametrize("example", EXAMPLES, ids=IDS)
def test_every_example_is_a_real_event(example: Example) -> None:
    event = example.event  # a rumor's claimed id is checked in here
    assert event.to_json() == example.value, "a field that no event has"
    assert event.pubkey in KEYS.values()
    if isinstance(event, Event):
        event.verify()


@pytest.mark.parametrize("example", EXAMPLES, ids=IDS)
def test_every_example_stands_in_the_section_of_its_kind(example: Example) -> None:
    records = (
        *("Grant", "Binding", "Owner", "Audit", "Order", "Place", "Stranger", "Budget", "Delivery"),
        *("Health", "Persona", "Question", "What came from Signal", "Who was bound"),
    )
    called = {"Binding": "group", "What came from Signal": "signal", "Who was bound": "bound"}
    if example.title in records:
        assert example.value["kind"] == Kind.APP_DATA
        d = str(example.event.tag("d")).split("/")[0]
        assert d == called.get(example.title, example.title.lower())
    else:
        assert example.title.startswith(f"Kind {example.value['kind']}: ")


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_section_and_an_example(kind: Kind) -> None:
    assert re.search(rf"^### Kind {int(kind)}: ", PROTOCOL, re.MULTILINE)
    assert any(example.value["kind"] == kind for example in EXAMPLES)


# What the examples say to one another


def test_our_own_events_parse() -> None:
    router = KEYS["router"]
    of_router = of_kind(Kind.APP_DATA, by="router", d="grant/")
    first, last = (grant.parse(event, router) for event in of_router)
    assert (first.revoked, last.revoked) == (False, True)
    login = grant.parse(the(Kind.APP_DATA, by="owner", d="grant/"), KEYS["owner"])
    assert (login.role, login.client) == ("bunker", KEYS["login"])
    for bound, counterpart in zip(
        of_kind(Kind.APP_DATA, d="group/"),
        (f"nostr:{KEYS['owner']}", f"signal:{CHESS}"),
        strict=True,
    ):
        assert binding.parse(bound, router).counterparts[0] == counterpart
    assert pairing.parse(the(Kind.APP_DATA, d="owner"), KEYS["signer"]) == KEYS["owner"]
    assert audit_head.parse(the(Kind.APP_DATA, d="audit/"), KEYS["signer"]).rows == 412
    ordered = order.parse(the(Kind.APP_DATA, d="order/"), KEYS["signer"])
    said = nip17.message_template(KEYS["owner"], [KEYS["bot"]], ordered.text, ordered.created_at)
    assert (ordered.owner, ordered.rumor_id) == (KEYS["owner"], said.id)
    assert persona.parse(the(Kind.APP_DATA, d="persona"), router)[1].name == "Ada"
    asked = question.parse(the(Kind.APP_DATA, d="question/"), router)
    assert (asked.job, asked.state) == (ASKED.id, question.State.OPEN)
    assert place.parse(the(Kind.APP_DATA, d="place/"), router).seq > 0
    was = the(Kind.APP_DATA, d="bound/")
    (people,) = who_was_bound.parse(was).values()
    assert people == (f"signal:{CHESS}",)
    day = day_budget.parse(the(Kind.APP_DATA, d="budget/"), router)
    assert (day.tokens, day.raised[0].runs) == (13, 10)
    for made in of_kind(Kind.APP_DATA, d="delivery/"):
        found = delivery.parse(made)
        assert found.delivered or found.sending
        assert delivery.template(found, made.pubkey, made.created_at) == made.template
    shown = stranger.parse(the(Kind.APP_DATA, d="stranger/"), router)
    assert shown.code == code_of("stranger", shown.network, shown.id)


def test_a_task_is_claimed_as_the_examples_show() -> None:
    router = KEYS["router"]
    first, second, *_ = of_kind(Kind.CALENDAR_EVENT, by="router")
    planned, zone = task.parse(first, router), zone_of("Europe/Berlin")
    assert planning.new(planned, zone, first.created_at) == planned
    run = misfire.decide(planning.plan_of(planned, zone), planned.start, second.created_at)
    assert isinstance(run, misfire.Run)
    claimed = planning.claimed(planned, run)
    assert task.parse(second, router) == claimed
    assert task.template(claimed, router, second.created_at, first.id) == second.template


def test_a_task_is_set_off_as_the_examples_show() -> None:
    router, main = KEYS["router"], roles().main
    *_, first, second = of_kind(Kind.CALENDAR_EVENT, by="router")
    planned = task.parse(first, router)
    assert occasions.checked(planned, (), main) == planned
    caused = cause.parse(SET_OFF)
    assert isinstance(caused, cause.Published)
    people = watch.People(KEYS["bot"], frozenset({KEYS["owner"]}))
    wanted = watch.parse(planned.schedule.expression, main).filter(people, main)
    assert wanted is not None
    own = frozenset({KEYS["bot"], router})
    assert watch.sets_off(wanted, caused.event, own, planned.start, SET_OFF.created_at)
    fired = planning.fired(planned, caused.event.id, second.created_at)
    assert task.template(fired, router, second.created_at, first.id) == second.template
    run = job.parse_request(SET_OFF).task
    assert run == TaskRun(planned.address(router), caused.event.id)
    assert SET_OFF.tag("o") == run.once()


def test_a_call_is_signed_as_documented() -> None:
    (shown,) = re.findall(r"^    (t=[0-9]+,v1=[0-9a-f]{64})$", PROTOCOL, re.MULTILINE)
    signed = hook.parse(shown)
    assert hook.holds(bytes(range(32)), signed, b'{"door":"open"}')


def test_the_owners_own_event_is_a_task_to_be() -> None:
    event = the(Kind.CALENDAR_EVENT, by="owner")
    given = wish.parse(event)
    assert given is not None
    assert given.group == roles().main
    rule = planning.rule_of(given.schedule, zone_of(given.zone or ""), given.start)
    assert rule == Once(given.start)


def test_the_once_keys_are_made_as_documented() -> None:
    request, message = ASKED, the(Kind.CHAT, by="puppet")
    puppet = the(Kind.PUT_USER, by="bridge-nostr")
    bound = the(Kind.APP_DATA, d=f"group/{roles().main}")
    assert message.tag("o") == once_key(message.tag("proxy") or "")
    assert puppet.tag("o") == once_key("puppet", roles().main, KEYS["puppet"], bound.id)
    assert request.tag("o") == once_key("job", message.id)
    assert the(Kind.JOB_ACCEPTED).tag("o") == once_key("attempt", request.id, "1")
    for kind in (Kind.JOB_RESULT, Kind.JOB_ERROR):
        assert the(kind).tag("o") == once_key("end", request.id)
    assert the(Kind.JOB_CANCEL, by="router").tag("o") == once_key("end", request.id)
    handed = the(Kind.JOB_PROGRESS, by="router")
    assert handed.tag("o") == once_key("job", handed.tag("q") or "")
    for kind, call in ((Kind.CHAT, "send_message/1"), (Kind.NOTE, "publish_note/1")):
        assert the(kind, by="bot").tag("o") == once_key(request.id, call)
    begins = re.search(r'sha256 of `\["job","00ff"\]`, and begins `([0-9a-f]+)`', PROTOCOL)
    assert begins
    assert once_key("job", "00ff").startswith(begins[1])


def test_the_wraps_hold_what_is_shown() -> None:
    inward, outward = of_kind(Kind.GIFT_WRAP)
    seal = nip59.open_wrap(inward, secret_key("bot"))
    assert seal == the(Kind.SEAL)
    rumor = nip59.open_seal(seal, secret_key("bot"))
    answer = nip59.open_seal(nip59.open_wrap(outward, secret_key("owner")), secret_key("owner"))
    shown = [one.event for one in EXAMPLES if one.value["kind"] == Kind.DIRECT_MESSAGE]
    assert shown == [rumor, answer]
    assert DirectMessage.from_rumor(rumor).id == the(Kind.CHAT, by="puppet").tag("proxy")
    assert delivery.parse(the(Kind.APP_DATA, by="bridge-nostr", d="delivery/")).known_as == (
        answer.id,
    )
    assert rumors(the(Kind.CHAT, by="bot"), KEYS["bot"], [KEYS["owner"]], rumor.id) == [answer]


def test_the_file_and_what_a_message_says_of_it_can_be_read() -> None:
    (rumor,) = (one.event for one in EXAMPLES if one.value["kind"] == Kind.FILE_MESSAGE)
    sent = EncryptedFile.from_rumor(rumor)  # type: ignore[arg-type]
    shown = re.search(r'^    (\["imeta".*?\])$', PROTOCOL, re.MULTILINE | re.DOTALL)
    assert shown
    tag = tuple(json.loads(shown[1]))
    (file,) = received_files(Template(KEYS["puppet"], 0, Kind.CHAT, (tag,), ""))
    assert file.tag() == tag
    assert (file.sha256, file.dimensions) == (sent.plain_sha256, sent.dimensions)
    assert sent.n_bytes == file.n_bytes + TAG_BYTES
    assert file.name == stored_name(sent.name, sent.media_type, file.sha256)


def test_the_request_and_its_answer_can_be_read() -> None:
    asked, answered = (the(Kind.REQUEST, by=role) for role in ("session", "signer"))
    key = nip44.conversation_key(secret_key("session"), KEYS["signer"])
    request = nip46.parse_request(nip44.decrypt(asked.content, key, extended=True))
    response = nip46.parse_response(nip44.decrypt(answered.content, key, extended=True))
    assert request.to_json() in PROTOCOL
    assert request.id == response.id
    reply = the(Kind.CHAT, by="bot")
    assert Template.from_json(json.loads(request.params[0])) == reply.template
    assert Event.from_json(json.loads(response.result or "")) == reply


def test_a_frame_can_be_read_by_the_owner() -> None:
    shown = the(Kind.FRAME)
    key = nip44.conversation_key(secret_key("owner"), KEYS["bot"])
    text = nip44.decrypt(shown.content, key)
    assert f"\n{text}\n" in PROTOCOL
    value = json.loads(text)
    told = frame.parse(json.dumps({name: value[name] for name in ("seq", "kind", "payload")}))
    again = frame.content(
        told, now_s=1_767_225_645.12, group=value["channelId"], session=KEYS["session"],
        turn=ASKED.id,
    )  # fmt: skip
    assert again == text
    assert frame.template(KEYS["bot"], KEYS["owner"], shown.content, shown.created_at) == (
        shown.template
    )


def test_the_cost_can_be_read_by_the_owner() -> None:
    told = the(Kind.COST)
    assert (told.pubkey, told.values("p")) == (KEYS["bot"], [KEYS["owner"]])
    key = nip44.conversation_key(secret_key("owner"), KEYS["bot"])
    text = nip44.decrypt(told.content, key)
    found = cost.parse(text)
    assert found.to_json() == text
    assert text in PROTOCOL
    assert cost.template(found, KEYS["bot"], KEYS["owner"], told.content) == told.template


def test_the_login_is_one() -> None:
    event = the(Kind.AUTH)
    challenge = event.tag("challenge") or ""
    assert nip42.check(event, challenge, ["ws://relay.local"], event.created_at) is None


def test_the_router_decides_as_the_jobs_section_says() -> None:
    jobs_of = [
        event
        for event in SIGNED
        if event.kind in jobs.JOB_KINDS and SET_OFF.id not in (event.id, event.tag("e"))
    ]
    (known,) = jobs.fold(jobs_of, KEYS["router"]).values()
    assert (known.attempts, known.done, known.ended) == (1, True, True)
    assert known.called_off
    assert set(known.handed) == known.begun == known.settled
    assert len(known.handed) == 1
    assert jobs.spoken(SIGNED, KEYS["bot"], KEYS["router"]) == {known.id}
    groups = router_groups.Groups()
    for event in sorted(SIGNED, key=lambda event: event.created_at):
        if event.kind in router_groups.MEMBERSHIP_KINDS - {Kind.REMOVE_USER, Kind.DELETE_GROUP}:
            groups = groups.after(event)
    bound = binding.parse(the(Kind.APP_DATA, d=f"group/{roles().main}"), KEYS["router"])
    main = groups.bound(bound, 1).by_id[roles().main]
    said = the(Kind.CHAT, by="puppet")
    around = routing.Around(said.created_at, "nostrclaw", groups.owners(main.id, KEYS["owner"]))
    assert routing.route(said, main, roles(), around) == routing.Work(main.id, said.id)
    for said in of_kind(Kind.CHAT, by="bot") + of_kind(Kind.CHAT, by="router", h=main.id):
        decided = routing.route(said, main, roles(), around)
        assert isinstance(decided, routing.Ignored)


def test_what_came_from_signal_becomes_what_is_shown() -> None:
    came, settled, _ = of_kind(Kind.APP_DATA, d="signal/")
    told = envelope.parse(record.item_of(came), "+15550100")
    assert isinstance(told, envelope.Said)
    assert (told.who.aci, told.conversation.id) == (ALICE, CHESS)
    assert (
        record.template(
            record.item_of(came), told.identity, KEYS["bridge-signal"], came.created_at, None
        )
        == came.template
    )
    assert record.settled_template(came, settled.created_at) == settled.template
    said, edited = of_kind(Kind.CHAT, by="puppet-signal")
    proxy = people.proxy_id(people.pseudonyms(secret_key("bridge-signal")), told.identity)
    origin = from_signal.Origin(told.identity, proxy)
    group = said.tag("h") or ""
    now_s = said.created_at + 5
    assert said.template == from_signal.message_template(
        KEYS["puppet-signal"], group, origin, told.text, now_s
    )
    assert said.tag("i") == people.known_as("+15550100", ALICE, told.identity.timestamp)
    assert edited.tag("edits") == said.id
    assert said.tag("i") in edited.values("i")
    gone = the(Kind.DELETION, by="puppet-signal")
    assert gone.values("e") == [said.id]
    assert retention.is_deleted_by(World(KEYS["relay"], roles()), gone, said)
    entered = the(Kind.PUT_USER, by="bridge-signal")
    assert entered.tag("for") == binding.mark(group, f"signal:{ALICE}")


def test_a_trouble_is_told_as_it_says() -> None:
    shown = re.search(r'\n(\{"id":[^\n]+"method":"trouble"[^\n]+\})\n', PROTOCOL)
    assert shown
    asked = nip46.parse_request(shown[1])
    network, topic, detail, why = asked.params
    found = trouble.read(network, topic, detail, why, 0)
    (told,) = (event for event in of_kind(Kind.CHAT, by="router") if event.tag("t"))
    assert told.content == trouble.sentence(found)
    assert told.tag("o") == once_key(*found.once)


# What relay and signer say to the examples


def in_their_time() -> Iterator[tuple[World, Event]]:
    """Each example with the world in which it arrives; mail, backdated, arrives first."""
    world = World(KEYS["relay"], roles())
    for event in sorted(SIGNED, key=lambda event: event.created_at):
        yield world, event
        world = world.after(event, event.created_at)


def viewer_of(world: World, event: Event) -> Viewer:
    """The connection on which an example comes."""
    author = event.pubkey
    if author == KEYS["puppet-signal"]:
        return Viewer(frozenset({KEYS["bridge-signal"], author}))
    if event.kind == Kind.GIFT_WRAP or author == KEYS["puppet"]:
        return Viewer(frozenset({KEYS["bridge-nostr"], author}))
    if author == KEYS["bot"]:
        return Viewer(frozenset({KEYS["signer"]}))
    return Viewer(frozenset({author}), session=author if author in world.sessions else None)


def test_the_relay_takes_every_example_from_whom_the_section_says() -> None:
    never = {Kind.AUTH, Kind.SEAL, Kind.ECHO, *relay_groups.STATE_KINDS}
    for world, event in in_their_time():
        refusal = may_write(world, viewer_of(world, event), event, event.created_at)
        assert (refusal is not None) == (event.kind in never), f"{event.kind}: {refusal}"
        if event.kind in relay_groups.MODERATION:
            assert relay_groups.objection(world.groups, event) is None


def numbers(text: str) -> set[int]:
    """The kinds that a text names: `5, 7, 9000–9022`."""
    found: set[int] = set()
    for first, last in re.findall(r"(\d+)(?:–(\d+))?", text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


@pytest.mark.parametrize(
    ("row", "standing"),
    [
        ("router", Standing.ROUTER),
        ("signer", Standing.SIGNER),
        ("bridge", Standing.BRIDGE),
        ("puppet", Standing.PUPPET),
        ("member", Standing.MEMBER),
        ("terminal (`chat`)", Standing.CHAT),
        ("session", Standing.SESSION),
        ("whoever else has authenticated", Standing.VISITOR),
        ("anybody", Standing.STRANGER),
    ],
)
def test_the_table_of_writers_is_true(row: str, standing: Standing) -> None:
    written = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", PROTOCOL, re.MULTILINE))
    kinds = numbers(written[row])
    if "as a puppet" in written[row]:
        kinds |= numbers(written["puppet"])
    assert frozenset(kinds) == REPERTOIRE[standing]


def test_nobody_else_brings_an_example() -> None:
    """The same event on the connection of a part that the section does not name."""
    for world, event in in_their_time():
        for role in ("chat", "bridge-nostr", "bridge-signal", "session"):
            viewer = Viewer(
                frozenset({KEYS[role]}), session=KEYS[role] if role == "session" else None
            )
            is_mail = event.kind in (Kind.GIFT_WRAP, Kind.INBOX_RELAYS) and role != "bridge-signal"
            if KEYS[role] == event.pubkey or event.kind == Kind.REQUEST or is_mail:
                continue
            assert may_write(world, viewer, event, event.created_at) is not None, event.kind


def test_strangers_write_requests_only() -> None:
    stranger = Viewer(frozenset({SecretKey(bytes(31) + b"\7").public}))
    for world, event in in_their_time():
        refusal = may_write(world, stranger, event, event.created_at)
        assert (refusal is None) == (event.kind == Kind.REQUEST), event.kind


def test_the_state_of_the_group_is_the_fold_of_its_examples() -> None:
    for world, event in in_their_time():
        if event.kind in relay_groups.STATE_KINDS:
            group = world.groups.by_id[event.tag("d") or ""]
            made = relay_groups.state_templates(group, KEYS["relay"], event.created_at)
            assert event.template in made


def readers(event: Event) -> set[str]:
    """The roles that may read an example, each on a connection of its own."""
    world = next(
        world for world, other in in_their_time() if other.kind == Kind.JOB_RESULT
    )  # the session has its grant still
    found = set()
    for role, key in KEYS.items():
        viewer = Viewer(frozenset({key}), session=key if role == "session" else None)
        if may_read(world, viewer, event):
            found.add(role)
    return found


def test_the_table_of_readers_is_true() -> None:
    parts = {"signer", "router", "bridge-nostr", "bridge-signal"}
    group = {"owner", "session", *parts - {"bridge-signal"}}
    assert readers(the(Kind.CHAT, by="bot")) == group
    for world, event in in_their_time():
        if event.pubkey == KEYS["puppet-signal"]:
            assert may_read(world, Viewer(frozenset({KEYS["bridge-signal"]})), event)
    for event in of_kind(Kind.APP_DATA, d="signal/"):
        assert readers(event) == {"bridge-signal"}
    assert readers(the(Kind.GROUP_MEMBERS)) == group
    assert readers(of_kind(Kind.GIFT_WRAP)[0]) == {"signer", "bridge-nostr"}
    assert readers(of_kind(Kind.GIFT_WRAP)[1]) == {"signer", "bridge-nostr", "owner"}
    assert readers(the(Kind.REQUEST, by="session")) == {"signer"}
    assert readers(of_kind(Kind.APP_DATA, d="grant/")[0]) == {
        "owner", "router", "signer", "session",
    }  # fmt: skip
    assert readers(the(Kind.APP_DATA, d="place/")) == {"owner", *parts}
    assert readers(the(Kind.NOTE)) == {"owner", *parts}
    assert readers(the(Kind.INBOX_RELAYS, by="owner")) == {"owner", "chat", *parts}


def test_the_signer_signs_what_the_examples_show_and_not_a_profile() -> None:
    given = grant.parse(of_kind(Kind.APP_DATA, d="grant/")[0], KEYS["router"])
    main = roles().main
    top = ceiling.Ceiling(groups={main: frozenset({1})})
    assert given.job == ASKED.id
    for kind in (Kind.NOTE, Kind.CHAT):
        template = the(kind, by="bot").template
        decided = policy.decide(template, given, top, roles(), KEYS["owner"], template.created_at)
        assert isinstance(decided, policy.Sign), decided
    profile = the(Kind.PROFILE, by="bot").template
    decided = policy.decide(profile, given, top, roles(), KEYS["owner"], profile.created_at)
    assert isinstance(decided, policy.Refuse)


def test_the_signer_signs_or_asks_about_all_that_mains_sessions_get() -> None:
    main, asked = roles().main, {Kind.DELETION, Kind.ARTICLE}
    top = ceiling.Ceiling(
        groups={main: frozenset({1, 1_111, 30_024})}, public_reactions=frozenset({main})
    )
    job = ASKED.id
    seen = set()
    for event in SIGNED:
        if event.pubkey != KEYS["bot"] or event.tag("job") != job:
            continue
        given = grants.of_session(
            KEYS["session"], main, job, is_main=True, now_s=event.created_at, wall_clock_s=600
        )
        decided = policy.decide(
            event.template, given, top, roles(), KEYS["owner"], event.created_at
        )
        wanted = policy.Ask if event.kind in asked else policy.Sign
        assert isinstance(decided, wanted), (event.kind, decided)
        seen.add((event.kind, event.tag("h") is not None))
    assert seen == {
        (1, False), (5, False), (7, True), (7, False), (9, True), (1_111, False), (30_023, False),
        (30_024, False),
    }  # fmt: skip


def test_the_signer_never_signs_for_a_session_what_the_document_lists() -> None:
    found = re.search(r"A session never gets ([^.]+?), whatever file", PROTOCOL, re.DOTALL)
    assert found
    assert numbers(found[1]) == ceiling.NEVER_FOR_SESSIONS


def test_the_names_of_the_checks_are_those_of_the_code() -> None:
    for check in (
        nip59.NotForUs, nip59.BadWrap, nip59.Undecryptable, nip59.BadSeal, nip59.BadRumor,
        nip59.ForgedAuthor, nip59.WrongRumorId,
    ):  # fmt: skip
        assert f"`{check.__name__}`" in PROTOCOL
        assert issubclass(check, Malformed)
