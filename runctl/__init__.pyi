from runctl.client.client import Client as Client
from runctl.client.handle import RunHandle as RunHandle
from runctl.client.spec import RunSpec as RunSpec

__version__: str
