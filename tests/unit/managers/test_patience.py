"""What is known to be in vain is given up, after a moment in which it may succeed all the same."""

import asyncio

import pytest

from managers import patience
from managers.patience import unless_in_vain
from ringrift_core.errors import StorageError


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_S", 0.05)
    monkeypatch.setattr(patience, "LOOK_S", 0.01)


def test_work_gives_what_it_gives_though_it_looked_in_vain():
    async def work() -> int:
        await asyncio.sleep(0)
        return 3

    assert asyncio.run(unless_in_vain(work(), lambda: "in vain", 60)) == 3


def test_its_error_is_raised():
    async def work() -> None:
        raise StorageError("full")

    with pytest.raises(StorageError, match="full"):
        asyncio.run(unless_in_vain(work(), lambda: "", 60))


@pytest.mark.parametrize(("reasons", "limit_s", "said"), [
    (["", "", "missing: b, c"], 60, "missing: b, c"), ([], 0.02, "no answer in 0.02 s"), ([], 0.07, "no answer in"),
])  # fmt: skip
def test_it_is_cancelled_when_it_is_in_vain_or_takes_too_long(reasons, limit_s, said):
    cancelled = []

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def run() -> None:
        told = iter(reasons)
        await unless_in_vain(work(), lambda: next(told, ""), limit_s)

    with pytest.raises(TimeoutError, match=said):
        asyncio.run(run())
    assert cancelled


def test_whoever_is_cancelled_takes_the_work_along():
    ended = []

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    async def run() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await unless_in_vain(work(), lambda: "", 60)

    asyncio.run(run())
    assert ended
