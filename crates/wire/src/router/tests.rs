//! The router as a whole: rules one by one, then random histories.

mod histories;
mod rules;
