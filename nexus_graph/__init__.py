"""Nexus Graph: a multi-tenant knowledge engine with one GraphQL door. The rooms, in the order of a walk through them:

- `administration`  the operator's door: what the command line does
- `api`      the front door: GraphQL into one call into a room; nothing is decided here
- `assets`   1 raw: bytes in object storage, by reservation, upload, seal
- `atoms`    2 atoms: deterministic derivations with coordinates and lineage
- `cards`    3 cards: YAML header and natural-language body, immutable versions; settings are cards
- `exports`  training exports: what may leave, redacted, with a manifest of what may not
- `index`    4 index: embedding, vectors, filters
- `packs`    5 packs: sealed bundles of references and excerpts
- `runs`     6 log: views projected from the journal, live streams
- `safeguards` what may stop a flow: switches, rates, quotas, locks, consent, erasure
- `scope`    who asks, for which tenant and env; errors, redaction, clock, ids
- `sessions` short-lived session memory
- `stores`   the only floor that touches the world: database, journal, objects, signals
- `tenants`  the directory: tenants, members, API keys; admits a principal into a Scope

`app.py` puts them together, `engines.py` chooses what keeps everything, `config.py` reads the settings,
and `__main__.py` is the command line.
"""
