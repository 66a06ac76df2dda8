"""Pure: the messages of negentropy, written and read. Source: NIP-77, "Negentropy Protocol V1".

A message is a version and adjacent ranges; of each it gives the upper bound, a mode, a payload.
"""

from __future__ import annotations

from enum import IntEnum

from nips.refusal import Malformed

VERSION = 0x61
INFINITY = 2**64 - 1
ID_BYTES = 32
_RESERVE_BYTES = 200  # for the bounds that end a message

Bound = tuple[int, bytes]  # a time and the beginning of an id: least record that is beyond


class Mode(IntEnum):
    """What is said of a range."""

    SKIP = 0
    FINGERPRINT = 1
    ID_LIST = 2


class Writer:
    """A message being written. A skip is written only once something follows it."""

    def __init__(self, max_bytes: int) -> None:
        self.message = bytearray([VERSION])
        self._max_bytes = max_bytes
        self._last_time = 0
        self._skipped: Bound | None = None

    @property
    def room(self) -> int:
        """Bytes that are left, the end of the message put aside."""
        return self._max_bytes - _RESERVE_BYTES - len(self.message)

    @property
    def is_full(self) -> bool:
        """Say whether more was written than there is room for."""
        return self.room < 0

    def state(self) -> tuple[int, int, Bound | None]:
        """What `restore` needs."""
        return len(self.message), self._last_time, self._skipped

    def restore(self, state: tuple[int, int, Bound | None], reached: Bound) -> None:
        """Take back what was written since a state, all up to `reached` being settled."""
        del self.message[state[0] :]
        self._last_time, self._skipped = state[1:]
        if self._skipped is not None:
            self._skipped = reached

    def skip(self, bound: Bound) -> None:
        """Leave everything up to a bound alone."""
        self._skipped = bound

    def range(self, bound: Bound, mode: Mode) -> None:
        """Begin a range; its payload follows."""
        if self._skipped is not None:
            skipped, self._skipped = self._skipped, None
            self._bound(skipped, Mode.SKIP)
        self._bound(bound, mode)

    def list(self, ids: list[bytes]) -> None:
        """The payload of an id list."""
        self.message += encode_varint(len(ids)) + b"".join(ids)

    def end(self, fingerprint: bytes) -> None:
        """End a full message: the rest is one range, which the next round divides."""
        self.range((INFINITY, b""), Mode.FINGERPRINT)
        self.message += fingerprint

    def _bound(self, bound: Bound, mode: Mode) -> None:
        time, prefix = bound
        if time == INFINITY:
            self.message += encode_varint(0)
        else:
            # NIP-77: "All other values are encoded as 1 + offset"
            self.message += encode_varint(1 + time - self._last_time)
            self._last_time = time
        self.message += encode_varint(len(prefix)) + prefix + encode_varint(mode)


class Reader:
    """A message being read. Every method raises Malformed."""

    def __init__(self, message: bytes) -> None:
        if not message or message[0] != VERSION:
            raise Malformed(f"not a negentropy message of version {VERSION:#x}")
        self._message = message
        self._at = 1
        self._last_time = 0

    @property
    def at_end(self) -> bool:
        """Say whether everything has been read."""
        return self._at == len(self._message)

    def take(self, count: int) -> bytes:
        """So many bytes."""
        taken = self._message[self._at : self._at + count]
        if len(taken) != count:
            raise Malformed("a negentropy message ends too early")
        self._at += count
        return taken

    def varint(self) -> int:
        """A number below 2**64."""
        value = 0
        for _ in range(10):
            digit = self.take(1)[0]
            value = value << 7 | digit & 0x7F
            if value > INFINITY:
                break
            if digit < 0x80:
                return value
        raise Malformed("a number in a negentropy message is too large")

    def bound(self, after: Bound) -> Bound:
        """The end of the next range, which begins at `after`."""
        encoded = self.varint()
        time = INFINITY if encoded == 0 else self._last_time + encoded - 1
        if time > INFINITY:
            raise Malformed("a time in a negentropy message is too large")
        if encoded:
            self._last_time = time
        length = self.varint()
        if length > ID_BYTES:
            raise Malformed("the beginning of an id has at most 32 bytes")
        bound = (time, self.take(length))
        if bound < after:
            raise Malformed("the ranges of a negentropy message are out of order")
        return bound

    def ids(self) -> list[bytes]:
        """The payload of an id list."""
        count = self.varint()
        blob = self.take(count * ID_BYTES)
        return [blob[i : i + ID_BYTES] for i in range(0, len(blob), ID_BYTES)]


def encode_varint(value: int) -> bytes:
    """NIP-77: "base-128 digits, most significant digit first"."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))
