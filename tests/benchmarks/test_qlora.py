"""The rows that both sides of the tuning benchmark read, and whose memory is taken."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks import drawn, qlora
from engines.models import opening, tiny


def test_the_script_reads_the_prompts_and_answers_of_the_engine_and_their_tokens_are_counted(tmp_path: Path) -> None:
    reviews = drawn.write_texts(tmp_path / "reviews.csv", [30, 60, 90, 40])
    tokens = qlora.write_rows(reviews, tmp_path / "rows.jsonl", tiny.resolve("tiny:mistral"), 48, count=3)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [row["completion"] for row in rows] == [
        [{"role": "assistant", "content": word}] for word in ("negative", "positive", "negative")
    ]
    tokenizer = opening.load_tokenizer(tiny.resolve("tiny:mistral"))
    whole = [tokenizer.apply_chat_template(row["prompt"] + row["completion"], tokenize=False) for row in rows]
    assert tokens == sum(len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in whole)
    assert 3 * 48 < tokens < 3 * 96, "reviews cut to 48 tokens, and the prompt"


def test_the_peak_is_that_of_a_process_started_meanwhile() -> None:
    held = 300 << 20
    script = f"import time; held = b'1' * {held}; time.sleep(0.5); del held; time.sleep(0.3)"
    result, peak = qlora.peak_resident(lambda: subprocess.run([sys.executable, "-c", script]).returncode)
    assert result == 0 and held < peak < held + (100 << 20)
