"""Shell: the settings: the environment (NOSTRCLAW_…) over DATA/nostrclaw.toml over defaults.toml.

No secret is a setting: keys are files of their own, passphrases come through descriptors.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from nips.own import backend_name
from nips.refusal import Malformed

DEFAULTS = Path(__file__).with_name("defaults.toml")
FILE_NAME = "nostrclaw.toml"
E164 = re.compile(r"\+[1-9][0-9]{4,14}")
_HOST = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_HOST_NAME = re.compile(r"[A-Za-z0-9._:-]+")


class SettingsError(Exception):
    """A setting is wrong; the message names it, and what it may be."""


class AgentSettings(BaseModel):
    """The limits of one job: of its container, and of what it may ask of language models."""

    model_config = ConfigDict(extra="forbid")

    jobs_at_once: Annotated[int, Field(ge=1, le=64)]
    wall_clock_s: Annotated[int, Field(ge=5, le=86_400)]
    memory_mib: Annotated[int, Field(ge=64)]
    pids: Annotated[int, Field(ge=16, le=4_096)]
    cpus: Annotated[float, Field(gt=0)]
    folder_mib: Annotated[int, Field(ge=1)]
    spares: Annotated[int, Field(ge=0, le=64)]
    spare_idle_s: Annotated[int, Field(ge=1, le=86_400)]
    spare_free_mib: Annotated[int, Field(ge=0)]
    claude_memory_mib: Annotated[int, Field(ge=1_024)]
    backends: tuple[str, ...]
    model_names: tuple[str, ...]
    model_requests: Annotated[int, Field(ge=0)]
    model_tokens: Annotated[int, Field(ge=0)]
    model_usd: Annotated[float, Field(ge=0, le=1_000_000)]

    @field_validator("backends")
    @classmethod
    def _known(cls, backends: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(map(str, backend_name.parse_all(backends)))
        except Malformed as error:
            raise ValueError(str(error)) from error


class BudgetSettings(BaseModel):
    """What a UTC day may take, of all conversations together, and (`group_…`) of each one that has
    no budget of its own; 0: as much as it likes."""

    model_config = ConfigDict(extra="forbid")

    runs_per_day: Annotated[int, Field(ge=0)]
    tokens_per_day: Annotated[int, Field(ge=0)]
    usd_per_day: Annotated[float, Field(ge=0, le=1_000_000)]
    group_runs_per_day: Annotated[int, Field(ge=0)]
    group_tokens_per_day: Annotated[int, Field(ge=0)]
    group_usd_per_day: Annotated[float, Field(ge=0, le=1_000_000)]


class TaskSettings(BaseModel):
    """Scheduled tasks."""

    model_config = ConfigDict(extra="forbid")

    min_interval_s: Annotated[int, Field(ge=1, le=86_400)]


class SignalSettings(BaseModel):
    """The Signal account and the service that holds it; without a number there is no Signal."""

    model_config = ConfigDict(extra="forbid")

    url: str
    number: str
    plain_http: bool
    poll_s: Annotated[float, Field(ge=0.1, le=60)]
    max_messages: Annotated[int, Field(ge=1, le=200)]
    read_receipts: bool

    @field_validator("number", mode="before")
    @classmethod
    def _e164(cls, number: object) -> object:
        """E.164: `+`, then at most fifteen digits, the country's first."""
        if isinstance(number, str) and (not number or E164.fullmatch(number)):
            return number
        raise ValueError(
            'write the number in full and between quotation marks, such as "+491701234567"'
        )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        return service_url(url)

    @model_validator(mode="after")
    def _reached_alone(self) -> Self:
        # Attack: who stands between, or reaches the service too, speaks as the account's owner.
        if not (self.plain_http or is_near(self.url)):
            raise ValueError(
                f"{self.url} is on another machine and unencrypted, and the service has no login; "
                "use https://, or set plain_http = true in a network of your own"
            )
        return self


def with_url(signal: SignalSettings, url: str) -> SignalSettings:
    """The same with another address of the service. Raises SettingsError."""
    try:
        return SignalSettings.model_validate({**signal.model_dump(), "url": url})
    except ValidationError as error:
        raise SettingsError(_told(error)) from error


def service_url(url: str) -> str:
    """The address of a Signal service in one form. Raises ValueError."""
    given = urlsplit(url.strip())
    try:
        has_port = given.port is None or given.port > 0
    except ValueError:
        has_port = False
    if given.scheme not in ("http", "https") or not given.hostname or not has_port:
        raise ValueError(f"{url}: url is an address such as http://127.0.0.1:8080")
    if not _HOST_NAME.fullmatch(given.hostname):
        raise ValueError(f"{url}: that is no name of a host; one beyond ASCII begins with xn--")
    if given.username is not None or given.query or given.fragment:
        raise ValueError("url holds a host, a port and a path; no password is a setting")
    return urlunsplit((given.scheme, given.netloc.lower(), given.path.rstrip("/"), "", ""))


def loopback(listen: str, why: str) -> str:
    """An address on which only this machine is answered. Raises ValueError."""
    host, _, port = listen.rpartition(":")
    is_port = port.isascii() and port.isdigit() and int(port) <= 65_535
    if host not in ("127.0.0.1", "[::1]") or not is_port:
        raise ValueError(f"{listen}: give 127.0.0.1:PORT; {why}")
    return listen


def is_near(url: str) -> bool:
    """Say whether what is asked at a service's address can be read on its way by nobody."""
    given = urlsplit(url)
    if given.scheme == "https" or given.hostname == "localhost":
        return True
    try:
        return ip_address(given.hostname or "").is_loopback
    except ValueError:
        return False


class WebhookSettings(BaseModel):
    """Where programs on this machine may call tasks; nowhere where it is empty."""

    model_config = ConfigDict(extra="forbid")

    listen: str

    @field_validator("listen")
    @classmethod
    def _loopback(cls, listen: str) -> str:
        return listen and loopback(listen, "what calls tasks from elsewhere comes through a proxy")


class Settings(BaseSettings):
    """Everything a person may set."""

    model_config = SettingsConfigDict(
        env_prefix="NOSTRCLAW_", env_nested_delimiter="__", extra="forbid"
    )

    name: Annotated[str, Field(min_length=1, max_length=100)]
    about: str
    listen: str
    relays: Annotated[tuple[str, ...], Field(min_length=1, max_length=20), NoDecode]
    router_relay: str
    allowed_private_hosts: Annotated[tuple[str, ...], Field(max_length=50), NoDecode]
    keyring_hours: Annotated[int, Field(ge=0, le=8_760)]
    signal: SignalSettings
    agent: AgentSettings
    budget: BudgetSettings
    tasks: TaskSettings
    webhooks: WebhookSettings

    @field_validator("relays", "allowed_private_hosts", mode="before")
    @classmethod
    def _one_or_many(cls, given: object) -> object:
        """In the environment: addresses between commas or spaces, or a JSON array."""
        if not isinstance(given, str):
            return given
        if given.lstrip().startswith("["):
            return json.loads(given)
        return given.replace(",", " ").split()

    @field_validator("relays")
    @classmethod
    def _websockets(cls, relays: tuple[str, ...]) -> tuple[str, ...]:
        for url in relays:
            if not url.startswith(("wss://", "ws://127.0.0.1:", "ws://[::1]:")):
                raise ValueError(f"{url}: a relay is a wss:// address")
        return relays

    @field_validator("allowed_private_hosts")
    @classmethod
    def _hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for each in hosts:
            if not _HOST.fullmatch(each):
                raise ValueError(f"{each}: give host or host:port, such as 192.168.1.10:3000")
        return tuple(each.lower() for each in hosts)

    @field_validator("router_relay")
    @classmethod
    def _encrypted(cls, url: str) -> str:
        if url and not url.startswith(("wss://", "ws://127.0.0.1:", "ws://[::1]:")):
            raise ValueError(
                f"{url}: what is said there must be encrypted on its way; give a wss:// address"
            )
        return url

    @field_validator("listen")
    @classmethod
    def _loopback(cls, listen: str) -> str:
        return loopback(listen, "the relay is for this machine only")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """First wins: the environment, the person's file, the defaults."""
        files = (_Toml(settings_cls, path) for path in (cls._file, DEFAULTS) if path.exists())
        return (env_settings, *files)

    _file: ClassVar[Path] = DEFAULTS


class _Toml(TomlConfigSettingsSource):
    """One TOML file; pydantic-settings merges the sources deeply."""

    def __init__(self, settings_cls: type[BaseSettings], path: Path) -> None:
        super().__init__(settings_cls, toml_file=path)


def write(data: Path, given: Mapping[str, object]) -> None:
    """Write DATA/nostrclaw.toml: values, and tables of values."""
    tables = {k: v for k, v in given.items() if isinstance(v, Mapping)}
    lines = [f"{k} = {json.dumps(v)}" for k, v in given.items() if k not in tables]
    for name, table in tables.items():  # JSON's strings, numbers and arrays are TOML's too
        lines += ["", f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in table.items())]
    (data / FILE_NAME).write_text("\n".join(lines) + "\n")


def load(data: Path) -> Settings:
    """Read the settings of the data folder `data`.

    Raises SettingsError naming the setting and what it may be.
    """

    class Here(Settings):
        _file: ClassVar[Path] = data / FILE_NAME

    try:
        return Here()  # type: ignore[call-arg]
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise SettingsError(
            f"The setting {where} is wrong: {_told(error)}. "
            f"It stands in {data / FILE_NAME} or in the environment as NOSTRCLAW_…"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{data / FILE_NAME} is not TOML: {error}") from error


def _told(error: ValidationError) -> str:
    return error.errors()[0]["msg"].removeprefix("Value error, ")
