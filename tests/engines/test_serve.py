import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from engines import catalog, serve
from engines.data.splits import Data
from engines.errors import ServingError
from engines.methods import bag_of_words, prompting
from engines.models.location import Model
from engines.reporter import Reporter
from engines.runs import processes
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.serving import ENDED, FAILED, LOADING, READY, Client, Reply
from tests.support import language_models, wait_until

TEXTS = ["A superb film, truly moving.", "A dull and lifeless bore."]


@pytest.fixture
def finished(home: Home) -> RunFolder:
    """A finished bag-of-words run."""
    config = bag_of_words.Config(data=Data(source="quickstart", train=300, validation=0, test=20))
    experiment = catalog.Experiment("bow", "bag_of_words", "Bag", "test", config, frozenset())
    folder = RunFolder.create(home, experiment.document())
    report = Reporter(folder)
    bag_of_words.run(config, report)
    report.finished()
    report.close()
    return folder


def worker_of(client: Client) -> psutil.Process:
    mark = str(client.folder.path)
    found: list[psutil.Process] = []

    def there() -> bool:
        found[:] = [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]
        return bool(found)

    wait_until(there)
    return found[0]


def test_the_second_answer_comes_at_once_and_the_run_stays_as_it_was(home: Home, finished: RunFolder) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.path.rglob("*")}
    client = Client(home, finished)
    assert client.status().state == ENDED and not client.is_alive()
    first = client.classify(TEXTS)
    took = []
    for _ in range(5):
        began = time.monotonic()
        second = client.classify(TEXTS)
        took.append(time.monotonic() - began - second.model_ms / 1000)
    assert min(took) < 0.05 and max(took) < 0.5
    expected = bag_of_words.load(finished, "cpu").classify(TEXTS)
    assert [a["label"] for a in second.answers] == [a.label for a in expected]
    assert [a["probabilities"] for a in second.answers] == [pytest.approx(a.probabilities) for a in expected]
    assert first.answers == second.answers and first.device == "cpu"
    status = client.status()
    assert status.state == READY and status.labels == ["negative", "positive"] and "no GPU" in status.reason
    assert not list(client.folder.requests.iterdir())
    assert {p: p.stat().st_mtime_ns for p in finished.path.rglob("*")} == before


def test_one_worker_answers_for_every_repeat_of_a_run_with_the_model_loaded_once(home: Home, tmp_path: Path) -> None:
    path = language_models.write(tmp_path / "gemma", "gemma")
    config = prompting.Config(
        model=Model(name=str(path)),
        data=Data(source="quickstart", train=0, validation=0, test=2),
        prompt=prompting.Prompting(varies="template", repeats=2, max_length=60),
    )
    folder = RunFolder.create(home, catalog.Experiment("p", "prompting", "P", "t", config, frozenset()).document())
    report = Reporter(folder)
    prompting.run(config, report)
    report.finished()
    report.close()
    client = Client(home, folder)
    replies = [client.classify(TEXTS, repeat=n) for n in (1, 0)]
    assert replies[0].answers != replies[1].answers
    for repeat, reply in zip((1, 0), replies, strict=True):
        expected = prompting.load(folder, "cpu", repeat).classify(TEXTS)
        assert [a["probabilities"] for a in reply.answers] == [pytest.approx(a.probabilities) for a in expected]
    with pytest.raises(ServingError, match="no repeat 3: the run has repeats 1 to 2; choose one of them"):
        client.classify(TEXTS, repeat=2)


def test_a_model_that_was_asked_once_has_one_repeat(home: Home, finished: RunFolder) -> None:
    client = Client(home, finished)
    with pytest.raises(ServingError, match="no repeat 2: the run has a single repeat"):
        client.classify(TEXTS, repeat=1)
    assert client.classify(TEXTS, repeat=0).answers


def test_many_askers_at_once_each_get_their_own_answers(home: Home, finished: RunFolder) -> None:
    def ask(number: int) -> list[Reply]:
        client = Client(home, finished)
        return [client.classify([f"{'good ' * (number + 1)}film"]) for _ in range(5)]

    with ThreadPoolExecutor(6) as pool:
        for number, replies in enumerate(pool.map(ask, range(6))):
            assert [r.answers[0]["tokens_total"] for r in replies] == [number + 2] * 5


def test_one_asker_may_wait_for_several_requests(home: Home, finished: RunFolder) -> None:
    client = Client(home, finished)
    requests = [client.ask(["film " * (n + 1)]) for n in range(4)]
    found: dict[str, Reply] = {}
    deadline = time.monotonic() + 30
    while len(found) < 4:
        assert time.monotonic() < deadline
        for request in requests:
            reply = client.poll(request) if request not in found else None
            if reply is not None:
                found[request] = reply
    assert [found[r].answers[0]["tokens_total"] for r in requests] == [1, 2, 3, 4]


def test_a_model_that_cannot_be_loaded_is_explained_and_may_be_mended(home: Home, finished: RunFolder) -> None:
    hidden = finished.model.rename(finished.path / "hidden")
    client = Client(home, finished)
    with pytest.raises(ServingError, match=f"{finished.name} could not be loaded: .*has no finished model"):
        client.classify(TEXTS)
    assert client.status().state == FAILED
    hidden.rename(finished.model)
    assert len(client.classify(TEXTS).answers) == 2


def test_a_broken_model_says_what_broke(home: Home, finished: RunFolder) -> None:
    (finished.model / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ServingError, match="could not be loaded: SafetensorError"):
        Client(home, finished).classify(TEXTS)


def test_a_killed_worker_is_an_error_and_the_next_question_starts_another(home: Home, finished: RunFolder) -> None:
    client = Client(home, finished)
    client.classify(TEXTS)
    os.kill(worker_of(client).pid, signal.SIGSTOP)  # the request is open when it dies
    request = client.ask(TEXTS)
    assert client.poll(request) is None
    processes.signal_tree(RunFolder(client.folder.path), signal.SIGKILL)
    wait_until(lambda: not client.is_alive())
    assert client.status().state == ENDED
    with pytest.raises(ServingError, match="died"):
        client.poll(request)
    assert not list(client.folder.requests.iterdir())
    with open(client.folder.answers, "ab") as answers:
        answers.write(b'{"id": "torn')
    assert len(client.classify(TEXTS, timeout_s=30).answers) == 2


def test_a_request_the_model_chokes_on_is_an_error_of_that_request_alone(home: Home, finished: RunFolder) -> None:
    client = Client(home, finished)
    with pytest.raises(ServingError, match="TypeError"):
        client.classify([3])  # type: ignore[list-item]
    assert len(client.classify(TEXTS).answers) == 2


def test_a_request_that_vanishes_without_an_answer_is_an_error(home: Home, finished: RunFolder) -> None:
    client = Client(home, finished)
    client.start()
    os.kill(worker_of(client).pid, signal.SIGSTOP)
    request = client.ask(TEXTS)
    next(client.folder.requests.iterdir()).unlink()
    with pytest.raises(ServingError, match="the answer is lost; ask again"):
        client.poll(request)


def test_an_idle_worker_ends_by_itself_and_the_next_question_starts_another(home: Home, finished: RunFolder) -> None:
    client = Client(home, finished)
    client.classify(TEXTS, idle_s=0.2)
    wait_until(lambda: not client.is_alive())
    assert client.folder.read_status().state == ENDED
    assert len(client.classify(TEXTS).answers) == 2


def test_sigterm_ends_it_and_an_open_request_is_taken_up_by_the_next(home: Home, finished: RunFolder) -> None:
    client = Client(home, finished)
    client.start()
    wait_until(lambda: client.status().state == READY)
    worker = worker_of(client)
    os.kill(worker.pid, signal.SIGSTOP)
    request = client.ask(TEXTS)
    os.kill(worker.pid, signal.SIGTERM)
    os.kill(worker.pid, signal.SIGCONT)
    wait_until(lambda: not client.is_alive())
    reply = None
    deadline = time.monotonic() + 30
    while reply is None and time.monotonic() < deadline:
        reply = client.poll(request)
    assert reply is not None and len(reply.answers) == 2


def test_a_second_worker_for_the_same_run_is_refused(home: Home, finished: RunFolder) -> None:
    client = Client(home, finished)
    client.start()
    assert client.status().state in (LOADING, READY)
    assert serve.main(["serve", str(client.folder.path)]) == 2


def test_a_question_without_an_answer_in_time_is_withdrawn(home: Home, finished: RunFolder) -> None:
    client = Client(home, finished)
    with pytest.raises(ServingError, match="no answer in 0 s; its classify worker is loading"):
        client.classify(TEXTS, timeout_s=0)
    assert not list(client.folder.requests.iterdir())


def test_answers_do_not_grow_for_ever_and_none_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "ANSWERS_MAX_BYTES", 1000)
    monkeypatch.setattr(serve, "ANSWERS_KEPT_S", 0.05)
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b'{"id": "torn\n')
    for n in range(300):
        serve._append(path, json.dumps({"id": str(n), "time": time.time() - (60 if n < 290 else 0)}).encode() + b"\n")
        assert path.stat().st_size < 2000
    assert [json.loads(line)["id"] for line in path.read_text().splitlines()][-1] == "299"
