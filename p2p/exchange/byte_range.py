"""The Range header (RFC 9110, 14.2) for one range of bytes. Pure."""

import re

HEADER_CHARS_MAX = 100
RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII)


class Unsatisfiable(ValueError):  # noqa: N818 - the RFC's word
    """The range lies outside of what there is."""


def range_of(header: str | None, size: int) -> range | None:
    """The bytes that are asked for, at least one; None for all of them. Unsatisfiable where there are none such.

    What is no range, and several ranges at once, count as no header, as the RFC allows.
    """
    found = None if header is None or len(header) > HEADER_CHARS_MAX else RANGE.fullmatch(header)
    if found is None or not (found[1] or found[2]):
        return None
    first, last = found[1], found[2]
    if not first:  # so many from the end
        if int(last) == 0 or size == 0:
            raise Unsatisfiable
        return range(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise Unsatisfiable
    return range(int(first), min(int(last) + 1, size) if last else size)
