"""Checks of the machine: clock, disk, memory, open files, versions, kernels, GPUs. Facts in, findings out."""

from p2p.doctor.facts import ClockFacts, DiskFacts, FileLimitFacts, GpuFacts, LearnerFacts, MemoryFacts
from p2p.doctor.finding import Finding, fail, ok, warn

CLOCK_WARN_S = 5.0
CLOCK_FAIL_S = 60.0  # from here on nodes refuse each other's calls
INODES_WARN = 0.05  # share that is free
INODES_FAIL = 0.01
SYNC_WARN_MS = 100.0  # a decision of the cluster waits for one
MEMORY_WARN = 0.10  # share that is free
MEMORY_FAIL = 0.03  # below it no job is started (managers/resource_watch.py)
FILES_WARN = 1024
FILES_FAIL = 256  # connections alone are that many
PYTHON_MIN = (3, 11)
TORCH_MIN = (2, 6)
GB = 1e9


def check_clock(facts: ClockFacts) -> Finding:
    """Against the node's own clock, and whether a time server keeps it."""
    ahead = facts.ahead_of_node_s
    if ahead is not None and abs(ahead) >= CLOCK_WARN_S:
        text = f"this machine's clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} that of the node"
        advice = "somebody has set it: let a time server keep it (chrony, systemd-timesyncd)"
        return (fail if abs(ahead) >= CLOCK_FAIL_S else warn)("clock", text, advice)
    if facts.synchronised is None:
        return ok("clock", "whether a time server keeps it is not known here")
    if not facts.synchronised:
        advice = "start chrony or systemd-timesyncd; nodes whose clocks are 60 s apart refuse each other"
        return warn("clock", "no time server keeps it", advice)
    return ok("clock", "a time server keeps it")


def check_disk(facts: DiskFacts) -> Finding:
    """Whether the data folder can be written to, quickly, with room for jobs."""
    if facts.write_trouble:
        return fail("disk", facts.write_trouble, "choose another --data-dir, or mend that")
    free, floor = facts.free_bytes, facts.floor_bytes
    text = f"{facts.folder}: {free / GB:.1f} GB free"
    if free < floor:
        return fail("disk", f"{text}, no job is started below {floor / GB:g}", "free some space")
    share = facts.inodes_free / facts.inodes if facts.inodes else 1.0
    if share < INODES_FAIL:
        return fail("disk", f"{text}, but {facts.inodes_free} inodes", "remove small files: no more can be made")
    if facts.sync_ms is not None and facts.sync_ms > SYNC_WARN_MS:
        text = f"{text}; making a small file durable takes {facts.sync_ms:.0f} ms"
        return warn("disk", text, "choose a local disk: every decision waits for that")
    if free < 2 * floor:
        return warn("disk", f"{text}, no job is started below {floor / GB:g}", "free some space soon")
    if share < INODES_WARN:
        return warn("disk", f"{text}, but {facts.inodes_free} inodes", "remove small files soon")
    if not facts.exists:
        return ok("disk", f"{text}; the folder will be made")
    return ok("disk", text if facts.sync_ms is None else f"{text}, a small file is durable in {facts.sync_ms:.0f} ms")


def check_memory(facts: MemoryFacts) -> Finding:
    """Whether jobs have room, by the profile and now."""
    text = f"{facts.free_bytes / GB:.1f} of {facts.total_bytes / GB:.1f} GB free"
    if facts.limited:
        text = f"{text} in this container"
    if facts.refusal:
        return fail("memory", facts.refusal, "choose the profile local, or another machine")
    share = facts.free_bytes / facts.total_bytes if facts.total_bytes else 0.0
    if share < MEMORY_FAIL:
        return fail("memory", text, "end something else: no job is started like this")
    if share < MEMORY_WARN:
        return warn("memory", text, "end something else, or let fewer cores work (node.cores)")
    return ok("memory", text)


def check_files(facts: FileLimitFacts) -> Finding:
    """Whether a node may have enough files and connections open."""
    text = f"a process may have {facts.soft} files open"
    advice = "raise it: ulimit -n 4096, or LimitNOFILE=4096 in the unit"
    if facts.soft < FILES_FAIL:
        return fail("open files", text, advice)
    if facts.soft < FILES_WARN:
        return warn("open files", text, advice)
    return ok("open files", text)


def check_python(facts: LearnerFacts) -> Finding:
    """Which Python and which RingRift work here."""
    version = ".".join(map(str, facts.python))
    text = f"Python {version}, RingRift {facts.ringrift}"
    if facts.python[:2] < PYTHON_MIN:
        return fail("python", text, f"install Python {PYTHON_MIN[0]}.{PYTHON_MIN[1]} or newer")
    if facts.trouble:
        return fail(
            "python", f"{text}; a process of it {facts.trouble}", "install RingRift anew in its own environment"
        )
    return ok("python", f"{text}, rules {facts.rules_digest[:16]}")


def check_torch(facts: LearnerFacts) -> Finding:
    """Whether nets can be trained."""
    if facts.torch is None:
        text = f"torch cannot be loaded: {facts.torch_trouble or 'it is not installed'}"
        return fail("torch", text, "install it: pip install 'torch>=2.6'; without it nothing is learned")
    if version_of(facts.torch) < TORCH_MIN:
        return fail("torch", f"torch {facts.torch} is too old", "upgrade it: pip install 'torch>=2.6'")
    return ok("torch", f"torch {facts.torch}{', with CUDA' if facts.cuda else ''}")


def check_kernels(facts: LearnerFacts) -> Finding:
    """Whether the rules run, and whether they are compiled already."""
    if facts.numba is None:
        text = f"numba cannot be loaded: {facts.numba_trouble or 'it is not installed'}"
        return fail("kernels", text, "install RingRift anew: without it no game is played")
    if not facts.kernels_kept:
        text = f"compiled kernels cannot be kept in {facts.kernels_folder}"
        return warn("kernels", text, "choose another RINGRIFT_CACHE_DIR: each job compiles for minutes otherwise")
    if not facts.kernels_compiled:
        text = f"numba {facts.numba}; the rules are not compiled for this machine and version"
        return warn("kernels", text, "the first job does that in a minute or two; ringrift warmup does it now")
    return ok("kernels", f"compiled, numba {facts.numba}")


def check_gpus(gpus: GpuFacts, learner: LearnerFacts) -> Finding:
    """Whether torch can use the GPUs that there are."""
    if gpus.trouble:
        return warn(
            "gpu", f"the NVIDIA driver fails: {gpus.trouble}", "run nvidia-smi; restart the machine if it hangs"
        )
    if not gpus.driver:
        return ok("gpu", "no NVIDIA driver: jobs work on CPU cores")
    if not gpus.devices:
        return warn("gpu", "a driver, and no GPU", "look at nvidia-smi and at CUDA_VISIBLE_DEVICES")
    text = ", ".join(gpus.devices)
    if learner.torch is not None and not learner.cuda:
        return warn("gpu", f"{text}; torch cannot use it", "install a torch that is built for CUDA and for this driver")
    return ok("gpu", text)


def version_of(text: str) -> tuple[int, int]:
    """The first two numbers of a version; (0, 0) for what has none."""
    parts = text.split(".")
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return (0, 0)
    return int(parts[0]), int(parts[1])
