"""What errors say for those who look at pages: the same, without what only a program can do about it."""

import re
from collections.abc import Sequence

_ADVICE: Sequence[tuple[re.Pattern[str], str]] = (
    (re.compile(r"with bits null \(on the command line --unquantized\)"), "without “Quantize to these widths”"),
    (re.compile(r"; GET /jobs lists them"), "; those of yours are all under Jobs"),
    (re.compile(r"; PUT /checkpoints/\w+ first(, or send the file)?"), "; send the file itself first"),
    (re.compile(r"this Idempotency-Key came with another request before; .*"), "this form was changed; send it again."),
)


def for_people(text: str) -> str:
    """The words of an error, for a page."""
    for advice, words in _ADVICE:
        text = advice.sub(words, text)
    return text
