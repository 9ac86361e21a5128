"""Quoting: the shell that the words are quoted for reads them as they were."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from glacier_mpu.cli.quoting import for_posix, for_windows
from tests.support.shells import words_in_bash, words_on_windows

# Bytes that are no UTF-8 reach a program as surrogates of this range.
FROM_BYTES = st.lists(
    st.binary(min_size=1, max_size=20).map(lambda name: os.fsdecode(name.replace(b"\0", b"n"))),
    min_size=1,
    max_size=20,
)
TRICKY = st.text(alphabet="\\\"' a&|<>^()%!$`“:=-\n\té写\udce9*?~;,#{}", min_size=0, max_size=12)
# cmd ends the command where a line ends; no name and no description there has a control character.
ON_WINDOWS = st.lists(
    st.text(
        st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"])
        | st.sampled_from('"\\ &^%')
    )
)


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="asks bash")
@settings(max_examples=60)
@given(FROM_BYTES | st.lists(TRICKY, min_size=1))
@example(["ends in a newline\n", "\udce9\n", "\udce9", "\n", "", "-n", "~", "a=b"])
def test_bash_reads_the_words_as_they_were(words: list[str]) -> None:
    assert words_in_bash(for_posix(words)) == words


@pytest.mark.parametrize("odd", ["\x1b[A", "\t", "\x7f", "\x9b", "caf\udce9"])
def test_what_a_terminal_takes_for_a_key_is_not_pasted_into_it(odd: str) -> None:
    line = for_posix([f"/photos/{odd}/2024.zip"])
    assert odd not in line
    assert "/photos/" in line
    assert "/2024.zip" in line


@given(ON_WINDOWS)
@example([r"C:\a folder" + "\\", "\\", 'a\\"b c', '"', '""', "", r"\\server\share\a b", 'a" & "b'])
def test_windows_reads_the_words_as_they_were(words: list[str]) -> None:
    assert words_on_windows(for_windows(words)) == words


def test_what_needs_no_quotes_on_windows_has_none() -> None:
    """So that cmd and PowerShell take the whole line alike."""
    words = [r"C:\Python311\python.exe", r"--source-path=D:\Fjällräven\写真.zip", "--rehearse=D:\\"]
    assert for_windows(words) == " ".join(words)
