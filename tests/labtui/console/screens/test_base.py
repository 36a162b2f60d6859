import threading
from collections.abc import Iterator

import pytest
from textual.pilot import Pilot

from engines.errors import REMEDIES, UserError
from labtui.console.screens.base import ConsoleScreen, is_abandoned
from tests.labtui.console.screens.conftest import Host, until


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What holds back work in the background until it is set."""
    event = threading.Event()
    yield event
    event.set()


async def opened(host: Host, pilot: Pilot[None]) -> ConsoleScreen[None]:
    screen: ConsoleScreen[None] = ConsoleScreen()
    await host.push_screen(screen)
    return screen


async def test_of_one_kind_one_piece_of_work_runs_at_a_time_and_then_the_last_that_was_put(
    host: Host, gate: threading.Event
) -> None:
    started: list[int] = []
    done: list[int] = []

    async with host.run_test() as pilot:
        screen = await opened(host, pilot)

        def work(number: int) -> int:
            started.append(number)
            assert gate.wait(10)
            return number

        for number in range(4):
            screen.in_background(lambda number=number: work(number), done.append, kind="page")  # type: ignore[misc]
        await until(pilot, lambda: started == [0])
        screen.in_background(lambda: work(10), done.append, kind="another")
        screen.in_background(lambda: work(11), done.append)
        screen.in_background(lambda: work(12), done.append)
        await until(pilot, lambda: sorted(started) == [0, 10, 11, 12])
        gate.set()
        await until(pilot, lambda: len(done) == 5)
        assert [number for number in done if number < 10] == [0, 3] and sorted(done) == [0, 3, 10, 11, 12]


async def test_work_runs_in_a_thread_and_its_result_is_delivered_in_the_thread_of_the_app(host: Host) -> None:
    threads: list[threading.Thread] = []
    async with host.run_test() as pilot:
        screen = await opened(host, pilot)
        screen.in_background(threading.current_thread, lambda own: threads.extend((own, threading.current_thread())))
        await until(pilot, lambda: threads)
    assert threads[0] is not threads[1] is threading.current_thread()


async def test_nothing_is_delivered_to_a_screen_that_was_closed_and_work_can_know_it(
    host: Host, gate: threading.Event
) -> None:
    delivered: list[bool] = []
    seen: list[bool] = []

    def work() -> bool:
        assert gate.wait(10)
        seen.append(is_abandoned())
        return seen[-1]

    async with host.run_test() as pilot:
        screen = await opened(host, pilot)
        screen.in_background(work, delivered.append)
        await host.pop_screen()
        gate.set()
        await until(pilot, lambda: seen == [True])
        await host.workers.wait_for_complete()
        await pilot.pause()
    assert delivered == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UserError("no \x1b[31msuch run"), "no such run"),
        (OSError(28, "No space left on device"), f"No space left on device; {REMEDIES[28]}"),
    ],
)
async def test_an_error_that_can_be_mended_is_a_sentence_for_the_user_or_for_who_asked(
    host: Host, error: Exception, sentence: str
) -> None:
    def fail() -> None:
        raise error

    failed: list[str] = []
    async with host.run_test() as pilot:
        screen = await opened(host, pilot)
        screen.in_background(fail)
        await until(pilot, lambda: host.said == [sentence])
        screen.in_background(fail, failed=failed.append)
        await until(pilot, lambda: failed == [sentence])
    assert host.said == [sentence] and host.reported == []


async def test_an_error_that_nobody_foresaw_is_reported_and_the_screen_stops_waiting(host: Host) -> None:
    failed: list[str] = []
    async with host.run_test() as pilot:
        screen = await opened(host, pilot)
        screen.in_background(lambda: 1 / 0, failed=failed.append)
        await until(pilot, lambda: failed == ["ZeroDivisionError: division by zero"])
    assert [type(error) for error in host.reported] == [ZeroDivisionError]
