"""The forms of fields, at their edges."""

from __future__ import annotations

import pytest

from nips.event import Template
from nips.own import fields
from nips.refusal import Malformed

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def test_what_holds_comes_back() -> None:
    assert fields.integer("x", 0) == 0
    assert fields.integer("x", fields.MAX_SECONDS) == fields.MAX_SECONDS
    assert fields.integer("x", 7, 7, 7) == 7
    assert fields.text("x", "") == ""
    assert fields.hex32("x", "0f" * 32) == "0f" * 32
    assert fields.group_id("x", UUID) == UUID
    assert fields.json_object("x", '{"a":1}') == {"a": 1}
    template = Template("", 0, 1, (("d", "a", "b"), ("e",)), "")
    assert fields.only_tag("x", template, "d") == "a"
    fields.known_only("x", {"a": 1}, {"a", "b"})
    fields.of_kind("x", template, 1)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, fields.MAX_SECONDS + 1])
def test_what_is_no_integer(value: object) -> None:
    with pytest.raises(Malformed, match="x must be"):
        fields.integer("x", value)


@pytest.mark.parametrize(
    "value",
    [UUID.upper(), UUID[:-1], UUID + "\n", UUID.replace("-", ""), "", None, "../../etc", 5],
)
def test_what_is_no_group(value: object) -> None:
    with pytest.raises(Malformed):
        fields.group_id("x", value)


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "Etc/GMT+5", "America/Argentina/Salta"])
def test_the_name_of_a_zone(name: str) -> None:
    assert fields.zone_name("x", name) == name


@pytest.mark.parametrize(
    "name",
    ["", "../../etc/passwd", "/etc/localtime", "Europe/", "Europe/../Berlin", "a/b/c/d", "1/2",
     "Europe/Berlin\n", "Europe/Berlin\0", "x" * 33, None, 5],
)  # fmt: skip
def test_what_is_the_name_of_a_file(name: object) -> None:
    """Attack: a zone is a file's name to whoever looks it up."""
    with pytest.raises(Malformed, match="such as Europe/Berlin"):
        fields.zone_name("x", name)


@pytest.mark.parametrize("text", ["", "[]", "null", "NaN", '{"a":NaN}', "{", '{"a":1}x', "\ud800"])
def test_what_is_no_object(text: str) -> None:
    with pytest.raises(Malformed):
        fields.json_object("x", text)


@pytest.mark.parametrize("tags", [(), (("d",),), (("d", "a"), ("d", "a")), (("D", "a"),)])
def test_not_exactly_one_tag(tags: tuple[tuple[str, ...], ...]) -> None:
    with pytest.raises(Malformed, match="exactly one"):
        fields.only_tag("x", Template("", 0, 1, tags, ""), "d")


def test_the_rest() -> None:
    with pytest.raises(Malformed):
        fields.text("x", b"a")
    with pytest.raises(Malformed):
        fields.hex32("x", "0F" * 32)
    with pytest.raises(Malformed, match="unheard"):
        fields.known_only("x", {"unheard": 1}, {"a"})
    with pytest.raises(Malformed, match="kind 2, not 1"):
        fields.of_kind("x", Template("", 0, 1, (), ""), 2)
