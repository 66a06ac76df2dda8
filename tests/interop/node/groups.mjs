// nostr-tools' NIP-29 as the owner's client on the private relay. Reads one JSON object from stdin:
//   {url, key, group, bot, friend, names: [first, second], call}
// makes a group, names it, talks in it, adds a friend, names it otherwise, and, with `delete`,
// deletes it. Prints what came of each step.
import './webcrypto.mjs'
import { readFileSync } from 'node:fs'
import { finalizeEvent, getPublicKey } from 'nostr-tools/pure'
import { Relay, useWebSocketImplementation } from 'nostr-tools/relay'
import * as nip29 from 'nostr-tools/nip29'
import WebSocket from 'ws'

useWebSocketImplementation(WebSocket)
const asked = JSON.parse(readFileSync(0, 'utf8'))
const key = Uint8Array.from(Buffer.from(asked.key, 'hex'))
const group = asked.group
const sign = async template => finalizeEvent(template, key)

const relay = await Relay.connect(asked.url)
relay.onauth = sign
for (let waited = 0; waited < 50 && !relay.challenge; waited++) {
  await new Promise(resolve => setTimeout(resolve, 50))
}
await relay.auth(sign)

const say = async template => {
  try {
    await relay.publish(await sign(template))
    return 'ok'
  } catch (error) {
    return `error: ${error?.message ?? error}`
  }
}
const first = (filter, wanted) =>
  new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`nothing for ${JSON.stringify(filter)}`)), 40000)
    const open = relay.subscribe([filter], {
      onevent(event) {
        if (!wanted(event)) return
        clearTimeout(late)
        open.close()
        resolve(event)
      },
    })
  })
const of = (kind, pubkey) => ({ kinds: [kind], '#d': [group], ...(pubkey ? { authors: [pubkey] } : {}) })
const named = name => ({ metadata: { id: group, pubkey: getPublicKey(key), name, isPrivate: true, isClosed: true } })
const has = member => event => nip29.parseGroupMembersEvent(event).some(one => one.pubkey === member)

const told = {}
if (asked.delete) {
  told.deleted = await say(nip29.generateDeleteGroupEventTemplate(group))
} else {
  told.created = await say(nip29.generateCreateGroupEventTemplate(group))
  told.named = await say(nip29.generateEditGroupMetadataEventTemplate(named(asked.names[0])))
  told.joined = Boolean(await first(of(39002), has(asked.bot)))
  const before = first({ kinds: [9], '#h': [group], authors: [asked.bot] }, () => true)
  const now = Math.floor(Date.now() / 1000)
  told.said = await say({ kind: 9, created_at: now, tags: [['h', group]], content: asked.call })
  told.answer = (await before).content
  told.added = await say(nip29.generatePutUserEventTemplate(group, asked.friend, ['member']))
  told.friend = Boolean(await first(of(39002), has(asked.friend)))
  told.renamed = await say(nip29.generateEditGroupMetadataEventTemplate(named(asked.names[1])))
  const wanted = event => nip29.parseGroupMetadataEvent(event).name === asked.names[1]
  told.name = nip29.parseGroupMetadataEvent(await first(of(39000), wanted)).name
}
process.stdout.write(JSON.stringify(told) + '\n', () => process.exit(0))
