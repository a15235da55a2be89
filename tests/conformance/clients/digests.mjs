// How clients spell the documents of a folder before they hash them: as Apollo Client and as graphql-js print them.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { gql, InMemoryCache } from "@apollo/client";
import { print } from "@apollo/client/utilities";
import { parse, print as plainly } from "graphql";

const folder = process.argv[2];
const cache = new InMemoryCache();
const digest = (text) => createHash("sha256").update(text).digest("hex");
const found = {};

for (const file of readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".graphql"))) {
  const text = readFileSync(join(folder, file), "utf8");
  found[file] = {
    file: digest(text),
    graphql: digest(plainly(parse(text))),
    apollo: digest(print(cache.transformDocument(gql(text)))),
  };
}
console.log(JSON.stringify(found));
