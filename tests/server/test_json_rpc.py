"""Whose answer a refusal is: ids that can be read from a message that is refused."""

from __future__ import annotations

import json

import pytest

from counterfoil_server.json_rpc import MAX_BODY, Refused, TooLong, id_at_the_ends, read_message, readable_id

LONG = "x" * MAX_BODY


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("known", [7, -7, "seven", 'q"uo\\te', ""])
def test_the_id_of_a_message_that_is_too_long_is_read_where_clients_write_it(first: bool, known: str | int) -> None:
    rest = {"method": "tools/call", "params": {"id": 1, "text": LONG, "more": {"id": 2}}}
    message = {"jsonrpc": "2.0", "id": known} | rest if first else rest | {"jsonrpc": "2.0", "id": known}
    for separators in ((",", ":"), (", ", ": ")):
        body = json.dumps(message, separators=separators).encode()
        with pytest.raises(TooLong) as refused:
            read_message(body)
        assert refused.value.to == known


@pytest.mark.parametrize(
    "text",
    [
        '{"method":"m","params":{"id":5}}',
        '{"method":"m","params":{"a":1,"id":5}}',
        '{"method":"m","params":"\\",\\"id\\":5}"}',
        '{"params":{"id":5},"method":"m"}',
        '{"jsonrpc":"2.0","id":true,"method":"m"}',
        '{"jsonrpc":"2.0","id":1.5,"method":"m"}',
        '{"jsonrpc":"2.0","id":99999999999999999999,"method":"m"}',
        '{"jsonrpc":"2.0","id":"' + "x" * 200 + '","method":"m"}',
        '{"jsonrpc":"2.0","id":"\\ud83","method":"m"}',
    ],
)
def test_nothing_else_is_taken_for_the_id(text: str) -> None:
    assert id_at_the_ends(text.encode(), text.encode()) is None


def test_a_refusal_is_a_json_rpc_error_with_code_words_and_remedy() -> None:
    with pytest.raises(Refused) as refused:
        read_message(b'{"jsonrpc":"2.0","id":7,"method":"m","method":"n"}')
    answer = json.loads(refused.value.answer())
    assert (answer["jsonrpc"], answer["id"], answer["error"]["code"]) == ("2.0", 7, -32700)
    assert answer["error"]["data"]["happened"] == 'The key "method" stands twice in one object.'
    assert b"\n" not in refused.value.answer()


def test_only_plain_ids_are_read() -> None:
    assert readable_id(b'{"id":3}') == 3
    for body in (b"{", b"[1]", b'{"id":null}', b'{"id":{}}', b"[" * 100_000):
        assert readable_id(body) is None
