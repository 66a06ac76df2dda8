"""Pure: what a bridge cannot manage by itself, and in what words its owner is told.

    challenge  [token]           the network takes no more until a captcha is solved; where there is
                                 no token there is nothing to be done but wait
    uncertain  [event id]        a message of ours may have gone out or not
    failed     [event id, why]   a message of ours did not go out
    away       [since, why]      the network's service cannot be reached since then (unix seconds)
    back       [since]           it can again; since: of its `away`

A bridge says of which sort a trouble is and what it is about; the words are ours. Of its own words
a short line stands in quotes, without what no eye sees. Source: PROTOCOL.md "Trouble".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from bot.requests.widening import shown
from nips.key import is_hex
from nips.refusal import Malformed

Topic = Literal["challenge", "uncertain", "failed", "away", "back"]
TOPICS: tuple[Topic, ...] = get_args(Topic)
ABOUT_A_MESSAGE: frozenset[Topic] = frozenset({"uncertain", "failed"})
NETWORKS = {"signal": "Signal"}  # whose troubles are told, as people call them
CAPTCHA_PAGE = "https://signalcaptchas.org/challenge/generate.html"
MAX_AHEAD_S = 300
MAX_AGO_S = 366 * 86_400
# Attack: a token that the owner's shell, or the command that they are told to type, obeys.
_TOKEN = re.compile(r"[A-Za-z0-9_.+/=][A-Za-z0-9_.+/=-]{0,299}")
_SECONDS = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Trouble:
    """network: such as `signal`. detail: what it is about, as the topic has it. why: the network's
    own words, or none. day: UTC, of one that is told anew on another."""

    network: str
    topic: Topic
    detail: str
    why: str = ""
    day: str = ""

    @property
    def once(self) -> tuple[str, ...]:
        """What tells it apart: it is told once."""
        return ("trouble", self.network, self.topic, self.detail or self.day)


def read(network: str, topic: str, detail: str, why: str, now_s: int) -> Trouble:
    """A bridge's word. Raises Malformed."""
    known = next((each for each in TOPICS if each == topic), None)
    if network not in NETWORKS or known is None:
        raise Malformed("there is no such trouble to be told of")
    match known:
        case "challenge" if not detail:
            day = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%d")
            return Trouble(network, "challenge", "", day=day)
        case "challenge" if not _TOKEN.fullmatch(detail):
            raise Malformed("that is no token of a challenge")
        case "uncertain" | "failed" if not is_hex(detail, 32):
            raise Malformed("a message is named by its id")
        case "away" | "back" if not (
            _SECONDS.fullmatch(detail) and now_s - MAX_AGO_S <= int(detail) <= now_s + MAX_AHEAD_S
        ):
            raise Malformed("since when is told in unix seconds")
    return Trouble(network, known, detail, why)


def sentence(trouble: Trouble, group: str = "", said: str = "") -> str:
    """What the owner is told. group, said: of a trouble with a message, where it was said and its
    words."""
    called = NETWORKS[trouble.network]
    why = f" ({called} says {shown(trouble.why)})" if trouble.why.strip() else ""
    match trouble.topic:
        case "challenge" if not trouble.detail:
            return (
                f"⚠️ {called} wants me to write less for a while. What I have to say there waits, "
                "and goes out by itself."
            )
        case "challenge":
            return (
                f"⚠️ {called} takes no more from me until a person has solved a captcha. What I "
                "have to say there waits.\n"
                f"1. Open {CAPTCHA_PAGE} and solve it.\n"
                "2. Copy the address behind “Open Signal”; it begins with signalcaptcha://\n"
                "3. On the machine, with that address for CAPTCHA:\n"
                f"nostrclaw signal challenge {trouble.detail} 'CAPTCHA'"
            )
        case "uncertain":
            return (
                f"❔ In {group}: whether this has reached {called}, nobody can tell: {shown(said)} "
                "I do not say it again, or it could be there twice. If it is missing there, ask "
                "for it anew."
            )
        case "failed":
            return f"❌ In {group}: this did not reach {called}: {shown(said)}{why}"
        case "away":
            return (
                f"⚠️ I cannot reach {called} since {_clock(int(trouble.detail))} UTC{why}. What I "
                "have to say there waits, and what is written to me there is kept by the network. "
                "On the machine, this tells more: nostrclaw signal status"
            )
        case "back":
            return (
                f"{called} is back. It was away since {_clock(int(trouble.detail))} UTC; what "
                "waited is under way."
            )


def _clock(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M")
