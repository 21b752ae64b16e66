//! One suite of cases that every wallet store must pass.
