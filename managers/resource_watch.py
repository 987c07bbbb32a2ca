"""ResourceWatch: what this machine has now: disk, memory, GPUs; and whether it is fit for work."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from config.schema import Settings
from managers.gpu_probe import GpuProbe, Gpus

GB = 1e9
MEMORY_LEAST_SHARE = 0.03  # of the machine's memory that must be free for another job
NONE = Gpus()


@dataclass(frozen=True, slots=True)
class Resources:
    """What there is now."""

    disk_free_bytes: int
    disk_bytes: int
    memory_free_bytes: int
    memory_bytes: int
    cpu_percent: float
    disk_floor_bytes: int
    memory_floor_bytes: int
    unfit: str = ""  # why no job is started here; "" when nothing speaks against it
    gpus: Gpus = NONE

    @property
    def disk_low(self) -> bool:
        """Whether it is the disk that is short."""
        return self.unfit.startswith("disk")


class ResourceWatch:
    """Looks at the machine; system calls only, but a slow disk may answer late: not for the event loop's thread."""

    def __init__(self, settings: Settings, root: Path, gpus: GpuProbe | None = None) -> None:
        """Without a probe there are no GPUs to look at."""
        self._floor_bytes = int(settings.node.disk_floor_gb * GB)
        self._root = root
        self._gpus = gpus

    def look(self) -> Resources:
        """What there is now."""
        disk, memory = shutil.disk_usage(self._root), psutil.virtual_memory()
        memory_floor = int(MEMORY_LEAST_SHARE * memory.total)
        unfit = ""
        if disk.free < self._floor_bytes:
            unfit = (
                f"disk: {disk.free / GB:.1f} GB are free, node.disk_floor_gb wants {self._floor_bytes / GB:g}: "
                "free some space"
            )
        elif memory.available < memory_floor:
            unfit = f"memory: {memory.available / GB:.1f} of {memory.total / GB:.1f} GB are free"
        return Resources(
            disk_free_bytes=disk.free,
            disk_bytes=disk.total,
            memory_free_bytes=memory.available,
            memory_bytes=memory.total,
            cpu_percent=psutil.cpu_percent(),
            disk_floor_bytes=self._floor_bytes,
            memory_floor_bytes=memory_floor,
            unfit=unfit,
            gpus=NONE if self._gpus is None else self._gpus.look(),
        )


def memory_refusal(settings: Settings, memory_bytes: int | None = None) -> str | None:
    """Why this machine may not compute at all by `safety.min_memory_gb`; None when it may."""
    total = psutil.virtual_memory().total if memory_bytes is None else memory_bytes
    wanted = settings.safety.min_memory_gb
    if total >= wanted * GB or not settings.node.computes:
        return None
    return (
        f"this machine has {total / GB:.0f} GB of memory, the profile {settings.profile} wants {wanted:g}: use the "
        "profile local, set safety.min_memory_gb, or set RINGRIFT_DISABLE_LOCAL_TASKS=true to coordinate without "
        "computing"
    )
