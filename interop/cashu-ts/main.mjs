// A stock cashu-ts wallet, as npm delivers it, against a running mint.
//
//   node main.mjs MINT_URL PAYEE_URL
//
// MINT_URL is the mint under test. PAYEE_URL is a second mint that owns the Lightning invoice
// which is paid, so that the melt is a payment to the outside and not a settlement inside one
// mint; its invoices do not pay themselves. This script starts nothing and stops nothing: `cargo xtask interop` does.
//
// Every flow ends with its books balanced: what went in equals what came out plus the fees that
// the keyset and the quote announce. The first disagreement ends the run with exit code 1.

import assert from 'node:assert/strict';
import {
  CheckStateEnum,
  MeltQuoteState,
  MintQuoteState,
  Wallet,
  getEncodedToken,
  hasValidDleq,
} from '@cashu/cashu-ts';
import { locks } from './locks.mjs';
import { LIGHTNING_FEE, assertMelt, assertStates, inputFee, mintUrl, open, payeeUrl, refused, sum, until } from './wallet.mjs';

// NUT error codes: https://github.com/cashubtc/nuts/blob/main/error_codes.md
const TOKEN_ALREADY_SPENT = 11001;
const OUTPUTS_ALREADY_SIGNED = 11003;
const QUOTE_NOT_PAID = 20001;
const QUOTE_ALREADY_ISSUED = 20002;

// Fixed, so that a failing run can be repeated. Each run meets a fresh mint.
const SEED = Uint8Array.from({ length: 64 }, (_, i) => i);
const MINTED = 1000n;
const SENT = 21n;

function assertDleq(wallet, proofs, from) {
  for (const proof of proofs) {
    const keyset = wallet.getKeyset(proof.id);
    assert.ok(hasValidDleq(proof, keyset, { require: true }), `${from}: a proof has no valid DLEQ`);
  }
}

// NUT-01, NUT-02, NUT-06: the mint describes itself, and its keyset ids follow from its keys.
async function describe(wallet) {
  const info = wallet.getMintInfo();
  assert.ok(info.isSupported(4).disabled === false, 'minting is on');
  assert.ok(info.isSupported(5).disabled === false, 'melting is on');
  for (const nut of [7, 8, 9, 12]) assert.ok(info.isSupported(nut).supported, `NUT-${nut}`);
  const keysets = wallet.keyChain.getKeysets().filter((keyset) => keyset.isActive);
  assert.ok(keysets.length > 0, 'an active keyset');
  for (const keyset of keysets) {
    assert.match(keyset.id, /^01[0-9a-f]{64}$/, 'a version 2 keyset id');
    assert.ok(keyset.verify(), 'the keyset id follows from the keys');
  }
}

// NUT-04, NUT-23: a quote is paid by the fake node by itself, then turned into ecash once.
async function mint(wallet) {
  const quote = await wallet.createMintQuoteBolt11(MINTED);
  assert.match(quote.request, /^ln/, 'a BOLT11 invoice');
  if (quote.state === MintQuoteState.UNPAID) {
    const now = await wallet.checkMintQuoteBolt11(quote.quote);
    if (now.state === MintQuoteState.UNPAID) {
      await refused(QUOTE_NOT_PAID, 'minting before payment', () =>
        wallet.mintProofsBolt11(MINTED, quote.quote, undefined, { type: 'random' }),
      );
    }
  }
  await until('the mint quote is paid', async () => {
    const now = await wallet.checkMintQuoteBolt11(quote.quote);
    return now.state === MintQuoteState.PAID;
  });
  const proofs = await wallet.mintProofsBolt11(MINTED, quote.quote);
  assert.equal(sum(proofs), MINTED);
  assertDleq(wallet, proofs, 'mint');
  await assertStates(wallet, proofs, CheckStateEnum.UNSPENT);
  const issued = await wallet.checkMintQuoteBolt11(quote.quote);
  assert.equal(issued.state, MintQuoteState.ISSUED);
  await refused(QUOTE_ALREADY_ISSUED, 'minting a quote twice', () =>
    wallet.mintProofsBolt11(MINTED, quote.quote, undefined, { type: 'random' }),
  );
  return proofs;
}

// Splits off `amount` plus what the receiver will pay to swap it, and checks the books of the swap.
async function split(wallet, proofs, amount) {
  const { keep, send } = await wallet.send(amount, proofs, { includeFees: true });
  const left = new Set([...keep, ...send].map((proof) => proof.secret));
  const swapped = proofs.filter((proof) => !left.has(proof.secret));
  const fee = swapped.length > 0 ? inputFee(wallet, swapped) : 0n;
  assert.equal(sum(send), amount + inputFee(wallet, send), 'the receiver is left with `amount`');
  assert.equal(sum(proofs), sum(keep) + sum(send) + fee);
  assertDleq(wallet, [...keep, ...send], 'swap');
  if (swapped.length > 0) await assertStates(wallet, swapped, CheckStateEnum.SPENT);
  return { keep, send, swapped, fee };
}

// NUT-03, NUT-07, NUT-12: a swap splits off what is sent; another wallet swaps it for its own.
async function sendAndReceive(wallet, proofs) {
  const { keep, send, swapped, fee } = await split(wallet, proofs, SENT);
  assert.ok(swapped.length > 0, 'a swap took place');
  const token = getEncodedToken({ mint: mintUrl, proofs: send, unit: 'sat' });
  const receiver = await open({});
  const received = await receiver.receive(token, { requireDleq: true });
  assert.equal(sum(received), SENT);
  assertDleq(receiver, received, 'receive');
  await assertStates(wallet, send, CheckStateEnum.SPENT);
  await assertStates(receiver, received, CheckStateEnum.UNSPENT);

  const thief = await open({});
  await refused(TOKEN_ALREADY_SPENT, 'receiving a token twice', () => thief.receive(token));
  return { keep, received, fees: fee + inputFee(wallet, send) };
}

// NUT-09, NUT-13: the seed alone brings back every proof that is still unspent.
async function restore(expected) {
  const wallet = await open({ bip39seed: SEED });
  const { proofs, lastCounterWithSignature } = await wallet.batchRestore();
  assert.ok(lastCounterWithSignature !== undefined, 'the mint remembers outputs of this seed');
  const { unspent } = await wallet.groupProofsByState(proofs);
  const secrets = (list) => list.map((proof) => proof.secret).sort();
  assert.deepEqual(secrets(unspent), secrets(expected), 'restored proofs are those held');
  assert.equal(sum(unspent), sum(expected));
  assertDleq(wallet, unspent, 'restore');
  return { counter: lastCounterWithSignature + 1, unspent, wallet };
}

// A counter that was used before makes outputs that the mint has signed before.
async function reuseOfOutputs(wallet, proofs) {
  const [largest] = proofs.toSorted((a, b) => b.amount.compareTo(a.amount));
  await refused(OUTPUTS_ALREADY_SIGNED, 'signing outputs twice', () =>
    wallet.receive([largest], undefined, { type: 'deterministic', counter: 1 }),
  );
  await assertStates(wallet, proofs, CheckStateEnum.UNSPENT);
}

// NUT-05, NUT-08: an invoice of somebody else is paid; what the fee reserve did not need comes
// back as change on the blank outputs.
async function melt(wallet, proofs) {
  const payee = new Wallet(payeeUrl, { unit: 'sat' });
  await payee.loadMint();
  const bill = await payee.createMintQuoteBolt11(100n);
  const quote = await wallet.createMeltQuoteBolt11(bill.request);
  const amount = quote.amount.toBigInt();
  const reserve = quote.fee_reserve.toBigInt();
  assert.equal(amount, 100n);
  assert.equal(quote.state, MeltQuoteState.UNPAID);

  assert.ok(reserve > 0n, 'the mint under test asks for a fee reserve');

  const { keep, send, fee } = await split(wallet, proofs, amount + reserve);
  const paid = await wallet.meltProofsBolt11(quote, send);
  assert.equal(paid.quote.state, MeltQuoteState.PAID);
  assert.match(paid.quote.payment_preimage ?? '', /^[0-9a-f]{64}$/, 'a preimage');
  assertDleq(wallet, paid.change, 'melt change');
  const change = sum(paid.change);
  assertMelt(wallet, quote, send, paid.change);
  assert.equal(change, reserve - LIGHTNING_FEE, 'what Lightning did not take of the reserve comes back');
  await assertStates(wallet, send, CheckStateEnum.SPENT);
  const settled = await wallet.checkMeltQuoteBolt11(quote.quote);
  assert.equal(settled.state, MeltQuoteState.PAID);
  await refused(TOKEN_ALREADY_SPENT, 'spending melted proofs', () => wallet.receive(send));

  await until('the payee is paid', async () => {
    const now = await payee.checkMintQuoteBolt11(bill.quote);
    return now.state === MintQuoteState.PAID;
  });
  const arrived = await payee.mintProofsBolt11(amount, bill.quote);
  assert.equal(sum(arrived), amount, 'what was paid has arrived');
  return {
    proofs: [...keep, ...paid.change],
    fees: fee + inputFee(wallet, send),
    lightningFee: reserve - change,
    amount,
    reserve,
  };
}

async function main() {
  const step = async (name, work) => {
    const started = Date.now();
    const result = await work();
    console.log(`ok ${name} (${Date.now() - started} ms)`);
    return result;
  };

  const payee = new Wallet(payeeUrl, { unit: 'sat' });
  await payee.loadMint();
  const alice = await open({ bip39seed: SEED });
  await step('describe', () => describe(alice));
  const minted = await step('mint 1000', () => mint(alice));
  const { keep, received, fees: swapFees } = await step('send 21, receive', () => sendAndReceive(alice, minted));
  const { counter, unspent, wallet } = await step('restore', () => restore(keep));
  await step('reuse of outputs', () => reuseOfOutputs(wallet, unspent));
  await wallet.counters.advanceToAtLeast(wallet.keysetId, counter);
  const melted = await step('melt with change', () => melt(wallet, unspent));
  const last = await step('restore after melt', () => restore(melted.proofs));

  const { amount, lightningFee, reserve } = melted;
  const kept = sum(last.unspent);
  const fees = swapFees + melted.fees;
  assert.equal(MINTED, kept + sum(received) + amount + lightningFee + fees);
  console.log(
    `balances: minted ${MINTED} = kept ${kept} + received ${sum(received)} + paid ${amount}` +
      ` + Lightning fee ${lightningFee} (of a reserve of ${reserve}) + input fees ${fees}`,
  );
  await locks(step, payee);
}

await main();
