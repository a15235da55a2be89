"""A real nginx with docs/deploy/nginx.conf: `.ci/servers/deploy` installs it. Without it the tests skip."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from servers.postgres import ordinary_user
from servers.process import program, running, start

CONFIGURATION = Path(__file__).parents[2] / "docs" / "deploy" / "nginx.conf"
_DAYS = "2"


@dataclass(frozen=True, slots=True)
class Nginx:
    """A proxy that runs: where it serves GraphQL and objects, and what it has logged."""

    graph: str
    objects: str
    folder: Path

    @property
    def log(self) -> str:
        """Every line that it wrote, of requests and of trouble."""
        return (self.folder / "access.log").read_text() + (self.folder / "log").read_text()


def configured(text: str, places: Mapping[str, str]) -> str:
    """The configuration with other places than those of the containers; each must be named in it."""
    for told, here in places.items():
        assert told in text, told
        text = text.replace(told, here)
    return text


@contextmanager
def nginx(ports: tuple[int, int], servers: tuple[int, int], objects: int) -> Iterator[Nginx]:
    """The proxy on two ports of loopback, before two servers and an object server. Skips where there is none."""
    command, user = program("nginx", "deploy", "/usr/sbin/nginx"), ordinary_user()
    folder = Path(tempfile.mkdtemp(prefix="nexus-nginx-"))
    try:
        _certify(folder)
        graph, store = ports
        text = configured(
            CONFIGURATION.read_text("utf-8"),
            {
                "/tmp/": f"{folder}/",  # noqa: S108 - the container's; first, since ours may lie there too
                "server-1:8300": f"127.0.0.1:{servers[0]}",
                "server-2:8300": f"127.0.0.1:{servers[1]}",
                "http://seaweedfs:8333": f"http://127.0.0.1:{objects}",
                "listen 8443": f"listen 127.0.0.1:{graph}",
                "listen 8444": f"listen 127.0.0.1:{store}",
                "/etc/nginx/tls": str(folder),
                "/dev/stdout": f"{folder}/access.log",
            },
        )
        (folder / "nginx.conf").write_text(text)
        if user is not None:
            for path in (folder, *folder.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)

        def ready() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", graph)) == 0

        who = None if user is None else (user.pw_uid, user.pw_gid)
        words: list[str | Path] = [command, "-c", folder / "nginx.conf", "-e", "stderr", "-g", "daemon off;"]
        with running(start(words, folder / "log", ready, who=who)):
            yield Nginx(f"https://127.0.0.1:{graph}", f"https://127.0.0.1:{store}", folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _certify(folder: Path) -> None:
    """A certificate that nobody trusts, in place of the real one."""
    names = ("-keyout", folder / "server.key", "-out", folder / "server.crt", "-subj", "/CN=localhost")
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", _DAYS, *names)
    subprocess.run([str(part) for part in made], check=True, capture_output=True)
