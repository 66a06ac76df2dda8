"""Gift wraps that are right in everything but one thing, drawn by dice.

Each forger returns a wrap to the bot and the check that must refuse it. The sender is a stranger
with keys of their own; where the owner's name appears, the stranger does not have its key.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import orjson

from nips import nip44
from nips.event import Event, Template
from nips.key import SecretKey
from nips.kinds import Kind
from tests.unit.signer.house import NOW, House

Forger = Callable[[House, random.Random], tuple[Event, str]]


def rumor_of(author: str, house: House, dice: random.Random) -> Template:
    text = "".join(dice.choices('abc é😀\n"\\', k=dice.randrange(200)))
    kind = dice.choice((Kind.DIRECT_MESSAGE, Kind.DIRECT_MESSAGE, Kind.REACTION))
    return Template(author, NOW - dice.randrange(10**6), kind, (("p", house.bot.public),), text)


def locked(plaintext: str, author: SecretKey, reader: str, dice: random.Random) -> str:
    key = nip44.conversation_key(author, reader)
    return nip44.encrypt(plaintext, key, dice.randbytes(32), extended=True)


def seal_of(
    rumor: dict[str, object], house: House, dice: random.Random, **changes: object
) -> Event:
    """A stranger's seal around anything, rightly signed by them."""
    author = house.stranger
    content = locked(orjson.dumps(rumor).decode(), author, house.bot.public, dice)
    template = Template(author.public, NOW - dice.randrange(172_800), Kind.SEAL, (), content)
    return replace(template, **changes).sign(author, dice.randbytes(32))  # type: ignore[arg-type]


def wrap_of(seal: Event, house: House, dice: random.Random, **changes: object) -> Event:
    """A wrap around anything that says it is a seal, rightly signed by a key used once."""
    once = SecretKey(dice.randbytes(32))
    content = locked(orjson.dumps(seal.to_json()).decode(), once, house.bot.public, dice)
    at = NOW - dice.randrange(172_800)
    template = Template(once.public, at, Kind.GIFT_WRAP, (("p", house.bot.public),), content)
    return replace(template, **changes).sign(once, dice.randbytes(32))  # type: ignore[arg-type]


def honest(house: House, dice: random.Random) -> tuple[Event, Template]:
    """A stranger's own message, in which nothing is wrong."""
    rumor = rumor_of(house.stranger.public, house, dice)
    return wrap_of(seal_of(rumor.to_json(), house, dice), house, dice), rumor


def honest_seal(house: House, dice: random.Random) -> Event:
    return seal_of(rumor_of(house.stranger.public, house, dice).to_json(), house, dice)


def flipped(hexed: str, dice: random.Random) -> str:
    """One bit of a hex text changed."""
    raw = bytearray.fromhex(hexed)
    raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
    return raw.hex()


# The rumor


def anothers_rumor(house: House, dice: random.Random) -> tuple[Event, str]:
    """The owner's words, in the stranger's seal."""
    rumor = rumor_of(house.owner.public, house, dice)
    return wrap_of(seal_of(rumor.to_json(), house, dice), house, dice), "ForgedAuthor"


def almost_anothers_rumor(house: House, dice: random.Random) -> tuple[Event, str]:
    """An author who differs by one bit."""
    rumor = rumor_of(flipped(house.stranger.public, dice), house, dice)
    return wrap_of(seal_of(rumor.to_json(), house, dice), house, dice), "ForgedAuthor"


def claimed_id(house: House, dice: random.Random) -> tuple[Event, str]:
    """A message under another message's id: it would be dropped as its duplicate."""
    rumor = rumor_of(house.stranger.public, house, dice)
    claim = {"id": dice.choice((flipped(rumor.id, dice), dice.randbytes(32).hex()))}
    return wrap_of(seal_of(rumor.to_json() | claim, house, dice), house, dice), "WrongRumorId"


def changed_rumor(house: House, dice: random.Random) -> tuple[Event, str]:
    """Other words under the id of the first."""
    rumor = rumor_of(house.stranger.public, house, dice)
    change = dice.choice(({"content": rumor.content + "!"}, {"created_at": rumor.created_at + 1}))
    return wrap_of(seal_of(rumor.to_json() | change, house, dice), house, dice), "WrongRumorId"


def signed_rumor(house: House, dice: random.Random) -> tuple[Event, str]:
    """A message that whoever receives it could publish."""
    rumor = rumor_of(house.stranger.public, house, dice).sign(house.stranger, dice.randbytes(32))
    return wrap_of(seal_of(rumor.to_json(), house, dice), house, dice), "BadRumor"


# The seal


def anothers_seal(house: House, dice: random.Random) -> tuple[Event, str]:
    """A seal in the owner's name, under the stranger's signature."""
    rumor = rumor_of(house.owner.public, house, dice)
    # The worst case: the shared key is known, which the bot's side has too.
    content = locked(orjson.dumps(rumor.to_json()).decode(), house.owner, house.bot.public, dice)
    template = Template(house.owner.public, NOW, Kind.SEAL, (), content)
    forged = template.with_sig(template.sign(house.stranger, dice.randbytes(32)).sig)
    return wrap_of(forged, house, dice), "BadSeal"


def renamed_seal(house: House, dice: random.Random) -> tuple[Event, str]:
    """A stranger's seal that says it is the owner's."""
    seal = replace(honest_seal(house, dice), pubkey=house.owner.public)
    return wrap_of(seal, house, dice), "BadSeal"


def signature_off_by_a_bit(house: House, dice: random.Random) -> tuple[Event, str]:
    seal = honest_seal(house, dice)
    return wrap_of(replace(seal, sig=flipped(seal.sig, dice)), house, dice), "BadSeal"


def signature_of_nobody(house: House, dice: random.Random) -> tuple[Event, str]:
    seal = honest_seal(house, dice)
    sig = dice.choice(("00" * 64, "ff" * 64, dice.randbytes(64).hex()))
    return wrap_of(replace(seal, sig=sig), house, dice), "BadSeal"


def signature_of_another_seal(house: House, dice: random.Random) -> tuple[Event, str]:
    seal = replace(honest_seal(house, dice), sig=honest_seal(house, dice).sig)
    return wrap_of(seal, house, dice), "BadSeal"


def seal_under_another_id(house: House, dice: random.Random) -> tuple[Event, str]:
    seal = honest_seal(house, dice)
    return wrap_of(replace(seal, id=flipped(seal.id, dice)), house, dice), "BadSeal"


def seal_of_another_kind(house: House, dice: random.Random) -> tuple[Event, str]:
    """An event that its author signed for another purpose."""
    rumor = rumor_of(house.stranger.public, house, dice)
    kind = dice.choice([n for n in (0, 1, 4, 12, 14, 1059, dice.randrange(65_536)) if n != 13])
    return wrap_of(seal_of(rumor.to_json(), house, dice, kind=kind), house, dice), "BadSeal"


def seal_with_tags(house: House, dice: random.Random) -> tuple[Event, str]:
    rumor = rumor_of(house.stranger.public, house, dice)
    tags = dice.choice(((("p", house.bot.public),), (("p", house.owner.public),), (("x",),)))
    return wrap_of(seal_of(rumor.to_json(), house, dice, tags=tags), house, dice), "BadSeal"


def seal_for_another(house: House, dice: random.Random) -> tuple[Event, str]:
    rumor = rumor_of(house.stranger.public, house, dice)
    content = locked(
        orjson.dumps(rumor.to_json()).decode(), house.stranger, house.owner.public, dice
    )
    seal = seal_of(rumor.to_json(), house, dice, content=content)
    return wrap_of(seal, house, dice), "Undecryptable"


# The wrap


def wrap_for_another(house: House, dice: random.Random) -> tuple[Event, str]:
    other = dice.choice((house.owner.public, flipped(house.bot.public, dice)))
    tags = dice.choice(((("p", other),), (("p", house.bot.public), ("p", other)), ()))
    return wrap_of(honest_seal(house, dice), house, dice, tags=tags), "NotForUs"


def wrap_of_another_kind(house: House, dice: random.Random) -> tuple[Event, str]:
    kind = dice.choice([n for n in (1, 4, 13, 14, 21_059, dice.randrange(65_536)) if n != 1059])
    return wrap_of(honest_seal(house, dice), house, dice, kind=kind), "NotForUs"


def wrap_signed_by_nobody(house: House, dice: random.Random) -> tuple[Event, str]:
    wrap, _ = honest(house, dice)
    changes: list[dict[str, object]] = [
        {"sig": flipped(wrap.sig, dice)},
        {"id": flipped(wrap.id, dice)},
        {"created_at": wrap.created_at + 1},
        {"pubkey": house.stranger.public},
    ]
    return replace(wrap, **dice.choice(changes)), "BadWrap"  # type: ignore[arg-type]


def wrap_that_does_not_open(house: House, dice: random.Random) -> tuple[Event, str]:
    """One character of the ciphertext changed, and signed again."""
    content = honest(house, dice)[0].content
    at = dice.randrange(len(content) - 2)
    other = dice.choice([c for c in "ABCDabcd0123+/" if c != content[at]])
    changed = content[:at] + other + content[at + 1 :]
    return wrap_of(honest_seal(house, dice), house, dice, content=changed), "Undecryptable"


FORGERS: tuple[Forger, ...] = (
    anothers_rumor,
    almost_anothers_rumor,
    claimed_id,
    changed_rumor,
    signed_rumor,
    anothers_seal,
    renamed_seal,
    signature_off_by_a_bit,
    signature_of_nobody,
    signature_of_another_seal,
    seal_under_another_id,
    seal_of_another_kind,
    seal_with_tags,
    seal_for_another,
    wrap_for_another,
    wrap_of_another_kind,
    wrap_signed_by_nobody,
    wrap_that_does_not_open,
)
