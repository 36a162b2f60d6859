import asyncio

from benchmarks import study
from engines.runs.home import Home
from engines.runs.summary import FINISHED, list_runs, summarize


def test_the_benchmark_asks_all_its_questions_at_a_tiny_size(home: Home) -> None:
    study.fabricate(home, runs=4, items=30)
    assert [summarize(folder).state for folder in list_runs(home)] == [FINISHED] * 4
    figures = study.measure(home, repetitions=1)
    seconds = {name: value for name, value in figures.items() if name.endswith("_s")}
    assert seconds.keys() >= {"first_build_s", "open_s", "compare_of_2_s", "compare_of_4_s", "repeats_s", "page_s"}
    assert all(0 < value < 30 for value in seconds.values())
    assert figures["largest_answer_bytes"] > 1000 and figures["longest_decoding_ms"] > 0
    waits = asyncio.run(study.waits(home, settle_s=0.4))
    assert waits.keys() == {"open", "rows", "mark two", "compare", "repeats", "items", "plots"}
    assert all(0 <= ms < 10_000 for ms in waits.values())
