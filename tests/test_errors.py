"""The errors: each crosses to another process and comes back equal; the tree at the top is true."""

from __future__ import annotations

import dataclasses
import pickle
import re
from types import ModuleType

import pytest

from glacier_mpu import errors
from glacier_mpu.errors import UploadError, quoted
from glacier_mpu.vault import errors as vault_errors
from glacier_mpu.vault.errors import VaultError


def kinds(base: type[UploadError] = UploadError) -> list[type[UploadError]]:
    """Return the class and all below it, from the top down."""
    return [base, *(kind for child in base.__subclasses__() for kind in kinds(child))]


ROOMS = (errors, vault_errors)
ERRORS = [kind for kind in kinds() if kind.__module__ in [room.__name__ for room in ROOMS]]
EXAMPLES = {"str": "text", "int": 7, "bool": True, "tuple[str, ...]": ("text",)}


def example(kind: type[UploadError]) -> UploadError:
    """Return an error of this class, with every fact filled in."""
    facts = {f.name: EXAMPLES[str(f.type)] for f in dataclasses.fields(kind) if f.init}
    return kind(**facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_comes_back_equal_from_another_process(kind: type[UploadError]) -> None:
    error = example(kind)
    copy = pickle.loads(pickle.dumps(error))
    assert copy is not error
    assert copy == error
    assert hash(copy) == hash(error)
    assert str(copy) == str(error) == error.message != ""
    assert (copy.keeps_upload, copy.every_block_alike) == (
        kind.keeps_upload,
        kind.every_block_alike,
    )


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_with_different_facts_differ(kind: type[UploadError]) -> None:
    error, other = example(kind), example(kind)
    other.message += " and more"
    assert error != other
    assert error != UploadError("of another class")


def test_an_internal_error_keeps_what_caused_it() -> None:
    bug = ZeroDivisionError("a bug")
    error = errors.InternalError.of(bug)
    assert error.__cause__ is bug
    assert "ZeroDivisionError: a bug" in error.message


def drawn_in(room: ModuleType) -> list[tuple[int, str]]:
    """Return the depth and the name of each class in the tree of the room's docstring."""
    shown = re.findall(r"^    ([│├└─ ]*)(\w+)", room.__doc__ or "", re.M)
    return sorted((len(branches) // 4, name) for branches, name in shown if name[0].isupper())


def hierarchy(kind: type[UploadError], *, above: int = 0) -> list[tuple[int, str]]:
    below = [
        line
        for child in kind.__subclasses__()
        if child in ERRORS
        for line in hierarchy(child, above=above + 1)
    ]
    return [(above, kind.__name__), *below]


def test_the_trees_in_the_docstrings_are_the_hierarchy() -> None:
    assert drawn_in(vault_errors) == sorted(hierarchy(VaultError))
    ours = [(depth, name) for depth, name in hierarchy(UploadError)]
    of_the_vault = {name for _, name in hierarchy(VaultError)} - {"VaultError"}
    assert drawn_in(errors) == sorted(line for line in ours if line[1] not in of_the_vault)


@pytest.mark.parametrize(
    "text",
    [
        "Credential=AKIAX/20261124/eu-west-1/glacier/aws4_request, SignedHeaders=host",
        "Signature=0a1b2c3d",
        "x-amz-security-token: IQoJb3JpZ2lu",
        "Invalid header value b'secret\\n'",
        '{"SecretAccessKey": "secret", "SessionToken":"IQoJb3JpZ2lu"}',
        'Could not connect to the endpoint URL: "http://user:secret@127.0.0.1:9/-/vaults"',
    ],
)
def test_credentials_and_signatures_are_hidden_in_a_text(text: str) -> None:
    hidden = errors.redacted(text)
    assert "(hidden)" in hidden
    for secret in ("AKIAX", "0a1b2c3d", "IQoJb3JpZ2lu", "secret"):
        assert secret not in hidden


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (r"C:\photos\all of it.zip", r"'C:\photos\all of it.zip'"),
        ("Fjällräven 写真", "'Fjällräven 写真'"),
        ("it's", '"it\'s"'),
        ("two\nlines\x1b[31m", r"'two\nlines\x1b[31m'"),
        ("caf\udce9", r"'caf\udce9'"),
    ],
)
def test_a_name_in_a_message_can_be_copied_and_cannot_end_its_line(name: str, shown: str) -> None:
    assert quoted(name) == shown
