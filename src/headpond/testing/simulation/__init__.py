"""The product itself in a world where everything goes wrong, again and again, from a seed."""
