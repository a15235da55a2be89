// The audits of graphql-http against the GraphQL-over-HTTP specification: https://github.com/graphql/graphql-http

import { serverAudits } from "graphql-http";

import { address, headers } from "./door.mjs";

const url = address.href;
const fetchFn = (to, request = {}) => fetch(to, { ...request, headers: { ...headers, ...request.headers } });

const results = [];
for (const audit of serverAudits({ url, fetchFn })) {
  const { id, name, status, reason } = await audit.fn();
  results.push({ id, name, status, reason: reason ?? null });
}
process.stdout.write(JSON.stringify(results), () => process.exit(0));
