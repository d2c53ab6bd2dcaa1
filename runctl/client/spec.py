"""What a person asks for through the Python API or the command line."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from runctl.client.project import MAX_PROJECT_BYTES
from runctl.model.run import CodeRef, RunRequest
from runctl.model.run import RunSpec as StoredSpec


class RunSpec(RunRequest):
    """A training to run. What is stored of it is `runctl.model.run.RunSpec`: the same, with the code that was uploaded.

    `script` is relative to the project's folder; in its place there is `module` or `command`.
    """

    project_dir: Path | None = None
    """The project that is sent. None: the one that the working folder lies in."""
    project: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Name under which runs are listed together. None: the name of the project's folder."""
    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Name of the run. None: one that people remember, e.g. `brave-otter`."""
    include: tuple[str, ...] = ()
    """Patterns of .gitignore, relative to the project's folder: what is sent although a .gitignore names it."""
    exclude: tuple[str, ...] = ()
    """Patterns of .gitignore, relative to the project's folder: what is not sent; weighs most."""
    max_project_bytes: Annotated[int, Field(ge=1)] = MAX_PROJECT_BYTES

    def stored(self, code: CodeRef) -> StoredSpec:
        """Say the same of code that lies in the bucket."""
        asked = {name: getattr(self, name) for name in RunRequest.model_fields}
        return StoredSpec(**asked, code=code)
