"""The Range header: what is taken is inside the file, what is not is refused or counts as none; nothing raises else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.exchange.byte_range import Unsatisfiable, range_of

SIZES = st.integers(0, 1 << 40)
TEXTS = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.from_regex(r"bytes=\d{0,20}-\d{0,20}", fullmatch=True),
    st.from_regex(r"bytes ?= ?\d{0,4}-\d{0,4}(, ?\d{0,4}-\d{0,4})?", fullmatch=True),
)


@given(TEXTS, SIZES)
def test_a_range_is_never_empty_and_never_outside(text: str | None, size: int):
    try:
        found = range_of(text, size)
    except Unsatisfiable:
        return
    assert found is None or (len(found) > 0 and found.start >= 0 and found.stop <= size and found.step == 1)


@given(st.integers(1, 1 << 40), st.data())
def test_every_part_can_be_asked_for(size: int, data: st.DataObject):
    first = data.draw(st.integers(0, size - 1))
    last = data.draw(st.integers(first, size - 1))
    assert ends(f"bytes={first}-{last}", size) == (first, last + 1)
    assert ends(f"bytes={first}-", size) == (first, size)
    assert ends(f"bytes=-{size - first}", size) == (first, size)
    assert ends(f"bytes={first}-{size + last}", size) == (first, size)


def ends(text: str, size: int) -> tuple[int, int]:
    """Of the range: two large ones that differ are told by what they hold, one by one."""
    found = range_of(text, size)
    assert found is not None
    return found.start, found.stop


@pytest.mark.parametrize("text", ["bytes=-0", "bytes=10-", "bytes=10-20", "bytes=999999999999999999-"])
def test_what_lies_behind_the_end_cannot_be_satisfied(text: str):
    with pytest.raises(Unsatisfiable):
        range_of(text, 10)


@pytest.mark.parametrize(
    "text",
    ["", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=0-1,3-4", "chunks=0-1", "bytes=0-1 x", "bytes=٣-٤"],
)
def test_what_is_no_single_range_counts_as_none(text: str):
    assert range_of(text, 10) is None
