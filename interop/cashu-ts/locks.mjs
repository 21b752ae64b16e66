// Spending conditions, batches and locked quotes, with the stock wallet's own code on the client's side.
//
// Each flow starts with money of its own and ends with its books balanced. Where a rule is broken on purpose, the refusal must be
// the NUTs', the proofs must still be unspent, and the right witness must then spend them.

import assert from 'node:assert/strict';
import {
  CheckStateEnum,
  MeltQuoteState,
  MintQuoteState,
  createHTLCHash,
  createRandomSecretKey,
  getPubKeyFromPrivKey,
  getHTLCWitnessPreimage,
} from '@cashu/cashu-ts';
import { assertMelt, assertStates, fund, inputFee, open, refused, sum, until } from './wallet.mjs';

const PROOF_NOT_VERIFIED = 10001;
const SIGNATURE_INVALID = 20008;
const QUOTE_ALREADY_ISSUED = 20002;
const LOCKED = 32n;
const PAST = 1;
const FUTURE = 4_000_000_000;

const hex = (bytes) => Buffer.from(bytes).toString('hex');

function keyPair() {
  const secret = createRandomSecretKey();
  return { privkey: hex(secret), pubkey: hex(getPubKeyFromPrivKey(secret)) };
}

// Swaps fresh money into proofs with this lock.
async function lock(wallet, options) {
  const proofs = await fund(wallet, LOCKED + 8n);
  const { keep, send } = await wallet.send(LOCKED, proofs, { includeFees: false }, { send: { type: 'p2pk', options } });
  const fee = inputFee(wallet, proofs);
  assert.equal(sum(send), LOCKED);
  assert.equal(sum(keep) + sum(send) + fee, sum(proofs), 'the swap into locked proofs balances');
  for (const proof of send) assert.match(proof.secret, options.hashlock ? /^\["HTLC"/ : /^\["P2PK"/);
  return send;
}

// Spends with the witness that these keys make, and checks that all but the fee arrives.
async function opens(wallet, locked, privkey) {
  const received = await wallet.receive(locked, { privkey });
  assert.equal(sum(received) + inputFee(wallet, locked), sum(locked), 'what was locked arrives');
  await assertStates(wallet, locked, CheckStateEnum.SPENT);
  return received;
}

// A swap that the mint must refuse. The wallet's own checks stand aside, so that it is the mint that says no.
async function staysShut(wallet, locked, what, privkey) {
  const signed = privkey ? wallet.signP2PKProofs(locked, privkey) : locked;
  await refused(PROOF_NOT_VERIFIED, what, () => spendAsTheyAre(wallet, signed));
  await assertStates(wallet, locked, CheckStateEnum.UNSPENT);
}

// NUT-03 with these very proofs and witnesses.
async function spendAsTheyAre(wallet, proofs) {
  const preview = await wallet.prepareSwapToReceive(proofs);
  return wallet.completeSwap(preview);
}

async function toOneKey(wallet) {
  const [owner, thief] = [keyPair(), keyPair()];
  const locked = await lock(wallet, { pubkey: owner.pubkey });
  await staysShut(wallet, locked, 'spending without a signature');
  const forged = locked.map((proof) => {
    const stolen = JSON.stringify({ signatures: ['ab'.repeat(64)] });
    return { ...proof, witness: stolen };
  });
  await staysShut(wallet, forged, 'spending with a forged signature');
  await assert.rejects(() => wallet.receive(locked, { privkey: thief.privkey }), 'another key does not open it');
  await assertStates(wallet, locked, CheckStateEnum.UNSPENT);
  await opens(wallet, locked, owner.privkey);
}

async function twoOfThree(wallet) {
  const keys = [keyPair(), keyPair(), keyPair()];
  const options = { pubkey: keys.map((key) => key.pubkey), requiredSignatures: 2 };
  const locked = await lock(wallet, options);
  await staysShut(wallet, locked, 'one signature of two', keys[2].privkey);
  await opens(wallet, locked, [keys[0].privkey, keys[2].privkey]);
}

async function locktime(wallet) {
  const [owner, back] = [keyPair(), keyPair()];
  const early = await lock(wallet, { pubkey: owner.pubkey, locktime: FUTURE, refundKeys: [back.pubkey] });
  await assert.rejects(() => wallet.receive(early, { privkey: back.privkey }), 'no refund before the locktime');
  await assertStates(wallet, early, CheckStateEnum.UNSPENT);
  await opens(wallet, early, owner.privkey);

  const late = { pubkey: owner.pubkey, locktime: PAST, refundKeys: [back.pubkey] };
  await opens(wallet, await lock(wallet, late), back.privkey);
  await opens(wallet, await lock(wallet, late), owner.privkey);

  const open = await lock(wallet, { pubkey: owner.pubkey, locktime: PAST });
  const received = await spendAsTheyAre(wallet, open);
  assert.equal(sum(received.keep) + inputFee(wallet, open), LOCKED, 'anyone may once the lock has expired');
}

async function refundOfTwo(wallet) {
  const [owner, one, two] = [keyPair(), keyPair(), keyPair()];
  const refundKeys = [one.pubkey, two.pubkey];
  const locked = await lock(wallet, { pubkey: owner.pubkey, locktime: PAST, refundKeys, requiredRefundSignatures: 2 });
  await staysShut(wallet, locked, 'one refund signature of two', one.privkey);
  await opens(wallet, locked, [one.privkey, two.privkey]);
}

async function hashLock(wallet) {
  const [receiver, sender] = [keyPair(), keyPair()];
  const { hash, preimage } = createHTLCHash();
  const options = { pubkey: receiver.pubkey, hashlock: hash, locktime: FUTURE, refundKeys: [sender.pubkey] };
  const locked = await lock(wallet, options);
  const withPreimage = (text) => locked.map((proof) => ({ ...proof, witness: { preimage: text, signatures: [] } }));
  await staysShut(wallet, withPreimage('11'.repeat(32)), 'a wrong preimage', receiver.privkey);
  await staysShut(wallet, withPreimage(preimage), 'a preimage without a signature');
  await opens(wallet, withPreimage(preimage), receiver.privkey);
  const [entry] = await wallet.checkProofsStates(locked);
  assert.equal(getHTLCWitnessPreimage(entry.witness), preimage, 'the sender finds the preimage by NUT-07');

  const late = { ...options, locktime: PAST };
  await opens(wallet, await lock(wallet, late), sender.privkey);
}

async function sigAllSwap(wallet) {
  const owner = keyPair();
  const locked = await lock(wallet, { pubkey: owner.pubkey, sigFlag: 'SIG_ALL' });
  const other = await wallet.prepareSwapToReceive(locked, { privkey: owner.privkey });
  const signed = other.inputs;
  await refused(PROOF_NOT_VERIFIED, 'a signature for other outputs', () => spendAsTheyAre(wallet, signed));
  await assertStates(wallet, locked, CheckStateEnum.UNSPENT);
  await opens(wallet, locked, owner.privkey);
}

async function sigAllMelt(wallet, payee) {
  const owner = keyPair();
  const bill = await payee.createMintQuoteBolt11(10n);
  const quote = await wallet.createMeltQuoteBolt11(bill.request);
  const locked = await lock(wallet, { pubkey: owner.pubkey, sigFlag: 'SIG_ALL' });
  const paid = await wallet.meltProofsBolt11(quote, locked, { privkey: owner.privkey });
  assert.equal(paid.quote.state, MeltQuoteState.PAID);
  assertMelt(wallet, quote, locked, paid.change);
  await assertStates(wallet, locked, CheckStateEnum.SPENT);
}

async function asyncMelt(wallet, payee) {
  const bill = await payee.createMintQuoteBolt11(10n);
  const quote = await wallet.createMeltQuoteBolt11(bill.request);
  const proofs = await fund(wallet, 32n);
  const preview = await wallet.prepareMelt('bolt11', quote, proofs);
  const begun = await wallet.completeMelt(preview, undefined, { preferAsync: true });
  assert.ok([MeltQuoteState.PENDING, MeltQuoteState.PAID].includes(begun.quote.state), begun.quote.state);
  const paid = await until('the payment is made', async () => {
    const now = await wallet.checkMeltQuoteBolt11(quote.quote);
    return now.state === MeltQuoteState.PAID && now;
  });
  assertMelt(wallet, quote, proofs, paid.change);
}

// NUT-29 and NUT-20: two quotes, one of them locked, in one request.
async function batch(wallet) {
  const owner = keyPair();
  const locked = await wallet.createLockedMintQuote(13n, owner.pubkey);
  const free = await wallet.createMintQuoteBolt11(8n);
  const quotes = await until('both quotes are paid', async () => {
    const now = await wallet.checkMintQuoteBatchBolt11([locked.quote, free.quote]);
    return now.every((quote) => quote.state === MintQuoteState.PAID) && now;
  });
  assert.deepEqual(quotes.map((quote) => quote.quote), [locked.quote, free.quote], 'in the order of the request');
  const entries = quotes.map((quote) => ({ amount: quote.amount, quote }));
  const preview = await wallet.prepareBatchMint('bolt11', entries, { privkey: owner.privkey });
  const proofs = await wallet.completeBatchMint(preview);
  assert.equal(sum(proofs), 21n);
  const again = await wallet.completeBatchMint(preview);
  assert.deepEqual(again.map((proof) => proof.C), proofs.map((proof) => proof.C), 'the same request, the same signatures');
  const another = await wallet.prepareBatchMint('bolt11', entries, { privkey: owner.privkey });
  await refused(QUOTE_ALREADY_ISSUED, 'other outputs for issued quotes', () => wallet.completeBatchMint(another));
}

async function lockedQuote(wallet) {
  const [owner, thief] = [keyPair(), keyPair()];
  const quote = await wallet.createLockedMintQuote(21n, owner.pubkey);
  await until('the quote is paid', async () => {
    const now = await wallet.checkMintQuoteBolt11(quote.quote);
    return now.state === MintQuoteState.PAID;
  });
  // Without its key in sight the wallet signs with any.
  const forged = await wallet.prepareMint('bolt11', 21n, { quote: quote.quote }, { privkey: thief.privkey });
  await refused(SIGNATURE_INVALID, 'minting with another key', () => wallet.completeMint(forged));
  const proofs = await wallet.mintProofsBolt11(21n, quote, { privkey: owner.privkey });
  assert.equal(sum(proofs), 21n);
}

// NUT-17: what a wallet waits for is told to it.
async function subscriptions(wallet, payee) {
  const quote = await wallet.createMintQuoteBolt11(32n);
  const paid = await wallet.on.onceMintPaid(quote.quote, { timeoutMs: 30_000 });
  assert.equal(paid.state, MintQuoteState.PAID);
  const proofs = await wallet.mintProofsBolt11(32n, quote.quote);

  const told = [];
  const fail = (error) => assert.fail(String(error));
  const stopStates = await wallet.on.proofStateUpdates(proofs, (state) => told.push(state), fail);
  await until('the states as they are', () => told.length === proofs.length);
  for (const state of told) assert.equal(state.state, CheckStateEnum.UNSPENT);

  const bill = await payee.createMintQuoteBolt11(10n);
  const melt = await wallet.createMeltQuoteBolt11(bill.request);
  const melted = wallet.on.onceMeltPaid(melt.quote, { timeoutMs: 30_000 });
  const answer = await wallet.meltProofsBolt11(melt, proofs);
  assert.equal((await melted).payment_preimage, answer.quote.payment_preimage);
  await until('every proof pending, then spent', () => told.length === 3 * proofs.length);
  const states = (y) => told.filter((entry) => entry.Y === y).map((entry) => entry.state);
  const story = [CheckStateEnum.UNSPENT, CheckStateEnum.PENDING, CheckStateEnum.SPENT];
  for (const y of new Set(told.map((entry) => entry.Y))) assert.deepEqual(states(y), story);
  stopStates();
  wallet.mint.disconnectWebSocket();
  assertMelt(wallet, melt, proofs, answer.change);
}

export async function locks(step, payee) {
  const wallet = await open({});
  const info = wallet.getMintInfo();
  for (const nut of [10, 11, 14, 20]) assert.ok(info.isSupported(nut).supported, `NUT-${nut}`);
  await step('locked to one key', () => toOneKey(wallet));
  await step('locked to two of three keys', () => twoOfThree(wallet));
  await step('locktime and refund', () => locktime(wallet));
  await step('refund by two of two', () => refundOfTwo(wallet));
  await step('hash lock', () => hashLock(wallet));
  await step('SIG_ALL in a swap', () => sigAllSwap(wallet));
  await step('SIG_ALL in a melt', () => sigAllMelt(wallet, payee));
  await step('melt without waiting', () => asyncMelt(wallet, payee));
  await step('locked mint quote', () => lockedQuote(wallet));
  await step('batch of mint quotes', () => batch(wallet));
  await step('subscriptions', () => subscriptions(wallet, payee));
}
