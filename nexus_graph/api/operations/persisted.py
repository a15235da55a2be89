"""Persisted operations: documents that clients name by their digest, the SHA-256 of the document's text in UTF-8.

Trusted documents come with the installation or from the operator's folder, and are the same for everybody. Where any
document is run, one that a client sends with its digest is remembered as well, for its own tenant and env alone
(Automatic Persisted Queries: apollographql.com/docs/apollo-server/performance/apq).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping

from nexus_graph.api.operations.operation import Operation
from nexus_graph.scope.errors import Forbidden, Invalid, NotFound
from nexus_graph.scope.scope import Scope

MOST_REMEMBERED = 64 * 1024 * 1024
MOST_OF_A_SCOPE = 1024 * 1024
"""Bytes of the documents that are remembered, of everybody and of one tenant and env."""

_OVERHEAD = 256
"""About how many bytes the keeping of a document takes beside its text."""


class UnknownDigest(NotFound):
    """Nobody has sent the document of this digest, or so long ago that it is forgotten.

    Clients know it by its message, which is the protocol's; they send the text and the digest next.
    """

    def __init__(self) -> None:
        super().__init__("document")
        self.message = "PersistedQueryNotFound"
        self.hint = "Send the document together with its digest."


def digest_of(text: str) -> str:
    """What a client names a document by: the SHA-256 of its text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


class PersistedOperations:
    """Finds the text of an operation: `trusted` are texts by their digests, and nothing else is run if `only`."""

    def __init__(self, trusted: Mapping[str, str], *, only: bool = False) -> None:
        self._trusted = trusted
        self._only = only
        self._remembered = Remembered(MOST_REMEMBERED, MOST_OF_A_SCOPE)

    def text(self, scope: Scope, operation: Operation) -> str:
        """The document to run.

        Raises Invalid when there is none or its digest is another's, Forbidden when it is not trusted where it has to
        be, and UnknownDigest.
        """
        query, digest = operation.query, operation.digest
        if query is None:
            return self._named(scope, digest)
        if digest is None and not self._only:
            return query
        actual = digest_of(query)
        if digest is not None and digest != actual:
            raise Invalid("The digest is not that of the document.", hint="Send the SHA-256 of exactly this text.")
        if actual not in self._trusted:
            if self._only:
                raise _distrusted()
            self._remembered.keep(scope, actual, query)
        return query

    def forget(self, scope: Scope) -> None:
        """Let go of what a tenant sent, in whichever env."""
        self._remembered.forget(scope.tenant_id)

    def _named(self, scope: Scope, digest: str | None) -> str:
        if digest is None:
            raise Invalid("`query` must be a GraphQL document.", hint='For example {"query": "{ viewer { role } }"}.')
        if (text := self._trusted.get(digest)) is not None:
            return text
        if self._only:
            raise _distrusted()
        if (text := self._remembered.find(scope, digest)) is not None:
            return text
        raise UnknownDigest


class Remembered:
    """Documents that clients sent, bounded in bytes: the oldest of a scope, and of scopes the idlest, are forgotten."""

    def __init__(self, most: int, most_of_a_scope: int) -> None:
        self._most = most
        self._most_of_a_scope = most_of_a_scope
        self._shelves: OrderedDict[tuple[str, str], _Shelf] = OrderedDict()
        self._size = 0

    def keep(self, scope: Scope, digest: str, text: str) -> None:
        """Remember a document, unless it is known."""
        place = (scope.tenant_id, scope.env.value)
        shelf = self._shelves.setdefault(place, _Shelf())
        self._shelves.move_to_end(place)
        self._size += shelf.put(digest, text.encode(), self._most_of_a_scope)
        while self._size > self._most:
            self._size -= self._shelves.popitem(last=False)[1].size

    def find(self, scope: Scope, digest: str) -> str | None:
        """A document that somebody of the same tenant and env has sent."""
        place = (scope.tenant_id, scope.env.value)
        if (shelf := self._shelves.get(place)) is None or (text := shelf.texts.get(digest)) is None:
            return None
        self._shelves.move_to_end(place)
        return text.decode()

    def forget(self, tenant_id: str) -> None:
        """Forget all documents of a tenant."""
        for place in [place for place in self._shelves if place[0] == tenant_id]:
            self._size -= self._shelves.pop(place).size


class _Shelf:
    """The documents of one scope, the oldest first."""

    __slots__ = ("size", "texts")

    def __init__(self) -> None:
        self.texts: OrderedDict[str, bytes] = OrderedDict()
        self.size = 0

    def put(self, digest: str, text: bytes, most: int) -> int:
        """Put a text last, and drop from the front what is too much; returns how many bytes it grew."""
        before = self.size
        if digest not in self.texts:
            self.texts[digest] = text
            self.size += len(text) + _OVERHEAD
            while self.size > most:
                self.size -= len(self.texts.popitem(last=False)[1]) + _OVERHEAD
        return self.size - before


def _distrusted() -> Forbidden:
    return Forbidden("Only trusted documents are run here.", hint="Ask the operator to add it: docs/operations.md.")
