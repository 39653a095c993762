import signal
import threading

import pytest

from danlu.train.interrupt import Interrupt


def test_first_asks_second_leaves_and_the_handler_comes_back(capfd):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Interrupt() as interrupt:
        assert not interrupt.requested
        signal.raise_signal(signal.SIGINT)
        assert interrupt.requested
        assert "press Ctrl-C again to leave at once" in capfd.readouterr().err
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("first", "second", "leaves"),
    [
        (signal.SIGTERM, signal.SIGTERM, SystemExit),
        (signal.SIGTERM, signal.SIGINT, KeyboardInterrupt),
        (signal.SIGINT, signal.SIGTERM, SystemExit),
    ],
)
def test_sigterm_is_one_of_two_signals(first, second, leaves, capfd):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(leaves) as left, Interrupt() as interrupt:
        assert interrupt.signal == ""
        signal.raise_signal(first)
        assert interrupt.signal == first.name
        signal.raise_signal(second)
    assert leaves is KeyboardInterrupt or left.value.code == 143
    assert capfd.readouterr().err.count("ending after this update") == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_handler_of_ones_own_comes_back():
    def mine(number, frame):
        pass

    before = signal.signal(signal.SIGINT, mine)
    try:
        with Interrupt():
            assert signal.getsignal(signal.SIGINT) is not mine
        assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_install_nothing():
    before, seen = signal.getsignal(signal.SIGINT), []

    def inside():
        with Interrupt() as interrupt:
            seen.append((signal.getsignal(signal.SIGINT), interrupt.requested))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [(before, False)]
