"""The parser of both scripts: argparse, but what is wrong is raised and not printed.

A value may begin with a hyphen, and what stands behind `--` is a command.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn


class FlagError(Exception):
    """What was given is no command line of this script."""


class Help(argparse.HelpFormatter):
    """Tells in the usage what may stand behind the flags, of which argparse itself knows nothing.

    A positional argument of argparse's own would also take a word that is there by mistake.
    """

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None = None,
    ) -> None:
        behind = argparse.Action([], "command", metavar="[-- COMMAND ...]")
        super().add_usage(usage, [*actions, behind], groups, prefix)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises FlagError where the stock one prints its usage and exits."""

    def error(self, message: str) -> NoReturn:
        # argparse calls a flag an argument, in front of its name.
        raise FlagError(re.sub(r"(^|not allowed with )argument --", r"\1--", message))

    def joined(self, arguments: Sequence[str]) -> tuple[list[str], list[str] | None]:
        """Join each flag to its value: one upload id in 64 begins with a hyphen, as a flag does.

        Return also the words of the command behind `--`, or None where there is no `--`.
        """
        takes_value = {
            flag: action.nargs is None for action in self._actions for flag in action.option_strings
        }
        words: list[str] = []
        rest = iter(arguments)
        for word in rest:
            if word == "--":
                return words, list(rest)
            value = next(rest, None) if takes_value.get(word) else None
            if value is None:
                words.append(word)
            elif value in takes_value:
                words += [word, value]
            else:
                words.append(f"{word}={value}")
        return words, None

    def read(self, words: Sequence[str]) -> dict[str, Any]:
        """Return the value of every flag. Raises FlagError; exits for --help, --version.

        A value of two hyphens is refused: up to Python 3.12, argparse drops it and passes on a
        list.
        """
        for word in words:
            flag, _, value = word.partition("=")
            if flag.startswith("--") and value == "--":
                self.error(f"{flag}: the value cannot be --")
            if flag.startswith("--") and flag not in self._option_string_actions:
                self.error(f"there is no flag {flag}{self._nearest_to(flag)}")
        return vars(self.parse_args(words))

    def _nearest_to(self, flag: str) -> str:
        import difflib  # --help need not wait for it

        nearest = difflib.get_close_matches(flag, self._option_string_actions, n=1)
        return f"; did you mean {nearest[0]}?" if nearest else ""
