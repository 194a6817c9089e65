// The plugin protocol in JavaScript, without a library.
"use strict";
const net = require("net");
const readline = require("readline");

const connection = new net.Socket({ fd: Number(process.env.JAILPY_FD) });
const send = (message) => connection.write(JSON.stringify(message) + "\n");
let waiting = null; // the call that waits for the host's answer

function call({ id, entry, args }) {
  if (entry !== "shout") {
    send({ type: "error", id, kind: "Broken", text: "as it should" });
    return;
  }
  waiting = id;
  send({ type: "host", id: 1, call: id, name: "lookup", args, kwargs: {} });
}

function answered(message) {
  const id = waiting;
  waiting = null;
  if (message.type === "refusal") send({ type: "error", id, kind: "Refused", text: message.text });
  else send({ type: "result", id, value: message.value.toUpperCase() });
}

readline.createInterface({ input: connection }).on("line", (line) => {
  const message = JSON.parse(line);
  if (message.type === "call") call(message);
  else answered(message);
});
send({ type: "ready", protocol: 1 });
