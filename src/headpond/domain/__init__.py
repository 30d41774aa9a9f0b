"""The trade in plain Python: facts, states and policies. No I/O, no clock, no asyncio."""
