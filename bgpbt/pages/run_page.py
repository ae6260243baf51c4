"""The page of one run."""

import shlex
from html import escape
from math import sqrt
from pathlib import Path
from typing import Any

from bgpbt.config.options import Options
from bgpbt.files import write
from bgpbt.pages.content import run_content
from bgpbt.pages.html import folded, page, place, section, table
from bgpbt.result import Result, title_of
from bgpbt.storage.listing import Listed
from bgpbt.viz.formatting import (
    counted,
    format_count,
    format_duration,
    format_number,
    format_value,
)

Z = 1.96  # 95 % of a normal distribution lie within so many standard deviations


def write_run_page(
    run: Result, listed: Listed, environment: dict[str, Any] | None, path: Path
) -> None:
    """Writes the page of a run.

    Args:
      run: finished or not.
      listed: how far it is.
      environment: versions and devices; None: not known.
      path: of the file.

    Raises:
      BadInput: the records hold no round with a fitness.
      NotSaved: the file cannot be written.
    """
    content = run_content(run)
    title = title_of(run.options, run.path.name.replace("_", " "))
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{escape(_how_far(listed))}</p>',
        *(f'<p class="lead">{escape(line)}</p>' for line in verdict(run)),
        *_charts(content),
        section("Settings and versions", "", _settings(run.options, environment)),
    ]
    scripts = ["charts.js", "run_page.js"]
    write(path, page(title, "\n".join(parts), content, scripts))


def _how_far(run: Listed) -> str:
    state = "running: this is the run so far" if run.state == "running" else run.state
    steps = f"{format_count(run.timesteps)} of {format_count(run.max_timesteps)}"
    seconds = format_duration(run.seconds)
    return (
        f"{state}; {steps} timesteps per member; {seconds} of training and evaluation"
    )


def verdict(run: Result) -> list[str]:
    """What the run came to, in plain words."""
    report = run.report
    if report is None:
        best = run.best
        return [
            f"There is no report yet. The best fitness so far is "
            f"{format_number(best['fitness'])}, of member {best['member']} in round "
            f"{best['round']}; it was chosen by that number, which is therefore too "
            "good."
        ]
    what = "parts of unseen data" if report.get("unseen") else "fresh episodes"
    lines = [
        f"The reported member (member {report['member']} of round {report['round']}) "
        f"gets {_mean(report, '')} on {report['episodes']} {what}, which no selection "
        f"has seen. The best untrained member gets {_mean(report, 'untrained_')}."
    ]
    return lines


def _mean(report: dict[str, Any], prefix: str) -> str:
    """A mean with its 95 % interval, for that of a normal distribution."""
    mean, sd = report[f"{prefix}mean"], report[f"{prefix}sd"]
    if sd is None:
        return format_number(mean)
    half = Z * sd / sqrt(report["episodes"])
    ends = f"{format_number(mean - half)} to {format_number(mean + half)}"
    return f"{format_number(mean)} (95 %: {ends})"


def _charts(content: dict[str, Any]) -> list[str]:
    groups = {dim["group"] == "hyperparameter" for dim in content["dimensions"]}
    parts = [
        section(
            "Learning curve",
            "Every member by its fitness in each round. Lines lead from the weights' "
            "parent; point at one to see its configuration.",
            place("curve"),
        ),
        section(
            "Lineage",
            "Who took whose weights, round by round, from the first members to the "
            "last.",
            place("tree"),
        ),
    ]
    if True in groups:
        parts.append(
            section(
                "Hyperparameter schedules",
                "What members trained with. The winner's lineage is the schedule that "
                "its weights have seen.",
                place("schedules", grid=True),
            )
        )
    if False in groups:
        words = "The networks of members, from generation to generation."
        parts.append(section("Architectures", words, place("architectures", grid=True)))
    parts.append(
        section(
            "Configurations against what they gained",
            "Change of fitness in a round less the round's median change, in standard "
            "deviations of the round. A cloud without a shape says that a value alone "
            "decided little.",
            place("gains", grid=True),
        )
    )
    if content["bandit"]:
        parts.append(section("What the bandit learnt", "", _bandit(content)))
    parts.append(
        section(
            "Where the time went",
            "Seconds of training and evaluation of each round. Compiling, decisions "
            "and saving are not in them.",
            place("seconds"),
        )
    )
    return parts


def _bandit(content: dict[str, Any]) -> str:
    found = content["bandit"]
    if found["told_apart"]:
        order = sorted(zip(found["share"], found["names"], strict=True), reverse=True)
        words = (
            f"Of {counted(len(found['names']), 'dimension')}, {order[0][1]} mattered "
            "most to it."
        )
    else:
        words = (
            "It learnt nothing about which dimensions matter: nine tenths of its fits "
            "do not tell any of them from any other."
        )
    fits = f" From the last {counted(found['fits'], 'fit')}."
    region = ""
    if "trust_region" in content["rounds"]:
        region = f"<h3>Edge of its trust region</h3>{place('region')}"
    return f"<p>{escape(words + fits)}</p>{place('importance')}{region}"


def _settings(options: Options, environment: dict[str, Any] | None) -> str:
    settings = options.model_dump()
    defaults = Options().model_dump()
    changed = {name: x for name, x in settings.items() if x != defaults.get(name)}
    parts = [
        f"<pre>{escape(command(changed))}</pre>",
        table([(name, format_value(x)) for name, x in changed.items()]),
        folded(
            "all settings",
            table([(name, format_value(x)) for name, x in settings.items()]),
        ),
    ]
    if environment:
        versions = [(name, str(value)) for name, value in environment.items()]
        parts.append(folded("versions and devices", table(versions)))
    return "\n".join(parts)


def command(changed: dict[str, Any]) -> str:
    """The flags that repeat a run, of settings that are not the defaults."""
    words = ["python main.py"]
    for name, value in changed.items():
        if value is True:
            words.append(f"--{name}")
        elif value is False:
            words.append(f"--no_{name}")
        elif isinstance(value, dict):
            pairs = [shlex.quote(f"{key}={x}") for key, x in value.items()]
            words += [f"--{name}", *pairs] if pairs else []
        elif isinstance(value, list | tuple):
            words += [f"--{name}", *map(str, value)]
        elif value is not None:
            words += [f"--{name}", shlex.quote(str(value))]
    return " ".join(words)
