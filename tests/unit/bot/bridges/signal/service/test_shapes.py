"""What the service's errors leave certain."""

from __future__ import annotations

import pytest

from bot.bridges.signal.service.shapes import (
    RateLimited,
    Rejected,
    ServiceError,
    Uncertain,
    Unreachable,
)


@pytest.mark.parametrize("kind", [Unreachable, Uncertain, Rejected, RateLimited])
def test_whoever_waits_for_the_service_catches_one_error(kind: type[ServiceError]) -> None:
    assert issubclass(kind, ServiceError)


def test_who_repeats_what_was_not_done_never_repeats_what_may_have_been() -> None:
    assert not issubclass(Uncertain, Unreachable)
    assert not issubclass(Rejected, Unreachable)


def test_a_rate_limit_is_a_refusal_with_its_status_and_tokens() -> None:
    error = RateLimited("Slowly.", ("t-1",))
    assert isinstance(error, Rejected)
    assert (str(error), error.status, error.tokens) == ("Slowly.", 429, ("t-1",))
