"""The flags: bad input is one message that names the flag and the fact, and good input a value."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from glacier_mpu.cli.options import Options, UsageError, asks_for_json, parse
from glacier_mpu.cli.times import ClockTime
from glacier_mpu.cli.values import AUTO, NO_LEDGER
from glacier_mpu.source.blocks import MIB
from glacier_mpu.transfer.bandwidth import Timetable
from tests.support.asked import asked
from tests.support.scripts import script_parser

SERIAL, PARALLEL = "GlacierMPU.py", "GlacierMPUP.py"
REQUIRED = ("--source-path", "a file.zip", "--vault", "photos")
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
both_scripts = pytest.mark.parametrize("script", [SERIAL, PARALLEL])


def options(*arguments: str, script: str = PARALLEL) -> Options:
    return parse(script_parser(script), [*REQUIRED, *arguments], command=[script])


BAD: list[tuple[list[str], list[str]]] = [
    (["--resum"], ["there is no flag --resum; did you mean --resume?"]),
    (["--stop-aat=07:00"], ["there is no flag --stop-aat; did you mean --stop-at?"]),
    (["--xyzzy"], ["there is no flag --xyzzy"]),
    (["--vault", "my vault"], ["--vault", "' '"]),
    (["--vault", "photos/2024"], ["--vault", "'/'"]),
    (["--vault", "ph\u00f6tos"], ["--vault", "'\u00f6'"]),
    (["--vault", "photos\n"], ["--vault", "'\\n'"]),
    (["--vault", ""], ["--vault", "255"]),
    (["--vault", "v" * 256], ["--vault", "255", "256"]),
    (["--comment", "caf\u00e9"], ["--comment", "4", "'\u00e9'"]),
    (["--comment", "a\tb"], ["--comment", "2", "'\\t'"]),
    (["--comment", "a\x7f"], ["--comment", "2", "'\\x7f'"]),
    (["--comment", "\udcff"], ["--comment", "1", "udcff"]),
    (["--comment", "c" * 1025], ["--comment", "1,025", "1,024"]),
    (["--upload-id", "a/b"], ["--upload-id", "a/b"]),
    (["--upload-id", ""], ["--upload-id", "''"]),
    (["--upload-id", "abc\n"], ["--upload-id"]),
    (["--blocksize", "0"], ["--blocksize", "1 and 2"]),
    (["--blocksize", "-4"], ["--blocksize", "1 and 2"]),
    (["--blocksize", "3"], ["--blocksize", "2 and 4"]),
    (["--blocksize", "100"], ["--blocksize", "64 and 128"]),
    (["--blocksize", "4095"], ["--blocksize", "2048 and 4096"]),
    (["--blocksize", "8192"], ["--blocksize", "2048 and 4096"]),
    (["--blocksize", "128MB"], ["--blocksize", "'128MB'", "in MiB, such as 128"]),
    (["--blocksize", "1GB"], ["--blocksize", "'1GB'", "in MiB, such as 16"]),
    (["--blocksize", "3GiB"], ["--blocksize", "2048 and 4096"]),
    (["--blocksize", "1.5"], ["--blocksize", "1.5"]),
    (["--blocksize", "\u0661"], ["--blocksize", "\u0661"]),
    (["--start", "first"], ["--start", "first"]),
    (["--start", "1.0"], ["--start", "1.0"]),
    (["--end", ""], ["--end"]),
    (["--threads", "0"], ["--threads", "'0'"]),
    (["--threads", "-3"], ["--threads", "'-3'"]),
    (["--threads", "two"], ["--threads", "'two'"]),
    (["--threads", "2.5"], ["--threads", "'2.5'"]),
    (["--finish-upload", "yes"], ["--finish-upload", "yes", "True", "False"]),
    (["--finish-upload", ""], ["--finish-upload", "True", "False"]),
    (["--retry-minutes", "-1"], ["--retry-minutes", "-1"]),
    (["--retry-minutes", "soon"], ["--retry-minutes", "soon"]),
    (["--retry-minutes", "nan"], ["--retry-minutes", "nan"]),
    (["--retry-minutes", "inf"], ["--retry-minutes", "inf"]),
    (["--max-bandwidth", "08:00,1MB 8:30,off"], ["--max-bandwidth", "'8:30,off'", "07:00"]),
    (["--stop-at", "7"], ["--stop-at", "'7'", "07:00"]),
    (["--stop-after", "6"], ["--stop-after", "'6'", "6h"]),
    (["--stop-at", "07:00", "--stop-after", "6h"], ["--stop-at", "--stop-after"]),
    (["--ledger", ""], ["--ledger", "''"]),
    (["--ledger"], ["--ledger"]),
    (["--recheck=yes"], ["--recheck"]),
    (["--account-id", "1234"], ["--account-id", "1234", "12"]),
    (["--endpoint-url", "glacier.example.org"], ["--endpoint-url", "glacier.example.org"]),
    (["--endpoint-url", "ftp://example.org"], ["--endpoint-url", "ftp://example.org"]),
    (["--endpoint-url", "http://[::1"], ["--endpoint-url", "http://[::1"]),
    (["--expected-size", "0"], ["--expected-size", "'0'", "1 to 42,949,672,960,000"]),
    (["--expected-size", "40TiB"], ["--expected-size", "'40TiB'", "42,949,672,960,000"]),
    (["--expected-size", "8T"], ["--expected-size", "'8T'", "8TB"]),
    (["--expected-size", "8tb"], ["--expected-size", "'8tb'", "8TB"]),
    (["--expected-size", "1.5"], ["--expected-size", "'1.5'"]),
    (["--output", "xml"], ["--output", "xml"]),
    (["--resume", "--upload-id", "x"], ["--resume", "--upload-id"]),
    (["--rehearse", "d", "--endpoint-url", "http://h"], ["--rehearse", "--endpoint-url"]),
    (["--rehearse", "d", "--profile", "p"], ["--rehearse", "--profile"]),
    (["--quiet", "--verbose"], ["--quiet", "--verbose"]),
    (["--finish", "True"], ["--finish"]),
    (["--no-such-flag"], ["--no-such-flag"]),
    (["stray"], ["stray"]),
    (["--comment"], ["--comment"]),
    (["--comment", "--quiet"], ["--comment"]),
    (["--comment", "-h"], ["--comment"]),
    (["--comment", "--region", "x"], ["--comment"]),
    (["--dry-run=yes"], ["--dry-run"]),
]


@pytest.mark.parametrize(
    ("arguments", "facts"), BAD, ids=[ascii(" ".join(row[0]))[1:40] for row in BAD]
)
def test_bad_input_is_refused_and_the_flag_and_the_fact_are_named(
    arguments: list[str], facts: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        options(*arguments)
    assert all(fact in caught.value.message for fact in facts)
    assert "argument -" not in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("port", ["99999", "abc", "-1", "0"])
def test_an_endpoint_with_an_impossible_port_is_refused(port: str) -> None:
    with pytest.raises(UsageError, match=f":{port}' is not a URL"):
        options("--endpoint-url", f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("text", ["1_0", "\u0663", " 5"])
def test_a_block_number_is_written_in_figures(text: str) -> None:
    with pytest.raises(UsageError):
        options("--start", text)


@pytest.mark.parametrize("missing", ["--source-path", "--vault"])
@both_scripts
def test_a_required_flag_that_is_missing_is_named(script: str, missing: str) -> None:
    arguments = list(REQUIRED)
    at = arguments.index(missing)
    with pytest.raises(UsageError, match=missing):
        parse(script_parser(script), arguments[:at] + arguments[at + 2 :], command=[script])


def test_only_the_parallel_script_has_threads() -> None:
    with pytest.raises(UsageError, match="--threads"):
        options("--threads", "2", script=SERIAL)
    assert options(script=SERIAL).threads is None
    assert options().threads == 3


@both_scripts
def test_the_defaults_are_those_of_the_readme(script: str) -> None:
    made = options(script=script)
    assert (made.source_path, made.vault, made.comment) == ("a file.zip", "photos", None)
    assert (made.upload_id, made.block_size, made.first, made.last) == (None, None, None, None)
    assert (made.finish, made.account_id, made.retry_minutes) == (True, "-", 15.0)
    assert (made.profile, made.region, made.endpoint_url, made.rehearse) == (None,) * 4
    assert (made.dry_run, made.quiet, made.verbose, made.resume) == (False,) * 4
    assert (made.output, made.receipts) == ("text", None)
    assert (made.ledger, made.recheck) == (None, False)


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["--blocksize", "1"], "block_size", MIB),
        (["--blocksize=4096"], "block_size", 4096 * MIB),
        (["--blocksize=16MiB"], "block_size", 16 * MIB),
        (["--blocksize", "1 GiB"], "block_size", 1024 * MIB),
        (["--start", "0", "--end", "3"], "last", 3),
        (["--start", "-1"], "first", -1),
        (["--finish-upload", "FALSE"], "finish", False),
        (["--finish-upload=true"], "finish", True),
        (["--threads", "10"], "threads", 10),
        (["--threads", "auto"], "threads", AUTO),
        (["--max-bandwidth", "1MB"], "max_bandwidth", Timetable.always(1_000_000)),
        (["--max-bandwidth", "Mon-00:00,off 08:00,1MB"], "stop_at", None),
        (["--stop-at", "Sat-07:30"], "stop_at", ClockTime(5, 450)),
        (["--stop-after", "1h30min"], "stop_after", 5400.0),
        (["--retry-minutes", "0"], "retry_minutes", 0.0),
        (["--retry-minutes", "0.5"], "retry_minutes", 0.5),
        (["--ledger", "none"], "ledger", NO_LEDGER),
        (["--ledger", "./none"], "ledger", "./none"),
        (["--ledger=my ledger"], "ledger", "my ledger"),
        (["--recheck"], "recheck", True),
        (["--account-id", "-"], "account_id", "-"),
        (["--account-id", "123456789012"], "account_id", "123456789012"),
        (["--endpoint-url", "http://127.0.0.1:80"], "endpoint_url", "http://127.0.0.1:80"),
        (["--vault", "v" * 255], "vault", "v" * 255),
        (["--vault", "-._A9"], "vault", "-._A9"),
        (["--comment", PRINTABLE], "comment", PRINTABLE),
        (["--comment", "c" * 1024], "comment", "c" * 1024),
        (["--comment", ""], "comment", ""),
        (["--comment", "--start=3"], "comment", "--start=3"),
        (["--comment=--quiet"], "comment", "--quiet"),
        (["--comment=-h"], "comment", "-h"),
        (["--upload-id", "-starts-so"], "upload_id", "-starts-so"),
        (["--upload-id=--twice"], "upload_id", "--twice"),
        (["--upload-id", "--twice"], "upload_id", "--twice"),
        (["--region", "eu-west-1"], "region", "eu-west-1"),
        (["--source-path", r"C:\My Files\a b.zip"], "source_path", r"C:\My Files\a b.zip"),
        (["--expected-size", "500 GiB"], "expected_size", 500 << 30),
        (["--spool", "my spool"], "spool", "my spool"),
        (["--overwrite"], "overwrite", True),
        (["--vault", "first", "--vault", "last"], "vault", "last"),
    ],
    ids=lambda value: " ".join(value)[:32] if isinstance(value, list) else "",
)
def test_a_good_value_arrives(arguments: list[str], field: str, value: Any) -> None:
    assert getattr(options(*arguments), field) == value


@pytest.mark.parametrize("joined", [True, False], ids=["joined", "apart"])
@pytest.mark.parametrize("flag", ["--comment", "--region", "--vault", "--output"])
def test_two_hyphens_as_a_value_are_refused_on_every_python(flag: str, *, joined: bool) -> None:
    words = [f"{flag}=--"] if joined else [flag, "--"]
    with pytest.raises(UsageError, match=flag):
        options(*words)


# What is a flag itself is a value only when it is joined to its own flag.
FLAGS = {"--", *script_parser(PARALLEL)._option_string_actions}


@given(upload_id=st.text(string.ascii_letters + string.digits + "_-", min_size=2, max_size=92))
def test_any_upload_id_arrives_and_the_words_say_it_again(upload_id: str) -> None:
    assume(upload_id not in FLAGS)
    made = options("--upload-id", upload_id)
    assert made.upload_id == upload_id
    again = parse(script_parser(PARALLEL), made.words, command=[PARALLEL])
    assert again == made


@given(comment=st.text(PRINTABLE).filter(lambda text: text != "--"))
def test_any_comment_comes_through_the_words_unchanged(comment: str) -> None:
    made = options(f"--comment={comment}")
    assert made.comment == comment
    assert parse(script_parser(PARALLEL), made.words, command=[PARALLEL]) == made


def test_words_without_a_flag_are_all_the_others_however_it_was_written() -> None:
    made = options("--start", "2", "--end=4", "--upload-id=x", "--quiet", "--comment", "--end=9")
    assert made.words_without("--start", "--end", "--upload-id") == [
        "--source-path=a file.zip",
        "--vault=photos",
        "--quiet",
        "--comment=--end=9",
    ]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--output", "json", "--blocksize", "3"], True),
        (["--no-such-flag", "--output=json"], True),
        (["--output", "text"], False),
        (["--output"], False),
        (["--", "aws", "--output", "json"], False),
        (["--output", "json", "--", "tar"], True),
        ([], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_whether_json_is_asked_for_is_known_though_the_rest_is_wrong(
    arguments: list[str],
    *,
    wanted: bool,
) -> None:
    assert asks_for_json(script_parser(PARALLEL), arguments) is wanted


@both_scripts
@pytest.mark.parametrize(("flag", "fact"), [("--help", "--finish-upload"), ("--version", ".")])
def test_help_and_version_go_to_stdout_and_exit_0(
    script: str, flag: str, fact: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(script_parser(script), [flag], command=[script])
    assert caught.value.code == 0
    said = capsys.readouterr()
    assert fact in said.out
    assert script in said.out
    assert said.err == ""


def test_a_comment_is_the_description_even_when_it_is_empty() -> None:
    assert options("--comment", "").description == ""
    assert options().description == "Archive for a file.zip"


# -- the source


ONE_SOURCE = "give one of --source-path, --source-command or a command after --"


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        ([], "there is no source"),
        (["--"], "there is nothing after --"),
        (["--source-path=f", "--source-command=c"], "--source-path and --source-command"),
        (["--source-path=-", "--", "tar"], "--source-path and a command after --"),
        (["--source-path=f", "--"], "--source-path and a command after --"),
        (["--source-command=c", "--", "tar"], "--source-command and a command after --"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_exactly_one_source_is_given(arguments: list[str], fact: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(script_parser(PARALLEL), ["--vault", "photos", *arguments], command=[PARALLEL])
    assert caught.value.message.startswith(fact)
    assert caught.value.message.endswith(ONE_SOURCE)


def test_everything_behind_two_hyphens_is_the_command_whatever_it_looks_like() -> None:
    made = asked("--comment", "a b", "--", "tar", "c", "--vault=x", "--", "--quiet", "--output")
    assert made.argv == ("tar", "c", "--vault=x", "--", "--quiet", "--output")
    assert (made.vault, made.comment, made.quiet) == ("photos", "a b", False)
    assert made.words == ("--vault=photos", "--comment=a b")


def test_a_flag_that_lacks_its_value_does_not_take_the_two_hyphens_for_it() -> None:
    with pytest.raises(UsageError, match="--comment"):
        asked("--comment", "--", "tar")


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_line_for_the_shell_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--source-command"):
        asked("--source-command", text)


@pytest.mark.parametrize(
    ("arguments", "path", "command"),
    [
        (["--source-path", "-"], "-", None),
        (["--source-command", "tar c 'a b'"], None, "tar c 'a b'"),
        (["--", "tar", "c", "a"], None, "tar c a"),
    ],
    ids=["stdin", "line", "program"],
)
def test_a_stream_has_no_path_but_a_hyphen_and_its_command_is_one_line(
    arguments: list[str], path: str | None, command: str | None
) -> None:
    made = asked(*arguments)
    assert (made.full_source_path, made.shown_command) == (path, command)
    assert (made.file_path, made.is_stream) == (None, True)
    again = made.from_anywhere()
    assert (again.source_path, again.words) == (made.source_path, made.words)


@both_scripts
def test_the_usage_tells_of_a_command_behind_the_flags(script: str) -> None:
    assert script_parser(script).format_usage().endswith("[-- COMMAND ...]\n")
