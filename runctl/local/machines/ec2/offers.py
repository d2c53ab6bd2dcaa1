"""What can be launched, and for how much: instance types, their zones, spot prices, AWS's public images."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from runctl.local.machines.catalogue import Catalogue, Image, InstanceType, PricePoint
from runctl.local.machines.clock import now
from runctl.local.machines.ec2.filters import matching
from runctl.local.machines.wire.errors import AwsError, unsupported
from runctl.local.machines.wire.pages import page
from runctl.local.machines.wire.upstream import Upstream

Json = dict[str, Any]

_AMAZON = "137112412989"
"""The account that owns Amazon Linux's images."""
_PRODUCTS = ("Linux/UNIX", "Linux/UNIX (Amazon VPC)")
_INVALID_TOKEN = AwsError("InvalidParameterValue", "Unable to parse pagination token")
_HISTORY_PAGE = 1000


class Offers:
    """EC2's calls about what it offers."""

    def __init__(self, catalogue: Catalogue, upstream: Upstream) -> None:
        self._catalogue = catalogue
        self._upstream = upstream

    async def describe_types(self, parameters: Json) -> Json:
        """DescribeInstanceTypes; a type that is not in the data does not exist."""
        wanted = cast("list[str]", parameters.get("InstanceTypes") or [])
        unknown = [name for name in wanted if name not in self._catalogue.types]
        if unknown:
            raise AwsError(
                "InvalidInstanceType", f"The following supplied instance types do not exist: [{', '.join(unknown)}]"
            )
        types = [self._catalogue.types[name] for name in wanted] if wanted else list(self._catalogue.types.values())
        shown, next_token = page(
            matching(types, parameters.get("Filters"), _TYPE_FILTERS),
            lambda instance_type: instance_type.name,
            limit=parameters.get("MaxResults"),
            token=parameters.get("NextToken"),
            invalid_token=_INVALID_TOKEN,
        )
        return {"InstanceTypes": [_type_view(instance_type) for instance_type in shown], "NextToken": next_token}

    async def describe_offerings(self, parameters: Json) -> Json:
        """DescribeInstanceTypeOfferings, by Region or by Availability Zone."""
        location_type = parameters.get("LocationType", "region")
        if location_type not in ("region", "availability-zone"):
            raise unsupported(f"LocationType {location_type}")
        offerings = [
            {"InstanceType": name, "LocationType": location_type, "Location": location}
            for name in self._catalogue.types
            for location in (
                [self._catalogue.region] if location_type == "region" else self._catalogue.offered_zones(name)
            )
        ]
        filters: dict[str, Callable[[Json], list[str]]] = {
            "instance-type": lambda offering: [offering["InstanceType"]],
            "location": lambda offering: [offering["Location"]],
        }
        shown, next_token = page(
            matching(offerings, parameters.get("Filters"), filters),
            lambda offering: f"{offering['InstanceType']} {offering['Location']}",
            limit=parameters.get("MaxResults"),
            token=parameters.get("NextToken"),
            invalid_token=_INVALID_TOKEN,
        )
        return {"InstanceTypeOfferings": shown, "NextToken": next_token}

    async def spot_price_history(self, parameters: Json) -> Json:
        """DescribeSpotPriceHistory, newest first; from the start time on, with the price that was in force then."""
        end = cast("datetime", parameters.get("EndTime") or now())
        # Without a start EC2 answers from the end of its history; the newest stand first either way.
        start = cast("datetime", parameters.get("StartTime") or end - timedelta(days=1))
        wanted = parameters.get("InstanceTypes") or list(self._catalogue.types)
        zones = [parameters["AvailabilityZone"]] if "AvailabilityZone" in parameters else self._catalogue.zones
        products = set(parameters.get("ProductDescriptions") or _PRODUCTS)
        points = [
            point
            for name in wanted
            for zone in zones
            if name in self._catalogue.types and self._catalogue.is_offered(name, zone) and products & set(_PRODUCTS)
            for point in self._catalogue.spot_history(name, zone, start, min(end, now()))
        ]
        shown, next_token = page(
            matching(points, parameters.get("Filters"), _PRICE_FILTERS),
            lambda point: f"{int(point.since.timestamp()):012d} {point.instance_type} {point.zone}",
            limit=parameters.get("MaxResults") or _HISTORY_PAGE,
            token=parameters.get("NextToken"),
            invalid_token=_INVALID_TOKEN,
            descending=True,
        )
        return {"SpotPriceHistory": [_price_view(point) for point in shown], "NextToken": next_token or ""}

    async def describe_images(self, parameters: Json) -> Json:
        """DescribeImages: AWS's public ones that are known here, and the emulator's own."""
        named = cast("list[str]", parameters.get("ImageIds") or [])
        public = [image for image in self._catalogue.images.values() if not named or image.image_id in named]
        own = [image_id for image_id in named if image_id not in self._catalogue.images]
        images: list[Json] = []
        if own or not named:
            asked = {**parameters, "ImageIds": own} if named else parameters
            images += (await self._upstream.call("ec2", "DescribeImages", **asked))["Images"]
        found = {image["ImageId"] for image in images}
        if missing := [image_id for image_id in own if image_id not in found]:
            raise AwsError("InvalidAMIID.NotFound", f"The image id '[{', '.join(missing)}]' does not exist")
        owners = set(parameters.get("Owners") or [])
        if named or owners & {"amazon", _AMAZON}:
            images += [_image_view(image) for image in matching(public, parameters.get("Filters"), _IMAGE_FILTERS)]
        return {"Images": images}


_TYPE_FILTERS: dict[str, Callable[[InstanceType], list[str]]] = {
    "instance-type": lambda each: [each.name],
    "processor-info.supported-architecture": lambda each: [each.architecture],
    "vcpu-info.default-vcpus": lambda each: [str(each.vcpus)],
    "memory-info.size-in-mib": lambda each: [str(each.memory_mib)],
    "supported-usage-class": lambda _: ["on-demand", "spot"],
    "burstable-performance-supported": lambda each: [str(each.burstable).lower()],
    "current-generation": lambda _: ["true"],
    "bare-metal": lambda _: ["false"],
    "hypervisor": lambda _: ["nitro"],
}
_PRICE_FILTERS: dict[str, Callable[[PricePoint], list[str]]] = {
    "availability-zone": lambda point: [point.zone],
    "instance-type": lambda point: [point.instance_type],
    "product-description": lambda _: list(_PRODUCTS),
}
_IMAGE_FILTERS: dict[str, Callable[[Image], list[str]]] = {
    "architecture": lambda image: [image.architecture],
    "image-id": lambda image: [image.image_id],
    "name": lambda image: [image.name],
    "state": lambda _: ["available"],
}


def _type_view(each: InstanceType) -> Json:
    view: Json = {
        "InstanceType": each.name,
        "CurrentGeneration": True,
        "SupportedUsageClasses": ["on-demand", "spot"],
        "SupportedRootDeviceTypes": ["ebs"],
        "SupportedVirtualizationTypes": ["hvm"],
        "BareMetal": False,
        "Hypervisor": "nitro",
        "ProcessorInfo": {"SupportedArchitectures": [each.architecture]},
        "VCpuInfo": {"DefaultVCpus": each.vcpus},
        "MemoryInfo": {"SizeInMiB": each.memory_mib},
        "NetworkInfo": {"NetworkPerformance": each.network_performance},
        "BurstablePerformanceSupported": each.burstable,
    }
    if each.gpu is not None:
        gpu = each.gpu
        view["GpuInfo"] = {
            "Gpus": [
                {
                    "Name": gpu.name,
                    "Manufacturer": gpu.manufacturer,
                    "Count": gpu.count,
                    "MemoryInfo": {"SizeInMiB": gpu.memory_mib},
                }
            ],
            "TotalGpuMemoryInMiB": gpu.count * gpu.memory_mib,
        }
    if each.neuron is not None:
        neuron = each.neuron
        view["NeuronInfo"] = {
            "NeuronDevices": [
                {
                    "Name": neuron.name,
                    "Count": neuron.count,
                    "CoreInfo": {"Count": neuron.cores, "Version": 2},
                    "MemoryInfo": {"SizeInMiB": neuron.memory_mib},
                }
            ],
            "TotalNeuronDeviceMemoryInMiB": neuron.count * neuron.memory_mib,
        }
    return view


def _price_view(point: PricePoint) -> Json:
    return {
        "AvailabilityZone": point.zone,
        "InstanceType": point.instance_type,
        "ProductDescription": _PRODUCTS[0],
        "SpotPrice": f"{point.usd_per_hour:.6f}",
        "Timestamp": point.since,
    }


def _image_view(image: Image) -> Json:
    return {
        "ImageId": image.image_id,
        "Name": image.name,
        "Architecture": image.architecture,
        "RootDeviceName": image.root_device_name,
        "RootDeviceType": "ebs",
        "State": "available",
        "Public": True,
        "OwnerId": _AMAZON,
        "ImageOwnerAlias": "amazon",
        "ImageType": "machine",
        "VirtualizationType": "hvm",
        "EnaSupport": True,
    }
