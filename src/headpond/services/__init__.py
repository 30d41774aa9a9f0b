"""One duty a file, written against the ports alone."""
