"""The commands that launch, follow, list and stop runs."""

import argparse

from engines import catalog
from engines.errors import UserError
from engines.memory.estimate import describe_estimate
from engines.runs.folder import RunFolder
from engines.runs.home import Home
from engines.runs.summary import DAMAGED, QUEUED, RUNNING, find_run, list_runs, summarize
from labtui.cli.common import OK, STATE_CODES, Command, add_device, add_run, add_settings, print_json, say, show


def add(command: Command) -> None:
    sub = command("experiments", _experiments, "list the experiments that can be run")
    sub.add_argument("--json", action="store_true", help="print a JSON array")

    sub = command("run", _run, "launch an experiment")
    sub.add_argument("config", help="an experiment's name (`labtui experiments` lists them) or a TOML file")
    add_settings(sub, "training.epochs=2")
    add_device(sub)
    sub.add_argument("--follow", action="store_true", help="narrate until the run ends; the exit code tells how")

    sub = command("estimate", _estimate, "estimate the peak memory of an experiment, offline, before it is launched")
    sub.add_argument("config", help="an experiment's name or a TOML file")
    add_settings(sub, "training.batch_size=8")
    add_device(sub)
    sub.add_argument("--json", action="store_true", help="print one JSON object")

    sub = command("list", _list, "list the runs, newest first")
    sub.add_argument("--json", action="store_true", help="print a JSON array, one object per run")

    sub = command("show", _show, "show one run: settings, state, scores, last notes")
    add_run(sub)
    sub.add_argument("--json", action="store_true", help="print one JSON object")

    sub = command("follow", _follow, "narrate a run until it ends; the exit code tells how")
    add_run(sub)

    sub = command("stop", _stop, "stop a run: it saves a checkpoint and ends at its next step")
    add_run(sub)
    rung = sub.add_mutually_exclusive_group()
    rung.add_argument("--terminate", action="store_true", help="send SIGTERM to the whole process tree instead")
    rung.add_argument("--kill", action="store_true", help="send SIGKILL to the whole process tree instead")

    sub = command("resume", _resume, "go on with a run that stopped, failed or was lost")
    add_run(sub)
    sub.add_argument("--follow", action="store_true", help="narrate until the run ends")


def _experiments(arguments: argparse.Namespace) -> int:
    rows = []
    for name in catalog.experiments():
        try:
            experiment = catalog.read(name)
            rows.append({"config": name, "engine": experiment.engine, "title": experiment.title, "error": ""})
        except UserError as error:
            rows.append({"config": name, "engine": "", "title": "", "error": str(error)})
    if arguments.json:
        print_json(rows)
        return OK
    for row in rows:
        show(f"{row['config']:<32} {row['engine']:<18} {row['error'] or row['title']}")
    return OK


def _run(arguments: argparse.Namespace) -> int:
    from labtui import actions

    return started(actions.launch(Home(), _experiment(arguments), arguments.device), arguments.follow)


def _experiment(arguments: argparse.Namespace) -> catalog.Experiment:
    """What `config` names, with the settings of `--set`."""
    experiment = catalog.read(arguments.config)
    if not arguments.settings:
        return experiment
    return catalog.read(arguments.config, catalog.parse_overrides(arguments.settings, type(experiment.config)))


def _resume(arguments: argparse.Namespace) -> int:
    from labtui import actions

    home = Home()
    return started(actions.resume(home, find_run(home, arguments.run)), arguments.follow)


def _estimate(arguments: argparse.Namespace) -> int:
    from labtui import actions

    experiment = _experiment(arguments)
    estimate, free_bytes = actions.estimate(Home(), experiment, arguments.device)
    if arguments.json:
        verdict = None if free_bytes is None else estimate.verdict(free_bytes)
        totals = {"total_bytes": estimate.total_bytes, "free_bytes": free_bytes, "verdict": verdict}
        print_json({"config": experiment.name, "device": estimate.device, **totals, "components": estimate.components})
        return OK
    for line in describe_estimate(estimate, free_bytes):
        show(line)
    return OK


def started(folder: RunFolder, follow: bool) -> int:
    """Print the name of a run that was launched, and narrate it if wanted; the exit code."""
    show(folder.name)
    if follow:
        return narrated(folder)
    say(f"started; watch it with `labtui` or `labtui follow {folder.name}`")
    return OK


def _follow(arguments: argparse.Namespace) -> int:
    return narrated(find_run(Home(), arguments.run))


def narrated(folder: RunFolder) -> int:
    """Narrate a run until it ends; the exit code of how it did."""
    from labtui.narrate import narrate

    return STATE_CODES[narrate(folder, say)]


def _list(arguments: argparse.Namespace) -> int:
    from labtui import format
    from labtui.sanitize import clean

    home = Home()
    if owner := home.owner:
        say(f"{home.path} belongs to {owner}")
    summaries = [summarize(folder) for folder in list_runs(home)]
    if arguments.json:
        print_json([s.as_dict() for s in summaries])
        return OK
    if not summaries:
        say("no runs yet; `labtui quickstart` or `labtui run CONFIG` starts one, `labtui experiments` lists configs")
    width = max((len(clean(s.name)) for s in summaries), default=0)
    for s in summaries:
        where = ""
        if s.state == RUNNING:
            where = f"{clean(s.phase)} {format.percent(s.progress) if s.progress is not None else ''}"
        elif s.state == QUEUED:
            where = f"{s.ahead} ahead"
        elif s.state == DAMAGED:
            where = clean(s.damage)
        tested = s.end is not None and s.end.split == "test"
        score = "" if s.accuracy is None else f"accuracy {format.score(s.accuracy)}{'' if tested else ' on validation'}"
        show(f"{clean(s.name):<{width}}  {s.state:<8}  {where:<14}  {score}".rstrip())
    return OK


def _show(arguments: argparse.Namespace) -> int:
    from labtui.narrate import describe

    summary = summarize(find_run(Home(), arguments.run))
    if arguments.json:
        print_json(
            {
                **summary.as_dict(),
                "settings": summary.document,
                "folder": str(summary.folder.path),
                "scores": summary.scores.as_json(),
            }
        )
        return OK
    for line in describe(summary):
        show(line)
    return OK


def _stop(arguments: argparse.Namespace) -> int:
    from labtui import actions

    folder = find_run(Home(), arguments.run)
    rung = "kill" if arguments.kill else "terminate" if arguments.terminate else "ask"
    say(actions.stop(folder, rung))
    return OK
