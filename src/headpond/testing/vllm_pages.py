"""The bodies that vLLM sends, as far as its clients look at them."""

import msgspec

ERROR_TYPES = {400: "BadRequestError", 404: "NotFoundError"}


class CannedAnswers:
    """One chat completion, encoded once: only the prompt's token count differs between answers.

    Every word of `answer` is a token with `logprob`.
    """

    def __init__(self, model: str, answer: str, logprob: float) -> None:
        words = answer.split(" ")
        self.tokens = len(words)
        spoken = [word if at == 0 else f" {word}" for at, word in enumerate(words)]
        content = [{"token": token, "logprob": logprob} for token in spoken]
        self._plain = _without_usage(model, answer, None)
        self._with_logprobs = _without_usage(model, answer, {"content": content})

    def completion(self, prompt_tokens: int, *, logprobs: bool) -> bytes:
        """A chat completion."""
        return b'%b,"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}' % (
            self._with_logprobs if logprobs else self._plain,
            prompt_tokens,
            self.tokens,
            prompt_tokens + self.tokens,
        )


def _without_usage(model: str, answer: str, logprobs: object) -> bytes:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": answer},
        "logprobs": logprobs,
        "finish_reason": "stop",
    }
    body = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [choice],
    }
    return msgspec.json.encode(body)[:-1]


def error_body(status: int, message: str) -> bytes:
    """The envelope of every error."""
    kind = ERROR_TYPES.get(status, "InternalServerError")
    error = {"message": message, "type": kind, "param": None, "code": status}
    return msgspec.json.encode({"error": error})


def model_list(model: str) -> bytes:
    """What `/v1/models` says."""
    listed = {"id": model, "object": "model", "created": 1, "owned_by": "vllm"}
    return msgspec.json.encode({"object": "list", "data": [listed]})


def metrics_page(
    model: str, *, running: int, waiting: int, kv_usage: float, answered: int
) -> bytes:
    """What `/metrics` says, cut down to the load."""
    labels = f'engine="0",model_name="{model}"'
    return (
        "# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
        "# TYPE vllm:num_requests_running gauge\n"
        f"vllm:num_requests_running{{{labels}}} {float(running)}\n"
        "# HELP vllm:num_requests_waiting Number of requests waiting to be processed.\n"
        "# TYPE vllm:num_requests_waiting gauge\n"
        f"vllm:num_requests_waiting{{{labels}}} {float(waiting)}\n"
        "# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.\n"
        "# TYPE vllm:kv_cache_usage_perc gauge\n"
        f"vllm:kv_cache_usage_perc{{{labels}}} {kv_usage}\n"
        "# HELP vllm:request_success_total Count of successfully processed requests.\n"
        "# TYPE vllm:request_success_total counter\n"
        f'vllm:request_success_total{{{labels},finished_reason="stop"}} {float(answered)}\n'
    ).encode()
