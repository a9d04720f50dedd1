"""However many threads decode, the pixels that are alive at once stay within the budget."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from dgnet.pictures import PixelBudget
from dgnet.pictures.budget import SMALL_PIXELS

LARGE = 4 * SMALL_PIXELS


def test_no_more_than_the_room_is_taken_at_once() -> None:
    budget = PixelBudget(3 * LARGE)
    guard = threading.Lock()
    alive = most = 0

    def decode(pixels: int) -> None:
        nonlocal alive, most
        with budget.taken(pixels):
            with guard:
                alive += pixels
                most = max(most, alive)
            time.sleep(0.002)
            with guard:
                alive -= pixels

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(decode, [LARGE, 2 * LARGE, 3 * LARGE, LARGE] * 20))
    assert most == 3 * LARGE
    assert alive == 0


def test_what_is_larger_than_the_room_has_it_alone_and_gives_it_back() -> None:
    budget = PixelBudget(LARGE)
    for _ in range(3):
        with budget.taken(100 * LARGE):
            pass
    with budget.taken(LARGE):
        pass


def test_small_pictures_do_not_wait() -> None:
    budget = PixelBudget(LARGE)
    with budget.taken(LARGE), budget.taken(SMALL_PIXELS):
        pass


def test_room_comes_back_after_an_error() -> None:
    budget = PixelBudget(LARGE)
    for _ in range(2):
        try:
            with budget.taken(LARGE):
                raise ValueError
        except ValueError:
            pass
    with budget.taken(LARGE):
        pass


def test_who_waits_for_a_large_place_is_not_overtaken() -> None:
    budget = PixelBudget(2 * LARGE)
    order: list[str] = []
    waiting = threading.Event()

    def large() -> None:
        waiting.set()
        with budget.taken(2 * LARGE):
            order.append("large")

    def later() -> None:
        with budget.taken(LARGE):
            order.append("later")

    with budget.taken(LARGE):
        first = threading.Thread(target=large)
        first.start()
        waiting.wait()
        while not budget.is_awaited:  # poll: it holds its place in the line
            time.sleep(0.001)
        second = threading.Thread(target=later)
        second.start()
    first.join()
    second.join()
    assert order == ["large", "later"]
