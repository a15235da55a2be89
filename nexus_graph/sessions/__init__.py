"""Session memory: what a user's session keeps for a while.

In: turns or a snapshot of one's own session.
Out: the same, to the same user in the same tenant and env, until it expires.
Never: another user's session, whatever the role; anything at or after the instant of its expiry.
"""
