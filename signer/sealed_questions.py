"""Shell: what is sealed to the owner: a question's own words are known by their rumor's id then.

Attack: a bot that was taken over has a harmless question sealed and bound to a dangerous run. Only
the signer's own text of a run binds, to the owner and with nothing beside it but the label of a
program; words that only look like a question's are not sealed at all.
"""

from __future__ import annotations

from nips import nip32
from nips.event import Template
from nips.kinds import Kind
from nips.refusal import Prefix, refused
from signer.approval import names_one_of
from signer.approvals_ledger import ApprovalsLedger


def see(questions: ApprovalsLedger, rumor: Template, owner: str, *, are_open: bool) -> None:
    """Take a rumor to the owner before it is sealed, inside the ledger's transaction.

    are_open: whether any question is. Raises Refused where it names an open question's code.
    """
    told = tuple(tag for tag in rumor.tags if tag not in nip32.AI)
    if rumor.kind == Kind.DIRECT_MESSAGE and told == (("p", owner),):
        found = questions.of_text(rumor.content)
        if found is not None:
            questions.show(rumor.id, found.run)
            return
    codes = [one.code for one in questions.asked()] if are_open else []
    beside = (part for tag in told if tag[0] not in ("e", "p") for part in tag[1:])
    if names_one_of(codes, rumor.content, *beside):
        raise refused(
            Prefix.INVALID, "only the question itself names an open question to the owner"
        )
