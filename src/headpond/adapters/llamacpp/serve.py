"""The child process: serves a GGUF file until its parent is gone.

    python -m headpond.adapters.llamacpp.serve PLAN

`PLAN` is a `ServePlan` as JSON. The process watches standard input, a pipe whose other end only
the parent holds: it reads as ended whichever way the parent dies, SIGKILL included.
"""

import importlib
import os
import sys
import threading

import msgspec


class ServePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent decides; see `LlamaCppServer`."""

    model: str
    port: int
    aliases: tuple[str, ...]
    context_tokens: int
    slots: int
    threads: int
    connections: int


def serve(plan: ServePlan) -> object:
    """Load the model and listen; the server runs on threads of its own while it is referenced.

    Raises RuntimeError when llama.cpp cannot load the model or take the port.
    """
    llama = importlib.import_module("xllamacpp")  # takes a while, and has no type stubs
    params = llama.CommonParams()
    params.model.path = plan.model
    params.model_alias = set(plan.aliases)
    params.hostnames = ["127.0.0.1"]
    params.port = plan.port
    params.reuse_port = True  # the parent holds the port too, without listening
    params.n_parallel = plan.slots
    params.n_ctx = plan.context_tokens * plan.slots  # shared out evenly by llama.cpp
    params.cpuparams.n_threads = plan.threads
    params.cpuparams_batch.n_threads = plan.threads
    # A connection that is kept alive occupies a thread. With the default, slots + 4, a new one
    # would wait until an idle one is given up, which takes 5 s.
    params.n_threads_http = plan.connections
    params.cache_ram_mib = 0  # the default keeps up to 8 GiB of old prompts
    params.endpoint_metrics = True
    params.endpoint_slots = False  # it would show other people's prompts
    params.ui = False
    params.verbosity = 0
    return llama.Server(params)


def main() -> None:
    """Serve until standard input ends."""
    plan = msgspec.json.decode(sys.argv[1], type=ServePlan)
    parent = threading.Thread(target=_end_with_parent, daemon=True)
    parent.start()
    try:
        server = serve(plan)
    except RuntimeError as error:
        sys.exit(f"llama.cpp cannot serve {plan.model} on port {plan.port}: {error}")
    parent.join()
    del server  # not before


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    # At once: there is nothing to save, and llama.cpp's own end waits for open connections.
    os._exit(0)


if __name__ == "__main__":
    main()
