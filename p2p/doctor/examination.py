"""One examination: probes are asked one after the other, then checks judge what they found.

facts = gathered(loaded, trouble, peers, environment, now_s)
findings = judged(facts)
"""

from collections.abc import Callable, Mapping, Sequence

from config.environment import ConfigError
from config.schema import Settings
from managers.node_folder import NodeFolder
from managers.resource_watch import memory_refusal
from p2p.doctor import machine_checks, machine_probe, node_checks, node_probe
from p2p.doctor.facts import ClockFacts, Facts, SettingsFacts
from p2p.doctor.finding import Finding
from p2p.doctor.peer_probe import peers_found
from p2p.identity.credentials import load_credentials


def gathered(
    settings: Settings,
    said: SettingsFacts,
    peers: Sequence[str] | None,
    environment: Mapping[str, str],
    now_s: Callable[[], float],
) -> Facts:
    """Everything that can be found out about this machine, a node with these settings, and other nodes.

    `peers` are their addresses, None for those in the settings, of the node that works in the folder if one does.
    """
    folder = settings.node.data_dir.absolute()
    paths = NodeFolder(folder)
    held = any(node_probe.is_held(it) for it in (paths.owner, paths.log))  # only a cluster of one holds its log
    running, apart_s = node_probe.running_found(folder) if held else (None, None)
    works = running is not None and running.pid is not None and not running.trouble
    if running is not None and running.pid is not None and works:
        settings = node_probe.as_it_runs(settings, folder, running.pid)
    listening = node_probe.listening_found(settings).model_copy(update={"now": works})
    return Facts(
        settings=said,
        clock=ClockFacts(synchronised=machine_probe.synchronised(), ahead_of_node_s=apart_s),
        disk=machine_probe.disk_found(folder, settings.node.disk_floor_gb),
        memory=machine_probe.memory_found(memory_refusal(settings)),
        files=machine_probe.files_found(),
        learner=machine_probe.learner_found(),
        gpus=machine_probe.gpus_found(),
        listening=listening,
        ports=node_probe.ports_found(settings, None if running is None else running.pid),
        tokens=node_probe.tokens_found(settings, environment),
        running=running,
        folder=machine_probe.folder_found(folder, held=held),
        peers=peers_found(
            settings.node.peers if peers is None else peers,
            now_s,
            tls=listening.tls,
            token=_cluster_token(settings, environment),
        ),
    )


def _cluster_token(settings: Settings, environment: Mapping[str, str]) -> str | None:
    try:
        token = load_credentials(settings.node, environment).cluster
    except ConfigError:
        return None  # the checks of tokens say so
    return None if token is None else token.reveal()


def judged(facts: Facts) -> tuple[Finding, ...]:
    """One finding per check, in the order in which a person would mend them."""
    return (
        node_checks.check_settings(facts.settings),
        machine_checks.check_python(facts.learner),
        machine_checks.check_torch(facts.learner),
        machine_checks.check_kernels(facts.learner),
        machine_checks.check_gpus(facts.gpus, facts.learner),
        machine_checks.check_clock(facts.clock),
        machine_checks.check_memory(facts.memory),
        machine_checks.check_files(facts.files),
        machine_checks.check_disk(facts.disk),
        node_checks.check_log(facts.folder),
        node_checks.check_models(facts.folder),
        *(node_checks.check_port(port) for port in facts.ports),
        *(node_checks.check_token(token, facts.listening) for token in facts.tokens),
        node_checks.check_tls(facts.listening),
        node_checks.check_running(facts.running),
        *node_checks.check_peers(facts.peers, "" if facts.running is None else facts.running.cluster),
    )
