"""Wire types of the chat API: what is checked of a request.

The engine gets the client's own JSON, not these objects; they name each parameter that Headpond
knows and bound it. The list is that of the official client (a test compares them).
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from headpond.gateway.deadlines import BestEffort, Deadline, ExpiresIn

Penalty: TypeAlias = Annotated[float, Meta(ge=-2, le=2)]
TokenCount: TypeAlias = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256, pattern="^[^\\x00-\\x1f]*$")]
Text: TypeAlias = Annotated[str, Meta(max_length=512, pattern="^[^\\x00]*$")]
Open: TypeAlias = dict[str, object]
"""An object that only the engine understands."""

Metadata: TypeAlias = Annotated[
    dict[Annotated[str, Meta(max_length=64, pattern="^[^\\x00]*$")], Text],
    Meta(max_length=16, description="Up to 16 pairs, kept with the job"),
]
ServiceTier: TypeAlias = Annotated[
    Literal["auto", "default", "flex", "scale", "priority", "fast"],
    Meta(description="`flex` waits in the batch lane; `priority` and `fast` in the interactive"),
]


class Part(msgspec.Struct, frozen=True):
    """A piece of a message: text, or something that the engine may understand."""

    type: str
    text: str | None = None


class Message(msgspec.Struct, frozen=True):
    """A message; fields beyond these are the engine's business."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[Open] | None = None
    tool_call_id: str | None = None


Messages: TypeAlias = Annotated[list[Message], Meta(min_length=1)]


class FunctionTool(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    description: str | None = None
    parameters: Open | None = None
    strict: bool | None = None


class Tool(msgspec.Struct, frozen=True):
    type: str
    function: FunctionTool | None = None


class JsonSchema(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    description: str | None = None
    schema: Open | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, frozen=True):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class ChatParameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything but model, messages and what belongs to one front door alone.

    `best_effort`, `deadline` and `expires_in` are Headpond's own.
    """

    audio: Open | None = None
    best_effort: BestEffort = False
    deadline: Deadline | None = None
    expires_in: ExpiresIn | None = None
    frequency_penalty: Penalty | None = None
    function_call: str | Open | None = None
    functions: list[Open] | None = None
    logit_bias: dict[str, Annotated[float, Meta(ge=-100, le=100)]] | None = None
    logprobs: bool | None = None
    max_completion_tokens: TokenCount | None = None
    max_tokens: TokenCount | None = None
    metadata: Metadata | None = None
    modalities: list[str] | None = None
    moderation: Open | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    parallel_tool_calls: bool | None = None
    prediction: Open | None = None
    presence_penalty: Penalty | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: Open | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    response_format: ResponseFormat | None = None
    safety_identifier: str | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=16)] | None = None
    store: bool | None = None
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    tool_choice: str | Open | None = None
    tools: Annotated[list[Tool], Meta(max_length=128)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    user: str | None = None
    verbosity: str | None = None
    web_search_options: Open | None = None

    @property
    def answer_limits(self) -> dict[str, int | None]:
        """The limits of one answer by name: there are two, and engines differ in which counts."""
        return {
            "max_completion_tokens": self.max_completion_tokens,
            "max_tokens": self.max_tokens,
        }


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With `include_usage` a last chunk says how many tokens there were.

    Chunks are never padded, whatever `include_obfuscation` says: their lengths depend on when the
    tokens came.
    """

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ChatRequest(ChatParameters, frozen=True, kw_only=True):
    """Body of POST /v1/chat/completions."""

    messages: Messages
    model: Name
    service_tier: ServiceTier | None = None
    stream_options: StreamOptions | None = None


class OpenChatRequest(ChatRequest, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The same where parameters that Headpond does not know are passed on."""


class AnswerMessage(msgspec.Struct, frozen=True):
    """As loose as engines are."""

    content: object = None
    tool_calls: object = None


class Choice(msgspec.Struct, frozen=True):
    """What Headpond reads of an answer."""

    message: AnswerMessage
    finish_reason: str | None = None


class ChatCompletion(msgspec.Struct, frozen=True):
    """An engine's answer, as far as Headpond looks into it."""

    choices: list[Choice] = []

    @property
    def text(self) -> str | None:
        """The first choice's text, None if it has none."""
        content = self.choices[0].message.content if self.choices else None
        return content if isinstance(content, str) else None


_decode = msgspec.json.Decoder(ChatCompletion).decode


def completion(response: bytes | None) -> ChatCompletion:
    """An engine's answer as far as it can be read; empty where it makes no sense."""
    try:
        return _decode(response) if response is not None else ChatCompletion()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ChatCompletion()
