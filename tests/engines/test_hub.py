import json
import os
import shutil
import socket
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from engines.errors import HubError, ModelError
from engines.hub import DATASET_FILES, MODEL_FILES, fetch, size_text
from engines.models.location import Model, locate
from engines.reporter import Stop
from engines.runs import events as ev
from tests.engines.conftest import Recorder, point_to
from tests.stub_hub import StubHub, running

MODEL = {
    "config.json": json.dumps({"model_type": "distilbert"}).encode(),
    "tokenizer.json": b"{}",
    "model.safetensors": b"w" * 100_000,
    "pytorch_model.bin": b"p" * 100_000,
    "consolidated.safetensors": b"w" * 100_000,
    "README.md": b"a model",
}
NEEDED_BYTES = sum(len(MODEL[name]) for name in ("config.json", "tokenizer.json", "model.safetensors"))


@pytest.fixture
def model(hub: StubHub) -> StubHub:
    hub.repos["models/lab/small"] = dict(MODEL)
    return hub


def test_a_model_comes_without_pickles_or_second_copies_in_a_phase_of_bytes(model: StubHub, recorder: Recorder) -> None:
    folder = fetch("lab/small", "model", MODEL_FILES, recorder.report)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert (folder / "model.safetensors").read_bytes() == MODEL["model.safetensors"]
    (phase,) = recorder.events(ev.Phase)
    assert phase == ev.Phase("download", NEEDED_BYTES, "bytes")
    assert recorder.events(ev.Progress)[-1].done == NEEDED_BYTES


def test_progress_is_said_while_bytes_are_still_coming(
    model: StubHub, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    model.pause = threading.Event()
    done_before_the_end: list[int] = []
    progress = recorder.report.progress

    def watch(done: int) -> None:
        progress(done)
        if done > 1000:
            done_before_the_end.append(done)
            model.pause.set()  # type: ignore[union-attr]

    recorder.report.progress = watch  # type: ignore[method-assign]
    fetch("lab/small", "model", MODEL_FILES, recorder.report)
    total = recorder.events(ev.Phase)[0].total
    assert total is not None and done_before_the_end[0] < total


def test_a_second_call_downloads_nothing_and_works_with_the_hub_gone(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(StubHub({"models/lab/small": dict(MODEL)})) as stub:
        point_to(stub.endpoint, tmp_path / "hub", monkeypatch)
        first = fetch("lab/small", "model", MODEL_FILES, recorder.report)
        stub.requests.clear()
        assert fetch("lab/small", "model", MODEL_FILES, recorder.report) == first
        assert not [request for request in stub.requests if "/resolve/" in request]
    assert fetch("lab/small", "model", MODEL_FILES, recorder.report) == first
    assert recorder.phases == ["download"]


def test_offline_a_complete_copy_is_enough_and_a_partial_one_is_not(
    model: StubHub, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    folder = fetch("lab/small", "model", MODEL_FILES, recorder.report)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch("lab/small", "model", MODEL_FILES, recorder.report) == folder
    (folder / "model.safetensors").unlink()
    with pytest.raises(HubError, match="lab/small is not complete in .* HF_HUB_OFFLINE forbids downloads; unset it"):
        fetch("lab/small", "model", MODEL_FILES, recorder.report)


def test_a_gated_model_names_its_page_and_the_token_variable(model: StubHub, recorder: Recorder) -> None:
    model.gated.add("models/lab/small")
    with pytest.raises(HubError, match=f"gated: accept its terms at {model.endpoint}/lab/small, then set HF_TOKEN"):
        fetch("lab/small", "model", MODEL_FILES, recorder.report)


def test_a_repository_that_is_not_there_names_page_and_setting(hub: StubHub, recorder: Recorder) -> None:
    with pytest.raises(HubError, match=f"no dataset at {hub.endpoint}/datasets/lab/nothing.*check data.source"):
        fetch("lab/nothing", "dataset", DATASET_FILES, recorder.report)


def test_an_unknown_revision_is_named(model: StubHub, recorder: Recorder) -> None:
    with pytest.raises(HubError, match='lab/small has no revision "v9"'):
        locate(Model("lab/small", "v9"), recorder.report)


def test_a_hub_out_of_reach_says_what_to_do(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to("http://127.0.0.1:9", tmp_path / "hub", monkeypatch)
    with pytest.raises(HubError, match=r"hub at http://127.0.0.1:9 cannot be reached \(.+\); check the network"):
        fetch("lab/small", "model", MODEL_FILES, recorder.report)


def test_a_hub_that_never_answers_is_given_up(
    recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        point_to(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path / "hub", monkeypatch)
        with pytest.raises(HubError, match="cannot be reached"):
            fetch("lab/small", "model", MODEL_FILES, recorder.report)


def test_a_name_that_no_hub_accepts_is_refused(hub: StubHub, recorder: Recorder) -> None:
    with pytest.raises(HubError, match="neither a file nor a name on the hub"):
        fetch("lab/a--b", "model", MODEL_FILES, recorder.report)


def test_a_full_disk_is_seen_before_the_first_byte(
    model: StubHub, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=50_000))
    with pytest.raises(HubError, match=r"needs 110.0 kB on the disk of .*, 50.0 kB are free; make room or set HF_HOME"):
        fetch("lab/small", "model", MODEL_FILES, recorder.report)
    assert recorder.phases == [] and not [r for r in model.requests if r.startswith("GET") and "/resolve/" in r]


def test_a_stop_ends_a_download_that_hangs(model: StubHub, recorder: Recorder) -> None:
    model.pause = threading.Event()
    recorder.folder.request("stop")
    try:
        with pytest.raises(Stop):
            fetch("lab/small", "model", MODEL_FILES, recorder.report)
    finally:
        model.pause.set()


def test_pickled_weights_are_refused(hub: StubHub, recorder: Recorder) -> None:
    hub.repos["models/lab/old"] = {"config.json": b"{}", "pytorch_model.bin": b"p"}
    with pytest.raises(ModelError, match="lab/old holds no weights as .*safetensors.*never opened"):
        locate(Model("lab/old"), recorder.report)


def test_a_mirror_is_asked_over_plain_http(model: StubHub, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_DISABLE_XET")
    monkeypatch.setattr(os, "environ", environ := dict(os.environ))
    fetch("lab/small", "model", MODEL_FILES, recorder.report)
    assert environ["HF_HUB_DISABLE_XET"] == "1"


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1400, "1.4 kB"), (14.5e9, "14.5 GB"), (2e13, "20000.0 GB")],
)
def test_sizes_carry_decimal_units(size_bytes: float, text: str) -> None:
    assert size_text(size_bytes) == text
