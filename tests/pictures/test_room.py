"""However many threads decode, the pixels that are alive at once stay within the room."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from dgnet.pictures import PixelRoom
from dgnet.pictures.room import SMALL_PIXELS

LARGE = 4 * SMALL_PIXELS


def test_no_more_than_the_room_is_taken_at_once() -> None:
    room = PixelRoom(3 * LARGE)
    guard = threading.Lock()
    alive = most = 0

    def decode(pixels: int) -> None:
        nonlocal alive, most
        with room.taken(pixels):
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
    room = PixelRoom(LARGE)
    for _ in range(3):
        with room.taken(100 * LARGE):
            pass
    with room.taken(LARGE):
        pass


def test_small_pictures_do_not_wait() -> None:
    room = PixelRoom(LARGE)
    with room.taken(LARGE), room.taken(SMALL_PIXELS):
        pass


def test_room_comes_back_after_an_error() -> None:
    room = PixelRoom(LARGE)
    for _ in range(2):
        try:
            with room.taken(LARGE):
                raise ValueError
        except ValueError:
            pass
    with room.taken(LARGE):
        pass


def test_who_waits_for_a_large_place_is_not_overtaken() -> None:
    room = PixelRoom(2 * LARGE)
    order: list[str] = []
    waiting = threading.Event()

    def large() -> None:
        waiting.set()
        with room.taken(2 * LARGE):
            order.append("large")

    def later() -> None:
        with room.taken(LARGE):
            order.append("later")

    with room.taken(LARGE):
        first = threading.Thread(target=large)
        first.start()
        waiting.wait()
        while not room.is_awaited:  # poll: it holds its place in the line
            time.sleep(0.001)
        second = threading.Thread(target=later)
        second.start()
    first.join()
    second.join()
    assert order == ["large", "later"]
