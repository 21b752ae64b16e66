//! Many clients at once, over HTTP: of those that want the same thing one wins, and the books add up.

mod client;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use client::{Answer, Hazeld, Launch, Wallet, audit, invoice, payments_by_hash, sum};
use hazel_protocol::{MeltQuoteBolt11Response, MeltQuoteState, MintResponse, Proof, ProofState, QuoteId, SwapResponse};
use tempfile::TempDir;

/// How many clients want the same thing.
const RIVALS: usize = 50;

/// An input is spent, or held by another request right now.
const SPENT_OR_PENDING: [u64; 2] = [11_001, 11_002];

async fn mint_and_wallet() -> (TempDir, Hazeld, Wallet) {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    (folder, mint, wallet)
}

/// Runs all of them at once and gives their answers in the order of the list.
async fn all_at_once<F>(requests: Vec<F>) -> Vec<Answer>
where
    F: Future<Output = Option<Answer>> + Send + 'static,
{
    let running: Vec<_> = requests.into_iter().map(tokio::spawn).collect();
    let mut answers = Vec::new();
    for each in running {
        answers.push(each.await.expect("no client panics").expect("the mint answers"));
    }
    answers
}

/// Exactly one success; every other refused with one of these codes. The winner's place.
fn one_wins(answers: &[Answer], codes: &[u64]) -> usize {
    let winners: Vec<usize> = (0..answers.len()).filter(|place| answers[*place].is_ok()).collect();
    assert_eq!(winners.len(), 1, "one wins: {winners:?}");
    for answer in answers.iter().filter(|answer| !answer.is_ok()) {
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.code().is_some_and(|code| codes.contains(&code)), "{answer:?}");
    }
    winners[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_fifty_swaps_of_a_proof_wins() {
    let (folder, mint, wallet) = mint_and_wallet().await;
    for round in 0..5 {
        let proof = wallet.mint(8).await;
        let drafts: Vec<_> = (0..RIVALS).map(|_| wallet.draft_for(8)).collect();
        let requests = drafts.iter().map(|draft| {
            let (wallet, proof, draft) = (wallet.clone(), proof.clone(), draft.clone());
            async move { wallet.try_swap(&proof, &draft).await }
        });
        let answers = all_at_once(requests.collect()).await;
        let winner = one_wins(&answers, &SPENT_OR_PENDING);
        let signed: SwapResponse = answers[winner].clone().ok();
        assert_eq!(sum(&wallet.finish_all(&drafts[winner], &signed.signatures)), 8, "round {round}");
        for (place, draft) in drafts.iter().enumerate() {
            let restored = wallet.restore(&draft.messages).await;
            assert!(restored.iter().all(|signature| signature.is_some() == (place == winner)));
        }
    }
    mint.stop();
    audit(&folder.path().join("mint.sqlite")).assert_settled(5 * 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_times_the_same_swap_has_one_answer() {
    let (folder, mint, wallet) = mint_and_wallet().await;
    let proofs = wallet.mint(63).await;
    let draft = wallet.draft_for(63);
    let requests = (0..RIVALS).map(|_| {
        let (wallet, proofs, draft) = (wallet.clone(), proofs.clone(), draft.clone());
        async move { wallet.try_swap(&proofs, &draft).await }
    });
    let answers: Vec<SwapResponse> = all_at_once(requests.collect()).await.into_iter().map(Answer::ok).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    mint.stop();
    audit(&folder.path().join("mint.sqlite")).assert_settled(63);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_fifty_issues_on_a_quote_wins() {
    let (folder, mint, wallet) = mint_and_wallet().await;
    let quote = wallet.paid_quote(21).await;
    let drafts: Vec<_> = (0..RIVALS).map(|_| wallet.draft_for(21)).collect();
    let requests = drafts.iter().map(|draft| {
        let (wallet, quote, draft) = (wallet.clone(), quote.clone(), draft.clone());
        async move { wallet.try_issue(&quote, &draft).await }
    });
    let answers = all_at_once(requests.collect()).await;
    let winner = one_wins(&answers, &[20_002]);
    let signed: MintResponse = answers[winner].clone().ok();
    wallet.finish_all(&drafts[winner], &signed.signatures);
    mint.stop();
    let books = audit(&folder.path().join("mint.sqlite"));
    books.assert_settled(21);
    assert_eq!((books.credited, books.drawn), (21, 21));
}

#[tokio::test(flavor = "multi_thread")]
async fn overlapping_sets_in_reversed_order_neither_deadlock_nor_pay_twice() {
    let (folder, mint, wallet) = mint_and_wallet().await;
    let proofs = wallet.mint_ones(40).await;
    // Window k holds proofs k..k+10, every second one backwards: each shares proofs with its neighbours.
    let windows: Vec<Vec<Proof>> = (0..30)
        .map(|start| {
            let mut window = proofs[start..start + 10].to_vec();
            if start % 2 == 1 {
                window.reverse();
            }
            window
        })
        .collect();
    let requests = windows.iter().map(|window| {
        let (wallet, window, draft) = (wallet.clone(), window.clone(), wallet.draft_for(10));
        async move { wallet.try_swap(&window, &draft).await }
    });
    let answers = all_at_once(requests.collect()).await;
    let winners: Vec<usize> = (0..30).filter(|place| answers[*place].is_ok()).collect();
    assert!((1..=4).contains(&winners.len()), "disjoint sets win: {winners:?}");
    assert!(winners.windows(2).all(|pair| pair[1] - pair[0] >= 10), "no proof in two winners: {winners:?}");
    let lost = answers.iter().filter(|answer| !answer.is_ok());
    assert!(lost.clone().all(|answer| answer.code().is_some_and(|code| SPENT_OR_PENDING.contains(&code))));
    let spent = wallet.states(&proofs).await.into_iter().filter(|state| *state == ProofState::Spent).count();
    assert_eq!(spent, 10 * winners.len());
    mint.stop();
    audit(&folder.path().join("mint.sqlite")).assert_settled(40);
}

/// A melt of `money` on `quote`, as a request to be run.
fn melt(wallet: &Wallet, quote: &QuoteId, money: &[Proof]) -> impl Future<Output = Option<Answer>> + Send + use<> {
    let (wallet, quote, money) = (wallet.clone(), quote.clone(), money.to_vec());
    async move {
        let blanks = wallet.draft(&[0; 4]);
        wallet.try_melt(&quote, &money, &blanks).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swap_and_melt_of_the_same_money_are_rivals() {
    let (folder, mint, wallet) = mint_and_wallet().await;
    let mut held = 0;
    for round in 0..6 {
        let money = wallet.mint(16).await;
        let quote = wallet.melt_quote(&invoice(round, 16)).await.quote;
        let melting = tokio::spawn(melt(&wallet, &quote, &money));
        let swapping = tokio::spawn({
            let (wallet, money, draft) = (wallet.clone(), money.clone(), wallet.draft_for(16));
            async move { wallet.try_swap(&money, &draft).await }
        });
        let answers =
            [melting.await.expect("no panic").expect("answered"), swapping.await.expect("no panic").expect("answered")];
        let winner = one_wins(&answers, &SPENT_OR_PENDING);
        held += if winner == 1 { 16 } else { 0 };
        let state = wallet.melt_quote_now(&quote).await.state;
        assert_eq!(state, if winner == 0 { MeltQuoteState::Paid } else { MeltQuoteState::Unpaid });
    }
    mint.stop();
    audit(&folder.path().join("mint.sqlite")).assert_settled(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn melts_on_one_quote_and_on_two_quotes_of_one_invoice_pay_once() {
    let (folder, mint, wallet) = mint_and_wallet().await;
    // 20005: the quote is pending; 20006: the invoice is paid; and its inputs are not what is refused.
    let codes = [20_005, 20_006];
    let moneys = [wallet.mint(16).await, wallet.mint(16).await];
    let quote = wallet.melt_quote(&invoice(10, 16)).await.quote;
    let requests = moneys.iter().map(|money| melt(&wallet, &quote, money)).collect();
    one_wins(&all_at_once(requests).await, &codes);

    let moneys = [wallet.mint(16).await, wallet.mint(16).await];
    let request = invoice(11, 16);
    let quotes = [wallet.melt_quote(&request).await.quote, wallet.melt_quote(&request).await.quote];
    let requests = quotes.iter().zip(&moneys).map(|(quote, money)| melt(&wallet, quote, money)).collect();
    one_wins(&all_at_once(requests).await, &codes);
    mint.stop();
    audit(&folder.path().join("mint.sqlite")).assert_settled(32);
    let payments = payments_by_hash(&folder.path().join("lightning.sqlite"));
    assert!(payments.len() == 2 && payments.values().all(|count| *count == 1), "{payments:?}");
}

/// What a client of the load does until the time is over; what it holds then.
async fn work(wallet: Wallet, until: Instant, number: u64, done: Arc<AtomicU64>) -> u64 {
    let mut money = wallet.mint(64).await;
    let mut rounds: u64 = 0;
    while Instant::now() < until {
        money = wallet.swap(&money).await;
        assert!(wallet.states(&money).await.iter().all(|state| *state == ProofState::Unspent));
        rounds += 1;
        if rounds.is_multiple_of(4) {
            money = pay_and_refill(&wallet, money, number * 1_000_000 + rounds).await;
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    sum(&money)
}

/// Pays an invoice with everything, and mints as much again.
async fn pay_and_refill(wallet: &Wallet, money: Vec<Proof>, number: u64) -> Vec<Proof> {
    let quote = wallet.melt_quote(&invoice(number, 40)).await.quote;
    let blanks = wallet.draft(&[0; 6]);
    let paid: MeltQuoteBolt11Response = wallet.try_melt(&quote, &money, &blanks).await.expect("answered").ok();
    assert_eq!(paid.state, MeltQuoteState::Paid);
    let mut money = wallet.finish(&blanks, &paid.change.expect("change"));
    money.extend(wallet.mint(40).await);
    money
}

/// `HAZEL_LOAD_SECS=60` makes it the minute that a release is judged by.
#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_clients_meet_no_lock_and_no_5xx() {
    const CLIENTS: u8 = 64;
    let seconds = std::env::var("HAZEL_LOAD_SECS").map_or(8, |text| text.parse().expect("a number of seconds"));
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).fake("settle-after-ms", 500).start();
    let done = Arc::new(AtomicU64::new(0));
    let first = Wallet::open(mint.url(), 200).await;
    let until = Instant::now() + Duration::from_secs(seconds);
    // Every request in there panics on anything but success, so a 5xx or a lock error fails the test.
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let wallet = first.another(number);
            tokio::spawn(work(wallet, until, number.into(), Arc::clone(&done)))
        })
        .collect();
    let mut held = 0;
    for client in clients {
        held += client.await.unwrap_or_else(|error| panic!("a client failed: {error}\n{}", mint.log()));
    }
    let log = mint.log();
    mint.stop();
    assert!(!log.contains("locked") && !log.contains("ERROR") && !log.contains("status=5"), "{log}");
    audit(&folder.path().join("mint.sqlite")).assert_settled(held);
    let payments = payments_by_hash(&folder.path().join("lightning.sqlite"));
    assert!(payments.values().all(|count| *count == 1));
    println!("{} rounds of {CLIENTS} clients in {seconds} s", done.load(Ordering::Relaxed));
}
