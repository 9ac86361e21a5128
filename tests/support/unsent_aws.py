"""The AWS CLI, in which every call that is well formed succeeds and none is made.

Reads a JSON list of command lines from stdin, and writes those that are refused to stdout. A
program of its own, because importing the AWS CLI changes the environment of the process.
"""

import json
import sys
from io import BytesIO
from types import SimpleNamespace
from typing import Any

from awscli.clidriver import create_clidriver  # type: ignore[import-untyped]


def answer(model: Any, **_: object) -> tuple[object, dict[str, object]]:
    """Answer in the place of the service; only what downloads needs a body."""
    body: dict[str, object] = {"body": BytesIO(b"output")} if model.has_streaming_output else {}
    return SimpleNamespace(status_code=200), body


def main() -> None:
    driver = create_clidriver()
    driver.session.register("before-call.glacier", answer)
    lines = json.load(sys.stdin)
    stdout, sys.stdout = sys.stdout, sys.stderr
    refused = [words for words in lines if driver.main(words[1:]) != 0]
    json.dump(refused, stdout)


if __name__ == "__main__":
    main()
