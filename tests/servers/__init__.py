"""Real servers for the tests: each a process of their own, on loopback, ended by its pid."""
