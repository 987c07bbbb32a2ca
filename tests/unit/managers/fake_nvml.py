"""NVML as it answers on machines of all kinds: the functions of `pynvml` that are used, with its own error classes."""

# ruff: noqa: N802 - the library's names

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import pynvml


@dataclass
class FakeCard:
    """A card; an error in place of an answer is raised by the function of that name."""

    name: str = "NVIDIA H100 80GB HBM3"
    uuid: str = "GPU-00000000-0000-0000-0000-000000000000"
    total: int = 85_520_809_984
    free: int = 85_000_000_000
    busy: int = 0
    errors: dict[str, int] = field(default_factory=dict)  # function -> NVML_ERROR_*


class FakeNvml:
    """The library; what is asked before `nvmlInit` or after `nvmlShutdown` is an error, as with the real one."""

    def __init__(self, *cards: FakeCard, init_error: int | None = None) -> None:
        self.cards = list(cards)
        self.init_error = init_error
        self.before: Callable[[], None] = lambda: None  # called in every function: hangs, fails
        self.inits = 0
        self.open = 0

    def nvmlInit(self) -> None:
        self.before()
        self.inits += 1
        if self.init_error is not None:
            raise pynvml.NVMLError(self.init_error)
        self.open += 1

    def nvmlShutdown(self) -> None:
        self._check()
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:
        self._check()
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeCard:
        self._check()
        if not 0 <= index < len(self.cards):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
        return self._card(self.cards[index], "nvmlDeviceGetHandleByIndex")

    def nvmlDeviceGetName(self, handle: FakeCard) -> str:
        return self._card(handle, "nvmlDeviceGetName").name

    def nvmlDeviceGetUUID(self, handle: FakeCard) -> str:
        return self._card(handle, "nvmlDeviceGetUUID").uuid

    def nvmlDeviceGetMemoryInfo(self, handle: FakeCard) -> SimpleNamespace:
        card = self._card(handle, "nvmlDeviceGetMemoryInfo")
        return SimpleNamespace(total=card.total, free=card.free, used=card.total - card.free)

    def nvmlDeviceGetUtilizationRates(self, handle: FakeCard) -> SimpleNamespace:
        return SimpleNamespace(gpu=self._card(handle, "nvmlDeviceGetUtilizationRates").busy, memory=0)

    def _card(self, card: FakeCard, function: str) -> FakeCard:
        self._check()
        if function in card.errors:
            raise pynvml.NVMLError(card.errors[function])
        return card

    def _check(self) -> None:
        self.before()
        if not self.open:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_UNINITIALIZED)
