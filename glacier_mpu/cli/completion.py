"""`--print-completion`: a script by which a shell completes the flags. The room for shtab."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

SHELLS = ("bash", "zsh", "fish")


class PrintCompletion(argparse.Action):
    """Prints the script for one shell and exits, whatever other flags are missing."""

    def __init__(self, option_strings: Sequence[str], dest: str, **rest: Any) -> None:
        rest |= {"choices": SHELLS, "default": argparse.SUPPRESS}
        super().__init__(option_strings, argparse.SUPPRESS, **rest)

    def __call__(
        self, parser: argparse.ArgumentParser, _namespace: object, shell: Any, *_: object
    ) -> NoReturn:
        sys.stdout.write(completion(parser, shell) + "\n")
        parser.exit()


def completion(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return the script; what --help says that a flag takes decides what completes its value."""
    import shtab  # no upload needs it

    completes = {"FILE": shtab.FILE, "DIR": shtab.DIRECTORY, "auto": shtab.cmd("echo auto")}
    for action in parser._actions:  # noqa: SLF001 - argparse has no other list of the flags
        for kind in str(action.metavar).split("|"):
            if kind in completes:
                action.complete = completes[kind]  # type: ignore[attr-defined] # as shtab wants it
    return shtab.complete(parser, shell)
