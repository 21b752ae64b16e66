//! The list of a wallet's mints, kept at relays for whoever has the seed (NUT-27).
//!
//! Nobody else can read it or tell whose it is. It says where money may be, never how much: the seed finds that at the mints.

use std::sync::Arc;

use futures_util::future::join_all;
use hazel_protocol::{Curve, MAX_RELAYS, MintUrl, from_json};
use hazel_wallet::Seed;
use hazel_wallet::ports::{Environment, RemoteError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::event::{Draft, Event, KIND_APPLICATION_DATA};
use crate::gift::random;
use crate::identity::Identity;
use crate::nip44::{ConversationKey, Nip44Error};
use crate::relay::Relays;

const NAME: &str = "mint-list";
const CLIENT: &str = "hazel";

/// A list of mints as it was backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintList {
    /// The mints, each once.
    pub mints: Vec<MintUrl>,
    /// Entries that are not the URL of a mint. A count.
    pub unreadable: usize,
    /// When it was made, in seconds since 1970.
    pub made_at: u64,
}

/// What is encrypted.
#[derive(Serialize, Deserialize)]
struct Content {
    mints: Vec<String>,
    timestamp: u64,
}

/// Writes and finds the list of one seed.
#[derive(Clone, Debug)]
pub struct MintBackup {
    relays: Relays,
    identity: Identity,
}

impl MintBackup {
    /// The backup of this seed.
    ///
    /// # Errors
    /// None but with a probability below 2^-127; then nothing derives from this seed.
    pub fn new(relays: Relays, curve: Arc<Curve>, seed: &Seed) -> Result<Self, hazel_wallet::Error> {
        Ok(Self { relays, identity: Identity::new(curve, seed.backup_key()?) })
    }

    /// The event with this list, encrypted to its author.
    ///
    /// # Errors
    /// [`Nip44Error::Length`] for a list that is too long for one message.
    pub fn event(&self, environment: &dyn Environment, mints: &[MintUrl]) -> Result<Event, Nip44Error> {
        let now = environment.now().to_unix();
        let content = Content { mints: mints.iter().map(MintUrl::to_string).collect(), timestamp: now };
        let text = serde_json::to_string(&content).map_err(|_| Nip44Error::Plaintext)?;
        let content = self.key()?.encrypt(&text, &random(environment))?;
        let tags = [["d", NAME], ["client", CLIENT]].map(|tag| tag.map(str::to_owned).to_vec()).to_vec();
        let draft = Draft { created_at: now, kind: KIND_APPLICATION_DATA, tags, content };
        Ok(draft.sign(&self.identity, &random(environment)))
    }

    /// Puts the list to relays, where it takes the place of the one before; how that went with each, in their order.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    pub async fn publish(
        &self,
        environment: &dyn Environment,
        urls: &[String],
        mints: &[MintUrl],
    ) -> Result<Vec<Result<(), RemoteError>>, Nip44Error> {
        let event = self.event(environment, mints)?;
        Ok(self.relays.publish_to_all(urls, &event).await)
    }

    /// The newest list that any of the relays has; none when those that answer have none.
    ///
    /// # Errors
    /// [`RemoteError`] when no relay answers.
    pub async fn find(&self, urls: &[String]) -> Result<Option<MintList>, RemoteError> {
        let author = self.identity.user().to_string();
        let filter = json!({ "kinds": [KIND_APPLICATION_DATA], "authors": [author], "#d": [NAME] });
        let asked = urls.iter().take(MAX_RELAYS).map(|url| self.relays.query(url, &filter));
        let (mut lists, mut answered, mut failure) = (Vec::new(), false, None);
        for answer in join_all(asked).await {
            match answer {
                Ok(events) => {
                    answered = true;
                    lists.extend(events.iter().filter_map(|event| self.read(event)));
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if !answered => Err(error),
            _ => Ok(lists.into_iter().max_by_key(|(at, _)| *at).map(|(_, list)| list)),
        }
    }

    /// The list in an event, with the time of the event, if both are of this seed.
    fn read(&self, event: &Event) -> Option<(u64, MintList)> {
        let draft = event.draft();
        let own = event.author() == self.identity.user() && event.has_tag("d", NAME);
        if !own || draft.kind != KIND_APPLICATION_DATA {
            return None;
        }
        let text = self.key().ok()?.decrypt(&draft.content).ok()?;
        let content: Content = from_json(text.as_bytes()).ok()?;
        let mut list = MintList { mints: Vec::new(), unreadable: 0, made_at: content.timestamp };
        for text in content.mints {
            match text.parse::<MintUrl>() {
                Ok(url) if list.mints.contains(&url) => {}
                Ok(url) => list.mints.push(url),
                Err(_) => list.unreadable += 1,
            }
        }
        Some((draft.created_at, list))
    }

    /// Both sides are the same user.
    fn key(&self) -> Result<ConversationKey, Nip44Error> {
        ConversationKey::new(&self.identity, &self.identity.user())
    }
}
