"""GpuProbe: the GPUs of this machine and how busy they are, by NVML.

A machine without driver or library has no GPUs; nothing that NVML says or does is an exception here. A driver that
hangs costs whoever looks WAIT_S once and then nothing: a thread of its own waits for it, and the last answer stands.
NVML counts in the order of the bus; so does CUDA where the cards are of one kind or CUDA_DEVICE_ORDER=PCI_BUS_ID.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pynvml

GPUS_MAX = 64  # of one machine; more are not told of
WAIT_S = 3.0  # for an answer; without persistence mode the first one takes seconds
RETRY_S = 60.0  # until a driver that was not there, or that failed, is asked again
NO_DRIVER = (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED)  # a machine without GPUs
NOT_TOLD = (pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)  # as memory is where it is shared
FAILURES = (pynvml.NVMLError, OSError, ValueError)  # ValueError: a name that is no text


class Nvml(Protocol):
    """The functions of `pynvml` that are used; all raise NVMLError."""

    def nvmlInit(self) -> None: ...  # noqa: N802, D102 - the library's names
    def nvmlShutdown(self) -> None: ...  # noqa: N802, D102
    def nvmlDeviceGetCount(self) -> int: ...  # noqa: N802, D102
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...  # noqa: N802, D102, ANN401
    def nvmlDeviceGetName(self, handle: Any) -> str: ...  # noqa: N802, D102, ANN401
    def nvmlDeviceGetUUID(self, handle: Any) -> str: ...  # noqa: N802, D102, ANN401
    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any: ...  # noqa: N802, D102, ANN401
    def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any: ...  # noqa: N802, D102, ANN401


@dataclass(frozen=True, slots=True)
class Gpu:
    """One of them; what the driver does not tell is None."""

    index: int  # among all of the machine
    name: str = ""
    uuid: str = ""  # CUDA_VISIBLE_DEVICES takes it in place of the index
    memory_bytes: int | None = None
    memory_free_bytes: int | None = None
    busy_percent: float | None = None  # share of the last sample period in which a kernel ran
    trouble: str = ""  # why it cannot be used


@dataclass(frozen=True, slots=True)
class Gpus:
    """All that this node may use."""

    devices: tuple[Gpu, ...] = ()
    trouble: str = ""  # why nothing, or nothing new, is known; "" on a machine without a driver

    @property
    def usable(self) -> int:
        """How many of them work."""
        return sum(not gpu.trouble for gpu in self.devices)


class GpuProbe:
    """Asks NVML; for one thread at a time, which waits up to WAIT_S."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        *,
        visible: str | None = None,
        nvml: Nvml = pynvml,
        wait_s: float = WAIT_S,
    ) -> None:
        """`visible` is CUDA_VISIBLE_DEVICES of this process; None: all are."""
        self._monotonic = monotonic
        self._visible = visible
        self._nvml = nvml
        self._wait_s = wait_s
        self._ready = False
        self._retry_at = monotonic()
        self._asked: threading.Thread | None = None
        self._found = Gpus()

    def look(self) -> Gpus:
        """The GPUs now, or as they last were with a word on what is wrong."""
        waits = self._asked is not None and self._asked.is_alive()
        if not waits:
            if not self._ready and self._monotonic() < self._retry_at:
                return self._found
            self._asked = threading.Thread(target=self._ask, daemon=True, name="gpu-probe")  # never holds up an exit
            self._asked.start()
            self._asked.join(self._wait_s)
        assert self._asked is not None
        if self._asked.is_alive():
            return replace(self._found, trouble="the GPU driver does not answer: look at dmesg, restart the machine")
        return self._found

    def _ask(self) -> None:
        try:
            self._found = Gpus(self._devices())
        except FAILURES as error:
            self._reset()
            none = isinstance(error, pynvml.NVMLError) and error.value in NO_DRIVER
            self._found = Gpus() if none else Gpus(trouble=f"NVML: {error}")
            self._retry_at = self._monotonic() + RETRY_S

    def _devices(self) -> tuple[Gpu, ...]:
        if not self._ready:
            self._nvml.nvmlInit()
            self._ready = True
        count = min(self._nvml.nvmlDeviceGetCount(), GPUS_MAX)
        return visible_ones(tuple(self._device(index) for index in range(count)), self._visible)

    def _device(self, index: int) -> Gpu:
        gpu = Gpu(index)
        try:
            handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
            gpu = replace(gpu, name=self._nvml.nvmlDeviceGetName(handle), uuid=self._nvml.nvmlDeviceGetUUID(handle))
            memory = told(lambda: self._nvml.nvmlDeviceGetMemoryInfo(handle))
            rates = told(lambda: self._nvml.nvmlDeviceGetUtilizationRates(handle))
        except FAILURES as error:
            if isinstance(error, pynvml.NVMLError) and error.value == pynvml.NVML_ERROR_UNINITIALIZED:
                raise
            return replace(gpu, trouble=f"NVML: {error}")
        return replace(
            gpu,
            memory_bytes=None if memory is None else int(memory.total),
            memory_free_bytes=None if memory is None else int(memory.free),
            busy_percent=None if rates is None else float(rates.gpu),
        )

    def _reset(self) -> None:
        """Begin anew with the next look: a driver that was exchanged answers only then."""
        if self._ready:
            self._ready = False
            try:
                self._nvml.nvmlShutdown()
            except FAILURES:
                return


def told(ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - one of the library's records
    """An answer, None where this device gives none."""
    try:
        return ask()
    except pynvml.NVMLError as error:
        if error.value not in NOT_TOLD:
            raise
        return None


def visible_ones(gpus: tuple[Gpu, ...], visible: str | None) -> tuple[Gpu, ...]:
    """Those that CUDA_VISIBLE_DEVICES names, in its order; as in CUDA nothing counts after a name of none."""
    if visible is None:
        return gpus
    found: list[Gpu] = []
    for name in (part.strip() for part in visible.split(",")):
        if name.isascii() and name.isdecimal():
            meant = [gpu for gpu in gpus if str(gpu.index) == name]
        else:
            meant = [gpu for gpu in gpus if name.startswith("GPU-") and gpu.uuid.startswith(name)]
        if len(meant) != 1:
            break
        found += meant
    return tuple(found)
