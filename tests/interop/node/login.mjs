// nostr-tools' BunkerSigner as a client of our signer. Reads one JSON object from stdin:
//   {uri, auth, kind, forbidden, peer, payload, logout}
// and prints one JSON object: what came of each call, errors as "error: …".
import './webcrypto.mjs'
import { readFileSync } from 'node:fs'
import { finalizeEvent, generateSecretKey, getPublicKey, verifyEvent } from 'nostr-tools/pure'
import { BunkerSigner, parseBunkerInput } from 'nostr-tools/nip46'
import { SimplePool, useWebSocketImplementation } from 'nostr-tools/pool'
import WebSocket from 'ws'

useWebSocketImplementation(WebSocket)
const asked = JSON.parse(readFileSync(0, 'utf8'))
const key = asked.key ? Uint8Array.from(Buffer.from(asked.key, 'hex')) : generateSecretKey()
const told = { client: getPublicKey(key), auth: 0 }

const pool = new SimplePool(
  asked.auth
    ? {
        enablePing: false,
        automaticallyAuth: () => async template => {
          told.auth += 1
          return finalizeEvent(template, key)
        },
      }
    : {},
)
const bunker = await parseBunkerInput(asked.uri)
const signer = BunkerSigner.fromBunker(key, bunker, { pool })
const outcome = async call => {
  try {
    return await call()
  } catch (error) {
    return `error: ${error?.message ?? error}`
  }
}

told.connect = await outcome(() => signer.connect({ name: 'nostr-tools [red]\u001b[31m' }).then(() => 'ack'))
told.bot = await outcome(() => signer.getPublicKey())
told.ping = await outcome(() => signer.ping().then(() => 'pong'))
told.switched = await outcome(() => signer.switchRelays())
const now = Math.floor(Date.now() / 1000)
const template = kind => ({ kind, created_at: now, tags: [], content: `from nostr-tools ${now}` })
told.signed = await outcome(() => signer.signEvent(template(asked.kind)))
told.verified = typeof told.signed === 'object' && verifyEvent(told.signed)
told.forbidden = await outcome(() => signer.signEvent(template(asked.forbidden)))
told.long = await outcome(() =>
  signer.signEvent({ ...template(asked.kind), content: '"'.repeat(20000) }),
)
told.encrypted = await outcome(() => signer.nip44Encrypt(asked.peer, 'geheim'))
told.decrypted = await outcome(() => signer.nip44Decrypt(asked.peer, asked.payload))
told.nip04 = await outcome(() => signer.nip04Encrypt(asked.peer, 'geheim'))
told.unknown = await outcome(() => signer.sendRequest('make_coffee', []))
if (asked.logout) {
  told.logout = await outcome(() => signer.sendRequest('logout', []))
  told.after = await outcome(() => signer.sendRequest('ping', []))
}
process.stdout.write(JSON.stringify(told) + '\n', () => process.exit(0))
