"""The documents held against the code: commands, targets, files, links, settings, width."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest
from typer.main import get_command

from agent_image.agent import gates
from bot.bridges.nostr import files, outgoing, puppets, watching
from bot.cli import app
from bot.operate import debian
from bot.requests import task_requests
from bot.schedule import expression, misfire
from bot.tasks import bounds, hook_http, occasions
from config.settings import (
    AgentSettings,
    BudgetSettings,
    Settings,
    SignalSettings,
    WebhookSettings,
)
from nips import filter as filters
from nips import frames, nip02, nip42, nip44, nip46
from nips.own import cause, hook, order, public_query, schedule, task, watch
from relay_local import (
    access,
    connection,
    door,
    feeds,
    information,
    negentropy,
    peer,
    query,
    write_rules,
)
from relay_local.world import World
from signer import (
    invitation,
    model_http,
    model_proxy,
    model_request,
    model_room,
    pairing,
    signing_rules,
)
from signer.ceiling import Ceiling

ROOT = Path(__file__).resolve().parents[1]
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
DOCUMENTS = (
    "README.md", "ARCHITECTURE.md", "PROTOCOL.md", "CONTRIBUTING.md", "CHANGELOG.md",
    *(str(path.relative_to(ROOT)) for path in DECISIONS),
)  # fmt: skip


def document(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def code_of(text: str) -> str:
    """What stands in fences, in backticks or indented."""
    fenced = re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return "\n".join([*fenced, *re.findall(r"`[^`]+`|^    .+$", rest, re.MULTILINE)])


def commands_of_nostrclaw() -> set[str]:
    return set(get_command(app).commands)  # type: ignore[attr-defined]


def test_every_nostrclaw_command_in_the_documents_exists() -> None:
    known = commands_of_nostrclaw()
    for name in DOCUMENTS:
        code = code_of(document(name))
        for command in re.findall(r"(?:^|[ `/])nostrclaw ([a-z]+)", code, re.MULTILINE):
            assert command in known, f"{name}: nostrclaw {command}"


def test_the_readme_names_every_nostrclaw_command() -> None:
    for command in commands_of_nostrclaw():
        assert f"nostrclaw {command}" in document("README.md")


def test_every_make_target_in_the_documents_exists() -> None:
    makefile = document("Makefile")
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    assert {"demo", "test", "install"} <= targets
    named = {
        target
        for name in DOCUMENTS
        for target in re.findall(r"(?:`|^    )make ([a-z]+)", document(name), re.MULTILINE)
    }
    assert named <= targets
    assert {"demo", "test", "install"} <= named


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_named_in_a_document_exists(name: str) -> None:
    text = document(name)
    for path in re.findall(r"`((?:\.?[\w-]+/)+(?:[\w.-]*))`", text):
        # Other slashes are values (`grant/`), or paths of an installation (`DATA/…`).
        if (ROOT / path.split("/")[0]).is_dir() or path.endswith((".py", ".md")):
            assert (ROOT / path).exists(), f"{name}: {path}"
    here = (ROOT / name).parent
    for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (here / link).exists(), f"{name}: {link}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_inside_a_document_leads_to_a_title(name: str) -> None:
    text = document(name)
    titles = {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    for link in re.findall(r"\]\(#([^)]+)\)", text):
        assert link in titles, f"{name}: #{link}"


def test_every_variable_in_the_readme_is_read_by_somebody() -> None:
    read = {"NOSTRCLAW_DATA", debian.FORBID}
    read |= {f"NOSTRCLAW_{name}".upper() for name in Settings.model_fields}
    read |= {f"NOSTRCLAW_AGENT__{name}".upper() for name in AgentSettings.model_fields}
    read |= {f"NOSTRCLAW_BUDGET__{name}".upper() for name in BudgetSettings.model_fields}
    read |= {f"NOSTRCLAW_SIGNAL__{name}".upper() for name in SignalSettings.model_fields}
    read |= {f"NOSTRCLAW_WEBHOOKS__{name}".upper() for name in WebhookSettings.model_fields}
    named = set(re.findall(r"NOSTRCLAW_[A-Z_]+", document("README.md")))
    assert len(named) > 2
    assert named <= read


LIMITS = (
    f"at most {connection.MAX_FRAME_BYTES >> 20} MiB",
    f"within {nip42.MAX_AGE_S} s of the relay's clock",
    f"at most {connection.MAX_KEYS}, a bridge's at most {connection.MAX_BRIDGE_KEYS:,}",
    f"may write {door.STRANGER_BURST} at once and {door.STRANGER_PER_S:g} a second on a connection",
    f"together {door.STRANGERS_BURST} at once and {door.STRANGERS_PER_S:g} a second",
    f"frames of at most {door.MAX_STRANGER_CHARS >> 10} KiB",
    f"session may write {door.SESSION_BURST} at once and {door.SESSION_PER_S:g} a second",
    f"{peer.MAX_SEARCHES} of its REQs are worked on at a time",
    f"{door.MAX_LIVE_VALUES:,} in all live filters of a connection ({door.MAX_STRANGER_VALUES} for",
    f"{write_rules.MAX_PROGRESS_CHARS:,} characters and {write_rules.MAX_PROGRESS_TAGS} tags",
    f"{frames.MAX_FILTERS} filters in a REQ",
    f"{filters.MAX_VALUES:,} values in one list and {access.MAX_FILTER_VALUES:,} in one filter",
    f"subscription ids of {frames.MAX_SUBSCRIPTION_CHARS} characters",
    f"{feeds.MAX_SUBSCRIPTIONS} subscriptions a connection",
    f"reconcile {negentropy.MAX_NEGOTIATIONS} sets at a time, of at most "
    f"{negentropy.MAX_RECORDS:,} records each",
    f"after {negentropy.IDLE_S:g} s without a message",
    f"{query.DEFAULT_LIMIT} stored events without a `limit` and {query.MAX_LIMIT:,} with one",
    f"at most {write_rules.MAX_AHEAD_S // 60} minutes ahead",
    f"up to {nip44.MAX_EXTENDED_BYTES:,} bytes of plaintext",
    f"Ids are 1 to {nip46.MAX_ID_CHARS} characters; a method takes at most {nip46.MAX_PARAMS}",
    f"within {signing_rules.CREATED_AT_WITHIN_S} s of the signer's clock",
    f"{Ceiling().longest_ttl_s} s for sessions, {Ceiling().bridge_longest_ttl_s} s for bridges",
    f"lives at most `bunker_longest_ttl_s` ({Ceiling().bunker_longest_ttl_s:,} s)",
    f"void after an hour, and after {invitation.MAX_TRIES} wrong secrets",
    f"longer than {outgoing.MAX_PART_BYTES:,} bytes of JSON",
    f"`{pairing.ALPHABET}`",
    f"JSON object of at most {model_request.MAX_BODY_BYTES >> 20} MiB",
    f"the body did not come within {model_room.BODY_S:g} s",
    f"takes {model_http.MAX_CONNECTIONS} connections and works on {model_room.MAX_AT_ONCE} req",
    f"`{model_proxy.ADDRESS}` and the path as asked",
    f"at most {files.MAX_FILE_BYTES >> 20} MiB and {files.DEADLINE_S:g} s to come, several",
    f"each redirect, of at most {('no', 'one', 'two', 'three')[files.MAX_REDIRECTS]}, is checked",
    f"the prompt, 1 to {task.MAX_PROMPT_BYTES:,} bytes",
    f"| 1 to {task.MAX_TITLE_CHARS} characters, on one line |",
    f"from {expression.SHORTEST_INTERVAL_MS:,} to {expression.MAX_INTERVAL_MS:,} |",
    f"It is on time for {misfire.ON_TIME_S} s",
    f"`run` alone means {schedule.Misfire().window_s:,} s",
    f"is set off {occasions.MAX_AN_HOUR} times within an hour at most",
    f"`kinds` (1 to {watch.MAX_KINDS}),",
    f"at most {watch.MAX_VALUES} values each and {schedule.MAX_EXPRESSION_CHARS:,} characters",
    f"for the {nip02.MAX_FOLLOWED:,} whom the owner's kind 3 named last",
    f"{occasions.MAX_PUBLIC} of them are watched for",
    f"dated more than {watch.MAX_AHEAD_S // 60} minutes ahead; that the",
    f"or that has more than {public_query.MAX_EVENT_BYTES:,} bytes",
    f"The filters, at most {watching.MAX_FILTERS},",
    f"or {occasions.OVERLAP_S} s before its last job",
    f"with a text of at most {cause.MAX_BODY_BYTES:,} bytes",
    f"A call counts within {hook.WINDOW_S} s of its `t`",
    f"`Idempotency-Key` of 1 to {hook.MAX_ONCE_CHARS} plain characters",
    f"a request that takes more than {hook_http.REQUEST_S:g} s",
    f"`gate` is a command line of at most {task.MAX_GATE_CHARS} characters",
    f"where its agent's commands run, for at most {gates.LIMIT_S:g} s",
    f"that are not done, all groups {bounds.MAX_OF_ALL:,} together, and of those that are",
    f"group has at most {bounds.MAX_OF_A_GROUP} tasks that are not done",
    f"last {bounds.MAX_DONE}. A session elsewhere",
    f"at most {task_requests.MAX_RUNS_A_DAY} runs on the fullest day",
    f"at most {task_requests.MAX_NEW_OF_A_JOB} tasks, and has",
    f"make at most {task_requests.MAX_RUNS_OF_A_JOB} runs",
    f"another time at most {task_requests.MAX_MOVED_OF_A_JOB} times",
    f"plans nothing sooner than in {task_requests.SOONEST_S // 60} minutes",
    f"of at most {order.MAX_CHARS:,} characters, that begins",
    f"`subject` (NIP-17) is carried, of at most {puppets.MAX_SUBJECT_CHARS} characters",
)


def test_the_protocol_names_the_nips_that_the_relay_names() -> None:
    said = orjson.loads(information.document(World("00" * 32), "0"))["supported_nips"]
    named = ", ".join(str(number) for number in said)
    assert f"NIP-11 names what is spoken: {named}." in document("PROTOCOL.md")


@pytest.mark.parametrize("limit", LIMITS)
def test_the_protocol_gives_the_limits_of_the_code(limit: str) -> None:
    assert limit in " ".join(document("PROTOCOL.md").split())


ROOMS = ("nips", "relay_local", "signer", "bot", "agent_image", "config")


def test_the_architecture_has_a_line_for_every_module() -> None:
    rooms = document("ARCHITECTURE.md").split("## Rooms")[1]
    folder = ""
    named: set[str] = set()
    for line in rooms.splitlines():
        if found := re.match(r"^(\.?[\w/]+/)$", line):
            folder = found[1]
        elif found := re.match(r"^  (\w+\.py) +\([PS]\) \S", line):
            named.add(folder + found[1])
    real = {
        str(path.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if path.read_text("utf-8").strip() and not is_mere_package(path)
    }
    assert named == real


def is_mere_package(path: Path) -> bool:
    """An `__init__.py` that says what its room is and does no more than import."""
    return path.name == "__init__.py" and path.parent.name != "backends"


def test_the_reading_list_names_twenty_files() -> None:
    found = re.findall(r"^\d+\. `([\w/.]+)`", document("CONTRIBUTING.md"), re.MULTILINE)
    assert len(found) == len(set(found)) == 20
    assert all((ROOT / path).is_file() for path in found)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_prose_is_at_most_100_characters_wide(name: str) -> None:
    in_code = False
    for number, line in enumerate(document(name).splitlines(), 1):
        if line.startswith("```"):
            in_code = not in_code
        elif not in_code and not line.startswith("|") and "](http" not in line:
            assert len(line) <= 100, f"{name}:{number}"


def test_every_decision_says_what_was_decided_and_against_what() -> None:
    assert [path.name[:4] for path in DECISIONS] == [
        f"{number:04}" for number in range(1, len(DECISIONS) + 1)
    ]
    for path in DECISIONS:
        titles = re.findall(r"^## (.+)$", path.read_text("utf-8"), re.MULTILINE)
        assert titles == ["Context", "Decision", "Against"], path.name
