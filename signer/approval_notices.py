"""Shell: what the bot says about a question: that it is asked, and how it ended.

Signed here, kept in the ledger's transaction, and gathered to be published when that is on the
disk. None has a once-key: an agent could have had its own words signed under it before.
"""

from __future__ import annotations

from collections.abc import Callable

from nips.event import Event, Tag, Template
from nips.kinds import Kind
from nips.own import approval as forms
from nips.own.roles import Roles
from signer import approval, question
from signer.approval import Question, State
from signer.ledger import Ledger


class Notices:
    """See above. sign: with the bot's key."""

    def __init__(self, ledger: Ledger, sign: Callable[[Template], Event], roles: Roles) -> None:
        self._ledger, self._sign, self._roles = ledger, sign, roles
        self._outgoing: list[Event] = []

    def drain(self) -> tuple[Event, ...]:
        """What was signed since the last time, to be published in this order."""
        out, self._outgoing = tuple(self._outgoing), []
        return out

    def sign(self, template: Template, once: str | None = None) -> Event:
        """Sign, keep, and have it published."""
        event = self._sign(template)
        self._ledger.keep_signed(event, once)
        self._outgoing.append(event)
        return event

    def say(self, text: str, now_s: float) -> Event:
        """A kind 9 of the bot's in main; the bridge brings it to the owner."""
        tags: tuple[Tag, ...] = (
            ("h", self._roles.main),
            ("L", "agent"),
            ("l", "notice", "agent"),
        )
        return self.sign(Template(self._roles.bot, int(now_s), Kind.CHAT, tags, text))

    def ask(self, asked: Question, note: str, owner: str, now_s: float) -> tuple[Event, Event]:
        """Show a question; returns the gate and the message, which an answer may name."""
        bot, main, at = self._roles.bot, self._roles.main, int(now_s)
        task = f"Publish {question.name_of(asked.template.kind)}"
        self.sign(forms.started(bot, main, asked.run, task, at))
        gate = self.sign(forms.gate(bot, main, asked.run, owner, note, at))
        return gate, self.say(asked.text, now_s)

    def end(self, found: Question, verdict: str, now_s: float) -> None:
        """Tell how a question ended. verdict: why the relay refused what was signed, or empty."""
        bot, main, at = self._roles.bot, self._roles.main, int(now_s)
        words = approval.outcome(found)
        if verdict:
            words = f"Signed, as you approved, but the relay did not take it: {verdict}"
        if found.state is State.APPROVED and not verdict:
            self.sign(forms.finished(bot, main, found.run, at))
            self.say(f"✅ {words}", now_s)
        else:
            self.sign(forms.failed(bot, main, found.run, words, at))
            self.say(f"❌ {words}", now_s)
