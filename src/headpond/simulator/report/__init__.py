"""What a simulation found, for people: a table, drawings, a page."""
