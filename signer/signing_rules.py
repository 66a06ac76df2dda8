"""Pure: what is not signed, as a list of small functions named as what they demand.

All have one signature and say why not, or None; the first refusal wins. Which of them judge a
request depends on whose grant it comes under: `BY_ROLE`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nips.event import Template
from nips.key import is_hex
from nips.kinds import Kind
from nips.own.grant import Grant, Rule
from nips.own.roles import Roles
from nips.refusal import Prefix, Refusal
from signer import public_face
from signer.ceiling import GROUP_KINDS, NEVER_FOR_SESSIONS, NEVER_UNASKED, ONLY_ASKED, Ceiling

CREATED_AT_WITHIN_S = 60
MAX_TAGS_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Case:
    """One event to be judged. `grant` is live: the caller has checked that."""

    template: Template
    grant: Grant
    rule: Rule
    ceiling: Ceiling
    roles: Roles
    owner: str | None
    now_s: float


def the_key_may_sign(case: Case) -> Refusal | None:
    if "sign_event" not in case.grant.methods:
        return _restricted("this key's grant does not hold sign_event")
    return None


def the_author_is_the_bot(case: Case) -> Refusal | None:
    if case.template.pubkey != case.roles.bot:
        return Refusal(Prefix.INVALID, "the event's pubkey is not the bot's")
    return None


def the_time_is_now(case: Case) -> Refusal | None:
    # Attack: a signature kept for later, or an answer that pretends to be older.
    if abs(case.template.created_at - case.now_s) > CREATED_AT_WITHIN_S:
        return Refusal(
            Prefix.INVALID, f"created_at is more than {CREATED_AT_WITHIN_S} s away from now"
        )
    return None


def the_rules_tags_are_there(case: Case) -> Refusal | None:
    for name in {required[0] for required in case.rule.required}:
        wanted = sorted(tag for tag in case.rule.required if tag[0] == name)
        given = sorted(tag for tag in case.template.tags if tag[0] == name)
        # Attack: a second tag of the name, which another reader takes for the first.
        if len(given) != len(wanted) or any(
            tag[: len(want)] != want for tag, want in zip(given, wanted, strict=True)
        ):
            return _restricted(f"its {name} tags must be exactly those of this key's grant")
    return None


def no_forbidden_tag_is_there(case: Case) -> Refusal | None:
    for tag in case.template.tags:
        if tag[0] in case.rule.forbidden:
            return _restricted(f"this key's grant forbids the tag {tag[0]}")
    return None


def the_d_tag_begins_as_granted(case: Case) -> Refusal | None:
    if case.rule.d_prefix is None:
        return None
    given = [tag for tag in case.template.tags if tag[0] == "d"]
    if len(given) != 1 or len(given[0]) < 2 or not given[0][1].startswith(case.rule.d_prefix):
        return _restricted("its d tag must begin as this key's grant says")
    return None


def the_size_is_allowed(case: Case) -> Refusal | None:
    rule, template = case.rule, case.template
    n_bytes = len(template.content.encode())
    if rule.max_content_bytes is not None and n_bytes > rule.max_content_bytes:
        return Refusal(
            Prefix.INVALID,
            f"the content has {n_bytes} bytes; this key's grant allows {rule.max_content_bytes}",
        )
    if rule.max_tags is not None and len(template.tags) > rule.max_tags:
        return Refusal(
            Prefix.INVALID,
            f"the event has {len(template.tags)} tags; this key's grant allows {rule.max_tags}",
        )
    return None


def its_tags_are_not_endless(case: Case) -> Refusal | None:
    # Attack: a megabyte in a tag, where no rule's limit of contents looks.
    n_bytes = sum(len(part.encode()) for tag in case.template.tags for part in tag)
    if n_bytes > MAX_TAGS_BYTES:
        return Refusal(
            Prefix.INVALID, f"its tags have {n_bytes} bytes; {MAX_TAGS_BYTES} are allowed"
        )
    return None


def the_owner_is_known(case: Case) -> Refusal | None:
    if case.owner is None:
        return _restricted("no owner is named yet, so nobody speaks in the bot's name")
    return None


def no_session_takes_over_the_bot(case: Case) -> Refusal | None:
    if case.template.kind in NEVER_FOR_SESSIONS:
        return _restricted(f"kind {case.template.kind} is never signed for a session")
    return None


def the_ceiling_has_the_kind(case: Case) -> Refusal | None:
    kind, group = case.template.kind, case.grant.group or ""
    # Attack: questions from every conversation until the owner says yes without reading.
    if kind in case.ceiling.kinds_of(group) or (
        group == case.roles.main and case.ceiling.may_be_asked(kind)
    ):
        return None
    return _restricted(f"kind {kind} is above this conversation's ceiling")


def what_speaks_for_the_bot_is_public(case: Case) -> Refusal | None:
    if case.template.kind in ONLY_ASKED and any(tag[0] == "h" for tag in case.template.tags):
        return _restricted(f"kind {case.template.kind} is for everybody and has no h tag")
    return None


def a_retraction_names_the_bots_own_events(case: Case) -> Refusal | None:
    if case.template.kind != Kind.DELETION:
        return None
    named = [tag for tag in case.template.tags if tag[0] in ("e", "a")]
    if not named or any(len(tag) < 2 for tag in named):
        return Refusal(Prefix.INVALID, "a retraction names what it retracts in e or a tags")
    for tag in named:
        if tag[0] == "e" and not is_hex(tag[1], 32):
            return Refusal(Prefix.INVALID, "a retraction's e tag holds an event's id in hex")
        # An address is `<kind>:<author>:<d>`; NIP-09 retracts one's own events only.
        if tag[0] == "a" and tag[1].split(":")[1:2] != [case.roles.bot]:
            return _restricted("the bot retracts its own events only")
    return None


def the_key_has_a_job(case: Case) -> Refusal | None:
    if case.grant.job is None:
        return _restricted("this key waits for its job")
    return None


def it_stays_in_its_group(case: Case) -> Refusal | None:
    given = [tag for tag in case.template.tags if tag[0] == "h"]
    if not given and _may_be_public(case):
        return None  # it belongs to no group
    # Attack: an h of another group, or two, of which relay and reader take different ones.
    if len(given) != 1 or len(given[0]) < 2 or given[0][1] != case.grant.group:
        return _restricted("its one h tag must be this key's own group")
    return None


def _may_be_public(case: Case) -> bool:
    kind, group = case.template.kind, case.grant.group or ""
    # A rule that does not speak of `h` was made when such a kind was its group's alone.
    return case.ceiling.may_be_public(kind, group) and (
        kind not in GROUP_KINDS or case.rule.is_public
    )


def a_bridge_of_ours_asks(case: Case) -> Refusal | None:
    if case.grant.client != case.roles.mail_bridge:
        return _restricted("this key is no bridge of this installation that carries mail")
    return None


def it_says_what_the_ceiling_says(case: Case) -> Refusal | None:
    if case.owner is not None and public_face.needs_a_yes(case.template, case.ceiling):
        return None  # the owner reads it first
    return public_face.refusal(case.template, case.ceiling)


def no_login_takes_over_the_bot(case: Case) -> Refusal | None:
    if case.template.kind in NEVER_UNASKED and not _is_asked_retraction(case):
        return _restricted(f"kind {case.template.kind} is never signed for a login")
    return None


def the_ceiling_has_the_logins_kind(case: Case) -> Refusal | None:
    if case.template.kind not in case.ceiling.kinds_of_logins and not _is_asked_retraction(case):
        return _restricted(f"kind {case.template.kind} is above the ceiling of logins")
    return None


def _is_asked_retraction(case: Case) -> bool:
    # Whoever may publish may want it back, and its owner says yes each time. A login that takes its
    # signatures away gets none: what is asked about is published when the yes comes.
    retracts = case.template.kind == Kind.DELETION and case.grant.publishes
    return retracts and case.ceiling.may_be_asked(Kind.DELETION)


def it_belongs_to_no_group(case: Case) -> Refusal | None:
    # Attack: a word in the bot's name inside a group, which a login was never let into.
    if any(tag[0] == "h" for tag in case.template.tags):
        return _restricted("a login speaks in public only: no h tag")
    return None


def nobody_signs(case: Case) -> Refusal | None:
    return _restricted(f"a {case.grant.role}'s grant signs nothing here")


Sentence = Callable[[Case], Refusal | None]

EVERY_CASE: tuple[Sentence, ...] = (
    the_key_may_sign,
    the_author_is_the_bot,
    the_time_is_now,
    the_rules_tags_are_there,
    no_forbidden_tag_is_there,
    the_d_tag_begins_as_granted,
    the_size_is_allowed,
    its_tags_are_not_endless,
)
BY_ROLE: dict[str, tuple[Sentence, ...]] = {
    "session": (
        no_session_takes_over_the_bot,
        what_speaks_for_the_bot_is_public,
        a_retraction_names_the_bots_own_events,
        the_owner_is_known,
        the_key_has_a_job,
        the_ceiling_has_the_kind,
        it_stays_in_its_group,
    ),
    "bridge": (a_bridge_of_ours_asks, it_says_what_the_ceiling_says),
    "bunker": (
        no_login_takes_over_the_bot,
        the_owner_is_known,
        the_ceiling_has_the_logins_kind,
        it_belongs_to_no_group,
        a_retraction_names_the_bots_own_events,
    ),
}


def _restricted(sentence: str) -> Refusal:
    return Refusal(Prefix.RESTRICTED, sentence)
