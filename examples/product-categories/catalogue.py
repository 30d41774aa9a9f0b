"""The task: which prompt asks for a product's category, and where its data and model lie."""

import csv
import io
import lzma
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

HERE = Path(__file__).resolve().parent
PRODUCTS = HERE / "data" / "products.csv.xz"
HELD_OUT_SAMPLE = HERE / "data" / "held_out.csv"
MODEL_FOLDER = HERE / "model"
GGUF_FILE = HERE / "product-categories.gguf"

MODEL_NAME = "product-categories"
SYSTEM_PROMPT = "Categorise this product."

Split = Literal["train", "validation", "held-out"]


@dataclass(frozen=True, slots=True)
class Product:
    """One shop's listing of a product.

    `title` is the shop's own text, in lower case as the source publishes it. `name` is the
    comparison site's name for the same product, in natural case; many listings share it.
    """

    product_id: int
    title: str
    name: str
    category: str
    split: Split


def chat_messages(title: str) -> list[dict[str, str]]:
    """Return the conversation that every engine is asked to continue with a category."""
    return [
        {"role": "system", "content": SYSTEM_PROMPT},
        {"role": "user", "content": title},
    ]


def read_products(*splits: Split) -> list[Product]:
    """Return the products of the named splits, in the file's order."""
    text = lzma.decompress(PRODUCTS.read_bytes()).decode()
    rows = csv.DictReader(io.StringIO(text))
    return [product for product in map(_product, rows) if product.split in splits]


def write_products(products: Iterable[Product]) -> None:
    """Write the training data; the same products always give the same bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["product_id", "title", "name", "category", "split"])
    for item in products:
        writer.writerow([item.product_id, item.title, item.name, item.category, item.split])
    PRODUCTS.write_bytes(lzma.compress(text.getvalue().encode(), preset=9 | lzma.PRESET_EXTREME))


def _product(row: dict[str, str]) -> Product:
    split = row["split"]
    if split not in get_args(Split):
        message = f"{PRODUCTS.name}: product {row['product_id']} has no known split: {split!r}"
        raise ValueError(message)
    return Product(int(row["product_id"]), row["title"], row["name"], row["category"], split)
