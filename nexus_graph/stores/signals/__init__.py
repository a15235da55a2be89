"""Wake-ups between those who write and those who follow. Never data: a lost signal costs latency, not an entry."""
