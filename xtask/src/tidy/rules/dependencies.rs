//! Who may depend on whom, and on what.

use super::super::Finding;
use super::super::tree::Tree;

pub(crate) const ARROWS: &str = "arrows";
pub(crate) const FEW: &str = "few-dependencies";
pub(crate) const LOCK: &str = "lock-file";

const MAX_PROTOCOL_DEPENDENCIES: usize = 8;

/// Which crates of the workspace each may depend on. A crate that is not listed here may use them all.
const MAY_USE: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("mint", &["hazel-protocol"]),
    ("wallet", &["hazel-protocol"]),
    ("sqlite", &["hazel-protocol", "hazel-mint", "hazel-wallet"]),
    ("postgres", &["hazel-protocol", "hazel-mint", "hazel-wallet"]),
    ("lightning", &["hazel-protocol", "hazel-mint"]),
    ("http", &["hazel-protocol", "hazel-mint", "hazel-wallet"]),
    ("nostr", &["hazel-protocol", "hazel-wallet"]),
    ("bench", &["hazel-protocol", "hazel-lightning"]),
    ("cli", &["hazel-protocol", "hazel-wallet", "hazel-http", "hazel-nostr", "hazel-sqlite", "hazel-postgres"]),
];

/// Packages of which the lock file holds exactly one version, if any.
const ONCE: &[&str] = &["secp256k1", "secp256k1-sys", "rustls", "libsqlite3-sys", "bitcoin"];

/// Packages that may not be there at all, by name or by the beginning of it, and why.
const BANNED: &[(&str, &str)] = &[
    ("cdk", "Hazel implements the protocol itself"),
    ("cdk-*", "Hazel implements the protocol itself"),
    ("cashu", "Hazel implements the protocol itself"),
    ("cashu-*", "Hazel implements the protocol itself"),
    ("k256", "libsecp256k1 is the one curve library"),
    ("aws-lc-*", "ring is the one rustls provider"),
    ("native-tls", "rustls is the one TLS stack"),
];

/// Dependencies point inwards: adapters know the engines, the engines know the protocol.
pub(crate) fn arrows(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, allowed) in MAY_USE {
        let path = format!("crates/{name}/Cargo.toml");
        for dependency in dependencies(tree, &path).iter().map(|(dependency, _)| dependency) {
            let is_ours = dependency.starts_with("hazel");
            if is_ours && !allowed.contains(&dependency.as_str()) {
                let message = format!("{name} may not depend on {dependency}: see ARCHITECTURE.md");
                findings.push(Finding { rule: ARROWS, at: path.clone(), line: 0, amount: 1, message });
            }
        }
    }
    findings
}

/// The protocol crate has at most eight dependencies that cannot be turned off.
pub(crate) fn few(tree: &Tree) -> Vec<Finding> {
    let path = "crates/protocol/Cargo.toml";
    let mandatory = dependencies(tree, path).iter().filter(|(_, optional)| !optional).count();
    if mandatory <= MAX_PROTOCOL_DEPENDENCIES {
        return Vec::new();
    }
    let message = format!("{mandatory} mandatory dependencies; {MAX_PROTOCOL_DEPENDENCIES} are allowed");
    vec![Finding { rule: FEW, at: path.to_owned(), line: 0, amount: mandatory, message }]
}

/// The lock file holds one curve library, one TLS stack, one SQLite, no other Cashu implementation, and nothing from git.
pub(crate) fn lock(tree: &Tree) -> Vec<Finding> {
    let path = "Cargo.lock";
    let table = tree.manifest(path).unwrap_or_default();
    let packages = table.get("package").and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let field =
        |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).unwrap_or("").to_owned();
    let names: Vec<String> = packages.iter().map(|package| field(package, "name")).collect();
    let mut messages = Vec::new();
    for name in ONCE.iter().filter(|once| names.iter().filter(|name| name == *once).count() > 1) {
        messages.push(format!("more than one {name}: bring all users of it to one version"));
    }
    for (pattern, why) in BANNED {
        messages.extend(names.iter().filter(|name| matches(pattern, name)).map(|name| format!("{name}: {why}")));
    }
    for package in packages.iter().filter(|package| field(package, "source").starts_with("git+")) {
        messages.push(format!("{} comes from git: only the registry is allowed", field(package, "name")));
    }
    let finding = |message| Finding { rule: LOCK, at: path.to_owned(), line: 0, amount: 1, message };
    messages.into_iter().map(finding).collect()
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(name == pattern, |beginning| name.starts_with(beginning))
}

/// The normal dependencies of the manifest at `path`, each with whether it is optional.
fn dependencies(tree: &Tree, path: &str) -> Vec<(String, bool)> {
    let manifest = tree.manifest(path).unwrap_or_default();
    let table = manifest.get("dependencies").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    let is_optional = |value: &toml::Value| value.get("optional").and_then(toml::Value::as_bool) == Some(true);
    table.iter().map(|(name, value)| (name.clone(), is_optional(value))).collect()
}
