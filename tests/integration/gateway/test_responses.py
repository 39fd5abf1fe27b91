"""/v1/responses as openai-python uses it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from fake_sglang.process import fake_sglang
from openai import OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from support import processes, tiny_pdf
from support.gateway import LOOK_SECONDS, gateway
from support.patience import HANG_SECONDS
from support.served import served
from support.tiny_server import Tiny

from jobs.model import Capacity, NewJob, NewRequest
from jobs.store.http.store import HttpStore
from jobs.store.state_dir import StateDir
from ktclient.gateway.context import Caller
from ktclient.gateway.responses.sources import StoreSources
from ktclient.gateway.wire.errors import ApiError

open_types = pytest.importorskip("openresponses_types.types", reason="it needs Python 3.11")
MODEL = "DeepSeek-V4-Flash"
ANSWER = "One two three."
STRICT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StateDir, OpenAI, Path]]:
    """One gateway and one server for the tests that leave nothing behind that others see."""
    tmp = tmp_path_factory.mktemp("responses")
    state = StateDir(tmp / "state").create()
    own = {"KTJOB_CONFIG": str(tmp / "config"), "KTJOB_CACHE": str(tmp / "cache")}
    with fake_sglang(tmp, "--answer", ANSWER) as server, gateway(state, server.url, **own) as one:
        yield state, one.shared_client(), server.record
        processes.end_all(state)


@pytest.fixture
def shared_state(shared: tuple[StateDir, OpenAI, Path]) -> StateDir:
    return shared[0]


@pytest.fixture
def client(shared: tuple[StateDir, OpenAI, Path]) -> OpenAI:
    return shared[1]


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + HANG_SECONDS
    while not is_so():
        assert time.monotonic() < end, "it never became so"
        time.sleep(LOOK_SECONDS)


def ended(client: OpenAI, response_id: str) -> Response:
    found: list[Response] = []

    def has_ended() -> bool:
        found[:] = [client.responses.retrieve(response_id)]
        return found[0].status not in ("queued", "in_progress")

    wait_until(has_ended)
    return found[0]


def requests_of(record: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in sorted(record.glob("[0-9]*.json"))]


def stored(state: StateDir) -> int:
    with HttpStore.open(state) as store:
        return store.last_event()


def test_a_response_is_made_kept_listed_and_deleted(client: OpenAI) -> None:
    made = client.responses.create(
        model=MODEL, input="How many?", instructions="Count.", metadata={"a": "b"}
    )
    assert (made.status, made.output_text, made.metadata) == ("completed", ANSWER, {"a": "b"})
    assert made.usage is not None and made.usage.output_tokens == 3
    raw = client.responses.with_raw_response.retrieve(made.id)
    body = json.loads(raw.text)
    Response.model_validate(body, strict=False)
    open_types.ResponseResource.model_validate(body)
    assert raw.parse() == made and raw.headers["x-ktjob-id"] == made.id.removeprefix("resp_")
    (item,) = client.responses.input_items.list(made.id)
    assert item.content[0].text == "How many?"  # type: ignore[union-attr, index]
    client.responses.delete(made.id)
    for ask in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError):
            ask(made.id)


def test_every_stream_says_the_same(client: OpenAI) -> None:
    """While it is written, afterwards, and from anywhere; a helper's too."""
    live = list(client.responses.create(model=MODEL, input="How many?", stream=True))
    for event in live:
        STRICT.validate_python(event.to_dict())
    numbers = [event.sequence_number for event in live]
    assert numbers == list(range(len(live)))
    assert live[0].type == "response.created" and live[-1].type == "response.completed"
    response_id = live[0].response.id
    assert list(client.responses.retrieve(response_id, stream=True)) == live
    rest = list(client.responses.retrieve(response_id, stream=True, starting_after=4))
    assert rest == live[5:]
    with client.responses.stream(response_id=response_id) as again:
        assert again.get_final_response().output_text == ANSWER
    with client.responses.stream(model=MODEL, input="How many?") as helped:
        assert helped.get_final_response().output_text == ANSWER


def test_the_wire_is_as_open_responses_demands(client: OpenAI) -> None:
    """The event's name is its type, no line has an id, and the end is marked."""
    url = f"{client.base_url}responses"
    body = {"model": MODEL, "input": "How many?", "stream": True}
    with httpx2.stream("POST", url, json=body, timeout=HANG_SECONDS) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        blocks = "".join(answer.iter_text()).strip().split("\n\n")
    assert blocks[-1] == "data: [DONE]"
    events = [block for block in blocks[:-1] if not block.startswith(":")]
    for block in events:
        name, data = block.split("\n")
        assert name == f"event: {json.loads(data.removeprefix('data: '))['type']}"


def test_a_conversation_goes_on(client: OpenAI, shared: tuple[StateDir, OpenAI, Path]) -> None:
    """Old input, old output, new input; the instructions are not carried over."""
    first = client.responses.create(model=MODEL, input="First?", instructions="Be brief.")
    then = client.responses.create(model=MODEL, input="Then?", previous_response_id=first.id)
    assert requests_of(shared[2])[-1]["messages"] == [
        {"role": "user", "content": "First?"},
        {"role": "assistant", "content": ANSWER},
        {"role": "user", "content": "Then?"},
    ]
    assert (then.previous_response_id, then.instructions) == (first.id, None)
    items = list(client.responses.input_items.list(then.id, order="asc", limit=2))
    assert [item.id for item in items[:2]] == [  # type: ignore[union-attr]
        client.responses.input_items.list(first.id).data[0].id,  # type: ignore[union-attr]
        first.output[0].id,
    ]
    assert len(items) == 3  # in two pages
    client.responses.delete(first.id)  # what continued it has its own copy
    last = client.responses.create(model=MODEL, input="Last?", previous_response_id=then.id)
    assert len(client.responses.input_items.list(last.id).data) == 5
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input="x", previous_response_id=first.id)
    assert caught.value.code == "previous_response_not_found"
    assert caught.value.param == "previous_response_id"


@pytest.mark.promise
def test_what_is_not_to_be_stored_goes_when_it_was_delivered(
    client: OpenAI, shared_state: StateDir
) -> None:
    made = client.responses.create(model=MODEL, input="How many?", store=False)
    with HttpStore.open(shared_state) as store:
        wait_until(lambda: not store.exists(made.id.removeprefix("resp_")))
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"input": "x " * 3_000_000}, "input", "context_length_exceeded"),
        ({"metadata": {"a": "b" * 600}}, "metadata.a", "invalid_value"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "unsupported_value"),
        ({"truncation": "auto"}, "truncation", "unsupported_value"),
        ({"previous_response_id": "resp_nothing"}, "previous_response_id", None),
        ({"input": [{"id": "msg_nothing_0"}]}, "input[0].id", "item_not_found"),
    ],
)
def test_bad_input_names_its_field_and_stores_nothing(
    client: OpenAI, shared_state: StateDir, fields: dict[str, Any], param: str, code: str | None
) -> None:
    before = stored(shared_state)
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**{"model": MODEL, "input": "x", **fields})
    assert caught.value.param == param
    assert code in (None, caught.value.code)
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert stored(shared_state) == before


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("?stream=true&starting_after=x", "starting_after"),
        ("?stream=perhaps", "stream"),
        ("/input_items?limit=101", "limit"),
        ("/input_items?order=none", "order"),
        ("/input_items?after=nothing", "after"),
    ],
)
def test_bad_queries_name_their_parameter(client: OpenAI, path: str, param: str) -> None:
    made = client.responses.create(model=MODEL, input="How many?")
    answer = httpx2.get(f"{client.base_url}responses/{made.id}{path}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_tokens_are_counted_and_nothing_is_stored(client: OpenAI, shared_state: StateDir) -> None:
    before = stored(shared_state)
    counted = client.responses.input_tokens.count(model=MODEL, input="hello there")
    assert counted.input_tokens == 2
    assert stored(shared_state) == before


def test_files_in_the_input_are_read(client: OpenAI, shared: tuple[StateDir, OpenAI, Path]) -> None:
    data = base64.b64encode(tiny_pdf.of_pages([["Forty-two."]])).decode()
    part = {
        "type": "input_file",
        "filename": "a.pdf",
        "file_data": f"data:application/pdf;base64,{data}",
    }
    content = [part, {"type": "input_text", "text": "Which?"}]
    made = client.responses.create(
        model=MODEL,
        input=[{"role": "user", "content": content}],  # type: ignore[list-item]
    )
    sent = requests_of(shared[2])[-1]["messages"][0]["content"]
    assert "Forty-two." in json.dumps(sent) and "a.pdf" in json.dumps(sent)
    (item,) = client.responses.input_items.list(made.id)
    assert item.content[0].to_dict() == {  # type: ignore[union-attr, index]
        "type": "input_file",
        "filename": "a.pdf",
    }
    uploaded = client.files.create(file=("b.txt", b"Forty-three."), purpose="user_data")
    again = [{"type": "input_file", "file_id": uploaded.id}]
    client.responses.create(
        model=MODEL,
        input=[{"role": "user", "content": again}],  # type: ignore[list-item]
    )
    sent = requests_of(shared[2])[-1]["messages"][0]["content"]
    assert [part["text"] for part in sent] == ["b.txt", "Forty-three."]
    for bad, param in (
        ({"file_id": "file-nothing"}, "file_id"),
        ({"file_url": "http://127.0.0.1/"}, "file_url"),
        ({"file_data": "§"}, "file_data"),
        ({"file_data": base64.b64encode(b"\x7fELF\0\1").decode()}, "file_data"),
    ):
        content = [{"type": "input_file", **bad}]
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(
                model=MODEL,
                input=[{"role": "user", "content": content}],  # type: ignore[list-item]
            )
        assert caught.value.param == f"input[0].content[0].{param}"


@pytest.mark.promise
def test_a_background_one_is_polled_cancelled_and_kept(
    state: StateDir, tmp_path: Path, own_environment: None
) -> None:
    with fake_sglang(tmp_path, "--answer", ANSWER) as server, gateway(state, server.url) as one:
        client = one.client()
        server.hold()
        made = client.responses.create(model=MODEL, input="How many?", background=True)
        assert made.status in ("queued", "in_progress") and made.background
        server.wait_for_event("request")
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model=MODEL, input="x", previous_response_id=made.id)
        assert caught.value.code == "previous_response_not_completed"
        assert client.responses.cancel(made.id).status == "cancelled"
        assert client.responses.cancel(made.id).status == "cancelled"
        events = list(client.responses.retrieve(made.id, stream=True))
        assert events[-1].type == "response.incomplete"
        assert events[-1].response.status == "cancelled"
        server.let_go()
        whole = client.responses.create(model=MODEL, input="How many?")
        with pytest.raises(openai.BadRequestError) as refused:
            client.responses.cancel(whole.id)
        assert refused.value.code == "not_in_background"
        unwanted = client.responses.create(model=MODEL, input="Never", background=True)
        client.responses.delete(unwanted.id)
        with HttpStore.open(state) as store:
            wait_until(lambda: not store.exists(unwanted.id.removeprefix("resp_")))


@pytest.mark.promise
def test_jobs_of_the_command_line_are_responses_too(client: OpenAI, shared_state: StateDir) -> None:
    """Of a document and a question, and of a chat; they can be continued as well."""
    server = client.responses.create(model=MODEL, input="x")  # there is a server to ask
    assert server.status == "completed"
    with HttpStore.open(shared_state) as store:
        spec = json.loads(store.job(server.id.removeprefix("resp_")).spec)
        task = {"kind": "ask", "text": "Who?"}
        new = NewJob(
            pool=spec["server"],
            spec=json.dumps({**spec, "version": 1, "task": task}),
            document=b"A story about Ann.",
            title="story.txt",
        )
        job = store.submit(new, Capacity())
    found = ended(client, job.id)
    assert (found.id, found.output_text) == (f"resp_{job.id}", ANSWER)
    assert found.background is True
    (item,) = client.responses.input_items.list(found.id)
    texts = [part.text for part in item.content]  # type: ignore[union-attr]
    assert texts == ["A story about Ann.", "Who?"]
    more = client.responses.create(model=MODEL, input="And?", previous_response_id=found.id)
    assert more.output_text == ANSWER


@pytest.mark.promise
def test_others_responses_are_not_there(shared_state: StateDir) -> None:
    """Neither to be continued nor to be referred to: the same error as for none at all."""
    spec = {"version": 2, "task": {"kind": "request", "text": ""}, "server": "http://127.0.0.1:1"}
    rest = {"model": None, "max_tokens": 1, "timeout": 1.0}
    with HttpStore.open(shared_state) as store:
        new = NewJob(
            pool="elsewhere",
            spec=json.dumps({**spec, **rest}),
            document=b'{"messages": []}',
            title="t",
            not_before="2999-01-01T00:00:00.000Z",
            request=NewRequest("ann", "responses", "d", {"model": "m", "input": []}),
        )
        job = store.submit(new, Capacity())
        store.request_cancel(job.id)
        ben = StoreSources(shared_state, Caller("ben", is_admin=False))
        ann = StoreSources(shared_state, Caller("ann", is_admin=False))
        errors = []
        for who in (ben, ann):
            with pytest.raises(ApiError) as caught:
                who.previous(f"resp_{job.id}")
            errors.append(caught.value.code)
        assert errors == ["previous_response_not_found", "previous_response_not_completed"]
        with pytest.raises(ApiError):
            ben.item(f"msg_{job.id}_0", "input[0].id")


def test_calls_and_thoughts_come_back_as_items(state: StateDir, own_environment: None) -> None:
    """An answer that is cut off is incomplete. Of a model that begins to think in its prompt the
    next answer is held back until it is one."""
    call = {"index": 0, "id": "call_9", "function": {"name": "look", "arguments": '{"at": '}}
    rest = {"index": 0, "function": {"arguments": '"it"}'}}
    deltas = [{"reasoning_content": "I look."}, {"tool_calls": [call]}, {"tool_calls": [rest]}]
    with served(Tiny()) as server, gateway(state, server.url) as one:
        server.say("/v1/models", {"data": [{"id": "m", "max_model_len": 8192}]})
        server.say("/v1/chat/completions", _sse(deltas, "tool_calls"))
        client = one.client()
        tool: Any = {"type": "function", "name": "look", "parameters": {"type": "object"}}
        made = client.responses.create(model="m", input="Look", tools=[tool])
        thoughts, found = made.output
        assert thoughts.type == "reasoning" and found.type == "function_call"
        assert (found.call_id, found.name, found.arguments) == ("call_9", "look", '{"at": "it"}')
        _, asked = next(asked for asked in server.asked if asked[0].endswith("completions"))
        assert asked["tools"][0]["function"]["name"] == "look"  # type: ignore[index]
        server.say("/v1/chat/completions", _sse([{"content": "Half"}], "length"))
        output: Any = {"type": "function_call_output", "call_id": "call_9", "output": "seen"}
        cut = client.responses.create(model="m", input=[output], previous_response_id=made.id)
        assert (cut.status, cut.output_text) == ("incomplete", "Half")
        assert cut.incomplete_details and cut.incomplete_details.reason == "max_output_tokens"
        messages: Any = server.asked[-1][1]["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
        server.say("/v1/chat/completions", _sse([{"content": "I think.\n</think>\nYes."}], "stop"))
        kinds = []
        for _ in range(2):
            said = client.responses.create(model="m", input="Is it?")
            assert said.output_text == "Yes."
            kinds.append([item.type for item in said.output])
        assert kinds[1] == ["reasoning", "message"]


def _sse(deltas: list[dict[str, Any]], reason: str) -> bytes:
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    said = [(delta, None) for delta in deltas] + [({}, reason)]
    chunks = [
        {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        for delta, end in said
    ]
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    chunks.append({**head, "choices": [], "usage": usage})
    return "".join(f"data: {json.dumps(one)}\n\n" for one in chunks).encode() + b"data: [DONE]\n\n"


def test_the_same_request_again_is_the_same_response(
    client: OpenAI, shared: tuple[StateDir, OpenAI, Path]
) -> None:
    key = {"Idempotency-Key": "once"}
    made = client.responses.create(model=MODEL, input="Once", extra_headers=key)
    before = len(requests_of(shared[2]))
    raw = client.responses.with_raw_response.create(model=MODEL, input="Once", extra_headers=key)
    assert raw.parse() == made and raw.headers["x-ktjob-attached"] == "1"
    assert len(requests_of(shared[2])) == before
    with pytest.raises(openai.ConflictError):
        client.responses.create(model=MODEL, input="Another", extra_headers=key)
