import time
import timeit

import pytest

from engines.errors import ConfigError
from engines.runs.credentials import redacted, refuse_secrets

TOKEN = "hf_" + "aB3dE6gH9jK" * 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"token {TOKEN}, given", "token ***, given"),
        (f"https://bob:{TOKEN}@huggingface.co/a/b", "https://***@huggingface.co/a/b"),
        ("https://bob:secret@example.org/a.csv", "https://***@example.org/a.csv"),
        ("GET /a.csv?token=abc&rows=5&X-Amz-Signature=def", "GET /a.csv?token=***&rows=5&X-Amz-Signature=***"),
        ("{'authorization': 'Bearer abc.def'}", "{'authorization': 'Bearer ***'}"),
        ("sent bearer a1b2c3d4e5f6g7h8i9", "sent bearer ***"),
        ("hf_trainer, hf_quantizer and hf_transfer", "hf_trainer, hf_quantizer and hf_transfer"),
        ("Why? The standard bearer throughout & more", "Why? The standard bearer throughout & more"),
        ("user@example.org, https://example.org/?page=2", "user@example.org, https://example.org/?page=2"),
    ],
)
def test_tokens_and_passwords_are_told_by_their_form(text: str, shown: str) -> None:
    assert redacted(text) == shown == redacted(shown)


def test_the_token_that_is_set_here_is_hidden_whatever_its_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "an odd one")
    assert redacted("with an odd one in it") == "with *** in it"


@pytest.mark.parametrize("value", [TOKEN, "bob:secret@example.org/a", "https://example.org/a.csv?token=abc"])
def test_a_setting_with_a_secret_is_refused_by_its_name_alone(value: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.name holds an access token.*HF_TOKEN") as refused:
        refuse_secrets({"seed": 1, "model": {"revision": "main", "name": value}})
    assert value not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["owner/name:configuration", "tiny:distilbert", "/home/me/a@b.csv", "At 12:30 we met: bob@example.org"]
)
def test_names_of_models_and_data_are_no_secrets(value: str) -> None:
    refuse_secrets({"name": value})


@pytest.mark.parametrize("piece", ["?token=", "://a", "hf_a", "bearer ", "authorization: ", "a:b"])
def test_a_megabyte_is_looked_through_in_linear_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    assert timeit.timeit(lambda: redacted(text), number=1, timer=time.process_time) < 3
