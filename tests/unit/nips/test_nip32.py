import pytest

from nips.event import Tag
from nips.nip32 import AI, is_by_agent


@pytest.mark.parametrize(
    ("tags", "says_so"),
    [
        (AI, True),
        ((("L", "agent"),), True),  # one of the two is enough
        ((("l", "notice", "agent"),), True),
        ((("l", "agent"),), False),  # a label of that name in no namespace
        ((("L", "language"), ("l", "en", "language")), False),
        ((("p", "agent"), ("L",), ("l",)), False),
        ((), False),
    ],
)
def test_what_a_program_wrote_is_told(tags: tuple[Tag, ...], says_so: bool) -> None:
    assert is_by_agent(tags) is says_so
