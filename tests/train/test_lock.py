"""One process per folder; a dead one is in nobody's way."""

import os
import signal

import pytest

from danlu.train import LockedError, RunDirectory
from danlu.train.lock import Lock


def forked(work):
    """The exit code of `work` in another process; 9 if it raised LockedError."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = work() or 0
        except LockedError:
            code = 9
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_another_process_is_refused_until_it_is_released(tmp_path):
    lock = Lock(tmp_path)
    assert forked(lambda: Lock(tmp_path) and 0) == 9
    lock.release()
    assert not (tmp_path / ".lock").exists()
    assert forked(lambda: Lock(tmp_path) and 0) == 0


def test_the_message_names_the_holder(tmp_path):
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        Lock(tmp_path)
        os.write(writing, b"x")
        signal.pause()
    os.read(reading, 1)
    with pytest.raises(LockedError, match=rf"^{tmp_path} is in use by process {child} on .*; wait for it, end it, or choose"):
        Lock(tmp_path)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert (tmp_path / ".lock").exists()
    Lock(tmp_path).release()  # the dead one's is taken over
    os.close(reading), os.close(writing)


def test_one_process_may_hold_it_twice(tmp_path):
    one, two = Lock(tmp_path), Lock(tmp_path)
    one.release()
    one.release()
    assert forked(lambda: Lock(tmp_path) and 0) == 9
    two.release()
    assert forked(lambda: Lock(tmp_path) and 0) == 0


def test_a_forked_child_does_not_release_its_parents(tmp_path):
    lock = Lock(tmp_path)
    assert forked(lock.release) == 0
    assert (tmp_path / ".lock").exists()
    assert forked(lambda: Lock(tmp_path) and 0) == 9
    lock.release()


def test_a_folder_is_free_again_when_its_run_directory_is_gone(tmp_path):
    directory = RunDirectory(tmp_path)
    assert forked(lambda: RunDirectory(tmp_path) and 0) == 9
    del directory
    assert forked(lambda: RunDirectory(tmp_path) and 0) == 0
