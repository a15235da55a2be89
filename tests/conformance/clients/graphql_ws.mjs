// graphql-ws: https://the-guild.dev/graphql/ws

import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { equal, expired, expiring, headers, moment, operation, report, resumes, Run, unknown, websocket } from "./door.mjs";

const follow = operation("dashboard/FollowRun");

/** A client that comes back at once, whatever it lost the connection by. */
function client(more = {}) {
  return createClient({
    url: websocket,
    webSocketImpl: WebSocket,
    connectionParams: headers,
    retryWait: moment,
    shouldRetry: () => true,
    ...more,
  });
}

/** The one result of a query or mutation. */
async function result(of, payload) {
  for await (const one of of.iterate(payload)) return one;
}

/** Follow until the stream ends. The client sends `variables` anew, as they then stand, after each reconnection. */
function following(of, variables, next) {
  return new Promise((resolve, reject) => {
    of.subscribe(
      { query: follow, variables },
      { next: ({ data }) => next(data.runLog), error: reject, complete: resolve },
    );
  });
}

await report({
  "a query": async () => {
    const { data } = await result(client(), { query: "{ viewer { role } }" });
    equal(data, { viewer: { role: "OWNER" } });
  },
  "a mutation": async () => {
    const { data } = await result(client(), { query: operation("agent/OpenRun"), variables: { title: "by websocket" } });
    equal([data.openRun.run.status, data.openRun.userErrors], ["RUNNING", []]);
  },
  "several operations on one socket": async () => {
    let opened = 0;
    const one = client({ lazy: false, on: { opened: () => (opened += 1) } });
    const answers = await Promise.all([1, 2, 3, 4, 5].map(() => result(one, { query: "{ viewer { role } }" })));
    equal(answers.map(({ data }) => data.viewer.role), Array(5).fill("OWNER"));
    equal(opened, 1);
    await one.dispose();
  },
  "a document that is wrong": async () => {
    let opened = 0;
    const one = client({ lazy: false, on: { opened: () => (opened += 1) } });
    for (const query of ["{ nobodyKnowsThis }", "{"]) {
      const errors = await result(one, { query }).then(() => null, (refused) => refused);
      equal([errors?.length, errors?.[0].extensions.code], [1, "INVALID"]);
    }
    const { data } = await result(one, { query: "{ viewer { role } }" });
    equal([data.viewer.role, opened], ["OWNER", 1]);
    await one.dispose();
  },
  "ping and pong": async () => {
    let answered;
    const pong = new Promise((resolve) => (answered = resolve));
    const one = client({ lazy: false, keepAlive: 20, on: { pong: (received) => received && answered() } });
    await pong;
    await one.dispose();
  },
  "a subscription that is completed by the client": async () => {
    const run = await Run.opened("left early");
    const one = client({ lazy: false });
    for await (const { data } of one.iterate({ query: follow, variables: { runId: run.id } })) {
      equal(data.runLog.entry.number, 1);
      break;
    }
    const { data } = await result(one, { query: "{ viewer { role } }" });
    equal(data.viewer.role, "OWNER");
    await one.dispose();
  },
  "a subscription that resumes": () =>
    resumes((door, variables, next) => following(client({ url: door.websocket }), variables, next)),
  "a token that has expired is replaced": async () => {
    const tokens = [expired, headers.Authorization];
    const closes = [];
    const one = client({
      connectionParams: () => ({ ...headers, Authorization: tokens.shift() }),
      on: { closed: ({ code }) => closes.push(code) },
    });
    const { data } = await result(one, { query: "{ viewer { role } }" });
    equal([data.viewer.role, closes[0], tokens], ["OWNER", 4403, []]);
  },
  "a token that expires while it streams": async () => {
    const run = await Run.opened("outlived");
    const tokens = [expiring, headers.Authorization];
    const closes = [];
    const numbers = [];
    const ends = [];
    const variables = { runId: run.id, after: null };
    const one = client({
      lazy: false,
      connectionParams: () => ({ ...headers, Authorization: tokens[0] }),
      on: { closed: ({ code }) => closes.push(code) },
    });
    const next = (frame) => {
      if (frame.__typename === "RunLogEnd") ends.push(frame.reason);
      if (frame.__typename !== "RunLogEntry") return;
      variables.after = frame.cursor;
      numbers.push(frame.entry.number);
    };
    await following(one, variables, next);
    tokens.shift();
    await run.append(1);
    await run.closed();
    await following(one, variables, next);
    equal([ends, numbers], [["EXPIRED", "RUN_ENDED"], [1, 2, 3]]);
    if (!closes.includes(4403)) throw new Error(`closed with ${closes}, never with 4403`);
    await one.dispose();
  },
  "a token that is refused is fatal": async () => {
    let connections = 0;
    const one = client({
      connectionParams: { ...headers, Authorization: unknown },
      on: { connecting: () => (connections += 1) },
    });
    const closed = await result(one, { query: "{ viewer { role } }" }).then(() => null, (event) => event);
    equal([closed?.code, connections], [4401, 1]);
  },
});
