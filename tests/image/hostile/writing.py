"""Shell: attempts to write where, and as, the session may not: with its own key, unsigned by the
bot."""

from __future__ import annotations

import json
import secrets

from nips.event import Event
from nips.key import SecretKey
from tests.image.hostile import wire
from tests.image.hostile.attempt import Act, Scene, Stopped, attempt, control

REPERTOIRE = "relay_local/write_rules.py everybody_keeps_to_their_repertoire"
OWN_JOB = "relay_local/write_rules.py sessions_report_on_their_own_job"
ONE_GROUP = "relay_local/group_rules.py an_event_belongs_to_one_group"
STANDING = "relay_local/viewer.py standing"
REQUESTS = "relay_local/write_rules.py requests_go_between_a_part_and_its_client"
PROGRESS = 43_003


@control("progress of its own job")
async def own_progress(scene: Scene) -> object:
    return await scene.write(PROGRESS, ["h", scene.own], ["e", scene.known["job"]])


def _writes(name: str, kind: int, *tags: tuple[str, str], content: str = "x") -> Act:
    """An attempt with one event; tags name what is in `known`."""

    async def act(scene: Scene) -> object:
        filled = [[tag, str(scene.known.get(value, value))] for tag, value in tags]
        return await scene.write(kind, *filled, content=content)

    return attempt(name, REPERTOIRE)(act)


_writes("a message in the other group", 9, ("h", "other"))
_writes("a message as itself in its own", 9, ("h", "own"))
_writes("a message of the Buzz dialect", 40_002, ("h", "other"))
_writes("a reaction to a message", 7, ("h", "other"), ("e", "message"))
_writes("a comment", 1_111, ("h", "other"), ("e", "message"))
_writes("the deletion of a message", 5, ("h", "other"), ("e", "message"))
_writes("the deletion of a task", 5, ("a", "task_address"))
_writes("a message taken away by a moderator", 9_005, ("h", "other"), ("e", "message"))
_writes("itself as a member", 9_000, ("h", "other"), ("p", "self"))
_writes("itself as a member of main", 9_000, ("h", "main"), ("p", "self"))
_writes("somebody out of the group", 9_001, ("h", "other"), ("p", "person"))
_writes("main opened", 9_002, ("h", "main"), ("public", ""), ("open", ""))
_writes("a group of its own", 9_007, ("h", "fresh"))
_writes("the other group gone", 9_008, ("h", "other"))
_writes("an invitation", 9_009, ("h", "other"), ("code", "letmein"))
_writes("a request to join main", 9_021, ("h", "main"))
_writes("leaving the other group", 9_022, ("h", "other"))
_writes("a job of the other group", 43_001, ("h", "other"), ("e", "message"))
_writes("a job of main", 43_001, ("h", "main"), ("e", "message"))
_writes("an attempt at a job", 43_002, ("h", "other"), ("e", "other_job"), ("attempt", "9"))
_writes("the result of a job", 43_004, ("h", "other"), ("e", "other_job"))
_writes("a job called off", 43_005, ("h", "other"), ("e", "other_job"))
_writes("the failure of a job", 43_006, ("h", "other"), ("e", "other_job"))
_writes("a task", 31_923, ("h", "other"), ("d", "task"), ("start", "1"))
_writes("a binding", 30_078, ("d", "group_d"), content='{"folder":"victim"}')
_writes("a binding of main", 30_078, ("d", "main_d"), content='{"folder":"main"}')
_writes("a grant", 30_078, ("d", "grant_d"), ("p", "self"), content="{}")
_writes("another owner", 30_078, ("d", "owner"), ("p", "self"))
_writes("an order of the owner's", 30_078, ("d", "order_d"), ("p", "owner"), content="/allow x")
_writes("a place in the stream", 30_078, ("d", "place/router"), content="{}")
_writes("a persona", 30_078, ("d", "persona_d"), content='{"name":"Mallory"}')
_writes("the group's new name", 39_000, ("d", "other"), ("name", "mine"))
_writes("a notice of the relay's", 44_100, ("p", "owner"), ("h", "main"))
_writes("steps of work for the owner", 24_200, ("p", "owner"))
_writes("a bill", 44_200, ("p", "owner"))
_writes("mail for the bot", 1_059, ("p", "bot"))
_writes("mail for the owner", 1_059, ("p", "owner"))
_writes("a question to the owner", 46_010, ("h", "main"), ("p", "owner"))
_writes("permission for itself", 46_030, ("d", "message"))
_writes("a profile", 0, content='{"name":"Mallory"}')
_writes("a status", 30_315, ("d", "relays"))


@attempt("a proof of presence as an event", "relay_local/write_rules.py an_auth_answer…")
async def login_as_event(scene: Scene) -> object:
    return await scene.write(22_242, ["relay", "ws://relay.local"], ["challenge", "x"])


@attempt("that it be forgotten, with all it did", REPERTOIRE)
async def vanish(scene: Scene) -> object:
    return await scene.write(62, ["relay", "ALL_RELAYS"])


@attempt("progress in the other group of its job", OWN_JOB)
async def other_progress(scene: Scene) -> object:
    return await scene.write(PROGRESS, ["h", scene.other], ["e", scene.known["other_job"]])


@attempt("progress of the other job in its own group", OWN_JOB)
async def other_job(scene: Scene) -> object:
    return await scene.write(PROGRESS, ["h", scene.own], ["e", scene.known["other_job"]])


@attempt("progress of two jobs, its own first", OWN_JOB)
async def two_jobs(scene: Scene) -> object:
    return await scene.write(
        PROGRESS, ["h", scene.own], ["e", scene.known["job"]], ["e", scene.known["other_job"]]
    )


@attempt("progress in no group", OWN_JOB)
async def no_group(scene: Scene) -> object:
    return await scene.write(PROGRESS, ["e", scene.known["job"]])


@attempt("progress in its group in capitals", "relay_local/group_rules.py groups_are_written…")
async def capitals(scene: Scene) -> object:
    return await scene.write(PROGRESS, ["h", scene.own.upper()], ["e", scene.known["job"]])


@attempt("progress in two groups, its own first", ONE_GROUP)
async def two_groups(scene: Scene) -> object:
    return await scene.write(
        PROGRESS, ["h", scene.own], ["h", scene.other], ["e", scene.known["job"]]
    )


@attempt("progress in two groups, the other first", OWN_JOB)
async def two_groups_turned(scene: Scene) -> object:
    return await scene.write(
        PROGRESS, ["h", scene.other], ["h", scene.own], ["e", scene.known["job"]]
    )


@attempt("progress in its own group twice", ONE_GROUP)
async def twice(scene: Scene) -> object:
    return await scene.write(
        PROGRESS, ["h", scene.own], ["h", scene.own], ["e", scene.known["job"]]
    )


@attempt("progress with an h that names nothing besides", ONE_GROUP)
async def empty_group(scene: Scene) -> object:
    return await scene.write(PROGRESS, ["h", scene.own], ["h"], ["e", scene.known["job"]])


@attempt(
    "another group's message as answered by it",
    "relay_local/answers.py an_agent_names_what_its_own_group_holds",
)
async def answers_another(scene: Scene) -> object:
    return await scene.write(
        PROGRESS, ["h", scene.own], ["e", scene.known["job"]], ["status", "done"],
        ["q", scene.known["message"]],
    )  # fmt: skip


@attempt("progress of a hundred tags", OWN_JOB)
async def many_tags(scene: Scene) -> object:
    tags = [["t", str(n)] for n in range(100)]
    return await scene.write(PROGRESS, ["h", scene.own], ["e", scene.known["job"]], *tags)


@attempt("progress under a key of its own making", STANDING)
async def by_a_stranger(scene: Scene) -> object:
    stranger = SecretKey.generate(secrets.token_bytes)
    return await scene.write(PROGRESS, ["h", scene.own], ["e", scene.known["job"]], by=stranger)


@attempt("progress under the other session's key", STANDING)
async def by_the_other(scene: Scene) -> object:
    stolen = SecretKey(bytes.fromhex(scene.known["stolen"]))
    return await scene.write(
        PROGRESS, ["h", scene.other], ["e", scene.known["other_job"]], by=stolen
    )


@attempt("a word to the other session", REQUESTS)
async def to_a_session(scene: Scene) -> object:
    return await scene.write(24_133, ["p", scene.known["other_session"]])


@attempt("a word to the owner's client", REQUESTS)
async def to_the_owner(scene: Scene) -> object:
    return await scene.write(24_133, ["p", scene.known["owner"]])


@attempt("a word to the signer and, unseen, to another", REQUESTS)
async def to_two(scene: Scene) -> object:
    return await scene.write(
        24_133, ["p", scene.known["signer"]], ["p", scene.known["other_session"]]
    )


@attempt("a request that shows itself to a group", "relay_local/group_rules.py mail_and_records…")
async def request_in_a_group(scene: Scene) -> object:
    return await scene.write(24_133, ["p", scene.known["signer"]], ["h", scene.own])


@attempt(
    "a message of the owner's, put into another group", "nips/event.py Event.from_json", alone=True
)
async def moved(scene: Scene) -> object:
    """Signed once, in this group; its `h` changed, the signature kept."""
    taken = dict(scene.known["owners_event"])
    taken["tags"] = [["h", scene.other] if tag[0] == "h" else tag for tag in taken["tags"]]
    async with wire.a_wire(scene.key) as connection:
        ok = await wire.ask(connection, "EVENT", taken, until="OK")
    if not ok[2]:
        raise Stopped(str(ok[3]))
    return ok


@attempt("a message of the owner's, said again", STANDING)
async def again(scene: Scene) -> object:
    ok = await scene.link.publish(Event.from_json(scene.known["unsent_event"]), deadline_s=10)
    if ok.refusal is not None:
        raise Stopped(str(ok.refusal))
    return json.dumps(ok.message)
