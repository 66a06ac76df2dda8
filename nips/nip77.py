"""Pure: range-based set reconciliation, both of its sides. Source: NIP-77, "Negentropy V1".

Two sides hold sets of records (time, id). They compare fingerprints of ranges and divide those
that differ, until the initiator knows which ids each of them lacks. A message is a list of
adjacent ranges, from the least record to infinity.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from nips.negentropy import ID_BYTES, INFINITY, VERSION, Bound, Mode, Reader, Writer, encode_varint
from nips.refusal import Malformed

MAX_RANGES = 32_768  # in one message that is read
MAX_MESSAGE_BYTES = 128 << 10  # of one that is written; the rest is left to the next round
_FINGERPRINT_BYTES = 16
_BUCKETS = 16
_STEP = 64  # records between two sums that are kept
_MODULUS = 1 << 256


class Records:
    """A fixed set of records, sorted, that answers for its ranges.

    records: (unix seconds, id of 32 bytes), in any order, each once.
    """

    __slots__ = ("_rows", "_sums")

    def __init__(self, records: Iterable[tuple[int, bytes]]) -> None:
        self._rows = sorted(records)
        self._sums = [0]
        for start in range(0, len(self._rows) - _STEP + 1, _STEP):
            self._sums.append((self._sums[-1] + self._sum(start, start + _STEP)) % _MODULUS)

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, index: int) -> tuple[int, bytes]:
        """The record at a place."""
        return self._rows[index]

    def ids(self, lower: int, upper: int) -> list[bytes]:
        """The ids from one place up to another."""
        return [row[1] for row in self._rows[lower:upper]]

    def first_beyond(self, bound: Bound, lower: int) -> int:
        """The place of the first record at or beyond a bound, from a place on."""
        return bisect_left(self._rows, bound, lo=lower)

    def fingerprint(self, lower: int, upper: int) -> bytes:
        """NIP-77: "addition mod 2^256 of the element IDs", with their number, hashed."""
        total = self._total(upper) - self._total(lower)
        count = encode_varint(upper - lower)
        digest = sha256((total % _MODULUS).to_bytes(ID_BYTES, "little") + count).digest()
        return digest[:_FINGERPRINT_BYTES]

    def _total(self, upper: int) -> int:
        kept = upper // _STEP
        return self._sums[kept] + self._sum(kept * _STEP, upper)

    def _sum(self, lower: int, upper: int) -> int:
        return sum(int.from_bytes(row[1], "little") for row in self._rows[lower:upper])


@dataclass(frozen=True, slots=True)
class Progress:
    """What the initiator learnt from one answer. `message`: the next one; None when it is done."""

    message: bytes | None
    have: tuple[bytes, ...]
    need: tuple[bytes, ...]


def initiate(records: Records, max_bytes: int = MAX_MESSAGE_BYTES) -> bytes:
    """The initiator's first message."""
    writer = Writer(max_bytes)
    _divide(records, 0, len(records), (INFINITY, b""), writer)
    return bytes(writer.message)


def answer(records: Records, message: bytes, max_bytes: int = MAX_MESSAGE_BYTES) -> bytes:
    """The other side's answer to a message. Raises Malformed.

    A version that is not spoken here is answered by the one that is.
    """
    if message and message[0] != VERSION and 0x60 <= message[0] <= 0x6F:
        return bytes([VERSION])
    return _reconcile(records, message, max_bytes, None)


def proceed(records: Records, message: bytes, max_bytes: int = MAX_MESSAGE_BYTES) -> Progress:
    """The initiator's reading of an answer. Raises Malformed."""
    found = _Found([], [])
    following = _reconcile(records, message, max_bytes, found)
    return Progress(following if len(following) > 1 else None, tuple(found.have), tuple(found.need))


@dataclass(frozen=True, slots=True)
class _Found:
    have: list[bytes]
    need: list[bytes]


def _reconcile(records: Records, message: bytes, max_bytes: int, found: _Found | None) -> bytes:
    reader = Reader(message)
    writer = Writer(max_bytes)
    bound: Bound = (0, b"")
    lower = 0
    for _ in range(MAX_RANGES):
        if reader.at_end:
            return bytes(writer.message)
        before, bound = bound, reader.bound(bound)
        mode = reader.varint()
        upper = records.first_beyond(bound, lower)
        state = writer.state()
        covered = lower
        match mode:
            case Mode.SKIP:
                writer.skip(bound)
            case Mode.FINGERPRINT:
                if reader.take(_FINGERPRINT_BYTES) == records.fingerprint(lower, upper):
                    writer.skip(bound)
                else:
                    _divide(records, lower, upper, bound, writer)
            case Mode.ID_LIST if found is not None:
                theirs = set(reader.ids())
                found.have.extend(one for one in records.ids(lower, upper) if one not in theirs)
                found.need.extend(theirs.difference(records.ids(lower, upper)))
                writer.skip(bound)
            case Mode.ID_LIST:
                reader.ids()
                covered = _list(records, lower, upper, bound, writer)
                if covered < upper:
                    writer.end(records.fingerprint(covered, len(records)))
                    return bytes(writer.message)
            case _:
                raise Malformed(f"negentropy has no mode {mode}")
        if writer.is_full:
            writer.restore(state, before)
            writer.end(records.fingerprint(covered, len(records)))
            return bytes(writer.message)
        lower = upper
    if reader.at_end:
        return bytes(writer.message)
    raise Malformed(f"a negentropy message holds at most {MAX_RANGES} ranges")


def _divide(records: Records, lower: int, upper: int, bound: Bound, writer: Writer) -> None:
    """Say of a range, which is not the same on both sides, what will narrow it down."""
    count = upper - lower
    if count < 2 * _BUCKETS:
        writer.range(bound, Mode.ID_LIST)
        writer.list(records.ids(lower, upper))
        return
    start = lower
    for number in range(_BUCKETS):
        end = start + count // _BUCKETS + (1 if number < count % _BUCKETS else 0)
        is_last = end == upper
        here = bound if is_last else _between(records.row(end - 1), records.row(end))
        writer.range(here, Mode.FINGERPRINT)
        writer.message += records.fingerprint(start, end)
        start = end


def _list(records: Records, lower: int, upper: int, bound: Bound, writer: Writer) -> int:
    """List a range as far as the message has room; returns the place up to which it did."""
    room = max(1, writer.room // ID_BYTES)
    if upper - lower > room:
        upper = lower + room
        bound = _between(records.row(upper - 1), records.row(upper))
    writer.range(bound, Mode.ID_LIST)
    writer.list(records.ids(lower, upper))
    return upper


def _between(last: tuple[int, bytes], following: tuple[int, bytes]) -> Bound:
    """NIP-77: "the shortest possible prefix to separate" two neighbours."""
    if last[0] != following[0]:
        return (following[0], b"")
    same = next(i for i in range(ID_BYTES) if last[1][i] != following[1][i])
    return (following[0], following[1][: same + 1])
