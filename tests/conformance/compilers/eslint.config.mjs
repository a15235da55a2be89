// Every rule that the plugin recommends for schemas, Relay and operations, and all others that it has for them.
// rules.json says which of them are off or set otherwise, each with its reason.
import { readFileSync } from 'node:fs'
import graphql from '@graphql-eslint/eslint-plugin'

const { off, set } = JSON.parse(readFileSync(new URL('rules.json', import.meta.url), 'utf8'))
const unused = new Set([...Object.keys(off), ...Object.keys(set)])

const rules = (...sets) => {
  const every = Object.assign({}, ...sets.map((name) => graphql.configs[`flat/${name}`].rules))
  for (const rule of Object.keys(every)) {
    const name = rule.replace('@graphql-eslint/', '')
    if (name in off) every[rule] = 'off'
    if (name in set) every[rule] = ['error', set[name].options]
    unused.delete(name)
  }
  return every
}

export default [
  {
    files: ['**/*.graphql'],
    plugins: { '@graphql-eslint': graphql },
    languageOptions: {
      parser: graphql.parser,
      parserOptions: { graphQLConfig: { schema: 'nexus.graphql', documents: 'operations/**/*.graphql' } },
    },
  },
  { files: ['nexus.graphql'], rules: rules('schema-recommended', 'schema-relay', 'schema-all') },
  { files: ['operations/**/*.graphql'], rules: rules('operations-recommended', 'operations-all') },
]

if (unused.size) throw new Error(`rules.json names rules that do not exist: ${[...unused]}`)
