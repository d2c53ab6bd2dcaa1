"""Makes the Python of a training, from what an earlier attempt of the run left where that will do."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from runctl.agent.environment import PythonEnvironment
from runctl.agent.job import Job
from runctl.agent.layout import AttemptFolder
from runctl.agent.package_cache import PackageCache, content_of
from runctl.agent.package_keeping import Installed
from runctl.agent.packages import Packages
from runctl.agent.resume import Links
from runctl.agent.run_log import RunLog
from runctl.agent.setup_error import SetupError


def install(
    job: Job,
    folder: AttemptFolder,
    tools: Path,
    packages: Packages | None,
    links: Links,
    log: RunLog,
    cancelled: Callable[[], bool],
) -> tuple[Path, Installed | None]:
    """Answer the Python to run, and what of its packages is worth being kept for a later attempt.

    Raises SetupError, or SetupCancelledError when somebody asked for the end.
    """
    with_pip = bool(job.setup)
    cache = PackageCache(tools, os.environ)
    environment = PythonEnvironment(folder.environment, tools, log, cancelled, cache.variables())
    if packages is None or not cache.is_own:
        return environment.prepare(packages, with_pip=with_pip), None
    content = content_of(packages, folder.code, with_pip=with_pip)
    kept = job.kept_packages
    if kept is not None and kept.content == content:
        problem = cache.fill(kept, links, folder.packages, log, cancelled)
        if problem is None:
            offline = PythonEnvironment(folder.environment, tools, log, cancelled, cache.variables(offline=True))
            try:
                python = offline.prepare(packages, with_pip=with_pip)
            except SetupError as error:
                problem = str(error)
                shutil.rmtree(folder.environment, ignore_errors=True)
            else:
                log.say("the packages came from an earlier attempt; no index was asked")
                return python, None
        log.say(f"the packages that an earlier attempt left cannot be used: {problem}; installing them anew")
    begun_at = time.monotonic()
    python = environment.prepare(packages, with_pip=with_pip)
    return python, Installed(content, time.monotonic() - begun_at)
