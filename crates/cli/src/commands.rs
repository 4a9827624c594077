//! The commands.

pub(crate) mod catalog;
pub(crate) mod completions;
pub(crate) mod config_show;
pub(crate) mod daemon;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod logs;
pub(crate) mod open;
pub(crate) mod prompt;
pub(crate) mod requests;
pub(crate) mod run;
pub(crate) mod sessions;
pub(crate) mod token;
