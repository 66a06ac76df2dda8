"""What an answer that is no success means."""

from __future__ import annotations

import json

import pytest

from bot.bridges.signal.service.refusals import error_text, refusal, said
from bot.bridges.signal.service.shapes import (
    RateLimited,
    Rejected,
    ServiceError,
    Uncertain,
    Unreachable,
)

TRACE = "java.lang.NullPointerException\n\tat org.asamk.signal.Main.main(Main.java:9)"


def body(error: str) -> str:
    return json.dumps({"error": error})


@pytest.mark.parametrize(
    ("status", "text", "acting", "asking"),
    [
        # The service's own answers.
        (400, body("Invalid group id"), Rejected, Rejected),
        (400, body("User +4915100000001 is not registered."), Rejected, Rejected),
        (404, body("No attachment with that name found"), Rejected, Rejected),
        (400, body('exec: "signal-cli": executable file not found'), Rejected, Rejected),
        # It ended well, and its output could not be read: it was done.
        (400, body("invalid character 'E' after top-level value"), Uncertain, Rejected),
        (400, body("unexpected end of JSON input"), Uncertain, Rejected),
        (400, body("json: cannot unmarshal string into Go value"), Uncertain, Rejected),
        # It was killed, or fell, somewhere on the way.
        (400, body("process killed as timeout reached"), Uncertain, Rejected),
        (400, body(""), Uncertain, Rejected),
        (400, body("INFO  SignalAccount - Config file is in use\n"), Uncertain, Rejected),
        (400, body(TRACE), Uncertain, Rejected),
        # Signal could not be reached before anything was sent.
        (
            400,
            body("Error while checking account +49: Connection refused"),
            Unreachable,
            Unreachable,
        ),
        (400, body("INFO  x\nError while checking account +49: y"), Unreachable, Unreachable),
        (400, body("write tcp 127.0.0.1:5->127.0.0.1:6001: broken pipe"), Unreachable, Unreachable),
        # What stands before the service.
        (503, "<html>", Unreachable, Unreachable),
        (502, "<html>", Uncertain, Rejected),
        (500, "", Uncertain, Rejected),
        (500, body("Couldn't get list of accounts"), Rejected, Rejected),
        (404, "404 page not found", Rejected, Rejected),
        (401, "", Rejected, Rejected),
        (302, "", Rejected, Rejected),
        (429, body("Rate limit"), RateLimited, RateLimited),
        (429, "", RateLimited, RateLimited),
    ],
)
def test_it_means_what_is_certain(
    status: int, text: str, acting: type[ServiceError], asking: type[ServiceError]
) -> None:
    assert type(refusal(status, text, acts=True)) is acting
    found = refusal(status, text, acts=False)
    assert type(found) is asking
    assert str(found).endswith((".", "?"))
    if isinstance(found, Rejected):
        assert found.status == status


def test_a_rate_limit_has_tokens_that_are_plain() -> None:
    text = {"error": "x", "challenge_tokens": ["t-1", "", 5, "a\nb", "ü"], "account": "+49"}
    found = refusal(429, json.dumps(text), acts=True)
    assert isinstance(found, RateLimited)
    assert found.tokens == ("t-1",)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("Invalid group id", "Invalid group id"),
        ("one\ntwo\n\n", "two"),
        ("two\n\tat org.x(Y.java)\n", "two"),
        ('{"envelope":{"message":"secret"}}\nclosed.', "closed"),
        ('{"envelope":{"message":"sec', "it gives no reason"),
        ("\x1b[2J red", "[2J red"),
        ("User +4915112345678 is not registered.", "User +…78 is not registered"),
        (
            "Failed to send to 7b1e5c0a-3f52-4d0e-9a86-1c2f0b9d4e77",
            "Failed to send to 7b1e5c0a…",
        ),
        ("", "it gives no reason"),
    ],
)
def test_a_sentence_is_for_people(error: str, sentence: str) -> None:
    assert said(error) == f"The Signal service says: {sentence}."


def test_a_sentence_is_short() -> None:
    assert len(said("x" * 10_000)) < 300


@pytest.mark.parametrize("fill", ["\n", "\t", " ", "\n ", "INFO\n", "+49", "at ", "\n\tat a."])
def test_a_long_complaint_is_over_soon(fill: str) -> None:
    """Attack: a complaint whose reading never ends, and nobody else's work goes on meanwhile."""
    text = body("x" + fill * (1_000_000 // len(fill)))
    assert isinstance(refusal(400, text, acts=True), ServiceError)


@pytest.mark.parametrize("text", ["", "[]", '{"error":5}', "Bad Request\n{}", "{"])
def test_what_is_not_the_services_own_form_has_no_error(text: str) -> None:
    assert error_text(text) is None
