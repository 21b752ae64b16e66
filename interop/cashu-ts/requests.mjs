// Payment requests (NUT-18, NUT-26) that cashu-ts writes and we read, and the other way round.
//
//   node requests.mjs PROGRAM ...    PROGRAM is the example `payment_request` of hazel-protocol; what follows is not used

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { decodePaymentRequest, PaymentRequest } from '@cashu/cashu-ts';

const program = process.argv[2];
const LIMIT_MS = 30_000;

const key = '02a9acc1e48c25eeeb9289b5031cc57da9fe72f3fe2861d264bdc074209b107ba2';
const hash = '66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925';
const nostr =
  'nprofile1qqsrhuxx8l9ex335q7he0f09aej04zpazpl0ne2cgukyawd24mayt8gpp4mhxue69uhhytnc9e3k7mgpz4mhxue69uhkg6nzv9ejuumpv34kytnrdaksjlyr9p';
const post = { type: 'post', target: 'https://shop.example.com/pay/17', tags: [] };
const direct = { type: 'nostr', target: nostr, tags: [['n', '17']] };
const mints = ['https://mint.example.com', 'https://other.example.com:3338/Bitcoin'];

const REQUESTS = {
  'an amount at a mint': [[], 'b7a90176', 10, 'sat', [mints[0]]],
  'any amount': [undefined, undefined, undefined, 'sat', mints],
  'over HTTP, once': [[post], 'order 17', 2_100, 'sat', mints, 'two coffees ☕', true],
  'over Nostr': [[direct], 'c0ffee', 21, 'sat', [mints[0]], 'tea'],
  'over both, in usd': [[direct, post], '1', 350, 'usd', mints],
  'locked to a key': [[post], '2', 64, 'sat', [mints[0]], undefined, false, { kind: 'P2PK', data: key, tags: [['locktime', '1900000000']] }],
  'locked to a hash': [[post], '3', 64, 'sat', [mints[0]], undefined, true, { kind: 'HTLC', data: hash, tags: [['pubkeys', key]] }],
};

/** What our side reads in a line, and how it writes that. */
function ours(line) {
  const done = spawnSync(program, { input: `${line}\n`, encoding: 'utf8', timeout: LIMIT_MS });
  assert.equal(done.status, 0, `${line}: ${done.stderr}`);
  return JSON.parse(done.stdout);
}

/** What a request says, however it is written: nothing and an empty list are one, and `false` is what a request is by itself. */
function meaning(raw) {
  const plain = JSON.parse(JSON.stringify(raw, (_, value) => (typeof value === 'bigint' ? Number(value) : value)));
  plain.a = plain.a === undefined ? undefined : Number(plain.a);
  const lists = (value) => (Array.isArray(value) && value.length === 0 ? undefined : value);
  const said = Object.entries(plain).map(([name, value]) => [name, lists(value)]);
  const fields = Object.fromEntries(said.filter(([name, value]) => value !== undefined && !(name === 's' && !value)));
  for (const transport of fields.t ?? []) {
    if (transport.g?.length === 0) delete transport.g;
  }
  return fields;
}

for (const [name, parts] of Object.entries(REQUESTS)) {
  const started = Date.now();
  const theirs = new PaymentRequest(...parts);
  const wanted = meaning(theirs.toRawRequest());
  for (const text of [theirs.toEncodedCreqA(), theirs.toEncodedCreqB()]) {
    const read = ours(text);
    assert.deepEqual(meaning(read.says), wanted, `what we read in ${text}`);
    for (const form of [read.creqA, read.creqB]) {
      assert.deepEqual(meaning(decodePaymentRequest(form).toRawRequest()), wanted, `what cashu-ts reads in ${form}`);
    }
  }
  const again = ours(JSON.stringify(wanted));
  assert.deepEqual(meaning(decodePaymentRequest(again.creqA).toRawRequest()), wanted, `what we wrote of ${name}`);
  console.log(`ok requests: ${name} (${Date.now() - started} ms)`);
}
