"""Redis or Valkey: lanes, token streams and rate limits, shared by processes on many machines."""
