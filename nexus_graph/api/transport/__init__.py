"""How GraphQL travels: JSON over HTTP, and the `graphql-transport-ws` protocol over websockets."""
