//! The same request again gets the same answer, from the ledger: no cache, no time limit (NUT-19).
//!
//! A request replays a finished operation when it names all of its inputs and all of its outputs, no fewer and no more, by every field
//! that was signed or spent, and the same quotes. Witnesses are not compared: the answer holds nothing that `/v1/restore` would
//! not give. The look-up runs only where the request would otherwise be refused.

use std::collections::BTreeSet;
use std::time::Duration;

use hazel_protocol::crypto::hash_to_curve;
use hazel_protocol::mint::{MintBatchRequest, MintRequest};
use hazel_protocol::swap::SwapRequest;
use hazel_protocol::{Amount, BlindSignature, BlindedMessage, ErrorCode, KeysetId, PointBytes, Proof, QuoteId, Secret};

use crate::error::MintError;
use crate::mint::Mint;
use crate::ports::{Contents, InputState, KnownOutput, OperationId, OperationKind, compute};
use crate::signing::stored_signature;

/// The pause between two looks at an operation that still runs.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(25);

/// The longest of these pauses.
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(400);

/// An input by the fields that decide a replay, its Y not yet computed.
#[derive(Clone)]
struct AskedInput {
    secret: Secret,
    keyset: KeysetId,
    amount: Amount,
    c: PointBytes,
}

/// A spent proof by the fields that decide a replay.
type SpentKey = (PointBytes, KeysetId, Amount, PointBytes);

/// An output by the fields that decide a replay.
type OutputKey = (PointBytes, KeysetId, Amount);

/// What a request names.
#[derive(Clone)]
pub(crate) struct Asked {
    inputs: Vec<AskedInput>,
    outputs: Vec<OutputKey>,
    quotes: Vec<QuoteId>,
}

impl Asked {
    pub(crate) fn swap(request: &SwapRequest) -> Self {
        Self { inputs: asked_inputs(&request.inputs), outputs: asked_outputs(&request.outputs), quotes: Vec::new() }
    }

    pub(crate) fn issue(request: &MintRequest) -> Self {
        Self { inputs: Vec::new(), outputs: asked_outputs(&request.outputs), quotes: vec![request.quote.clone()] }
    }

    pub(crate) fn batch(request: &MintBatchRequest) -> Self {
        Self { inputs: Vec::new(), outputs: asked_outputs(&request.outputs), quotes: request.quotes.to_vec() }
    }
}

fn asked_inputs(proofs: &[Proof]) -> Vec<AskedInput> {
    let asked =
        |proof: &Proof| AskedInput { secret: proof.secret.clone(), keyset: proof.id, amount: proof.amount, c: proof.c };
    proofs.iter().map(asked).collect()
}

fn asked_outputs(messages: &[BlindedMessage]) -> Vec<OutputKey> {
    messages.iter().map(|message| (message.b, message.id, message.amount)).collect()
}

/// Computes the Ys of `proofs` on the compute pool, with the other fields that decide a replay.
pub(crate) async fn spent_keys(mint: &Mint, proofs: &[Proof]) -> Result<Vec<SpentKey>, MintError> {
    keys_of(mint, asked_inputs(proofs)).await
}

async fn keys_of(mint: &Mint, inputs: Vec<AskedInput>) -> Result<Vec<SpentKey>, MintError> {
    let keys = compute(&*mint.ports.environment, move || inputs.iter().map(key_of).collect::<Vec<_>>());
    Ok(keys.await?)
}

fn key_of(input: &AskedInput) -> SpentKey {
    let y = PointBytes::from(&hash_to_curve(input.secret.as_bytes()));
    (y, input.keyset, input.amount, input.c)
}

/// Where the operation that a request may be repeating stands.
enum Found {
    /// Not this request.
    Other,
    /// This request, still running.
    Running,
    /// This request, done.
    Finished(Contents),
}

impl Mint {
    /// The signatures of the finished operation that `asked` repeats, in the order of the request; `refusal` when it repeats none.
    ///
    /// While that operation still runs it is waited for within the request's deadline.
    pub(crate) async fn replay(
        &self,
        kind: OperationKind,
        asked: Asked,
        refusal: MintError,
    ) -> Result<Vec<BlindSignature>, MintError> {
        // One hash decides most refusals: what the ledger does not know is no replay.
        let first = asked.inputs.first().cloned().map(|input| key_of(&input));
        let Some(known) = self.operation_of(first.as_ref(), &asked.outputs).await? else { return Err(refusal) };
        if self.ports.store.contents(known).await?.inputs.len() != asked.inputs.len() {
            return Err(refusal);
        }
        let spent = keys_of(self, asked.inputs).await?;
        let deadline = self.ports.environment.sleep(self.config.request_deadline);
        let look = async {
            let mut pause = LOOK_AGAIN;
            loop {
                match self.find(kind, &spent, &asked.outputs, &asked.quotes).await? {
                    Found::Other => return Err(refusal),
                    Found::Finished(contents) => return signatures_in_order(&contents, &asked.outputs),
                    Found::Running => self.ports.environment.sleep(pause).await,
                }
                pause = (pause * 2).min(LOOK_AGAIN_MAX);
            }
        };
        futures_util::pin_mut!(look);
        match futures_util::future::select(look, deadline).await {
            futures_util::future::Either::Left((answer, _)) => answer,
            futures_util::future::Either::Right(_) => Err(MintError::refused(ErrorCode::ProofsPending)),
        }
    }

    async fn find(
        &self,
        kind: OperationKind,
        spent: &[SpentKey],
        outputs: &[OutputKey],
        quotes: &[QuoteId],
    ) -> Result<Found, MintError> {
        let Some(operation) = self.operation_of(spent.first(), outputs).await? else { return Ok(Found::Other) };
        let contents = self.ports.store.contents(operation).await?;
        if !same_kind(&contents, kind) || !same_quotes(&contents, quotes) {
            return Ok(Found::Other);
        }
        if !same_inputs(&contents, spent) || !same_outputs(&contents, outputs) {
            return Ok(Found::Other);
        }
        Ok(if finished(&contents) { Found::Finished(contents) } else { Found::Running })
    }

    /// The operation that holds the first input, or for an issue the first output. The contents decide whether it is this request.
    async fn operation_of(
        &self,
        first: Option<&SpentKey>,
        outputs: &[OutputKey],
    ) -> Result<Option<OperationId>, MintError> {
        if let Some((y, ..)) = first {
            let known = self.ports.store.inputs(&[*y]).await?;
            return Ok(known.into_iter().flatten().map(|input| input.operation).next());
        }
        let Some((b, ..)) = outputs.first() else { return Ok(None) };
        let known = self.ports.store.outputs(&[*b]).await?;
        Ok(known.into_iter().flatten().map(|output| output.operation).next())
    }
}

fn same_kind(contents: &Contents, kind: OperationKind) -> bool {
    contents.inputs.iter().all(|input| input.kind == kind) && contents.outputs.iter().all(|output| output.kind == kind)
}

/// Whether the operation's quotes are exactly these, in any order.
fn same_quotes(contents: &Contents, quotes: &[QuoteId]) -> bool {
    contents.quotes.len() == quotes.len()
        && contents.quotes.iter().collect::<BTreeSet<_>>() == quotes.iter().collect::<BTreeSet<_>>()
}

/// Whether the operation's inputs are exactly these, in any order.
pub(crate) fn same_inputs(contents: &Contents, spent: &[SpentKey]) -> bool {
    let stored: BTreeSet<SpentKey> =
        contents.inputs.iter().map(|input| (input.row.y, input.row.keyset, input.row.amount, input.row.c)).collect();
    stored.len() == spent.len() && spent.iter().copied().collect::<BTreeSet<_>>() == stored
}

fn same_outputs(contents: &Contents, outputs: &[OutputKey]) -> bool {
    let stored: BTreeSet<OutputKey> = contents.outputs.iter().map(output_key).collect();
    stored.len() == outputs.len() && outputs.iter().copied().collect::<BTreeSet<_>>() == stored
}

fn output_key(known: &KnownOutput) -> OutputKey {
    (known.output.b, known.output.keyset, known.output.amount)
}

fn finished(contents: &Contents) -> bool {
    contents.inputs.iter().all(|input| input.state == InputState::Spent)
        && contents.outputs.iter().all(|output| output.signature.is_some())
}

fn signatures_in_order(contents: &Contents, outputs: &[OutputKey]) -> Result<Vec<BlindSignature>, MintError> {
    let signature_of = |wanted: &OutputKey| {
        let known = contents.outputs.iter().find(|known| output_key(known) == *wanted);
        let signature = known.map(stored_signature).transpose()?.flatten();
        signature.ok_or_else(|| MintError::Bug("a finished operation lacks a signature".to_owned()))
    };
    outputs.iter().map(signature_of).collect()
}
