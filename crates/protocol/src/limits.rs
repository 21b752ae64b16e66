//! How much a peer may send.
//!
//! Every list and string that is read from outside has its limit here. The limits are enforced while a message is
//! being read, so that an oversized message is refused before it costs memory or curve arithmetic. A mint may set
//! lower limits of its own, never higher ones.

/// Most proofs in one request (NUT-03, NUT-05). A count.
pub const MAX_INPUTS: usize = 1000;
/// Most blinded messages in one request (NUT-03, NUT-04, NUT-05). A count.
pub const MAX_OUTPUTS: usize = 1000;
/// Most points in one state check (NUT-07). A count.
pub const MAX_YS: usize = 1000;
/// Most blinded messages in one restore request (NUT-09). A count.
pub const MAX_RESTORE_OUTPUTS: usize = 1000;
/// Most quotes in one batch (NUT-29). A count.
pub const MAX_BATCH: usize = 1000;
/// Most keysets a mint may list (NUT-02). A count.
pub const MAX_KEYSETS: usize = 10_000;
/// Most amounts in one keyset (NUT-01). A count.
pub const MAX_KEYS_PER_KEYSET: usize = 256;
/// Longest secret of a proof (NUT-00), in bytes of UTF-8.
pub const MAX_SECRET_BYTES: usize = 4096;
/// Longest witness of a proof (NUT-10), in bytes of UTF-8.
pub const MAX_WITNESS_BYTES: usize = 8192;
/// Longest payment request, such as a BOLT11 invoice (NUT-23), in bytes.
pub const MAX_REQUEST_BYTES: usize = 8192;
/// Longest invoice description (NUT-23), in bytes of UTF-8; BOLT11 has room for 639.
pub const MAX_DESCRIPTION_BYTES: usize = 640;
/// Longest quote id (NUT-04, NUT-05), in bytes.
pub const MAX_QUOTE_ID_BYTES: usize = 64;
/// Longest signature on a mint request (NUT-20), in bytes of hex.
pub const MAX_SIGNATURE_BYTES: usize = 128;
/// Longest preimage or other proof of payment (NUT-05), in bytes of text.
pub const MAX_PREIMAGE_BYTES: usize = 1024;
/// Longest mint URL, in bytes.
pub const MAX_URL_BYTES: usize = 512;
/// Longest memo of a token (NUT-00), in bytes of UTF-8.
pub const MAX_MEMO_BYTES: usize = 1024;
/// Longest name of a currency unit (NUT-01), in bytes.
pub const MAX_UNIT_BYTES: usize = 32;
/// Longest name of a payment method (NUT-04, NUT-05), in bytes.
pub const MAX_METHOD_BYTES: usize = 32;
/// Longest serialised token (NUT-00), in bytes, whether text or raw.
pub const MAX_TOKEN_BYTES: usize = 1_048_576;
/// Most proofs in one token (NUT-00). A count.
pub const MAX_TOKEN_PROOFS: usize = 4000;
/// Longest payment request (NUT-18, NUT-26), in bytes of text.
pub const MAX_PAYMENT_REQUEST_BYTES: usize = 16_384;
/// Longest id of a payment (NUT-18), in bytes of UTF-8.
pub const MAX_PAYMENT_ID_BYTES: usize = 128;
/// Most mints in one payment request (NUT-18). A count.
pub const MAX_REQUEST_MINTS: usize = 64;
/// Most transports in one payment request (NUT-18). A count.
pub const MAX_TRANSPORTS: usize = 16;
/// Most tags of a transport or lock in a payment request (NUT-18). A count.
pub const MAX_REQUEST_TAGS: usize = 32;
/// Most texts in one tag of a payment request, its name among them (NUT-18). A count.
pub const MAX_TAG_TEXTS: usize = 32;
/// Longest text in a tag of a payment request (NUT-26), in bytes of UTF-8.
pub const MAX_TAG_TEXT_BYTES: usize = 255;
/// Longest description by the server behind a Lightning address, in bytes; an image may be in it.
pub const MAX_METADATA_BYTES: usize = 49_152;
/// Most relays of one user of Nostr (NIP-19). A count.
pub const MAX_RELAYS: usize = 16;
/// Longest address of a relay of Nostr (NIP-19), in bytes.
pub const MAX_RELAY_BYTES: usize = 255;
/// Longest text in what a mint says about itself (NUT-06), in bytes of UTF-8.
pub const MAX_INFO_TEXT_BYTES: usize = 16_384;
/// Longest list in what a mint says about itself (NUT-06). A count.
pub const MAX_INFO_ITEMS: usize = 256;
/// Longest error text kept from another party, in bytes of UTF-8.
pub const MAX_ERROR_DETAIL_BYTES: usize = 1024;
/// Deepest nesting of values that a token may hold, in levels.
pub const MAX_NESTING: usize = 32;

// A token is swapped in as few requests as possible, and a swap returns at least one output per input.
const _: () = assert!(MAX_TOKEN_PROOFS.is_multiple_of(MAX_INPUTS));
const _: () = assert!(MAX_YS >= MAX_INPUTS);
