//! Landlock: the whole confinement where there are no namespaces, and something more where there are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::{Refused, Result, While, at, paths};
use crate::sandbox::Confinement;

/// The newest that is known here; what an older kernel lacks is left out.
const NEWEST: ABI = ABI::V6;
/// What every program may write to besides.
const DEVICES: [&str; 8] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ptmx",
    "/dev/pts",
];

/// Shuts this process in by rules alone. Landlock knows what is allowed and not what is forbidden, so that hiding a
/// directory means to allow all its neighbours, on every level above it. Names of hidden files can still be listed.
pub(super) fn enter(confine: &Confinement) -> Result<()> {
    let refused = |error: RulesetError| io::Error::other(error.to_string());
    let doing = || "restrict itself by Landlock".to_owned();
    let hidden: Vec<PathBuf> = paths(&confine.hide).filter_map(|path| path.canonicalize().ok()).collect();
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    ruleset = ruleset.handle_access(AccessFs::from_all(NEWEST)).map_err(refused).doing(doing)?;
    if !confine.network {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST)).map_err(refused).doing(doing)?;
    }
    ruleset = ruleset.scope(Scope::from_all(NEWEST)).map_err(refused).doing(doing)?;
    let mut rules = ruleset.create().map_err(refused).doing(doing)?;
    let root = PathFd::new("/").map_err(io::Error::other).doing(|| at("open", "/"))?;
    rules = rules.add_rule(PathBeneath::new(root, AccessFs::ReadDir)).map_err(refused).doing(doing)?;
    let mut seen = Vec::new();
    visible(Path::new("/"), &hidden, &mut seen)?;
    let all = AccessFs::from_all(NEWEST);
    rules = allow(rules, seen.iter().map(PathBuf::as_path), AccessFs::from_read(NEWEST))?;
    rules = allow(rules, DEVICES.iter().map(Path::new), all)?;
    rules = allow(rules, paths(&confine.temporary), all)?;
    rules = allow(rules, paths(&confine.write), all)?;
    rules = allow(rules, paths(&confine.read), AccessFs::from_read(NEWEST))?;
    let status = rules.restrict_self().map_err(refused).doing(doing)?;
    match status.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => {
            Err(Refused { what: doing(), error: io::Error::other("this kernel has no Landlock") })
        }
    }
}

/// Beside the namespaces: no signals to processes outside, and no sockets of theirs that are no files. Kernels before
/// Linux 6.12 know neither.
pub(super) fn keep_to_itself() {
    let scoped = Ruleset::default().set_compatibility(CompatLevel::BestEffort).scope(Scope::from_all(NEWEST));
    drop(scoped.and_then(Ruleset::create).and_then(RulesetCreated::restrict_self));
}

fn allow<'a>(
    rules: RulesetCreated,
    paths: impl Iterator<Item = &'a Path>,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated> {
    let failed = |error: RulesetError| io::Error::other(error.to_string());
    rules.add_rules(path_beneath_rules(paths, access)).map_err(failed).doing(|| "allow a path".to_owned())
}

/// The entries of a directory that neither are hidden nor lead to what is, on every level down to the hidden ones. A link is
/// left out: what it leads to is an entry somewhere itself.
fn visible(directory: &Path, hidden: &[PathBuf], seen: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory).doing(|| at("read", directory))?.flatten() {
        let path = entry.path();
        if hidden.contains(&path) || entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
            continue;
        }
        if hidden.iter().any(|hidden| hidden.starts_with(&path)) {
            visible(&path, hidden, seen)?;
        } else {
            seen.push(path);
        }
    }
    Ok(())
}
