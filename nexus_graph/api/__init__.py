"""The front door: GraphQL over HTTP and websocket, turned into one call into a room.

In: a request or a `connection_init` with credentials, tenant and env. Out: GraphQL. Never: a decision; every field
demands a permission by declaration and calls one verb of one room.
"""
