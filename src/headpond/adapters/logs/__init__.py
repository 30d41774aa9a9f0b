"""Facts as log lines, and the standard library's logging set up for them."""
