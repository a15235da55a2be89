"""The directory: which tenants exist, who belongs to them, which API keys they gave out.

In: a token or key with a tenant and an env. Out: a `Scope`, or a refusal. Never: rights read from a token; a token only
says who somebody is, the membership in the store says what they may do.
"""
