"""Turn the published PriceRunner table into the training data and the held-out sample.

Run it from the repository's root:

    uv run --group train python examples/product-categories/prepare_data.py TABLE

TABLE is `pricerunner_aggregate.csv`, as published by the UCI Machine Learning Repository.

The same table always gives the same two files, byte for byte.
"""

import csv
import hashlib
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from catalogue import HELD_OUT_SAMPLE, Product, Split, write_products

SEED = 837
VALIDATION_SHARE = 0.05
HELD_OUT_SHARE = 0.10
SAMPLE_SIZE = 2_000

# Titles such as "washing machine" join hundreds of unrelated products into one group. Such a group
# is kept for training: held out, it would be a tenth of the examination all by itself.
LARGEST_HELD_OUT_GROUP = 50


@dataclass(frozen=True, slots=True)
class Listing:
    """One row of the published table; `cluster` is the real product that it offers."""

    product_id: int
    title: str
    name: str
    cluster: str
    category: str


def main() -> None:
    """Read the table named on the command line; write both files; print what came of it."""
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit(__doc__)
    listings = list(read_listings(Path(sys.argv[1])))
    products = list(split_products(listings))
    write_products(products)
    held_out = [product for product in products if product.split == "held-out"]
    write_sample(random.Random(SEED).sample(held_out, SAMPLE_SIZE))
    print(f"{len(listings)} listings, {len(products)} distinct titles kept")
    for (split, category), count in sorted(
        Counter((p.split, p.category) for p in products).items()
    ):
        print(f"{split:<10} {category:<16} {count:>5}")


def read_listings(table: Path) -> Iterator[Listing]:
    """Read the rows of `pricerunner_aggregate.csv`."""
    with table.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            yield Listing(
                product_id=int(row["Product ID"]),
                title=row["Product Title"].strip(),
                name=" ".join(row["Cluster Label"].split()),
                cluster=row["Cluster ID"],
                category=row["Category Label"],
            )


def split_products(listings: Iterable[Listing]) -> Iterator[Product]:
    """Each distinct title once, in the split that its product group belongs to.

    A title that the table files under two categories has no right answer and is left out.
    """
    for group in product_groups(listings):
        split = split_of(group)
        by_title = groupby(
            sorted(group, key=attrgetter("title", "product_id")), attrgetter("title")
        )
        for title, twins in by_title:
            first, *others = twins
            if all(other.category == first.category for other in others):
                yield Product(first.product_id, title, first.name, first.category, split)


def product_groups(listings: Iterable[Listing]) -> list[list[Listing]]:
    """Gather listings that are, or may be, offers of the same product.

    Rows of one cluster belong together, and so do clusters that share a title or a name: else
    the same text would stand in the training data and in the held-out data.
    """
    members: defaultdict[str, list[Listing]] = defaultdict(list)
    groups = DisjointSets()
    for listing in listings:
        cluster = f"cluster {listing.cluster}"
        groups.join(cluster, f"text {listing.title.casefold()}")
        groups.join(cluster, f"text {listing.name.casefold()}")
        members[cluster].append(listing)
    joined: defaultdict[str, list[Listing]] = defaultdict(list)
    for cluster, rows in members.items():
        joined[groups.representative(cluster)].extend(rows)
    return list(joined.values())


def split_of(group: list[Listing]) -> Split:
    """Decide by a hash of the group's lowest product id, so that the rows' order plays no part."""
    if len(group) > LARGEST_HELD_OUT_GROUP:
        return "train"
    lowest = min(listing.product_id for listing in group)
    digest = hashlib.sha256(f"{SEED}:{lowest}".encode()).digest()
    position = int.from_bytes(digest[:8]) / 2**64
    if position < HELD_OUT_SHARE:
        return "held-out"
    if position < HELD_OUT_SHARE + VALIDATION_SHARE:
        return "validation"
    return "train"


def write_sample(products: Iterable[Product]) -> None:
    """Write the titles that the demo sends, with the categories to compare the answers with."""
    with HELD_OUT_SAMPLE.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(["product_id", "title", "category"])
        writer.writerows((item.product_id, item.title, item.category) for item in products)


class DisjointSets:
    """Sets of strings that only ever grow together (union-find)."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def representative(self, item: str) -> str:
        """Return the one member that stands for the whole set of `item`."""
        parent = self._parents.setdefault(item, item)
        while parent != item:
            self._parents[item] = self._parents[parent]
            item, parent = parent, self._parents[parent]
        return item

    def join(self, one: str, other: str) -> None:
        """Make the sets of the two items one set."""
        self._parents[self.representative(one)] = self.representative(other)


if __name__ == "__main__":
    main()
