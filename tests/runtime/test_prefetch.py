import contextlib
import threading
import time

import pytest

from lumiere_jax.runtime.prefetch import made_ahead


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "made ahead"]


def ended():
    """Waits for the threads that were closed."""
    for thread in threads():
        thread.join(10)
    return not threads()


@pytest.mark.parametrize("count", [1, 3])
def test_all_items_come_in_order_and_no_more_than_asked_for_wait(count):
    begun = []

    def items():
        for item in range(20):
            begun.append(item)
            yield item

    for used, item in enumerate(made_ahead(items(), count)):
        time.sleep(0.002)
        assert item == used
        assert begun[-1] <= used + count
    assert used == 19 and ended()


def test_the_next_is_made_while_the_last_is_used():
    made = threading.Event()

    def items():
        yield 0
        made.set()
        yield 1

    with contextlib.closing(made_ahead(items(), 1)) as ahead:
        assert next(ahead) == 0
        assert made.wait(10)


def test_what_goes_wrong_is_raised_after_what_went_well():
    def items():
        yield "good"
        raise ZeroDivisionError

    ahead = made_ahead(items(), 4)
    assert next(ahead) == "good"
    with pytest.raises(ZeroDivisionError):
        next(ahead)
    assert ended()


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_who_closes_it_closes_the_source(taken):
    closed = threading.Event()

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    with contextlib.closing(made_ahead(items(), 2)) as ahead:
        for _ in range(taken):
            next(ahead)
    if taken:  # nothing was begun before
        assert closed.wait(10)
    assert ended()
