"""What heads and trailers share: the grammar of their lines, their limits, and the values of the
fields that say how a message is framed.

A head is first matched as a whole, which all good ones pass. Of one that does not match, `explain`
says what is wrong with it, or that more of it is to come.
"""

import re
from typing import Final

from van.http.fields import END_TO_END, FIELD_COST, HOP_BY_HOP, MAX_FIELDS, MAX_HEAD, TEXT, TOKEN
from van.http.problems import MessageRefused

FIELDS: Final = rb"(?:%b++:%b*+\r\n)*+" % (TOKEN, TEXT)
"""Lines of fields, for a regular expression: no space before the colon, no folded line."""
END: Final = b"\r\n\r\n"
_MAX_SHOWN: Final = 60
"""Bytes of what a peer sent that a refusal shows."""

_FIELD: Final = re.compile(rb"(%b++):(%b*+)" % (TOKEN, TEXT))
CONTROL: Final = re.compile(rb"[^\t\r\n -~\x80-\xff]|(?<!\r)\n|\r(?!\n|\Z)")
"""What no head has anywhere: control characters, and halves of an end of line."""
SMALL: Final = MAX_FIELDS * len(b"a:\r\n")
"""Bytes of a head that can't be too large, or have too many fields."""
_ONCE: Final = frozenset({b"content-length", b"host", b"transfer-encoding"})
"""Fields that are there once at most, with no tab around their value: some servers take it for a
part of that."""
_OPTIONS: Final = frozenset({b"close", b"keep-alive"})
_TOKENS: Final = re.compile(rb"%b++(?:[ \t]*+,[ \t]*+%b++)*+" % (TOKEN, TOKEN))


def is_whole(data: bytes, start: int, searched: int) -> bool:
    """Tell whether a head that begins at `start` has its end in the data, if the first `searched`
    bytes of it were looked at before."""
    return data.find(END, start + max(searched - 3, 0), start + MAX_HEAD) >= 0


def explain(data: bytes, start: int, searched: int, status: int) -> list[bytes] | None:
    """Return the lines of a head that does not match, or None if more of it is to come.

    Raises `MessageRefused` with a status for a head that has control characters, and with 414 or
    431 for one that is too large.
    """
    limit = start + MAX_HEAD
    end = data.find(END, start + max(searched - 3, 0), limit)
    # What was looked at before had none; of a CR at its end nobody knew yet what follows it.
    found = CONTROL.search(data, start + max(searched - 1, 0), limit if end < 0 else end + 2)
    if found is not None:
        raise MessageRefused(
            status, f"a head has {_name(found[0])} at byte {found.start() - start}"
        )
    if end >= 0:
        return data[start:end].split(b"\r\n")
    if len(data) < limit:
        return None
    raise too_large(status, is_first_line=data.find(b"\r\n", start, limit) < 0)


def too_large(status: int, *, is_first_line: bool = False) -> MessageRefused:
    """Return the refusal of a head that is too large; a status of 400 becomes a closer one."""
    what = "a first line" if is_first_line else "a head"
    closer = 414 if is_first_line else 431
    text = f"{what} is larger than {MAX_HEAD} bytes, or {MAX_FIELDS} fields"
    return MessageRefused(closer if status == 400 else status, text)


def check_size(head: bytes, status: int) -> None:
    """Raise `MessageRefused` for a whole head that is too large."""
    fields = head.count(b"\n") - 2
    if fields > MAX_FIELDS or len(head) + fields * FIELD_COST > MAX_HEAD:
        raise too_large(status)


def explain_fields(lines: list[bytes], status: int) -> MessageRefused:
    """Return the refusal of lines of which at least one is not a field's."""
    for line in lines:
        if _FIELD.fullmatch(line) is None:
            return MessageRefused(status, f"{_explain_line(line)}: {show(line)}")
    return MessageRefused(status, "the head is not well formed")


def _explain_line(line: bytes) -> str:
    name, colon, _ = line.partition(b":")
    if line[:1] in {b" ", b"\t"}:
        return "a field is folded over two lines"
    if not colon:
        return "a field has no colon"
    if name[-1:] in {b" ", b"\t"}:
        return "there is a space before a field's colon"
    return "a field's name is not a token"


def values_of(known: re.Pattern[bytes], head: bytes, status: int) -> dict[bytes, bytes]:
    """Return the values of the fields that a pattern knows, in lower case, by their names.

    Values of several lines are joined by commas (RFC 9110, section 5.3). Raises `MessageRefused` if
    a field is there twice of which there is one at most.
    """
    values: dict[bytes, bytes] = {}
    for name, text in known.findall(head.lower()):
        if name in _ONCE:
            if name in values:
                raise MessageRefused(status, f"there is more than one {name.decode()}")
            values[name] = text.strip(b" ")
        elif name in values:
            values[name] += b"," + text.strip(b" \t")
        else:
            values[name] = text.strip(b" \t")
    return values


def read_connection(value: bytes, status: int) -> tuple[list[bytes], list[bytes]]:
    """Return the options of a Connection field, whose value is in lower case, and those of them
    that name fields which are not passed on.

    Raises `MessageRefused` for what is no list of tokens, and for one that names a field without
    which the message is another one.
    """
    if value in _OPTIONS or not value:
        return [value], []
    if _TOKENS.fullmatch(value) is None:
        raise MessageRefused(status, f"Connection is no list of tokens: {show(value)}")
    options = re.split(rb"[ \t]*,[ \t]*", value)
    for option in options:
        if option in END_TO_END:
            raise MessageRefused(status, f"Connection names {show(option)}, which is for the end")
    return options, [each for each in options if each not in HOP_BY_HOP and each not in _OPTIONS]


def show(text: bytes) -> str:
    """Return what a peer sent so that it fits in a line for people."""
    cut = text[:_MAX_SHOWN].decode("latin-1")
    return repr(cut) if len(text) <= _MAX_SHOWN else f"{cut!r}…"


def _name(character: bytes) -> str:
    return {b"\n": "a bare LF", b"\r": "a bare CR"}.get(character, f"the byte {character[0]:#04x}")
