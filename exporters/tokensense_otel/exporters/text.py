"""Untrusted text made fit for a message: control characters out, cut to a limit without breaking a character."""

import unicodedata
from collections.abc import Callable

ELLIPSIS = "…"

# Overrides of the writing direction can make a message read as something else (Unicode TR36, "bidi spoofing").
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_JOINER = "\u200d"


def clean(text: str) -> str:
    """Without control characters (newline and tab stay), surrogates and direction overrides."""
    return "".join(char for char in text if char in "\n\t" or not (char in _BIDI or _unprintable(char)))


def one_line(text: str) -> str:
    """`clean`, with every run of white space as one space."""
    return " ".join(clean(text).split())


def utf16(text: str) -> int:
    """The length as JavaScript counts it, which is how Slack's and PagerDuty's limits may be meant: never less."""
    return len(text) + sum(char > "\uffff" for char in text)


def clip(text: str, limit: int, escape: Callable[[str], str] = str) -> str:
    """`text` escaped character by character and cut so that `utf16` of the result is at most `limit`.

    A cut never splits an escape, nor an accent, modifier or joined emoji from what it belongs to; it shows as `…`.
    """
    escaped = [escape(char) for char in text[: limit + 1]]
    if len(text) <= limit and utf16("".join(escaped)) <= limit:
        return "".join(escaped)
    room = limit - utf16(ELLIPSIS)
    kept = used = 0
    while kept < len(escaped) and used + utf16(escaped[kept]) <= room:
        used += utf16(escaped[kept])
        kept += 1
    while kept and kept < len(text) and _belongs_to_previous(text, kept):
        kept -= 1
    return "".join(escaped[:kept]) + (ELLIPSIS if room >= 0 else "")


def _belongs_to_previous(text: str, index: int) -> bool:
    char = text[index]
    return (
        unicodedata.category(char) in ("Mn", "Me", "Mc")
        or char == _JOINER
        or text[index - 1] == _JOINER
        or "\U0001f3fb" <= char <= "\U0001f3ff"
    )


def _unprintable(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs")
