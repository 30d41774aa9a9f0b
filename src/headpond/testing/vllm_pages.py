"""The bodies that vLLM sends, as far as its clients look at them."""

from collections.abc import Iterator, Mapping

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
        self._model = model
        self._tokens = content
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

    def chunks(self, prompt_tokens: int, *, logprobs: bool, limit: int) -> Iterator[bytes]:
        """The same in parts, as events: the role, `limit` tokens at most, the end, the usage."""
        tokens = self._tokens[:limit]
        yield self._chunk({"role": "assistant", "content": ""}, None, None)
        for token in tokens:
            told = {"content": [token]} if logprobs else None
            yield self._chunk({"content": token["token"]}, told, None)
        yield self._chunk({}, None, "stop" if len(tokens) == self.tokens else "length")
        usage = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": len(tokens),
            "total_tokens": prompt_tokens + len(tokens),
        }
        yield self._event({"choices": [], "usage": usage})

    def _chunk(self, delta: object, logprobs: object, finish_reason: str | None) -> bytes:
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": finish_reason,
        }
        return self._event({"choices": [choice]})

    def _event(self, fields: Mapping[str, object]) -> bytes:
        head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1}
        return event(msgspec.json.encode({**head, "model": self._model, **fields}))


END_OF_STREAM = b"data: [DONE]\n\n"


def event(data: bytes) -> bytes:
    """A server-sent event."""
    return b"data: %b\n\n" % data


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
