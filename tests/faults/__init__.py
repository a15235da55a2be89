"""Faults on purpose: servers and processes are killed at random moments while clients work; nothing may be lost.

    python -m tests.faults --kills 200 --seed 1          # Postgres, SeaweedFS, Weaviate, two processes of ours
    python -m tests.faults --kills 50 --engine embedded  # one process, SQLite and files

Clients publish cards, keep and derive files, write run logs, ask for packs, export and erase subjects, through GraphQL
over HTTP, each request under an idempotency key, and keep a ledger of what was acknowledged. What was not answered is
sent again, as it was, to any process. Every so many kills, and in the end, everything in the ledger is looked for, what
is half done must have come to its end, and `check` and `audit verify` must be clean. Ends with status 1 when something
was lost, and says what. No part of the product; not run by an installation.

    python -m tests.faults.cutting    # in a network namespace: each server is cut off, and its wire healed
    python -m tests.faults.filling    # with a small disk: it is filled, and room is made
"""
