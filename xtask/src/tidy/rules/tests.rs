//! Each rule is shown lines that break it and lines that only look as if they did.

use std::collections::BTreeSet;

use super::*;

/// What a rule is shown: files that break it, and files that do not.
struct Case {
    rule: &'static str,
    bad: Vec<(&'static str, String)>,
    good: Vec<(&'static str, String)>,
}

const LIB: &str = "crates/a/src/lib.rs";
const STORE: &str = "crates/sqlite/src/lib.rs";

fn case(rule: &'static str, path: &'static str, bad: &str, good: &str) -> Case {
    Case { rule, bad: vec![(path, bad.to_owned())], good: vec![(path, good.to_owned())] }
}

fn function(name: &str, lines: usize) -> String {
    format!("fn {name}() {{\n{}}}\n", "    step();\n".repeat(lines - 2))
}

fn functions(count: usize, lines: usize) -> String {
    (0..count).map(|index| function(&format!("f{index}"), lines)).collect()
}

fn tests_of(lines: usize) -> String {
    format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    // line\n".repeat(lines - 3))
}

fn size_cases() -> Vec<Case> {
    let hidden = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function("t", 90));
    vec![
        case(size::FUNCTION_LENGTH, LIB, &function("f", 71), &format!("{}{hidden}", function("f", 70))),
        case(
            size::SHORT_FUNCTIONS,
            LIB,
            &(functions(8, 3) + &functions(2, 30)),
            &(functions(9, 29) + &functions(1, 30)),
        ),
        case(size::FILE_LENGTH, LIB, &"// line\n".repeat(801), &("// line\n".repeat(800) + &tests_of(100))),
        case(size::INLINE_TESTS, LIB, &tests_of(201), &tests_of(200)),
    ]
}

fn code_cases() -> Vec<Case> {
    let tested = "#[cfg(test)]\nmod tests {\n#[test]\nfn t() { a.unwrap(); }\n}\n";
    let cast_ok = "use x as _;\nfn f() {\n    // At most 31: fits.\n    a as u8;\n    b as u8 // fits\n}\n\
        #[expect(clippy::cast_possible_truncation, reason = \"fits\")]\nfn g() {\n    a as u8;\n}\nfn h() {\n    x as Y;\n}\n";
    let row_ok = "fn f(row: &Row) {\n    row.get(0)?;\n    // not a row: the default page size\n    limit.unwrap_or(5);\n}\n\
        fn g() { a.ok() }\n";
    vec![
        case(
            code::UNWRAP,
            LIB,
            "fn f() { a.unwrap() }",
            &format!("// .unwrap()\nfn f() {{ a.expect(\".unwrap()\") }}\n{tested}"),
        ),
        case(code::UNWRAP, LIB, "fn f() { assert!(a.unwrap()) }", ""),
        case(code::UNSAFE, LIB, "fn f() { unsafe { a() } }", "#![forbid(unsafe_code)]\n// unsafe\n"),
        case(code::STUBS, LIB, "fn f() { todo!() }", "fn f() { unreachable!(\"checked above\") }\nfn todo() {}\n"),
        case(code::STUBS, LIB, "fn f() { unreachable!() }", ""),
        case(code::CASTS, LIB, "fn f() {\n    a as u8;\n}\n", cast_ok),
        case(code::CASTS, LIB, "// Far away.\n\nfn f() { a as usize; }\n", ""),
        case(code::DECODED_ROWS, STORE, "fn f(row: &Row) { row.get(0).unwrap_or(0) }", row_ok),
        case(code::DECODED_ROWS, STORE, "fn f(row: &Row) { row.get(0).ok() }", ""),
        case(code::IGNORED_TESTS, LIB, "#[ignore]\nfn f() {}", "#[ignore = \"needs a node\"]\nfn f() {}"),
    ]
}

fn word_cases() -> Vec<Case> {
    let mark = ["TO", "DO"].concat();
    let home = ["/ho", "me/someone/x"].concat();
    vec![
        case(
            words::LOOSE_ENDS,
            LIB,
            &format!("// {mark}: later"),
            &format!("// {mark}(#12): later\nconst A: &str = \"{mark}\";"),
        ),
        case(words::LOOSE_ENDS, ".ci/run", &format!("# {mark}"), &format!("# {mark} https://example.org/issues/1")),
        case(words::WORKPLACE, "README.md", &format!("see {home}"), "see https://example.org/home/x and docs/home/x"),
    ]
}

fn structure_cases() -> Vec<Case> {
    let body = "{ let total = items.iter().map(|item| item.amount * item.price).sum(); check(total) }";
    vec![
        Case {
            rule: structure::DEAD_FILES,
            bad: vec![("crates/a/Cargo.toml", String::new()), ("crates/a/src/b.rs", String::new())],
            good: vec![
                ("crates/a/Cargo.toml", String::new()),
                (LIB, "mod b;".to_owned()),
                ("crates/a/src/b.rs", String::new()),
            ],
        },
        case(
            structure::DUPLICATES,
            LIB,
            &format!("fn sum(a: A) {body}\nmod b {{ fn sum(b: B) /* another comment */ {body} }}"),
            &format!("fn sum() {body}\nfn total() {body}\nfn new() {{ a }}\nmod b {{ fn new() {{ a }} }}"),
        ),
        case(structure::VAGUE_NAMES, LIB, "mod utils;", "mod amount; mod utils_of_war;"),
    ]
}

fn dependency_cases() -> Vec<Case> {
    let manifest = "crates/protocol/Cargo.toml";
    let many = |count: usize| (0..count).fold("[dependencies]\n".to_owned(), |all, i| format!("{all}d{i} = \"1\"\n"));
    let package = |name: &str, source: &str| {
        format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\nsource = \"{source}\"\n")
    };
    let registry = "registry+https://example.org";
    let twice = package("secp256k1", registry) + &package("secp256k1", registry).replace("1.0.0", "2.0.0");
    let clean = package("secp256k1", registry) + &package("syn", registry) + &package("syn", registry);
    vec![
        case(dependencies::FEW, manifest, &many(9), &(many(8) + "o = { version = \"1\", optional = true }\n")),
        case(
            dependencies::ARROWS,
            "crates/mint/Cargo.toml",
            "[dependencies]\nhazel-sqlite.workspace = true\n",
            "[dependencies]\nhazel-protocol.workspace = true\n[dev-dependencies]\nhazel-sqlite.workspace = true\n",
        ),
        case(dependencies::LOCK, "Cargo.lock", &twice, &clean),
        case(dependencies::LOCK, "Cargo.lock", &package("cdk-common", registry), &package("cdkey", registry)),
        case(dependencies::LOCK, "Cargo.lock", &package("aws-lc-rs", registry), ""),
        case(dependencies::LOCK, "Cargo.lock", &package("x", "git+https://example.org"), ""),
    ]
}

fn docs_cases() -> Vec<Case> {
    let links =
        "# A title, here\n[a](#a-title-here) [b](docs/b.md#part) [c](https://example.org/x)\n```\n[d](gone.md)\n```\n";
    let row = |cells: &str| format!("| NUT | served by | proved by |\n|---|---|---|\n| 03 | {cells} |\n");
    let proof = "fn proves_it() {}".to_owned();
    let with_proof = |page: &'static str, text: String| vec![(page, text), ("crates/a/src/lib.rs", proof.clone())];
    vec![
        case(docs::LINKS, "README.md", "[a](docs/gone.md)", ""),
        case(docs::LINKS, "README.md", "# One\n[a](#two)", ""),
        Case {
            rule: docs::LINKS,
            bad: vec![("docs/a.md", "[a]: ../../x.md\n[b]: b.md".to_owned())],
            good: vec![("README.md", links.to_owned()), ("docs/b.md", "## Part".to_owned())],
        },
        Case {
            rule: docs::NAMED_PATHS,
            bad: with_proof("docs/x.md", "`crates/a/src/lib.rs::proves`".to_owned()),
            good: with_proof("docs/x.md", "`crates/a/src/lib.rs::proves_it` `crates/<name>/x` `crates/a`".to_owned()),
        },
        case(docs::NAMED_PATHS, "docs/x.md", "`crates/gone`", "`docs/adr/NNNN-title.md`"),
        Case {
            rule: docs::NUTS,
            bad: with_proof("docs/nuts.md", row("`crates/a/src/lib.rs` | tested")),
            good: with_proof("docs/nuts.md", row("`crates/a/src/lib.rs` | `crates/a/src/lib.rs::proves_it`")),
        },
        case(docs::NUTS, "docs/nuts.md", &row("soon | `crates/a/src/lib.rs::proves_it`"), "| NUT | x |\n|---|---|\n"),
    ]
}

fn config_cases() -> Vec<Case> {
    let settings =
        |own: &str| vec![("clippy.toml", "a = 1\nb = [2]".to_owned()), ("crates/a/clippy.toml", own.to_owned())];
    vec![
        Case { rule: config::CLIPPY, bad: settings("a = 1"), good: settings("a = 1\nb = [2]\nc = 3") },
        case(
            config::NPM_LOCK,
            "interop/x/package-lock.json",
            "{\n  \"resolved\": \"https://example.org/x.tgz\"\n}",
            "{\n  \"integrity\": \"sha512-x\"\n}",
        ),
    ]
}

fn cases() -> Vec<Case> {
    let groups =
        [size_cases(), code_cases(), word_cases(), structure_cases(), dependency_cases(), docs_cases(), config_cases()];
    groups.into_iter().flatten().collect()
}

fn findings(rule: &str, files: &[(&str, String)]) -> Vec<Finding> {
    let tree = Tree::new(files.iter().map(|(path, text)| ((*path).to_owned(), text.clone())));
    let rule = RULES.iter().find(|known| known.name == rule).expect("a case names a rule of the table");
    (rule.check)(&tree)
}

#[test]
fn every_rule_finds_what_is_planted() {
    for case in cases() {
        let found = findings(case.rule, &case.bad);
        assert!(!found.is_empty(), "{} does not find {:?}", case.rule, case.bad);
        assert!(found.iter().all(|finding| finding.rule == case.rule), "{found:?}");
    }
}

#[test]
fn no_rule_finds_what_only_looks_like_it() {
    for case in cases() {
        assert_eq!(findings(case.rule, &case.good), [], "{}", case.rule);
    }
}

#[test]
fn every_rule_has_a_case() {
    let shown: BTreeSet<_> = cases().iter().map(|case| case.rule).collect();
    let rules: BTreeSet<_> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(shown, rules);
}

#[test]
fn tests_in_their_own_files_are_not_held_to_the_rules_of_code() {
    let files = [
        ("crates/a/Cargo.toml", String::new()),
        (LIB, "#[cfg(test)]\nmod probe;".to_owned()),
        ("crates/a/src/probe.rs", "fn f() { a.unwrap() }".to_owned()),
        ("crates/a/tests/it.rs", "fn f() { a.unwrap() }".to_owned()),
    ];
    assert_eq!(findings(code::UNWRAP, &files), []);
}
