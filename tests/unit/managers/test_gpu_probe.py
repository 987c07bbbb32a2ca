"""GPUs: what NVML tells, what it does not, and that nothing it does stops a node."""

import inspect
import threading

import pynvml
import pytest

from managers.gpu_probe import GPUS_MAX, RETRY_S, Gpu, GpuProbe, Gpus, visible_ones
from tests.unit.managers.fake_nvml import FakeCard, FakeNvml


class Clock:
    """Moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def probe_of(nvml: FakeNvml, clock: Clock | None = None, visible: str | None = None, wait_s: float = 10.0) -> GpuProbe:
    return GpuProbe(clock or Clock(), visible=visible, nvml=nvml, wait_s=wait_s)


def cards(number: int) -> list[FakeCard]:
    return [FakeCard(uuid=f"GPU-{index:08d}") for index in range(number)]


def test_every_card_is_told_with_its_memory_and_how_busy_it_is():
    found = probe_of(FakeNvml(FakeCard("H100", "GPU-a", 80, 79, busy=37), FakeCard("A10", "GPU-b", 24, 23))).look()
    assert found == Gpus((Gpu(0, "H100", "GPU-a", 80, 79, 37.0), Gpu(1, "A10", "GPU-b", 24, 23, 0.0)))
    assert found.usable == 2


def test_a_second_look_sees_what_has_changed_and_begins_nothing_anew():
    nvml = FakeNvml(FakeCard(busy=1))
    probe = probe_of(nvml)
    probe.look()
    nvml.cards[0].busy = 99
    assert probe.look().devices[0].busy_percent == 99
    assert nvml.inits == 1


@pytest.mark.parametrize("error", [pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED])
def test_a_machine_without_a_driver_has_no_gpus_and_no_trouble(error):
    assert probe_of(FakeNvml(init_error=error)).look() == Gpus()


def test_this_machine_answers_whatever_it_has():
    found = GpuProbe(Clock()).look()
    assert found.usable <= len(found.devices)


def test_a_driver_that_does_not_fit_is_told_and_asked_again_after_a_while():
    clock, nvml = Clock(), FakeNvml(FakeCard(), init_error=pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH)
    probe = probe_of(nvml, clock)
    assert probe.look() == Gpus(trouble="NVML: RM has detected an NVML/RM version mismatch.")
    nvml.init_error = None
    clock.now += RETRY_S - 1
    assert probe.look().usable == 0
    assert nvml.inits == 1
    clock.now += 1
    assert probe.look().usable == 1


def test_a_lost_card_keeps_its_place_and_is_not_usable():
    nvml = FakeNvml(*cards(3))
    nvml.cards[1].errors["nvmlDeviceGetHandleByIndex"] = pynvml.NVML_ERROR_GPU_IS_LOST
    found = probe_of(nvml).look()
    assert [gpu.index for gpu in found.devices] == [0, 1, 2]
    assert [gpu.trouble for gpu in found.devices] == ["", "NVML: GPU is lost", ""]
    assert found.usable == 2


@pytest.mark.parametrize("error", [pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND])
def test_what_a_card_does_not_tell_is_none_and_the_card_is_usable(error):
    nvml = FakeNvml(FakeCard(errors=dict.fromkeys(("nvmlDeviceGetMemoryInfo", "nvmlDeviceGetUtilizationRates"), error)))
    (gpu,) = probe_of(nvml).look().devices
    assert (gpu.memory_bytes, gpu.memory_free_bytes, gpu.busy_percent, gpu.trouble) == (None, None, None, "")


@pytest.mark.parametrize("function", [name for name in dir(FakeNvml) if name.startswith("nvmlDevice")])
@pytest.mark.parametrize(
    "error", [pynvml.NVML_ERROR_UNKNOWN, pynvml.NVML_ERROR_NO_PERMISSION, pynvml.NVML_ERROR_RESET_REQUIRED, 424_242]
)
def test_no_error_of_any_function_is_an_exception(function, error):
    nvml = FakeNvml(FakeCard(errors={function: error}))
    if function == "nvmlDeviceGetCount":
        nvml.nvmlDeviceGetCount = lambda: (_ for _ in ()).throw(pynvml.NVMLError(error))  # type: ignore[method-assign]
    found = probe_of(nvml).look()
    assert found.usable == 0
    assert "NVML: " in (found.trouble or found.devices[0].trouble)


def test_a_driver_that_was_exchanged_is_opened_anew():
    clock, nvml = Clock(), FakeNvml(FakeCard())
    probe = probe_of(nvml, clock)
    probe.look()
    nvml.open = 0
    assert probe.look() == Gpus(trouble="NVML: Uninitialized")
    clock.now += RETRY_S
    assert probe.look().usable == 1


def test_a_driver_that_hangs_holds_nobody_up_and_is_asked_by_one_thread():
    nvml, hangs = FakeNvml(FakeCard()), threading.Event()
    asked: list[int] = []
    probe = probe_of(nvml)
    before = probe.look()

    def hang() -> None:
        asked.append(1)
        hangs.wait(30)

    nvml.before = hang
    probe._wait_s = 0.01
    try:
        for _ in range(3):
            found = probe.look()
            assert found.devices == before.devices
            assert found.trouble.startswith("the GPU driver does not answer")
        assert len(asked) == 1
    finally:
        hangs.set()
    assert probe._asked is not None
    probe._asked.join(10)
    assert probe.look().trouble == ""


def test_a_machine_of_many_cards_is_told_to_a_bound():
    assert len(probe_of(FakeNvml(*cards(GPUS_MAX + 5))).look().devices) == GPUS_MAX


@pytest.mark.parametrize(
    ("visible", "seen"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("0", [0]),
        ("2, 0", [2, 0]),
        ("1,7,0", [1]),
        ("GPU-00000002,0", [2, 0]),
        ("GPU-", []),
        ("MIG-1", []),
        ("x", []),
    ],
)
def test_a_node_sees_the_cards_that_cuda_sees(visible, seen):
    assert [gpu.index for gpu in probe_of(FakeNvml(*cards(3)), visible=visible).look().devices] == seen
    assert visible_ones((), visible) == ()


@pytest.mark.parametrize("name", [name for name in dir(FakeNvml) if name.startswith("nvml")])
def test_the_fake_has_the_arguments_of_the_library(name):
    real, fake = inspect.signature(getattr(pynvml, name)), inspect.signature(getattr(FakeNvml(), name))
    names = [
        it.name for it in real.parameters.values() if it.default is it.empty and it.kind is it.POSITIONAL_OR_KEYWORD
    ]
    assert list(fake.parameters) == names or "args" in real.parameters  # of a wrapped one nothing is known
