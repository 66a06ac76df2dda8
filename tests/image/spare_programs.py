"""Programs for containers that wait for their job: what a hostile one tries, before and after."""

from __future__ import annotations

# Reads what it should not know from known.json in its group's folder and leaves report.json there.
# It tries everything while it waits, then, as a control, with its job what it may.
IMPATIENT = """
import asyncio, json, os, secrets, sys, time
from nips.event import Template
from nips.filter import Filter
from nips.key import SecretKey
from nips.kinds import Kind
from nips.own import grant as grants
from nips.refusal import Refused
from relay_local.client import Caller, Delivery, Unanswered, connect

GROUP = "/workspace/group/"
key = SecretKey(bytes.fromhex(sys.stdin.readline().strip()))
known = json.loads(open(GROUP + "known.json").read())

async def asks(caller, method, *params):
    try:
        return "granted: " + (await caller.call(method, *params, deadline_s=3))[:80]
    except Refused as error:
        return str(error.refusal)
    except Unanswered:
        return "silence"

async def sends(link, kind, *tags, content=""):
    made = Template(key.public, int(time.time()), kind, tags, content)
    try:
        ok = await link.publish(made.sign(key, secrets.token_bytes(32)), deadline_s=10)
    except (Refused, Unanswered) as error:
        return str(error)
    return "accepted" if ok.accepted else ok.message

async def finds(link, wanted):
    try:
        return [event.id for event in await link.fetch([wanted])]
    except Refused as error:
        return str(error.refusal)

async def tries(link, group, job):
    signer, router = Caller(link, key, known["signer"]), Caller(link, key, known["router"])
    report = {}
    for kind in (1, 7, 9, 30023):
        tags = [["h", group], ["job", job]] if kind in (7, 9) else [["job", job]]
        asked = Template(known["bot"], int(time.time()), kind, tuple(map(tuple, tags)), "+")
        report[f"sign {kind}"] = await asks(signer, "sign_event", json.dumps(asked.to_json()))
    report["unwrap"] = await asks(signer, "unwrap", "{}")
    report["router"] = await asks(router, "list_groups")
    progress = (("h", group), ("e", job), ("status", "running"))
    report["progress"] = await sends(link, 43003, *progress, content="x")
    report["done"] = await sends(link, 43003, ("h", group), ("e", job), ("status", "done")) \\
        if job != known["mine"] or report["progress"] != "accepted" else "not tried"
    report["chat"] = await sends(link, 9, ("h", group), content="I")
    report["grant"] = await sends(link, 30078, ("d", "grant/" + key.public), ("p", key.public),
                                  content="{}")
    report["jobs of others"] = await finds(link, Filter(tags={"h": frozenset({known["other"]})}))
    report["a job of others"] = await finds(link, Filter(ids=frozenset({known["theirs"]})))
    report["models"] = os.path.exists("/run/nanoclaw/model.sock")
    report["sockets"] = sorted(os.listdir("/run/nanoclaw"))
    report["folders"] = sorted(os.listdir("/workspace/ipc"))
    return report

async def main():
    async with connect("unix:/run/nanoclaw/relay.sock", [key]) as link:
        await link.connected()
        waiting = await tries(link, known["group"], known["mine"])
        print("waiting", flush=True)
        mine = Filter(kinds=frozenset({43002}), tags={"p": frozenset({key.public})})
        async with link.subscribe([mine]) as stream:
            async for item in stream:
                if isinstance(item, Delivery):
                    job = item.event.tag("e")
                    break
        working = await tries(link, known["group"], job)
        with open(GROUP + "report.json", "w") as file:
            json.dump({"key": key.public, "waiting": waiting, "working": working}, file)

asyncio.run(main())
"""

# Leaves traces wherever a program can write, a process too; says what of that was there before.
LITTER = (
    "/run for d in /tmp ~ /workspace/ipc/out; do ls -A $d; done; ls /run/nanoclaw;"
    " for p in /proc/[0-9]*; do cat $p/comm 2>/dev/null; done | grep -c sleep;"
    " touch /tmp/left ~/left /workspace/ipc/out/left; setsid sh -c 'sleep 600 &' >/dev/null 2>&1"
)
