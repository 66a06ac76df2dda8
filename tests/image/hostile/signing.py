"""Shell: attempts to have the signer sign, or the router do, what the group may not."""

from __future__ import annotations

import json
import time

from tests.image.hostile.attempt import Act, Scene, Stopped, attempt, control

RULES = "signer/signing_rules.py"
GRANT = "signer/policy.py decide: the grant's rules"
METHODS = "signer/bunker.py: the grant's methods"
NAMED = "relay_local/answers.py an_agent_names_what_its_own_group_holds"
ROUTER = "bot/requests: nobody else's group is at a session's orders"
ROUTER_WAIT_S = 2.0


@control("a message in its own group")
async def own_message(scene: Scene) -> object:
    return await scene.speak(content="I may say this")


@control("an answer to a message of its own group")
async def own_answer(scene: Scene) -> object:
    return await scene.speak(["q", scene.known["own_message"]], content="and answer")


@control("an answer to a note that is not on this relay")
async def foreign_note(scene: Scene) -> object:
    return await scene.speak(["q", "ab" * 32], content="read elsewhere")


def _signs(name: str, kind: int, *tags: tuple[str, ...], guard: str = GRANT) -> Act:
    """An attempt with one template; tags name what is in `known`. `job`: its own comes along."""

    async def act(scene: Scene) -> object:
        filled = [[tag, *(str(scene.known.get(v, v)) for v in values)] for tag, *values in tags]
        return await scene.sign(kind, *filled, scene.job, content='{"name":"x"}')

    return attempt(name, guard)(act)


_REQUIRED = f"{RULES} the_rules_tags_are_there"
_signs("a message signed for the other group", 9, ("h", "other"), guard=_REQUIRED)
_signs("one for two groups, its own first", 9, ("h", "own"), ("h", "other"), guard=_REQUIRED)
_signs("one for two groups, the other first", 9, ("h", "other"), ("h", "own"), guard=_REQUIRED)
_signs("one for no group", 9, guard=_REQUIRED)
_signs("one for its group twice", 9, ("h", "own"), ("h", "own"), guard=_REQUIRED)
_signs("one with the group in capitals", 9, ("h", "own_capitals"), guard=_REQUIRED)
_signs("one with both groups in an h", 9, ("h", "other", "own"), guard=_REQUIRED)
_signs("a reaction in the other group", 7, ("h", "other"), ("e", "message"), guard=_REQUIRED)
_signs("a public note", 1)
_signs("an article", 30_023, ("d", "secrets"))
_signs("a draft of one", 30_024, ("d", "secrets"))
_signs(
    "a public comment", 1_111, ("E", "foreign"), ("K", "30023"), ("e", "foreign"), ("k", "30023")
)
_signs("a public reaction", 7, ("e", "foreign"), guard=_REQUIRED)
_signs("a reaction, the other group at its end", 7, ("e", "x"), ("h", "other"), guard=_REQUIRED)
_signs("a reaction in its group and the other", 7, ("h", "own"), ("h", "other"), guard=_REQUIRED)
_signs("a reaction to an h without a group", 7, ("e", "foreign"), ("h",), guard=_REQUIRED)
_signs("a message of the Buzz dialect, signed", 40_002, ("h", "own"))
_signs("the bot's profile", 0)
_signs("the bot's contacts", 3, ("p", "self"))
_signs("a direct message of the old kind", 4, ("p", "owner"))
_signs("a deletion of a message by e", 5, ("e", "message"))
_signs("a deletion of a task by a", 5, ("a", "task_address"))
_signs("a deletion in its own group by e", 5, ("h", "own"), ("e", "message"))
_signs("a seal", 13)
_signs("a gift wrap", 1_059, ("p", "owner"))
_signs("vanishing", 62, ("relay", "ALL_RELAYS"))
_signs("a membership", 9_000, ("h", "other"), ("p", "self"))
_signs("a message taken away", 9_005, ("h", "other"), ("e", "message"))
_signs("a login elsewhere", 22_242, ("relay", "wss://relay.example"), ("challenge", "x"))
_signs("a request", 24_133, ("p", "signer"))
_signs("a proof for HTTP", 27_235, ("u", "https://relay.example"), ("method", "POST"))
_signs("a binding, signed", 30_078, ("d", "group_d"))
_signs("a task of the other group", 31_923, ("h", "other"), ("d", "task"))
_signs("a task below its own name", 31_923, ("h", "own"), ("d", "own_task"))
_signs("the bot's relays", 10_002, ("r", "wss://relay.example"))
_signs("where the bot is written to", 10_050, ("relay", "wss://relay.example"))
_signs("a job, signed", 43_001, ("h", "other"), ("e", "message"))
_signs("the end of a job, signed", 43_004, ("h", "other"), ("e", "other_job"))
_signs("a question, signed", 46_010, ("p", "owner"))
_signs("a permission, signed", 46_030, ("d", "message"))

_signs("an answer that quotes the other group", 9, ("h", "own"), ("q", "message"), guard=NAMED)
_signs("an answer in its thread", 9, ("h", "own"), ("e", "message", "", "reply"), guard=NAMED)
_signs("an answer to its task", 9, ("h", "own"), ("a", "task_address"), guard=NAMED)
_signs("a reaction to its message", 7, ("h", "own"), ("e", "message"), guard=NAMED)
_signs("a reaction to a job of its", 7, ("h", "own"), ("e", "other_job"), guard=NAMED)
_signs(
    "an answer into its timeline", 9, ("h", "own"), ("previous", "message_prefix"),
    guard="relay_local/moderation.py misplaced",
)  # fmt: skip


@attempt("a message for another's job", f"{RULES} the_rules_tags_are_there")
async def another_job(scene: Scene) -> object:
    return await scene.sign(9, ["h", scene.own], ["job", scene.known["other_job"]])


@attempt("a message in somebody's name", f"{RULES} the_author_is_the_bot")
async def another_name(scene: Scene) -> object:
    return await scene.sign(9, ["h", scene.own], scene.job, pubkey=scene.known["person"])


@attempt("a message kept for later", f"{RULES} the_time_is_now")
async def later(scene: Scene) -> object:
    at = int(time.time()) + 3_600
    return await scene.sign(9, ["h", scene.own], scene.job, created_at=at)


@attempt("a message of last week", f"{RULES} the_time_is_now")
async def earlier(scene: Scene) -> object:
    at = int(time.time()) - 7 * 86_400
    return await scene.sign(9, ["h", scene.own], scene.job, created_at=at)


@attempt("a message too long for its grant", f"{RULES} the_size_is_allowed")
async def too_long(scene: Scene) -> object:
    return await scene.speak(content="x" * 70_000)


@attempt("a message of too many tags", f"{RULES} the_size_is_allowed")
async def too_many_tags(scene: Scene) -> object:
    return await scene.speak(*(["p", f"{n:064x}"] for n in range(60)))


@attempt("what was signed under the other's once-key", "signer/bunker.py once_of")
async def read_by_once_key(scene: Scene) -> object:
    """The signer answers a repeated once-key with its first signature."""
    answer = await scene.speak(["o", scene.known["said_once"]], content="mine")
    if '"content":"mine"' in answer:
        raise Stopped("it is another once-key in another group")
    return answer


@attempt("the other's next answer swallowed by its once-key", "signer/bunker.py once_of")
async def take_once_key(scene: Scene) -> object:
    """Used here first, the key would make the other group's answer a repetition. Whether it is
    one the other session tells, which says its answer now."""
    await scene.speak(["o", scene.known["next_once"]], content="first")
    raise Stopped("the other group's program looks whether its own was said")


def _asks(name: str, method: str, *params: str, guard: str = METHODS) -> Act:
    async def act(scene: Scene) -> object:
        return await scene.ask(method, *(str(scene.known.get(p, p)) for p in params))

    return attempt(name, guard)(act)


_asks("a wrap opened", "unwrap", "{}")
_asks("a message sealed", "seal", "owner", "{}")
_asks("a text of the bot's decrypted", "nip44_decrypt", "owner", "x")
_asks("a text encrypted as the bot", "nip44_encrypt", "owner", "x")
_asks("an old text decrypted", "nip04_decrypt", "owner", "x?iv=x")
_asks("a login of its own", "connect", "bot", "secret")


def _requests(name: str, method: str, params: dict[str, str]) -> Act:
    """A request of the router's own; a router that knows no such method does not answer."""

    async def act(scene: Scene) -> object:
        filled = {key: str(scene.known.get(value, value)) for key, value in params.items()}
        return await scene.router.call(method, json.dumps(filled), deadline_s=ROUTER_WAIT_S)

    return attempt(name, ROUTER)(act)


_requests("a word sent to the other group", "send_to_group", {"group": "other", "text": "hello"})
_requests("a word sent to main", "send_to_group", {"group": "main", "text": "hello"})
_requests("the other's persona", "set_persona", {"group": "other", "name": "Mallory"})
_requests("the persona of all", "set_persona", {"name": "Mallory"})
_requests("the other's trigger", "group_settings", {"group": "other", "trigger": "x"})
_requests("a group registered", "register_group", {"name": "mine", "counterparts": "nostr:self"})
_requests("the other group's people", "list_groups", {})
_requests("a file of the other's handed over", "send_file", {"path": "../../victim/MEMORY.md"})
_requests("a task in the other group", "schedule_task", {"group": "other", "prompt": "x"})
_requests("a task of the other's changed", "update_task", {"task": "task", "status": "paused"})
_requests("a stranger shown to the owner", "stranger", {"network": "nostr", "id": "self"})
_requests("an owner's command", "command", {"text": "/allow abcdef"})
_requests("money booked on the other", "spent", {"group": "other", "microusd": "1"})
