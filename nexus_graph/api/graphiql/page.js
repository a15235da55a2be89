// The page's own part: who calls, and GraphiQL with it. Credentials stay in this tab's session storage.
"use strict";

const NAMES = ["token", "tenant", "env"];
const form = document.getElementById("credentials");
const root = ReactDOM.createRoot(document.getElementById("graphiql"));
const endpoint = new URL("graphql", location.href);
const live = new URL(endpoint);
live.protocol = live.protocol.replace("http", "ws");
let connections = 0;

function connect() {
  const given = Object.fromEntries(NAMES.map((name) => [name, sessionStorage.getItem(name)]));
  if (!NAMES.every((name) => given[name])) return root.render(null);
  const headers = {
    Authorization: `Bearer ${given.token}`,
    "X-Nexus-Tenant": given.tenant,
    "X-Nexus-Env": given.env,
  };
  const fetcher = GraphiQL.createFetcher({
    url: endpoint.href,
    headers,
    subscriptionUrl: live.href,
    wsConnectionParams: headers,
    enableIncrementalDelivery: false,
  });
  connections += 1; // another key is another GraphiQL, which reads the schema anew
  root.render(React.createElement(GraphiQL, { key: connections, fetcher, shouldPersistHeaders: false }));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  for (const name of NAMES) sessionStorage.setItem(name, form.elements[name].value.trim());
  connect();
});

document.getElementById("forget").addEventListener("click", () => {
  for (const name of NAMES) {
    sessionStorage.removeItem(name);
    form.elements[name].value = "";
  }
  connect();
});

for (const name of NAMES) form.elements[name].value = sessionStorage.getItem(name) ?? "";
connect();
