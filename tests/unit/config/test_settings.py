"""Settings: where they come from, and the sentence when one is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import SettingsError, load, write


def test_the_defaults_stand_alone(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert len(found.relays) == 5
    assert all(url.startswith("wss://") for url in found.relays)
    assert found.listen == "127.0.0.1:7447"


def test_a_file_wins_over_the_defaults_and_the_environment_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, {"name": "Ada", "agent": {"pids": 99}})
    assert load(tmp_path).name == "Ada"
    assert load(tmp_path).agent.pids == 99
    assert load(tmp_path).agent.wall_clock_s == 600
    monkeypatch.setenv("NOSTRCLAW_AGENT__PIDS", "64")
    assert load(tmp_path).agent.pids == 64


def test_nobody_calls_tasks_unless_they_are_let_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(tmp_path).webhooks.listen == ""
    monkeypatch.setenv("NOSTRCLAW_WEBHOOKS__LISTEN", "[::1]:0")
    assert load(tmp_path).webhooks.listen == "[::1]:0"


def test_without_a_number_there_is_no_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = load(tmp_path).signal
    assert (found.url, found.number) == ("http://127.0.0.1:8080", "")
    assert (found.poll_s, found.max_messages, found.read_receipts) == (1.0, 20, False)
    write(tmp_path, {"signal": {"number": "+491701234567"}})
    assert load(tmp_path).signal.number == "+491701234567"
    monkeypatch.setenv("NOSTRCLAW_SIGNAL__NUMBER", "+12025550123")
    assert load(tmp_path).signal.number == "+12025550123"
    assert load(tmp_path).signal.url == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"url": "http://localhost:8080/"}, "http://localhost:8080"),
        ({"url": "http://127.8.8.8:1"}, "http://127.8.8.8:1"),
        ({"url": " http://[::1]:8080 "}, "http://[::1]:8080"),
        ({"url": "https://Signal.Example/api/"}, "https://signal.example/api"),
        ({"url": "http://signal:8080", "plain_http": True}, "http://signal:8080"),
    ],
)
def test_where_the_signal_service_may_be(
    tmp_path: Path, given: dict[str, object], url: str
) -> None:
    write(tmp_path, {"signal": given})
    assert load(tmp_path).signal.url == url


@pytest.mark.parametrize("text", ["wss://a wss://b", "wss://a,wss://b", '["wss://a", "wss://b"]'])
def test_relays_in_the_environment_may_be_written_as_people_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("NOSTRCLAW_RELAYS", text)
    assert load(tmp_path).relays == ("wss://a", "wss://b")


@pytest.mark.parametrize("given", ["127.0.0.1:7777 NAS.lan", "127.0.0.1:7777,nas.lan"])
def test_hosts_that_may_be_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    assert load(tmp_path).allowed_private_hosts == ()
    write(tmp_path, {"allowed_private_hosts": ["[::1]:3000", "10.0.0.1"]})
    assert load(tmp_path).allowed_private_hosts == ("[::1]:3000", "10.0.0.1")
    monkeypatch.setenv("NOSTRCLAW_ALLOWED_PRIVATE_HOSTS", given)
    assert load(tmp_path).allowed_private_hosts == ("127.0.0.1:7777", "nas.lan")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"allowed_private_hosts": ["http://10.0.0.1"]}, "allowed_private_hosts"),
        ({"allowed_private_hosts": ["10.0.0.1/24"]}, "allowed_private_hosts"),
        ({"allowed_private_hosts": ["*"]}, "allowed_private_hosts"),
        ({"allowed_private_hosts": [""]}, "allowed_private_hosts"),
        ({"allowed_private_hosts": ["::1"]}, "allowed_private_hosts"),
        ({"router_relay": "ws://groups.example"}, "router_relay"),  # read on its way by anybody
        ({"router_relay": "https://groups.example"}, "router_relay"),
        ({"listen": "0.0.0.0:7447"}, "listen"),  # the relay must not be on the network
        ({"listen": "127.0.0.1:99999"}, "listen"),
        ({"listen": "127.0.0.1:\u0661"}, "listen"),
        ({"webhooks": {"listen": "0.0.0.0:7450"}}, "webhooks.listen"),
        ({"webhooks": {"listen": "7450"}}, "webhooks.listen"),
        ({"webhooks": {"secret": "x"}}, "webhooks.secret"),
        ({"relays": ["http://relay.example"]}, "relays"),
        ({"relays": []}, "relays"),
        ({"agent": {"wall_clock_s": 0}}, "wall_clock_s"),
        ({"agent": {"unknown": 1}}, "unknown"),
        ({"budget": {"runs_per_day": -1}}, "runs_per_day"),
        ({"budget": {"group_usd_per_day": -0.5}}, "group_usd_per_day"),
        ({"budget": {"runs_per_week": 1}}, "runs_per_week"),
        ({"tasks": {"min_interval_s": 0}}, "min_interval_s"),
        ({"signal": {"number": "0170 1234567"}}, "signal.number"),
        ({"signal": {"number": "+49 170 1234567"}}, "signal.number"),
        ({"signal": {"number": "+4917012345678901"}}, "signal.number"),  # more than fifteen digits
        ({"signal": {"number": 491701234567}}, "quotation marks"),
        ({"signal": {"url": "127.0.0.1:8080"}}, "signal.url"),
        ({"signal": {"url": "ftp://127.0.0.1:8080"}}, "signal.url"),
        ({"signal": {"url": "http://127.0.0.1:99999"}}, "signal.url"),
        ({"signal": {"url": "https://me:secret@signal.example"}}, "no password is a setting"),
        ({"signal": {"url": "http://127.0.0.1@signal.example"}}, "no password is a setting"),
        ({"signal": {"url": "https://a b:8080"}}, "no name of a host"),
        ({"signal": {"url": "https://☃.net"}}, "begins with xn--"),
        ({"signal": {"url": "http://127.0.0.1:8080/?next=x"}}, "signal.url"),
        # Nothing but the network keeps others from the service.
        ({"signal": {"url": "http://192.168.1.10:8080"}}, "plain_http"),
        ({"signal": {"url": "http://0.0.0.0:8080"}}, "plain_http"),
        ({"signal": {"url": "http://127.0.0.1.example:8080"}}, "plain_http"),
        ({"signal": {"poll_s": 0}}, "signal.poll_s"),
        ({"signal": {"poll_s": 61}}, "signal.poll_s"),
        ({"signal": {"max_messages": 0}}, "signal.max_messages"),
        ({"signal": {"wings": 2}}, "signal.wings"),
        ({"wings": 2}, "wings"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, given: dict[str, object], word: str) -> None:
    write(tmp_path, given)
    with pytest.raises(SettingsError, match=word) as error:
        load(tmp_path)
    assert "nostrclaw.toml" in str(error.value)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "nostrclaw.toml").write_text("name = ")
    with pytest.raises(SettingsError, match="is not TOML"):
        load(tmp_path)
