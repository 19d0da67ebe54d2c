"""A terminal's whole screen, shown again and again; what is on it is scrolled with keys."""

import os
import select
import shutil
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Final, NoReturn

from van.cli.render.layout import Line
from van.cli.render.printing import paint
from van.cli.render.viewport import QUIT, Viewport, read_keys

ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""To the other screen, without a cursor, and no line wraps."""
LEAVE: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"
CLEAR_LINE: Final = "\x1b[K"
CLEAR_BELOW: Final = "\x1b[J"
TOP: Final = "\x1b[H"


def watch(look: Callable[[int], Sequence[Line]], interval: float) -> None:
    """Show what `look` returns for a width, every so many seconds, until q is pressed.

    Ctrl-C raises `KeyboardInterrupt`. The terminal is as it was afterwards, whatever ends this.
    """
    with ExitStack() as stack:
        resized = stack.enter_context(_notices_of_resizing())
        keys = stack.enter_context(_keys())
        stack.enter_context(_other_screen())
        viewport = Viewport(has_keys=keys is not None)
        while True:
            # A screen that was resized is laid out anew, of what is known now.
            lines = look(shutil.get_terminal_size().columns)
            if not _scroll(viewport, lines, time.monotonic() + interval, keys, resized):
                return


def _scroll(
    viewport: Viewport, lines: Sequence[Line], until: float, keys: int | None, resized: int
) -> bool:
    """Show lines until it is time to look again; tell whether to go on."""
    while True:
        _draw(viewport.show(lines, shutil.get_terminal_size().lines))
        sources = [resized] if keys is None else [resized, keys]
        ready, _, _ = select.select(sources, [], [], max(0.0, until - time.monotonic()))
        if keys is not None and keys in ready:
            pressed = read_keys(os.read(keys, 1024))
            if QUIT in pressed:
                return False
            for key in pressed:
                viewport.press(key)
        if resized in ready:
            os.read(resized, 1024)
            return True
        if not ready:
            return True


def _draw(lines: Sequence[Line]) -> None:
    rows = (f"{text}{CLEAR_LINE}" for text in paint(lines))
    sys.stdout.write(f"{TOP}{chr(10).join(rows)}{CLEAR_BELOW}")
    sys.stdout.flush()


@contextmanager
def _other_screen() -> Iterator[None]:
    sys.stdout.write(ENTER)
    try:
        with _ending_on_signals():
            yield
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()


@contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Let what would kill the process unwind it instead: the terminal has to be put in order."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    kept = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextmanager
def _keys() -> Iterator[int | None]:
    """Yield where single keys can be read; None when standard input is no terminal."""
    if not sys.stdin.isatty():
        yield None
        return
    keyboard = sys.stdin.fileno()
    kept = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    mode = termios.tcgetattr(keyboard)
    # A shell would be shown on the other screen.
    mode[6][termios.VSUSP] = b"\0"
    termios.tcsetattr(keyboard, termios.TCSADRAIN, mode)
    try:
        yield keyboard
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, kept)


@contextmanager
def _notices_of_resizing() -> Iterator[int]:
    """Yield a descriptor that can be read when the terminal has been resized."""
    read, write = os.pipe()
    os.set_blocking(write, False)

    def tell(_number: int, _frame: FrameType | None) -> None:
        # A full pipe tells as well.
        try:
            os.write(write, b"\0")
        except BlockingIOError:
            return

    kept = signal.signal(signal.SIGWINCH, tell)
    try:
        yield read
    finally:
        signal.signal(signal.SIGWINCH, kept)
        os.close(read)
        os.close(write)
