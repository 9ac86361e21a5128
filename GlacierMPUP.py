#!/usr/bin/env python3
"""Upload one large file to an Amazon Glacier vault, several blocks at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glacier_mpu.cli.start import run_command, run_script

if TYPE_CHECKING:
    from glacier_mpu.cli.parser import Parser


def build_parser(prog: str = "GlacierMPUP.py") -> Parser:
    """Return the parser of this script's flags; `prog` is what messages call the script."""
    from glacier_mpu.cli.flags import add_threads, shared_parser

    parser = shared_parser(
        prog=prog,
        description="Upload one large file to an Amazon Glacier vault, several blocks at once. "
        "A block that fails does not stop the others, and the upload stays open for another run.",
    )
    add_threads(parser)
    return parser


def main() -> None:
    """Run as the installed command."""
    run_command(lambda: build_parser(prog="glacier-mpup"))


if __name__ == "__main__":
    run_script(build_parser)
