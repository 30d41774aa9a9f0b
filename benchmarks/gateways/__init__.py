"""The HTTP servers that are compared, one a file; their applications are in `apps`."""
