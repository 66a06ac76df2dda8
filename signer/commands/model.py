"""Shell: `python -m signer model …`: the providers of language models.

nostrclaw model add anthropic --model claude-sonnet-4-5=3/15
nostrclaw model add local --url http://127.0.0.1:8080 --no-key --model qwen3
nostrclaw model list | remove NAME | test NAME | unlock
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time

import orjson

from signer import model_providers, passphrase
from signer.commands.terminal import Commands, Run, add_passphrase, command, say, tell
from signer.keystore import KeystoreError, read_text
from signer.model_door import hand_over
from signer.model_providers import STALL_S, Price, Provider, Style
from signer.model_store import ModelStore, api_key
from signer.secret import harden_process

# What a person need not say of the two that gave the styles their names.
KNOWN: dict[str, tuple[Style, str]] = {
    "anthropic": ("anthropic", "https://api.anthropic.com"),
    "openai": ("openai", "https://api.openai.com/v1"),
}
RESTART = "Start nostrclaw anew for it to take effect."
FAILED = 1


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Register the command and what can be done with providers."""
    parser = commands.add_parser("model", help="the providers of language models")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    adding = _action(actions, "add", _add, "configure a provider, in place of one of its name")
    adding.add_argument("name", help="a name of yours; anthropic and openai need no --url")
    adding.add_argument("--url", help="https://…, or http://127.0.0.1:PORT for one of your own")
    adding.add_argument("--style", choices=("anthropic", "openai"), help="openai without it")
    adding.add_argument(
        "--model",
        action="append",
        required=True,
        metavar="NAME[=IN/OUT[/CACHED][@TOKENS:IN/OUT]]",
        help="a model that may be used, and its prices in US dollars per million tokens; behind @ "
        "those of a request that reads more than so many TOKENS (repeat)",
    )
    adding.add_argument("--key-fd", type=int, metavar="N", help="read the API key from there")
    adding.add_argument("--no-key", action="store_true", help="it takes no key")
    adding.add_argument("--stall-s", type=int, default=STALL_S, help="the longest it may be silent")
    adding.add_argument(
        "--unrestricted",
        action="store_true",
        help="requests may have it read the web, run code and whatever else it offers",
    )
    add_passphrase(adding)

    _action(actions, "list", _list, "show them")
    removing = _action(actions, "remove", _remove, "forget one, and its key")
    removing.add_argument("name")
    unlocking = _action(actions, "unlock", _unlock, "hand the keys to a proxy that started locked")
    add_passphrase(unlocking)
    testing = _action(actions, "test", _test, "ask each of its models for one token")
    testing.add_argument("name")
    add_passphrase(testing)


def _action(
    actions: Commands[argparse.ArgumentParser], name: str, run: Run, summary: str
) -> argparse.ArgumentParser:
    parser = command(actions, name, run, summary=summary)
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    return parser


def _add(arguments: argparse.Namespace) -> int:
    harden_process()
    store = ModelStore(arguments.data)
    store.make_folder()
    provider = _provider(arguments)
    if arguments.no_key:
        key = b""
    elif arguments.key_fd is not None:
        key = api_key(read_text(arguments.key_fd))
    else:
        key = api_key(passphrase.ask(f"API key of {provider.name}: ", "--key-fd N"))
    known = store.passphrases_or_asked(arguments.passphrase_fd) if key else ()
    store.add(provider, key, known)
    sealed = "It takes no key." if not key else "Its key is sealed under the bot's passphrase."
    _report(
        arguments,
        _shown(provider),
        f"{provider.name} at {provider.url} is configured. {sealed} {RESTART}",
    )
    return 0


def _provider(arguments: argparse.Namespace) -> Provider:
    model_providers.provider_name(arguments.name)
    style, url = KNOWN.get(arguments.name, ("openai", ""))
    style, url = arguments.style or style, arguments.url or url
    if not url:
        raise KeystoreError(f"Where is {arguments.name}? Say --url https://…")
    base = model_providers.base(style, url)
    local = model_providers.is_local(base)
    models = dict(_model(given, free=local) for given in arguments.model)
    made = Provider(
        arguments.name, style, base, models, arguments.stall_s, arguments.unrestricted,
        arguments.no_key,
    )  # fmt: skip
    if made.keyless and not local:
        raise KeystoreError(f"{base} is not on this machine: without a key it will not answer.")
    return made


def _model(given: str, *, free: bool) -> tuple[str, Price]:
    name, separator, prices = given.rpartition("=")
    if not separator:
        if not free:
            raise KeystoreError(
                f"What does {given} cost? Say --model {given}=IN/OUT, in US dollars per million "
                "tokens; the limits on money need it."
            )
        return model_providers.model_name(given), Price(0, 0, 0)
    usual, separator, above = prices.partition("@")
    long = None
    try:
        usd = [float(one) for one in usual.split("/")]
        if len(usd) not in (2, 3):
            raise ValueError
        if separator:
            over, _, dearer = above.partition(":")
            usd_in, usd_out = map(float, dearer.split("/"))
            long = int(over), usd_in, usd_out
    except ValueError as error:
        raise KeystoreError(
            f"{given}: prices are IN/OUT or IN/OUT/CACHED, such as 3/15, and behind them "
            "@TOKENS:IN/OUT where longer requests cost more, such as 3/15/0.3@200000:6/22.5"
        ) from error
    cached = usd[2] if len(usd) == 3 else None
    return model_providers.model_name(name), model_providers.price(usd[0], usd[1], cached, long)


def _list(arguments: argparse.Namespace) -> int:
    known = ModelStore(arguments.data).providers()
    if arguments.json:
        say(json.dumps([_shown(one) for one in known.values()], ensure_ascii=False))
        return 0
    if not known:
        tell("No provider is configured. Add one: nostrclaw model add anthropic --model …")
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table("provider", "model", "in", "out", "cached", "long", "address", box=None)
    for one in known.values():
        for name, cost in one.models.items():
            usd = [f"${micro / 1_000_000:g}" for micro in (cost.fresh, cost.out, cost.cached)]
            above = ""
            if (long := cost.long) is not None:
                dearer = "/".join(f"${micro / 1_000_000:g}" for micro in (long.fresh, long.out))
                above = f"{dearer} over {long.over:,}"
            table.add_row(one.name, name, *usd, above, one.url)
    Console(highlight=False).print(table)
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    ModelStore(arguments.data).remove(arguments.name)
    _report(
        arguments,
        {"removed": arguments.name},
        f"{arguments.name} and its key are gone from here. {RESTART}",
    )
    return 0


def _unlock(arguments: argparse.Namespace) -> int:
    harden_process()
    store = ModelStore(arguments.data)
    keys = store.unlock(
        lambda: store.passphrases_or_asked(arguments.passphrase_fd), store.providers()
    )
    taken = hand_over(store.folder, keys)
    _report(arguments, {"unlocked": taken}, f"Unlocked: {', '.join(taken)}.")
    return 0


def _test(arguments: argparse.Namespace) -> int:
    harden_process()
    store = ModelStore(arguments.data)
    provider = store.providers().get(arguments.name)
    if provider is None:
        raise KeystoreError(f"There is no provider {arguments.name!r}. See: nostrclaw model list")
    keys = store.unlock(
        lambda: store.passphrases_or_asked(arguments.passphrase_fd), {provider.name: provider}
    )
    found = asyncio.run(_tried(provider, keys[provider.name]))
    if arguments.json:
        say(json.dumps(found, ensure_ascii=False))
    else:
        for one in found:
            say(f"{'ok    ' if one['ok'] else 'failed'}  {one['model']}  {one['told']}")
    return 0 if all(one["ok"] for one in found) else FAILED


async def _tried(provider: Provider, key: bytes) -> list[dict[str, object]]:
    # Here, so that the signer's own process is spared what it never uses.
    from signer.model_upstream import Upstream, UpstreamFailed, trusted_roots

    path, limit = "/v1/messages", "max_tokens"
    if provider.style == "openai":
        path, limit = "/v1/chat/completions", provider.limit_field
    upstream = Upstream(provider, key, trusted_roots())
    found: list[dict[str, object]] = []
    try:
        for model in provider.models:
            began_s = time.monotonic()
            asked = {"model": model, limit: 1, "messages": [_HELLO]}
            try:
                async with upstream.call(path, orjson.dumps(asked), {}) as response:
                    size = sum([len(piece) async for piece in upstream.pieces(response)])
                ms = round((time.monotonic() - began_s) * 1000)
                ok = response.status_code == 200
                told = f"{response.status_code}, {size} bytes in {ms} ms"
            except UpstreamFailed as error:
                ok, told = False, str(error)
            found.append({"model": model, "ok": ok, "told": told})
    finally:
        await upstream.close()
    return found


_HELLO = {"role": "user", "content": "Hi"}


def _shown(one: Provider) -> dict[str, object]:
    return {
        "name": one.name,
        "style": one.style,
        "url": one.url,
        "keyless": one.keyless,
        "unrestricted": one.unrestricted,
        "stall_s": one.stall_s,
        "models": {
            name: {
                "usd_in": cost.fresh / 1_000_000,
                "usd_out": cost.out / 1_000_000,
                "usd_cached": cost.cached / 1_000_000,
                **(
                    {}
                    if (long := cost.long) is None
                    else {
                        "long_over": long.over,
                        "usd_in_long": long.fresh / 1_000_000,
                        "usd_out_long": long.out / 1_000_000,
                    }
                ),
            }
            for name, cost in one.models.items()
        },
    }


def _report(arguments: argparse.Namespace, told: dict[str, object], sentence: str) -> None:
    if arguments.json:
        say(json.dumps(told, ensure_ascii=False))
    else:
        tell(sentence)
