// urql: https://commerce.nearform.com/open-source/urql/docs

import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { address, equal, headers, member, moment, operation, report, resumes, unknown } from "./door.mjs";

process.env.NODE_ENV = "production"; // as people ship it: without warnings on the console

const follow = operation("dashboard/FollowRun");
const ROLE = "{ viewer { role } }";

/** A client that notes the methods of its requests in `methods`. */
function client({ methods = [], ...more } = {}) {
  const noting = (to, request) => {
    methods.push(request.method);
    return fetch(to, request);
  };
  return new Client({
    url: address.href,
    exchanges: [fetchExchange],
    fetchOptions: { headers },
    fetch: noting,
    requestPolicy: "network-only",
    ...more,
  });
}

/** A client whose subscriptions go by websocket. */
function socketed(url) {
  const sockets = createClient({ url, webSocketImpl: WebSocket, connectionParams: headers, shouldRetry: () => false });
  const forwardSubscription = ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ query, variables }, sink) }),
  });
  return client({ exchanges: [fetchExchange, subscriptionExchange({ forwardSubscription })] });
}

/** Subscribe until the stream ends, coming back with the cursor after each loss of the connection. */
async function following(of, variables, next) {
  const once = () =>
    new Promise((resolve) => {
      of.subscription(follow, { ...variables }).subscribe(({ data, error, hasNext }) => {
        if (error) resolve(error);
        else if (hasNext) next(data.runLog);
        else resolve(null); // urql repeats the last result when a stream has ended
      });
    });
  for (;;) {
    const error = await once();
    if (error === null) return;
    if (!error.networkError) throw error;
    await moment();
  }
}

const codes = (error) => error?.graphQLErrors.map(({ extensions }) => extensions.code);

await report({
  "a query by GET, as by default": async () => {
    const methods = [];
    const { data, error } = await client({ methods }).query(operation("dashboard/Runs"), { first: 1 }).toPromise();
    equal([codes(error), typeof data?.runs, methods], [undefined, "object", ["GET"]]);
  },
  "a query by POST": async () => {
    const methods = [];
    const { data } = await client({ methods, preferGetMethod: false }).query(ROLE, {}).toPromise();
    equal([data?.viewer.role, methods], ["OWNER", ["POST"]]);
  },
  "a mutation": async () => {
    const { data } = await client().mutation(operation("agent/OpenRun"), { title: "by urql" }).toPromise();
    equal([data?.openRun.run.status, data?.openRun.userErrors], ["RUNNING", []]);
  },
  "a document that is wrong": async () => {
    for (const preferGetMethod of [false, "force"]) {
      const { data, error } = await client({ preferGetMethod }).query("{ nobodyKnowsThis }", {}).toPromise();
      equal([data ?? null, codes(error)], [null, ["INVALID"]]);
    }
  },
  "a right that is lacking": async () => {
    const lacking = client({ fetchOptions: { headers: member } });
    const { error } = await lacking.query("{ erasures(first: 1) { edges { node { id } } } }", {}).toPromise();
    equal(codes(error), ["FORBIDDEN"]);
  },
  "a token that is refused": async () => {
    const stranger = client({ fetchOptions: { headers: { ...headers, Authorization: unknown } } });
    const { error } = await stranger.query(ROLE, {}).toPromise();
    equal([codes(error), error?.response.status], [["UNAUTHENTICATED"], 401]);
  },
  "a subscription by websocket that resumes": () =>
    resumes((door, variables, next) => following(socketed(door.websocket), variables, next)),
  "a subscription by events that resumes": () =>
    resumes((door, variables, next) =>
      following(client({ url: door.http, fetchSubscriptions: true }), variables, next),
    ),
});
