"""A real PgBouncer that lends connections by the transaction, in front of a Postgres server of the tests."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.postgres import APPLICATION, PostgresServer
from servers.process import free_ports, program, running, start

_SETTINGS = """\
[databases]
* = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = 3
unix_socket_dir =
"""


@contextmanager
def pgbouncer(server: PostgresServer, folder: Path) -> Iterator[int]:
    """The port of a pooler with three connections. Skips where there is none on this machine."""
    command = program("pgbouncer", "postgres", "/usr/sbin/pgbouncer")
    [port] = free_ports(1)
    settings, users = folder / "pgbouncer.ini", folder / "users"
    users.write_text(f'"{APPLICATION}" ""\n')
    settings.write_text(_SETTINGS.format(server=server.port, port=port, users=users))
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None  # it refuses to be run by root
    who = None if user is None else (user.pw_uid, user.pw_gid)

    def ready() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with running(start([command, settings], folder.parent / f"{folder.name}.log", ready, who=who)):
        yield port
