"""The front door: GraphQL over HTTP, event streams and websockets, turned into one call into a room.

    transport/     how a request comes and an answer goes
    operations/    what is done with it: read, checked, priced, executed
    schema, nodes/ what can be asked; `fields` declares it, with its gates
    graphiql/      the page for people

In: a request or a `connection_init` with credentials, tenant and env. Out: GraphQL. Never: a decision; every field
demands a permission by declaration and calls one verb of one room.
"""
