"""The processes that Headpond runs as: how each begins, how it is told to end, and how it ends."""
