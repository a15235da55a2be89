"""The index's rows and their SQL. The vectors in here are the truth; every other index is a copy of them.

`generation` counts the changes of a definition's rows; each entry carries the one that touched it last, so that a copy
can ask for what is newer than itself. An entry stays when its card leaves the index, as RETIRED and without vectors.
"""

from __future__ import annotations

from nexus_graph.cards.table import CARDS
from nexus_graph.stores.statement import Statement

_ENTRY = (
    "left join index_entries entry on entry.tenant_id = card.tenant_id and entry.env = card.env "
    "and entry.definition_id = :definition_id and entry.card_id = card.card_id"
)
_CARD = "from cards card {} where card.tenant_id = :tenant_id and card.env = :env"

# Definitions

ACTIVE = Statement(
    "select definition.definition_id, definition.dimensions, definition.generation, definition.state "
    "from index_active active join index_definitions definition on definition.tenant_id = active.tenant_id "
    "and definition.env = active.env and definition.definition_id = active.definition_id "
    "where active.tenant_id = :tenant_id and active.env = :env"
)
OTHERS = (
    "select tenant_id, env, definition_id from index_active where definition_id <> :definition_id "
    "order by tenant_id, env"
)
FIRST_ACTIVE = Statement(
    "insert into index_active (tenant_id, env, definition_id, changed_at) "
    "values (:tenant_id, :env, :definition_id, :now) on conflict (tenant_id, env) do nothing"
)
ACTIVATE = Statement(
    "insert into index_active (tenant_id, env, definition_id, changed_at) "
    "values (:tenant_id, :env, :definition_id, :now) "
    "on conflict (tenant_id, env) do update set definition_id = :definition_id, changed_at = :now"
)
ADVANCE = Statement(
    "insert into index_definitions (tenant_id, env, definition_id, dimensions, generation, state) "
    "values (:tenant_id, :env, :definition_id, :dimensions, 1, :empty_state) "
    "on conflict (tenant_id, env, definition_id) do update set generation = index_definitions.generation + 1 "
    "returning generation, state"
)
SET_STATE = Statement(
    "update index_definitions set state = :state "
    "where tenant_id = :tenant_id and env = :env and definition_id = :definition_id"
)
LEAVE_OTHERS = Statement(
    "update index_definitions set generation = generation + 1, state = :empty_state "
    "where tenant_id = :tenant_id and env = :env and definition_id <> :definition_id"
)
RETIRE_OTHERS = Statement(
    "update index_entries set state = 'RETIRED', chunks = 0, chunks_digest = '', generation = (select made.generation "
    "from index_definitions made where made.tenant_id = index_entries.tenant_id and made.env = index_entries.env "
    "and made.definition_id = index_entries.definition_id) "
    "where tenant_id = :tenant_id and env = :env and definition_id <> :definition_id and state <> 'RETIRED'"
)
FORGET_OTHERS = Statement(
    "delete from index_vectors where tenant_id = :tenant_id and env = :env and definition_id <> :definition_id"
)

# Cards beside their entries

CURRENT = Statement(CARDS + " and card.card_id in (:ids...)")
CARD_IDS = Statement(
    f"select card.card_id {_CARD.format('')} and card.retired_at is null and card.card_id > :after "
    "order by card.card_id limit :most"
)
CARD_IDS_OF = f"select card.card_id {_CARD.format('')}"
"""Ends inside its WHERE clause, with the alias `card`."""
COUNT_CARDS = Statement(f"select count(*) {_CARD.format('')} and card.retired_at is null")
STANDING = Statement(
    "select card.card_id, card.current_version, card.retired_at, entry.version as entry_version, "
    f"entry.state as entry_state {_CARD.format(_ENTRY)} and card.card_id in (:ids...)"
)
_BEHIND = (
    "select card.card_id, card.current_version, card.retired_at, entry.version as entry_version, "
    f"entry.state as entry_state {_CARD.format(_ENTRY)} "
    "and (card.retired_at is null and (entry.state is null or entry.state <> 'INDEXED' "
    "or entry.version <> card.current_version) or card.retired_at is not null and entry.state = 'INDEXED') "
)
BEHIND = Statement(_BEHIND + "order by card.card_id")
BEHIND_OF = Statement(_BEHIND + "and card.card_id in (:ids...)")
LAST_CHANGE = Statement(
    "select coalesce(max(seq), 0) from (select max(seq) as seq from journal_events "
    "where tenant_id = :tenant_id and env = :env and action = 'card.published' union all "
    "select max(seq) as seq from journal_events "
    "where tenant_id = :tenant_id and env = :env and action = 'card.retired') last_of_each"
)
CHANGED_CARDS = Statement(
    "select subject_id from journal_events where tenant_id = :tenant_id and env = :env and seq > :seq "
    "and action in ('card.published', 'card.retired') limit :most"
)

# Entries and vectors

ENTRIES = Statement(
    "select * from index_entries "
    "where tenant_id = :tenant_id and env = :env and definition_id = :definition_id and card_id in (:ids...)"
)
PUT_ENTRY = Statement(
    "insert into index_entries (tenant_id, env, definition_id, card_id, version, digest, state, chunks, chunks_digest, "
    "generation) values (:tenant_id, :env, :definition_id, :card_id, :version, :digest, :state, :chunks, "
    ":chunks_digest, :generation) on conflict (tenant_id, env, definition_id, card_id) do update set "
    "version = :version, digest = :digest, state = :state, chunks = :chunks, chunks_digest = :chunks_digest, "
    "generation = :generation"
)
FORGET_VECTORS = Statement(
    "delete from index_vectors "
    "where tenant_id = :tenant_id and env = :env and definition_id = :definition_id and card_id = :card_id"
)
ADD_VECTOR = Statement(
    "insert into index_vectors (tenant_id, env, definition_id, card_id, ordinal, start_at, end_at, vector) "
    "values (:tenant_id, :env, :definition_id, :card_id, :ordinal, :start_at, :end_at, :vector)"
)
CHANGED_ENTRIES = Statement(
    "select card_id from index_entries where tenant_id = :tenant_id and env = :env "
    "and definition_id = :definition_id and generation > :generation limit :most"
)
ENTRIES_SINCE = Statement(
    "select card_id, generation from index_entries where tenant_id = :tenant_id and env = :env "
    "and definition_id = :definition_id and generation > :generation order by generation, card_id limit :most"
)
ENTRIES_BETWEEN = Statement(
    "select card_id from index_entries where tenant_id = :tenant_id and env = :env "
    "and definition_id = :definition_id and generation > :generation and generation <= :until order by card_id"
)
CHUNKS_SINCE = Statement(
    "select coalesce(sum(chunks), 0) from index_entries where tenant_id = :tenant_id and env = :env "
    "and definition_id = :definition_id and generation > :generation"
)
VECTORS = Statement(
    "select card_id, ordinal, vector from index_vectors "
    "where tenant_id = :tenant_id and env = :env and definition_id = :definition_id and card_id in (:ids...) "
    "order by card_id, ordinal"
)
VECTORS_AT = Statement(
    "select card_id, ordinal, vector from index_vectors "
    "where tenant_id = :tenant_id and env = :env and definition_id = :definition_id and card_id in (:ids...) "
    "and ordinal in (:ordinals...)"
)
VECTORS_AFTER = Statement(
    "select card_id, ordinal, vector from index_vectors "
    "where tenant_id = :tenant_id and env = :env and definition_id = :definition_id "
    "and (card_id, ordinal) > (:card_id, :ordinal) order by card_id, ordinal limit :most"
)
CHUNKS = Statement(
    "select vector.card_id, vector.ordinal, vector.start_at, vector.end_at, vector.vector, version.version, "
    "substr(version.text, cast(vector.start_at + 1 as int), cast(vector.end_at - vector.start_at as int)) as text, "
    "version.pii_flags, version.train_ok from index_vectors vector "
    "join index_entries entry on entry.tenant_id = vector.tenant_id and entry.env = vector.env "
    "and entry.definition_id = vector.definition_id and entry.card_id = vector.card_id "
    "join card_versions version on version.tenant_id = vector.tenant_id and version.env = vector.env "
    "and version.card_id = vector.card_id and version.version = entry.version "
    "where vector.tenant_id = :tenant_id and vector.env = :env and vector.definition_id = :definition_id "
    "and vector.card_id in (:ids...) and vector.ordinal in (:ordinals...)"
)

# What the check compares

INDEXED = Statement(
    "select entry.card_id, entry.version, entry.digest, entry.chunks, entry.chunks_digest, card.card_id as card, "
    "version.digest as text_digest from index_entries entry "
    "left join cards card on card.tenant_id = entry.tenant_id and card.env = entry.env "
    "and card.card_id = entry.card_id "
    "left join card_versions version on version.tenant_id = entry.tenant_id and version.env = entry.env "
    "and version.card_id = entry.card_id and version.version = entry.version "
    "where entry.tenant_id = :tenant_id and entry.env = :env and entry.definition_id = :definition_id "
    "and entry.state = 'INDEXED' and entry.card_id > :after order by entry.card_id limit :most"
)
INDEXED_CHUNKS = Statement(
    "select card_id, ordinal, start_at, end_at, vector from index_vectors "
    "where tenant_id = :tenant_id and env = :env and definition_id = :definition_id and card_id in (:ids...) "
    "order by card_id, ordinal"
)
LOOSE_VECTORS = Statement(
    "select distinct vector.card_id from index_vectors vector "
    "where vector.tenant_id = :tenant_id and vector.env = :env and vector.definition_id = :definition_id "
    "and not exists (select 1 from index_entries entry where entry.tenant_id = vector.tenant_id "
    "and entry.env = vector.env and entry.definition_id = vector.definition_id and entry.card_id = vector.card_id "
    "and entry.state = 'INDEXED') order by vector.card_id"
)
COUNT_VECTORS = Statement(
    "select count(*) from index_vectors where tenant_id = :tenant_id and env = :env and definition_id = :definition_id"
)
