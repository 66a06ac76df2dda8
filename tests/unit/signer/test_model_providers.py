"""signer/model_providers.py and model_caps.py: what a person configures."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from nips.refusal import Malformed
from signer import model_caps
from signer.model_caps import ModelCaps
from signer.model_providers import LongPrice, Price, Provider, base, parse, price, render, serving

LONG = price(3, 15, 0.3, (200_000, 6, 22.5))
ONE = Provider(
    "one", "anthropic", "https://api.example", {"claude": price(3, 15, 0.3), "long": LONG}
)
TWO = Provider(
    "two", "openai", "http://127.0.0.1:8080/v1", {'q"w 🦀': price(0, 0)}, 5, True, True
)  # fmt: skip


def test_what_is_written_is_read_back() -> None:
    known = {"one": ONE, "two": TWO}
    assert parse(tomllib.loads(render(known))) == known


def test_prices_are_exact() -> None:
    assert price(3, 15, 0.3) == Price(3_000_000, 15_000_000, 300_000)
    assert price(0.1, 0.2) == Price(100_000, 200_000, 100_000)
    assert LONG.long == LongPrice(200_000, 6_000_000, 22_500_000)


@pytest.mark.parametrize(
    ("style", "given", "found"),
    [
        ("anthropic", "https://api.anthropic.com", "https://api.anthropic.com"),
        ("anthropic", "https://api.anthropic.com/v1/", "https://api.anthropic.com"),
        ("openai", "https://api.openai.com", "https://api.openai.com/v1"),
        ("openai", "https://openrouter.ai/api/v1/", "https://openrouter.ai/api/v1"),
        ("openai", "http://[::1]:8080", "http://[::1]:8080/v1"),
        ("openai", "HTTPS://API.example:444/x", "https://api.example:444/x"),
    ],
)
def test_addresses_have_one_form(style: Any, given: str, found: str) -> None:
    assert base(style, given) == found


@pytest.mark.parametrize(
    "given",
    [
        "http://api.example", "ftp://x", "https://", "api.example", "https://u@api.example",
        "https://api.example?x=1", "https://api.example#x", "http://127.0.0.1.evil.example",
        "https://a:99999", "http://localhost@evil.example",
    ],
)  # fmt: skip
def test_a_key_goes_to_no_such_address(given: str) -> None:
    with pytest.raises(Malformed):
        base("openai", given)


@pytest.mark.parametrize(
    ("url", "field"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://mine.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("https://openai.com.example/v1", "max_tokens"),
        ("http://127.0.0.1:8080/v1", "max_tokens"),
    ],
)
def test_each_is_told_the_limit_in_its_own_word(url: str, field: str) -> None:
    assert Provider("p", "openai", url, {}).limit_field == field


def test_paths_are_those_of_the_style() -> None:
    assert ONE.address("/v1/messages") == "https://api.example/v1/messages"
    assert TWO.address("/v1/chat/completions") == "http://127.0.0.1:8080/v1/chat/completions"


def test_a_key_is_for_one_name_style_and_address() -> None:
    purposes = {
        Provider(name, style, url, {}).purpose
        for name in ("a", "b")
        for style in ("anthropic", "openai")
        for url in ("https://a", "https://b")
    }  # type: ignore[arg-type, unused-ignore]
    assert len(purposes) == 8


def test_a_model_is_served_by_who_has_it() -> None:
    known = {"one": ONE, "two": TWO}
    assert serving(known, "claude") is ONE
    assert serving(known, "other") is None


@pytest.mark.parametrize(
    "change",
    [
        {"style": "other"}, {"url": "http://api.example"}, {"models": {}}, {"models": 1},
        {"key": "sk-…"}, {"stall_s": 0}, {"unrestricted": "yes"}, {"models": {"m": {}}},
        {"models": {"m": {"usd_in": -1, "usd_out": 1}}},
        {"models": {"m": {"usd_in": True, "usd_out": 1}}},
        {"models": {"m": {"usd_in": 1.0, "usd_out": float("nan")}}},
        {"models": {"m": {"usd_in": 1, "usd_out": 1, "free": 1}}},
        {"models": {"m": {"usd_in": 1, "usd_out": 1, "long_over": 5}}},
        {"models": {"m": {"usd_in": 1, "usd_out": 1, "long_over": 0, "usd_in_long": 1,
                          "usd_out_long": 1}}},
    ],
)  # fmt: skip
def test_a_mistake_is_named(change: dict[str, Any]) -> None:
    table = tomllib.loads(render({"one": ONE}))
    with pytest.raises(Malformed, match=r"models: one|a price|a provider"):
        parse({"one": table["one"] | change})


def test_caps_are_read_back_and_wrong_ones_refused() -> None:
    caps = ModelCaps(1, 2, 3_500_000, 4, 5, 6)
    assert model_caps.parse(tomllib.loads("\n".join(model_caps.render(caps)))["models"]) == caps
    assert model_caps.parse({}) == ModelCaps()
    for wrong in ({"usd_per_day": -1}, {"usd_per_day": "1"}, {"requests_per_day": 1.5}, {"x": 1}):
        with pytest.raises(Malformed):
            model_caps.parse(wrong)
