"""Draws picture.svg: an upload in a real terminal, stopped by Ctrl-C and resumed.

    .venv/bin/python docs/picture.py

It needs tmux, and the packages of requirements-dev.txt. A stand-in takes the place of AWS. What the
terminal shows is drawn, with its colours; no line is written by hand.
"""

from __future__ import annotations

import io

from rich.console import Console
from rich.text import Text
from terminal import AT_THE_PROMPT, COMMAND, PROJECT, Terminal, stage, terminal

PICTURE = PROJECT / "docs" / "picture.svg"
# As wide as the command that resumes, up to its last word, and as a line with an upload's id.
COLUMNS, LINES = 118, 50
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


def play(shell: Terminal) -> str:
    """Upload, press Ctrl-C midway, run the command again, and return the screen."""
    shell.enter(COMMAND)
    shell.wait_for(r"\b4\d\s?%")
    shell.press("C-c")
    shell.wait_for(AT_THE_PROMPT)
    shell.press("Up", "Enter")
    shell.wait_for(rf"archive-id: .*{AT_THE_PROMPT}")
    return shell.shown(colours=True).rpartition("\n")[0]


def drawn(screen: str, *, columns: int) -> str:
    """Return the screen as an SVG of text."""
    console = Console(record=True, width=columns, file=io.StringIO(), color_system="truecolor")
    for line in [*screen.splitlines(), ""]:  # the last line would be cut at its foot
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(
        title="", code_format=SVG, font_aspect_ratio=ASPECT_OF_DEJAVU, unique_id="picture"
    )
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"


def main() -> None:
    """Play it and draw it."""
    with stage() as environment, terminal(environment, columns=COLUMNS, lines=LINES) as shell:
        screen = play(shell)
    PICTURE.write_text(drawn(screen, columns=COLUMNS), encoding="utf-8")


if __name__ == "__main__":
    main()
