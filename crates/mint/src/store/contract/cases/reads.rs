//! Reads: one entry for each key in the order of the keys, limits, pages, orders.

use std::sync::{Arc, Mutex, PoisonError};

use hazel_protocol::{PaymentMethod, PointBytes, QuoteId};

use crate::ports::{Applied, Change, Conflict, Contents, MintQuote, Observer, OpenMintQuote, OperationId, Timestamp};
use crate::store::contract::Bench;
use crate::store::contract::fixture::{IntoChange, Melt, Minting, NOW, Swap, b, operation, quote_id, y};

cases!("reads":
    an_empty_ledger_knows_nothing,
    answers_follow_the_keys,
    an_unsigned_ys_and_bs_are_apart,
    many_keys_are_one_question,
    unfinished_operations_come_in_pages,
    unpaid_mint_quotes_come_oldest_first,
    a_ledger_that_refused_is_not_poisoned,
    commits_are_told_in_their_order_and_refusals_are_not,
);

async fn an_empty_ledger_knows_nothing(bench: &Bench) {
    let store = bench.store();
    assert_eq!(store.inputs(&[y(1), y(2)]).await, Ok(vec![None, None]));
    assert_eq!(store.outputs(&[b(1)]).await, Ok(vec![None]));
    assert_eq!(store.inputs(&[]).await, Ok(vec![]));
    assert_eq!(store.outputs(&[]).await, Ok(vec![]));
    assert_eq!(store.contents(operation(1)).await, Ok(Contents::default()));
    assert_eq!(store.operation(operation(1)).await, Ok(None));
    assert_eq!(store.unfinished(None, 10).await, Ok(vec![]));
    assert_eq!(store.mint_quotes(&[quote_id("mint", 1)]).await, Ok(vec![None]));
    assert_eq!(store.mint_quotes(&[]).await, Ok(vec![]));
    assert_eq!(store.mint_quote_by_hash(&[0; 32]).await, Ok(None));
    assert_eq!(store.unpaid_mint_quotes(Timestamp::from_unix(0), 10).await, Ok(vec![]));
    assert_eq!(store.melt_quote(&quote_id("melt", 1)).await, Ok(None));
    assert_eq!(store.keysets().await, Ok(vec![]));
    assert_eq!(store.totals().await, Ok(vec![]));
    assert_eq!(store.cursor(&PaymentMethod::bolt11()).await, Ok(0));
}

async fn answers_follow_the_keys(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    bench.accept(swap.reserve()).await;
    let (one, two) = (Minting::new(1).quote, Minting::new(2).quote);
    for quote in [&one, &two] {
        bench.accept(OpenMintQuote { quote: quote.clone() }).await;
    }
    let keys = |ns: [u32; 5], point: fn(u32) -> PointBytes| ns.map(point);
    let order = [11, 999, 10, 11, 10];
    let inputs = bench.store().inputs(&keys(order, y)).await.expect("inputs can be read");
    let found: Vec<_> = inputs.iter().map(|known| known.as_ref().map(|known| known.row.y)).collect();
    assert_eq!(
        found,
        [Some(y(11)), None, Some(y(10)), Some(y(11)), Some(y(10))],
        "a key given twice is answered twice"
    );
    let outputs = bench.store().outputs(&keys(order, b)).await.expect("outputs can be read");
    let found: Vec<_> = outputs.iter().map(|known| known.as_ref().map(|known| known.output.b)).collect();
    assert_eq!(found, [Some(b(11)), None, Some(b(10)), Some(b(11)), Some(b(10))]);
    let ids = [two.id.clone(), quote_id("mint", 9), one.id.clone(), two.id.clone()];
    let quotes = bench.store().mint_quotes(&ids).await;
    assert_eq!(quotes, Ok(vec![Some(two.clone()), None, Some(one), Some(two)]));
}

async fn an_unsigned_ys_and_bs_are_apart(bench: &Bench) {
    bench.fund().await;
    let mut swap = Swap::new(1);
    // Somebody asks for a signature on the very point that is the Y of a proof.
    swap.outputs[0].b = swap.inputs[0].y;
    bench.accept(swap.reserve()).await;
    assert_eq!(bench.store().outputs(&[swap.inputs[1].y]).await, Ok(vec![None]));
    assert_eq!(bench.store().inputs(&[swap.outputs[1].b]).await, Ok(vec![None]));
    bench.accept(swap.settle()).await;
}

async fn many_keys_are_one_question(bench: &Bench) {
    bench.fund().await;
    let swap = Swap::new(1);
    bench.accept(swap.reserve()).await;
    let mut ys: Vec<PointBytes> = (0..1000).map(|n| y(n % 200)).collect();
    ys[999] = swap.inputs[0].y;
    let answer = bench.store().inputs(&ys).await.expect("a thousand keys can be asked for");
    assert_eq!(answer.len(), 1000);
    assert!(answer[999].as_ref().is_some_and(|known| known.operation == swap.operation));
    let ids: Vec<QuoteId> = (0..1000).map(|n| quote_id("mint", n)).collect();
    let answer = bench.store().mint_quotes(&ids).await.expect("a thousand ids can be asked for");
    assert_eq!(answer.len(), 1000);
}

async fn unfinished_operations_come_in_pages(bench: &Bench) {
    bench.fund().await;
    for n in [5, 2, 9, 4] {
        bench.accept(Swap::new(n).reserve()).await;
    }
    let melt = Melt::new(3);
    bench.accept(melt.open()).await;
    bench.accept(melt.reserve()).await;
    bench.accept(Swap::new(4).settle()).await;
    let page = async |after: Option<u32>, limit: u32| -> Vec<OperationId> {
        let rows = bench.store().unfinished(after.map(operation), limit).await.expect("operations can be listed");
        rows.into_iter().map(|row| row.id).collect()
    };
    let ids = |ns: &[u32]| -> Vec<OperationId> { ns.iter().copied().map(operation).collect() };
    assert_eq!(page(None, 10).await, ids(&[2, 3, 5, 9]), "oldest id first");
    assert_eq!(page(None, 2).await, ids(&[2, 3]));
    assert_eq!(page(Some(3), 2).await, ids(&[5, 9]));
    assert_eq!(page(Some(4), 1).await, ids(&[5]), "an id that is not there is a place all the same");
    assert_eq!(page(Some(9), 10).await, ids(&[]));
    assert_eq!(page(None, 0).await, ids(&[]));
}

async fn unpaid_mint_quotes_come_oldest_first(bench: &Bench) {
    // The oldest expires last.
    let quotes: Vec<MintQuote> =
        (1..=4).map(|n| MintQuote { expiry: NOW.plus(1000 - 100 * u64::from(n)), ..Minting::new(n).quote }).collect();
    for n in [2, 0, 3, 1] {
        bench.accept(OpenMintQuote { quote: quotes[n].clone() }).await;
    }
    let listed = async |after: u64, limit: u32| -> Vec<QuoteId> {
        let rows = bench.store().unpaid_mint_quotes(NOW.plus(after), limit).await.expect("quotes can be listed");
        rows.into_iter().map(|quote| quote.id).collect()
    };
    let ids = |ns: &[u32]| -> Vec<QuoteId> { ns.iter().map(|n| quote_id("mint", *n)).collect() };
    assert_eq!(listed(0, 10).await, ids(&[1, 2, 3, 4]));
    assert_eq!(listed(0, 3).await, ids(&[1, 2, 3]));
    assert_eq!(listed(700, 10).await, ids(&[1, 2]), "only what expires after that time");
    assert_eq!(listed(899, 10).await, ids(&[1]));
    bench.accept(Minting::new(2).credit()).await;
    assert_eq!(listed(0, 2).await, ids(&[1, 3]), "a paid quote is not listed");
}

async fn a_ledger_that_refused_is_not_poisoned(bench: &Bench) {
    bench.fund().await;
    let (first, second) = (Swap::new(1), Swap::new(2));
    bench.accept(first.reserve()).await;
    let greedy = Swap { inputs: [second.inputs.clone(), first.inputs.clone()].concat(), ..second.clone() };
    for _ in 0..3 {
        bench.refuse(greedy.reserve(), crate::ports::Conflict::InputsPending).await;
    }
    bench.accept(second.reserve()).await;
    bench.accept(second.settle()).await;
    bench.accept(first.settle()).await;
}

/// Writes down what it is told.
#[derive(Default)]
struct Witnessed(Mutex<Vec<(Change, Applied)>>);

impl Observer for Witnessed {
    fn committed(&self, change: &Change, applied: &Applied) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((change.clone(), applied.clone()));
    }
}

async fn commits_are_told_in_their_order_and_refusals_are_not(bench: &Bench) {
    bench.fund().await;
    let witnessed = Arc::<Witnessed>::default();
    bench.store().observe(witnessed.clone());
    let (first, second) = (Swap::new(1), Swap::new(2));
    let mut expected: Vec<(Change, Applied)> = Vec::new();
    for change in [first.reserve().into_change(), second.reserve().into_change(), first.settle().into_change()] {
        let applied = bench.apply(change.clone()).await.expect("accepted");
        expected.push((change, applied));
    }
    let thief = Swap { operation: operation(3), ..Swap::new(1) };
    bench.refuse(thief.reserve(), Conflict::InputsSpent).await;
    let again = first.settle().into_change();
    let applied = bench.apply(again.clone()).await.expect("it stands");
    expected.push((again, applied));
    let release = second.release().into_change();
    let applied = bench.apply(release.clone()).await.expect("accepted");
    expected.push((release, applied));
    let told = std::mem::take(&mut *witnessed.0.lock().unwrap_or_else(PoisonError::into_inner));
    assert_eq!(told, expected, "every commit before its answer, a repeat once more, no refusal");
}
