"""The encoding of a text file."""

from __future__ import annotations

import codecs
from typing import Any


def encoding_of(path: Any) -> str:
    """Return the encoding of a text file: UTF-16 or UTF-8 if its bytes are that, else Windows-1252.

    Uses plain Python only, since exported scripts include it.
    """
    with open(path, "rb") as file:
        head = file.read(4096)
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        # Without a byte-order mark: every second byte of Western text in UTF-16 is zero.
        for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
            if head[first::2].count(0) > len(head) / 4:
                return name
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while block := file.read(1 << 20):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"
