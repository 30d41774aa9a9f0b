"""The product's own services on virtual time, before modelled engines and machines.

gateway    submission and quotes, as `wiring/` puts them together
machine    a cold start, then a worker with its engine; drains when it is stopped
crew       the machines that there are, as a fleet
engine     the modelled engine behind the port
simulation arrivals, scaler and the rest, from the first request to the last
"""
