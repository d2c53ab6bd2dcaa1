"""Reads scalars from TensorBoard event files: TFRecords of `Event` messages, by their published formats.

A record is its length (8 bytes), a masked CRC-32C of that, the data, and a masked CRC-32C of it, all little endian
(TensorFlow's guide, "TFRecord and tf.train.Example"). The messages are TensorFlow's event.proto, summary.proto and
tensor.proto, in protobuf's wire format (Protocol Buffers documentation, "Encoding").
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NAME_PATTERN = "*tfevents*"

LARGEST_RECORD_BYTES = 64 * 1024
"""Larger records hold graphs, images and texts, and are passed over: a scalar's takes less than a hundred bytes."""

RECORDS_AT_ONCE = 5_000

_MASK_DELTA = 0xA282EAD8
_HEADER = struct.Struct("<QI")
_CRC = struct.Struct("<I")
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DT_FLOAT, _DT_DOUBLE = 1, 2


class DamagedFileError(ValueError):
    """A record's checksum does not fit."""


@dataclass(frozen=True)
class Scalar:
    """One value of one tag."""

    tag: str
    step: int
    value: float


def _crc_table() -> tuple[int, ...]:
    table: list[int] = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """The Castagnoli CRC (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def masked_crc(data: bytes) -> int:
    """The CRC as a TFRecord holds it."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


class EventFile:
    """One event file, read on from where it was read to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self) -> list[Scalar]:
        """Read the scalars of the records that are complete, at most RECORDS_AT_ONCE records. Raises DamagedFileError;
        OSError."""
        scalars: list[Scalar] = []
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            for _ in range(RECORDS_AT_ONCE):
                file.seek(self._offset)
                header = file.read(_HEADER.size)
                if len(header) < _HEADER.size:
                    break
                length, crc = _HEADER.unpack(header)
                if masked_crc(header[:8]) != crc:
                    raise DamagedFileError(f"the length of a record at {self._offset} is damaged")
                end = self._offset + _HEADER.size + length + _CRC.size
                if end > size:
                    break
                if length <= LARGEST_RECORD_BYTES:
                    data = file.read(length)
                    (crc,) = _CRC.unpack(file.read(_CRC.size))
                    if masked_crc(data) != crc:
                        raise DamagedFileError(f"the record at {self._offset} is damaged")
                    scalars.extend(_scalars_of_event(data))
                self._offset = end
        return scalars


def _scalars_of_event(data: bytes) -> Iterator[Scalar]:
    step, summaries = 0, list[bytes]()
    for number, _, value in _fields(data):
        if number == 2 and isinstance(value, int):
            step = value if value < 1 << 63 else value - (1 << 64)
        elif number == 5 and isinstance(value, bytes):
            summaries.append(value)
    for summary in summaries:
        for number, _, value in _fields(summary):
            if number == 1 and isinstance(value, bytes):
                yield from _scalar_of_value(value, step)


def _scalar_of_value(data: bytes, step: int) -> Iterator[Scalar]:
    tag, found = "", None
    for number, wire, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            tag = value.decode("utf-8", "replace")
        elif number == 2 and wire == _FIXED32:
            found = struct.unpack("<f", struct.pack("<I", value))[0]
        elif number == 8 and isinstance(value, bytes):
            found = _number_of_tensor(value)
    if tag and found is not None and math.isfinite(found):
        yield Scalar(tag, step, float(found))


def _number_of_tensor(data: bytes) -> float | None:
    """The one number of a tensor that holds one; None for anything else."""
    dtype, content = 0, b""
    for number, wire, value in _fields(data):
        if number == 1 and wire == _VARINT:
            dtype = value
        elif number in (4, 5, 6) and isinstance(value, bytes):
            content = value
        elif number == 5 and wire == _FIXED32:
            content = struct.pack("<I", value)
        elif number == 6 and wire == _FIXED64:
            content = struct.pack("<Q", value)
    if dtype == _DT_FLOAT and len(content) == 4:
        return struct.unpack("<f", content)[0]
    if dtype == _DT_DOUBLE and len(content) == 8:
        return struct.unpack("<d", content)[0]
    return None


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Go through the fields of a message: number, wire type, value. What is cut off or unknown ends it."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, place = _varint(data, place)
            yield number, wire, value
            continue
        if wire == _BYTES:
            length, place = _varint(data, place)
        else:
            length = {_FIXED64: 8, _FIXED32: 4}.get(wire, len(data))
        piece = data[place : place + length]
        if len(piece) < length:
            return
        place += length
        yield number, wire, piece if wire == _BYTES else int.from_bytes(piece, "little")


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data) and shift < 70:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return value & 0xFFFFFFFFFFFFFFFF, place
