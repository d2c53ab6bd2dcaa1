"""Which files of a project a training gets, and which scripts it can be."""

from pathlib import Path

import pytest

from runctl.client.project import collect_files, find_project_root, module_in_project, script_in_project
from runctl.errors import InvalidSpec


def _write(root: Path, *paths: str, text: str = "x") -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def _paths(root: Path, **options: object) -> list[str]:
    return [file.path for file in collect_files(root, **options).files]  # type: ignore[arg-type]


def test_gitignore_is_honoured_at_every_level_and_the_deepest_decides(tmp_path: Path) -> None:
    _write(tmp_path, "train.py", "data/big.bin", "a/keep.log", "a/b.log", "c.log", "a/build/x.py")
    _write(tmp_path, ".gitignore", text="*.log\ndata/\n/a/build\n")
    _write(tmp_path, "a/.gitignore", text="!keep.log\n")

    assert _paths(tmp_path) == [".gitignore", "a/.gitignore", "a/keep.log", "train.py"]


def test_file_below_an_ignored_folder_cannot_be_taken_back_in(tmp_path: Path) -> None:
    _write(tmp_path, "train.py", "data/small.csv")
    _write(tmp_path, ".gitignore", text="data/\n!data/small.csv\n")

    assert "data/small.csv" not in _paths(tmp_path)


def test_repository_environment_and_state_are_never_sent(tmp_path: Path) -> None:
    _write(tmp_path, "train.py", ".git/config", ".venv/bin/python", ".runctl/local/x", "a/__pycache__/t.pyc", "b.pyc")

    assert _paths(tmp_path) == ["train.py"]


def test_excludes_of_the_project_hold_as_gitignore_does(tmp_path: Path) -> None:
    _write(tmp_path, "train.py", "notes/a.md", "deep/notes/b.md", "x.md")

    assert _paths(tmp_path, exclude=["/notes/", "x.*"]) == ["deep/notes/b.md", "train.py"]


def test_link_to_a_file_is_sent_and_link_to_a_folder_is_told(tmp_path: Path) -> None:
    _write(tmp_path, "p/train.py", "outside/data.csv")
    (tmp_path / "p/data.csv").symlink_to(tmp_path / "outside/data.csv")
    (tmp_path / "p/all").symlink_to(tmp_path / "outside")
    (tmp_path / "p/gone").symlink_to(tmp_path / "nothing")

    found = collect_files(tmp_path / "p")

    assert [file.path for file in found.files] == ["data.csv", "train.py"]
    assert len(found.skipped) == 2
    assert any("all" in sentence and "folder" in sentence for sentence in found.skipped)


def test_project_without_files_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, "train.py", "data.csv")
    _write(tmp_path, ".gitignore", text="*\n")

    with pytest.raises(InvalidSpec, match="empty"):
        collect_files(tmp_path)


def test_ignored_script_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, "train.py", "other.py")
    _write(tmp_path, ".gitignore", text="train.py\n")

    with pytest.raises(InvalidSpec, match=r"train\.py is ignored") as refusal:
        collect_files(tmp_path, script="train.py")

    assert ".gitignore" in refusal.value.hint


def test_too_large_project_is_refused_with_its_largest_files_named(tmp_path: Path) -> None:
    _write(tmp_path, "train.py")
    _write(tmp_path, "weights.bin", text="w" * 3_000_000)
    _write(tmp_path, "data.bin", text="d" * 2_000_000)

    with pytest.raises(InvalidSpec, match=r"weights\.bin \(3\.0 MB\), data\.bin \(2\.0 MB\)"):
        collect_files(tmp_path, max_bytes=4_000_000)


def test_script_is_named_relative_to_the_root_with_forward_slashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, "training/train.py")
    monkeypatch.chdir(tmp_path / "training")

    assert script_in_project(Path("train.py"), tmp_path) == "training/train.py"
    assert script_in_project(tmp_path / "training/train.py", tmp_path) == "training/train.py"
    assert script_in_project(Path("../training/train.py"), tmp_path) == "training/train.py"


def test_missing_script_is_refused_with_the_near_one_named(tmp_path: Path) -> None:
    _write(tmp_path, "train_digits.py")

    with pytest.raises(InvalidSpec, match="no script") as refusal:
        script_in_project(tmp_path / "train_digit.py", tmp_path)

    assert "train_digits.py" in refusal.value.hint


def test_script_outside_the_project_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, "p/train.py", "other/train.py")

    with pytest.raises(InvalidSpec, match="outside the project"):
        script_in_project(tmp_path / "other/train.py", tmp_path / "p")


def test_folder_is_no_script(tmp_path: Path) -> None:
    _write(tmp_path, "train/main.py")

    with pytest.raises(InvalidSpec, match="folder"):
        script_in_project(tmp_path / "train", tmp_path)


@pytest.mark.parametrize(
    ("marks", "root"),
    [
        ([".runctl.toml", "training/pyproject.toml"], ""),
        ([".git/config", "training/requirements.txt"], ""),
        (["pyproject.toml", "training/requirements.txt"], ""),
        (["training/requirements.txt"], "training"),
    ],
)
def test_surest_mark_names_the_root(tmp_path: Path, marks: list[str], root: str) -> None:
    _write(tmp_path, "training/deep/train.py", *marks)

    assert find_project_root(tmp_path / "training/deep") == (tmp_path / root).resolve()


@pytest.mark.parametrize(
    ("there", "module"),
    [
        ("pkg/fit.py", "pkg.fit"),
        ("pkg/fit/__main__.py", "pkg.fit"),
        ("src/pkg/fit.py", "pkg.fit"),
        ("src/pkg/__main__.py", "pkg"),
    ],
)
def test_module_is_found_where_python_would_find_it(tmp_path: Path, there: str, module: str) -> None:
    (tmp_path / there).parent.mkdir(parents=True)
    (tmp_path / there).touch()

    assert module_in_project(module, tmp_path) == there


def test_module_of_an_installed_package_is_pointed_to_command(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="no module lightning") as caught:
        module_in_project("lightning", tmp_path)

    assert "--command 'python -m lightning'" in caught.value.hint


def test_include_takes_in_what_gitignore_names_even_below_ignored_folders(tmp_path: Path) -> None:
    _write(tmp_path, "train.py", "data/small.csv", "data/deep/x.csv", "data/big.bin", "a.log", "b/c.log", "other/z.csv")
    _write(tmp_path, ".gitignore", text="data/\n*.log\nother/\n")

    found = _paths(tmp_path, include=["/data/*.csv", "a.log", "*.csv"])

    assert found == [".gitignore", "a.log", "data/small.csv", "train.py"]


def test_include_of_a_folder_takes_in_all_of_it_but_what_is_excluded_or_never_sent(tmp_path: Path) -> None:
    _write(tmp_path, "train.py", "data/a.csv", "data/deep/b.csv", "data/__pycache__/c.pyc", "data/secret.csv")
    _write(tmp_path, ".gitignore", text="data/\n")

    found = _paths(tmp_path, include=["data/"], exclude=["secret.csv"])

    assert found == [".gitignore", "data/a.csv", "data/deep/b.csv", "train.py"]


def test_name_that_is_not_utf_8_is_told_and_left_out(tmp_path: Path) -> None:
    _write(tmp_path, "train.py")
    try:
        (tmp_path / "caf\udce9.txt").touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")

    found = collect_files(tmp_path)

    assert [file.path for file in found.files] == ["train.py"]
    assert "UTF-8" in found.skipped[0]
