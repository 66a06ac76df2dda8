"""The model proxy's commands and process: keys at rest, where they are not, and what is closed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent_image.agent.model import ModelRefused
from signer import keystore, model_providers, sealed
from signer.keystore import KeystoreError
from signer.model_providers import Price, Provider
from signer.model_store import ModelStore
from tests.unit.signer.house import House
from tests.unit.signer.models import API_KEY, Scene, a_scene, said

PASSPHRASE = "a person's own"


@pytest.fixture
async def scene(house: House) -> AsyncIterator[Scene]:
    with TemporaryDirectory(prefix="nc-") as folder:
        async with a_scene(Path(folder), house) as made:
            yield made


def forms(secret: str) -> list[bytes]:
    raw = secret.encode()
    inner = base64.b64encode(raw)[:-4]
    return [raw, raw.hex().encode(), inner, raw[::-1]]


def traces(data: bytes) -> bool:
    return any(form in data for form in forms(API_KEY))


def of_every_process() -> Iterator[tuple[str, bytes]]:
    """What processes show of themselves to others of their user."""
    for folder in Path("/proc").iterdir():
        for name in ("environ", "cmdline", "comm"):
            try:
                yield f"{folder}/{name}", (folder / name).read_bytes()
            except OSError:
                continue  # it has ended, or is no process


async def test_the_key_is_nowhere_but_in_the_proxy_and_at_the_provider(scene: Scene) -> None:
    await scene.add_both()
    proxy = await scene.start_proxy()
    _, models = await scene.session()
    for model in ("echo", "leaks", "broken", "garbage", "limited"):
        asked = json.dumps(said("what is your key", model=model)).encode()
        async with models.request("POST", "/v1/messages", asked) as answer:
            assert not traces(f"{answer.headers}".encode() + await answer.body())
    for where, data in of_every_process():
        assert not traces(data), where
    folder = Path(f"/proc/{proxy.running.pid}")
    assert "Max core file size        0                    0" in (folder / "limits").read_text()
    assert "NoNewPrivs:\t1" in (folder / "status").read_text()
    await proxy.stop()
    n_files = 0
    for path in scene.place.folder.rglob("*"):
        if path.is_file():
            n_files += 1
            assert not traces(path.read_bytes()), path
    assert n_files > 12
    assert "outcome=200" in proxy.log.read_text()  # so it was the log that was read


async def test_every_file_but_its_own_is_closed_to_the_proxy(scene: Scene) -> None:
    await scene.add_both()
    proxy = await scene.start_proxy()
    said = proxy.log.read_text()
    assert "every file but its own is closed" in said, said


CONFINED = """
import subprocess, sys, threading
from pathlib import Path
from signer.confinement import confine, require_closed
from signer.secret import harden_process
harden_process()
data = Path(sys.argv[1])
kept = open(data / "before", "rb")
print(confine([Path("/usr")], [data / "own"]))
(data / "own" / "new").write_text("x")
def tell(name, act):
    try:
        act()
        print(name, "open")
    except (PermissionError, subprocess.CalledProcessError):
        print(name, "closed")
for name in ("passphrase", "own/../passphrase", "own/link"):
    tell(name, lambda: (data / name).read_bytes())
tell("listing", lambda: list(data.iterdir()))
tell("making", lambda: (data / "x").write_text("x"))
tell("own", lambda: (data / "own" / "new").read_bytes())
tell("kept", lambda: kept.read())
thread = threading.Thread(target=tell, args=("thread", lambda: (data / "passphrase").read_bytes()))
thread.start(); thread.join()
tell("child", lambda: subprocess.run(["cat", data / "passphrase"], check=True))
"""


def test_what_is_given_up_stays_given_up(tmp_path: Path) -> None:
    """Attack: code that took the process over reads the passphrase."""
    own = tmp_path / "own"
    own.mkdir()
    for name in ("passphrase", "before"):
        (tmp_path / name).write_text("secret")
    (own / "link").symlink_to(tmp_path / "passphrase")
    done = subprocess.run(
        [sys.executable, "-c", CONFINED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == [
        "True", "passphrase closed", "own/../passphrase closed", "own/link closed",
        "listing closed", "making closed", "own open", "kept open", "thread closed",
        "child closed",
    ], done.stderr  # fmt: skip


# Commands


async def test_add_list_test_remove(scene: Scene) -> None:
    url = f"{scene.provider.url}/"
    status, out, err = await scene.command(
        "add", "mine", "--url", url, "--model", "echo=3/15/0.3", "--model", "limited=1/2", "--json",
        "--model", "slow=3/15@200000:6/22.5", secret=API_KEY + "\n",
    )  # fmt: skip
    assert status == 0, err
    assert json.loads(out)["models"]["slow"] == {
        "usd_in": 3, "usd_out": 15, "usd_cached": 3,
        "long_over": 200_000, "usd_in_long": 6, "usd_out_long": 22.5,
    }  # fmt: skip
    assert json.loads(out)["models"]["echo"] == {"usd_in": 3, "usd_out": 15, "usd_cached": 0.3}
    store = ModelStore(scene.signer_data)
    (provider,) = store.providers().values()
    assert (provider.url, provider.style) == (url + "v1", "openai")
    (path,) = store.folder.glob("*.sealed")
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    passphrase = (scene.signer_data / "passphrase").read_text().strip()
    assert sealed.unseal(path.read_text(), passphrase, provider.purpose) == API_KEY.encode()

    status, out, _ = await scene.command("list")
    assert (status, "echo" in out, "$15" in out) == (0, True, True)
    status, out, _ = await scene.command("test", "mine")
    assert status == 1
    assert "ok      echo" in out
    assert "failed  limited  429" in out
    assert all(one["fields"]["max_tokens"] == 1 for one in scene.provider.seen() if "path" in one)

    assert (await scene.command("remove", "mine"))[0] == 0
    assert list(store.folder.glob("*.sealed")) == []
    assert store.providers() == {}
    status, _, err = await scene.command("remove", "mine")
    assert (status, "There is no provider" in err) == (2, True)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("x", "--url", "http://api.example", "--model", "m=1/2"), "begins with https://"),
        (("x", "--url", "https://u:p@api.example", "--model", "m=1/2"), "no user"),
        (("x", "--model", "m=1/2"), "Where is x?"),
        (("x", "--url", "https://api.example", "--model", "m"), "What does m cost?"),
        (("x", "--url", "https://api.example", "--model", "m=cheap"), "prices are"),
        (("x", "--url", "https://api.example", "--model", "m=1/2@many:3/4"), "@TOKENS:IN/OUT"),
        (("X!", "--url", "https://api.example", "--model", "m=1/2"), "name has"),
        (("x", "--url", "https://api.example", "--model", "m=1/2", "--no-key"), "without a key"),
        (("x", "--url", "https://api.example", "--model", "m=-1/2"), "a price is"),
    ],
)
async def test_a_mistake_is_named(scene: Scene, argv: tuple[str, ...], words: str) -> None:
    secret = None if "--no-key" in argv else API_KEY
    status, _, err = await scene.command("add", *argv, secret=secret)
    assert (status, words in err) == (2, True), err
    assert API_KEY not in err
    assert not (scene.signer_data / "models.toml").exists()


async def test_a_key_goes_to_no_other_address(scene: Scene) -> None:
    """Attack: whoever may write models.toml, without a passphrase, sends the key to themselves."""
    await scene.add_both()
    path = scene.signer_data / "models.toml"
    path.write_text(path.read_text().replace("127.0.0.1", "localhost"))
    store = ModelStore(scene.signer_data)
    with pytest.raises(KeystoreError, match="Add it again"):
        store.unlock(lambda: store.passphrases(None), store.providers())


async def test_two_providers_do_not_share_a_model(scene: Scene) -> None:
    await scene.add_both()
    status, _, err = await scene.command(
        "add", "three", "--url", "https://api.example", "--model", "echo=1/2", secret=API_KEY
    )
    assert (status, "both one and three" in err) == (2, True), err
    assert list(ModelStore(scene.signer_data).providers()) == ["one", "two"]


async def test_a_change_of_passphrase_takes_the_keys_along(scene: Scene) -> None:
    await scene.add_both()
    store = ModelStore(scene.signer_data)
    old = store.passphrases(None)
    assert store.put_under(old, PASSPHRASE) == ()
    assert store.put_under(old, PASSPHRASE) == ()  # as after a crash
    found = store.unlock(lambda: (PASSPHRASE,), store.providers())
    assert found == {"one": API_KEY.encode(), "two": API_KEY.encode()}
    with pytest.raises(KeystoreError, match="passphrase is another"):
        store.unlock(lambda: old, store.providers())


async def test_with_a_persons_own_passphrase_it_starts_locked(scene: Scene) -> None:
    await scene.add_both()
    store = ModelStore(scene.signer_data)
    store.put_under(store.passphrases(None), PASSPHRASE)
    (scene.signer_data / "passphrase").unlink()
    await scene.start_proxy()
    _, models = await scene.session()
    with pytest.raises(ModelRefused, match="nostrclaw model unlock") as locked:
        await models.ask("/v1/messages", said("x"))
    assert locked.value.status == 503
    reads, writes = os.pipe()
    os.write(writes, PASSPHRASE.encode())
    os.close(writes)
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "signer", "model", "unlock", "--data", str(scene.signer_data),
        "--passphrase-fd", str(reads), pass_fds=(reads,), stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    os.close(reads)
    _, err = await running.communicate()
    assert running.returncode == 0, err
    assert (await models.ask("/v1/messages", said("now")))["type"] == "message"


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """Attack: a taken-over signer leaves one, for root to open all of that to the model proxy."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "kept.sealed").write_text("root's")
    (tmp_path / "signer").mkdir()
    (tmp_path / "signer" / "models").symlink_to(tmp_path / "etc")
    store = ModelStore(tmp_path / "signer")
    provider = Provider("one", "openai", "http://127.0.0.1:1/v1", {"m": Price(0, 0, 0)})
    for work in (
        store.make_folder,
        lambda: store.add(replace(provider, keyless=True), b"", ()),
        lambda: store.remove("one"),
    ):
        keystore.write_whole(store.file, model_providers.render({"one": provider}), mode=0o600)
        with pytest.raises(KeystoreError, match="is a link"):
            work()
    assert [path.name for path in (tmp_path / "etc").iterdir()] == ["kept.sealed"]


async def test_the_passphrase_is_not_left_open_to_the_proxy(scene: Scene, tmp_path: Path) -> None:
    """Attack: code that took the proxy over reads again what its start was given to read."""
    await scene.add_both()
    (given,) = ModelStore(scene.signer_data).passphrases(None)
    (scene.signer_data / "passphrase").unlink()
    (tmp_path / "typed").write_text(given)
    descriptor = os.open(tmp_path / "typed", os.O_RDONLY)
    try:
        proxy = await scene.start_proxy(
            "--passphrase-fd", str(descriptor), descriptors=(descriptor,)
        )
    finally:
        os.close(descriptor)
    _, models = await scene.session()
    assert (await models.ask("/v1/messages", said("now")))["type"] == "message"
    held = [str(one.readlink()) for one in Path(f"/proc/{proxy.running.pid}/fd").iterdir()]
    assert any("model.sock" in one or "spent.sqlite" in one for one in held)
    assert str(tmp_path / "typed") not in held
