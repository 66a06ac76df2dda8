"""Pure: what a file that somebody sent is called where an agent keeps it, and of what type it is.

A name that a sender chose leads nowhere, hides nothing and ends in what the file is.
"""

from __future__ import annotations

from nips.nip94 import UNKNOWN_TYPE

MAX_STEM_CHARS = 40
HASH_CHARS = 12  # of its sha256: two files of one name stay two
# How files begin that say of themselves what they are: offset, bytes, type.
SIGNATURES = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
)
EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/svg+xml": "svg",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/aac": "aac",
    "audio/ogg": "ogg",
    "audio/opus": "opus",
    "audio/webm": "weba",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "video/mp4": "mp4",
    "video/quicktime": "mov",
    "video/webm": "webm",
    "video/ogg": "ogv",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "application/gzip": "gz",
    "application/json": "json",
    "application/epub+zip": "epub",
    "application/rtf": "rtf",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/csv": "csv",
    "text/html": "html",
    "text/calendar": "ics",
    "text/vcard": "vcf",
}
# Types that are one of the above by their first bytes, and rightly say more.
WITHIN = {
    "application/zip": frozenset({"epub", "docx", "xlsx", "pptx", "odt", "ods"}),
    "video/mp4": frozenset({"m4a", "aac"}),
    "video/webm": frozenset({"weba"}),
    "audio/ogg": frozenset({"ogv", "opus"}),
}


def true_type(claimed: str, content: bytes) -> str:
    """A file's type: as its first bytes say, or as claimed where they say nothing of it."""
    for offset, signature, found in SIGNATURES:
        if content.startswith(signature, offset):
            says_more = EXTENSIONS.get(claimed) in WITHIN.get(found, frozenset())
            return claimed if says_more else found
    return claimed


def stored_name(given: str | None, media_type: str, sha256: str) -> str:
    """A name that is safe in every folder and terminal: what is plain in the one that was given,
    the beginning of the hash, and an ending that fits the type.

    >>> stored_name("../../My photo.exe", "image/jpeg", "ab" * 32)
    'My-photo-abababababab.jpg'
    """
    last = (given or "").replace("\\", "/").rpartition("/")[2]
    stem = last.rpartition(".")[0] or last
    plain = "".join(char if char.isascii() and char.isalnum() else "-" for char in stem)
    words = "-".join(word for word in plain.split("-") if word)[:MAX_STEM_CHARS].rstrip("-")
    return f"{words or 'file'}-{sha256[:HASH_CHARS]}.{EXTENSIONS.get(media_type, 'bin')}"


def shown_name(given: str | None, stored: str) -> str:
    """What people read: the name as it was given, where that can be read, else the stored one."""
    last = (given or "").replace("\\", "/").rpartition("/")[2].strip()
    if not last or last.startswith(".") or not last.isprintable() or set(last) & set("[],"):
        return stored
    return last if len(last) <= 2 * MAX_STEM_CHARS else stored


def in_words(n_bytes: int) -> str:
    """A size for people, to two or three digits.

    >>> in_words(120_400), in_words(999), in_words(2_340_000)
    ('120 kB', '999 B', '2.3 MB')
    """
    if n_bytes < 1_000:
        return f"{n_bytes} B"
    if n_bytes < 999_500:
        return f"{n_bytes / 1e3:.0f} kB"
    return f"{n_bytes / 1e6:.1f} MB"


def described(shown: str, media_type: str, n_bytes: int) -> str:
    """The line that stands for a file in a conversation."""
    of_type = "" if media_type == UNKNOWN_TYPE else f", {media_type}"
    return f"[file: {shown}{of_type}, {in_words(n_bytes)}]"


def not_taken(media_type: str, why: str) -> str:
    """The line that stands for a file that could not be had. why: the end of a sentence."""
    of_type = "" if media_type == UNKNOWN_TYPE else f" ({media_type})"
    return f"[a file was sent{of_type} and could not be taken: {why}]"
