"""Makes the man pages in docs/man from the scripts' parsers: .venv/bin/python docs/make_man.py.

A folder that is given as an argument gets them instead.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from argparse_manpage.manpage import Manpage  # noqa: E402

import GlacierMPU  # noqa: E402
import GlacierMPUP  # noqa: E402
from glacier_mpu import __version__  # noqa: E402

PAGES = {
    "glacier-mpu": (
        GlacierMPU.build_parser,
        "upload one large file to an Amazon Glacier vault, one block after another",
    ),
    "glacier-mpup": (
        GlacierMPUP.build_parser,
        "upload one large file to an Amazon Glacier vault, several blocks at once",
    ),
}
EXIT_STATUS = {
    "0": "The archive is stored, or all asked blocks are, with --finish-upload False.",
    "1": "Failed; the same command will not help by itself.",
    "2": "Bad input; nothing was sent.",
    "3": "The upload is open and can be resumed.",
    "4": "It is not known whether an archive was stored. Look before you upload again.",
    "129, 130, 143, 149": "Interrupted (SIGHUP, SIGINT, SIGTERM, Ctrl-Break); an upload that was "
    "begun stays open.",
}


def page(name: str) -> str:
    """Return the source of one man page. The same parsers give the same text, on any day."""
    os.environ["COLUMNS"] = "10000"  # no line is broken, by which Pythons would differ
    build_parser, purpose = PAGES[name]
    made = Manpage(build_parser(name))
    made.description = purpose
    made.date = f"version {__version__}"
    made.source = "glacier-mpu"
    made.manual = "User Commands"
    made.add_section("exit status", "=", _exit_status())
    return str(made)


def _exit_status() -> str:
    rows = (f".TP\n\\fB{code}\\fR\n{meaning}" for code, meaning in EXIT_STATUS.items())
    return "\n".join(rows).replace("-", "\\-")


def main(folder: Path) -> None:
    """Write every page."""
    for name in PAGES:
        (folder / f"{name}.1").write_text(page(name), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "man")
