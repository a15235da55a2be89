// Apollo Client: https://www.apollographql.com/docs/react

import { createHash } from "node:crypto";

import { ApolloClient, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

import { address, equal, headers, member, moment, operation, report, resumes, unknown, websocket } from "./door.mjs";

globalThis.WebSocket ??= WebSocket; // Apollo Client looks at it when a connection ends; browsers have it

const follow = gql(operation("dashboard/FollowRun"));
const ROLE = gql("{ viewer { role } }");
const PARTLY = gql('{ viewer { role } erasure(id: "unknown") { id } }'); // a member may ask one of them

function client(link) {
  const defaultOptions = { query: { fetchPolicy: "no-cache" }, mutate: { fetchPolicy: "no-cache" } };
  return new ApolloClient({ link, cache: new InMemoryCache(), defaultOptions });
}

const http = (more = {}) => new HttpLink({ uri: address.href, headers, ...more });
const socket = (more = {}) =>
  new GraphQLWsLink(createClient({ url: websocket, webSocketImpl: WebSocket, connectionParams: headers, ...more }));

/** A `fetch` that notes what is sent. */
function noting(sent) {
  return (to, request) => {
    sent.push({ method: request.method, url: new URL(to), body: request.body && JSON.parse(request.body) });
    return fetch(to, request);
  };
}

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/** The link for operations that go by their digest; what Apollo Client would print, unless another text is given. */
function persisted(sent, { text, ...more } = {}) {
  const digest = text === undefined ? { sha256 } : { generateHash: () => sha256(text) };
  return new PersistedQueryLink({ ...digest, ...more }).concat(http({ fetch: noting(sent) }));
}

/** Subscribe until the stream ends, coming back with the cursor after each loss of the connection. */
async function following(of, variables, next) {
  const once = () =>
    new Promise((resolve, reject) => {
      of.subscribe({ query: follow, variables: { ...variables }, fetchPolicy: "no-cache" }).subscribe({
        next: ({ data, error }) => (error ? reject(error) : next(data.runLog)),
        error: reject,
        complete: resolve,
      });
    });
  for (;;) {
    const error = await once().then(() => null, (lost) => lost);
    if (error === null) return;
    if (CombinedGraphQLErrors.is(error)) throw error;
    await moment();
  }
}

const codes = (error) => error?.errors?.map(({ extensions }) => extensions.code);
const refused = (promise) => promise.then(() => null, (error) => error);

await report({
  "a query": async () => {
    const { data } = await client(http()).query({ query: ROLE });
    equal(data.viewer.role, "OWNER");
  },
  "a query by GET": async () => {
    const sent = [];
    const { data } = await client(http({ useGETForQueries: true, fetch: noting(sent) })).query({
      query: gql(operation("dashboard/Runs")),
      variables: { first: 2, filter: { kinds: ["RESEARCH"] } },
    });
    equal([data.runs.__typename, sent.map(({ method }) => method)], ["ResearchRunConnection", ["GET"]]);
  },
  "a mutation": async () => {
    const mutation = gql(operation("agent/OpenRun"));
    const { data } = await client(http()).mutate({ mutation, variables: { title: "by Apollo" } });
    equal([data.openRun.run.status, data.openRun.userErrors], ["RUNNING", []]);
  },
  "a document that is wrong": async () => {
    const error = await refused(client(http()).query({ query: gql("{ nobodyKnowsThis }") }));
    equal([CombinedGraphQLErrors.is(error), codes(error)], [true, ["INVALID"]]);
  },
  "a token that is refused": async () => {
    const link = http({ headers: { ...headers, Authorization: unknown } });
    const error = await refused(client(link).query({ query: ROLE }));
    equal([CombinedGraphQLErrors.is(error), codes(error)], [true, ["UNAUTHENTICATED"]]);
  },
  "an error with errorPolicy none": async () => {
    const error = await refused(client(http({ headers: member })).query({ query: PARTLY }));
    equal(codes(error), ["FORBIDDEN"]);
  },
  "an error with errorPolicy all": async () => {
    const { data, error } = await client(http({ headers: member })).query({ query: PARTLY, errorPolicy: "all" });
    equal([data.viewer.role, data.erasure, codes(error)], ["MEMBER", null, ["FORBIDDEN"]]);
  },
  "an error with errorPolicy ignore": async () => {
    const { data, error } = await client(http({ headers: member })).query({ query: PARTLY, errorPolicy: "ignore" });
    equal([data.viewer.role, data.erasure, error], ["MEMBER", null, undefined]);
  },
  "a persisted operation": async () => {
    const text = operation("dashboard/Runs");
    for (const [useGETForHashedQueries, method] of [[false, "POST"], [true, "GET"]]) {
      const sent = [];
      const { data } = await client(persisted(sent, { text, useGETForHashedQueries })).query({
        query: gql(text),
        variables: { first: 1 },
      });
      equal([Array.isArray(data.runs.edges), sent.map((one) => one.method)], [true, [method]]);
      const [{ url, body }] = sent;
      equal(body?.query ?? url.searchParams.get("query"), null);
    }
  },
  "a persisted mutation": async () => {
    const sent = [];
    const text = operation("agent/OpenRun");
    const { data } = await client(persisted(sent, { text })).mutate({
      mutation: gql(text),
      variables: { title: "by digest" },
    });
    equal([data.openRun.run.status, sent.length, sent[0].body.query], ["RUNNING", 1, undefined]);
  },
  "an operation that is persisted by its first use": async () => {
    const query = gql("query FirstHeardOfByApollo { viewer { role } }");
    for (const expected of [[false, true], [false]]) {
      const sent = [];
      const { data } = await client(persisted(sent)).query({ query });
      equal([data.viewer.role, sent.map(({ body }) => "query" in body)], ["OWNER", expected]);
    }
  },
  "a query by websocket": async () => {
    const { data } = await client(socket()).query({ query: ROLE });
    equal(data.viewer.role, "OWNER");
  },
  "an error by websocket": async () => {
    const error = await refused(client(socket()).query({ query: gql("{ nobodyKnowsThis }") }));
    equal([CombinedGraphQLErrors.is(error), codes(error)], [true, ["INVALID"]]);
  },
  "a subscription by websocket that resumes": () =>
    resumes((door, variables, next) =>
      following(client(socket({ url: door.websocket, shouldRetry: () => false })), variables, next),
    ),
  "a subscription by multipart that resumes": () =>
    resumes((door, variables, next) => following(client(http({ uri: door.http })), variables, next)),
});
