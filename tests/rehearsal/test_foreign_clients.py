"""What clients of other makers send: the AWS CLIs, boto 2, mt-aws-glacier, the SDKs of AWS."""

from __future__ import annotations

import re

from glacier_mpu.rehearsal.wire import ACCESS_KEY, SECRET_KEY


def test_the_keys_have_the_form_of_awss_and_say_that_they_are_none() -> None:
    """mt-aws-glacier refuses keys of another length."""
    assert re.fullmatch(r"[A-Z0-9]{20}", ACCESS_KEY)
    assert re.fullmatch(r"[A-Za-z0-9/+]{40}", SECRET_KEY)
    assert "REHEARSAL" in ACCESS_KEY
    assert "rehearsal" in SECRET_KEY


def test_no_secret_scanner_takes_the_access_key_for_one_of_awss() -> None:
    """Scanners look for the prefixes that AWS documents for its ids."""
    assert not re.match(r"A3T|AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|APKA|AROA", ACCESS_KEY)
