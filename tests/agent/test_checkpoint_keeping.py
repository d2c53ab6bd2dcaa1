"""Whatever is uploaded in whatever order: what is kept stays whole, and nothing else stays."""

from hypothesis import given
from hypothesis import strategies as st

from runctl.agent.checkpoint_keeping import Keeping, StoredFile, Uploaded, keep_newest, keys_of

NAMES = st.sampled_from(["latest", "step-1", "step-2", "step-3", "step-4"])
CONTENTS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4)
UPLOADS = st.lists(st.tuples(NAMES, st.integers(0, 50), CONTENTS), min_size=1, max_size=20)


def _course(uploads: list[tuple[str, int, list[str]]], keep: int) -> list[tuple[Uploaded, Keeping, frozenset[str]]]:
    """Upload one after another, unchanged files not again, and note what lies in the bucket after each."""
    kept: tuple[Uploaded, ...] = ()
    bucket: set[str] = set()
    course: list[tuple[Uploaded, Keeping, frozenset[str]]] = []
    for number, (name, at, contents) in enumerate(uploads, start=1):
        known = {file.sha256: file.key for one in kept for file in one.files}
        files = tuple(
            StoredFile(f"{name}/{place}", known.get(content, f"{name}/files/{number}/{place}"), 1, content, content)
            for place, content in enumerate(contents)
        )
        uploaded = Uploaded(name, None, at, f"{name}/manifest.json", files)
        bucket |= {file.key for file in files} | {uploaded.manifest_key}
        keeping = keep_newest(kept, uploaded, keep)
        bucket -= set(keeping.removed)
        kept = keeping.kept
        course.append((uploaded, keeping, frozenset(bucket)))
    return course


@given(uploads=UPLOADS, keep=st.integers(1, 4))
def test_bucket_holds_exactly_what_the_kept_checkpoints_name(
    uploads: list[tuple[str, int, list[str]]], keep: int
) -> None:
    for _, keeping, bucket in _course(uploads, keep):
        assert bucket == keys_of(keeping.kept) | {one.manifest_key for one in keeping.kept}


@given(uploads=UPLOADS, keep=st.integers(1, 4))
def test_the_newest_of_different_names_are_kept(uploads: list[tuple[str, int, list[str]]], keep: int) -> None:
    for uploaded, keeping, _ in _course(uploads, keep):
        ages = [one.finished_ns for one in keeping.kept]
        assert len(keeping.kept) <= keep
        assert ages == sorted(ages)
        assert len({one.name for one in keeping.kept}) == len(keeping.kept)
        assert uploaded in keeping.kept or all(age >= uploaded.finished_ns for age in ages)


@given(uploads=UPLOADS, keep=st.integers(1, 4))
def test_manifests_go_before_the_files_that_they_name(uploads: list[tuple[str, int, list[str]]], keep: int) -> None:
    for _, keeping, _ in _course(uploads, keep):
        kinds = [key.endswith("manifest.json") for key in keeping.removed]
        assert kinds == sorted(kinds, reverse=True)
        assert len(set(keeping.removed)) == len(keeping.removed)
