"""Texts that nearly repeat another one: the same but for case, punctuation, markup or a few words.

Two texts are near copies where the Jaccard similarity of their shingles is at least `SIMILARITY`. A shingle is a run
of `WORDS` words, or of `CHARACTERS` characters in writing that puts no spaces between words. Candidates come from
MinHash signatures in bands (A. Broder, "On the resemblance and containment of documents", 1997; J. Leskovec,
A. Rajaraman and J. Ullman, "Mining of Massive Datasets", 3rd edition, chapter 3); every pair that is returned has been
compared shingle by shingle.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIMILARITY = 0.8
WORDS, CHARACTERS = 3, 5
BANDS, BAND_ROWS = 25, 5
"""Of pairs with a similarity of 0.8 one in 20,000 shares no band and is missed; of those with 0.4 one in five does."""
ESTIMATE_SLACK = 0.15
"""Four standard errors of a similarity that is estimated from a signature."""
PAIRS_A_BUCKET = 200
"""Members of a bucket that are compared each with each; larger buckets, of templated texts, each with so many after
it."""
_MARKUP = re.compile(r"<[^<>]{0,200}>")
_WORD = re.compile(r"\w+")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese: writing without spaces between words."""


@dataclass(frozen=True)
class NearPair:
    """Two texts that nearly repeat each other, by their places."""

    first: int
    second: int
    similarity: float  # Jaccard, 0 to 1


def has_spaces(text: str) -> bool:
    """Whether the words of a text are set apart by spaces."""
    return 2 * len(_UNSPACED.findall(text)) <= len(text)


def normalised(text: str) -> str:
    """What of a text counts: no markup, no case, no punctuation, compatibility forms made one."""
    plain = unicodedata.normalize("NFKC", _MARKUP.sub(" ", text)).casefold()
    return " ".join(_WORD.findall(plain))


def near_copies(texts: Sequence[str], progress: Callable[[int], object] = lambda done: None) -> list[NearPair]:
    """All pairs of near copies among `texts`, `first` below `second`; texts that are equal once normalised have 1.0.

    Equal ones are paired with the first of their kind only. `progress` is told how many texts have been read; it may
    raise to give up.
    """
    kinds: dict[str, int] = {}
    pairs, distinct, places = [], list[str](), list[int]()
    for place, text in enumerate(texts):
        if place % 1000 == 0:
            progress(place)
        plain = normalised(text) or text
        if (first := kinds.setdefault(plain, place)) != place:
            pairs.append(NearPair(first, place, 1.0))
        else:
            distinct.append(plain)
            places.append(place)
    shingles, ends = _shingles(distinct)
    for a, b, similarity in _verified(shingles, ends, _candidates(shingles, ends)):
        pairs.append(NearPair(places[a], places[b], similarity))
    progress(len(texts))
    return sorted(pairs, key=lambda pair: (pair.first, pair.second))


def groups(count: int, pairs: Sequence[NearPair]) -> list[int]:
    """For each of `count` texts the first text of its group: texts joined by pairs, directly or through others."""
    first = list(range(count))

    def root(place: int) -> int:
        while first[place] != place:
            first[place] = first[first[place]]
            place = first[place]
        return place

    for pair in pairs:
        a, b = sorted((root(pair.first), root(pair.second)))
        first[b] = a
    return [root(place) for place in range(count)]


def _shingles(texts: Sequence[str]) -> tuple["NDArray[Any]", "NDArray[Any]"]:
    """The hashes of all shingles, (shingles,) uint64, each text's in a row, and where each text ends, (texts,)."""
    import numpy as np

    numbers: dict[str, int] = {}
    flat, lengths, widths = list[int](), list[int](), list[int]()
    for text in texts:
        spaced = has_spaces(text)
        parts = text.split() if spaced else list(text.replace(" ", ""))
        flat += [numbers.setdefault(part, len(numbers)) for part in parts]
        lengths.append(len(parts))
        widths.append(min(len(parts), WORDS if spaced else CHARACTERS))
    digests = (hashlib.blake2b(part.encode("utf-8", "surrogatepass"), digest_size=8).digest() for part in numbers)
    hashed = np.frombuffer(b"".join(digests), np.uint64)
    tokens = hashed[np.array(flat, np.int64)] if flat else np.empty(0, np.uint64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if lengths else np.empty(0, np.int64)
    counts = np.array([length - width + 1 if width else 0 for length, width in zip(lengths, widths, strict=True)])
    ends = np.cumsum(counts) if len(counts) else np.empty(0, np.int64)
    text_of = np.repeat(np.arange(len(counts)), counts)
    first = np.arange(int(ends[-1]) if len(ends) else 0) - (ends - counts)[text_of] + starts[text_of]
    width_of = np.array(widths, np.int64)[text_of]
    shingles = np.zeros(len(first), np.uint64)
    with np.errstate(over="ignore"):
        for offset in range(max(WORDS, CHARACTERS)):
            here = offset < width_of
            mixed = (shingles[here] ^ tokens[first[here] + offset]) * np.uint64(0x9E3779B97F4A7C15)
            shingles[here] = mixed ^ (mixed >> np.uint64(29))
    return shingles, ends


def _candidates(shingles: "NDArray[Any]", ends: "NDArray[Any]") -> "NDArray[Any]":
    """Pairs of texts whose signatures agree in a band and are similar enough as a whole, (pairs, 2)."""
    import numpy as np
    from rensa import RMinHash

    if len(ends) < 2:
        return np.empty((0, 2), np.int64)
    offsets = np.concatenate([[0], ends]).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(shingles, offsets, BANDS * BAND_ROWS, 42)
    signatures = np.array(matrix.to_rows(), np.uint32)
    codes = set[int]()
    count = len(ends)
    for band in range(BANDS):
        part = np.ascontiguousarray(signatures[:, band * BAND_ROWS : (band + 1) * BAND_ROWS])
        keys = part.view([("", part.dtype)] * BAND_ROWS).ravel()
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        new = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
        for start, end in zip(new[:-1], new[1:], strict=True):
            if end - start < 2:
                continue
            members = np.sort(order[start:end])
            for at, member in enumerate(members[:-1].tolist()):
                codes.update((member * count + members[at + 1 : at + 1 + PAIRS_A_BUCKET]).tolist())
    shared = np.array(sorted(codes), np.int64)
    pairs = np.stack([shared // count, shared % count], axis=1) if len(shared) else np.empty((0, 2), np.int64)
    keep = [
        (signatures[part[:, 0]] == signatures[part[:, 1]]).mean(axis=1) >= SIMILARITY - ESTIMATE_SLACK
        for part in np.array_split(pairs, max(1, len(pairs) // 100_000))
    ]
    kept: np.ndarray = pairs[np.concatenate(keep)]
    return kept


def _verified(shingles: "NDArray[Any]", ends: "NDArray[Any]", pairs: "NDArray[Any]") -> list[tuple[int, int, float]]:
    """The pairs whose similarity, counted out, is high enough."""
    import numpy as np

    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    sets: dict[int, set[int]] = {}

    def shingles_of(text: int) -> set[int]:
        if text not in sets:
            sets[text] = set(shingles[starts[text] : ends[text]].tolist())
        return sets[text]

    kept = []
    for a, b in pairs.tolist():
        one, other = shingles_of(a), shingles_of(b)
        common = len(one & other)
        similarity = common / (len(one) + len(other) - common)
        if similarity >= SIMILARITY:
            kept.append((a, b, similarity))
    return kept
