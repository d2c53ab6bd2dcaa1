"""train_mnist_e2e.py reads MNIST's own IDX files, and says what is wrong with files that are not."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_digits

from tests.training.script import Ending, Script


def _idx(values: bytes, *shape: int, kind: int = 0x08) -> bytes:
    return bytes((0, 0, kind, len(shape))) + struct.pack(f">{len(shape)}I", *shape) + values


def _write_mnist(folder: Path, *, compressed: bool = False) -> None:
    """Write real digits (scikit-learn's, 8 x 8) as the four files of MNIST."""
    digits: Any = load_digits()
    pixels, labels = (digits.data * 15.9375).astype("uint8"), digits.target.astype("uint8")
    folder.mkdir()
    for part, chosen in (("train", slice(0, 1200)), ("t10k", slice(1200, 1600))):
        count = chosen.stop - chosen.start
        files = {
            f"{part}-images-idx3-ubyte": _idx(pixels[chosen].tobytes(), count, 8, 8),
            f"{part}-labels-idx1-ubyte": _idx(labels[chosen].tobytes(), count),
        }
        for name, content in files.items():
            if compressed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)


def _train(tmp_path: Path, folder: Path, *arguments: str) -> Ending:
    return Script("train_mnist_e2e.py", tmp_path / "run", "--data", str(folder), "--epochs", "3", *arguments).run()


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gz"])
def test_reads_idx_files_and_learns_them(compressed: bool, tmp_path: Path) -> None:
    _write_mnist(tmp_path / "mnist", compressed=compressed)

    ending = _train(tmp_path, tmp_path / "mnist")

    assert ending.exit_code == 0, ending
    assert "1,200 images to learn, 400 to test" in ending.stdout
    accuracy = float(ending.stdout.rsplit("done   accuracy ", 1)[1].split("%")[0])
    assert accuracy > 85  # guessing gives 10


def test_limit_takes_the_first_images(tmp_path: Path) -> None:
    _write_mnist(tmp_path / "mnist")

    ending = _train(tmp_path, tmp_path / "mnist", "--limit", "100")

    assert "100 images to learn, 100 to test" in ending.stdout


def _remove(path: Path) -> None:
    path.unlink()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _cut_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _no_idx(path: Path) -> None:
    path.write_bytes(b"<html>404 Not Found</html>")


def _floats(path: Path) -> None:
    path.write_bytes(_idx(bytes(4 * 64), 1, 8, 8, kind=0x0D))


def _labels_instead(path: Path) -> None:
    path.write_bytes(path.with_name("train-labels-idx1-ubyte").read_bytes())


def _fewer(path: Path) -> None:
    path.write_bytes(_idx(bytes(64 * 5), 5, 8, 8))


def _none(path: Path) -> None:
    path.write_bytes(_idx(b"", 0, 8, 8))
    path.with_name("train-labels-idx1-ubyte").write_bytes(_idx(b"", 0))


def _broken_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(path.read_bytes())[:200])


def _label_17(path: Path) -> None:
    labels = path.with_name("train-labels-idx1-ubyte")
    labels.write_bytes(labels.read_bytes()[:-1] + bytes((17,)))


def _other_size(path: Path) -> None:
    path.write_bytes(_idx(bytes(1200 * 63), 1200, 7, 9))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_remove, "has no train-images-idx3-ubyte"),
        (_cut, "1200 x 8 x 8 = 76,800 bytes of data and holds 76,793"),
        (_cut_header, "ends within its header"),
        (_empty, "it starts with nothing"),
        (_no_idx, "is not an IDX file: it starts with 3c 68 74 6d"),
        (_floats, "values of type 0x0d"),
        (_labels_instead, "has 1 dimension(s) where 3 were expected"),
        (_fewer, "holds 5 images"),
        (_none, "holds no images"),
        (_broken_gzip, "broken gzip file"),
        (_label_17, "the label 17"),
        (_other_size, "differ in size"),
    ],
)
def test_bad_data_is_refused_with_the_file_and_the_reason(
    spoil: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    _write_mnist(tmp_path / "mnist")
    spoil(tmp_path / "mnist" / "train-images-idx3-ubyte")

    ending = _train(tmp_path, tmp_path / "mnist")

    assert ending.exit_code == 1, ending
    assert said in ending.stderr
    assert str(tmp_path / "mnist") in ending.stderr
    assert "Traceback" not in ending.stderr


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    ending = _train(tmp_path, tmp_path / "nowhere")

    assert ending.exit_code == 1
    assert f"{tmp_path / 'nowhere'} is not a folder" in ending.stderr


def test_made_up_digits_are_the_same_every_time(tmp_path: Path) -> None:
    first = Script("train_mnist_e2e.py", tmp_path / "first", "--epochs", "1", "--limit", "200").run()
    second = Script("train_mnist_e2e.py", tmp_path / "second", "--epochs", "1", "--limit", "200").run()

    assert "sha256" in first.stdout
    assert first.stdout.splitlines()[-1] == second.stdout.splitlines()[-1]
