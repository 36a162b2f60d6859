"""The benchmark on real sentences, in small on generated ones, and its reading of the real files."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import harness, sst2
from engines.data import corpus

REAL = Path(__file__).parents[3] / "shared" / "data"


def write(folder: Path, name: str, opinions: list[corpus.Review]) -> None:
    lines = [f"{opinion.text}\t{corpus.LABELS.index(opinion.label)}" for opinion in opinions]
    (folder / f"sst2_{name}.tsv").write_text("\n".join(lines))


def test_it_teaches_a_model_and_asks_it_in_every_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opinions = list(dict.fromkeys(corpus.generate_opinions(400, seed=7)))[:340]
    write(tmp_path, "train", [*opinions[:300], opinions[310]])
    write(tmp_path, "dev", opinions[300:310])
    write(tmp_path, "test", opinions[310:340])
    written: dict[str, Any] = {}
    monkeypatch.setattr(harness, "write", lambda name, title, figures, text: written.update(figures, text=text))
    before = sorted(path.name for path in harness.DOCS.iterdir())
    sst2.main([str(tmp_path), "--steps", "4", "--threads", "1"])
    assert sorted(path.name for path in harness.DOCS.iterdir()) == before
    assert written["build"]["steps"] == 4 and written["left_out"] == 1
    scores = written["scores"]
    assert list(scores) == ["bag of words", "zero-shot", "one-shot", "few-shot"]
    assert {found["items"] for found in scores.values()} == {30}
    assert [len(found["repeats"]) for found in scores.values()] == [1, 3, 3, 3]
    assert "the test sentences are unseen" in written["text"]


@pytest.mark.real_data
@pytest.mark.skipif(not (REAL / "sst2_test.tsv").exists(), reason="the real sentences are not on this machine")
def test_the_real_files_are_read_whole_and_no_test_sentence_is_taught() -> None:
    train, dev, test, left_out = sst2.read(REAL)
    assert (len(train) + left_out, len(dev), len(test)) == (6920, 872, 1821)
    assert not {text for text, _ in train} & {text for text, _ in [*dev, *test]}
    assert {label for _, label in [*train, *dev, *test]} == {0, 1}
