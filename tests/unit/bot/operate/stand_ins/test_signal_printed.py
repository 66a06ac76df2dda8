"""bot/operate/stand_ins/signal_printed.py; tests/signal asks the service the same."""

from __future__ import annotations

import pytest

from bot.operate.stand_ins.signal_printed import ServiceError, array, decoded, without_warnings


def test_an_array_of_lines_whatever_they_are() -> None:
    assert array("") == "[]"
    assert array('{"a":1}\n{"b":2}\n') == '[{"a":1},{"b":2}]'
    assert array('{"a":1}\nOops, again\n') == '[{"a":1},Oops, again]'


def test_only_lines_of_information_and_warning_go() -> None:
    printed = "INFO  a\n{}\nWARN  b\n INFO c\nERROR d\n"
    assert without_warnings(printed) == "{}\n INFO c\nERROR d\n"


def test_json_alone_is_read() -> None:
    assert decoded(' {"a": [1]}\n') == {"a": [1]}


@pytest.mark.parametrize(
    ("printed", "what"),
    [
        ("", "unexpected end of JSON input"),
        ('{"a":', "unexpected end of JSON input"),
        ("Oops", "invalid character 'O' looking for beginning of value"),
        ("{}\nOops", "invalid character 'O' after top-level value"),
    ],
)
def test_what_is_no_json_alone(printed: str, what: str) -> None:
    with pytest.raises(ServiceError, match=what):
        decoded(printed)
