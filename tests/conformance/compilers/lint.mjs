// node lint.mjs: what graphql-eslint finds in the schema and the documents of this folder, and which rules are on or off.
import { ESLint } from 'eslint'

const eslint = new ESLint()
const results = await eslint.lintFiles(['nexus.graphql', 'operations'])
const found = results.flatMap(({ filePath, messages }) =>
  messages.map(({ ruleId, line, message }) => ({ file: filePath.split('/').pop(), line, rule: ruleId, message })))

const on = new Set()
const off = new Set()
for (const { filePath } of results) {
  const { rules } = await eslint.calculateConfigForFile(filePath)
  for (const [rule, [severity]] of Object.entries(rules)) (severity ? on : off).add(rule)
}
console.log(JSON.stringify({ files: results.length, found, on: [...on], off: [...off] }))
