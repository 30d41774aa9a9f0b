"""Starts LiteLLM's proxy as its own script does, by module so that no script path is needed."""

from litellm.proxy.proxy_cli import run_server

if __name__ == "__main__":
    run_server()
