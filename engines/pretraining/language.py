"""`tiny:mistral` and `tiny:gemma`: a Mistral with a chat form and a Gemma without one, pretrained to answer prompts.

A training text is a whole prompt as `prompting` writes it: one of the shipped wordings with its label words, one to
twelve examples with their answers, in the chat form for Mistral. Three objectives at once:

- the answers, label words and what ends them: `_ANSWER_WEIGHT`;
- the next token anywhere else, of a share of the places: a language model;
- polarity, supervised: at every token before an answer a head, thrown away afterwards, has to tell which answer
  comes. It teaches in minutes which words are praise; the answers alone take several times as long.

The first steps ask about single short texts without examples, mostly in the shortest wordings: among several
examples a new model does not find the words that count. Then whole reviews and examples join in. The rate falls to
nothing at the last step, which comes early for the shipped models: tuning is to have something to show.
"""

import json
import string
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from engines.data import corpus, files
from engines.pretraining import loop
from engines.prompts.encoding import PromptTokenizer
from engines.prompts.likelihood import Scorer
from engines.prompts.templates import TEMPLATES, Prompt, label_words

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

CONTEXT_TOKENS = 2048
_TEXTS = 30_000
"""Of single opinions, and of reviews."""
_TRIED = 80
_TRIED_SHOTS = 8
_WARMUP_STEPS = 50
_BATCH_TOKENS = 1500
_WHOLE_SHARES = (0.1, 0.1, 0.6)
"""Of whole reviews among the texts of a conversation: some conversations are as long as the founding study's."""
_NAMES_SHARE = 0.6
_SHORT_SHARE = 0.75
_NEXT_TOKEN_SHARE = 0.2
_ANSWER_WEIGHT = 3.0
_POOL = 400

_CHAT_FORM = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('turns alternate: user, assistant, user, ...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)
_WORDS = label_words(corpus.LABELS)
Shot = tuple[str, int]
"""A text and its class, a number of `corpus.LABELS`."""


@dataclass(frozen=True)
class Kind:
    """What the two models differ in."""

    specials: tuple[str, ...]  # in the order of their numbers, as the originals have them
    bos: str
    eos: str
    pad: str | None
    space_first: bool  # a text begins with a space that nobody wrote
    chat_form: str | None
    config: "Callable[[dict[str, Any]], PretrainedConfig]"  # of the common sizes


@dataclass(frozen=True)
class Lessons:
    """What a model is taught from, and held-out texts to try it on."""

    short: Sequence[Shot]
    whole: Sequence[Shot]  # may be the short ones again
    held_out: Sequence[Shot]


@dataclass(frozen=True)
class Plan:
    """How a model is taught."""

    steps: int
    short_steps: int  # short texts alone until then,
    mixed_step: int  # ever fewer of them until then
    learning_rate: float
    vocabulary: int = 2048  # pieces at most
    layers: int = 3
    polarity_weight: float = 1.0
    blanked: float = 0.0  # share of tokens, answers apart, that the model does not see: few texts are learned by rote
    threads: int = 1


def _mistral(sizes: dict[str, Any]) -> "PretrainedConfig":
    from transformers import MistralConfig

    return MistralConfig(
        **sizes, intermediate_size=384, num_key_value_heads=2, tie_word_embeddings=False, sliding_window=None
    )


def _gemma(sizes: dict[str, Any]) -> "PretrainedConfig":
    from transformers import GemmaConfig

    return GemmaConfig(**sizes, intermediate_size=640, num_key_value_heads=1, tie_word_embeddings=True)


MISTRAL = Kind(("<unk>", "<s>", "</s>"), "<s>", "</s>", None, True, _CHAT_FORM, _mistral)
GEMMA = Kind(("<pad>", "<eos>", "<bos>", "<unk>"), "<bos>", "<eos>", "<pad>", False, None, _gemma)


def build_mistral(target: Path, report_line: Callable[[str], None]) -> dict[str, float]:
    """Writes `tiny:mistral` into `target`, see `build`."""
    return build(MISTRAL, _own_lessons(), Plan(600, 250, 350, 1.5e-3), target, report_line)


def build_gemma(target: Path, report_line: Callable[[str], None]) -> dict[str, float]:
    """Writes `tiny:gemma` into `target`, see `build`."""
    return build(GEMMA, _own_lessons(), Plan(580, 350, 430, 1e-3), target, report_line)


def _own_lessons() -> Lessons:
    def shots(reviews: Sequence[corpus.Review]) -> list[Shot]:
        return [(files.clean(review.text), corpus.LABELS.index(review.label)) for review in reviews]

    reviews = shots(corpus.generate(_TEXTS + _TRIED, corpus.PRETRAINING_SEED))
    opinions = shots(corpus.generate_opinions(_TEXTS, corpus.PRETRAINING_SEED))
    return Lessons(opinions, reviews[:_TEXTS], reviews[_TEXTS:])


def build(
    kind: Kind, lessons: Lessons, plan: Plan, target: Path, report_line: Callable[[str], None]
) -> dict[str, float]:
    """Trains tokenizer and model and writes both into `target`; every random choice is seeded.

    Returns the figures of the build: parameters, vocabulary, steps, zero_shot and few_shot (accuracies on texts held
    out, means over the wordings), size_bytes, seconds, and the means over the last tenth of the steps of answer_loss,
    next_token_loss (nats per token) and polarity_loss (nats).
    """
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(plan.threads)
    started_s = time.monotonic()
    tokenizer = _tokenizer(kind, _vocabulary_texts(lessons), plan.vocabulary)
    torch.manual_seed(corpus.PRETRAINING_SEED)
    model = AutoModelForCausalLM.from_config(
        kind.config(
            {
                "vocab_size": len(tokenizer),
                "hidden_size": 128,
                "num_hidden_layers": plan.layers,
                "num_attention_heads": 4,
                "head_dim": 32,
                "max_position_embeddings": CONTEXT_TOKENS,
                "initializer_range": 0.06,
                "bos_token_id": tokenizer.bos_token_id,
                "eos_token_id": tokenizer.eos_token_id,
                "pad_token_id": tokenizer.pad_token_id,
            }
        )
    )
    parameters = model.num_parameters()
    report_line(f"vocabulary {len(tokenizer)}, {parameters} parameters")
    losses = _pretrain(plan, model, _conversations(plan, tokenizer, lessons), tokenizer.unk_token_id, report_line)
    zero_shot, few_shot = _accuracies(model, PromptTokenizer(tokenizer, chat=kind.chat_form is not None), lessons)
    size_bytes = loop.save(model, tokenizer, target)
    figures = {
        "parameters": parameters,
        "vocabulary": len(tokenizer),
        "steps": plan.steps,
        "zero_shot": zero_shot,
        "few_shot": few_shot,
        **losses,
        "size_bytes": size_bytes,
        "seconds": time.monotonic() - started_s,
    }
    report_line(json.dumps(figures))
    return figures


# -- the tokenizer ------------------------------------------------------------------------------------------


def _vocabulary_texts(lessons: Lessons) -> Iterator[str]:
    """What the vocabulary is learned from: texts, and every wording with every pair of label words, often enough."""
    yield from (text for text, _ in [*lessons.short[: _TEXTS // 2], *lessons.whole[: _TEXTS // 3]])
    for template in TEMPLATES.values():
        for words in _WORDS:
            prompt = Prompt(template, words, tuple(("", label) for label in range(len(words)))).plain("")
            yield from [f"[INST] {prompt} [/INST]"] * 30


def _tokenizer(kind: Kind, texts: Iterator[str], most: int) -> "PreTrainedTokenizerFast":
    """A byte-pair tokenizer that knows every byte, so that any text has tokens; BOS goes first, nothing last."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, processors, trainers
    from tokenizers import pre_tokenizers as pre
    from transformers import PreTrainedTokenizerFast

    pieces = pre.Sequence(
        [
            pre.Split(Regex("\n+"), "isolated"),
            pre.Metaspace(prepend_scheme="first" if kind.space_first else "never", split=True),
            pre.Punctuation("isolated"),
            pre.Digits(individual_digits=True),
        ]
    )
    every_byte = [f"<0x{byte:02X}>" for byte in range(256)]
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pieces
    trainer = trainers.BpeTrainer(
        vocab_size=most - len(kind.specials) - len(every_byte),
        min_frequency=20,
        show_progress=False,
        initial_alphabet=sorted(set(string.printable) - set(string.whitespace)) + ["\n", "▁"],
    )
    learner.train_from_iterator(texts, trainer)
    learned = json.loads(learner.to_str())["model"]
    known = sorted(learned["vocab"], key=learned["vocab"].__getitem__)
    vocabulary = {piece: number for number, piece in enumerate([*kind.specials, *every_byte, *known])}
    merges = [(left, right) for left, right in learned["merges"]]

    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pieces
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if kind.space_first else steps)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in kind.specials])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{kind.bos} $A",
        pair=f"{kind.bos} $A {kind.bos}:1 $B:1",
        special_tokens=[(kind.bos, vocabulary[kind.bos])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=kind.bos,
        eos_token=kind.eos,
        unk_token="<unk>",
        pad_token=kind.pad,
        model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False,
        chat_template=kind.chat_form,
    )


# -- what is learned ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    """One conversation: tokens, which of them are answers, and the label of the answer each leads to."""

    ids: list[int]
    is_answer: list[bool]
    label: list[int]

    def __len__(self) -> int:
        return len(self.ids)


def _conversations(plan: Plan, tokenizer: "PreTrainedTokenizerFast", lessons: Lessons) -> Iterator[list[_Row]]:
    """Endless batches of conversations of like length, about `_BATCH_TOKENS` tokens each."""
    random = Random(corpus.PRETRAINING_SEED)
    batches: list[list[_Row]] = []
    for step in count():
        if not batches:
            easy = min(1.0, (plan.mixed_step - step) / (plan.mixed_step - plan.short_steps))
            drawn = [_drawn(random, lessons, random.random() < easy) for _ in range(_POOL)]
            rows = sorted(_rows(tokenizer, drawn), key=len)
            batches = [[]]
            for row in rows:
                if batches[-1] and len(row) * (len(batches[-1]) + 1) > _BATCH_TOKENS:
                    batches.append([])
                batches[-1].append(row)
            random.shuffle(batches)
        yield batches.pop()


def _drawn(random: Random, lessons: Lessons, easy: bool) -> tuple[Prompt, Shot]:
    """A wording with its examples, and what is asked last; an easy one has no example and is mostly short."""
    short = easy and random.random() < _SHORT_SHARE
    template = random.choice([t for t in TEMPLATES.values() if not (short and t.instruction)])
    words = _WORDS[0] if short or random.random() < _NAMES_SHARE else random.choice(_WORDS)
    if easy:
        shots = [random.choice(lessons.short)]
    else:
        low, high = random.choices(((1, 1), (2, 5), (6, 12)), (10, 45, 45))[0]
        share = random.choice(_WHOLE_SHARES)
        from_reviews = [random.random() < share for _ in range(random.randint(low, high))]
        shots = [random.choice(lessons.whole if whole else lessons.short) for whole in from_reviews]
    return Prompt(template, words, tuple(shots[:-1])), shots[-1]


def _rows(tokenizer: "PreTrainedTokenizerFast", drawn: list[tuple[Prompt, Shot]]) -> list[_Row]:
    written = [_written(tokenizer, prompt, asked) for prompt, asked in drawn]
    encoded = tokenizer([text for text, _ in written], add_special_tokens=False, return_offsets_mapping=True)
    rows = []
    for ids, offsets, (_, spans) in zip(encoded["input_ids"], encoded["offset_mapping"], written, strict=True):
        is_answer, labels, place = [], [], 0
        for start, end in offsets:
            while place < len(spans) - 1 and start >= spans[place][1]:
                place += 1
            is_answer.append(end > spans[place][0] and start < spans[place][1])
            labels.append(spans[place][2])
        rows.append(_Row(ids, is_answer, labels))
    return rows


def _written(
    tokenizer: "PreTrainedTokenizerFast", prompt: Prompt, asked: Shot
) -> tuple[str, list[tuple[int, int, int]]]:
    """The conversation as text, and of each answer where it starts, where what ends it ends, and its label."""
    chats = tokenizer.chat_template is not None and prompt.template.chat
    shots = [*prompt.shots, asked]
    text, spans = "", []
    for number, (_, label) in enumerate(shots):
        so_far = Prompt(prompt.template, prompt.words, tuple(shots[:number]))
        if chats:
            messages = so_far.messages(shots[number][0])
            before = str(tokenizer.apply_chat_template(messages, tokenize=False))
        else:
            before = tokenizer.bos_token + so_far.plain(shots[number][0])
        last = number == len(shots) - 1
        ending = tokenizer.eos_token if chats or last else "\n\n"
        text = f"{before} {prompt.words[label]}{ending}"
        spans.append((len(before), len(text), label))
    return text, spans


def _accuracies(model: "PreTrainedModel", prompt_tokenizer: PromptTokenizer, lessons: Lessons) -> tuple[float, float]:
    """Mean accuracy over the wordings on texts held out, zero-shot and after examples, other ones in each wording."""
    scorer = Scorer(model.eval(), "cpu")
    asked = lessons.held_out[:_TRIED]
    right: tuple[list[bool], list[bool]] = ([], [])
    for number, template in enumerate(TEMPLATES.values()):
        shots = lessons.whole[number * _TRIED_SHOTS : (number + 1) * _TRIED_SHOTS]
        for correct, examples in zip(right, ((), tuple(shots)), strict=True):
            rows = scorer.score(
                prompt_tokenizer.encode(Prompt(template, _WORDS[0], examples), [text for text, _ in asked])
            )
            correct += [row[label] > row[1 - label] for row, (_, label) in zip(rows, asked, strict=True)]
    return loop.mean(right[0]), loop.mean(right[1])


def _pretrain(
    plan: Plan,
    model: "PreTrainedModel",
    batches: Iterator[list[_Row]],
    blank: int,
    report_line: Callable[[str], None],
) -> dict[str, float]:
    """All steps; the mean losses of the last tenth. `blank` is the token that stands for those not to be seen."""
    import torch
    from torch.nn.functional import cross_entropy

    polarity_head = torch.nn.Linear(model.config.hidden_size, len(corpus.LABELS))
    trained = [*model.parameters(), *polarity_head.parameters()]
    warmup_steps = min(_WARMUP_STEPS, plan.steps // 2)
    optimizer, schedule = loop.optimizer(trained, plan.learning_rate, plan.steps, warmup_steps)
    history: dict[str, list[float]] = {"answer_loss": [], "next_token_loss": [], "polarity_loss": []}
    model.train()
    for step, rows in zip(range(1, plan.steps + 1), batches, strict=False):
        width = max(map(len, rows))
        ids = torch.tensor([row.ids + [0] * (width - len(row)) for row in rows])
        is_answer = torch.tensor([row.is_answer + [False] * (width - len(row)) for row in rows])
        seen = ids.masked_fill(~is_answer & (torch.rand(ids.shape) < plan.blanked), blank)
        is_answer = is_answer[:, 1:]
        labels = torch.tensor([row.label + [-1] * (width - len(row)) for row in rows])[:, :-1]
        states = model.base_model(input_ids=seen, use_cache=False).last_hidden_state[:, :-1]
        targets, leads = ids[:, 1:], (labels >= 0) & ~is_answer
        real = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])[:, 1:]
        asked = real & ~is_answer & (torch.rand(real.shape) < _NEXT_TOKEN_SHARE)
        head = model.get_output_embeddings()
        losses = {
            "answer_loss": cross_entropy(head(states[is_answer]), targets[is_answer]),
            "next_token_loss": cross_entropy(head(states[asked]), targets[asked]),
            "polarity_loss": cross_entropy(polarity_head(states[leads]), labels[leads]),
        }
        loss = losses["next_token_loss"] + _ANSWER_WEIGHT * losses["answer_loss"]
        (loss + plan.polarity_weight * losses["polarity_loss"]).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        for name, value in losses.items():
            history[name].append(value.item())
        if step % 100 == 0:
            means = ", ".join(f"{name} {loop.mean(values[-100:]):.3f}" for name, values in history.items())
            report_line(f"step {step}: {means}")
    return {name: loop.mean(values[-max(1, len(values) // 10) :]) for name, values in history.items()}
