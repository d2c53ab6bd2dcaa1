"""What the commands reach: the client of a deployment and the cloud on this machine, built when first asked for."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from runctl.errors import ConfigurationError
from runctl_cli.ports import ChecksPort, ClientPort, DeployingPort, DestroyingPort, LocalCloudPort

if TYPE_CHECKING:
    from runctl.client.clients import Clients
    from runctl.client.deploying import Site
    from runctl_cli.settings import Configuration


_UP_HINT = "Deploy it with: runctl local up"


class Wiring:
    """Builds the real ones. Tests hand the commands another."""

    def client(self, configuration: "Configuration") -> ClientPort:
        """Make the client of the target's deployment. Raises CredentialsError, NotDeployedError, …"""
        from runctl.client.client import Client
        from runctl.client.connect import connect
        from runctl_cli.settings import Target

        settings = configuration.settings
        project = settings.project.name or configuration.folder.name
        if settings.target is Target.LOCAL:
            deployment = connect(environment=self.local_cloud(configuration).environment(), hint=_UP_HINT)
        else:
            deployment = connect(profile=settings.aws.profile, region=settings.aws.region)
        return Client(deployment, project=project)

    def local_cloud(self, configuration: "Configuration") -> LocalCloudPort:
        """Make the handle of the project's local cloud, which need not be up."""
        try:
            from runctl.local.cloud import LocalCloud
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"The local target is not installed here: there is no module {error.name}.",
                hint="Install it with: pip install 'runctl[local]'",
            ) from error
        return LocalCloud(configuration.local_dir.absolute())

    def deploying(self, configuration: "Configuration", say: Callable[[str], None]) -> DeployingPort:
        """Make what deploys the assembly to the target. Raises CredentialsError, AssemblyMissing, …"""
        from runctl.assembly import load_assembly
        from runctl.client.deploying import Deploying
        from runctl_cli.settings import Target

        clients, site = self._target(configuration)
        assembly = load_assembly()
        if configuration.settings.target is Target.LOCAL:
            from runctl.local.functions_archive import default_cache, for_this_machine

            assembly = for_this_machine(assembly, default_cache(), say)
        return Deploying(clients, assembly, site, say=say)

    def destroying(self, configuration: "Configuration", say: Callable[[str], None]) -> DestroyingPort:
        """Make what takes the target's stack down. Raises CredentialsError, …"""
        from runctl.client.destroying import Destroying

        clients, site = self._target(configuration)
        return Destroying(clients, site, say=say)

    def checks(self, configuration: "Configuration", instance_types: Sequence[str]) -> ChecksPort:
        """Make what looks at the target. Raises CredentialsError, …"""
        from runctl.client.checks import Checks

        clients, _ = self._target(configuration)
        return Checks(clients, instance_types)

    def _target(self, configuration: "Configuration") -> "tuple[Clients, Site]":
        """Reach the target, whether something is deployed there or not."""
        from runctl.client.clients import find_clients
        from runctl.client.deploying import Site
        from runctl_cli.settings import Target

        settings = configuration.settings
        if settings.target is Target.AWS:
            return find_clients(profile=settings.aws.profile, region=settings.aws.region), Site()
        environment = self.local_cloud(configuration).environment()
        from runctl.local.deployer import ASSET_BUCKET, PARAMETERS

        return find_clients(environment=environment), Site(ASSET_BUCKET, PARAMETERS)
