//! `import --from engram`: the handoffs that the original agent bus has kept go on here.

use std::path::Path;

use trunkline_client::types::{OldHandoff, OldLane, Restored};
use trunkline_client::{Client, Error};
use trunkline_log::engram::{self, Read};

use crate::app::App;
use crate::error::CliError;
use crate::exit::Exit;

/// How many bytes of contexts and snapshots are sent at a time.
const AT_A_TIME: usize = 8 << 20;
/// How many bytes a lane or a checkpoint may have beside that.
const BESIDE: usize = 4 << 10;

pub(crate) async fn import(app: &App, path: &Path) -> crate::error::Result<Exit> {
    let Read { handoffs, odd } = engram::read(path).map_err(|error| CliError::usage(error.to_string()))?;
    let client = app.connect().await?;
    let (count, mut new, mut failed) = (handoffs.len(), Restored::default(), 0);
    for old in handoffs {
        let id = old.saved.id.clone();
        match take(&client, old, &mut new).await {
            Ok(()) => {}
            // Another may have what the daemon does take.
            Err(Error::Problem(problem)) if problem.status < 500 => {
                failed += 1;
                app.screen.note(format!("not all of handoff {id} could be taken: {}", problem.detail));
            }
            Err(error) => {
                return Err(CliError::from(error).because(format!("handoff {id} could not be taken")));
            }
        }
    }
    let exit = if failed == 0 { Exit::Ok } else { Exit::Failure };
    if app.screen.json {
        app.screen.json(&new)?;
        return Ok(exit);
    }
    let Restored { handoffs, lanes, checkpoints } = new;
    app.screen.note(format!(
        "{handoffs} handoffs, {lanes} lanes and {checkpoints} checkpoints were taken from {}, which was not changed",
        path.display()
    ));
    if count > handoffs + failed {
        let here = count - handoffs - failed;
        app.screen.note(format!("{here} handoffs were here before, and stay as they are"));
    }
    if odd > 0 {
        app.screen.note(format!("{odd} rows were passed over: their ids are empty, too long, or no text"));
    }
    Ok(exit)
}

async fn take(client: &Client, old: engram::OldHandoff, new: &mut Restored) -> Result<(), Error> {
    for part in parts(old) {
        let restored = client.restore_handoff(&part).await?;
        new.handoffs += restored.handoffs;
        new.lanes += restored.lanes;
        new.checkpoints += restored.checkpoints;
    }
    Ok(())
}

/// A handoff in parts that are not too large to be sent. Each holds the handoff itself, which is taken once.
fn parts(old: engram::OldHandoff) -> Vec<OldHandoff> {
    let empty = OldHandoff { handoff: old.saved, lanes: Vec::new(), checkpoints: Vec::new() };
    let (mut parts, mut part, mut room) = (Vec::new(), empty.clone(), AT_A_TIME);
    let mut make_room = |part: &mut OldHandoff, bytes: usize| {
        if bytes > room {
            parts.push(std::mem::replace(part, empty.clone()));
            room = AT_A_TIME;
        }
        room = room.saturating_sub(bytes);
    };
    for (lane, closed) in old.lanes {
        make_room(&mut part, lane.context.get().len() + BESIDE);
        part.lanes.push(OldLane { lane, closed });
    }
    for checkpoint in old.checkpoints {
        make_room(&mut part, checkpoint.snapshot.get().len() + BESIDE);
        part.checkpoints.push(checkpoint);
    }
    parts.push(part);
    parts
}

#[cfg(test)]
mod tests {
    use trunkline_core::handoff::{CheckpointCreated, CheckpointId, HandoffId, Saved, Stamp};
    use trunkline_core::raw::Raw;

    use super::*;

    #[test]
    fn what_is_large_is_sent_in_parts_that_each_hold_the_handoff() {
        let checkpoint = |n: u64| CheckpointCreated {
            id: CheckpointId::made(n),
            lane: None,
            agent_id: "ana".into(),
            snapshot: Raw::of(&"x".repeat(1 << 20)).unwrap(),
            session: None,
            automatic: false,
            created: Stamp(0),
            replaces: vec![],
        };
        let saved = Saved::of(HandoffId::made(1), "ana");
        let checkpoints = (0..20).map(checkpoint).collect();
        let parts = parts(engram::OldHandoff { saved: saved.clone(), lanes: vec![], checkpoints });
        let counts: Vec<_> = parts.iter().map(|part| part.checkpoints.len()).collect();
        assert_eq!((counts.len(), counts.iter().sum::<usize>()), (3, 20), "{counts:?}");
        assert!(parts.iter().all(|part| part.handoff == saved));
    }
}
