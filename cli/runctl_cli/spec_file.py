"""A run as a file: `runctl train -f run.yaml`. The keys are those of [run] in `.runctl.toml`, and what is to be run."""

from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, cast

from pydantic import BeforeValidator, Field, ValidationError

from runctl.errors import UsageError
from runctl_cli.settings import Configuration, RunSettings
from runctl_cli.what_to_run import WhatToRun, what_to_run

_HINT: Final = "What a file may say: docs/reference/run.schema.json"


def _words(value: Any) -> Any:
    """A list of words may hold numbers: `args: [--epochs, 3]`."""
    if isinstance(value, list):
        return tuple(str(word) for word in cast("list[Any]", value) if isinstance(word, str | int | float))
    return value


Words = Annotated[str | tuple[str, ...], BeforeValidator(_words)]


class SpecFile(RunSettings):
    """A run as a file asks for it: one of `script`, `module` and `command`; what is left out is `.runctl.toml`'s."""

    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    script: str | None = None
    module: str | None = None
    command: str | None = None
    args: Words = ()
    """A list, or one text that is split as a shell would."""

    def over(self, configuration: Configuration) -> Configuration:
        """Lay what the file says over the configuration; variables and secrets of both hold."""
        said = {name: getattr(self, name) for name in self.model_fields_set & set(RunSettings.model_fields)}
        run = configuration.settings.run
        if "instance_type" in said:
            for need in ("gpus", "cpus", "memory"):
                said.setdefault(need, None)
        for both in ("env", "secrets"):
            said[both] = {**getattr(run, both), **said.get(both, {})}
        settings = configuration.settings.model_copy(update={"run": run.model_copy(update=said)})
        return replace(configuration, settings=settings)

    def what_to_run(
        self, words: tuple[str, ...], *, module: str | None, command: str | None, script_args: str | None
    ) -> WhatToRun:
        """What the command line asks to run, or else the file; arguments that are typed replace the file's."""
        if module is not None or command is not None:
            return what_to_run(words, module=module, command=command, script_args=script_args)
        script = () if self.script is None else (self.script,)
        if len([each for each in (self.script, self.module, self.command) if each is not None]) > 1:
            raise UsageError("The file names more than one of script, module and command.", hint="Leave one.")
        if script and words and words[0] != self.script and not words[0].startswith("-"):
            script, words = words[:1], words[1:]
        elif not script and self.module is None and self.command is None:
            return what_to_run(words, module=None, command=None, script_args=script_args)
        if words or script_args is not None:
            return what_to_run((*script, *words), module=self.module, command=self.command, script_args=script_args)
        if isinstance(self.args, str):
            return what_to_run(script, module=self.module, command=self.command, script_args=self.args or None)
        return what_to_run((*script, *self.args), module=self.module, command=self.command, script_args=None)


def read_spec_file(path: Path) -> SpecFile:
    """Read a file in YAML 1.2 (JSON is YAML too). Raises UsageError with the line or the key that is wrong."""
    document = _parse(path)
    if not isinstance(document, dict):
        raise UsageError(f"{path} holds no run: it must be a list of KEY: VALUE lines.", hint=_HINT)
    try:
        return SpecFile.model_validate(document)
    except ValidationError as error:
        raise _explained(path, error) from error


def _parse(path: Path) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"The file {path} cannot be read: {error.strerror or error}.", hint="Check the path: train -f FILE"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"The file {path} is not text in UTF-8.", hint="Save it as UTF-8.") from error
    try:
        return cast("Any", YAML(typ="safe", pure=True)).load(text)
    except MarkedYAMLError as error:
        mark = cast("Any", error).problem_mark or cast("Any", error).context_mark
        place = f", line {mark.line + 1}" if mark is not None else ""
        raise UsageError(f"{path}{place}: not valid YAML: {cast('Any', error).problem}.", hint=_HINT) from error
    except (YAMLError, ValueError) as error:
        raise UsageError(f"{path} is not valid YAML: {error}.", hint=_HINT) from error


def _explained(path: Path, error: ValidationError) -> UsageError:
    first = error.errors(include_url=False)[0]
    keys = [str(part) for part in first["loc"] if not str(part).startswith(("function-", "tuple", "str"))]
    what = first["msg"].removeprefix("Value error, ")
    hint = _HINT
    if first["type"] == "extra_forbidden":
        what = "there is no such setting of a run"
        near = get_close_matches(keys[-1], list(SpecFile.model_fields), n=1)
        hint = f"Did you mean {near[0]}? {_HINT}" if near else _HINT
    return UsageError(f"{path}, {'.'.join(keys)}: {what[:1].lower()}{what[1:]}.", hint=hint)
