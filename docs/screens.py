"""Writes the captures in screens.md: uploads in real terminals of several widths, and without one.

    .venv/bin/python docs/screens.py

It needs tmux. A stand-in takes the place of AWS.
"""

from __future__ import annotations

from terminal import AT_THE_PROMPT, COMMAND, FOLDER, PROJECT, Terminal, stage, terminal

from glacier_mpu.rehearsal.faults import ALWAYS, Fault, FaultyHandler
from glacier_mpu.rehearsal.wire import Call

PAGE = PROJECT / "docs" / "screens.md"
WIDTHS = (60, 80, 120)
LINES = 60
_MOMENTS = ("sending", "stalled", "resumed")


class Line:
    """The way to the stand-in: while it is dead, no block gets through."""

    def __init__(self) -> None:
        self.is_dead = False

    def __call__(self, handler: FaultyHandler, call: Call) -> None:
        while self.is_dead:
            handler.pause(0.1)


def bar(screen: str) -> str:
    """Return the last bar on the screen."""
    return next(line for line in reversed(screen.splitlines()) if "%|" in line)


def play(shell: Terminal, line: Line) -> dict[str, str]:
    """Upload, stall, press Ctrl-C, resume, and return what was seen: bars, and at the end all."""
    shell.enter(COMMAND)
    sending = shell.wait_for(r"\b2\d%\|.*iB/s, 0:")
    line.is_dead = True
    stalled = shell.wait_for(r"stalled 0:1[2-9]")
    shell.press("C-c")
    shell.wait_for(AT_THE_PROMPT)
    line.is_dead = False
    shell.enter(f"{COMMAND} --recheck")
    resumed = shell.wait_for(r"\b[67]\d%\|.*iB/s, 0:.*compared")
    end = shell.wait_for(rf"archive-id: .*{AT_THE_PROMPT}")
    seen = dict(zip(_MOMENTS, map(bar, (sending, stalled, resumed)), strict=True))
    return {**seen, "session": end.rpartition("\n")[0]}


def log_of(shell: Terminal) -> str:
    """Return what an upload without a terminal writes to stderr."""
    shell.enter(f"{COMMAND} > result 2> log")
    shell.wait_for(rf"2> log\n{AT_THE_PROMPT}")
    return (FOLDER / "log").read_text(encoding="utf-8")


def quiet_of(shell: Terminal) -> str:
    """Return the screen of an upload that was asked to be quiet."""
    shell.enter(f"{COMMAND} --quiet")
    screen = shell.wait_for(rf"\nsize: .*{AT_THE_PROMPT}")
    return screen.rpartition("\n")[0]


def captures() -> dict[str, str]:
    """Return each capture by its name."""
    line = Line()
    seen: dict[int, dict[str, str]] = {}
    rest: dict[str, str] = {}
    with stage(faults=[Fault("UploadMultipartPart", line, times=ALWAYS)]) as environment:
        for columns in WIDTHS:
            with terminal(environment, columns=columns, lines=LINES) as shell:
                seen[columns] = play(shell, line)
        for name, capture in (("log", log_of), ("quiet", quiet_of)):
            with terminal(environment, columns=WIDTHS[-1], lines=LINES) as shell:
                rest[name] = capture(shell)
    bars = {moment: "\n".join(seen[columns][moment] for columns in WIDTHS) for moment in _MOMENTS}
    return bars | {f"session-{columns}": seen[columns]["session"] for columns in WIDTHS} | rest


def placed(text: str, name: str, capture: str) -> str:
    """Return the page with the capture in the block below its marker."""
    marker = f"<!-- capture: {name} -->\n```text\n"
    before, found, rest = text.partition(marker)
    if not found:
        raise LookupError(f"{PAGE.name} has no place for {name}")
    return f"{before}{marker}{capture.rstrip()}\n```{rest.partition('```')[2]}"


def main() -> None:
    """Write all of them into the page."""
    text = PAGE.read_text(encoding="utf-8")
    for name, capture in captures().items():
        text = placed(text, name, capture)
    PAGE.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
