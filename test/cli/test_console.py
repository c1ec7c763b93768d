"""What the commands share with the terminal: signals that ask to stop."""

from __future__ import annotations

import signal
import threading

import pytest

from n3d_ros.cli.console import on_stop_signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_to_stop_and_a_second_ctrl_c_interrupts(number: signal.Signals) -> None:
    asked: list[str] = []
    before = signal.getsignal(number)
    with on_stop_signal(lambda: asked.append("stop")):
        signal.raise_signal(number)
        assert asked == ["stop"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(number) is before


def test_in_a_thread_that_hears_no_signals_nothing_is_changed() -> None:
    seen: list[object] = []

    def work() -> None:
        with on_stop_signal(lambda: None):
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
