//! The crate from outside: its messages held against the protocol's own types, and transcripts of agents.

#[cfg(test)]
mod golden;
#[cfg(test)]
mod model;
#[cfg(test)]
mod schema;
