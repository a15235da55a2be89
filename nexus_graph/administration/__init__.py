"""The operator's door: what the command line does, one file a family of commands.

In: arguments and a configuration. Out: text for people, or one JSON document with `--json`. Never: a way around the
rooms; every command calls the same verbs as the GraphQL door, under a system scope that the journal names.
"""
