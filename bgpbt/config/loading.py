"""Settings from defaults, YAML files and the command line; later ones win."""

from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from bgpbt.config.errors import BadInput, nearest
from bgpbt.config.options import Options, choices
from bgpbt.config.search_space import changes, values
from bgpbt.config.settings import declaration

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped(folder: str) -> Path:
    """A folder of files that come with bgpbt.

    In a wheel it lies inside the package, in a checkout beside it.
    """
    inside = _PACKAGE / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder


CONFIGS = shipped("configs")
MOST_BYTES = 100_000  # of a file of settings


def load_options(
    argv_values: dict[str, Any],
    config: Path | str | None = None,
    *,
    with_usual: bool = True,
) -> Options:
    """Merges the defaults, the usual file, the file `config` and the command line.

    The usual file is `configs/ppo/<env_name>.yaml`, or `configs/<task>.yaml`.

    Args:
      argv_values: values by setting, texts or numbers.
      config: YAML file that names only settings, or None.
      with_usual: False: `config` are the settings of a run, which say it all.

    Raises:
      BadInput: a file or a value is wrong; the line names the file it came from.
    """
    chosen = {} if config is None else read_settings(Path(config))
    usual_file = _usual_file(chosen | argv_values) if with_usual else None
    usual = read_settings(usual_file) if usual_file else {}
    origin = dict.fromkeys(usual, usual_file)
    origin |= dict.fromkeys(chosen, config)
    origin |= dict.fromkeys(argv_values)
    merged = _merged_space((usual_file, usual), (config, chosen), (None, argv_values))
    try:
        return Options(**(usual | chosen | argv_values | merged))
    except BadInput as error:
        source = origin.get(error.field or "")
        message = f"{source}: {error}" if source else str(error)
        raise type(error)(message, error.field) from None


def _merged_space(
    *layers: tuple[Path | str | None, dict[str, Any]],
) -> dict[str, dict[str, str]]:
    """What the layers say of the search space, dimension by dimension; later ones win.

    Args:
      *layers: the file, or None for the command line, and its values by setting.

    Raises:
      BadInput: one of them cannot be read.
    """
    merged: dict[str, dict[str, str]] = {}
    for source, layer in layers:
        given = {}
        for setting, read in (("space", changes), ("fix", values)):
            try:
                given[setting] = read(layer.get(setting, {}))
            except ValueError as error:
                where = f"{source}: " if source else ""
                raise BadInput(f"{where}{setting}: {error}") from None
        again = set().union(*given.values())
        for setting, texts in given.items():
            before = merged.get(setting, {})
            kept = {name: x for name, x in before.items() if name not in again}
            merged[setting] = kept | texts
    return merged


def _usual_file(values: dict[str, Any]) -> Path | None:
    """The file of usual settings for the task and environment among `values`."""
    task = values.get("task", Options.model_fields["task"].default)
    if task == "ppo":
        env_name = values.get("env_name", Options.model_fields["env_name"].default)
        path = CONFIGS / "ppo" / f"{env_name}.yaml"
        return path if env_name in choices("env_name") and path.is_file() else None
    path = CONFIGS / f"{task}.yaml"
    return path if task in choices("task") and path.is_file() else None


def read_settings(path: Path) -> dict[str, Any]:
    """The settings in a YAML file, their names checked.

    Raises:
      BadInput: the file cannot be read, or names something that is no setting.
    """
    values = _read_yaml(path)
    known = tuple(Options.model_fields)
    for key in values:
        if key not in known:
            advice = _flag_advice().get(str(key)) or nearest(str(key), known)
            raise BadInput(f"{path}: unknown setting {str(key)!r}, {advice}")
    return values


class _Loader(yaml.SafeLoader):
    """YAML of one value, each of whose parts stands there once."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            problem = "a reference (*) to another part, write it out"
            raise yaml.composer.ComposerError(None, None, problem, mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Any:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        names = Counter(str(key.value) for key, _ in pairs)
        if twice := [name for name, count in names.items() if count > 1]:
            # YAML itself would keep the last one.
            raise BadInput(f"{', '.join(sorted(twice))} given twice, keep one")
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[Any, Any]:
    """What a YAML file holds, which must be a mapping or nothing. Raises BadInput."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise BadInput(f"larger than {MOST_BYTES:,} bytes, these are no settings")
        loader = _Loader(content.decode())
        values = loader.get_single_data()
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise BadInput(f"{path}: not readable as YAML{where}: {problem}") from None
    except RecursionError:
        raise BadInput(f"{path}: not readable as YAML: nested too deeply") from None
    except Exception as error:  # what YAML makes of dates, tags and large numbers
        problem = getattr(error, "strerror", None) or error
        raise BadInput(f"{path}: not readable: {problem}") from None
    if values is None:  # nothing but comments
        return {}
    if not isinstance(values, dict):
        raise BadInput(f"{path}: not a mapping, write one `name: value` a line")
    return values


def _flag_advice() -> dict[str, str]:
    """What to write instead of a flag, by its name without dashes."""
    command_line = dict.fromkeys(("config", "dry_run"), "it is only a flag")
    return command_line | {
        flag.lstrip("-"): f"write {name}"
        for name in Options.model_fields
        for flag in declaration(name).flags
    }
