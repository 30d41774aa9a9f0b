"""Between the responses API and the chat API that engines speak, both ways."""

from collections.abc import Sequence
from itertools import groupby
from typing import assert_never

import msgspec

from headpond.domain.job import Job, JobState
from headpond.errors import InvalidRequest
from headpond.gateway.chat_schema import (
    ChatCompletion,
    Choice,
    Open,
    ResponseFormat,
    Tool,
    completion,
)
from headpond.gateway.response_schema import (
    FunctionTool,
    IncompleteDetails,
    InputItem,
    NamedFunction,
    OutputCall,
    OutputMessage,
    OutputPart,
    ResponseFault,
    ResponseRequest,
    ResponseUsage,
    ResponseView,
    Status,
    TextConfig,
    TextFormat,
)
from headpond.ports.jobs import Bodies


class _ToolCall(msgspec.Struct, frozen=True):
    id: str
    function: "_Called"


class _Called(msgspec.Struct, frozen=True):
    name: str
    arguments: str


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of a chat request that a job keeps, whichever front door it came through."""

    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    temperature: float | None = None
    tool_choice: object = None
    tools: list[Tool] | None = None
    top_p: float | None = None
    verbosity: str | None = None


_decode_stored = msgspec.json.Decoder(_Stored).decode


def chat_messages(request: ResponseRequest) -> list[Open]:
    """Instructions and input as chat messages."""
    messages: list[Open] = []
    if request.instructions is not None:
        messages.append({"role": "system", "content": request.instructions})
    if isinstance(request.input, str):
        messages.append({"role": "user", "content": request.input})
    else:
        # A model asks for several calls in one turn, and templates want one turn to answer to.
        for calls, items in groupby(request.input, key=lambda item: item.type == "function_call"):
            if calls:
                called = [_tool_call(item) for item in items]
                messages.append({"role": "assistant", "content": None, "tool_calls": called})
            else:
                messages += map(_message, items)
    return messages


def chat_request(request: ResponseRequest) -> Open:
    """The chat completion that answers it; what the client left out stays out."""
    wanted: Open = {
        "messages": chat_messages(request),
        "max_tokens": request.max_output_tokens,
        "parallel_tool_calls": request.parallel_tool_calls,
        "prompt_cache_key": request.prompt_cache_key,
        "reasoning_effort": request.reasoning.effort if request.reasoning else None,
        "response_format": _response_format(request.text),
        "safety_identifier": request.safety_identifier,
        "temperature": request.temperature,
        "tool_choice": _chat_choice(request.tool_choice),
        "tools": [_chat_tool(tool) for tool in request.tools] if request.tools else None,
        "top_p": request.top_p,
        "user": request.user,
        "verbosity": request.text.verbosity if request.text else None,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def response_view(job: Job, bodies: Bodies) -> ResponseView:
    """The response that a job is, or will be."""
    stored = _stored(bodies.request)
    answer = completion(bodies.response)
    reason = _incomplete(answer) if job.state is JobState.SUCCEEDED else None
    limit = stored.max_completion_tokens
    return ResponseView(
        id=response_id(job),
        created_at=job.accepted_at,
        completed_at=job.finished_at if job.state is JobState.SUCCEEDED else None,
        status=_status(job.state) if reason is None else "incomplete",
        background=job.background is not False,
        error=_fault(job),
        incomplete_details=reason,
        max_output_tokens=stored.max_tokens if limit is None else limit,
        metadata=job.metadata,
        model=job.model,
        output=_output(job, answer, "completed" if reason is None else "incomplete"),
        parallel_tool_calls=stored.parallel_tool_calls is not False,
        temperature=stored.temperature,
        text=_text_config(stored),
        tool_choice=_named_choice(stored.tool_choice),
        tools=_function_tools(stored.tools or ()),
        top_p=stored.top_p,
        usage=_usage(job),
    )


def response_id(job: Job) -> str:
    """A job's name as a response; the 32 hex digits are the same."""
    return "resp_" + job.id.removeprefix("job_")


def message_id(job: Job, run: int) -> str:
    """What a run says: another run's message is another item."""
    return f"msg_{job.id.removeprefix('job_')}_{run}"


def call_item_id(job: Job, run: int, index: int) -> str:
    """The same for the calls of one message."""
    return f"fc_{job.id.removeprefix('job_')}_{run}_{index}"


def _message(item: InputItem) -> Open:
    match item:
        case InputItem(type="message", role=str(role), content=str() | list() as content):
            # Chat templates of open models know no developer.
            role = "system" if role == "developer" else role
            text = content if isinstance(content, str) else "".join(part.text for part in content)
            return {"role": role, "content": text}
        case InputItem(type="function_call_output", call_id=str(), output=str()):
            return {"role": "tool", "tool_call_id": item.call_id, "content": item.output}
        case _:
            raise _lacks_a_field(item)


def _tool_call(item: InputItem) -> Open:
    match item:
        case InputItem(call_id=str(), name=str(), arguments=str()):
            called = {"name": item.name, "arguments": item.arguments}
            return {"id": item.call_id, "type": "function", "function": called}
        case _:
            raise _lacks_a_field(item)


def _lacks_a_field(item: InputItem) -> InvalidRequest:
    message = f"An input item of type {item.type!r} lacks a field."
    return InvalidRequest(message, code="missing_required_parameter", param="input")


def _response_format(text: TextConfig | None) -> Open | None:
    if text is None or text.format is None:
        return None
    wanted = text.format
    if wanted.type != "json_schema":
        return {"type": wanted.type}
    schema = {
        "name": wanted.name,
        "description": wanted.description,
        "schema": wanted.schema,
        "strict": wanted.strict,
    }
    kept = {name: value for name, value in schema.items() if value is not None}
    return {"type": "json_schema", "json_schema": kept}


def _text_config(stored: _Stored) -> TextConfig:
    wanted = stored.response_format or ResponseFormat("text")
    if (schema := wanted.json_schema) is None:
        return TextConfig(TextFormat(type=wanted.type), stored.verbosity)
    described = TextFormat(
        type=wanted.type,
        name=schema.name,
        description=schema.description,
        schema=schema.schema,
        strict=schema.strict,
    )
    return TextConfig(described, stored.verbosity)


def _chat_tool(tool: FunctionTool) -> Open:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict,
    }
    kept = {name: value for name, value in function.items() if value is not None}
    return {"type": "function", "function": kept}


def _function_tools(tools: Sequence[Tool]) -> list[FunctionTool]:
    return [
        FunctionTool(
            type="function",
            name=tool.function.name,
            description=tool.function.description,
            parameters=tool.function.parameters,
            strict=tool.function.strict,
        )
        for tool in tools
        if tool.function is not None
    ]


def _chat_choice(choice: str | NamedFunction | None) -> str | Open | None:
    if isinstance(choice, NamedFunction):
        return {"type": "function", "function": {"name": choice.name}}
    return choice


def _named_choice(choice: object) -> str | NamedFunction:
    match choice:
        case str():
            return choice
        case {"function": {"name": str(name)}}:
            return NamedFunction(type="function", name=name)
        case _:
            return "auto"


def _status(state: JobState) -> Status:
    match state:
        case JobState.ACCEPTED | JobState.QUEUED:
            return "queued"
        case JobState.RUNNING:
            return "in_progress"
        case JobState.SUCCEEDED:
            return "completed"
        case JobState.CANCELLED:
            return "cancelled"
        case JobState.FAILED | JobState.EXPIRED | JobState.DEAD:
            return "failed"
        case _:  # pragma: no cover
            assert_never(state)


def _fault(job: Job) -> ResponseFault | None:
    """The API has a fixed list of codes; ours goes in front of the message."""
    if job.error is None or job.state is JobState.CANCELLED:
        return None
    code = "invalid_prompt" if job.state is JobState.FAILED else "server_error"
    return ResponseFault(code, f"{job.error.code}: {job.error.message}")


def _incomplete(answer: ChatCompletion) -> IncompleteDetails | None:
    match answer.choices:
        case [Choice(finish_reason="length"), *_]:
            return IncompleteDetails("max_output_tokens")
        case [Choice(finish_reason="content_filter"), *_]:
            return IncompleteDetails("content_filter")
        case _:
            return None


def _output(job: Job, answer: ChatCompletion, status: str) -> list[OutputMessage | OutputCall]:
    if job.state is not JobState.SUCCEEDED or not answer.choices:
        return []
    # The run that succeeded: a claim's version is one below that of what follows from it.
    run = job.version - 1
    ended = "completed" if status == "completed" else "incomplete"
    output: list[OutputMessage | OutputCall] = []
    if answer.text is not None:
        part = OutputPart(text=answer.text)
        output.append(OutputMessage(id=message_id(job, run), status=ended, content=[part]))
    output += [
        OutputCall(
            id=call_item_id(job, run, index),
            status=ended,
            call_id=call.id,
            name=call.function.name,
            arguments=call.function.arguments,
        )
        for index, call in enumerate(_tool_calls(answer.choices[0]))
    ]
    return output


def _usage(job: Job) -> ResponseUsage | None:
    if job.usage is None:
        return None
    prompt, answer = job.usage.prompt_tokens, job.usage.completion_tokens
    return ResponseUsage(input_tokens=prompt, output_tokens=answer, total_tokens=prompt + answer)


def _stored(request: bytes) -> _Stored:
    try:
        return _decode_stored(request)
    except msgspec.DecodeError:
        # Passed unchecked by an older release, perhaps; the answer matters more than this echo.
        return _Stored()


def _tool_calls(choice: Choice) -> list[_ToolCall]:
    try:
        return msgspec.convert(choice.message.tool_calls or [], list[_ToolCall])
    except msgspec.ValidationError:
        return []
