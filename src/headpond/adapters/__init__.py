"""One technology a folder, one port a file, the file named for the port."""
