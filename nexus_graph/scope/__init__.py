"""Who asks, for which tenant and env, and the words that every room shares.

In: nothing; this is the foundation. Out: `Scope`, permissions, policy, errors, canonical bytes, redaction, clock, ids.
Never: I/O beyond reading the shipped policy files.
"""
