//! A small relay on the loopback, which can be told to misbehave. It is also a stranger: it checks nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

/// What a relay does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// What NIP-01 says.
    Honest,
    /// Keeps nothing, and says why, with a terminal escape in it.
    Refuses,
    /// Answers nothing.
    Silent,
    /// Changes the content of what it shows.
    Forges,
    /// Answers questions with what nobody asked for: everything it has, nonsense between.
    Careless,
    /// Never stops talking.
    Floods,
    /// Hangs up when it is asked something.
    HangsUp,
}

/// A relay that runs until it is dropped.
pub(crate) struct Relay {
    pub(crate) url: String,
    events: Arc<Mutex<Vec<Value>>>,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("ws://{}", listener.local_addr().expect("an address"));
        let events = Arc::new(Mutex::new(Vec::new()));
        let (news, _) = broadcast::channel(64);
        let kept = Arc::clone(&events);
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, manner, Arc::clone(&kept), news.clone()));
            }
        });
        Self { url, events, task }
    }

    /// What it keeps.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.events.lock().expect("no panic").clone()
    }

    /// Gives it an event behind the back of its clients.
    pub(crate) fn plant(&self, event: &str) {
        let event = serde_json::from_str(event).expect("json");
        self.events.lock().expect("no panic").push(event);
    }
}

type Socket = WebSocketStream<TcpStream>;

async fn serve(tcp: TcpStream, manner: Manner, events: Arc<Mutex<Vec<Value>>>, news: broadcast::Sender<Value>) {
    let Ok(mut socket) = accept_async(tcp).await else { return };
    let mut heard = news.subscribe();
    let mut subscription: Option<(Value, Value)> = None;
    loop {
        tokio::select! {
            message = socket.next() => {
                let Some(Ok(Message::Text(text))) = message else { return };
                let Ok(Value::Array(parts)) = serde_json::from_str(&text) else { return };
                match manner {
                    Manner::Silent => continue,
                    Manner::HangsUp => return,
                    Manner::Floods => return flood(socket).await,
                    _ => {}
                }
                match parts[0].as_str() {
                    Some("EVENT") => keep(&mut socket, manner, &events, &news, parts[1].clone()).await,
                    Some("REQ") => {
                        answer(&mut socket, manner, &events, &parts[1], &parts[2]).await;
                        subscription = Some((parts[1].clone(), parts[2].clone()));
                    }
                    _ => {}
                }
            }
            Ok(event) = heard.recv() => {
                if let Some((name, filter)) = &subscription && fits(&event, filter) {
                    say(&mut socket, json!(["EVENT", name, event])).await;
                }
            }
        }
    }
}

async fn say(socket: &mut Socket, message: Value) {
    // A client that is gone hears nothing.
    drop(socket.send(Message::text(message.to_string())).await);
}

async fn flood(mut socket: Socket) {
    while socket.send(Message::text(json!(["NOTICE", "and another thing"]).to_string())).await.is_ok() {
        tokio::time::sleep(Duration::from_micros(1)).await;
    }
}

async fn keep(
    socket: &mut Socket,
    manner: Manner,
    events: &Mutex<Vec<Value>>,
    news: &broadcast::Sender<Value>,
    event: Value,
) {
    let id = event["id"].clone();
    if manner == Manner::Refuses {
        say(socket, json!(["OK", id, false, "blocked: \u{1b}[31mnot you"])).await;
        return;
    }
    say(socket, json!(["AUTH", "challenge"])).await;
    say(socket, json!(["OK", "0".repeat(64), false, "error: somebody else's"])).await;
    {
        let mut events = events.lock().expect("no panic");
        // Of addressable events the newest is kept.
        let same = |other: &Value| {
            event["kind"] == 30078 && other["pubkey"] == event["pubkey"] && other["tags"][0] == event["tags"][0]
        };
        events.retain(|other| !same(other) || other["created_at"].as_u64() > event["created_at"].as_u64());
        events.push(event.clone());
    }
    drop(news.send(event));
    say(socket, json!(["OK", id, true, ""])).await;
}

async fn answer(socket: &mut Socket, manner: Manner, events: &Mutex<Vec<Value>>, name: &Value, filter: &Value) {
    if manner == Manner::Refuses {
        say(socket, json!(["CLOSED", name, "auth-required: who are you"])).await;
        return;
    }
    let kept = events.lock().expect("no panic").clone();
    for mut event in kept {
        if manner == Manner::Careless {
            say(socket, json!(["EVENT", name, { "id": 1 }])).await;
            say(socket, json!({ "not": "a list" })).await;
        } else if !fits(&event, filter) {
            continue;
        }
        if manner == Manner::Forges {
            event["content"] = json!("AA");
        }
        say(socket, json!(["EVENT", name, event])).await;
    }
    say(socket, json!(["EOSE", name])).await;
}

/// Whether an event is one that the filter asks for.
fn fits(event: &Value, filter: &Value) -> bool {
    let filter = filter.as_object().expect("an object");
    filter.iter().all(|(name, wanted)| {
        let wanted = wanted.as_array().expect("a list");
        match name.as_str() {
            "kinds" => wanted.contains(&event["kind"]),
            "authors" => wanted.contains(&event["pubkey"]),
            tag => event["tags"].as_array().expect("a list").iter().any(|of_event| {
                of_event[0].as_str().map(|name| format!("#{name}")).as_deref() == Some(tag)
                    && wanted.contains(&of_event[1])
            }),
        }
    })
}
