"""The embedded engine: llama.cpp's own server, in a process of its own, on any CPU."""
