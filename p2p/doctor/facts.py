"""Facts: what probes have found, before anybody judges it. None: it is not known, or does not apply."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

PortState = Literal["free", "ours", "taken", "forbidden", "elsewhere"]


class Fact(BaseModel):
    """Something that was found."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SettingsFacts(Fact):
    """Whether settings can be read."""

    trouble: str = ""  # why not
    remarks: tuple[str, ...] = ()


class ClockFacts(Fact):
    """The clock of this machine."""

    synchronised: bool | None = None  # with a time server, as the kernel says
    ahead_of_node_s: float | None = None  # of the clock of the node that runs


class DiskFacts(Fact):
    """The disk of the data folder."""

    folder: str
    exists: bool
    free_bytes: int
    floor_bytes: int  # below which no job is started
    inodes: int = 0  # 0: the file system does not count them
    inodes_free: int = 0
    write_trouble: str = ""  # why nothing can be written there
    sync_ms: float | None = None  # of one small file


class MemoryFacts(Fact):
    """The memory of this machine, or of the container around this process."""

    total_bytes: int
    free_bytes: int
    limited: bool = False  # by a container
    refusal: str = ""  # why `safety.min_memory_gb` does not let a node compute here


class FileLimitFacts(Fact):
    """How many files and connections a process may have open."""

    soft: int
    hard: int


class LearnerFacts(Fact):
    """What a child process of this Python has found that loads what jobs load."""

    python: tuple[int, int, int]
    ringrift: str
    torch: str | None = None
    torch_trouble: str = ""
    cuda: bool = False  # whether torch can use a GPU
    numba: str | None = None
    numba_trouble: str = ""
    rules_digest: str = ""
    kernels_folder: str = ""
    kernels_kept: bool = False  # compiled ones can be kept there
    kernels_compiled: bool = False
    trouble: str = ""  # why nothing of this is known


class GpuFacts(Fact):
    """What the NVIDIA driver says."""

    driver: bool = False
    devices: tuple[str, ...] = ()
    trouble: str = ""


class PortFacts(Fact):
    """One port that a node wants."""

    setting: str
    host: str
    port: int
    state: PortState
    by: str = ""  # who answers there


class TokenFacts(Fact):
    """A token; never what it says."""

    name: Literal["admin", "cluster"]
    source: str = ""  # a variable or a file; "" when there is none
    chars: int = 0
    readable_by_others: bool = False
    trouble: str = ""  # why it cannot be read


class ListeningFacts(Fact):
    """Where a node would listen."""

    host: str
    now: bool = False  # a node with these settings works: it has what it needs for that
    tls: bool = False
    tls_trouble: str = ""  # why certificate and key cannot be used


class RunningFacts(Fact):
    """The node that works in the folder."""

    pid: int | None = None
    node_id: str = ""
    health: str = ""
    reasons: tuple[str, ...] = ()
    cluster: str = ""  # the id of its cluster
    waits: str = ""  # what for, where it is in none yet
    trouble: str = ""  # why it does not answer


class FaultFacts(Fact):
    """Something that is wrong with a net or its index."""

    text: str
    advice: str
    grave: bool  # a node does not mend it by itself


class FolderFacts(Fact):
    """What stands in a data folder."""

    used: bool  # a node has worked there
    held: bool = False  # a process works there now
    records: int | None = None  # of the log that could be read
    log_trouble: str = ""
    damaged: tuple[str, ...] = ()  # snapshots
    faults: tuple[FaultFacts, ...] = ()
    not_installed: tuple[str, ...] = ()  # games whose canonical net is not the champion
    trouble: str = ""  # why nothing of this is known


class PeerFacts(Fact):
    """Another node."""

    address: str
    connects: bool = False
    health: str = ""
    ahead_s: float | None = None  # of its clock before ours, to a second
    trouble: str = ""
    cluster: str = ""  # the id of its cluster, or of the one it has adopted; "": it does not tell


class Facts(Fact):
    """Everything."""

    settings: SettingsFacts
    clock: ClockFacts
    disk: DiskFacts
    memory: MemoryFacts
    files: FileLimitFacts
    learner: LearnerFacts
    gpus: GpuFacts
    listening: ListeningFacts
    ports: tuple[PortFacts, ...] = ()
    tokens: tuple[TokenFacts, ...] = ()
    running: RunningFacts | None = None
    folder: FolderFacts
    peers: tuple[PeerFacts, ...] = ()
