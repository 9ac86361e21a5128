"""The AWS CLI, a client that nobody here wrote, uploads a file to the stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from glacier_mpu.rehearsal.server import RehearsalServer
from glacier_mpu.rehearsal.wire import ACCESS_KEY, ACCOUNT_ID, REGION, SECRET_KEY
from tests.support.wire_client import MIB, pattern, tree_hash

PIECES = [pattern(MIB), pattern(MIB, seed=1), pattern(777, seed=2)]
WHOLE = b"".join(PIECES)


class Cli:
    """`aws glacier ...` of the same virtual environment, against one stand-in."""

    def __init__(self, server: RehearsalServer, home: Path) -> None:
        self._url = server.endpoint_url
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self._environment = {
            **kept,
            "HOME": str(home),
            "USERPROFILE": str(home),
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_MAX_ATTEMPTS": "1",
        }

    def ended(self, operation: str, **flags: str) -> subprocess.CompletedProcess[str]:
        # With "=", because an id of the service may well begin with "-".
        words = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        arguments = ["glacier", operation, "--account-id=-", "--vault-name=photos", *words]
        return subprocess.run(
            [sys.executable, "-m", "awscli", "--endpoint-url", self._url, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def __call__(self, operation: str, **flags: str) -> Any:
        ended = self.ended(operation, **flags)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout or "{}")


def test_the_aws_cli_uploads_a_file_whose_last_part_is_short(tmp_path: Path) -> None:
    with RehearsalServer(tmp_path / "vaults") as server:
        aws = Cli(server, tmp_path)
        assert aws("create-vault")["location"] == f"/{ACCOUNT_ID}/vaults/photos"
        upload_id = aws("initiate-multipart-upload", part_size=str(MIB), archive_description="a b")[
            "uploadId"
        ]
        for index in (2, 0, 1):
            (tmp_path / "part").write_bytes(PIECES[index])
            first = index * MIB
            sent = aws(
                "upload-multipart-part",
                upload_id=upload_id,
                body=str(tmp_path / "part"),
                range=f"bytes {first}-{first + len(PIECES[index]) - 1}/*",
            )
            assert sent["checksum"] == tree_hash(PIECES[index])
        (listed,) = aws("list-multipart-uploads")["UploadsList"]
        assert (listed["MultipartUploadId"], listed["ArchiveDescription"]) == (upload_id, "a b")
        listed = aws("list-parts", upload_id=upload_id)
        assert [part["SHA256TreeHash"] for part in listed["Parts"]] == [
            tree_hash(piece) for piece in PIECES
        ]
        whole = {"archive_size": str(len(WHOLE)), "upload_id": upload_id}
        refused = aws.ended("complete-multipart-upload", checksum=tree_hash(b"another"), **whole)
        assert "(InvalidParameterValueException)" in refused.stderr
        done = aws("complete-multipart-upload", checksum=tree_hash(WHOLE), **whole)
        assert server.store.archive_path(done["archiveId"]).read_bytes() == WHOLE
        assert aws("list-multipart-uploads")["UploadsList"] == []
