"""Pure: what is refused, as a list of small functions named as what they demand.

All have one signature and say why not, or None; the first refusal wins, and nothing is stored
before the whole list has run. What a rule protects against is named in it, and attacked by a
test of the same name.
"""

from __future__ import annotations

import orjson

from nips.kinds import Kind
from nips.nip62 import VANISH
from nips.own import frame, signal_id
from nips.own.handed import MAX_HANDED
from nips.own.job import MAX_LINE_CHARS
from nips.refusal import Malformed, Prefix, Refusal
from relay_local.group_rules import (
    a_house_names_its_groups_by_uuid,
    admins_raise_nobody_to_their_own_height,
    an_event_belongs_to_one_group,
    bridges_add_puppets_and_nobody_else,
    bridges_remove_puppets_and_nobody_else,
    groups_are_moderated_by_those_in_charge,
    groups_are_written_by_their_members,
    guests_speak_in_groups_only,
    mail_and_records_belong_to_no_group,
    nothing_is_said_late,
    the_main_group_is_never_deleted,
    the_main_group_stays_shut,
)
from relay_local.repertoire import (
    ANSWERING_KINDS,
    ASKING_KINDS,
    RECORDS,
    RELAY_KINDS,
    REPERTOIRE,
    ROUTER_KINDS,
)
from relay_local.viewer import Standing
from relay_local.writing import Rule, Writing, about

__all__ = ["MAX_AHEAD_S", "PRIVATE_RULES", "PUBLIC_RULES", "REPERTOIRE", "Rule", "Writing"]

MAX_AHEAD_S = 15 * 60
MAX_PROGRESS_CHARS = MAX_LINE_CHARS + 500  # a line, and the tags that say of what
ID_CHARS = 64
MAX_PROGRESS_TAGS = 10  # besides the messages that it names
REPOST_KINDS = frozenset({6, 16})


def authentication_comes_first(writing: Writing) -> Refusal | None:
    """NIP-42: "auth-required" for a client that has not authenticated; 24133 is open to all."""
    if writing.viewer.keys or writing.event.kind == Kind.REQUEST:
        return None
    return Refusal(Prefix.AUTH_REQUIRED, "this relay is private; authenticate first")


@about(Kind.AUTH)
def an_auth_answer_is_not_an_event(writing: Writing) -> Refusal | None:
    """Stored, somebody's proof of presence could be read and replayed."""
    return Refusal(Prefix.INVALID, "kind 22242 is sent as AUTH and never published")


def the_future_has_not_happened(writing: Writing) -> Refusal | None:
    """An event of next year would stay on top of every list. There is no lower limit: wraps
    are backdated by up to two days."""
    if writing.event.created_at <= writing.now_s + MAX_AHEAD_S:
        return None
    return Refusal(Prefix.INVALID, "created_at is more than 15 minutes ahead of this relay's clock")


def protected_events_come_from_their_author(writing: Writing) -> Refusal | None:
    """NIP-70: published by somebody else it would be out of its author's hands."""
    if ("-",) not in writing.event.tags or writing.event.pubkey in writing.viewer.keys:
        return None
    if writing.standing is Standing.BOT:  # the signer's connection is the bot's
        return None
    prefix = Prefix.RESTRICTED if writing.viewer.keys else Prefix.AUTH_REQUIRED
    return Refusal(prefix, "a protected event is taken from its author only")


@about(REPOST_KINDS)
def reposts_do_not_carry_protected_events(writing: Writing) -> Refusal | None:
    """NIP-70: "Reposts of protected events MUST NOT embed the reposted event": anybody could
    carry it out of its author's hands."""
    event = writing.event
    if not event.content:
        return None
    try:
        carried = orjson.loads(event.content)
    except orjson.JSONDecodeError:
        return None
    tags = carried.get("tags") if isinstance(carried, dict) else None
    if not isinstance(tags, list) or ["-"] not in tags:
        return None
    return Refusal(Prefix.BLOCKED, "a protected event is not carried inside a repost")


@about(VANISH)
def only_people_vanish(writing: Writing) -> Refusal | None:
    """The assistant's own words are the house's memory; an agent must not be able to empty it."""
    if writing.standing is not Standing.BOT:
        return None
    return Refusal(Prefix.RESTRICTED, "the assistant does not ask to be forgotten")


def the_bot_speaks_through_the_signer(writing: Writing) -> Refusal | None:
    """A signature of the bot's that got out must not be usable by whoever has it."""
    if writing.event.pubkey != writing.world.bot or writing.standing is Standing.BOT:
        return None
    return Refusal(Prefix.RESTRICTED, "the bot's events are taken from its signer only")


@about(Kind.REQUEST)
def requests_go_between_a_part_and_its_client(writing: Writing) -> Refusal | None:
    """Open to everybody, 24133 must not become a way for strangers to talk to each other."""
    event, parts = writing.event, writing.world.parts
    if len(receivers := event.values("p")) != 1:
        return Refusal(Prefix.INVALID, "a request has exactly one p tag")
    if receivers[0] in parts or event.pubkey in parts or writing.standing is Standing.OWNER:
        return None
    return Refusal(Prefix.RESTRICTED, "a request goes to, or comes from, a part of this house")


def authors_write_for_themselves(writing: Writing) -> Refusal | None:
    """Signed once, an event could be brought here by anybody, at any time."""
    if writing.standing is not Standing.STRANGER or writing.event.kind == Kind.REQUEST:
        return None
    if writing.event.pubkey in writing.viewer.keys:
        return Refusal(Prefix.RESTRICTED, "this key may not write here")
    return Refusal(Prefix.RESTRICTED, "this connection has not authenticated as the event's author")


def the_relay_describes_its_groups_itself(writing: Writing) -> Refusal | None:
    """NIP-29: "Relays shouldn't accept these events if they're signed by anyone else." """
    if writing.event.kind not in RELAY_KINDS and writing.event.pubkey != writing.world.relay:
        return None
    return Refusal(Prefix.RESTRICTED, "only this relay itself writes such an event")


def everybody_keeps_to_their_repertoire(writing: Writing) -> Refusal | None:
    """What a part does not need for its work, somebody who took it over does not get."""
    allowed = REPERTOIRE[writing.standing]
    if allowed is None or writing.event.kind in allowed:
        return None
    return Refusal(
        Prefix.RESTRICTED, f"a {writing.standing} may not write kind {writing.event.kind}"
    )


@about(ROUTER_KINDS)
def the_router_alone_decides_jobs(writing: Writing) -> Refusal | None:
    """A job that the owner or the bot's own key invents would run without a budget."""
    if writing.standing is Standing.ROUTER:
        return None
    return Refusal(Prefix.RESTRICTED, "jobs are written by the router only")


@about(ASKING_KINDS, ANSWERING_KINDS)
def permission_is_asked_by_the_bot_and_given_by_the_owner(writing: Writing) -> Refusal | None:
    """Whoever both asks and answers grants everything to themselves.

    Attack: a router that was taken over puts harmless words to the run of a real question, and the
    owner's client shows them above the same two buttons. The bot's are made by the signer."""
    kind, by = writing.event.kind, writing.standing
    if kind in ASKING_KINDS and by is not Standing.BOT:
        return Refusal(Prefix.RESTRICTED, "permission is asked for by the bot only")
    if kind in ANSWERING_KINDS and by is not Standing.OWNER:
        return Refusal(Prefix.RESTRICTED, "permission is given by the owner only")
    return None


@about(Kind.COST)
def costs_are_told_by_the_bot(writing: Writing) -> Refusal | None:
    """Attack: figures that lull the owner, or make them stop the assistant; their client believes
    whoever signs."""
    if writing.standing is Standing.BOT:
        return None
    return Refusal(Prefix.RESTRICTED, "costs are told by the assistant's signer only")


@about(Kind.PATCH)
def changes_are_proposed_in_main_by_the_router(writing: Writing) -> Refusal | None:
    """Attack: a change that nobody's agent has proposed, or another group's has, lies among those
    that the owner looks through. Their own, of whatever program, they may put where they like."""
    by, roles = writing.standing, writing.world.roles
    in_main = roles is not None and writing.group == roles.main
    if by is Standing.OWNER or in_main == (by is Standing.ROUTER):
        return None
    return Refusal(Prefix.RESTRICTED, "changes of the program are proposed in main by the router")


@about(Kind.FRAME)
def work_is_shown_by_the_bot(writing: Writing) -> Refusal | None:
    """Attack: steps that no agent took, shown to the owner, whose client believes who signs.

    And another: a frame for two, or for somebody else, who would read what the owner's agent does.
    """
    if writing.standing is not Standing.BOT:
        why = "what agents do is shown by the assistant's signer only; a 43005 ends their work"
        return Refusal(Prefix.RESTRICTED, why)
    try:
        to = frame.recipient(writing.event)
    except Malformed as error:
        return Refusal(Prefix.INVALID, str(error))
    if to == writing.world.owner:
        return None
    return Refusal(Prefix.RESTRICTED, "what agents do is shown to their owner only")


@about(Kind.JOB_PROGRESS)
def sessions_report_on_their_own_job(writing: Writing) -> Refusal | None:
    """A session must not end, or comment on, the job of another."""
    event = writing.event
    if writing.standing is Standing.ROUTER:
        return None
    grant = writing.world.sessions.get(event.pubkey)
    if writing.standing is not Standing.SESSION or grant is None:
        return Refusal(Prefix.RESTRICTED, "progress is reported by the job's own session")
    if grant.hard_expires_at <= writing.now_s:
        return Refusal(Prefix.RESTRICTED, "this session has ended")
    if grant.job is None or event.values("e") != [grant.job] or writing.group != grant.group:
        return Refusal(Prefix.RESTRICTED, "this is not the session's own job")
    # Attack: progress is kept for good, so long reports of it would fill the disk.
    n_named = sum(1 for tag in event.tags if tag[0] == "q" and len(tag) == 2)
    if n_named > MAX_HANDED or any(len(value) > ID_CHARS for value in event.values("q")):
        return Refusal(Prefix.INVALID, f"progress names at most {MAX_HANDED} messages")
    rest = [tag for tag in event.tags if not (tag[0] == "q" and len(tag) == 2)]
    n_chars = len(event.content) + sum(len(part) for tag in rest for part in tag)
    if n_chars > MAX_PROGRESS_CHARS or len(rest) > MAX_PROGRESS_TAGS:
        return Refusal(Prefix.INVALID, f"progress holds at most {MAX_PROGRESS_CHARS} characters")
    return None


@about(Kind.GIFT_WRAP)
def inward_mail_is_for_the_bot(writing: Writing) -> Refusal | None:
    """Only a bridge carries wraps outward; others would use the house as their mailbox."""
    event, by, bot = writing.event, writing.standing, writing.world.bot
    if not event.values("p"):
        return Refusal(Prefix.INVALID, "a gift wrap needs its recipient's p tag")
    if by is Standing.BRIDGE or bot is None or event.values("p") == [bot]:
        return None
    return Refusal(Prefix.RESTRICTED, "gift wraps are taken for the bot only")


@about(Kind.APP_DATA)
def records_are_written_by_their_keeper(writing: Writing) -> Refusal | None:
    """A bridge that wrote a grant, a binding or the owner would make itself the house."""
    d = writing.event.tag("d")
    if d is None:
        return Refusal(Prefix.INVALID, "an addressable event needs a d tag")
    keepers = next(by for prefix, by in RECORDS if _begins(d, prefix))
    if writing.standing in keepers:
        return None
    return Refusal(Prefix.RESTRICTED, f"a {writing.standing} does not keep the record {d[:40]!r}")


@about(Kind.APP_DATA)
def what_signal_brings_is_kept_by_its_own_bridge(writing: Writing) -> Refusal | None:
    """Attack: another bridge keeps, out of everybody's sight, what no bridge of its network needs
    to hide; only what comes from Signal is unreadable while it waits for its group."""
    if not (writing.event.tag("d") or "").startswith(signal_id.RECORD_PREFIX):
        return None
    if writing.event.pubkey in writing.world.bridge_keys(signal_id.NETWORK):
        return None
    return Refusal(Prefix.RESTRICTED, "that record is kept by the bridge to Signal only")


def _begins(d: str, prefix: str) -> bool:
    return d.startswith(prefix) if prefix.endswith("/") or not prefix else d == prefix


PUBLIC_RULES: tuple[Rule, ...] = (
    an_auth_answer_is_not_an_event,
    the_future_has_not_happened,
    protected_events_come_from_their_author,
    reposts_do_not_carry_protected_events,
)
PRIVATE_RULES: tuple[Rule, ...] = (
    authentication_comes_first,
    an_auth_answer_is_not_an_event,
    the_future_has_not_happened,
    the_bot_speaks_through_the_signer,
    protected_events_come_from_their_author,
    reposts_do_not_carry_protected_events,
    only_people_vanish,
    requests_go_between_a_part_and_its_client,
    authors_write_for_themselves,
    the_relay_describes_its_groups_itself,
    everybody_keeps_to_their_repertoire,
    the_router_alone_decides_jobs,
    permission_is_asked_by_the_bot_and_given_by_the_owner,
    costs_are_told_by_the_bot,
    changes_are_proposed_in_main_by_the_router,
    work_is_shown_by_the_bot,
    groups_are_moderated_by_those_in_charge,
    the_main_group_is_never_deleted,
    the_main_group_stays_shut,
    bridges_add_puppets_and_nobody_else,
    bridges_remove_puppets_and_nobody_else,
    an_event_belongs_to_one_group,
    a_house_names_its_groups_by_uuid,
    mail_and_records_belong_to_no_group,
    groups_are_written_by_their_members,
    admins_raise_nobody_to_their_own_height,
    nothing_is_said_late,
    guests_speak_in_groups_only,
    sessions_report_on_their_own_job,
    inward_mail_is_for_the_bot,
    records_are_written_by_their_keeper,
    what_signal_brings_is_kept_by_its_own_bridge,
)
