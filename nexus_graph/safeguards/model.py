"""What the safeguards talk about: deeds, strategic changes, resources and decisions. Values only, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from nexus_graph.scope.canonical import Json, digest
from nexus_graph.scope.decision import Blocker, Gate
from nexus_graph.scope.errors import Forbidden, NexusError
from nexus_graph.scope.handling import Handling
from nexus_graph.scope.permission import Permission

_NOTHING_KEPT = Handling((), train_ok=False)


class Resource(StrEnum):
    """What a quota limits in one tenant and env."""

    STORED_BYTES = "STORED_BYTES"
    ASSETS = "ASSETS"
    CARDS = "CARDS"
    INDEX_WRITES = "INDEX_WRITES"
    LIVE_STREAMS = "LIVE_STREAMS"


class StrategicAction(StrEnum):
    """What needs a Strategy Lock."""

    PUBLISH_CARD = "PUBLISH_CARD"
    RETIRE_CARD = "RETIRE_CARD"
    REINDEX = "REINDEX"
    RELEASE_KILL_SWITCH = "RELEASE_KILL_SWITCH"
    CHANGE_OWNER = "CHANGE_OWNER"
    SET_QUOTA = "SET_QUOTA"


@dataclass(frozen=True, slots=True)
class Change:
    """A strategic change, exactly. A lock binds its digest; another content is another change.

    `target` names what it is done to (a card id, a subject, a resource), `card_type` the type of a card. Of an `open`
    change only a part of the content is known yet: a screen asks whether any such change would be allowed. Nobody
    enforces or binds such a one.
    """

    action: StrategicAction
    target: str
    content: Mapping[str, Json]
    card_type: str | None = None
    open: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical change."""
        return digest(
            {
                "action": self.action.value,
                "target": self.target,
                "cardType": self.card_type,
                "content": dict(self.content),
            }
        )


def quota_change(resource: Resource, limit: int | None) -> Change:
    """Setting a quota, as a lock binds it. `limit` None gives the installation's own back."""
    return Change(StrategicAction.SET_QUOTA, resource.value, {"limit": limit})


def switch_release(switch_id: str) -> Change:
    """Releasing a kill switch, as a lock binds it."""
    return Change(StrategicAction.RELEASE_KILL_SWITCH, switch_id, {})


def index_rebuild(definition_id: str) -> Change:
    """Rebuilding the index under a definition, as a lock binds it."""
    return Change(StrategicAction.REINDEX, definition_id, {})


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody is about to do, as far as a safeguard cares.

    `action` is the field of the graph that does it, `takes` what it uses up, `change` what makes it strategic (None
    when it is not), `handling` what its author declared for that which is kept, `price` its points where they are not
    yet paid, `provider` the outside service that it needs, `barred` what the room
    has against this very principal, whatever the right: the run is somebody else's, the lock is their own.
    """

    action: str
    permission: Permission
    takes: Mapping[Resource, int] = field(default_factory=dict)
    change: Change | None = None
    handling: Handling = _NOTHING_KEPT
    price: int = 0
    provider: str | None = None
    barred: Forbidden | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """What one gate has against a deed: the error that the deed would answer."""

    gate: Gate
    error: NexusError

    @property
    def blocker(self) -> Blocker:
        """The same, as a screen shows it."""
        return Blocker(self.gate, self.error.code, self.error.message, self.error.hint)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a deed may be done, and all that stands in its way, in the order of the gates."""

    action: str
    refusals: tuple[Refusal, ...]

    @property
    def allowed(self) -> bool:
        """Whether nothing stands in its way."""
        return not self.refusals

    @property
    def blockers(self) -> tuple[Blocker, ...]:
        """All that stands in its way."""
        return tuple(refusal.blocker for refusal in self.refusals)

    def require(self) -> None:
        """Raises what the first gate that refuses has to say; the error carries all blockers."""
        if self.refusals:
            error = self.refusals[0].error
            error.blockers = self.blockers
            raise error
