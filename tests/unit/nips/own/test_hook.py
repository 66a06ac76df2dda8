"""nips/own/hook.py: who calls a task, and attempts to be somebody else."""

from __future__ import annotations

import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nips.own import hook
from nips.own.hook import WINDOW_S, Signed
from nips.refusal import Malformed

SECRET, OTHER = bytes(range(32)), bytes(32)
NOW = 1_767_225_600
BODY = b'{"a":1}'


def test_the_documented_form() -> None:
    mac = hmac.new(SECRET, b"1767225600." + BODY, hashlib.sha256).hexdigest()
    assert hook.header(SECRET, NOW, BODY) == f"t=1767225600,v1={mac}"
    assert hook.parse(f" t=1767225600,v1={mac} ") == Signed(NOW, mac)


@pytest.mark.parametrize(
    "value",
    [
        "", "t=1", f"v1={'a' * 64}", f"t=,v1={'a' * 64}", f"t=-1,v1={'a' * 64}",
        f"t=1,v1={'A' * 64}", f"t=1,v1={'a' * 63}", f"t=1,v1={'a' * 65}", f"t=1,v2={'a' * 64}",
        f"t=1,t=2,v1={'a' * 64}", f"t=1,v1={'a' * 64},v1={'b' * 64}", f"t=\u0661,v1={'a' * 64}",
        f"t={'9' * 12},v1={'a' * 64}",
    ],
)  # fmt: skip
def test_what_is_no_signature(value: str) -> None:
    with pytest.raises(Malformed, match="sign it: X-Nostrclaw-Signature"):
        hook.parse(value)


def test_by_whom_and_of_what() -> None:
    signed = hook.parse(hook.header(SECRET, NOW, BODY))
    assert hook.holds(SECRET, signed, BODY)
    # Attacks: another task's secret, another body, another time, a byte moved over the dot.
    assert not hook.holds(OTHER, signed, BODY)
    assert not hook.holds(SECRET, signed, BODY + b" ")
    assert not hook.holds(SECRET, Signed(NOW + 1, signed.mac), BODY)
    moved = hook.parse(hook.header(SECRET, 17, b"67." + BODY))
    assert not hook.holds(SECRET, Signed(1767, moved.mac), BODY)


@pytest.mark.parametrize(
    ("late_s", "is_fresh"), [(0, True), (WINDOW_S, True), (WINDOW_S + 1, False), (-WINDOW_S, True),
                             (-WINDOW_S - 1, False)],
)  # fmt: skip
def test_for_how_long_it_counts(late_s: int, is_fresh: bool) -> None:
    assert hook.is_fresh(Signed(NOW, "a" * 64), NOW + late_s) is is_fresh


def test_the_name_of_a_run() -> None:
    first, second = Signed(NOW, "a" * 64), Signed(NOW + 9, "b" * 64)
    assert hook.slot(first, None) != hook.slot(second, None), "the same words again are a new call"
    assert hook.slot(first, "deploy-7") == hook.slot(second, "deploy-7"), "called again"
    assert hook.slot(first, "a" * 64) != hook.slot(first, None)
    assert re.fullmatch(r"[0-9a-z]{1,64}", hook.slot(first, "x"))


@pytest.mark.parametrize("once", ["", "x" * 201, "a\nb", "ü"])
def test_what_names_no_run(once: str) -> None:
    with pytest.raises(Malformed, match="1 to 200 plain characters"):
        hook.slot(Signed(NOW, "a" * 64), once)


@given(st.binary(max_size=99), st.binary(max_size=99), st.integers(0, NOW), st.integers(0, NOW))
def test_no_two_calls_have_one_signature(a: bytes, b: bytes, at: int, other: int) -> None:
    if (a, at) != (b, other):
        assert not hook.holds(SECRET, hook.parse(hook.header(SECRET, at, a)), b) or at != other
        assert hook.header(SECRET, at, a)[-64:] != hook.header(SECRET, other, b)[-64:]
