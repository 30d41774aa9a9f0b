"""Services of Microsoft Azure."""
