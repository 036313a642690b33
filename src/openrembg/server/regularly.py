"""Do something again and again beside the requests, in a thread of its own."""

import threading
from collections.abc import Callable
from typing import Final

STOP_S: Final = 5.0


def regularly(
    name: str, every_s: float, turn: Callable[[threading.Event], object]
) -> Callable[[], None]:
    """Begin to call `turn`, each time after `every_s` seconds of rest; return how to end it.

    turn: it raises nothing, and may look at the event, which is set when it shall come to an end.
    """
    over = threading.Event()

    def run() -> None:
        while not over.wait(every_s):
            turn(over)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()

    def stop() -> None:
        over.set()
        # A thread that Python cuts off at its end may hold a lock, of the Redis client for
        # instance, which waits for it then for ever.
        thread.join(STOP_S)

    return stop
