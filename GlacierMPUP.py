#!/usr/bin/env python3
"""Upload one large file to an Amazon Glacier vault, several blocks at once."""

from glacier_mpu.cli.flags import Parser, add_threads, shared_parser
from glacier_mpu.cli.main import run_command, run_script


def build_parser(prog: str = "GlacierMPUP.py") -> Parser:
    """Return the parser of this script's flags; `prog` is what messages call the script."""
    parser = shared_parser(
        prog=prog,
        description="Upload one large file to an Amazon Glacier vault, several blocks at once. "
        "A block that fails does not stop the others, and the upload stays open for another run.",
    )
    add_threads(parser)
    return parser


def main() -> None:
    """Run as the installed command."""
    run_command(build_parser(prog="glacier-mpup"))


if __name__ == "__main__":
    run_script(build_parser())
