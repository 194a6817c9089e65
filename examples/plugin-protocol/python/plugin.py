"""The plugin protocol, by hand: what JailPy's own runner does for a plugin with `module`."""

import json
import os

connection = os.fdopen(int(os.environ["JAILPY_FD"]), "r+b", buffering=0)


def lines():
    pending = b""
    while chunk := connection.read(65536):
        *whole, pending = (pending + chunk).split(b"\n")
        yield from map(json.loads, whole)


def send(**message):
    left = json.dumps(message).encode() + b"\n"
    while left:
        left = left[connection.write(left) :]


def answer(call, messages):
    if call["entry"] != "shout":
        return {"type": "error", "kind": "Broken", "text": "as it should"}
    send(type="host", id=1, call=call["id"], name="lookup", args=call["args"], kwargs={})
    reply = next(messages)
    if reply["type"] == "refusal":
        return {"type": "error", "kind": "Refused", "text": reply["text"]}
    return {"type": "result", "value": reply["value"].upper()}


messages = lines()
send(type="ready", protocol=1)
for call in messages:
    send(id=call["id"], **answer(call, messages))
