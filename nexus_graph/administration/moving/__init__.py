"""Move: copies tenants from one installation to another, whatever the engines, and proves that both hold the same.

In: an open house on each side and the tenants to copy.
Out: at the target, every row and object of them, under the same ids and digests; and what was compared.
Never: a tenant that can be entered or followed before all of it is there and proven; a target's own entry overwritten.

    command      `nexus-graph move`: what is refused at once, and what is told at the end
    places       whether two installations can be the two ends of a move
    tenant       one tenant: its writers wait meanwhile, then env by env: copy, prove, show
    standing     how far a target is, by the chain of its journal
    tables       which tables move, which are shown last, and which belong to one installation alone
    rows         rows, page by page in the order of their keys
    objects      objects, in pieces
    proof        what is compared, and the digests
"""
