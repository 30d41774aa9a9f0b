"""One SQLite file: queue, records, audit and keys, shared by every process on the machine."""
