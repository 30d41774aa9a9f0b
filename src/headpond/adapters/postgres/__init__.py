"""One PostgreSQL database: the whole store, shared by processes on any number of machines."""
