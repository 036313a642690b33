"""What can go wrong with a measurement."""


class BenchmarkFailed(Exception):
    """A side did not answer, or answered with something that is no cut-out."""
