"""Shell: `python -m signer key …`: the identity handed on, changed, locked and unlocked."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from nips import nip19, nip49
from nips.refusal import Malformed
from signer import custody, doorkeeper
from signer import passphrase as passphrases
from signer.commands.terminal import Commands, Run, command, say, tell
from signer.exclusive import alone, not_serving
from signer.kernel_keyring import forget
from signer.keystore import Keystore, KeystoreError, read_text, secret_key
from signer.secret import harden_process

BEFORE_AN_IMPORT = (
    "To replace it by a new one: nostrclaw key rotate. To have both: import into another --data "
    "folder."
)


def add(commands: Commands[argparse.ArgumentParser]) -> None:
    """Register the command and what can be done with a key."""
    parser = commands.add_parser("key", help="the bot's key: export, import, passphrase, rotate")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    export = _action(actions, "export", _export, "a copy under a passphrase of its own")
    export.add_argument("--out", default="-", metavar="FILE", help="a new file; - prints it")
    export.add_argument("--former", metavar="NPUB", help="an identity of before a rotation")
    export.add_argument("--force", action="store_true", help="write over a file")

    imported = _action(actions, "import", _import, "an nsec, hex or ncryptsec becomes the identity")
    imported.add_argument("--from-fd", type=int, metavar="N", help="read the key from there")
    imported.add_argument(
        "--keep", action="store_true", help="keep a random passphrase beside the key"
    )

    change = _action(actions, "passphrase", _passphrase, "another passphrase")
    change.add_argument(
        "--keep", action="store_true", help="a random one, kept beside the key, so starts need none"
    )
    for parser in (export, imported, change):
        parser.add_argument(
            "--new-passphrase-fd", type=int, metavar="N", help="read the new one from there"
        )

    _action(actions, "rotate", _rotate, "a new identity; the one of before is kept")
    _action(actions, "unlock", _unlock, "hand the passphrase to a signer that waits for it")
    lock = command(actions, "lock", _lock, summary="have the signer forget the key")
    lock.add_argument("--json", action="store_true", help="print what was done as JSON")


def _action(
    actions: Commands[argparse.ArgumentParser], name: str, run: Run, summary: str
) -> argparse.ArgumentParser:
    parser = command(actions, name, run, summary=summary)
    parser.add_argument("--passphrase-fd", type=int, metavar="N", help="read it from there")
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    return parser


def _export(arguments: argparse.Namespace) -> int:
    harden_process()
    store = Keystore(arguments.data)
    store.require_identity()
    whose = None if arguments.former is None else nip19.public_key_of(arguments.former)
    out = None if arguments.out == "-" else Path(arguments.out)
    if out is not None and out.exists() and not arguments.force:
        raise KeystoreError(f"{out} is there already. Choose another name, or say --force.")
    with alone(store.data):
        known = passphrases.found_or_asked(arguments.passphrase_fd, store)
        new = passphrases.chosen(arguments.new_passphrase_fd, "--new-passphrase-fd")
        public, text = custody.export(store, known, new, whose)
    npub = nip19.encode_npub(public)
    if out is not None:
        custody.write_export(out, text, force=arguments.force)
        if nip49.decrypt(out.read_text(), new).public != public:
            raise KeystoreError(f"{out} does not open again. Is the disk damaged?")
    where = "It" if out is None else f"{out}"
    done = {"npub": npub, "ncryptsec": text} if out is None else {"npub": npub, "file": str(out)}
    _report(
        arguments,
        done,
        f"{where} is {npub}, encrypted under the passphrase you gave, and was opened with it "
        "again. Any Nostr client that knows NIP-49 can import it.",
    )
    if out is None and not arguments.json:
        say(text)
    return 0


def _import(arguments: argparse.Namespace) -> int:
    harden_process()
    store = Keystore(arguments.data)
    if arguments.keep and arguments.new_passphrase_fd is not None:
        raise KeystoreError("Say --keep or --new-passphrase-fd, not both.")
    if store.encrypted.exists():
        raise KeystoreError(
            f"{store.data} holds an identity already, "
            f"{nip19.encode_npub(store.public.read_text().strip())}. {BEFORE_AN_IMPORT}"
        )
    given = (
        read_text(arguments.from_fd)
        if arguments.from_fd is not None
        else passphrases.ask("nsec, hex or ncryptsec of the identity: ", "--from-fd N")
    ).strip()
    if given.startswith("ncryptsec1"):
        given = _decrypted(given, arguments.passphrase_fd)
    else:
        secret_key(given)  # refused before anything more is asked
    new = (
        None
        if arguments.keep
        else passphrases.chosen(arguments.new_passphrase_fd, "--new-passphrase-fd")
    )
    store.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone(store.data):
        public, _ = store.create(given, new)
        known = store.kept() if new is None else (new,)
        if store.open(known).public != public:
            raise KeystoreError(f"{store.encrypted} does not open again. Is the disk damaged?")
    npub = nip19.encode_npub(public)
    whose = (
        f"Its passphrase is kept beside it, in {store.passphrase}."
        if new is None
        else "Its passphrase is yours alone to keep; without it the identity is lost."
    )
    _report(arguments, {"npub": npub}, f"The identity is {npub} now. {whose}")
    return 0


def _decrypted(text: str, descriptor: int | None) -> str:
    given = (
        read_text(descriptor)
        if descriptor is not None
        else passphrases.ask("Passphrase of that ncryptsec: ", "--passphrase-fd N")
    )
    try:
        return nip49.decrypt(text, given).raw.hex()
    except Malformed as error:
        raise KeystoreError(f"What was given cannot be opened: {error}") from error


def _passphrase(arguments: argparse.Namespace) -> int:
    harden_process()
    store = Keystore(arguments.data)
    store.require_identity()
    if arguments.keep and arguments.new_passphrase_fd is not None:
        raise KeystoreError("Say --keep or --new-passphrase-fd, not both.")
    with alone(store.data):
        known = passphrases.found_or_asked(arguments.passphrase_fd, store)
        store.open(known)  # refused before the new one is asked for
        new = (
            None
            if arguments.keep
            else passphrases.chosen(arguments.new_passphrase_fd, "--new-passphrase-fd")
        )
        changed = custody.change_passphrase(store, known, new)
    npub = nip19.encode_npub(changed.public)
    for path in changed.left:
        tell(f"{path} stays under a passphrase of its own, which opened nothing else here.")
    kept = (
        f"{npub} is under a random passphrase, kept in {store.passphrase}. This protects backups "
        "that leave it out, not this machine."
        if new is None
        else f"{npub} is under your passphrase, which is kept nowhere. The next start waits for "
        "it: nostrclaw key unlock."
    )
    left = [str(path) for path in changed.left]
    _report(arguments, {"npub": npub, "kept": new is None, "left": left}, kept)
    return 0


def _rotate(arguments: argparse.Namespace) -> int:
    harden_process()
    store = Keystore(arguments.data)
    store.require_identity()
    with alone(store.data), not_serving(store.data):
        known = passphrases.found_or_asked(arguments.passphrase_fd, store)
        done = custody.rotate(store, known)
    old, new = nip19.encode_npub(done.old), nip19.encode_npub(done.new)
    _report(
        arguments,
        {"npub": new, "before": old, "kept": str(done.kept), "public": done.new},
        f"The identity is {new} now.\nThe one of before, {old}, is kept in {done.kept}, under the "
        "same passphrase.\nNothing in Nostr says that one key follows another: tell people the "
        "new address yourself. To say\nit from the old one, take that to another client: "
        "nostrclaw key export --former NPUB.\nWhoever writes to the old address is not heard any "
        "more. The next start announces the new one.",
    )
    return 0


def _unlock(arguments: argparse.Namespace) -> int:
    harden_process()
    store = Keystore(arguments.data)
    store.require_identity()
    given = passphrases.handed_over(arguments.passphrase_fd)
    if given is None:
        given = passphrases.ask("Passphrase of the bot's key: ", "--passphrase-fd N")
    words = doorkeeper.ask(store.data, {"do": "unlock", "passphrase": given})
    _report(arguments, {"locked": False}, words)
    return 0


def _lock(arguments: argparse.Namespace) -> int:
    store = Keystore(arguments.data)
    store.require_identity()
    if store.passphrase.exists():
        raise KeystoreError(
            f"Whoever starts the signer finds the passphrase in {store.passphrase}. Take it into "
            "your own keeping first: nostrclaw key passphrase; then restart."
        )
    public = store.public.read_text().strip()
    # Of a signer that does not run as well: what it left in the kernel ends now.
    forgotten = forget(store.data, public)
    try:
        words = doorkeeper.ask(store.data.resolve(), {"do": "lock"})
    except doorkeeper.NobodyThere:
        if not forgotten:
            raise
        words = "No signer runs; the next start waits for `nostrclaw key unlock`."
    _report(arguments, {"locked": True}, words)
    return 0


def _report(arguments: argparse.Namespace, done: Mapping[str, object], sentence: str) -> None:
    if arguments.json:
        sys.stdout.write(json.dumps(done) + "\n")
        sys.stdout.flush()
    else:
        tell(sentence)
