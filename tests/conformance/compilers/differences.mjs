// node differences.mjs OLD NEW [OLD NEW ...]: what @graphql-inspector/core says of each pair, a list of JSON arrays.
import { readFileSync } from 'node:fs'
import { diff } from '@graphql-inspector/core'
import { buildSchema } from 'graphql'

const schemas = process.argv.slice(2).map((file) => buildSchema(readFileSync(file, 'utf8')))
const pairs = []
for (let at = 0; at < schemas.length; at += 2) {
  const changes = await diff(schemas[at], schemas[at + 1])
  pairs.push(changes.map(({ criticality, message }) => ({ level: criticality.level, message })))
}
console.log(JSON.stringify(pairs))
