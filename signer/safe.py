"""Shell: the key comes into memory, at the start or when a person brings the passphrase."""

from __future__ import annotations

import asyncio
import os
import secrets

import structlog

from nips import nip19
from nips.key import verify
from nips.refusal import Malformed
from signer.doorkeeper import UNLOCKED, Door
from signer.keystore import KeystoreError
from signer.secret import Memory, MemoryUnavailable, Secret
from signer.service import Service

log = structlog.get_logger()


class Safe:
    """Takes keys into protected memory. wanted: insist on one form of it; bot: whose key alone
    is taken, in hex."""

    def __init__(self, wanted: Memory | None, bot: str) -> None:
        self._wanted, self._bot = wanted, bot

    def take(self, descriptor: int) -> Secret:
        """The key from a pipe, proved by a signature. Raises KeystoreError, MemoryUnavailable."""
        try:
            secret = Secret(descriptor, self._wanted)
        finally:
            os.close(descriptor)
        if secret.public != self._bot:
            secret.wipe()
            raise KeystoreError(
                f"The identity here is {nip19.encode_npub(secret.public)}, and roles.toml names "
                "another bot. Put the right one back; after `key rotate`, start everything anew."
            )
        message = secrets.token_bytes(32)
        if not verify(self._bot, message, secret.sign(message.hex(), secrets.token_bytes(32))):
            raise KeystoreError("The first signature is wrong: is this machine's memory bad?")
        log.info("the bot's key is in protected memory and signs", memory=str(secret.memory))
        return secret


async def answer_door(door: Door, safe: Safe, service: Service, stop: asyncio.Event) -> None:
    """Do what the doorkeeper is asked, one after the other; without it we stop, to start anew."""
    loop = asyncio.get_running_loop()
    door.control.setblocking(False)
    while what := await loop.sock_recv(door.control, 16):
        words = ""
        try:
            if what == UNLOCKED:
                await service.unlock(safe.take(os.dup(door.keys)))
            else:
                await service.lock()
                log.warning("the signer is locked; unlock it: nostrclaw key unlock")
        except (KeystoreError, MemoryUnavailable, Malformed) as error:
            log.error("the signer stays locked", reason=str(error))
            words = str(error)
        await loop.sock_sendall(door.control, words.encode() + b"\n")
    log.error("the doorkeeper has ended, so the signer does")
    stop.set()
