"""Pure: the forms of what is said about a file: its type, its size in pixels. Source: NIP-94."""

from __future__ import annotations

import re

UNKNOWN_TYPE = "application/octet-stream"
# NIP-94: "The MIME types format must be used …, and they should be lowercase."
MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
# NIP-94: "size of file in pixels in the form `<width>x<height>`"
DIMENSIONS = re.compile(r"[1-9][0-9]{0,5}x[1-9][0-9]{0,5}")
