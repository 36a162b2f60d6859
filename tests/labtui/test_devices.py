import subprocess
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from labtui.devices import DeviceSampler, GpuSample, short_device_name, visible_gpus

GIB = 2**30


class FakeNvml(types.ModuleType):
    """Enough of `pynvml` for the sampler: cards are dicts, a missing key raises NotSupported."""

    class NVMLError(Exception):
        pass

    class NVMLError_LibraryNotFound(NVMLError):  # noqa: N801
        pass

    class NVMLError_NotSupported(NVMLError):  # noqa: N801
        pass

    class NVMLError_NoPermission(NVMLError):  # noqa: N801
        pass

    NVML_TEMPERATURE_GPU = 0

    def __init__(self, cards: list[dict[str, Any]], start_error: str | None = None) -> None:
        super().__init__("pynvml")
        self.cards, self.start_error = cards, start_error
        for name, key in {
            "nvmlDeviceGetName": "name",
            "nvmlDeviceGetUUID": "uuid",
            "nvmlDeviceGetMemoryInfo": "memory",
            "nvmlDeviceGetUtilizationRates": "utilisation",
            "nvmlDeviceGetPowerUsage": "power",
            "nvmlDeviceGetEnforcedPowerLimit": "limit",
            "nvmlDeviceGetMigMode": "mig_mode",
        }.items():
            setattr(self, name, self._reader(key))

    def _reader(self, key: str) -> Callable[[dict[str, Any]], Any]:
        def read(card: dict[str, Any]) -> Any:
            if key not in card:
                raise self.NVMLError_NotSupported(key)
            if isinstance(card[key], Exception):
                raise card[key]
            return card[key]

        return read

    def nvmlInit(self) -> None:  # noqa: N802
        if self.start_error:
            raise getattr(self, self.start_error)("\x1b[31mwhy")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> dict[str, Any]:  # noqa: N802
        return self.cards[index]

    def nvmlDeviceGetTemperature(self, card: dict[str, Any], sensor: int) -> Any:  # noqa: N802
        return self._reader("temperature")(card)

    def nvmlDeviceGetMaxMigDeviceCount(self, card: dict[str, Any]) -> int:  # noqa: N802
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: dict[str, Any], place: int) -> Any:  # noqa: N802
        if place >= len(card["instances"]):
            raise self.NVMLError_NotSupported("no instance here")
        return card["instances"][place]


def memory(used_gib: float, total_gib: float) -> types.SimpleNamespace:
    return types.SimpleNamespace(used=int(used_gib * GIB), total=int(total_gib * GIB))


def card(number: int, **more: Any) -> dict[str, Any]:
    return {
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": f"GPU-{number}a-{number}",
        "memory": memory(60, 80),
        "utilisation": types.SimpleNamespace(gpu=87),
        "temperature": 64,
        "power": 412_300,
        "limit": 700_000,
        **more,
    }


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., DeviceSampler]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def put(cards: list[dict[str, Any]], start_error: str | None = None) -> DeviceSampler:
        monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(cards, start_error))
        return DeviceSampler()

    return put


def test_a_card_is_read_in_plain_units(install: Callable[..., DeviceSampler]) -> None:
    sample = install([card(0)]).sample()
    assert sample.gpus == (
        GpuSample(0, "GPU-0a-0", "NVIDIA H100 80GB HBM3", 60 * GIB, 80 * GIB, 87.0, 64.0, 412.3, 700.0),
    )
    assert sample.gpu_reason is None
    assert 0 < sample.host.memory_used_bytes < sample.host.memory_total_bytes


def test_no_driver_is_no_gpu_with_the_reason(install: Callable[..., DeviceSampler]) -> None:
    sampler = install([], "NVMLError_LibraryNotFound")
    assert sampler.sample().gpus == ()
    assert sampler.sample().gpu_reason == "no NVIDIA driver on this machine"
    assert [device.id for device in sampler.list_devices()] == ["cpu"]


def test_other_start_errors_are_told_cleanly(install: Callable[..., DeviceSampler]) -> None:
    assert install([], "NVMLError_NoPermission").sample().gpu_reason == "NVML does not start: why"


def test_a_driver_without_cards_says_so(install: Callable[..., DeviceSampler]) -> None:
    assert install([]).sample().gpu_reason == "NVML lists no GPU"


def test_readings_not_supported_or_not_permitted_are_none(install: Callable[..., DeviceSampler]) -> None:
    bare = {"name": b"Tesla T4", "uuid": b"GPU-x", "memory": FakeNvml.NVMLError_NoPermission("no")}
    sample = install([bare]).sample()
    assert sample.gpus == (GpuSample(0, "GPU-x", "Tesla T4", None, None, None, None, None, None),)


def test_a_card_cut_by_mig_shows_its_instances(install: Callable[..., DeviceSampler]) -> None:
    instances = [{"name": "H100 MIG 1g.10gb", "uuid": f"MIG-{n}", "memory": memory(1, 10)} for n in range(2)]
    denied = FakeNvml.NVMLError_NoPermission("parent")
    sampler = install([card(0, mig_mode=(1, 1), memory=denied, instances=instances), card(1, mig_mode=(0, 0))])
    assert [(gpu.index, gpu.uuid) for gpu in sampler.sample().gpus] == [(0, "MIG-0"), (0, "MIG-1"), (1, "GPU-1a-1")]
    assert sampler.list_devices()[0].memory_free_bytes == 9 * GIB


def test_devices_are_named_by_uuid_and_the_cpu_comes_last(install: Callable[..., DeviceSampler]) -> None:
    devices = install([card(0), card(1)]).list_devices()
    assert [device.id for device in devices] == ["GPU-0a-0", "GPU-1a-1", "cpu"]
    assert devices[0].label == "gpu0 H100"
    assert devices[0].memory_free_bytes == 20 * GIB
    assert (devices[2].memory_free_bytes or 0) > 0


@pytest.mark.parametrize(
    ("setting", "ids"),
    [
        ("1", ["GPU-1a-1"]),
        ("2,0", ["GPU-2a-2", "GPU-0a-0"]),
        ("GPU-1a", ["GPU-1a-1"]),
        ("GPU-", []),
        ("", []),
        ("-1", []),
        ("0,9,1", ["GPU-0a-0"]),
        ("0,0", ["GPU-0a-0"]),
    ],
)
def test_cuda_visible_devices_is_honoured(
    install: Callable[..., DeviceSampler], monkeypatch: pytest.MonkeyPatch, setting: str, ids: list[str]
) -> None:
    sampler = install([card(0), card(1), card(2)])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", setting)
    assert [device.id for device in sampler.list_devices()] == [*ids, "cpu"]


def test_without_the_variable_all_cards_are_visible() -> None:
    assert visible_gpus([], None) == []


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("Tesla T4", "T4"),
        ("NVIDIA", "NVIDIA"),
    ],
)
def test_card_names_are_cut_to_what_tells_them_apart(name: str, short: str) -> None:
    assert short_device_name(name) == short


def test_importing_the_module_does_not_import_nvml() -> None:
    modules = "labtui.devices, labtui.format, labtui.sanitize"
    check = f"import sys, {modules}; print({{'pynvml', 'textual', 'rich'}} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"
