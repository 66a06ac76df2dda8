"""Shell: requests as they come: opened, and the keys under which they are answered."""

from __future__ import annotations

from collections import OrderedDict

import structlog

from nips import nip44, nip46
from nips.event import Event
from nips.key import SecretKey
from nips.refusal import Malformed

MAX_CACHED_PEERS = 1_024

log = structlog.get_logger()


class Reception:
    """Opens what is addressed to the signer's role key `key`."""

    def __init__(self, key: SecretKey) -> None:
        self._key = key
        self._conversation_keys: OrderedDict[str, bytes] = OrderedDict()

    def open(self, event: Event) -> nip46.Request | None:
        """The request in a 24133; None where there is no id to answer under."""
        try:
            nip46.check_envelope(event, self._key.public)
            text = nip44.decrypt(event.content, self.conversation_key(event.pubkey), extended=True)
            return nip46.parse_request(text)
        except Malformed as error:
            log.debug("unreadable request", client=event.pubkey, reason=str(error))
            return None

    def conversation_key(self, client: str) -> bytes:
        """Between the role key and a client's; kept for the latest clients. Raises Malformed."""
        if (found := self._conversation_keys.get(client)) is None:
            found = nip44.conversation_key(self._key, client)
            self._conversation_keys[client] = found
            if len(self._conversation_keys) > MAX_CACHED_PEERS:
                self._conversation_keys.popitem(last=False)
        self._conversation_keys.move_to_end(client)
        return found
