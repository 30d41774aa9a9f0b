"""Wire types of the responses API, as far as it is served here.

What the API knows beyond these is refused by name: a parameter that changes the answer must not be
dropped in silence.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from headpond.gateway.chat_schema import Metadata, Name, Open, ServiceTier, TokenCount
from headpond.gateway.deadlines import BestEffort, Deadline, ExpiresIn

Status: TypeAlias = Literal[
    "queued", "in_progress", "completed", "incomplete", "failed", "cancelled"
]
ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]
Kept: TypeAlias = Annotated[
    bool, Meta(description="Responses are always kept", extra_json_schema={"enum": [True]})
]


class InputPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Text, of the user or of an earlier answer that is sent back as context.

    What only an earlier answer has is taken and left out: no engine reads it.
    """

    type: Literal["input_text", "output_text"]
    text: str
    annotations: list[Open] | None = None
    logprobs: list[Open] | None = None


class InputItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One struct for three kinds, because a message may leave its type out.

    `id` and `status` come with an earlier answer, as do the nulls of the official client.
    """

    type: Literal["message", "function_call", "function_call_output"] = "message"
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: str | list[InputPart] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | None = None
    id: str | None = None
    status: ItemStatus | None = None
    phase: None = None
    caller: None = None
    namespace: None = None


class FunctionTool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: Open | None = None
    strict: bool | None = None


class NamedFunction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    type: Literal["function"]
    name: str


class TextFormat(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: Open | None = None
    strict: bool | None = None


class TextConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    format: TextFormat | None = None
    verbosity: str | None = None


class Reasoning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    effort: str | None = None


class ResponseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /v1/responses. `best_effort`, `deadline`, `expires_in` are Headpond's own."""

    input: Annotated[str, Meta(min_length=1)] | Annotated[list[InputItem], Meta(min_length=1)]
    model: Name
    background: bool | None = None
    best_effort: BestEffort = False
    deadline: Deadline | None = None
    expires_in: ExpiresIn | None = None
    instructions: str | None = None
    max_output_tokens: TokenCount | None = None
    metadata: Metadata | None = None
    parallel_tool_calls: bool | None = None
    prompt_cache_key: str | None = None
    reasoning: Reasoning | None = None
    safety_identifier: str | None = None
    service_tier: ServiceTier | None = None
    store: Kept | None = None
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    text: TextConfig | None = None
    tool_choice: str | NamedFunction | None = None
    tools: Annotated[list[FunctionTool], Meta(max_length=128)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    truncation: Literal["disabled"] | None = None
    user: str | None = None


UNSUPPORTED = frozenset(
    {
        "access_programs",
        "background_options",
        "context_management",
        "conversation",
        "image",
        "include",
        "max_tool_calls",
        "moderation",
        "previous_response_id",
        "prompt",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning.context",
        "reasoning.generate_summary",
        "reasoning.mode",
        "reasoning.summary",
        "stream_options",
        "top_logprobs",
    }
)
"""What the official client has beyond `ResponseRequest` (a test compares them)."""


class OutputPart(msgspec.Struct, frozen=True, kw_only=True):
    type: Literal["output_text"] = "output_text"
    text: str
    annotations: list[Open] = []


class OutputMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    id: str
    role: Literal["assistant"] = "assistant"
    status: ItemStatus
    content: list[OutputPart]


class OutputCall(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call"):
    id: str
    status: ItemStatus
    call_id: str
    name: str
    arguments: str


class ResponseFault(msgspec.Struct, frozen=True):
    code: str
    message: str


class IncompleteDetails(msgspec.Struct, frozen=True):
    reason: Literal["max_output_tokens", "content_filter"]


class InputDetails(msgspec.Struct, frozen=True):
    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: int = 0


class ResponseUsage(msgspec.Struct, frozen=True, kw_only=True):
    input_tokens: int
    input_tokens_details: InputDetails = InputDetails()
    output_tokens: int
    output_tokens_details: OutputDetails = OutputDetails()
    total_tokens: int


class ResponseView(msgspec.Struct, frozen=True, kw_only=True):
    """A response as the official client reads it.

    `background` is what was asked for, and true of a job that came in as something else: nobody
    holds the line for it. `instructions` stay null: they are the first of the messages that the job
    keeps.
    """

    id: str
    object: Literal["response"] = "response"
    created_at: float
    completed_at: float | None
    status: Status
    background: bool
    error: ResponseFault | None
    incomplete_details: IncompleteDetails | None
    instructions: None = None
    max_output_tokens: int | None
    metadata: dict[str, str]
    model: str
    output: list[OutputMessage | OutputCall]
    parallel_tool_calls: bool
    previous_response_id: None = None
    service_tier: str = "default"
    store: bool = True
    temperature: float | None
    text: TextConfig
    tool_choice: str | NamedFunction
    tools: list[FunctionTool]
    top_p: float | None
    truncation: Literal["disabled"] = "disabled"
    usage: ResponseUsage | None
