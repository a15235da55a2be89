// What every check starts from: the door, a plain way to ask it, and a relay before it whose connections can be cut.
// The tests tell where the door is, who asks and how, by the environment variable DOOR.

import { readFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";

const told = JSON.parse(process.env.DOOR);
export const { headers, member, expired, unknown, expiring } = told;
export const address = new URL(told.address);
export const CHECK_SECONDS = 30;

/** The text of a document of schema/operations. */
export function operation(name) {
  return readFileSync(join(told.operations, `${name}.graphql`), "utf8");
}

/** The data of a query or mutation that is sent without any client. */
export async function ask(query, variables = {}) {
  const body = JSON.stringify({ query, variables });
  const answer = await fetch(address, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body,
  });
  const { data, errors } = await answer.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

/** A research run of one's own. */
export class Run {
  static async opened(title) {
    const { openRun } = await ask(operation("agent/OpenRun"), { title });
    return new Run(openRun.run.id);
  }

  constructor(id) {
    this.id = id;
  }

  async append(count) {
    for (let index = 0; index < count; index++)
      await ask(operation("agent/AppendRunLog"), { runId: this.id, text: "noted" });
  }

  async closed() {
    await ask(operation("agent/CloseRun"), { runId: this.id, status: "SUCCEEDED" });
  }
}

/** A TCP relay before the door. `cut()` resets every connection; the next ones get through again. */
export async function relay() {
  const sockets = new Set();
  let connections = 0;
  const server = net.createServer((near) => {
    connections += 1;
    const far = net.connect(Number(address.port), address.hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  return {
    http: `http://127.0.0.1:${port}${address.pathname}`,
    websocket: `ws://127.0.0.1:${port}${address.pathname}`,
    connections: () => connections,
    cut: () => sockets.forEach((socket) => socket.resetAndDestroy()),
    close: () => {
      sockets.forEach((socket) => socket.destroy());
      server.close();
    },
  };
}

/** Where the websocket of the door is. */
export const websocket = address.href.replace(/^http/, "ws");

/**
 * Follow a run over connections that are cut twice: once while it is replayed, once while it is live. Every entry is to
 * come once. `follow(door, variables, next)` subscribes through `door`, calls `next` with each frame of `runLog`,
 * comes back with `variables.after` as it then stands, and returns when the stream has ended.
 */
export async function resumes(follow) {
  const run = await Run.opened("followed");
  await run.append(5);
  const door = await relay();
  const numbers = [];
  const variables = { runId: run.id, after: null };
  let end = null;
  let writing = Promise.resolve();
  const next = (frame) => {
    if (frame.__typename === "RunLogEnd") end = frame;
    if (frame.__typename !== "RunLogEntry") return;
    variables.after = frame.cursor;
    numbers.push(frame.entry.number);
    // What comes after a cut is written after it, so that it can't have been on its way already.
    if (frame.entry.number === 3 || frame.entry.number === 7) door.cut();
    if (frame.entry.number === 6) writing = run.append(1);
    if (frame.entry.number === 7) writing = writing.then(() => run.append(3)).then(() => run.closed());
  };
  try {
    await follow(door, variables, next);
    await writing;
  } finally {
    door.close();
  }
  equal(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  equal(end?.reason, "RUN_ENDED");
  if (door.connections() < 3) throw new Error(`only ${door.connections()} connections were made`);
}

/** Fail unless both are the same as JSON. */
export function equal(seen, expected) {
  const [one, other] = [seen, expected].map((value) => JSON.stringify(value));
  if (one !== other) throw new Error(`${one} is not ${other}`);
}

/** Wait a moment before coming back, as a client does, but shorter. */
export const moment = () => new Promise((resolve) => setTimeout(resolve, 50));

/** Run the checks at once; print for each what it failed with, or null. */
export async function report(checks) {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      const late = new Promise((_, reject) => {
        setTimeout(() => reject(new Error(`took longer than ${CHECK_SECONDS} s`)), CHECK_SECONDS * 1000).unref();
      });
      try {
        await Promise.race([check(), late]);
        return [name, null];
      } catch (error) {
        return [name, String(error?.stack ?? error?.reason ?? JSON.stringify(error))];
      }
    }),
  );
  process.stdout.write(JSON.stringify(Object.fromEntries(results)), () => process.exit(0));
}
