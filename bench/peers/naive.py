"""What botocore alone makes of it: each block read whole and given to the client.

naive.py FILE BLOCK_BYTES THREADS
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.utils import calculate_tree_hash


def main() -> None:
    """Upload the file, so many blocks at once."""
    path, block, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    client = boto3.client("glacier")
    size = os.path.getsize(path)
    upload_id = client.initiate_multipart_upload(
        vaultName="bench", archiveDescription="bench", partSize=str(block)
    )["uploadId"]

    def send(start: int) -> None:
        with open(path, "rb") as file:
            file.seek(start)
            body = file.read(block)
        whole = f"bytes {start}-{start + len(body) - 1}/*"
        client.upload_multipart_part(vaultName="bench", uploadId=upload_id, range=whole, body=body)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(send, range(0, size, block)))
    with open(path, "rb") as file:
        checksum = calculate_tree_hash(file)  # the way the documentation shows: once more
    client.complete_multipart_upload(
        vaultName="bench", uploadId=upload_id, archiveSize=str(size), checksum=checksum
    )


if __name__ == "__main__":
    main()
