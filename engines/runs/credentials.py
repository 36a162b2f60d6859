"""Access tokens and passwords in texts, told by their form: never kept in settings, never shown."""

import os
import re
from collections.abc import Mapping
from typing import Any

from engines.errors import ConfigError

_TOKEN = (
    r"(?<![A-Za-z0-9])hf_(?:(?=[A-Za-z]*[0-9]|[A-Za-z0-9]*[A-Z])[A-Za-z0-9]{8,}|[A-Za-z0-9]{20,})"  # of Hugging Face
    r"|(?<![A-Za-z0-9])gh[opsu]_[A-Za-z0-9]{20,}"  # of GitHub
)
_IN_URL = r"(?<=://)[^\s/@\"'\\]+(?=@)"
_IN_QUERY = (
    r"(?<=[?&])(?P<name>(?i:(?:access_?|auth_?|api_?|x-amz-)?(?:token|key|secret|password|passwd|signature|credential"
    r"|security-token))=)[^&\s\"'\\]+"
)
_IN_HEADER = r"(?P<header>\b(?i:authorization)[\"']?\s*[:=]\s*[\"']?(?i:bearer|basic|token)\s+)[^\s\"'\\]+"
_BEARER = r"(?P<bearer>\b(?i:bearer)\s+)(?=[A-Za-z._~+/-]*[0-9])[A-Za-z0-9._~+/=-]{16,}"
_SECRETS = re.compile("|".join((_TOKEN, _IN_URL, _IN_QUERY, _IN_HEADER, _BEARER)))
_USER_AND_TOKEN = re.compile(r"[^\s/@:]{1,200}:[^\s/@:]{1,200}@[^\s@]")
_MARKS = ("hf_", "gho_", "ghp_", "ghs_", "ghu_", "://", "?", "&", "earer", "EARER", "uthorization", "UTHORIZATION")
"""One of these stands in every text that holds a secret; looking for them is fast."""
_HIDDEN = "***"
_SECRET_CHARACTERS_MIN = 8


def redacted(text: str) -> str:
    """`text` with `***` in the place of every token and password, HF_TOKEN as it is set here among them."""
    own = os.environ.get("HF_TOKEN", "")
    if len(own) >= _SECRET_CHARACTERS_MIN and own in text:
        text = text.replace(own, _HIDDEN)
    if not any(mark in text for mark in _MARKS):
        return text
    return _SECRETS.sub(lambda match: "".join(filter(None, match.groupdict().values())) + _HIDDEN, text)


def refuse_secrets(values: Mapping[str, Any], place: str = "") -> None:
    """Raise `ConfigError`, which names the setting and not the secret, where one of the texts in `values`, nested or
    not, holds one: what is set is written down, shown and exported."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            refuse_secrets(value, f"{place}{name}.")
        elif isinstance(value, str) and (redacted(value) != value or _USER_AND_TOKEN.search(value)):
            raise ConfigError(
                f"{place}{name} holds an access token or a password, and settings are written down and shown; leave it "
                "out and set the environment variable HF_TOKEN"
            )
