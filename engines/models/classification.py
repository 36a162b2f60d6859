"""Opening a model of any kind as a classifier of texts: its head, its padding and its positions made to fit.

A head that the model brings along is kept only where its classes are those of the data, by name: rows of a head are
answers to the classes it was trained on, in the order in which it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engines.data.labels import unified_name
from engines.errors import ModelError
from engines.models.kinds import NO_CLASSIFIER, read_kind
from engines.models.opening import load_tokenizer
from engines.reporter import Notes

if TYPE_CHECKING:
    import torch

Head = Literal["auto", "keep", "new"]
HEADS: tuple[str, ...] = ("auto", "keep", "new")


@dataclass(frozen=True)
class OpenedHead:
    """What became of the head that the model brought along."""

    origin: Literal["kept", "permuted", "new"]
    sentence: str  # for the log


def padding_tokenizer(path: Path, name: str, notes: Notes, trust_remote_code: bool = False) -> Any:
    """The tokenizer of a folder, able to pad: with its end-of-text token where it has no token for padding.

    Raises `ModelError` where it has neither.
    """
    tokenizer = load_tokenizer(path, trust_remote_code)
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise ModelError(f"model.name = {name}: its tokenizer has no token to pad with; choose another model")
        tokenizer.pad_token = tokenizer.eos_token
        notes.note(f"{name}: its tokenizer has no padding token; the end-of-text token pads")
    return tokenizer


def open_classifier(
    path: Path, name: str, labels: Sequence[str], pad_token_id: int, head: Head, notes: Notes
) -> "torch.nn.Module":
    """A sequence classifier in float32 on the CPU whose classes are `labels`, in this order.

    A new head is drawn from torch's global random state. `head` says what happens to one that is there: "auto" keeps
    it where its classes have the names of the data's, in whatever order; "keep" also where they have no names of their
    own (LABEL_0, LABEL_1), in the order of the data's; "new" never. Raises `ModelError` where the kind of model has
    no such head, or "keep" has nothing to keep.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    kind = read_kind(path)
    if kind in NO_CLASSIFIER:
        raise ModelError(
            f"model.name = {name} is of type {kind}, whose encoder alone has no classification head; use it with "
            "frozen_features, or choose another encoder"
        )
    config = AutoConfig.from_pretrained(path)
    order, sentence = _order(config, labels, head)
    if order is None and head == "keep":
        raise ModelError(f'{sentence}; set head = "new", or data.labels to the classes of the model')
    arguments: dict[str, Any] = {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: n for n, label in enumerate(labels)},
        "num_labels": len(labels),
        "problem_type": "single_label_classification",  # the model may come from another kind of task
        "dtype": torch.float32,
        "pad_token_id": pad_token_id,
        "ignore_mismatched_sizes": True,  # a head of other classes is replaced
        "output_loading_info": True,
    }
    try:
        model, info = AutoModelForSequenceClassification.from_pretrained(path, **arguments)
    except ValueError as error:
        if "Unrecognized configuration class" not in str(error):
            raise
        raise ModelError(
            f"model.name = {name} is of type {kind}, for which transformers has no sequence classifier; choose another "
            "model, or qlora or prompting where it is a language model"
        ) from None
    text_config = model.config.get_text_config()
    if text_config is not model.config:
        text_config.pad_token_id = pad_token_id
    output = output_layer(model, len(labels))
    drawn = set(info["missing_keys"]) | {entry[0] for entry in info["mismatched_keys"]}
    had_one = not any(key.startswith(output[0]) for key in drawn)
    if not had_one:
        if head == "keep":
            raise ModelError(f'{name} has no head of {len(labels)} classes to keep; set head = "new"')
        return _told(model, OpenedHead("new", ""), notes)
    if order is None:
        _redraw(model, output[1])
        return _told(model, OpenedHead("new", f"{sentence}: a new head is trained"), notes)
    if order != list(range(len(labels))):
        with torch.no_grad():
            for values in output[1].parameters():
                values.copy_(values[order].clone())
        return _told(
            model, OpenedHead("permuted", f"the head of {name} is kept, its rows in the order of the data"), notes
        )
    return _told(model, OpenedHead("kept", f"the head of {name} is kept: it has the same classes"), notes)


def output_layer(model: "torch.nn.Module", classes: int) -> tuple[str, "torch.nn.Linear"]:
    """Name and module of the layer that gives the scores of the classes: the last one as wide as there are."""
    import torch

    layers = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module.out_features == classes
    ]
    if not layers:
        raise ModelError(
            f"a model of type {type(model).__name__} has no layer of {classes} classes; choose another one"
        )
    return layers[-1]


def _order(config: Any, labels: Sequence[str], head: Head) -> tuple[list[int] | None, str]:
    """For each of the data's classes the row of the model's head; None, with the reason, where it does not fit."""
    names = [str(config.id2label[n]) for n in sorted(config.id2label)]
    if head == "new":
        return None, "its own head is not wanted"
    generic = all(name == f"LABEL_{n}" for n, name in enumerate(names))
    if generic:
        if head == "keep" and len(names) == len(labels):
            return list(range(len(labels))), ""
        return None, f"the model's head has {len(names)} classes without names"
    unified = [unified_name(name).casefold() for name in names]
    wanted = [unified_name(label).casefold() for label in labels]
    if sorted(unified) == sorted(wanted) and len(set(unified)) == len(unified):
        return [unified.index(label) for label in wanted], ""
    return None, f"the model's head is for {', '.join(names[:5])}, the data's classes are {', '.join(labels[:5])}"


def _redraw(model: Any, layer: "torch.nn.Linear") -> None:
    import torch

    std = getattr(model.config.get_text_config(), "initializer_range", None) or 0.02
    torch.nn.init.normal_(layer.weight, std=std)
    if layer.bias is not None:
        torch.nn.init.zeros_(layer.bias)


def _told(model: "torch.nn.Module", head: OpenedHead, notes: Notes) -> "torch.nn.Module":
    if head.sentence:
        notes.note(head.sentence)
    return model
