import json
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines import catalog
from engines.data.splits import Data
from engines.errors import ConfigError, UserError
from engines.methods import prompting
from engines.methods.evaluate import open_classifier
from engines.methods.prompting import Config, Prompting
from engines.models import opening, tiny
from engines.models.location import Model
from engines.prompts import answering, templates
from engines.prompts.untrained_head import Headed
from engines.reporter import Reporter
from engines.runs import events as ev
from engines.runs.event_files import EventReader
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import summarize
from tests.support import known

ITEMS = 12
DATA = Data(source="quickstart", train=60, validation=0, test=ITEMS)


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tiny Gemma of random weights with a tokenizer, as a folder."""
    import torch
    from transformers import GemmaConfig, GemmaForCausalLM

    folder = tmp_path_factory.mktemp("gemma")
    torch.manual_seed(3)
    config = GemmaConfig(
        vocab_size=2500,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=600,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        initializer_range=0.3,
    )
    GemmaForCausalLM(config).save_pretrained(folder)
    tokenizer = opening.load_tokenizer(tiny.resolve("tiny:distilbert"))
    tokenizer.bos_token = "[CLS]"
    tokenizer.save_pretrained(folder)
    yield folder


def config(folder: Path, **settings: Any) -> Config:
    return Config(model=Model(name=str(folder)), data=DATA, prompt=Prompting(**{"max_length": 60} | settings))


def run(home: Home, config: Config) -> tuple[RunFolder, list[ev.Event]]:
    """Run in this process; the folder and its events."""
    config.check()
    folder = RunFolder.create(home, catalog.Experiment("p", "prompting", "P", "test", config, frozenset()).document())
    report = Reporter(folder)
    prompting.run(config, report)
    report.finished()
    report.close()
    return folder, [r.event for r in EventReader(folder.events).read()]


def lines(folder: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in folder.predictions.read_text().splitlines()]


def warnings(events: list[ev.Event]) -> str:
    return "\n".join(e.text for e in events if isinstance(e, ev.Note) and e.level == "warning")


def repeats(events: list[ev.Event]) -> list[ev.Repeat]:
    return [e for e in events if isinstance(e, ev.Repeat)]


def notes(events: list[ev.Event]) -> str:
    return "\n".join(e.text for e in events if isinstance(e, ev.Note))


VARIED: dict[str, dict[str, Any]] = {
    "template": {"calibration": "batch"},
    "exemplars": {"shots": 2, "calibration": "contextual"},
    "label_words": {"calibration": "pmi"},
    "sampling": {"method": "generate", "temperature": 1.0},
    "head": {"method": "untrained_head"},
}


@pytest.mark.parametrize("varies", VARIED)
def test_each_repeat_is_an_event_and_can_be_asked_again(home: Home, gemma: Path, varies: str) -> None:
    folder, events = run(home, config(gemma, varies=varies, repeats=3, **VARIED[varies]))
    repeat_events = repeats(events)
    assert [r.index for r in repeat_events] == [0, 1, 2] and {r.varied for r in repeat_events} == {varies}
    assert len({r.value for r in repeat_events}) == 3
    assert all(sum(map(sum, r.confusion)) == ITEMS for r in repeat_events)
    assert sum(isinstance(e, ev.Phase) and e.name == "load" for e in events) == 1, "the model is loaded once"

    (test,) = [e for e in events if isinstance(e, ev.Evaluated)]
    accuracies = [known(r.scores.accuracy) for r in repeat_events]
    assert test.scores.repeats == accuracies and test.items == ITEMS and test.confusion == repeat_events[0].confusion
    assert test.scores.accuracy == pytest.approx(statistics.mean(accuracies))
    assert test.scores.accuracy_sd == pytest.approx(statistics.stdev(accuracies))

    predictions = lines(folder)
    items = [json.loads(line) for line in folder.items.read_text().splitlines()]
    assert [p["repeat"] for p in predictions] == [n for n in range(3) for _ in range(ITEMS)]
    assert [p["hash"] for p in predictions] == [item["hash"] for item in items] * 3
    of_last = predictions[2 * ITEMS :]
    assert of_last != predictions[:ITEMS], "the repeats differ"
    first = prompting.load(folder, "cpu")
    answers = first.of_repeat(2).classify([item["text"] for item in items])
    assert answers == prompting.load(folder, "cpu", repeat=2).classify([item["text"] for item in items])
    assert [a.label if a.label != answering.INVALID else None for a in answers] == [p["predicted"] for p in of_last]
    for answer, line in zip(answers, of_last, strict=True):
        assert answer.probabilities == pytest.approx(line["probabilities"], abs=1e-5)
        assert answer.tokens_read == line["tokens_read"]
    assert first.classify([]) == []
    for unknown in (-1, 3):
        with pytest.raises(UserError, match=f"no repeat {unknown + 1}: the run has repeats 1 to 3"):
            first.of_repeat(unknown)


def test_nothing_varied_is_run_once_and_says_so(home: Home, gemma: Path) -> None:
    folder, events = run(home, config(gemma, repeats=5))
    assert len(repeats(events)) == 1 and len(lines(folder)) == ITEMS
    assert "nothing varies, so 5 repeats would be one and the same: it is run once" in notes(events)
    (test,) = [e for e in events if isinstance(e, ev.Evaluated)]
    assert not test.scores.repeats and test.scores.accuracy_sd is None
    assert open_classifier(folder, "cpu").labels == ("negative", "positive")
    assert {p.name for p in folder.model.iterdir()} == {"prompting.json"}, "the weights stay where they are"


def test_a_run_by_likelihood_says_how_often_text_and_likelihood_disagree(home: Home, gemma: Path) -> None:
    folder, events = run(home, config(gemma))
    (repeat,) = repeats(events)
    written = [line for line in lines(folder) if "text" in line]
    assert repeat.scores.written == len(written) == ITEMS
    words = ("negative", "positive")
    parsed = [templates.parse_answer(line["text"], words) for line in written]
    assert repeat.scores.written_invalid == parsed.count(None)
    other = sum(p is not None and words[p] != line["predicted"] for p, line in zip(parsed, written, strict=True))
    assert repeat.scores.written_other == other
    assert f"of {ITEMS} reviews answered in writing too, {other} got another label" in notes(events)


def test_text_that_is_no_label_is_invalid_and_kept(home: Home, gemma: Path) -> None:
    folder, events = run(home, config(gemma, method="generate"))
    (repeat,) = repeats(events)
    predictions = lines(folder)
    assert all(isinstance(line["text"], str) and line["probabilities"] == [] for line in predictions)
    invalid = sum(line["predicted"] is None for line in predictions)
    assert repeat.scores.invalid == invalid > 0 and sum(row[-1] for row in repeat.confusion) == invalid


def test_an_untrained_head_is_marked_everywhere_and_equals_the_pipeline_of_the_study(home: Home, gemma: Path) -> None:
    import torch
    from transformers import pipeline

    folder, events = run(home, config(gemma, method="untrained_head", varies="head", repeats=2, max_length=500))
    assert all(r.scores.untrained_head is True for r in repeats(events))
    (test,) = [e for e in events if isinstance(e, ev.Evaluated)]
    assert test.scores.untrained_head is True
    assert isinstance(events[-1], ev.Finished) and events[-1].model == str(gemma)
    assert [e for e in events if isinstance(e, ev.Untrained)] == [ev.Untrained("head")]
    assert summarize(folder).untrained_head

    texts = [json.loads(line)["text"] for line in folder.items.read_text().splitlines()]
    model, tokenizer = opening.load_headed(gemma, "float32", "cpu")
    headed = Headed(model, tokenizer, "cpu")
    study = pipeline("zero-shot-classification", model=model, tokenizer=tokenizer, device="cpu")
    for index in (0, 1):
        model.score.weight.data = headed.head(f"0/{index}")
        with torch.inference_mode():
            answers = study(texts, candidate_labels=["negative", "positive"])
        for answer, line in zip(answers, lines(folder)[index * ITEMS :], strict=False):
            assert answer["labels"][0] == line["predicted"]
            assert sorted(answer["scores"]) == pytest.approx(sorted(line["probabilities"]), abs=1e-5)


@pytest.mark.parametrize("method", ["likelihood", "generate", "untrained_head"])
def test_every_way_of_asking_says_how_many_reviews_are_truncated(home: Home, gemma: Path, method: str) -> None:
    folder, events = run(home, config(gemma, method=method, max_length=8))
    assert [e for e in events if isinstance(e, ev.Truncated)] == [ev.Truncated("test", ITEMS, ITEMS, 8)]
    assert {line["tokens_read"] for line in lines(folder)} == {8}


def test_examples_are_cut_to_what_the_model_reads_and_the_run_says_so(home: Home, gemma: Path) -> None:
    _, events = run(home, config(gemma, shots=8, max_length=200))
    (note,) = [e.text for e in events if isinstance(e, ev.Note) and "examples" in e.text]
    assert note.endswith("tokens of prompt with 16 examples")
    (cut,) = [e for e in events if isinstance(e, ev.Truncated) and e.split == "examples"]
    assert cut.total == 16 and 0 < cut.items <= 16 and cut.max_length < 256
    tokens = int(note.split(": ")[1].split()[0].replace(",", ""))
    assert tokens + 200 <= 600
    with pytest.raises(ConfigError, match=r"reads 600 tokens, too few .*lower prompt\.shots"):
        run(home, config(gemma, shots=20, max_length=300))
    with pytest.raises(ConfigError, match=r"lower prompt\.max_length"):
        run(home, config(gemma, max_length=600))


def test_no_example_is_an_item_under_test(home: Home, gemma: Path) -> None:
    folder, _ = run(home, config(gemma, shots=3, varies="exemplars", repeats=2))
    under_test = {json.loads(line)["text"] for line in folder.items.read_text().splitlines()}
    document = json.loads((folder.model / "prompting.json").read_text())
    shown = [[text for text, _ in repeat["shots"]] for repeat in document["repeats"]]
    assert [len(texts) for texts in shown] == [6, 6] and shown[0] != shown[1]
    assert not any(item.startswith(text) for text in shown[0] + shown[1] for item in under_test)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"varies": "exemplars"}, "raise prompt.shots"),
        ({"varies": "head"}, "untrained_head"),
        ({"varies": "sampling", "method": "generate"}, "temperature above 0"),
        ({"temperature": 1.0}, 'prompt.method to "generate"'),
        ({"method": "generate", "calibration": "pmi"}, 'set it to "none"'),
        ({"method": "untrained_head", "shots": 1}, "reads no prompt"),
        ({"method": "untrained_head", "varies": "template"}, "reads no prompt"),
        ({"varies": "template", "repeats": 99}, "wordings; lower it"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused_in_a_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Config(prompt=Prompting(**settings)).check()


def test_what_cannot_run_ends_before_the_model_is_loaded(home: Home, gemma: Path) -> None:
    few = replace(config(gemma, shots=50), data=replace(DATA, train=20))
    for broken, sentence in (
        (few, "lower prompt.shots or raise data.train"),
        (config(gemma, varies="label_words", repeats=90), "ways to write the classes"),
        (replace(config(gemma), data=replace(DATA, test=0, validation=5)), r"data\.test = 0"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            run(home, broken)
    with pytest.raises(ConfigError, match="no chat form"):
        run(home, config(gemma, form="chat"))


@pytest.mark.parametrize(("labels", "warns"), [("", True), ("bad,fine,good", False)])
def test_classes_that_are_numbers_are_a_warning_that_names_the_remedy(
    home: Home, gemma: Path, tmp_path: Path, labels: str, warns: bool
) -> None:
    rows = "".join(f"a stay of {n} nights in room {n * 7},{n % 3}\n" for n in range(30))
    (tmp_path / "stars.csv").write_text(f"text,label\n{rows}")
    data = Data(source=str(tmp_path / "stars.csv"), labels=labels, train=0, validation=0, test=6)
    _, events = run(home, replace(config(gemma), data=data))
    sentence = "asked to answer with one of 0, 1, 2, and not told what they mean; data.labels gives the classes names"
    assert (sentence in warnings(events)) is warns
