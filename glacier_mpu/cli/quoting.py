"""Words as one line, which a shell reads as just these words again. Pure.

Windows has one form for both of its shells: a word in double quotes. It does not hold everything.
Even there cmd puts a variable's value in the place of `%NAME%`, and PowerShell acts upon `$`, a
backtick and typographic quotes; what would stop the one would reach the program from the other.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable

_PLAIN_ON_WINDOWS = re.compile(r"[\w:\\/.=-]+")
# No UTF-8, and what a terminal takes for a key; a newline would be lost at the end of $().
_NOT_TO_BE_PASTED = re.compile(r"([\x01-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]+)")


def pasteable(words: Iterable[str]) -> str:
    """Return the words as a line to be pasted into a shell of this system."""
    return (for_windows if os.name == "nt" else for_posix)(words)


def for_posix(words: Iterable[str]) -> str:
    """Quote for a POSIX shell; what cannot be pasted as it is, by its bytes."""
    return " ".join(map(_posix_word, words))


def _posix_word(word: str) -> str:
    plain_and_odd = _NOT_TO_BE_PASTED.split(word)
    if len(plain_and_odd) == 1:
        return shlex.quote(word)
    plain = (shlex.quote(piece) if piece else "" for piece in plain_and_odd[::2])
    odd = (_by_its_bytes(piece) for piece in plain_and_odd[1::2])
    return "".join(piece for pair in zip(plain, [*odd, ""], strict=True) for piece in pair)


def _by_its_bytes(text: str) -> str:
    octal = "".join(f"\\{byte:03o}" for byte in os.fsencode(text))
    return f"\"$(printf '{octal}')\""


def for_windows(words: Iterable[str]) -> str:
    """Quote for cmd, and for PowerShell, which needs `& ` in front where the first is quoted."""
    return " ".join(map(_windows_word, words))


def _windows_word(word: str) -> str:
    r"""Quote a word so that the C library of a program reads it as it was.

    A quote is doubled: after \" cmd and PowerShell would take the quoted part for ended. Before a
    quote, a backslash stands for itself only if it is doubled.
    """
    if _PLAIN_ON_WINDOWS.fullmatch(word):
        return word
    inside = re.sub(r'(\\*)("|\Z)', r"\1\1\2\2", word)
    return f'"{inside}"'
