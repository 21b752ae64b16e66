//! The routes of the operator's surface. Each makes one call of the engine.

use axum::Router;
use axum::extract::{Extension, RawPathParams, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use hazel_mint::ports::{OperationId, Timestamp};
use hazel_mint::{MintError, RotateKeyset};
use hazel_protocol::{ErrorCode, KeysetId};

use super::super::answer::{Refusal, answer};
use super::super::body::Message;
use super::super::table::Reply;
use super::messages::{
    AuditList, KeysetList, KeysetView, LatchRequest, MAX_REASON_BYTES, MeterRequest, OperationList, RotateRequest,
};
use super::query::Page;
use super::{Actor, Admin};

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/v1/admin/keysets", get(keysets))
        .route("/v1/admin/keysets/rotate", post(rotate))
        .route("/v1/admin/keysets/{id}/stop", post(stop))
        .route("/v1/admin/keysets/{id}/allow", post(allow))
        .route("/v1/admin/keysets/{id}/meter", post(meter))
        .route("/v1/admin/operations", get(operations))
        .route("/v1/admin/audit", get(audit))
}

async fn keysets(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Reply<Response> {
    let page = Page::<usize>::read(query.as_deref(), "skip")?;
    let states = admin.gate.call(admin.mint.keyset_states()).await?;
    let count = states.len();
    let limit = usize::try_from(page.limit).map_err(|_| Refusal::bug())?;
    let keysets = states.into_iter().skip(page.from.unwrap_or(0)).take(limit).map(KeysetView::from).collect();
    Ok(answer(&KeysetList { count, keysets }))
}

async fn rotate(
    State(admin): State<Admin>,
    Extension(Actor(actor)): Extension<Actor>,
    Message(request): Message<RotateRequest>,
) -> Reply<Response> {
    let former = admin.mint.rotation_of(&request.unit).ok_or_else(|| Refusal::nut(ErrorCode::UnitUnsupported))?;
    let wanted = RotateKeyset {
        unit: request.unit,
        denominations: request.denominations.map_or(former.denominations, hazel_protocol::BoundedVec::into_inner),
        input_fee_ppk: request.input_fee_ppk.unwrap_or(former.input_fee_ppk),
        final_expiry: request.final_expiry.map(Timestamp::from_unix),
    };
    let id = admin.gate.call(admin.mint.rotate_keyset(wanted, &actor)).await?;
    show(&admin, id).await
}

async fn stop(
    State(admin): State<Admin>,
    actor: Extension<Actor>,
    path: RawPathParams,
    Message(request): Message<LatchRequest>,
) -> Reply<Response> {
    latch(admin, actor, path, request, true).await
}

async fn allow(
    State(admin): State<Admin>,
    actor: Extension<Actor>,
    path: RawPathParams,
    Message(request): Message<LatchRequest>,
) -> Reply<Response> {
    latch(admin, actor, path, request, false).await
}

async fn latch(
    admin: Admin,
    Extension(Actor(actor)): Extension<Actor>,
    path: RawPathParams,
    LatchRequest { reason }: LatchRequest,
    latched: bool,
) -> Reply<Response> {
    let id = keyset_of(&path)?;
    if reason.is_empty() || reason.len() > MAX_REASON_BYTES {
        let detail = format!("a reason is needed, of at most {MAX_REASON_BYTES} bytes");
        return Err(Refusal::malformed(StatusCode::BAD_REQUEST, detail));
    }
    admin.gate.call(admin.mint.latch_keyset(id, latched, &actor, &reason)).await?;
    show(&admin, id).await
}

async fn meter(
    State(admin): State<Admin>,
    Extension(Actor(actor)): Extension<Actor>,
    path: RawPathParams,
    Message(request): Message<MeterRequest>,
) -> Reply<Response> {
    let id = keyset_of(&path)?;
    admin.gate.call(admin.mint.meter_keyset(id, request.carried, &actor)).await?;
    show(&admin, id).await
}

/// The keyset that the path names.
fn keyset_of(path: &RawPathParams) -> Result<KeysetId, Refusal> {
    let id = path.iter().next().and_then(|(_, id)| id.parse().ok());
    id.ok_or_else(|| Refusal::nut(ErrorCode::KeysetUnknown))
}

/// One keyset as it is now.
async fn show(admin: &Admin, id: KeysetId) -> Reply<Response> {
    let states = admin.gate.call(admin.mint.keyset_states()).await?;
    let state = states.into_iter().find(|state| state.record.id == id);
    let state = state.ok_or_else(|| MintError::refused(ErrorCode::KeysetUnknown))?;
    Ok(answer(&KeysetView::from(state)))
}

async fn operations(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Reply<Response> {
    let page = Page::<OperationId>::read(query.as_deref(), "after")?;
    let operations = admin.gate.call(admin.mint.unfinished(page.from, page.limit)).await?;
    Ok(answer(&OperationList { operations: operations.into_iter().map(Into::into).collect() }))
}

async fn audit(State(admin): State<Admin>, RawQuery(query): RawQuery) -> Reply<Response> {
    let page = Page::<u64>::read(query.as_deref(), "before")?;
    let audit = admin.gate.call(admin.mint.audit_log(page.from, page.limit)).await?;
    Ok(answer(&AuditList { audit: audit.into_iter().map(Into::into).collect() }))
}
