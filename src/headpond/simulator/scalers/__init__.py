"""What moves the fleet in a simulation: the product's policies, and what others do."""
