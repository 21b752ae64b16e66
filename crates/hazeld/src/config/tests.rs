//! The configuration, from text to a judged whole.

use std::ffi::OsString;
use std::path::Path;

use hazel_mint::Rate;
use hazel_protocol::{Amount, CurrencyUnit};

use super::*;

/// The least that is a whole configuration.
const LEAST: &str = r#"
[database]
url = "sqlite:mint.sqlite"
[seed]
file = "seed"
[lightning]
backend = "fake"
i_know_this_is_not_real_money = true
"#;

fn read(text: &str) -> Result<Config, ConfigError> {
    read_with(text, &[])
}

fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    parse(Path::new("/etc/hazel/hazeld.toml"), text, variables)
}

fn refusal(text: &str) -> String {
    read(text).expect_err("refused").to_string()
}

#[test]
fn the_example_is_whole_and_shows_the_defaults() {
    let example = read(EXAMPLE).expect("the example");
    let spelled_out: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.split_once(" = ").is_some_and(|(key, _)| is_key(key)) && is_default(rest) => rest,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let full = read(&spelled_out).expect("the example with its defaults written out");
    assert_eq!(format!("{:?}", full.http), format!("{:?}", example.http));
    assert_eq!(full.lightning, example.lightning);
    assert_eq!(full.log, example.log);
    assert_eq!(full.mint.limits.mint_max, example.mint.limits.mint_max);
    assert_eq!(full.mint.mint_quote_ttl_secs, example.mint.mint_quote_ttl_secs);
    assert_eq!(full.mint.melt_quote_ttl_secs, example.mint.melt_quote_ttl_secs);
    assert_eq!(full.mint.payment_timeout_secs, example.mint.payment_timeout_secs);
}

fn is_key(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// Lines of the example that show a form and not a default.
fn is_default(line: &str) -> bool {
    ![
        "denominations",
        "final_expiry",
        "per_second",
        "burst",
        "trusted_proxies",
        "connections",
        "durability",
        "key_file",
        "key_env",
        "file",
    ]
    .iter()
    .any(|key| line.starts_with(key))
}

fn sqlite(path: &str) -> Database {
    Database::Sqlite { path: path.into(), key: None }
}

#[test]
fn a_database_of_postgres_has_its_own_settings() {
    let with = |lines: &str| {
        let url = "postgres://u:hush@127.0.0.1/mint";
        read(&LEAST.replace("url = \"sqlite:mint.sqlite\"", &format!("url = \"{url}\"\n{lines}")))
    };
    let parts = |config: Config| match config.database {
        Database::Postgres { url, readers, durability } => (url.to_string(), readers, durability),
        other @ Database::Sqlite { .. } => panic!("{other:?}"),
    };
    let place = "postgres://127.0.0.1/mint".to_owned();
    assert_eq!(parts(with("").expect("whole")), (place.clone(), Database::READERS, None));
    let all = with("connections = 3\ndurability = \"replicated\"\n").expect("whole");
    assert_eq!(parts(all), (place, 3, Some(Durability::Replicated)));
    for (lines, said) in
        [("connections = 0", "database.connections"), ("durability = \"some\"", ":"), ("key_env = \"K\"", "SQLite")]
    {
        let error = with(lines).expect_err("refused").to_string();
        assert!(error.contains(said) && !error.contains("hush"), "{lines:?} gives {error:?}");
    }
    let error = read(&LEAST.replace("[seed]", "durability = \"local\"\n[seed]")).expect_err("refused").to_string();
    assert!(error.contains("postgres:// only"), "{error}");
}

#[test]
fn the_least_configuration_has_the_defaults_and_paths_beside_the_file() {
    let config = read(LEAST).expect("whole");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:3338");
    assert_eq!(config.database, sqlite("/etc/hazel/mint.sqlite"));
    assert_eq!(config.seed, SecretSource::File("/etc/hazel/seed".into()));
    assert_eq!(config.lightning.ledger, Path::new("/etc/hazel/lightning.sqlite"));
    assert_eq!(config.mint.units.len(), 1);
    assert_eq!(config.admin, None, "off unless it is asked for");
    let admin = |beyond: bool| {
        let listen = if beyond { "0.0.0.0:1" } else { "[::1]:0" };
        let section = format!("[admin]\nlisten = \"{listen}\"\ntoken_file = \"t\"\nbeyond_loopback = {beyond}\n");
        read(&format!("{LEAST}{section}")).expect("whole").admin.expect("asked for")
    };
    assert_eq!(admin(false).token_file, Path::new("/etc/hazel/t"));
    assert!(!admin(true).listen.ip().is_loopback());
}

#[test]
fn rates_are_limited_only_when_a_rate_is_given() {
    assert!(read(LEAST).expect("whole").http.server.rate.is_none());
    let rate = |section: &str| read(&format!("{LEAST}[rate]\n{section}"));
    let given = rate("per_second = 50\ntrusted_proxies = [\"::1\", \"10.0.0.0/8\"]\n").expect("whole");
    let given = given.http.server.rate.expect("limited");
    assert_eq!((given.per_second, given.burst, given.trusted_proxies.len()), (50, 500, 2));
    for (section, says) in [
        ("burst = 50\n", "per_second is missing"),
        ("per_second = 0\n", "from 1 to"),
        ("per_second = 5\nburst = 19\n", "from 20 to"),
        ("per_second = 5\ntrusted_proxies = [\"10.0.0.0/99\"]\n", "no network"),
    ] {
        let text = rate(section).expect_err("refused").to_string();
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_a_suggestion() {
    let text = refusal("[http]\n  lsten = \"127.0.0.1:1\"\n");
    assert!(text.starts_with("/etc/hazel/hazeld.toml:2:3: unknown key 'lsten': did you mean 'listen'?"), "{text}");
    let text = refusal("\n\n[htp]\nlisten = \"127.0.0.1:1\"\n");
    assert!(text.starts_with("/etc/hazel/hazeld.toml:3:2: unknown key 'htp': did you mean 'http'?"), "{text}");
    let text = refusal("[[unit]]\nunit = \"sat\"\n[[unit]]\nunit = \"msat\"\nfee = 1\n");
    assert!(text.starts_with("/etc/hazel/hazeld.toml:5:1: unknown key 'fee'"), "{text}");
    assert!(text.contains("input_fee_ppk"), "{text}");
}

#[test]
fn a_wrong_type_or_value_is_named_with_its_place() {
    for (text, place) in [
        ("[http]\nlisten = \"nowhere\"\n", ":2:10: "),
        ("[http]\nlisten = 1\n", ":2:10: "),
        ("[limits]\nmint_max = -1\n", ":2:12: "),
        ("[limits]\nmint_max = 1.5\n", ":2:12: "),
        ("[database]\nurl = \"postgres://h/d\"\n", ":2:7: "),
        ("[lightning]\nbackend = \"lnd\"\n", ":2:11: "),
        ("[log]\nlevel = \"loud\"\n", ":2:9: "),
        ("[[unit]]\nunit = \"SAT!\"\n", ":2:8: "),
        ("[http\n", ":1:6: "),
        ("[http]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"\n", ":3:1: "),
    ] {
        let error = refusal(text);
        assert!(error.contains(place), "{text:?} gives {error:?}");
    }
}

#[test]
fn what_is_missing_or_contradicts_is_said() {
    let without = |line: &str| refusal(&LEAST.replace(line, ""));
    assert!(without("url = \"sqlite:mint.sqlite\"").contains("database.url"));
    assert!(without("file = \"seed\"").contains("hazeld seed new"));
    assert!(without("backend = \"fake\"").contains("lightning.backend"));
    assert!(without("i_know_this_is_not_real_money = true").contains("i_know_this_is_not_real_money"));
    for (more, said) in [
        ("[limits]\nmint_min = 5\nmint_max = 4\n", "limits.mint_min"),
        ("[limits]\nmelt_min = 0\n", "limits.melt_min"),
        ("[[unit]]\nunit = \"msat\"\nmint_min = 0\n", "unit 'msat': mint_min"),
        ("[limits]\nmelt_max = 9\n[[unit]]\nunit = \"sat\"\nmelt_min = 10\n", "unit 'sat': melt_min"),
        ("[limits]\nmax_inputs = 1001\n", "limits.max_inputs"),
        ("[http]\nmax_in_flight = 0\n", "http.max_in_flight"),
        ("[http]\nrequest_timeout_secs = 0\n", "http.request_timeout_secs"),
        ("[mint]\nmelt_quote_secs = 0\n", "mint.melt_quote_secs"),
        ("[[unit]]\nunit = \"sat\"\n[[unit]]\nunit = \"sat\"\n", "two [[unit]]"),
        ("[[unit]]\nunit = \"usd\"\n", "its rate is missing"),
        ("[[unit]]\nunit = \"sat\"\ninput_fee_ppk = 1001\n", "input_fee_ppk"),
        ("[[unit]]\nunit = \"sat\"\ndenominations = [2, 4]\n", "denominations"),
        ("[[unit]]\nunit = \"sat\"\ndenominations = [1, 1]\n", "given twice"),
        ("[admin]\nlisten = \"127.0.0.1:0\"\n", "admin.token_file"),
        ("[admin]\ntoken_file = \"t\"\n", "admin.listen"),
        ("[admin]\nlisten = \"0.0.0.0:1\"\ntoken_file = \"t\"\n", "admin.beyond_loopback"),
    ] {
        let error = refusal(&format!("{LEAST}{more}"));
        assert!(error.contains(said), "{more:?} gives {error:?}");
    }
    let both = LEAST.replace("file = \"seed\"", "file = \"seed\"\nenv = \"SEED\"");
    assert!(refusal(&both).contains("not both"));
}

#[test]
fn the_environment_replaces_values() {
    let config = read_with(
        LEAST,
        &[
            ("HAZELD_HTTP__LISTEN", "0.0.0.0:80"),
            ("HAZELD_HTTP__MAX_IN_FLIGHT", "7"),
            ("HAZELD_LIMITS__MINT_MAX", "9"),
            ("HAZELD_MINT__NAME", "123"),
            ("HAZELD_MINT__URLS", r#"["https://a.example"]"#),
            ("HAZELD_LIGHTNING__IDEMPOTENT", "false"),
            ("HAZEL_OTHER", "is not ours"),
            ("PATH", "/bin"),
        ],
    )
    .expect("whole");
    assert_eq!(config.http.listen.to_string(), "0.0.0.0:80");
    assert_eq!(config.http.server.max_in_flight, 7);
    assert_eq!(config.mint.limits.mint_max, Amount::from_u64(9));
    assert_eq!(config.mint.info.name.as_deref(), Some("123"), "text that looks like a number stays text");
    assert_eq!(config.mint.info.urls, ["https://a.example"]);
    assert!(!config.lightning.behaviour.idempotent);
}

#[test]
fn a_value_that_only_the_environment_gives_is_enough() {
    let config = read_with(
        "",
        &[
            ("HAZELD_DATABASE__URL", "sqlite:/m.db"),
            ("HAZELD_SEED__ENV", "HAZELD_WORDS"),
            ("HAZELD_WORDS", "not read here"),
            ("HAZELD_LIGHTNING__BACKEND", "fake"),
            ("HAZELD_LIGHTNING__I_KNOW_THIS_IS_NOT_REAL_MONEY", "true"),
        ],
    )
    .expect("whole");
    assert_eq!(config.database, sqlite("/m.db"));
    assert_eq!(config.seed, SecretSource::Variable("HAZELD_WORDS".to_owned()));
}

#[test]
fn an_unknown_variable_is_an_error_that_does_not_repeat_its_value() {
    for (name, said) in [
        ("HAZELD_HTTP__LSTEN", "did you mean 'listen'"),
        ("HAZELD_HTP__LISTEN", "did you mean 'http'"),
        ("HAZELD_LISTEN", "HAZELD_<SECTION>__<KEY>"),
        ("HAZELD_UNIT__INPUT_FEE_PPK", "unit"),
        ("HAZELD_HTTP__MAX_IN_FLIGHT", "invalid type"),
        ("HAZELD_HTTP__LISTEN", "socket address"),
        ("HAZELD_LOG__LEVEL", "unknown variant"),
    ] {
        let error = read_with(&format!("{LEAST}[[unit]]\nunit = \"sat\"\n"), &[(name, "hush hush")]);
        let text = error.expect_err("refused").to_string();
        assert!(text.contains(name) && text.contains(said), "{text}");
        assert!(!text.contains("hush"), "{text}");
    }
}

#[test]
fn a_unit_has_the_limits_it_sets_and_the_others_of_the_mint() {
    let text =
        "[limits]\nmint_max = 9\nmelt_max = 8\n[[unit]]\nunit = \"sat\"\n[[unit]]\nunit = \"msat\"\nmint_max = 7000\n";
    let mint = read(&format!("{LEAST}{text}")).expect("both units").mint;
    let most = |unit| {
        let quotes = mint.quote_limits("bolt11", &unit);
        (quotes.mint_max.to_u64(), quotes.melt_max.to_u64())
    };
    assert_eq!((most(CurrencyUnit::Sat), most(CurrencyUnit::Msat)), ((9, 8), (7_000, 8)));
}

#[test]
fn a_unit_has_a_rate_exactly_unless_it_is_bitcoins_own() {
    let rate = |unit: &str, rate: &str| format!("{LEAST}[[unit]]\nunit = \"{unit}\"\nrate = {rate}\n");
    for text in ["\"1052.50\"", "\"2105/2\""] {
        let rates = read(&rate("usd", text)).expect("a rate").rates;
        let expected = [(CurrencyUnit::Usd, Rate::new(2_105, 2).expect("in range"))];
        assert_eq!(rates, expected.into_iter().collect(), "{text}");
    }
    for (unit, text, said) in [
        ("sat", "\"1000\"", "nobody can set"),
        ("auth", "\"1000\"", "no money"),
        ("usd", "\"0.5\"", "from 1 to"),
        ("usd", "\"1e3\"", "a number of msat"),
        ("usd", "\"1/0\"", "from 1 to"),
        ("usd", "1052.5", "expected a string"),
    ] {
        let refused = refusal(&rate(unit, text));
        assert!(refused.contains(said), "{refused}");
    }
    let missing = refusal(&format!("{LEAST}[[unit]]\nunit = \"points\"\n"));
    assert!(missing.contains("unit 'points'") && missing.contains("rate"), "{missing}");
}

#[test]
fn methods_have_units_and_limits_of_their_own() {
    let units = "[[unit]]\nunit = \"sat\"\n[[unit]]\nunit = \"usd\"\nrate = \"1000\"\nmint_max = 50\n";
    let with = |methods: &str| format!("{LEAST}{units}{methods}");
    let counter = "[[method]]\nmethod = \"bolt11\"\n[[method]]\nmethod = \"counter-1\"\nname = \"The counter\"\nunits = [\"usd\"]\n\
                   [[method.limits]]\nunit = \"usd\"\nmelt_max = 9\n";
    let config = read(&with(counter)).expect("two methods");
    let quotes = config.mint.quote_limits("counter-1", &CurrencyUnit::Usd);
    assert_eq!((quotes.mint_max.to_u64(), quotes.melt_max.to_u64()), (50, 9));
    assert_eq!(config.mint.quote_limits("bolt11", &CurrencyUnit::Usd).melt_max.to_u64(), 100_000_000);
    let ledgers: Vec<_> = config.other_methods.values().map(|fake| fake.ledger.clone()).collect();
    assert_eq!(ledgers, [Path::new("/etc/hazel/method-counter-1.sqlite")]);
    for (methods, said) in [
        ("[[method]]\nmethod = \"quote\"\n", "cannot have the name"),
        ("[[method]]\nmethod = \"A b\"\n", "a-z"),
        ("[[method]]\nmethod = \"a\"\n[[method]]\nmethod = \"a\"\n", "twice"),
        ("[[method]]\nmethod = \"a\"\nunits = []\n", "empty"),
        ("[[method]]\nmethod = \"a\"\nunits = [\"eur\"]\n", "no [[unit]] section for 'eur'"),
        ("[[method]]\nmethod = \"a\"\nunits = [\"sat\"]\n[[method.limits]]\nunit = \"usd\"\n", "and not the unit"),
        ("[[method]]\nmethod = \"a\"\n[[method.limits]]\nunit = \"usd\"\nmint_min = 51\n", "mint_min must be"),
        ("[[method]]\nmethod = \"bolt11\"\nledger = \"x\"\n", "lightning.ledger"),
        ("[[method]]\nmethod = \"a\"\nledger = \"lightning.sqlite\"\n", "the same ledger"),
    ] {
        let refused = refusal(&with(methods));
        assert!(refused.contains(said), "{methods}: {refused}");
    }
}
