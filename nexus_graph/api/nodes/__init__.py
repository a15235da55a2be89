"""The graph's types, one file a room: what a value of the room looks like from outside, and the fields that call its verbs."""
