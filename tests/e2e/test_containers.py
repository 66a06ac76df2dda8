"""Containers that misbehave: each ends in a clear event, and the owner is told."""

from __future__ import annotations

import docker

from nips.filter import Filter
from nips.kinds import Kind
from tests.e2e.conftest import LIMITS, Scene, containers_of


async def errors(scene: Scene) -> list[str]:
    """The 43006 events of the main group, as the owner's own client reads them, newest first."""
    found = await scene.own_client.fetch(
        [
            Filter(
                kinds=frozenset({int(Kind.JOB_ERROR)}),
                tags={"h": frozenset({scene.house.roles.main})},
            )
        ]
    )
    return [event.content for event in found]


async def test_one_that_hangs_is_ended_and_the_owner_told(scene: Scene) -> None:
    before = len(await errors(scene))
    # The tool has a limit of its own; a stopped agent cannot keep it.
    told = await scene.ask("/run kill -STOP $PPID", timeout_s=90)
    assert f"{LIMITS['wall_clock_s']} seconds" in told
    assert len(await errors(scene)) == before + 1


async def test_one_that_dies_is_retried_and_then_the_owner_told(scene: Scene) -> None:
    before = len(await errors(scene))
    told = await scene.ask("/run kill -KILL $PPID", timeout_s=90)
    assert "could not" in told
    assert len(await errors(scene)) == before + 1


async def test_one_that_floods_is_ended_and_the_owner_told(scene: Scene) -> None:
    before = len(await errors(scene))
    told = await scene.ask("/run head -c 100000000 /dev/zero > /proc/$PPID/fd/1", timeout_s=90)
    assert "output" in told
    assert len(await errors(scene)) == before + 1


async def test_one_that_fills_its_folder_is_ended_and_the_owner_told(scene: Scene) -> None:
    told = await scene.ask("/run head -c 200000000 /dev/zero > big; sleep 15", timeout_s=90)
    assert f"{LIMITS['folder_mib']} MiB" in told
    # Until there is room again nothing runs there: only a person can tell what may go.
    (scene.house.place.data / "groups" / "main" / "big").unlink()
    assert await scene.ask("/run echo room again") == "exit code 0\nroom again"


async def test_one_that_asks_for_another_kind_is_refused(scene: Scene) -> None:
    # What its owner may be asked about instead is in test_approvals.py.
    for kind in (13, 62, 1059, 9000, 22242, 24133, 30078, 43001):
        answer = await scene.ask(f"/sign {kind} hello")
        assert f"kind {kind}" in answer
        assert "refused" in answer


async def test_it_has_no_network_no_root_and_no_secret(scene: Scene) -> None:
    listing = await scene.ask("/run ls /sys/class/net; id -u; touch /etc/x; env; ls /run/nanoclaw")
    assert "eth" not in listing
    assert "1000" in listing
    assert "Read-only file system" in listing
    assert "relay.sock" in listing


async def test_a_second_connection_over_its_socket_is_refused(scene: Scene) -> None:
    """Attack: a program started by the agent speaks to the relay beside it."""
    program = (
        "import socket;s=socket.socket(socket.AF_UNIX);s.settimeout(5);"
        "s.connect('/run/nanoclaw/relay.sock');"
        "s.sendall(b'GET / HTTP/1.1\\r\\nHost: relay.local\\r\\nUpgrade: websocket\\r\\n"
        "Connection: Upgrade\\r\\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\\r\\n"
        "Sec-WebSocket-Version: 13\\r\\n\\r\\n');d=b''.join(iter(lambda: s.recv(4096), b''));"
        "print('greeted' if b'AUTH' in d else 'turned away', b'one connection' in d)"
    )
    answer = await scene.ask(f'/run python3 -c "{program}"', timeout_s=60)
    assert "turned away True" in answer


async def test_nothing_is_left_behind(scene: Scene, docker_client: docker.DockerClient) -> None:
    assert await scene.ask("/say last") == "last"
    # The one that has just answered, and its group's spare.
    assert len(containers_of(docker_client, scene.house.place.data)) <= 2
