"""Another process on the same bucket, started by test_stores_blobs_s3: puts its own bytes under wanted keys."""

from __future__ import annotations

import asyncio
import sys

from nexus_graph.scope.clock import system_clock
from nexus_graph.scope.errors import Conflict
from nexus_graph.stores.blobs.bucket import ObjectServer
from nexus_graph.stores.blobs.s3 import S3Blobs


async def main(endpoint: str, bucket: str, access_key: str, secret_key: str, name: str) -> None:
    """Once a line came on standard input, put thirty objects; then a line with the numbers of those that were taken."""
    server = ObjectServer(
        bucket, "us-east-1", endpoint, access_key=access_key, secret_key=secret_key, addressing="path"
    )
    blobs = S3Blobs(server, clock=system_clock)
    await blobs.open()
    await blobs.ready()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    won = []
    for number in range(30):
        try:
            await blobs.put(f"race/{number}", f"{name} {number}".encode())
            won.append(str(number))
        except Conflict:
            pass
    await blobs.close()
    sys.stdout.write(" ".join(won) + "\n")


asyncio.run(main(*sys.argv[1:]))
