"""Proof of isolation: tries to find a hole in the walls between tenants and envs, from outside, as an attacker would.

In: a server, and somebody of every role in every place (a tenant and an env).
Out: how much was tried, by kind, and every fault: what was asked, by whom, and what showed through.
Never: a look behind the door while it asks. Only the attack at the database and the search for canaries come after it.

    proof                the whole of it, in order
    opening, against     a server of its own, or a running one of this machine
    people, callers      who asks, and how: over HTTP and websockets
    model                what each place holds and who may do what there, as small as it can be said
    operations           random operations, each compared with the model: `reads`, `writes`, each one `asking`
    walking              another's values in every argument of the schema that the server tells
    slots, places        the arguments, and what of a place is put into them
    filling, steps       one of everything in a place
    addresses, presigned forged addresses of objects
    attacking, laying    the walls of the database, with a connection of the application's role
    searching            canary words in logs, rows, objects and copies of places where they don't belong
"""
