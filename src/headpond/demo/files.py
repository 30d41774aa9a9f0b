"""Where the example's files lie: in the wheel, or in the repository of an editable install."""

from pathlib import Path

EXAMPLE_MODEL = "product-categories"
SYSTEM_PROMPT = "Categorise this product."
EXAMPLE_PROMPT = "bosch kge49bw41g fridge freezer"

HERE = Path(__file__).resolve().parent
IN_REPOSITORY = HERE.parents[2] / "examples" / EXAMPLE_MODEL


def model_file() -> Path:
    """The model, for llama.cpp."""
    return _find(f"{EXAMPLE_MODEL}.gguf", "")


def held_out_file() -> Path:
    """Titles with their categories, as CSV."""
    return _find("held_out.csv", "data")


def _find(name: str, folder: str) -> Path:
    shipped = HERE / name
    return shipped if shipped.exists() else IN_REPOSITORY / folder / name
