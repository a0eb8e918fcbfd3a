"""Our ends of what a process was given when it was started: a socket for requests, and what takes in what it prints."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from collections.abc import Callable, Sequence
from typing import IO, NamedTuple, Protocol

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
CHUNK, CHUNKS = 1 << 16, 64
Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)  # Windows has the latter only


class Output(Protocol):
    """What a process prints into."""

    @property
    def descriptor(self) -> int | None:
        """What to wait on for more; None where nobody needs to: a file never fills up."""

    def take(self) -> bytes | None:
        """What has been printed since, as far as it has arrived; None once the process has closed it."""

    def close(self) -> None:
        """No more is wanted."""


class Pipe:
    """A pipe: who prints into a full one waits until somebody reads."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor: int | None = descriptor

    def take(self) -> bytes | None:
        """See `Output`."""
        found = b""
        if self.descriptor is not None:
            with contextlib.suppress(BlockingIOError):
                for _ in range(CHUNKS):
                    chunk = os.read(self.descriptor, CHUNK)
                    if not chunk:
                        return found or None
                    found += chunk
        return found

    def close(self) -> None:
        """See `Output`."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


class File:
    """A file, for systems on which nobody can wait for a pipe and a socket at once."""

    descriptor = None

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def take(self) -> bytes | None:
        """See `Output`."""
        return b"" if self.file.closed else self.file.read(CHUNKS * CHUNK)

    def close(self) -> None:
        """See `Output`."""
        self.file.close()


class Ready(NamedTuple):
    """What can be read, or written, without waiting."""

    socket: bool
    output: bool


class Line:
    """The two of them. Close it once, or more often."""

    def __init__(self, own: socket.socket, output: Output) -> None:
        self.socket, self.output = own, output
        self.selector: selectors.BaseSelector = Selector()
        self.selector.register(own, READ)
        self.heard = output.descriptor is not None  # whether more of the output is waited for
        if output.descriptor is not None:
            self.selector.register(output.descriptor, READ)

    def ready(self, seconds: float, event: int = READ) -> Ready:
        """Waits until the socket allows `event`, something has been printed, or the time is over."""
        if self.selector.get_key(self.socket).events != event:
            self.selector.modify(self.socket, event)
        found = [key.fileobj for key, _ in self.selector.select(max(0.0, seconds))]
        return Ready(self.socket in found, not self.heard or any(found_ is not self.socket for found_ in found))

    def printed(self) -> bytes:
        """What has been printed since it was last asked."""
        text = self.output.take()
        if text is None and self.heard and self.output.descriptor is not None:
            self.selector.unregister(self.output.descriptor)
            self.heard = False
        return text or b""

    def close(self) -> None:
        """Closes both."""
        self.selector.close()
        self.socket.close()
        self.output.close()


def connected(start: Callable[[Sequence[int]], int]) -> tuple[int, Line]:
    """The number of a process that `start` makes with a socket and a pipe, and our ends of them."""
    ours, theirs = socket.socketpair()
    output, printing = os.pipe()
    line = Line(ours, Pipe(output))
    try:
        return start([theirs.fileno(), printing]), line
    except BaseException:
        line.close()
        raise
    finally:
        theirs.close()
        os.close(printing)
