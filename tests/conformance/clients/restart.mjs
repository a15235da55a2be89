// graphql-ws while the server restarts: follows the run that is named, and notes in it that it does.

import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { ask, headers, moment, operation, websocket } from "./door.mjs";

const runId = process.argv[2];
const variables = { runId, after: null };
const numbers = [];
const closes = [];

const client = createClient({
  url: websocket,
  webSocketImpl: WebSocket,
  connectionParams: headers,
  lazy: false, // stays connected between two subscriptions, so that it hears why the server closes
  retryAttempts: 1000,
  retryWait: moment,
  shouldRetry: () => true,
  on: { closed: ({ code }) => closes.push(code) },
});

let end = null;
while (end !== "RUN_ENDED") {
  await new Promise((resolve, reject) => {
    const next = ({ data: { runLog: frame } }) => {
      if (frame.__typename === "RunLogEnd") end = frame.reason;
      if (frame.__typename !== "RunLogEntry") return;
      variables.after = frame.cursor;
      if (numbers.push(frame.entry.number) === 1) ask(operation("agent/AppendRunLog"), { runId, text: "following" });
    };
    client.subscribe({ query: operation("dashboard/FollowRun"), variables }, { next, error: reject, complete: resolve });
  });
}
process.stdout.write(JSON.stringify({ numbers, closes }), () => process.exit(0));
