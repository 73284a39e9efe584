"""The reading end of the message pipe: from bytes to messages, bounded whatever comes."""

from worker.runner.exits import misspoke
from worker.runner.messages import LINE_BYTES, Done, Failed, Malformed, Message, Progressed, StageBegan, decode

_MAX_STAGES = 1000


class Lines:
    """Cuts a stream into lines and keeps the order of messages: stages and progress, then one Failed or Done."""

    def __init__(self) -> None:
        self._rest = b""
        self._stages = 0
        self._ended = False
        self.stage: str | None = None
        """Name of the newest stage."""
        self.broken = False
        """A line was no message, or came out of order; nothing more is read."""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes; of progress that follows upon progress, the newest."""
        messages: list[Message] = []
        *lines, self._rest = (self._rest + data).split(b"\n")
        try:
            for line in lines:
                message = self._message(line)
                if isinstance(message, Progressed) and messages and isinstance(messages[-1], Progressed):
                    messages.pop()
                messages.append(message)
            if len(self._rest) >= LINE_BYTES:
                raise Malformed("a line is too long")
        except Malformed as error:
            self.broken = True
            if not self._ended:
                messages.append(Failed(misspoke(str(error), self.stage)))
        return messages

    def _message(self, line: bytes) -> Message:
        if self._ended:
            raise Malformed("a message after the last")
        message = decode(line)
        if isinstance(message, StageBegan):
            self._stages += 1
            self.stage = message.name
            if self._stages > _MAX_STAGES:
                raise Malformed("too many stages")
        self._ended = isinstance(message, Done | Failed)
        return message
