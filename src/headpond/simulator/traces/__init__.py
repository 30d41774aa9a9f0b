"""Traces: requests over time, from files or from a formula."""

from headpond.simulator.traces.arrivals import Arrival, Trace
from headpond.simulator.traces.naming import read_trace

__all__ = ["Arrival", "Trace", "read_trace"]
