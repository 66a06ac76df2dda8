"""Pure: the configured providers of language models. Source: `DATA/signer/models.toml`.

    [anthropic]
    style = "anthropic"                   # or "openai", which most local servers speak too
    url = "https://api.anthropic.com"     # http:// on this machine's loopback only
    stall_s = 300                         # the longest it may be silent
    unrestricted = false                  # may requests have it read the web, or run code?

    [anthropic.models."claude-sonnet-4-5"]
    usd_in = 3.0                          # per million tokens
    usd_out = 15.0
    usd_cached = 0.3                      # read from its cache; usd_in without it
    long_over = 200000                    # optional: a request that reads more than so many tokens
    usd_in_long = 6.0                     # costs this instead, all of it
    usd_out_long = 22.5

No secret stands there; the keys lie beside it, sealed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from nips.own.fields import integer, known_only, text
from nips.own.model_scope import MAX_NAME_CHARS
from nips.refusal import Malformed

Style = Literal["anthropic", "openai"]

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
STALL_S = 300
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ENTRIES = {"style", "url", "stall_s", "unrestricted", "models", "keyless"}
MAX_USD = 100_000
_LONG = ("long_over", "usd_in_long", "usd_out_long")


@dataclass(frozen=True, slots=True)
class LongPrice:
    """What a request costs, as a `Price`, that reads more than `over` tokens."""

    over: int
    fresh: int
    out: int


@dataclass(frozen=True, slots=True)
class Price:
    """Millionths of a US dollar per million tokens: whole numbers, so that sums are exact."""

    fresh: int
    out: int
    cached: int
    long: LongPrice | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """One endpoint. `keyless`: it takes no key, as local servers do. `models`: name to price."""

    name: str
    style: Style
    url: str
    models: Mapping[str, Price]
    stall_s: int = STALL_S
    unrestricted: bool = False
    keyless: bool = False

    @property
    def purpose(self) -> str:
        """What its key is sealed for: this name at this address, and nothing else."""
        return f"{self.name} {self.style} {self.url}"

    @property
    def limit_field(self) -> str:
        """By which name it wants to be told how long an answer may be, in OpenAI's form: OpenAI by
        the newer one, which its later models insist on; the others all know the older one."""
        host = urlsplit(self.url).hostname or ""
        newer = host == "openai.com" or host.endswith((".openai.com", ".openai.azure.com"))
        return "max_completion_tokens" if newer else "max_tokens"

    def address(self, path: str) -> str:
        """The full address of one of our own paths, such as `/v1/messages`.

        As the libraries of either style take a base: Anthropic's without `/v1`, OpenAI's with
        whatever stands in its place.
        """
        if self.style == "anthropic":
            return self.url + path
        return self.url + path.removeprefix("/v1")


def base(style: Style, given: str) -> str:
    """A base address in its one form. Raises Malformed when the key must not go there."""
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError as error:
        raise Malformed("a provider's address must be a URL") from error
    host = parts.hostname or ""
    if parts.scheme != "https" and (parts.scheme != "http" or host not in _LOOPBACK):
        # Attack: whoever is on the way reads the key.
        raise Malformed(
            "a provider's address begins with https://, or with http:// on this machine's loopback"
        )
    if not host or parts.username is not None or parts.query or parts.fragment:
        raise Malformed("a provider's address names a host, and no user, query or fragment")
    shown = f"[{host}]" if ":" in host else host
    path = parts.path.rstrip("/")
    if style == "anthropic":
        path = path.removesuffix("/v1")
    elif not path:
        path = "/v1"
    return f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}{path}"


def is_local(url: str) -> bool:
    """Say whether the provider runs on this machine."""
    return (urlsplit(url).hostname or "") in _LOOPBACK


def price(
    usd_in: float,
    usd_out: float,
    usd_cached: float | None = None,
    long: tuple[int, float, float] | None = None,
) -> Price:
    """From US dollars per million tokens; long: above how many tokens read, in, out. Raises
    Malformed."""
    cached = usd_in if usd_cached is None else usd_cached
    if long is not None:
        over = integer("a price: long_over", long[0], 1)
        above = LongPrice(over, _micro(long[1]), _micro(long[2]))
    return Price(_micro(usd_in), _micro(usd_out), _micro(cached), None if long is None else above)


def parse(mapping: Mapping[str, Any]) -> dict[str, Provider]:
    """Read the decoded file: providers by name. Raises Malformed naming what is wrong."""
    found: dict[str, Provider] = {}
    owners: dict[str, str] = {}
    for name, entry in mapping.items():
        found[name] = _provider(name, entry)
        for model in found[name].models:
            if (other := owners.setdefault(model, name)) != name:
                raise Malformed(f"models: both {other} and {name} have a model {model}")
    return found


def serving(providers: Mapping[str, Provider], model: str) -> Provider | None:
    """The provider that has a model of this name."""
    return next((one for one in providers.values() if model in one.models), None)


def render(providers: Mapping[str, Provider]) -> str:
    """The file's text; `parse` reads the same value back."""
    lines = [
        "# The providers of language models. No secret stands here: each key is sealed in a file",
        "# of its own, for its provider's name, style and url. Prices: US dollars per million",
        "# tokens. `nostrclaw model add` and `remove` write this; restart nostrclaw afterwards.",
    ]
    for one in providers.values():
        lines += [
            "",
            f"[{one.name}]",
            f"style = {json.dumps(one.style)}",
            f"url = {json.dumps(one.url)}",
            f"stall_s = {one.stall_s}  # the longest it may be silent",
            f"unrestricted = {json.dumps(one.unrestricted)}  # may requests have it read the web?",
            f"keyless = {json.dumps(one.keyless)}",
        ]
        for model, cost in one.models.items():
            lines += [
                "",
                f"[{one.name}.models.{json.dumps(model, ensure_ascii=False)}]",
                f"usd_in = {cost.fresh / 1_000_000!r}",
                f"usd_out = {cost.out / 1_000_000!r}",
                f"usd_cached = {cost.cached / 1_000_000!r}",
            ]
            if cost.long is not None:
                lines += [
                    f"long_over = {cost.long.over}",
                    f"usd_in_long = {cost.long.fresh / 1_000_000!r}",
                    f"usd_out_long = {cost.long.out / 1_000_000!r}",
                ]
    return "\n".join(lines) + "\n"


def provider_name(given: str) -> str:
    """A provider's name. Raises Malformed."""
    if not NAME.fullmatch(given):
        raise Malformed("a provider's name has 1 to 32 of a-z, 0-9 and -")
    return given


def _provider(name: str, entry: object) -> Provider:
    provider_name(name)
    where = f"models: {name}"
    if not isinstance(entry, Mapping):
        raise Malformed(f"{where} must be a table")
    known_only(where, entry, _ENTRIES)
    style = text(f"{where}: style", entry.get("style"))
    if style not in get_args(Style):
        raise Malformed(f"{where}: style must be one of {', '.join(get_args(Style))}")
    given = entry.get("models")
    if not isinstance(given, Mapping) or not given:
        raise Malformed(f"{where}: it needs the models that may be used")
    for flag in ("unrestricted", "keyless"):
        if not isinstance(entry.get(flag, False), bool):
            raise Malformed(f"{where}: {flag} must be true or false")
    return Provider(
        name,
        style,  # type: ignore[arg-type]  # one of Style's, checked above
        base(style, text(f"{where}: url", entry.get("url"))),  # type: ignore[arg-type]
        {model_name(model): _price(f"{where}: {model}", table) for model, table in given.items()},
        integer(f"{where}: stall_s", entry.get("stall_s", STALL_S), 1, 86_400),
        entry.get("unrestricted", False),
        entry.get("keyless", False),
    )


def model_name(given: str) -> str:
    """A model's name. Raises Malformed."""
    if not 0 < len(given) <= MAX_NAME_CHARS or not given.isprintable():
        raise Malformed(f"a model's name has 1 to {MAX_NAME_CHARS} printable characters")
    return given


def _price(where: str, table: object) -> Price:
    if not isinstance(table, Mapping):
        raise Malformed(f"{where} must be a table")
    known_only(where, table, {"usd_in", "usd_out", "usd_cached", *_LONG})
    for name, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Malformed(f"{where}: {name} must be a number")
    if "usd_in" not in table or "usd_out" not in table:
        raise Malformed(f"{where}: it needs usd_in and usd_out")
    long = None
    if any(name in table for name in _LONG):
        if not all(name in table for name in _LONG):
            raise Malformed(f"{where}: {', '.join(_LONG)} go together")
        long = table["long_over"], table["usd_in_long"], table["usd_out_long"]
    return price(table["usd_in"], table["usd_out"], table.get("usd_cached"), long)


def _micro(usd: float) -> int:
    if not 0 <= usd <= MAX_USD:  # NaN fails too
        raise Malformed(f"a price is a number of US dollars from 0 to {MAX_USD:,}")
    return round(usd * 1_000_000)
