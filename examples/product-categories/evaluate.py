"""Measure an engine's accuracy, confidence and speed on the held-out products.

Run it from the repository's root:

    uv run --group train python examples/product-categories/evaluate.py transformers
    uv run --group train python examples/product-categories/evaluate.py http://127.0.0.1:8080

The second form takes any OpenAI-compatible server, such as the one that `serve.py` starts.
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Sequence

import ask_http
from answers import CONFIDENT, Answer, judge
from catalogue import Product, read_products

MISTAKES_SHOWN = 10


def main() -> None:
    """Ask, judge, print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("engine", help="'transformers', or a server's address without /v1")
    arguments.add_argument("--clients", type=int, default=8, help="requests at a time (8)")
    options = arguments.parse_args()

    products = read_products("held-out")
    started = time.perf_counter()
    answers = ask(options.engine, [product.title for product in products], options.clients)
    elapsed_s = time.perf_counter() - started

    report = judge(answers, [product.category for product in products])
    print(f"accuracy                     {report.accuracy}")
    print(f"probability >= {CONFIDENT}          {report.confident}")
    print(f"accuracy of those            {report.confident_accuracy}")
    print(f"{len(products) / elapsed_s:.0f} titles/s ({elapsed_s:.1f} s, start included)")
    print_mistakes(products, answers)


def ask(engine: str, titles: Sequence[str], clients: int) -> list[Answer]:
    """Send the titles to the named engine."""
    if engine == "transformers":
        # Imported here: a server can then be measured where PyTorch is not installed.
        import ask_transformers  # noqa: PLC0415

        return ask_transformers.ask_all(titles)
    return asyncio.run(ask_http.ask_all(engine, titles, clients))


def print_mistakes(products: Sequence[Product], answers: Sequence[Answer]) -> None:
    """Print which categories are most often taken for which."""
    mistakes = Counter(
        (product.category, answer.text)
        for product, answer in zip(products, answers, strict=True)
        if answer.text != product.category
    )
    for (category, text), count in mistakes.most_common(MISTAKES_SHOWN):
        print(f"  {count:>3} x {category} taken for {text}")


if __name__ == "__main__":
    main()
