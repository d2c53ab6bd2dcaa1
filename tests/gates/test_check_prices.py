"""The tool that compares the bundled prices with a folder of real ones."""

import json
from pathlib import Path

import pytest

from benchmarks.check_prices import MOST_TYPES, TABLE, main

HEAD = "instance_type,on_demand_usd_per_hour,spot_usd_per_hour,region,az_id\n"


def write(folder: Path, *rows: str) -> str:
    """Write a table of real prices; answer its folder."""
    (folder / "prices.csv").write_text(HEAD + "".join(f"{row}\n" for row in rows))
    return str(folder)


def test_the_table_is_small_and_says_where_and_when_it_was_read() -> None:
    table = json.loads(TABLE.read_text())

    assert max(len(prices) for prices in table["regions"].values()) <= MOST_TYPES
    assert table["source"]
    assert table["as_of"]


def test_equal_prices_pass_and_local_zones_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, "t3.micro,0.0104,0.003,us-east-1,use1-az1", "t3.micro,0.0125,,us-east-1,use1-lax1-az1")

    assert main([folder]) == 0
    assert "1 the same, 0 different" in capsys.readouterr().out


def test_a_price_that_differs_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, "t3.micro,0.0105,,us-east-1,use1-az1", "t3.micro,,,us-east-1,use1-az2")

    assert main([folder]) == 1
    assert "t3.micro in us-east-1: the table says 0.0104, the folder 0.0105" in capsys.readouterr().out


def test_a_folder_without_prices_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
