//! Writing rows, their facets and nothing that did not change.

use std::borrow::Cow;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use trunkline_core::raw::Raw;
use trunkline_core::row::{Row, RowKind};

type Done = rusqlite::Result<()>;

/// Writes a row, or removes it if it has no body.
pub(super) fn put(db: &Connection, log: i64, pos: i64, row: &Row) -> Done {
    let old = Old::find(db, row.kind, &row.key)?;
    match (old, &row.body) {
        (None, None) => Ok(()),
        (Some(old), None) => old.remove(db, row.kind, &row.key),
        (None, Some(body)) => {
            insert(db, log, pos, row, body)?;
            distinct(&row.facets).iter().try_for_each(|facet| insert_facet(db, row, facet))
        }
        (Some(old), Some(body)) => {
            old.update(db, log, pos, row, &json(&row.facets), body.get())?;
            old.refacet(db, row, &distinct(&row.facets))
        }
    }
}

/// Removes every row that a log wrote, and gives their removals.
pub(super) fn remove_all(db: &Connection, log: i64) -> rusqlite::Result<Vec<Row>> {
    let mut removed = Vec::new();
    let mut of_log =
        db.prepare_cached(&format!("SELECT kind, key, {OLD} FROM row WHERE log = ?1 ORDER BY kind, key"))?;
    let mut found = of_log.query([log])?;
    while let Some(row) = found.next()? {
        removed.push((kind(row.get(0)?)?, row.get::<_, String>(1)?, Old::read(row, 2)?));
    }
    let mut removals = Vec::with_capacity(removed.len());
    for (kind, key, old) in removed {
        old.remove(db, kind, &key)?;
        removals.push(Row::removed(kind, key));
    }
    Ok(removals)
}

/// Removes all rows but those for which this condition holds, and makes the facets of these anew.
pub(super) fn clear(db: &Connection, kept: &str) -> Done {
    db.execute_batch("DELETE FROM facet")?;
    db.execute(&format!("DELETE FROM row WHERE NOT ({kept})"), [])?;
    db.execute_batch(
        "INSERT OR IGNORE INTO facet (kind, facet, rank0, rank1, key)
         SELECT r.kind, each.value, r.rank0, r.rank1, r.key FROM row AS r, json_each(r.facets) AS each",
    )
}

/// Which rows a commit wrote or removed, as its frame keeps them.
#[derive(Serialize, Deserialize)]
pub(super) struct Name<'a>(pub(super) u8, pub(super) Cow<'a, str>, pub(super) bool);

/// The names of rows as a column; none if there are no rows.
pub(super) fn names(rows: &[Row]) -> Option<String> {
    let names = rows.iter().map(|row| Name(row.kind as u8, Cow::Borrowed(&row.key), row.body.is_none()));
    (!rows.is_empty()).then(|| json(&names.collect::<Vec<_>>()))
}

/// The kind with this number.
pub(super) fn kind(number: u8) -> rusqlite::Result<RowKind> {
    RowKind::ALL
        .into_iter()
        .find(|kind| *kind as u8 == number)
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(0, number.into()))
}

/// Reads a column of JSON.
pub(super) fn from_json<T: DeserializeOwned>(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(at)?.as_str()?)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(error)))
}

fn json<T: Serialize>(items: &[T]) -> String {
    serde_json::to_string(items).expect("texts and numbers have a JSON form")
}

fn insert(db: &Connection, log: i64, pos: i64, row: &Row, body: &Raw) -> Done {
    let due = row.due.map(|due| due.0);
    db.prepare_cached(
        "INSERT INTO row (kind, key, log, pos, rank0, rank1, due, facets, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        row.kind as u8,
        row.key,
        log,
        pos,
        row.rank.0,
        row.rank.1,
        due,
        json(&row.facets),
        body.get()
    ])
    .map(drop)
}

/// What of a row its indexes were made from.
struct Old {
    id: i64,
    log: i64,
    rank: (i64, i64),
    due: Option<i64>,
    /// Each once.
    facets: Vec<String>,
}

/// The columns of [`Old`].
const OLD: &str = "id, log, rank0, rank1, due, facets";

impl Old {
    fn find(db: &Connection, kind: RowKind, key: &str) -> rusqlite::Result<Option<Self>> {
        db.prepare_cached(&format!("SELECT {OLD} FROM row WHERE kind = ?1 AND key = ?2"))?
            .query_row(params![kind as u8, key], |row| Self::read(row, 0))
            .optional()
    }

    fn read(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(at)?,
            log: row.get(at + 1)?,
            rank: (row.get(at + 2)?, row.get(at + 3)?),
            due: row.get(at + 4)?,
            facets: distinct(&from_json::<Vec<String>>(row, at + 5)?),
        })
    }

    /// Writes only the columns that changed, because an index is rewritten with the columns it is made from.
    fn update(&self, db: &Connection, log: i64, pos: i64, row: &Row, facets: &str, body: &str) -> Done {
        let due = row.due.map(|due| due.0);
        let mut sql = String::from("UPDATE row SET pos = ?1, facets = ?2, body = ?3");
        for (changed, column) in [
            (self.rank.0 != row.rank.0, ", rank0 = ?4"),
            (self.rank.1 != row.rank.1, ", rank1 = ?5"),
            (self.due != due, ", due = ?6"),
            (self.log != log, ", log = ?7"),
        ] {
            if changed {
                sql.push_str(column);
            }
        }
        sql.push_str(" WHERE id = ?8");
        let values = params![pos, facets, body, row.rank.0, row.rank.1, due, log, self.id];
        db.prepare_cached(&sql)?.execute(values).map(drop)
    }

    /// Writes only the facets that changed; all of them when the rank did.
    fn refacet(&self, db: &Connection, row: &Row, new: &[String]) -> Done {
        let moved = self.rank != row.rank;
        for facet in self.facets.iter().filter(|facet| moved || !new.contains(facet)) {
            self.unfacet(db, row.kind, facet, &row.key)?;
        }
        for facet in new.iter().filter(|facet| moved || !self.facets.contains(facet)) {
            insert_facet(db, row, facet)?;
        }
        Ok(())
    }

    fn unfacet(&self, db: &Connection, kind: RowKind, facet: &str, key: &str) -> Done {
        db.prepare_cached(
            "DELETE FROM facet WHERE kind = ?1 AND facet = ?2 AND rank0 = ?3 AND rank1 = ?4 AND key = ?5",
        )?
        .execute(params![kind as u8, facet, self.rank.0, self.rank.1, key])
        .map(drop)
    }

    fn remove(&self, db: &Connection, kind: RowKind, key: &str) -> Done {
        for facet in &self.facets {
            self.unfacet(db, kind, facet, key)?;
        }
        db.prepare_cached("DELETE FROM row WHERE id = ?1")?.execute([self.id]).map(drop)
    }
}

fn insert_facet(db: &Connection, row: &Row, facet: &str) -> Done {
    db.prepare_cached("INSERT INTO facet (kind, facet, rank0, rank1, key) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![row.kind as u8, facet, row.rank.0, row.rank.1, row.key])
        .map(drop)
}

fn distinct(facets: &[String]) -> Vec<String> {
    let mut facets = facets.to_vec();
    facets.sort_unstable();
    facets.dedup();
    facets
}
