// Node 18, Debian 12's, has no global `crypto` yet; imported before whatever needs it.
import { webcrypto } from 'node:crypto'

globalThis.crypto ??= webcrypto
