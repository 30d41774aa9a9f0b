"""The one error of the harness."""


class CannotRunError(Exception):
    """A subject, environment or server cannot be measured here; the message says why.

    It is reported beside the results as "could not run: message" and ends only what depends on it.
    """
