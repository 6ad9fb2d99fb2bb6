"""The servers that are compared. Each module knows one: how it is configured, started, stopped and emptied."""
