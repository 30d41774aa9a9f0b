"""What every benchmark shares: environments, servers, rounds, reports."""
