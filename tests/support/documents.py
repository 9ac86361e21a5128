"""Reading the documents as tests do: sections, tables, commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.support.scripts import ROOT

# What users read; bench/README.md is for those who measure, and the changelog is about the past.
MANUAL = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
SHELLS = ("sh", "bat")
COMMAND_OF = {"glacier-mpu": "GlacierMPU.py", "glacier-mpup": "GlacierMPUP.py"}
SCRIPTS = {*COMMAND_OF.values()}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(name: str, title: str) -> str:
    """Return what stands below a heading of level 2."""
    text = read(name).partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    assert text, f"{name} has no section {title!r}"
    return text


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables in a text, without the headings."""
    lines = text.splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("| ") and not after.startswith("|---"):
            yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def headings(name: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", without_fences(read(name)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """One command of a document, split into words as its shell would do it."""

    document: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.document}: {shlex.join(self.words)}"

    @property
    def script(self) -> str:
        """The script of this project that is called, also by its command; or nothing."""
        return COMMAND_OF.get(self.words[0]) or next(iter({*self.words[:2]} & SCRIPTS), "")

    @property
    def arguments(self) -> list[str]:
        return list(self.words[1 if self.words[0] in COMMAND_OF else 2 :])


def commands() -> Iterator[Command]:
    """Yield every command in a block of shell, and every `aws …` within a sentence."""
    for name in MANUAL:
        text = read(name)
        for shell, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            for line in block.splitlines() if shell in SHELLS else ():
                yield from _split(name, line, windows=shell == "bat")
        for line in re.findall(r"`(aws [^`]+)`", without_fences(text)):
            if " " in line.removeprefix("aws "):
                yield from _split(name, line, windows=False)


def _split(name: str, line: str, *, windows: bool) -> Iterator[Command]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    if windows:
        lexer.escape = ""
    words: list[str] = []
    for word in [*lexer, "&&"]:
        if word not in ("&&", "|"):
            words.append(word)
        elif words:
            redirected = [at for at, word in enumerate(words) if word in ("<", ">")]
            yield Command(name, tuple(words[: min(redirected, default=len(words))]))
            words = []


@dataclass(frozen=True)
class Recipe:
    """A line that uploads what other programs write; `restore` gives that back, if it is told."""

    document: str
    upload: str
    restore: str | None

    def __str__(self) -> str:
        return f"{self.document}: {self.upload.partition('--vault ')[2]}"

    def commands(self) -> Iterator[Command]:
        for line in filter(None, (self.upload, self.restore)):
            yield from _split(self.document, line, windows=False)


def recipes() -> Iterator[Recipe]:
    """Yield each line with a script in the blocks that are marked as recipes, and what follows."""
    for name in MANUAL:
        for block in re.findall(r"^<!-- recipes -->\n```sh\n(.*?)^```$", read(name), re.S | re.M):
            lines = [*block.splitlines(), ""]
            for line, after in pairwise(lines):
                if _calls_a_script(line):
                    yield Recipe(name, line, None if _calls_a_script(after) else after or None)


def _calls_a_script(line: str) -> bool:
    return any(script in line for script in SCRIPTS)


def files_linked_from(name: str) -> Iterator[tuple[Path, str]]:
    """Yield the file and the anchor of every link that does not leave the project."""
    for target in re.findall(r"\]\(([^)]+)\)", without_fences(read(name))):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            here = ROOT / name
            yield (here.parent / path).resolve() if path else here, anchor
