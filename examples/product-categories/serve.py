"""Serve the GGUF file with llama.cpp on this machine, with an OpenAI-compatible API.

Run it from the repository's root:

    uv run --group train python examples/product-categories/serve.py [port]
"""

import sys
import threading

import xllamacpp

from catalogue import GGUF_FILE, MODEL_NAME

DEFAULT_PORT = 8080
SLOTS = 8
TOKENS_PER_SLOT = 512
WARNINGS = 2


def main() -> None:
    """Serve until interrupted."""
    port = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_PORT
    server = start_server(port)
    print(f"{MODEL_NAME} at {server.listening_address}/v1, end with Ctrl-C", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print("stopped")


def start_server(port: int) -> xllamacpp.Server:
    """Start llama.cpp's own HTTP server in this process.

    llama.cpp divides its context among the slots: each holds one prompt and its answer.
    """
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(GGUF_FILE)
    parameters.model_alias = {MODEL_NAME}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.n_parallel = SLOTS
    parameters.n_ctx = SLOTS * TOKENS_PER_SLOT
    # Threads of so small a model spend their time waiting for each other. On two busy cores and
    # with eight clients, one thread answered 210 requests a second and two threads 32.
    parameters.cpuparams.n_threads = 1
    # The default writes some 1.5 kB about every request.
    parameters.verbosity = WARNINGS
    parameters.endpoint_metrics = True
    return xllamacpp.Server(parameters)


if __name__ == "__main__":
    main()
