"""Shell: one table of DATA/nostrclaw.toml changed; the rest of what a person wrote there stays.

The text is changed by lines, then read again: where that is not exactly what was meant, because the
table was written in another of TOML's forms, nothing is changed and the person is told what to
write.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from config.roles import write_whole
from config.settings import FILE_NAME, SettingsError

Value = str | bool | int | float


def set_in_table(data: Path, table: str, values: Mapping[str, Value]) -> Path:
    """Write `values` into a table of the settings of the data folder `data`; returns the file.

    Raises SettingsError with what to write by hand.
    """
    file = data / FILE_NAME
    before = file.read_text("utf-8") if file.exists() else ""
    try:
        meant = tomllib.loads(before)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is not TOML: {error}") from error
    after = changed(before, table, values)
    meant[table] = {**_table(meant, table), **values}
    if _read(after) != meant:
        lines = "\n".join([f"  [{table}]", *(f"  {_line(k, v)}" for k, v in values.items())])
        raise SettingsError(
            f"{file} is written in a way that is not changed by a program. Put this into it:\n"
            f"{lines}"
        )
    # A link to where somebody keeps their settings stays one.
    write_whole(file.resolve(), after, mode=0o600)
    return file


def changed(text: str, table: str, values: Mapping[str, Value]) -> str:
    """The text of a file with a table's values: those there are replaced in their lines, the rest
    added at the table's end, which without such a table is the file's."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if _is_head(line, table)), None)
    if start is None:
        head = ["", f"[{table}]"] if lines else [f"[{table}]"]
        return "\n".join([*lines, *head, *(_line(k, v) for k, v in values.items())]) + "\n"
    heads = (i for i in range(start + 1, len(lines)) if lines[i].lstrip().startswith("["))
    end = next(heads, len(lines))
    inside = lines[start + 1 : end]
    rest = dict(values)
    for i, line in enumerate(inside):
        key = line.partition("=")[0].strip()
        if key in rest:
            inside[i] = _line(key, rest.pop(key)) + _comment(line)
    last = max((i for i, line in enumerate(inside) if line.strip()), default=-1)
    inside[last + 1 : last + 1] = [_line(k, v) for k, v in rest.items()]
    return "\n".join([*lines[: start + 1], *inside, *lines[end:]]) + "\n"


def _is_head(line: str, table: str) -> bool:
    return re.fullmatch(rf"\s*\[\s*{re.escape(table)}\s*\]\s*(#.*)?", line) is not None


def _comment(line: str) -> str:
    """What stands behind a line's value, with the blanks before it."""
    for found in re.finditer("#", line):
        if _read(line[: found.start()]) is not None:  # else it is a sign within the value
            before = line[: found.start()].rstrip()
            return line[len(before) :]
    return ""


def _line(key: str, value: Value) -> str:
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"


def _table(read: Mapping[str, object], table: str) -> Mapping[str, object]:
    found = read.get(table)
    return found if isinstance(found, dict) else {}


def _read(text: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
