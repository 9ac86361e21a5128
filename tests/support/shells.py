"""How the shells of both systems read a line as words."""

from __future__ import annotations

import os
import subprocess


def words_of(line: str) -> list[str]:
    """Return the words as which a program gets this line from the system's own shell."""
    return words_on_windows(line) if os.name == "nt" else words_in_bash(line)


def words_in_bash(line: str) -> list[str]:
    """Ask bash itself."""
    script = os.fsencode(f"printf '%s\\0' {line}")
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
    assert done.stderr == b""
    return [os.fsdecode(word) for word in done.stdout.split(b"\0")[:-1]]


def words_on_windows(line: str) -> list[str]:
    """Read a line as cmd hands it over and Microsoft's C library takes it apart.

    The rules: https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments. That of
    the first word, the program, is another one, but the same for a path.
    """
    assert not acted_upon_by_cmd(line)
    words: list[str] = []
    rest = line
    while rest := rest.lstrip(" \t"):
        word, rest = _next_word(rest)
        words.append(word)
    return words


def acted_upon_by_cmd(line: str) -> set[str]:
    """Return the characters of the line that cmd would act upon: those outside double quotes."""
    outside = "".join(line.split('"')[::2])
    return set(outside) & set("&|<>()^%!@\r\n")


def _next_word(line: str) -> tuple[str, str]:
    """Return the word at the beginning of a line, and what follows it."""
    word, quoted, at = "", False, 0
    while at < len(line) and (quoted or line[at] not in " \t"):
        backslashes = len(line) - at - len(line[at:].lstrip("\\"))
        at += backslashes
        if line[at : at + 1] != '"':
            word += "\\" * backslashes
            if at < len(line) and (quoted or line[at] not in " \t"):
                word += line[at]
                at += 1
            continue
        word += "\\" * (backslashes // 2)
        if backslashes % 2:
            word += '"'
        elif quoted and line[at + 1 : at + 2] == '"':
            word += '"'
            at += 1
        else:
            quoted = not quoted
        at += 1
    return word, line[at:]
