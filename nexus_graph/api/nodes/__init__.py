"""The graph's types, one file a room: what its values look like from outside, and the fields that call its verbs."""
