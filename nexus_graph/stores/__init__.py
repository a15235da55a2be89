"""The only floor that touches the world: one database, object storage, wake-ups.

In: statements that name their tenant and env, events to record. Out: `Stores` with its two doors, `Read` and `Work`.
Never: a connection, client or bucket that a room could hold by itself; a write without an event.
"""
