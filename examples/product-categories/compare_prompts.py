"""Check that llama.cpp reads a prompt as the very tokens that the model was trained on.

Run it from the repository's root, against a running `serve.py`:

    uv run --group train python examples/product-categories/compare_prompts.py http://127.0.0.1:8080

Renders and tokenizes each text in both worlds and compares the token ids one by one.
"""

import asyncio
import sys
from collections.abc import Iterator, Sequence

import aiohttp
from transformers import AutoTokenizer

from catalogue import MODEL_FOLDER, chat_messages, read_products

MISMATCHES_SHOWN = 5

# What the data lacks but a visitor may type.
UNUSUAL_TEXTS = (
    "",
    " ",
    "  two   spaces and a trailing one ",
    "line\nbreak\n\nand\ttab",
    "Siemens Kühl-Gefrierkombination 203cm, weiß",
    "65” téléviseur 4K — 1.299,00 €",
    "冷蔵庫 500L",
    "it's we'll they've 12345678901234567890",
    "!!!??? $$$ ### (1/2) [x] {y} <z>",
    "📷 canon eos",
)


def main() -> None:
    """Print how many texts agree; exit with 1 when any does not."""
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit(__doc__)
    texts = [*texts_to_compare()]
    mismatches = asyncio.run(find_mismatches(sys.argv[1], texts))
    print(f"{len(texts) - len(mismatches)} of {len(texts)} prompts are the same, token for token")
    for text in mismatches[:MISMATCHES_SHOWN]:
        print(f"  differs: {text!r}")
    sys.exit(1 if mismatches else 0)


def texts_to_compare() -> Iterator[str]:
    """Yield the held-out titles (lower case), their names (natural case), the unusual texts."""
    products = read_products("held-out")
    yield from dict.fromkeys(product.title for product in products)
    yield from dict.fromkeys(product.name for product in products)
    yield from UNUSUAL_TEXTS


async def find_mismatches(base_url: str, texts: Sequence[str]) -> list[str]:
    """Return the texts whose prompts the two tokenizers cut differently."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL_FOLDER)
    mismatches: list[str] = []
    async with aiohttp.ClientSession(base_url) as session:
        for text in texts:
            expected = tokenizer.apply_chat_template(
                chat_messages(text), add_generation_prompt=True, return_dict=False
            )
            if await llama_cpp_tokens(session, text) != expected:
                mismatches.append(text)
    return mismatches


async def llama_cpp_tokens(session: aiohttp.ClientSession, text: str) -> list[int]:
    """Return the token ids that llama.cpp's chat endpoint would feed to the model."""
    rendered = await post(session, "/apply-template", {"messages": chat_messages(text)})
    # The flags that its chat endpoint uses.
    request = {"content": rendered["prompt"], "add_special": True, "parse_special": True}
    return (await post(session, "/tokenize", request))["tokens"]


async def post(session: aiohttp.ClientSession, path: str, request: dict[str, object]) -> dict:
    """Send JSON, get JSON."""
    async with session.post(path, json=request) as response:
        response.raise_for_status()
        return await response.json()


if __name__ == "__main__":
    main()
