"""Pure: the announcement of a part that answers requests: from now on they are answered.

A 24133 in NIP-46's request form, from the part to each client that may be waiting:

    {"id":"<random>","method":"serving","params":[]}

It has no answer. Requests are ephemeral, so one that was made while the part was away is gone;
whoever hears this and still waits asks again at once. Source: PROTOCOL.md "Requests to the signer".
"""

from __future__ import annotations

from nips.nip46 import Request, parse_request
from nips.refusal import Malformed

METHOD = "serving"


def announcement(request_id: str) -> Request:
    """The message; `request_id` is random, as every request's."""
    return Request(request_id, METHOD)


def is_announcement(text: str) -> bool:
    """Say whether a decrypted message is one; a response has no method."""
    try:
        return parse_request(text).method == METHOD
    except Malformed:
        return False
