// A person with another maker's client: direct messages (NIP-17) made and opened by nostr-tools.
// Each line of stdin is a command in JSON and has one line of stdout for its answer:
//   {do: "begin", secret, relays}                 whose, and the relays where everything is
//     → {public}
//   {do: "announce", relays}                      an inbox list (10050)
//     → {accepted}                                how many relays took it
//   {do: "write", kind, content, to: [hex], tags} a rumor, sealed and wrapped for each of `to` and
//     → {id, wraps: [{to, relays}]}               for oneself, each put where its list says
//   {do: "hear", within_ms}                       the next wrap for us, each once
//     → {rumor, sealed_by, wrapped_by, wrap} | {refused: why} | {nothing: true}
// What goes wrong is {error}. It ends with its stdin.
import './webcrypto.mjs'
import { createInterface } from 'node:readline'
import { finalizeEvent, getEventHash, getPublicKey, verifyEvent } from 'nostr-tools/pure'
import { decrypt, getConversationKey } from 'nostr-tools/nip44'
import { createRumor, createSeal, createWrap } from 'nostr-tools/nip59'
import { SimplePool, useWebSocketImplementation } from 'nostr-tools/pool'
import WebSocket from 'ws'

useWebSocketImplementation(WebSocket)
const pool = new SimplePool()
const onauth = async template => finalizeEvent(template, secret)
const now = () => Math.floor(Date.now() / 1000)
const came = []
let waiting = null
let secret, me, relays

const opened = (event, kind) => {
  if (!verifyEvent(event)) throw new Error(`a kind ${event.kind} with a wrong signature`)
  if (event.kind !== kind) throw new Error(`a kind ${event.kind} where ${kind} should be`)
  return JSON.parse(decrypt(event.content, getConversationKey(secret, event.pubkey)))
}
const unwrapped = wrap => {
  try {
    const seal = opened(wrap, 1059)
    const rumor = opened(seal, 13)
    // NIP-17: "Clients MUST verify if pubkey of the kind:13 is the same pubkey on the kind:14"
    if (seal.pubkey !== rumor.pubkey) throw new Error('sealed by another than its author')
    if (seal.tags.length) throw new Error('a seal with tags')
    if ('sig' in rumor) throw new Error('a rumor with a signature')
    if (rumor.id !== getEventHash(rumor)) throw new Error('a rumor with another id')
    return { rumor, sealed_by: seal.pubkey, wrapped_by: wrap.pubkey, wrap: wrap.id }
  } catch (error) {
    return { refused: String(error?.message ?? error) }
  }
}
const inbox = async key => {
  const list = await pool.get(relays, { kinds: [10050], authors: [key] }, { maxWait: 5000 })
  return (list?.tags ?? []).filter(tag => tag[0] === 'relay').map(tag => tag[1])
}
const put = async (where, event) => {
  const said = await Promise.allSettled(pool.publish(where, event))
  return said.filter(one => one.status === 'fulfilled').length
}

const commands = {
  async begin(asked) {
    secret = Uint8Array.from(Buffer.from(asked.secret, 'hex'))
    me = getPublicKey(secret)
    relays = asked.relays
    pool.subscribeMany(relays, { kinds: [1059], '#p': [me] }, {
      onauth, // a relay shows gift wraps to their recipient alone
      onevent(wrap) {
        came.push(unwrapped(wrap))
        waiting?.()
      },
    })
    return { public: me }
  },
  async announce(asked) {
    const tags = asked.relays.map(url => ['relay', url])
    const list = finalizeEvent({ kind: 10050, created_at: now(), tags, content: '' }, secret)
    return { accepted: await put(relays, list) }
  },
  async write(asked) {
    const tags = [...asked.to.map(key => ['p', key]), ...(asked.tags ?? [])]
    const rumor = createRumor({ kind: asked.kind, content: asked.content, tags }, secret)
    const wraps = []
    for (const to of [...asked.to, me]) {
      const where = await inbox(to)
      const accepted = await put(where, createWrap(createSeal(rumor, secret, to), to))
      wraps.push({ to, relays: accepted })
    }
    return { id: rumor.id, wraps }
  },
  async hear(asked) {
    if (!came.length) {
      await new Promise(resolve => {
        waiting = resolve
        setTimeout(resolve, asked.within_ms)
      })
      waiting = null
    }
    return came.shift() ?? { nothing: true }
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const asked = JSON.parse(line)
    answer = await commands[asked.do](asked)
  } catch (error) {
    answer = { error: String(error?.message ?? error) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
process.exit(0)
