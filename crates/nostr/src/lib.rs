//! Just enough Nostr for a wallet: payments as private messages (NUT-18), and a backup of the list of mints (NUT-27).
//!
//! | module | what | by |
//! |---|---|---|
//! | [`event`] | what relays keep: signed, and named by its hash | NIP-01 |
//! | [`nip44`] | encryption between two keys | NIP-44 |
//! | [`gift`] | a message whose sender, receiver and time nobody else sees | NIP-17, NIP-59 |
//! | [`relay`] | one question to one relay, bounded in size and time | NIP-01 |
//! | [`courier`] | a payment on its way, and the box that it arrives in | NUT-18 |
//! | [`backup`] | the mints of a wallet, for whoever has its seed | NUT-27, NIP-78 |
//!
//! Relays are believed nothing: an [`Event`](event::Event) exists only once its hash and signature were checked, and what a relay was not
//! asked for is passed over. A relay can keep things back, which is why several are asked.
//!
//! ```
//! use std::sync::Arc;
//! use hazel_nostr::event::{Draft, Event};
//! use hazel_nostr::identity::Identity;
//! use hazel_protocol::{Curve, SecretKey};
//!
//! // In earnest, keys and entropy come from the random source of the system.
//! let alice = Identity::new(Arc::new(Curve::new(&[1; 32])), SecretKey::from_bytes(&[2; 32])?);
//! let draft = Draft { created_at: 1_700_000_000, kind: 1, tags: Vec::new(), content: "hello".to_owned() };
//! let text = draft.sign(&alice, &[3; 32]).to_json();
//! assert_eq!(Event::from_json(text.as_bytes())?.author(), alice.user());
//! assert!(Event::from_json(text.replace("hello", "hallo").as_bytes()).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod backup;
pub mod courier;
pub mod event;
pub mod gift;
pub mod identity;
pub mod nip44;
pub mod relay;
