"""How GraphQL travels: JSON over HTTP, event streams, and the `graphql-transport-ws` protocol over websockets.

browsers                         who may knock at all
http, accepting, receiving       a request and its answer; `events` streams one
websocket, conversation          a socket; `messages` reads what it says, `vigil` ends it when rights end
decoding                         strict JSON, within bounds
"""
