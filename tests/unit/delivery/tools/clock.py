"""A clock for the tests of the delivery process."""


class Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return self.now
