"""A pool of one process, this one: so that a test may watch and replace what the work calls."""

from collections.abc import Callable
from concurrent.futures import Executor, Future


class Inline(Executor):
    """Does the work at once, in this process."""

    def __init__(self, *_: object, **__: object):
        pass

    def submit(self, work: Callable, /, *given: object, **named: object) -> Future:
        done: Future = Future()
        done.set_result(work(*given, **named))
        return done
