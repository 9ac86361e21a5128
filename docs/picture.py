"""Draws picture.svg: a rehearsal in a real terminal, stopped by Ctrl-C and resumed.

    .venv/bin/python docs/picture.py

It needs tmux, and the packages of requirements-dev.txt. What the terminal shows is drawn, with its
colours; no line is written by hand.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

PROJECT = Path(__file__).resolve().parents[1]
PICTURE = PROJECT / "docs" / "picture.svg"
COLUMNS, LINES = 100, 50
# It is shown in the picture, in the command that resumes.
FOLDER = Path(tempfile.gettempdir()) / "glacier"
SOURCE, SIZE = "album-2024.zip", 200 << 20
COMMAND = (  # after the prompt, the first line fills the terminal's width
    f".venv/bin/python GlacierMPUP.py --resume --source-path {SOURCE} --vault photos --blocksize 8"
    " --max-bandwidth 20MB --rehearse demo"
)
PROMPT = "\\[\\e[1;32m\\]$\\[\\e[0m\\] "
PATIENCE_SECONDS = 60
# No fonts of other hosts: a page that shows the picture must not call any.
SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">
{matrix}
</g>
</g>
</svg>
"""
ASPECT_OF_DEJAVU = 0.602


class Terminal:
    """A shell in a terminal of tmux, on a socket of its own."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "tmux"
        environment = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PS1": PROMPT,
            "HISTFILE": os.devnull,
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        self._tmux(
            *("-f", os.devnull, "new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES)),
            *("-c", str(folder), "env", "-i", *(f"{k}={v}" for k, v in environment.items())),
            *("TERM=screen-256color", "bash", "--norc", "--noprofile"),
        )

    def _tmux(self, *words: str) -> str:
        return subprocess.run(
            ["tmux", "-S", self._socket, *words], check=True, capture_output=True, text=True
        ).stdout

    def press(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def shown(self, *, colours: bool = False) -> str:
        return self._tmux("capture-pane", "-p", *(["-e"] if colours else [])).rstrip()

    def wait_for(self, pattern: str) -> None:
        """Wait until the screen matches. Raises TimeoutError with what it shows instead."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not re.search(pattern, self.shown(), re.DOTALL):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{pattern!r} never came:\n{self.shown()}")
            time.sleep(0.1)

    def close(self) -> None:
        self._tmux("kill-server")


@contextmanager
def stage() -> Iterator[Path]:
    """Yield a folder that looks like a fresh checkout with a file to upload, and remove it."""
    FOLDER.mkdir()  # of somebody else's nothing is removed
    try:
        for name in ("GlacierMPUP.py", "glacier_mpu"):
            (FOLDER / name).symlink_to(PROJECT / name)
        (FOLDER / ".venv").symlink_to(sys.prefix)
        with (FOLDER / SOURCE).open("wb") as file:
            file.truncate(SIZE)
        yield FOLDER
    finally:
        shutil.rmtree(FOLDER)


def play(terminal: Terminal) -> str:
    """Upload, press Ctrl-C midway, run the command again, and return the screen."""
    at_the_prompt = r"\$$"
    terminal.wait_for(at_the_prompt)
    terminal.press("-l", COMMAND)
    terminal.press("Enter")
    terminal.wait_for(r"\b4\d\s?%")
    terminal.press("C-c")
    terminal.wait_for(at_the_prompt)
    terminal.press("Up", "Enter")
    terminal.wait_for(rf"archive-id: .*{at_the_prompt}")
    return terminal.shown(colours=True).rpartition("\n")[0]


def drawn(screen: str) -> str:
    """Return the screen as an SVG of text."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), color_system="truecolor")
    for line in [*screen.splitlines(), ""]:  # the last line would be cut at its foot
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(
        title="", code_format=SVG, font_aspect_ratio=ASPECT_OF_DEJAVU, unique_id="picture"
    )
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"


def main() -> None:
    """Play it and draw it."""
    with stage() as folder:
        terminal = Terminal(folder)
        try:
            screen = play(terminal)
        finally:
            terminal.close()
    PICTURE.write_text(drawn(screen), encoding="utf-8")


if __name__ == "__main__":
    main()
