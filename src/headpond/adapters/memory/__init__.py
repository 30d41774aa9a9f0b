"""The model of every port: short enough to be obviously right, used by tests and simulation."""
