//! Finding rows: which index leads, so that a page of a list costs a page and not the list.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use trunkline_core::id::{LogId, Pos};
use trunkline_core::raw::Raw;
use trunkline_core::row::Row;
use trunkline_core::time::Time;

use super::rows::{self, from_json};
use crate::frame::{Cursor, Found, Query};

/// The columns from which [`read`] makes a row, and the name of its log.
pub(super) const COLUMNS: &str =
    "r.kind, r.key, r.rank0, r.rank1, r.due, r.facets, r.body, (SELECT name FROM log WHERE id = r.log)";

/// How far the entries of a facet are counted to find the rarest.
const PROBE: i64 = 500;

/// Rows that fit, in the order of their rank; the answer has reached `pos`, at least.
pub(super) fn find(db: &Connection, query: &Query, pos: Pos) -> rusqlite::Result<Found> {
    let plan = Plan::of(db, query)?;
    let mut statement = db.prepare_cached(&plan.sql)?;
    let mut rows = statement.query(params_from_iter(&plan.values))?;
    let mut found = Found { rows: Vec::new(), next: None, pos };
    while let Some(row) = rows.next()? {
        if found.rows.len() == query.most() {
            found.next = found.rows.last().map(|(_, row)| Cursor::of(row));
            break;
        }
        found.rows.push(read(row)?);
    }
    Ok(found)
}

/// Reads [`COLUMNS`].
pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(LogId, Row)> {
    let log: String = row.get(7)?;
    let log = log.parse().map_err(|error| bad(7, error))?;
    let found = Row {
        kind: rows::kind(row.get(0)?)?,
        key: row.get(1)?,
        rank: (row.get(2)?, row.get(3)?),
        due: row.get::<_, Option<i64>>(4)?.map(Time),
        facets: from_json(row, 5)?,
        body: Some(Raw::parse(row.get_ref(6)?.as_str()?).map_err(|error| bad(6, error))?),
    };
    Ok((log, found))
}

fn bad(at: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(error))
}

/// A statement and its values.
pub(super) struct Plan {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

impl Plan {
    /// The key leads if it is given, then the due time, then the rarest facet, then the rank.
    ///
    /// What leads is written into the statement (`INDEXED BY`, `CROSS JOIN`), because SQLite would have to guess it. The
    /// other facets are looked up in the facets' own index. A page costs a page, except when each of several facets has
    /// many rows and few have all; then it costs the rarest facet. Rows that are due are sorted, so they cost as many as
    /// are due.
    pub(super) fn of(db: &Connection, query: &Query) -> rusqlite::Result<Self> {
        let mut facets: Vec<&str> = query.facets.iter().map(String::as_str).collect();
        facets.sort_unstable();
        facets.dedup();
        let mut plan = Self { sql: format!("SELECT {COLUMNS} FROM "), values: Vec::new() };
        let kind = plan.value(i64::from(query.kind as u8));
        if let Some(key) = &query.key {
            let key = plan.value(key.clone());
            plan.add(&format!("row AS r INDEXED BY row_key WHERE r.kind = {kind} AND r.key = {key}"));
            plan.due(query);
        } else if query.due_before.is_some() {
            plan.add(&format!("row AS r INDEXED BY row_due WHERE r.kind = {kind}"));
            plan.due(query);
        } else if let Some(rarest) = rarest(db, query, &facets)? {
            let facet = plan.value(facets.remove(rarest).to_owned());
            plan.add(&format!(
                "facet AS f CROSS JOIN row AS r INDEXED BY row_key
                 WHERE f.kind = {kind} AND f.facet = {facet} AND r.kind = f.kind AND r.key = f.key"
            ));
            plan.rest(query, &facets, "f");
            return Ok(plan);
        } else {
            plan.add(&format!("row AS r INDEXED BY row_rank WHERE r.kind = {kind}"));
        }
        plan.rest(query, &facets, "r");
        Ok(plan)
    }

    /// The other facets, the place to go on, the order. `lead` is the table whose index gives the order.
    fn rest(&mut self, query: &Query, facets: &[&str], lead: &str) {
        for facet in facets {
            let facet = self.value((*facet).to_owned());
            self.add(&format!(
                " AND EXISTS (SELECT 1 FROM facet AS o WHERE o.kind = {lead}.kind AND o.facet = {facet}
                  AND o.rank0 = {lead}.rank0 AND o.rank1 = {lead}.rank1 AND o.key = {lead}.key)"
            ));
        }
        if let Some(Cursor { rank, key }) = &query.after {
            let place = [self.value(rank.0), self.value(rank.1), self.value(key.clone())].join(", ");
            self.add(&format!(" AND ({lead}.rank0, {lead}.rank1, {lead}.key) > ({place})"));
        }
        // One more than wanted tells whether there is more.
        let most = self.value(super::int(query.most() as u64 + 1));
        self.add(&format!(" ORDER BY {lead}.rank0, {lead}.rank1, {lead}.key LIMIT {most}"));
    }

    fn due(&mut self, query: &Query) {
        if let Some(before) = query.due_before {
            let before = self.value(before.0);
            self.add(&format!(" AND r.due < {before}"));
        }
    }

    fn add(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// Takes a value and gives its place in the statement.
    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }
}

/// Which of the facets has the fewest rows, as far as counting goes.
fn rarest(db: &Connection, query: &Query, facets: &[&str]) -> rusqlite::Result<Option<usize>> {
    if facets.len() < 2 {
        return Ok(facets.len().checked_sub(1));
    }
    let mut count = db.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM facet WHERE kind = ?1 AND facet = ?2 LIMIT ?3)",
    )?;
    let mut rarest = None;
    for (at, facet) in facets.iter().enumerate() {
        let rows: i64 = count.query_row(params![query.kind as u8, facet, PROBE], |row| row.get(0))?;
        if rarest.is_none_or(|(fewest, _)| rows < fewest) {
            rarest = Some((rows, at));
        }
    }
    Ok(rarest.map(|(_, at)| at))
}
