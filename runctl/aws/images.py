"""Which of AWS's public SSM parameters names the image of a machine type.

Sources: Amazon Linux 2023 User Guide, "Using AL2023 AMIs with SSM parameters"; AWS Deep Learning AMIs Developer Guide,
"Finding the ID of a DLAMI"; AWS Neuron documentation, "Neuron DLAMI User Guide".
"""

from typing import Final

from runctl.errors import InvalidSpec
from runctl.model.machine import Accelerator, MachineType

_PARAMETERS: Final = {
    ("x86_64", Accelerator.NONE): "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
    ("arm64", Accelerator.NONE): "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64",
    ("x86_64", Accelerator.NVIDIA): (
        "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"
    ),
    ("arm64", Accelerator.NVIDIA): (
        "/aws/service/deeplearning/ami/arm64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"
    ),
    ("x86_64", Accelerator.NEURON): "/aws/service/neuron/dlami/base/amazon-linux-2023/latest/image_id",
}
"""By architecture and accelerator. All are Amazon Linux 2023, which brings the SSM agent."""

_WITHOUT_DRIVER: Final = frozenset({"p2", "p3", "p3dn", "g2", "g3", "g3s", "inf1"})
"""Families older than the drivers of these images: NVIDIA's open modules begin with Turing (AWS Deep Learning AMIs
Developer Guide, release notes of "Deep Learning Base OSS Nvidia Driver GPU AMI (Amazon Linux 2023)": supported EC2
instances), and Neuron has left Inf1 behind ("Neuron DLAMI User Guide")."""


def image_parameter(machine_type: MachineType) -> str:
    """Name the parameter. Raises InvalidSpec when AWS publishes no image for such a machine."""
    if machine_type.name.partition(".")[0] in _WITHOUT_DRIVER:
        raise InvalidSpec(
            f"The drivers of AWS's images no longer know the accelerators of {machine_type.name}.",
            hint="Choose a newer type with --instance-type, e.g. g4dn, g5 or inf2.",
        )
    parameter = _PARAMETERS.get((machine_type.architecture, machine_type.accelerator))
    if parameter is None:
        raise InvalidSpec(
            f"There is no image for {machine_type.name}: {machine_type.architecture}, "
            f"accelerator {machine_type.accelerator.value}.",
            hint="Choose another type with --instance-type.",
        )
    return parameter
