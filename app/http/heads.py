"""How large the head of a request may be."""

HEAD_BYTES = 64 << 10
"""Of the address and all headers of one request, and of the trailers after one body."""


class Head:
    """A head, or trailers, on the way, with their bytes counted. `coming`: they are not complete.

    A line is counted when the parser tells of it, and before that every piece that is nothing but a part of it.
    """

    def __init__(self) -> None:
        self.coming = False
        self._lines, self._unfinished = 0, 0

    def begin(self) -> None:
        """The first byte of it may come."""
        self.coming, self._lines, self._unfinished = True, 0, 0

    def end(self) -> None:
        """All of it is here, or it is something else that comes."""
        self.coming = False

    def piece(self, size: int) -> None:
        """Bytes that the parser is about to read."""
        self._unfinished += size

    def line(self, size: int) -> None:
        """Something it has read. Raises ValueError when that makes the head too large."""
        self._lines, self._unfinished = self._lines + size, 0
        if self.is_too_large():
            raise ValueError("the head is too large")

    def is_too_large(self) -> bool:
        """Whether more has come than may."""
        return self.coming and self._lines + self._unfinished > HEAD_BYTES
