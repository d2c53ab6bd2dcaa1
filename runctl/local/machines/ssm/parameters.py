"""AWS's public parameters under `/aws/service/`, and the rest from the emulator."""

from datetime import UTC, datetime
from typing import Any

from runctl.local.machines.catalogue import Catalogue
from runctl.local.machines.wire.errors import AwsError
from runctl.local.machines.wire.pages import page
from runctl.local.machines.wire.upstream import Upstream

Json = dict[str, Any]

PUBLIC_PREFIX = "/aws/service"
_LAST_MODIFIED = datetime(2026, 11, 5, tzinfo=UTC)
_PAGE_LIMIT = 10


class PublicParameters:
    """Answers reads of parameters: public ones from the data, others from the emulator."""

    def __init__(self, catalogue: Catalogue, upstream: Upstream) -> None:
        self._catalogue = catalogue
        self._upstream = upstream

    async def get(self, parameters: Json) -> Json:
        """GetParameter of a public parameter."""
        name = parameters["Name"]
        if name not in self._catalogue.public_parameters:
            raise AwsError("ParameterNotFound", f"{name} is not among the public parameters of runctl's local cloud.")
        return {"Parameter": self._view(name)}

    async def get_some(self, parameters: Json) -> Json:
        """GetParameters, public and own ones together."""
        public = [name for name in parameters["Names"] if is_public(name)]
        found = [self._view(name) for name in public if name in self._catalogue.public_parameters]
        invalid = [name for name in public if name not in self._catalogue.public_parameters]
        own = [name for name in parameters["Names"] if not is_public(name)]
        if own:
            answer = await self._upstream.call("ssm", "GetParameters", **{**parameters, "Names": own})
            found += answer["Parameters"]
            invalid += answer["InvalidParameters"]
        return {"Parameters": found, "InvalidParameters": invalid}

    async def get_by_path(self, parameters: Json) -> Json:
        """GetParametersByPath below `/aws/service`."""
        path = f"{parameters['Path'].rstrip('/')}/"
        deep = parameters.get("Recursive", False)
        names = [
            name
            for name in self._catalogue.public_parameters
            if name.startswith(path) and (deep or "/" not in name.removeprefix(path))
        ]
        shown, next_token = page(
            names,
            lambda name: name,
            limit=parameters.get("MaxResults", _PAGE_LIMIT),
            token=parameters.get("NextToken"),
            invalid_token=AwsError("InvalidNextToken", "The specified token isn't valid."),
        )
        return {"Parameters": [self._view(name) for name in shown], "NextToken": next_token}

    def _view(self, name: str) -> Json:
        return {
            "Name": name,
            "Type": "String",
            "Value": self._catalogue.public_parameters[name],
            "Version": 1,
            "LastModifiedDate": _LAST_MODIFIED,
            "ARN": f"arn:aws:ssm:{self._catalogue.region}::parameter{name}",
            "DataType": "text",
        }


def is_public(name: str) -> bool:
    """Whether a name or path is one of AWS's own."""
    return name == PUBLIC_PREFIX or name.startswith(f"{PUBLIC_PREFIX}/")
