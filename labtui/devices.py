"""What the machine's devices are and how busy they are, from NVML and psutil.

NVML is asked through the module `pynvml` of nvidia-ml-py, imported at the first use. A reading that the driver does
not support or does not permit (MIG parents, some containers) is None. Process ids are never taken from NVML: in a
container they belong to the host.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psutil

from labtui.sanitize import clean

_VENDOR_WORDS = {"NVIDIA", "Tesla", "GeForce", "Quadro"}


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One reading of one GPU, or of one MIG instance; None is "not available"."""

    index: int
    uuid: str
    name: str
    memory_used_bytes: int | None
    memory_total_bytes: int | None
    utilisation_percent: float | None
    temperature_c: float | None
    power_w: float | None
    power_limit_w: float | None


@dataclass(frozen=True, slots=True)
class HostSample:
    """One reading of the machine; `cpu_percent` is over all cores since the previous sample."""

    cpu_percent: float
    memory_used_bytes: int
    memory_total_bytes: int


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything at one moment (`time`: Unix seconds). `gpu_reason` says why there are no GPUs, else None."""

    time: float
    gpus: tuple[GpuSample, ...]
    gpu_reason: str | None
    host: HostSample


@dataclass(frozen=True, slots=True)
class Device:
    """A place to run: `id` is "cpu" or the UUID that goes into CUDA_VISIBLE_DEVICES."""

    id: str
    label: str
    memory_free_bytes: int | None


def short_device_name(name: str) -> str:
    """The part of a marketing name that tells cards apart: "NVIDIA H100 80GB HBM3" -> "H100"."""
    words: list[str] = []
    for word in name.replace("-", " ").split():
        if word in _VENDOR_WORDS:
            continue
        if words and (word.endswith("GB") or word in {"PCIe", "PCIE", "NVL"} or word.startswith(("SXM", "HBM"))):
            break
        words.append(word)
    return " ".join(words) or name


class DeviceSampler:
    """Reads the GPUs and the host. Not thread-safe: use one sampler in one thread."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._gpu_reason: str | None = None
        self._opened = False
        psutil.cpu_percent(None)

    def _open(self) -> None:
        self._opened = True
        try:
            import pynvml
        except ImportError:
            self._gpu_reason = "nvidia-ml-py is not installed"
            return
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError_LibraryNotFound:
            self._gpu_reason = "no NVIDIA driver on this machine"
        except pynvml.NVMLError as error:
            self._gpu_reason = f"NVML does not start: {clean(str(error))}"
        else:
            self._nvml = pynvml

    def _ask(self, read: Callable[..., Any], *arguments: Any) -> Any:
        """The answer of NVML, None where it has none."""
        try:
            return read(*arguments)
        except self._nvml.NVMLError:
            return None

    def _handles(self) -> Iterator[tuple[int, Any]]:
        """(index of the card, handle); a card cut by MIG yields its instances in place of itself."""
        nvml, ask = self._nvml, self._ask
        for index in range(ask(nvml.nvmlDeviceGetCount) or 0):
            card = ask(nvml.nvmlDeviceGetHandleByIndex, index)
            if card is None:
                continue
            mode = ask(nvml.nvmlDeviceGetMigMode, card)
            places = (ask(nvml.nvmlDeviceGetMaxMigDeviceCount, card) or 0) if mode and mode[0] else 0
            instances = [ask(nvml.nvmlDeviceGetMigDeviceHandleByIndex, card, place) for place in range(places)]
            yield from [(index, handle) for handle in instances if handle is not None] or [(index, card)]

    def _gpu(self, index: int, handle: Any) -> GpuSample:
        nvml, ask = self._nvml, self._ask
        memory = ask(nvml.nvmlDeviceGetMemoryInfo, handle)
        utilisation = ask(nvml.nvmlDeviceGetUtilizationRates, handle)
        temperature = ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
        power = ask(nvml.nvmlDeviceGetPowerUsage, handle)
        limit = ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        return GpuSample(
            index=index,
            uuid=_text(ask(nvml.nvmlDeviceGetUUID, handle)),
            name=_text(ask(nvml.nvmlDeviceGetName, handle)) or "GPU",
            memory_used_bytes=None if memory is None else int(memory.used),
            memory_total_bytes=None if memory is None else int(memory.total),
            utilisation_percent=None if utilisation is None else float(utilisation.gpu),
            temperature_c=None if temperature is None else float(temperature),
            power_w=None if power is None else power / 1000,
            power_limit_w=None if limit is None else limit / 1000,
        )

    def sample(self) -> Sample:
        """One reading of every GPU and of the host; never raises for a card that does not answer."""
        if not self._opened:
            self._open()
        gpus = tuple(self._gpu(*handle) for handle in self._handles()) if self._nvml is not None else ()
        reason = self._gpu_reason if gpus or self._gpu_reason else "NVML lists no GPU"
        memory = psutil.virtual_memory()
        host = HostSample(psutil.cpu_percent(None), memory.total - memory.available, memory.total)
        return Sample(time.time(), gpus, reason, host)

    def list_devices(self) -> list[Device]:
        """The devices a run may be sent to: the visible GPUs, then the CPU.

        An already set CUDA_VISIBLE_DEVICES is honoured, never widened: UUIDs (or unique beginnings of them) and
        numbers, up to the first entry that names no device, as CUDA reads it. Numbers are counted in bus order
        (CUDA_DEVICE_ORDER=PCI_BUS_ID), which is CUDA's own order where all cards are of one model.
        """
        sample = self.sample()
        named = [gpu for gpu in sample.gpus if gpu.uuid]
        devices = []
        for gpu in visible_gpus(named, os.environ.get("CUDA_VISIBLE_DEVICES")):
            used, total = gpu.memory_used_bytes, gpu.memory_total_bytes
            free = None if used is None or total is None else total - used
            devices.append(Device(gpu.uuid, f"gpu{gpu.index} {short_device_name(gpu.name)}", free))
        free_host_bytes = sample.host.memory_total_bytes - sample.host.memory_used_bytes
        return [*devices, Device("cpu", "cpu", free_host_bytes)]


def visible_gpus(gpus: list[GpuSample], cuda_visible_devices: str | None) -> list[GpuSample]:
    """The GPUs that a value of CUDA_VISIBLE_DEVICES lets through, in its order; None lets all through."""
    if cuda_visible_devices is None:
        return gpus
    chosen: list[GpuSample] = []
    for entry in (part.strip() for part in cuda_visible_devices.split(",")):
        if entry.isdecimal():
            matches = [gpu for gpu in gpus if gpu.index == int(entry)][:1]
        else:
            matches = [gpu for gpu in gpus if entry and gpu.uuid.startswith(entry)]
        if len(matches) != 1 or matches[0] in chosen:
            break
        chosen += matches
    return chosen


def _text(answer: Any) -> str:
    """NVML strings are bytes in older bindings."""
    if isinstance(answer, bytes):
        answer = answer.decode(errors="replace")
    return clean(answer or "")
