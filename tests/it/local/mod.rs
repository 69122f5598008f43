//! The sender with a local destination: Robocopy's semantics through the real program.

use quicopy_tests::{process::Finished, tree::Snapshot, world::World};

mod classes;
mod filters;
mod input;
mod links;
mod metadata;
mod moving;
mod names;
mod output;
mod own_log;
mod purge;
mod recursion;
mod repeat;
mod report;

/// Copies the tree `source` onto the tree `share` with `switches`; requires one of the exit `codes`, the tree `after` in
/// the share, and that nothing else has changed.
#[track_caller]
fn check(source: &str, share: &str, switches: &str, codes: &[i32], after: &str) -> Finished {
    let world = World::new(source, share);
    let (source_before, around_before) = (world.source_now(), world.around_now());
    let finished = world.copy(switches);
    finished.exits(codes);
    let what = format!("the share after {source:?} onto {share:?}\n{finished}");
    Snapshot::of(&world.share()).must_equal(&Snapshot::described(after), &what);
    world.source_now().must_equal(&source_before, "the source");
    world.around_now().must_equal(&around_before, "around the share");
    finished
}
