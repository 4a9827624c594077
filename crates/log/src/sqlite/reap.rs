//! What the writer does when nobody waits for it: it deletes what was forgotten and gives the space back.

use rusqlite::{Connection, params};

/// How many frames are deleted at once, and about how many bytes: an append that comes meanwhile waits that long.
const FRAMES: i64 = 1000;
const BYTES: i64 = 8 << 20;

/// How many pages are given back at once.
const PAGES: i64 = 256;

/// How many free pages the database keeps to write into: 1 MiB.
const SPARE_PAGES: i64 = 256;

/// The work that is left.
pub(super) struct Reaper {
    /// Logs with frames that are forgotten but still there.
    litter: Vec<i64>,
    /// Whether there may be more free pages than the database needs.
    loose: bool,
}

impl Reaper {
    /// Finds what an earlier life left.
    pub(super) fn new(db: &Connection) -> rusqlite::Result<Self> {
        let mut marked = db.prepare("SELECT id FROM log WHERE litter ORDER BY id")?;
        let litter = marked.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(Self { litter, loose: true })
    }

    /// Whether nothing is left to do.
    pub(super) fn is_done(&self) -> bool {
        self.litter.is_empty() && !self.loose
    }

    /// Frames of this log were forgotten, and that is committed.
    pub(super) fn add(&mut self, log: i64) {
        if !self.litter.contains(&log) {
            self.litter.push(log);
        }
    }

    /// Does a little of the work, in a transaction of its own. After an error it can be tried again.
    pub(super) fn step(&mut self, db: &mut Connection) -> rusqlite::Result<()> {
        match self.litter.last() {
            Some(log) => {
                if delete(db, *log)? {
                    self.litter.pop();
                    self.loose = true;
                }
            }
            None => self.loose = give_back(db)?,
        }
        Ok(())
    }
}

/// Deletes some forgotten frames of a log, and says whether those were the last.
fn delete(db: &mut Connection, log: i64) -> rusqlite::Result<bool> {
    let step = db.transaction()?;
    let mut upto = None;
    {
        let mut frames = step.prepare_cached(
            "SELECT last, octet_length(body) FROM frame
             WHERE log = ?1 AND last < (SELECT first FROM log WHERE id = ?1) ORDER BY last LIMIT ?2",
        )?;
        let mut found = frames.query(params![log, FRAMES])?;
        let mut bytes = 0;
        while let Some(row) = found.next()?.filter(|_| bytes < BYTES) {
            upto = Some(row.get::<_, i64>(0)?);
            bytes += row.get::<_, i64>(1)?;
        }
    }
    match upto {
        Some(upto) => {
            step.prepare_cached("DELETE FROM frame WHERE log = ?1 AND last <= ?2")?.execute([log, upto])?
        }
        None => step.prepare_cached("UPDATE log SET litter = 0 WHERE id = ?1")?.execute([log])?,
    };
    step.commit()?;
    Ok(upto.is_none())
}

/// Gives some free pages back to the file system, and says whether there are more.
fn give_back(db: &Connection) -> rusqlite::Result<bool> {
    let free = free_pages(db)?;
    let pages = (free - SPARE_PAGES).min(PAGES);
    if pages > 0 {
        // Each page is a step of the statement.
        let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut freed = vacuum.query([])?;
        while freed.next()?.is_some() {}
        // A database that somebody rewrote without `auto_vacuum` gives nothing back.
        return Ok(free_pages(db)? < free);
    }
    // The file becomes shorter only when the write-ahead log is moved into it.
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    Ok(false)
}

fn free_pages(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "freelist_count", |row| row.get(0))
}
