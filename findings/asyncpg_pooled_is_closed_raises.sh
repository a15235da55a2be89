#!/usr/bin/env bash
# A connection that a pool of asyncpg lent is asked whether it is closed before it is used again. While it lives it says
# False; once the server has ended it, one expects True. The pool takes the connection out of the lent object at that
# moment, so the question itself raises InterfaceError, as everything else does then: "has been released back to the
# pool", though nobody released it, and the server's reason is gone. A connection of one's own does answer True.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
  asyncpg==0.32.0 pgserver==0.1.4 fasteners==0.20 platformdirs==4.14.8 psutil==7.2.2
"$folder/venv/bin/pip" freeze
HOME="$folder" XDG_RUNTIME_DIR="$folder" "$folder/venv/bin/python" - "$folder/data" <<'PYTHON'
import asyncio
import sys

import asyncpg
import pgserver


async def main(address: str) -> None:
    other = await asyncpg.connect(address)
    print("server", other.get_server_version().major)
    alone = await asyncpg.connect(address)
    pool = await asyncpg.create_pool(address, min_size=0)
    lent = await pool.acquire()
    print("guessed: False while they live, then True")
    seen = [alone.is_closed(), lent.is_closed()]
    for each in (alone, lent):
        await other.execute("select pg_terminate_backend($1, 5000)", each.get_server_pid())
    await asyncio.sleep(1)
    for each in (alone, lent):
        try:
            seen.append(each.is_closed())
        except asyncpg.InterfaceError as error:
            seen.append(str(error))
    print("seen:", *seen, sep="\n  ")
    await pool.release(lent)
    await pool.close()
    await other.close()
    assert seen[:3] == [False, False, True], "this has changed"
    assert "released back to the pool" in str(seen[3]), "this has changed"


server = pgserver.get_server(sys.argv[1])
try:
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PYTHON
