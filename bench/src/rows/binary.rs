//! The size of the binary.

use anyhow::Result;

use crate::Bench;
use crate::report::{Figure, Unit};

const BUDGET: f64 = 16e6;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Figure>> {
    let bytes = std::fs::metadata(&bench.binary)?.len();
    Ok(vec![Figure::new("stripped release binary", bytes as f64, Unit::Bytes).at_most(BUDGET)])
}
