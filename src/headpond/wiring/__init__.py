"""The composition root: the modules that name backends.

Everything else is handed connected ports. What is opened here is closed in the reverse order:
whoever uses a thing is gone before the thing goes. A module for each thing that a command opens, so
that a process loads only what it uses.
"""
