"""What a look at data tells: plain values, as JSON has them, so that they go from process to process."""

from typing import Any, TypedDict


class Lengths(TypedDict):
    """Of texts, in words, characters or tokens."""

    mean: float
    median: int
    p95: int  # 95 % of the texts are no longer
    longest: int


class Tokens(TypedDict):
    """The texts as a model's tokenizer sees them, special tokens counted."""

    model: str
    texts: int  # evenly spread over the source; all of them where they are few enough
    lengths: Lengths
    max_length: int
    truncated: float  # share of these texts that are longer than `max_length`
    unknown: float | None  # share of tokens that the tokenizer does not know; None: it can write everything


class ClassCount(TypedDict):
    name: str
    count: int
    share: float


class ShownText(TypedDict):
    place: str  # line, row or file in the source
    text: str  # cleaned


class ShownPair(TypedDict):
    """Two texts that nearly repeat each other."""

    first: str  # places
    second: str
    similarity: float  # Jaccard, of word triples


class SplitSize(TypedDict):
    split: str
    items: int
    classes: dict[str, int]


class Description(TypedDict):
    """What the lab sees of a source."""

    source: str  # as asked for
    name: str
    layout: str  # the name of its format, or of the layout of its files
    columns: list[str]
    text_column: str
    label_column: str
    rows: int  # with a text; `classes` adds up to those with a label
    classes: list[ClassCount]
    words: Lengths  # separated by spaces
    characters: Lengths
    tokens: Tokens | None
    copies: int  # texts that another one before them equals
    near_copies: int | None  # pairs that are no copies; None: not searched for
    near_pairs: list[ShownPair]  # the first of them
    examples: dict[str, list[ShownText]]  # by class
    splits: list[SplitSize]  # as they would be dealt; empty where they cannot be
    problems: list[str]  # sentences: why they cannot, or why there are no tokens
    events: list[dict[str, Any]]  # notes and facts, as a run would report them
