// graphql-sse, distinct connections: https://the-guild.dev/graphql/sse

import { createClient } from "graphql-sse";

import { address, equal, headers, moment, operation, report, resumes, Run, unknown } from "./door.mjs";

const follow = operation("dashboard/FollowRun");

function client(more = {}) {
  return createClient({ url: address.href, headers, retry: moment, ...more });
}

async function result(payload, more) {
  for await (const one of client(more).iterate(payload)) return one;
}

await report({
  "a query": async () => {
    const { data } = await result({ query: "{ viewer { role } }" });
    equal(data, { viewer: { role: "OWNER" } });
  },
  "a mutation": async () => {
    const { data } = await result({ query: operation("agent/OpenRun"), variables: { title: "by events" } });
    equal([data.openRun.run.status, data.openRun.userErrors], ["RUNNING", []]);
  },
  "a document that is wrong": async () => {
    // The protocol wants errors of validation as events of an accepted stream.
    for (const query of ["subscription { nobodyKnowsThis }", "{ nobodyKnowsThis }", "{"]) {
      const { data, errors } = await result({ query });
      equal([data ?? null, errors.length, errors[0].extensions.code], [null, 1, "INVALID"]);
    }
  },
  "a token that is refused": async () => {
    const refused = { headers: { ...headers, Authorization: unknown }, retryAttempts: 0 };
    const error = await result({ query: "{ viewer { role } }" }, refused).then(() => null, (one) => one);
    equal(error?.response?.status, 401);
  },
  "a subscription that is left early": async () => {
    const run = await Run.opened("left early");
    for await (const { data } of client().iterate({ query: follow, variables: { runId: run.id } })) {
      equal(data.runLog.entry.number, 1);
      break;
    }
  },
  "several subscriptions at once": async () => {
    const runs = await Promise.all([1, 2, 3].map(() => Run.opened("one of three")));
    const one = client();
    const seen = await Promise.all(
      runs.map(async (run) => {
        const numbers = [];
        const closed = run.closed();
        for await (const { data } of one.iterate({ query: follow, variables: { runId: run.id } }))
          if (data.runLog.__typename === "RunLogEntry") numbers.push(data.runLog.entry.number);
        await closed;
        return numbers;
      }),
    );
    equal(seen, [[1, 2], [1, 2], [1, 2]]);
  },
  "a subscription that resumes": () =>
    resumes(
      (door, variables, next) =>
        new Promise((resolve, reject) => {
          client({ url: door.http }).subscribe(
            { query: follow, variables },
            { next: ({ data }) => next(data.runLog), error: reject, complete: resolve },
          );
        }),
    ),
});
