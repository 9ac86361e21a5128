#!/usr/bin/env python3
"""Upload one large file to an Amazon Glacier vault, one block after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glacier_mpu.cli.start import run_command, run_script

if TYPE_CHECKING:
    from glacier_mpu.cli.parser import Parser


def build_parser(prog: str = "GlacierMPU.py") -> Parser:
    """Return the parser of this script's flags; `prog` is what messages call the script."""
    from glacier_mpu.cli.flags import shared_parser

    return shared_parser(
        prog=prog,
        description="Upload one large file to an Amazon Glacier vault, one block after another. "
        "The first block that fails for good ends the run. If the service refused it, or answered "
        "it only by errors, the upload is aborted, unless --resume or --finish-upload False is "
        "given; whatever lies on this side of the service aborts nothing.",
    )


def main() -> None:
    """Run as the installed command."""
    run_command(lambda: build_parser(prog="glacier-mpu"))


if __name__ == "__main__":
    run_script(build_parser)
