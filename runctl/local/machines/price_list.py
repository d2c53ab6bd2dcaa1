"""The AWS Price List, as far as the prices of machines on demand go."""

import hashlib
import json
from typing import Any, Final

from runctl.local.machines.catalogue import Catalogue
from runctl.local.machines.wire import aws_json
from runctl.local.machines.wire.asgi import Response
from runctl.local.machines.wire.errors import AwsError, unsupported

TARGET: Final = "AWSPriceListService."

_CONTENT_TYPE: Final = "application/x-amz-json-1.1"
_SAME_FOR_ALL: Final = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
    "licenseModel": "No License required",
    "operation": "RunInstances",
    "servicecode": "AmazonEC2",
}
_FIELDS: Final = frozenset({*_SAME_FOR_ALL, "instanceType", "regionCode"})
_MOST_A_PAGE: Final = 100


class PriceListCalls:
    """Answers GetProducts for `AmazonEC2`: one product a type, with its term on demand."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def answer(self, action: str, body: bytes) -> Response:
        """Answer a call; errors are answers too."""
        try:
            if action != "GetProducts":
                raise unsupported(f"{action} of the Price List")
            return Response.json(self._products(aws_json.document(body)), content_type=_CONTENT_TYPE)
        except AwsError as error:
            return aws_json.failure(error)

    def _products(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("ServiceCode") != "AmazonEC2":
            raise AwsError("NotFoundException", f"{request.get('ServiceCode')} is not listed on runctl's local cloud.")
        wanted: dict[str, str] = {}
        for each in request.get("Filters", []):
            if each.get("Type") != "TERM_MATCH" or each.get("Field") not in _FIELDS:
                raise AwsError("InvalidParameterException", f"The filter {each} is not known.")
            wanted[each["Field"]] = each["Value"]
        found = [name for name in sorted(self._catalogue.types) if self._matches(name, wanted)]
        start = int(request.get("NextToken") or 0)
        limit = min(int(request.get("MaxResults") or _MOST_A_PAGE), _MOST_A_PAGE)
        more = {"NextToken": str(start + limit)} if start + limit < len(found) else {}
        return {
            "FormatVersion": "aws_v1",
            "PriceList": [json.dumps(self._product(name)) for name in found[start : start + limit]],
            **more,
        }

    def _matches(self, name: str, wanted: dict[str, str]) -> bool:
        attributes = self._attributes(name)
        return all(attributes[field] == value for field, value in wanted.items())

    def _attributes(self, name: str) -> dict[str, str]:
        kind = self._catalogue.types[name]
        return {
            **_SAME_FOR_ALL,
            "instanceType": name,
            "regionCode": self._catalogue.region,
            "vcpu": str(kind.vcpus),
            "memory": f"{kind.memory_mib / 1024:g} GiB",
        }

    def _product(self, name: str) -> dict[str, Any]:
        sku = hashlib.sha256(name.encode()).hexdigest()[:16].upper()
        term, dimension = f"{sku}.JRTCKXETXF", f"{sku}.JRTCKXETXF.6YS6EN2CT7"
        usd = f"{self._catalogue.on_demand_usd_per_hour(name):.10f}"
        price: dict[str, Any] = {
            "rateCode": dimension,
            "unit": "Hrs",
            "description": f"${usd} per On Demand Linux {name} Instance Hour",
            "beginRange": "0",
            "endRange": "Inf",
            "appliesTo": [],
            "pricePerUnit": {"USD": usd},
        }
        return {
            "product": {"productFamily": "Compute Instance", "attributes": self._attributes(name), "sku": sku},
            "serviceCode": "AmazonEC2",
            "terms": {
                "OnDemand": {
                    term: {
                        "priceDimensions": {dimension: price},
                        "sku": sku,
                        "effectiveDate": "2026-11-01T00:00:00Z",
                        "offerTermCode": "JRTCKXETXF",
                        "termAttributes": {},
                    }
                }
            },
        }
