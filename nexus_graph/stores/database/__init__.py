"""The database: rows, in transactions that commit whole or not at all. One port, an engine a file."""
