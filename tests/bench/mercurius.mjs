// Mercurius over the same database, each operation compiled from its second use on. No tenant, no rights, no journal.
import Database from 'libsql'
import Fastify from 'fastify'
import mercurius from 'mercurius'

const [port, file] = process.argv.slice(2)
const database = new Database(file, { readonly: true })
const select = database.prepare(
  'select card.card_id, card.key, version.* from cards card join card_versions version ' +
    'on version.tenant_id = card.tenant_id and version.env = card.env and version.card_id = card.card_id ' +
    "and version.version = card.current_version where card.tenant_id = 't_bench' and card.env = 'dev' " +
    'order by card.created_at desc, card.card_id desc limit ?'
)
const schema = `
  type Card { id: ID! key: String! cardType: String! version: Int! title: String digest: String! labels: [String!]!
    trainOk: Boolean! publishedAt: String! publishedBy: String! }
  type Edge { cursor: String! node: Card! }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
  type Cards { edges: [Edge!]! pageInfo: PageInfo! }
  type Query { cards(first: Int!): Cards! }`

const card = row => ({
  id: row.card_id, key: row.key, cardType: 'note', version: row.version, title: row.title, digest: row.digest,
  labels: JSON.parse(row.labels), trainOk: Boolean(row.train_ok),
  publishedAt: new Date(Number(row.created_at) / 1000).toISOString(), publishedBy: row.created_by
})
const resolvers = {
  Query: {
    cards: async (_, { first }) => {
      const edges = select.all(first).map(row => ({ cursor: row.card_id, node: card(row) }))
      return { edges, pageInfo: { hasNextPage: true, endCursor: edges.at(-1).cursor } }
    }
  }
}
const app = Fastify()
app.register(mercurius, { schema, resolvers, jit: 1 })
await app.listen({ port: Number(port), host: '127.0.0.1' })
