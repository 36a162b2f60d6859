"""Fine-tuning of a pretrained encoder as a classifier, by a plain torch loop."""

from engines.memory.components import Machine, Need, classes, encoder_tuning, texts, unknown_family
from engines.models.forward import BATCH_TOKENS
from engines.reporter import Reporter
from engines.training import encoder
from engines.training.encoder import Config, FineTuning

TITLE = "Fine-tuning, a plain torch loop"
USES_GPU = True
load = encoder.load


def run(config: Config, report: Reporter) -> None:
    from torch.nn.utils import clip_grad_norm_

    task = FineTuning(config, report)  # data, tokens, model, optimiser; or all of it from a checkpoint
    model, optimizer, scheduler, course = task.model, task.optimizer, task.scheduler, task.course
    parameters = list(model.parameters())

    course.begin()
    for epoch in range(config.training.epochs):
        for batch in task.batches(epoch):
            with task.autocast:
                loss = model(**batch).loss
            loss.backward()
            grad_norm = clip_grad_norm_(parameters, config.training.clip_norm)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            course.stepped(loss, grad_norm)  # reports, saves, and stops when asked
        course.end_epoch()  # validates and saves
    task.conclude()  # the best model, saved and scored on the test split


def memory_needs(config: Config, machine: Machine) -> Need:
    model, training = machine.architecture(config.model), config.training
    budget = BATCH_TOKENS[machine.kind]
    phases = encoder_tuning(model, machine, training.batch_size, training.max_length, classes(config.data), budget)
    return Need(
        model.family,
        phases,
        scoring="validate",
        libraries="transformers",
        host=texts(config.data),
        notes=unknown_family(model),
    )
