//! Several wallet processes on one wallet, and one seed on two devices, at a real mint.

mod loss;
mod support;

use loss::World;
use support::{Said, User};

/// `hazel` says that another process has the wallet.
const IN_USE: i32 = 7;

/// Runs the command until the wallet is free for it.
fn until_free(user: &User, arguments: &[String]) -> Said {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    loop {
        let said = user.hazel(&arguments);
        if said.code != Some(IN_USE) {
            return said;
        }
        assert!(said.err.contains("use"), "{said:#?}");
    }
}

fn commands(world: &World) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for turn in 0..3 {
        commands.push(vec!["send".to_owned(), (20 + turn).to_string(), "--yes".to_owned()]);
        commands.push(vec!["mint".to_owned(), (30 + turn).to_string()]);
        commands.push(vec!["receive".to_owned(), world.token("9")]);
        commands.push(vec!["pay".to_owned(), world.invoice("5"), "--yes".to_owned()]);
    }
    commands
}

#[test]
fn processes_on_one_wallet_take_turns_and_the_sums_add_up() {
    let world = World::new();
    let before = world.alice.balance();
    let commands = commands(&world);
    let said: Vec<Said> = std::thread::scope(|scope| {
        let running: Vec<_> =
            commands.iter().map(|arguments| scope.spawn(|| until_free(&world.alice, arguments))).collect();
        running.into_iter().map(|one| one.join().expect("no panic")).collect()
    });
    for (said, arguments) in said.iter().zip(&commands) {
        assert_eq!(said.code, Some(0), "{}: {said:#?}", arguments[0]);
    }
    world.assert_nothing_lost(&[&world.alice, &world.bob], "together");
    let after = world.alice.balance();
    assert_eq!(after.2, before.2 + 20 + 21 + 22, "three tokens are out");
    let came = 30 + 31 + 32 + 3 * 9;
    assert!(after.0 <= before.0 + came - after.2 - 3 * 5, "{after:?}");
    assert!(after.0 + 3 * 10 >= before.0 + came - after.2 - 3 * 5, "but for small fees: {after:?}");
}

#[test]
fn a_process_killed_while_others_wait_leaves_the_wallet_to_them() {
    let world = World::new();
    let waits = world.alice.begin(&["mint", "1"]);
    waits.signal("STOP");
    let others: Vec<_> = (0..2).map(|_| world.alice.begin(&["send", "3", "--yes"])).collect();
    waits.signal("KILL");
    drop(waits);
    for other in others {
        let said = other.end();
        assert!(matches!(said.code, Some(0 | IN_USE)), "{said:#?}");
    }
    world.assert_nothing_lost(&[&world.alice, &world.bob], "killed");
}

#[test]
fn two_devices_with_one_seed_at_once_lose_nothing() {
    let world = World::new();
    let seed = world.alice.hazel(&["seed", "show", "--yes"]).ok().out;
    let second = User::new(world.path("second"), Some(&world.mint));
    second.hazel_reads(&["init", "--from-words", "-"], &seed).ok();
    second.hazel(&["mint", "700"]).ok();
    for turn in 0..4 {
        let minted: Vec<Said> = std::thread::scope(|scope| {
            let running: Vec<_> =
                [&world.alice, &second].map(|user| scope.spawn(|| user.hazel(&["mint", "100"]))).into_iter().collect();
            running.into_iter().map(|one| one.join().expect("no panic")).collect()
        });
        for said in minted {
            assert!(matches!(said.code, Some(0 | 5)), "turn {turn}: {said:#?}");
        }
    }
    for user in [&world.alice, &second] {
        user.hazel(&["mint", "--resume"]);
        user.hazel(&["restore"]).ok();
    }
    // What both know may be spent by one of them alone: the seed owns it once.
    let third = User::new(world.path("third"), Some(&world.mint));
    third.hazel_reads(&["init", "--from-words", "-"], &seed).ok();
    third.hazel(&["restore"]).ok();
    world.assert_nothing_lost(&[&third, &world.bob], "by the seed");
    assert_eq!(third.balance(), (20_000 + 700 + 800, 0, 0), "every invoice that was paid");
}
