"""Shell: attempts to read what another group said and did, through the session's own socket."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from hashlib import sha256

from nips.event import Template
from nips.filter import Filter
from nips.key import SecretKey
from relay_local.client import Delivery
from tests.image.hostile import wire
from tests.image.hostile.attempt import PATIENCE_S, Scene, Stopped, attempt, control

SCOPE = "relay_local/access.py scope_of"
ASKING = "relay_local/access.py may_ask"
EVERYTHING = "6100000200"  # NIP-77: one range over all time, of which we have nothing


@control("its own group by h")
async def own_by_group(scene: Scene) -> object:
    return await scene.read(kinds=[9], **{"#h": [scene.own]})


@control("its own message by id")
async def own_by_id(scene: Scene) -> object:
    return await scene.read(ids=[scene.known["own_message"]])


@control("its own words by search")
async def own_by_search(scene: Scene) -> object:
    return await scene.read(search=scene.known["own_word"])


@attempt("the other group by h", SCOPE)
async def by_group(scene: Scene) -> object:
    return await scene.read(kinds=[9], **{"#h": [scene.other]})


@attempt("a message by id", SCOPE)
async def by_id(scene: Scene) -> object:
    return await scene.read(ids=[scene.known["message"]])


@attempt("an answer by e", SCOPE)
async def by_reference(scene: Scene) -> object:
    return await scene.read(**{"#e": [scene.known["message"]]})


@attempt("an answer by q", SCOPE)
async def by_quotation(scene: Scene) -> object:
    return await scene.read(**{"#q": [scene.known["message"]]})


@attempt("messages to a person by p", SCOPE)
async def by_person(scene: Scene) -> object:
    return await scene.read(**{"#p": [scene.known["person"]]})


@attempt("messages by their author", SCOPE)
async def by_author(scene: Scene) -> object:
    return await scene.read(authors=[scene.known["person"]])


@attempt("a message by the mark of its network", SCOPE)
async def by_proxy(scene: Scene) -> object:
    return await scene.read(kinds=[9], **{"#o": [scene.known["once"]]})


@attempt("everything of a window of time", SCOPE)
async def by_time(scene: Scene) -> object:
    at = scene.known["message_at"]
    found = await scene.link.fetch([Filter.from_json({"since": at - 60, "until": at + 60})])
    return not_ours(scene, [event.to_json() for event in found])


@attempt("everything without a filter", SCOPE)
async def everything(scene: Scene) -> object:
    found = await scene.link.fetch([Filter.from_json({})])
    return not_ours(scene, [event.to_json() for event in found])


@attempt("both groups in one filter", SCOPE)
async def both_groups(scene: Scene) -> object:
    found = await scene.link.fetch([Filter.from_json({"#h": [scene.own, scene.other]})])
    return not_ours(scene, [event.to_json() for event in found])


@attempt("a word by search", SCOPE)
async def by_search(scene: Scene) -> object:
    return await scene.read(search=scene.known["secret_word"])


@attempt("the number of its messages", SCOPE, alone=True)
async def by_count(scene: Scene) -> object:
    async with wire.a_wire(scene.key) as connection:
        of_own = await wire.ask(connection, "COUNT", "a", {"#h": [scene.own]}, until="COUNT")
        if of_own[2]["count"] == 0:
            return "COUNT counts nothing, not even one's own"
        other = await wire.ask(connection, "COUNT", "b", {"#h": [scene.other]}, until="COUNT")
    if other[2]["count"] == 0:
        raise Stopped("counted 0")
    return other


@attempt("whether an id exists, by counting", SCOPE, alone=True)
async def id_by_count(scene: Scene) -> object:
    async with wire.a_wire(scene.key) as connection:
        wanted = {"ids": [scene.known["message"]]}
        found = await wire.ask(connection, "COUNT", "a", wanted, until="COUNT")
    if found[2]["count"] == 0:
        raise Stopped("counted 0")
    return found


@attempt("its ids by reconciliation", SCOPE, alone=True)
async def by_reconciliation(scene: Scene) -> object:
    async with wire.a_wire(scene.key) as connection:
        own = await wire.ask(
            connection, "NEG-OPEN", "a", {"#h": [scene.own]}, EVERYTHING, until="NEG-MSG"
        )
        if scene.known["own_message"] not in own[2]:
            return f"it reconciles nothing, not even one's own: {own[2][:200]}"
        other = await wire.ask(
            connection, "NEG-OPEN", "b", {"kinds": [9]}, EVERYTHING, until="NEG-MSG"
        )
    if scene.known["message"] not in other[2]:
        raise Stopped("not among the ids")
    return other[2]


@attempt("its messages while they are written", SCOPE)
async def live(scene: Scene) -> object:
    """The host says something in the other group, then in this one, once it hears that we
    listen."""
    wanted = [Filter.from_json({"kinds": [9], "#h": [group]}) for group in (scene.other, scene.own)]
    heard: list[str] = []
    async with scene.link.subscribe(wanted) as stream, asyncio.timeout(PATIENCE_S):
        await scene.write(43_003, ["h", scene.own], ["e", scene.known["job"]], content="listening")
        async for item in stream:
            if isinstance(item, Delivery):
                if item.event.tag("h") == scene.other:
                    heard.append(item.event.content)
                elif item.event.content == scene.known["go_on"]:
                    break
    if not heard:
        raise Stopped("heard its own group only")
    return heard


@attempt("the group's name and admins", SCOPE)
async def state(scene: Scene) -> object:
    return await scene.read(kinds=[39_000, 39_001, 39_003], **{"#d": [scene.other]})


@attempt("who is in the group", SCOPE)
async def members(scene: Scene) -> object:
    return await scene.read(kinds=[39_002], **{"#d": [scene.other]})


@attempt("who is on the relay at all", SCOPE)
async def roster(scene: Scene) -> object:
    return await scene.read(kinds=[13_534, 8_000, 8_001])


@attempt("how the group came about", SCOPE)
async def moderation(scene: Scene) -> object:
    return await scene.read(kinds=[9_000, 9_002, 9_007], **{"#h": [scene.other]})


@attempt("its jobs", SCOPE)
async def jobs(scene: Scene) -> object:
    return await scene.read(kinds=[43_001, 43_002, 43_003, 43_004], ids=[scene.known["other_job"]])


@attempt("its tasks", SCOPE)
async def tasks(scene: Scene) -> object:
    return await scene.read(kinds=[31_923], **{"#d": [scene.known["task"]]})


@attempt("what it is bound to", SCOPE)
async def binding(scene: Scene) -> object:
    return await scene.read(kinds=[30_078], **{"#d": [f"group/{scene.other}"]})


@attempt("the grant of its session", SCOPE)
async def grants(scene: Scene) -> object:
    return await scene.read(kinds=[30_078], **{"#p": [scene.known["other_session"]]})


@attempt("what the house notes for itself", SCOPE)
async def records(scene: Scene) -> object:
    found = await scene.link.fetch([Filter.from_json({"kinds": [30_078]})])
    return not_ours(scene, [event.to_json() for event in found])


@attempt("wraps on their way", SCOPE)
async def wraps(scene: Scene) -> object:
    return await scene.read(kinds=[1_059])


@attempt("what the owner alone is told", SCOPE)
async def personal(scene: Scene) -> object:
    return await scene.read(kinds=[44_100, 44_101, 44_200], **{"#p": [scene.known["owner"]]})


@attempt("the profile of somebody in it", SCOPE)
async def profile(scene: Scene) -> object:
    return await scene.read(kinds=[0], authors=[scene.known["person"]])


@attempt("answers to another session", ASKING, alone=True)
async def requests_to_a_session(scene: Scene) -> object:
    async with wire.a_wire(scene.key) as connection:
        wanted = {"kinds": [24_133], "#p": [scene.known["other_session"]]}
        return await wire.ask(connection, "REQ", "a", wanted, until="EOSE")


@attempt("requests to the signer", ASKING, alone=True)
async def requests_to_the_signer(scene: Scene) -> object:
    async with wire.a_wire(scene.key) as connection:
        wanted = {"kinds": [24_133], "#p": [scene.known["signer"]]}
        return await wire.ask(connection, "REQ", "a", wanted, until="EOSE")


@attempt("answers to another session, without a login", ASKING, alone=True)
async def requests_without_login(scene: Scene) -> object:
    async with wire.a_wire() as connection:
        wanted = {"kinds": [24_133], "#p": [scene.known["other_session"]]}
        return await wire.ask(connection, "REQ", "a", wanted, until="EOSE")


@attempt("the order of arrival", ASKING)
async def arrival(scene: Scene) -> object:
    return await scene.read(kinds=[9], after_seq=0)


@attempt(
    "a login as somebody else, on this socket", "relay_local/viewer.py Viewer.session", alone=True
)
async def another_key(scene: Scene) -> object:
    stranger = SecretKey.generate(secrets.token_bytes)
    async with wire.a_wire(stranger) as connection:
        return await wire.ask(connection, "REQ", "a", {"kinds": [9]}, until="EOSE")


@attempt("a second connection beside its own", "relay_local/crowd.py of_session", alone=True)
async def second_connection(scene: Scene) -> object:
    """Many would share the time of others out among them."""
    async with wire.a_wire(scene.key), wire.a_second():
        return "connected"


@attempt(
    "another session's key, on this socket", "relay_local/viewer.py Viewer.session", alone=True
)
async def stolen_key(scene: Scene) -> object:
    """The other container's own key, as if it had leaked: the socket says who calls."""
    stolen = SecretKey(bytes.fromhex(scene.known["stolen"]))
    async with wire.a_wire(stolen) as connection:
        await wire.ask(connection, "REQ", "a", {"#h": [scene.other]}, until="EOSE")
        return "the relay served another session's key"


@attempt("the relay's measurements over HTTP", "relay_local/server.py", alone=True)
async def measurements(scene: Scene) -> object:
    text = await asyncio.to_thread(
        wire.http, b"GET /metrics HTTP/1.1\r\nHost: relay.local\r\nConnection: close\r\n\r\n"
    )
    if "nostrclaw_" in text and "connections" in text:
        return text
    raise Stopped(text.partition("\r\n")[0] or "closed without an answer")


@attempt("the owner's calls over HTTP", "relay_local/management.py", alone=True)
async def management(scene: Scene) -> object:
    body = json.dumps({"method": "listallowedpubkeys", "params": []}).encode()
    tags = (("u", "http://relay.local/"), ("method", "POST"), ("payload", sha256(body).hexdigest()))
    proof = Template(scene.key.public, int(time.time()), 27_235, tags, "")
    token = base64.b64encode(proof.sign(scene.key, secrets.token_bytes(32)).to_bytes())
    head = (
        b"POST / HTTP/1.1\r\nHost: relay.local\r\nConnection: close\r\nAuthorization: Nostr "
        + token
        + b"\r\nContent-Type: application/nostr+json+rpc\r\nContent-Length: "
    )
    text = await asyncio.to_thread(wire.http, head + b"%d\r\n\r\n" % len(body) + body)
    first_line, _, rest = text.partition("\r\n")
    if " 200 " in first_line and '"error"' not in rest:
        return text
    raise Stopped(first_line or "closed without an answer")


def not_ours(scene: Scene, found: list[dict[str, object]]) -> object:
    """What of it belongs to nobody here; Stopped where it is nothing."""
    text = json.dumps(found)
    seen = [name for name in ("other", "message", "other_session", "person") if
            str(scene.known[name]) in text]  # fmt: skip
    if not seen and scene.known["secret_word"] not in text:
        raise Stopped(f"{len(found)} of its own only")
    return seen
