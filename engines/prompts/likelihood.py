"""What a decoder model thinks of an answer: log-probabilities of label words after a prompt, and written answers.

The beginning that all prompts share (instructions and examples) goes through the model once; its keys and values
serve every text and every label. Only the last position of a text meets the output head, and only the rows of
the label words where one token decides. The results are those of scoring each full prompt alone.
"""

import copy
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any

from engines.errors import UserError
from engines.models.kinds import usable_positions
from engines.prompts.encoding import Encoded

if TYPE_CHECKING:
    import torch

SHARED_MIN_TOKENS = 16
"""A shorter common beginning is read with every text: a cache costs more than it saves."""
ANSWER_TOKENS_MORE = 4
"""Tokens that may be written beyond the longest label: enough to tell a label from a sentence that begins with it."""
CONTENT_FREE = ("N/A", "[MASK]", "")
"""Inputs without content, of Zhao et al. (2021), section 5."""

_BATCH_TOKENS = {"cuda": 1 << 15, "cpu": 1 << 11}  # on the CPU more leave the caches: a fifth slower at twice as many
_CACHED_TOKENS = {"cuda": 1 << 17, "cpu": 1 << 15}  # of a batch's keys and values, the shared ones counted a row


class Scorer:
    """A decoder model that scores label words after prompts and writes answers.

    `batch_tokens` bounds the padded tokens of the first batch, see `Batches`. The last shared beginning is
    remembered: after a change of the weights a new scorer is needed.
    """

    def __init__(self, model: Any, device: str, batch_tokens: int = 0) -> None:
        from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

        self.model = model
        self.device = device
        self.batches = Batches(device, batch_tokens)
        base = model.get_base_model() if hasattr(model, "get_base_model") else model  # inside an adapter
        self._head = base.get_output_embeddings()
        config = base.config.get_text_config(decoder=True)
        self.context: float = usable_positions(config) or math.inf
        """Most tokens the model was made for; infinite where it does not say."""
        accepted = inspect.signature(base.forward).parameters
        plain = {DynamicLayer, DynamicSlidingWindowLayer}
        self._shares = (
            "past_key_values" in accepted
            and {type(layer) for layer in DynamicCache(config=base.config).layers} <= plain
        )
        self._places = "position_ids" in accepted
        self._cache_name = "past_key_values" if "past_key_values" in accepted else "cache_params"
        windows = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
        self._window = min((w for w in windows if w), default=math.inf)
        stops = getattr(getattr(base, "generation_config", None), "eos_token_id", None)
        self._stops = set(stops) if isinstance(stops, list) else {stops} - {None}
        self._prefix: tuple[list[int], Any] = ([], None)

    def score(self, prompts: Encoded, done: Callable[[int], None] = lambda n: None) -> list[list[float]]:
        """One row per prompt, one column per class: log-probability of the label's words, tokens summed (nats).

        Each row is off by a constant, the same for all its classes, for the first token is not normalised over the
        vocabulary: differences are exact. `done` is told how many prompts are scored.
        """
        import torch

        first = torch.tensor([answer[0] for answer in prompts.answers], device=self.device)
        branches = _branches(prompts.answers)
        result = torch.empty((len(prompts.rows), len(prompts.answers)), dtype=torch.float64)
        finished = 0

        def run(rows: list[int]) -> None:
            nonlocal finished
            lengths = torch.tensor([len(prompts.rows[n]) for n in rows], device=self.device)
            logits, cache = self._read([prompts.rows[n] for n in rows], cache_of_prefix, first, bool(branches))
            scores = logits.double()
            for branch, labels in branches:
                following = self._follow(branch, lengths, cache, len(prompts.prefix))
                for label in labels:
                    for place, token in enumerate(prompts.answers[label][1:]):
                        scores[:, label] += following[:, place, token]
            result[torch.tensor(rows)] = scores.cpu()
            finished += len(rows)
            done(finished)

        with torch.inference_mode():
            cache_of_prefix = self._prefilled(prompts.prefix)
            self._in_batches(prompts, run, max(map(len, prompts.answers)) - 1)
        scores: list[list[float]] = result.tolist()
        return scores

    def write(
        self,
        prompts: Encoded,
        new_tokens: int,
        temperature: float = 0.0,
        keys: Sequence[str] = (),
        done: Callable[[int], None] = lambda n: None,
    ) -> list[list[int]]:
        """Up to `new_tokens` tokens after each prompt, without the closing one.

        `temperature` 0 is greedy; else the tokens of prompt n are drawn from `Random(keys[n])`, so that they do
        not depend on the batches.
        """
        import torch

        result: list[list[int]] = [[] for _ in prompts.rows]
        finished = 0

        def run(rows: list[int]) -> None:
            nonlocal finished
            lengths = torch.tensor([len(prompts.rows[n]) for n in rows], device=self.device)
            random = [Random(keys[n]) for n in rows] if temperature else []
            logits, cache = self._read([prompts.rows[n] for n in rows], cache_of_prefix, None, True)
            written: list[list[int]] = [[] for _ in rows]
            for count in range(new_tokens):
                if temperature:
                    sums = (logits.double() / temperature).softmax(-1).cumsum(-1)
                    points = torch.tensor([[r.random()] for r in random], dtype=torch.float64, device=self.device)
                    chosen = torch.searchsorted(sums, points * sums[:, -1:])[:, 0]
                else:
                    chosen = logits.argmax(-1)
                for so_far, token in zip(written, chosen.tolist(), strict=True):
                    so_far.append(token)
                if count == new_tokens - 1 or all(self._stops & set(so_far) for so_far in written):
                    break
                logits, cache = self._next(chosen[:, None], lengths, cache, len(prompts.prefix), count)
            for n, so_far in zip(rows, written, strict=True):
                end = next((place for place, token in enumerate(so_far) if token in self._stops), len(so_far))
                result[n] = so_far[:end]
            finished += len(rows)
            done(finished)

        with torch.inference_mode():
            cache_of_prefix = self._prefilled(prompts.prefix)
            self._in_batches(prompts, run, new_tokens)
        return result

    # -- forward passes -----------------------------------------------------------------------------------

    def _prefilled(self, prefix: list[int]) -> Any:
        """Prefix and cache after it; the cache is None where the prefix is to be read with every text."""
        import torch
        from transformers.cache_utils import DynamicCache

        if self._prefix[0] == prefix:
            return self._prefix
        self._prefix = (prefix, None)
        if self._shares and len(prefix) >= SHARED_MIN_TOKENS:
            cache = DynamicCache()  # without the windows of the config: masks know them, and nothing is thrown away
            ids = torch.tensor([prefix], device=self.device)
            if not _fits(lambda: self._forward(lambda states: states[:, :1], None, ids, cache)):
                raise UserError(
                    f"the {len(prefix):,} tokens before every review do not fit in the memory of this "
                    "device; lower prompt.shots, or choose another precision or device"
                )
            self._prefix = (prefix, cache)
        return self._prefix

    def _read(
        self, texts: list[list[int]], prefix: tuple[list[int], Any], rows_of_head: "torch.Tensor | None", goes_on: bool
    ) -> "tuple[torch.Tensor, Any]":
        """Logits after each text, (texts, vocabulary or `rows_of_head`), and the cache where the pass goes on.

        Padding is on the right, where no real token looks: neither a mask nor positions are needed.
        """
        import torch
        from transformers.cache_utils import DynamicCache

        shared, cache = prefix
        if cache is None:
            texts = [shared + text for text in texts]
            cache = DynamicCache() if goes_on and self._shares else None
        else:
            cache = _spread(cache, len(texts))
        width = max(map(len, texts))
        ids = torch.tensor([text + [0] * (width - len(text)) for text in texts], device=self.device)
        last = torch.tensor([len(text) - 1 for text in texts], device=self.device)
        each = torch.arange(len(texts), device=self.device)
        out = self._forward(lambda states: states[each, last][:, None], rows_of_head, ids, cache, use_cache=goes_on)
        return out.logits[:, 0], out[self._cache_name] if goes_on else None

    def _follow(self, tokens: list[int], lengths: "torch.Tensor", cache: Any, shared: int) -> "torch.Tensor":
        """Log-probabilities after each of `tokens`, the same for every row, (rows, tokens, vocabulary).

        The cache is as before afterwards.
        """
        import torch

        ids = torch.tensor([tokens] * len(lengths), device=self.device)
        if self._shares:
            kept = [(layer.keys, layer.values) for layer in cache.layers]
            logits = self._continued(ids, lengths, cache, shared, 0, len(tokens)).logits
            for layer, (keys, values) in zip(cache.layers, kept, strict=True):
                layer.keys, layer.values = keys, values
        else:  # a recurrent state takes one token at a time, and overwrites itself
            cache, steps = copy.deepcopy(cache), []
            for place in range(len(tokens)):
                step, cache = self._next(ids[:, place : place + 1], lengths, cache, shared, place)
                steps.append(step)
            logits = torch.stack(steps, 1)
        scored: torch.Tensor = logits.log_softmax(-1)
        return scored

    def _next(
        self, ids: "torch.Tensor", lengths: "torch.Tensor", cache: Any, shared: int, written: int
    ) -> "tuple[torch.Tensor, Any]":
        out = self._continued(ids, lengths, cache, shared, written, 1)
        return out.logits[:, -1], out[self._cache_name]

    def _continued(
        self, ids: "torch.Tensor", lengths: "torch.Tensor", cache: Any, shared: int, written: int, new: int
    ) -> Any:
        """A pass over tokens after texts of `lengths`; texts that end before the widest are masked behind their end."""
        import torch

        width = int(lengths.max())
        more: dict[str, Any] = {}
        if int(lengths.min()) < width:
            filled = torch.arange(width, device=self.device)[None] < lengths[:, None]
            real = torch.ones((len(lengths), 1), dtype=torch.bool, device=self.device)
            parts = [real.expand(-1, shared), filled, real.expand(-1, written + new)]
            more["attention_mask"] = torch.cat(parts, 1).long()
            more["position_ids"] = shared + lengths[:, None] + written + torch.arange(new, device=self.device)
        return self._forward(lambda states: states, None, ids, cache, **more)

    def _forward(
        self,
        select: "Callable[[torch.Tensor], torch.Tensor]",
        rows_of_head: "torch.Tensor | None",
        ids: "torch.Tensor",
        cache: Any,
        use_cache: bool = True,
        **more: Any,
    ) -> Any:
        if cache is not None:
            more[self._cache_name] = cache
        with narrowed(self._head, select, rows_of_head):
            return self.model(input_ids=ids, use_cache=use_cache, **more)

    def _in_batches(self, prompts: Encoded, run: Callable[[list[int]], None], goes_on: int) -> None:
        lengths = [len(row) for row in prompts.rows]
        longest = len(prompts.prefix) + max(lengths, default=0) + goes_on
        # a window counts padding between a text and what follows it, a state that is carried on takes it in
        alike = goes_on > 0 and (longest > self._window or not (self._shares and self._places))
        self.batches.run(lengths, run, len(prompts.prefix), alike)


# -- batches ------------------------------------------------------------------------------------------------


class Batches:
    """Batches of like length, whose size is found by trying.

    `tokens` bounds the padded tokens of a batch, what precedes every text not counted. The longest texts come
    first; where they do not fit in memory the bounds are halved, for good, and the batch at hand is done again,
    none other.
    """

    def __init__(self, device: str, tokens: int = 0) -> None:
        kind = device.partition(":")[0]
        self.tokens = tokens or _BATCH_TOKENS[kind]
        self._cached_tokens = _CACHED_TOKENS[kind]

    def size(self, width: int, shared: int = 0) -> int:
        """Rows of `width` tokens in a batch, each after `shared` tokens in its cache; at least one."""
        return max(1, min(self.tokens // width, self._cached_tokens // (shared + width)))

    def run(
        self, lengths: Sequence[int], work: Callable[[list[int]], Any], shared: int = 0, alike: bool = False
    ) -> None:
        """Call `work` with row numbers until every row is done; `shared` tokens precede each row in its cache.

        With `alike` a batch holds rows of one length only. Raises `UserError` when one row does not fit alone.
        """
        order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
        while order:
            width = lengths[order[0]]
            rows = [n for n in order[: self.size(width, shared)] if not alike or lengths[n] == width]
            if _fits(lambda rows=rows: work(rows)):  # type: ignore[misc]
                order = order[len(rows) :]
            elif len(rows) == 1:
                after = f" after {shared:,} shared ones" if shared else ""
                raise UserError(
                    f"one text of {width:,} tokens{after} does not fit in the memory of this device; lower "
                    "prompt.max_length or prompt.shots, or choose another precision or device"
                )
            else:
                half = len(rows) // 2
                self.tokens, self._cached_tokens = half * width, half * (shared + width)


def _fits(work: Callable[[], Any]) -> bool:
    import torch

    try:
        work()
        return True
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
    torch.cuda.empty_cache()  # here, where the traceback holds no tensor any more
    return False


def out_of_memory(error: BaseException) -> bool:
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(words in str(error) for words in ("out of memory", "not enough memory", "can't allocate memory"))


def _branches(answers: Sequence[list[int]]) -> list[tuple[list[int], list[int]]]:
    """What has to be fed after a text so that the further tokens of labels can be read off, and of which labels.

    A label whose words begin another's is read off that one's.
    """
    branches: list[tuple[list[int], list[int]]] = []
    for label in sorted(range(len(answers)), key=lambda n: len(answers[n]), reverse=True):
        fed = answers[label][:-1]
        owner = next((labels for tokens, labels in branches if tokens[: len(fed)] == fed), None)
        if owner is not None and fed:
            owner.append(label)
        elif fed:
            branches.append((fed, [label]))
    return branches


def _spread(cache: Any, rows: int) -> Any:
    """The cache of one row as that of many, without a copy: the model's own update makes it."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    spread = DynamicCache()
    for layer in cache.layers:
        new = DynamicLayer()
        new.lazy_initialization(layer.keys, layer.values)
        new.keys, new.values = (t.expand(rows, *t.shape[1:]) for t in (layer.keys, layer.values))
        spread.layers.append(new)
    return spread


@contextmanager
def narrowed(
    head: Any, select: "Callable[[torch.Tensor], torch.Tensor]", rows: "torch.Tensor | None"
) -> Iterator[None]:
    """Let the output head see the selected states only, and answer with chosen rows of the vocabulary only.

    What a model does to its logits afterwards (scaling, soft caps) goes on as ever, token by token.
    """
    import torch

    before, forward = vars(head).get("forward"), head.forward

    def narrow(states: "torch.Tensor") -> "torch.Tensor":
        states = select(states)
        if rows is None or type(head) is not torch.nn.Linear:  # an adapter, or quantised
            logits: torch.Tensor = forward(states).float()
            return logits if rows is None else logits[..., rows]
        bias = None if head.bias is None else head.bias[rows].float()
        return torch.nn.functional.linear(states.float(), head.weight[rows].float(), bias)

    head.forward = narrow
    try:
        yield
    finally:
        if before is None:
            del head.forward
        else:
            head.forward = before


# -- calibration --------------------------------------------------------------------------------------------

CALIBRATIONS = ("none", "pmi", "contextual", "batch")


def probabilities(scores: Sequence[float], log_prior: Sequence[float]) -> list[float]:
    """Class probabilities from label scores less the model's leaning: softmax over the classes."""
    lifted = [score - prior for score, prior in zip(scores, log_prior, strict=True)]
    return [math.exp(value) for value in _log_softmax(lifted)]


def log_prior(scores: Sequence[Sequence[float]]) -> list[float]:
    """The model's leaning to each class: log of its mean probability over the rows of `scores`.

    Subtracted from a text's scores, this is, by what the rows are,
    - one prompt without its text: domain-conditional pointwise mutual information, log p(y|x) - log p(y|domain)
      (Holtzman et al. 2021, "Surface Form Competition: Why the Highest Probability Answer Isn't Always Right");
    - prompts with inputs without content: contextual calibration, p(y|x) / mean p(y|content-free), normalised
      (Zhao et al. 2021, "Calibrate Before Use: Improving Few-Shot Performance of Language Models");
    - all texts of the batch: batch calibration, log p(y|x) - log mean p(y|x_i) (Zhou et al. 2023, "Batch
      Calibration: Rethinking Calibration for In-Context Learning and Prompt Engineering"); it sees the texts
      under test, though not their labels.
    """
    rows = [[math.exp(value) for value in _log_softmax(row)] for row in scores]
    return [math.log(max(math.fsum(column) / len(rows), 1e-300)) for column in zip(*rows, strict=True)]


def _log_softmax(values: Sequence[float]) -> list[float]:
    most = max(values)
    total = most + math.log(math.fsum(math.exp(value - most) for value in values))
    return [value - total for value in values]
