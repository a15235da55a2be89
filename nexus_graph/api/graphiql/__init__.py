"""GraphiQL at `/graphiql`: a page for developers, from files of this server alone.

GraphiQL and React come from a folder that npm made (`npm install graphiql@3 react@18 react-dom@18`; later versions no
longer bring files that a page can load as they are); the page, its style and its script are ours. Everything is read
when the process starts, and served from memory under an address that holds its digest. The policy lets nothing else
in: no other server, no script in the page. `style-src` allows styles in the page, which GraphiQL's editor makes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nexus_graph.config import Config
from nexus_graph.scope.errors import ConfigurationError

INSTALL = "npm install graphiql@3 react@18 react-dom@18"
LARGEST_FILE = 8 * 1024 * 1024

_NEEDED = (
    "graphiql/graphiql.min.css",
    "react/umd/react.production.min.js",
    "react-dom/umd/react-dom.production.min.js",
    "graphiql/graphiql.min.js",
)
_OURS = Path(__file__).parent
_MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
_PAGE = {"Cache-Control": "no-cache", "Content-Security-Policy": _POLICY}
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


@dataclass(frozen=True, slots=True)
class _File:
    address: str
    content: bytes
    media_type: str


def routes(config: Config) -> list[Route]:
    """The page and its files; nothing where nobody may introspect, or only trusted documents are run.

    Raises ConfigurationError that names a file which `NEXUS_GRAPHIQL` lacks.
    """
    if config.documents == "trusted" or not config.introspection_envs.strip():
        return []
    ours = [_read(_OURS / "page.css")]
    if config.graphiql is None:
        return [*_page("missing.html", 404, ours), _files(ours)]
    found = [*(_read(_installed(config.graphiql, name)) for name in _NEEDED), *ours, _read(_OURS / "page.js")]
    return [*_page("page.html", 200, found), _files(found)]


def _installed(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise ConfigurationError(f"NEXUS_GRAPHIQL: there is no {path}. Run `{INSTALL}` and name its node_modules.")
    if path.stat().st_size > LARGEST_FILE:
        raise ConfigurationError(f"NEXUS_GRAPHIQL: {path} is larger than {LARGEST_FILE:,} bytes. Run `{INSTALL}`.")
    return path


def _read(path: Path) -> _File:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"NEXUS_GRAPHIQL: {path} can't be read: {error.strerror}.") from error
    digest = hashlib.sha256(content).hexdigest()
    return _File(f"{digest[:32]}/{path.name}", content, _MEDIA_TYPES[path.suffix])


def _page(name: str, status: int, files: list[_File]) -> list[Route]:
    styles = [f'<link rel="stylesheet" href="graphiql/{file.address}">' for file in files if "css" in file.media_type]
    scripts = [f'<script src="graphiql/{file.address}" defer></script>' for file in files if "java" in file.media_type]
    html = (_OURS / name).read_text("utf-8").replace("<!-- files -->", "\n    ".join([*styles, *scripts]))

    async def answer(_: Request) -> Response:
        return Response(html, status, _PAGE, "text/html; charset=utf-8")

    return [Route("/graphiql", answer)]


def _files(files: list[_File]) -> Route:
    held = {file.address: file for file in files}

    async def answer(request: Request) -> Response:
        file = held.get(request.path_params["address"])
        if file is None:
            raise HTTPException(404)
        return Response(file.content, headers=_FOREVER, media_type=file.media_type)

    return Route("/graphiql/{address:path}", answer)
