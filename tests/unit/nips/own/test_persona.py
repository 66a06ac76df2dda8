"""nips/own/persona.py: round trip, one over the other, and what is none."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.own.persona import MAX_TEXT_BYTES, Persona, checked, is_persona, parse, template
from nips.refusal import Malformed

ROUTER = "0a" * 32
GROUP = "6f1d2c3b-4a59-4e68-8d77-9c80a1b2c3d4"
ADA = Persona("Ada", "https://example.org/ada.png", "You are brief.\nYou are kind.")


@pytest.mark.parametrize("group", [None, GROUP])
@pytest.mark.parametrize("persona", [ADA, Persona(), Persona(text=""), Persona("Ada Ö. Lovelace")])
def test_round_trip(persona: Persona, group: str | None) -> None:
    event = template(persona, group, ROUTER, 7)
    assert is_persona(event)
    assert parse(event, ROUTER) == (group, persona)


def test_the_documented_form() -> None:
    event = template(Persona("Ada"), GROUP, ROUTER, 7)
    assert event.content == '{"name":"Ada"}'
    assert event.tag("d") == f"persona/{GROUP}"
    assert template(Persona(), None, ROUTER, 7).tag("d") == "persona"


def test_what_is_set_comes_before_what_is_set_elsewhere() -> None:
    everywhere = Persona("claw", "https://example.org/claw.png", "You are a claw.")
    assert Persona(name="Ada").over(everywhere) == replace(everywhere, name="Ada")
    assert Persona(text="").over(everywhere).text == ""
    assert Persona().over(everywhere) == everywhere


def test_a_field_is_changed_and_taken_away() -> None:
    assert Persona("Ada").changed({"text": "Brief."}) == Persona("Ada", None, "Brief.")
    assert ADA.changed({"name": None, "picture": None}) == Persona(text=ADA.text)
    with pytest.raises(Malformed, match="no field 'folder'"):
        ADA.changed({"folder": "main"})


def test_the_trigger_is_the_name() -> None:
    assert (Persona("Ada Lovelace").trigger, Persona().trigger) == ("@Ada Lovelace", "")


@pytest.mark.parametrize(
    "name",
    ["", " ", "Ada ", "\nAda", "A\u202eda", "A\u200bda", "@Ada", "Ada@home", "A" * 41, "A\tda"],
)
def test_a_name_is_one_line_that_prints(name: str) -> None:
    with pytest.raises(Malformed, match="a name has 1 to 40"):
        checked(Persona(name=name))


@pytest.mark.parametrize(
    "picture",
    ["", "http://example.org/a.png", "file:///etc/passwd", "data:image/png;base64,AA", "https://",
     "https://example.org/a b.png", "https://example.org/\n", "https://" + "a" * 500],
)  # fmt: skip
def test_a_picture_is_an_address_that_clients_fetch_anyway(picture: str) -> None:
    with pytest.raises(Malformed, match="a picture is an https address"):
        checked(Persona(picture=picture))


def test_a_text_has_an_end() -> None:
    checked(Persona(text="ä" * (MAX_TEXT_BYTES // 2)))
    with pytest.raises(Malformed, match="at most 16384 bytes"):
        checked(Persona(text="ä" * (MAX_TEXT_BYTES // 2 + 1)))


@pytest.mark.parametrize(
    ("d", "content"),
    [
        ("persona", "[]"),
        ("persona", '{"nick":"Ada"}'),
        ("persona", '{"name":7}'),
        ("persona", '{"name":"@Ada"}'),
        ("persona/main", "{}"),
        ("personal", "{}"),
        (f"group/{GROUP}", "{}"),
    ],
)
def test_what_is_none(d: str, content: str) -> None:
    event = template(ADA, None, ROUTER, 7)
    tags = (("d", d), *event.tags[1:])
    with pytest.raises(Malformed):
        parse(replace(event, tags=tags, content=content), ROUTER)


def test_another_key_says_nothing_about_it() -> None:
    with pytest.raises(Malformed, match="not by the router"):
        parse(template(ADA, None, "0b" * 32, 7), ROUTER)


@given(st.text(max_size=60), st.text(max_size=200))
def test_whatever_is_taken_is_read_again(name: str, text: str) -> None:
    try:
        persona = checked(Persona(name=name, text=text.encode(errors="replace").decode()))
    except Malformed:
        return
    assert parse(template(persona, GROUP, ROUTER, 7), ROUTER) == (GROUP, persona)
