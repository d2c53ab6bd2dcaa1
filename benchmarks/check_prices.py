"""Compare the prices that come with runctl with a folder of real ones: `python -m benchmarks.check_prices FOLDER`.

The folder holds CSV files with at least the columns `instance_type`, `region`, `az_id`, `on_demand_usd_per_hour`; a
column `spot_usd_per_hour` is looked at too. Local zones are left out, for they carry their parent's price. Ends with 1
when a price differs or the table has grown beyond its size.
"""

import argparse
import csv
import json
import re
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

TABLE: Final = Path(__file__).parents[1] / "runctl" / "aws" / "on_demand_prices.json"
MOST_TYPES: Final = 40
"""What the table may hold: facts of a few types for when nobody answers, no copy of a price list."""

_ZONE: Final = re.compile(r"[a-z]+\d-az\d+")
"""An Availability Zone's id; that of a Local Zone has a city in it (Amazon EC2 User Guide, "Regions and Zones")."""

Prices = dict[tuple[str, str], set[Decimal]]
"""By Region and type."""


def real_prices(folder: Path) -> tuple[Prices, list[str]]:
    """Read all tables of a folder; the second part says what is odd about their rows."""
    found: Prices = defaultdict(set)
    odd: list[str] = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                asked = row.get("on_demand_usd_per_hour")
                if not asked or not _ZONE.fullmatch(row["az_id"]):
                    continue
                price = Decimal(asked)
                found[row["region"], row["instance_type"]].add(price)
                spot = row.get("spot_usd_per_hour")
                if spot and Decimal(spot) > price:
                    odd.append(f"{row['instance_type']} in {row['az_id']}: spot {spot} is above on demand {asked}")
    return found, odd


def compare(table: dict[str, Any], real: Prices) -> tuple[list[str], int, list[str]]:
    """Answer what differs, how many prices are the same, and which the folder does not know."""
    differs: list[str] = []
    unknown: list[str] = []
    same = 0
    for region, prices in table["regions"].items():
        for instance_type, text in prices.items():
            seen = real.get((region, instance_type))
            if not seen:
                unknown.append(f"{instance_type} in {region}")
            elif seen == {Decimal(text)}:
                same += 1
            else:
                told = ", ".join(sorted(map(str, seen)))
                differs.append(f"{instance_type} in {region}: the table says {text}, the folder {told}")
    return differs, same, unknown


def main(words: list[str] | None = None) -> int:
    """Compare and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check_prices", description="Check bundled prices.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    folder = parser.parse_args(words).folder
    table = json.loads(TABLE.read_text())
    real, odd = real_prices(folder)
    if not real:
        parser.error(f"no prices in {folder}")
    differs, same, unknown = compare(table, real)
    size = max(len(prices) for prices in table["regions"].values())
    print(
        f"{same} the same, {len(differs)} different, {len(unknown)} not in the folder; {size} types ({table['as_of']})"
    )
    for line in (*differs, *odd):
        print(line)
    print(f"not in the folder: {', '.join(unknown) or 'none'}")
    return 1 if differs or size > MOST_TYPES else 0


if __name__ == "__main__":
    sys.exit(main())
