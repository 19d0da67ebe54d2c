"""`van status` on a terminal."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading

import pytest

from lab.processes import wait_for

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


class Terminal:
    """A terminal in which `van` runs; what it shows is read all the time."""

    def __init__(self, *arguments, rows, columns):
        self.outside, self.inside = pty.openpty()
        self.resize(rows, columns)
        self.mode = termios.tcgetattr(self.inside)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "van", *arguments],
            stdin=self.inside,
            stdout=self.inside,
            stderr=self.inside,
            env={key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
            | {"TERM": "xterm"},
        )
        self.text = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        with contextlib.suppress(OSError):
            while data := os.read(self.outside, 65536):
                self.text += data.decode(errors="replace")

    def resize(self, rows, columns):
        fcntl.ioctl(self.inside, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self.outside, keys)

    def frame(self):
        """Return the lines of the last whole screen, without colours."""
        frames = re.findall(r"\x1b\[H(.*?)\x1b\[J", self.text, re.DOTALL)
        plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", frames[-1] if frames else "")
        return plain.replace("\r", "").split("\n")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.inside)
        self._reader.join()
        os.close(self.outside)


@pytest.fixture
def terminal(running):
    opened = []

    def open_terminal(*arguments, rows=24, columns=80):
        opened.append(Terminal(*arguments, rows=rows, columns=columns))
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.close()


def test_a_watch_fits_the_screen_and_scrolls(terminal):
    # It looks again when a key or a new size asks it to, or not within the test.
    watch = terminal("status", "-w", "600", rows=12)
    wait_for(lambda: "lines 1 to 11 of" in watch.frame()[-1], "the first screen")
    assert len(watch.frame()) == 12
    assert watch.frame()[0].startswith("west: ")
    watch.press(b"\x1b[F")
    wait_for(lambda: "may invite" in watch.frame()[-2], "the last lines")
    watch.press(b"\x1b[H")
    wait_for(lambda: watch.frame()[0].startswith("west: "), "the first lines")
    watch.resize(40, 60)
    watch.process.send_signal(signal.SIGWINCH)
    wait_for(lambda: watch.frame()[-1] == "q quits", "all lines on a higher screen")
    assert max(map(len, watch.frame())) <= 60
    watch.press(b"q")
    assert watch.process.wait(10) == 0
    assert ENTER in watch.text
    wait_for(lambda: LEAVE in watch.text, "the screen that was there before")
    assert termios.tcgetattr(watch.inside) == watch.mode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_watch_that_is_ended_leaves_the_terminal_as_it_was(terminal, number):
    watch = terminal("status", "--watch", "600")
    wait_for(lambda: ENTER in watch.text and watch.frame()[0], "the first screen")
    watch.process.send_signal(number)
    assert watch.process.wait(10) == 128 + number
    wait_for(lambda: LEAVE in watch.text, "the screen that was there before")
    assert termios.tcgetattr(watch.inside) == watch.mode


def test_tables_are_as_wide_as_the_terminal_and_in_colour(terminal):
    once = terminal("status", columns=40)
    assert once.process.wait(10) == 0
    wait_for(lambda: "may invite" in once.text, "the whole status")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", once.text).replace("\r", "")
    assert max(map(len, plain.splitlines())) <= 40
    assert "\x1b[32mwest: well" in once.text
